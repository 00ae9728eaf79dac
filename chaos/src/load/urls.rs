//! Where the platform is: what a client is given, and no more.

/// Base addresses without a slash at their end, such as `http://127.0.0.1:8081`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Urls {
    /// SyncShield: the load balancer first; retries may go to the others.
    pub shield: Vec<String>,
    /// SyncFlow, the same.
    pub flow: Vec<String>,
    /// SyncValue, the same; without an address nobody asks it.
    pub value: Vec<String>,
    /// The admin API, the same.
    pub admin: Vec<String>,
    /// Clients begin with different ones of these addresses, each with its own; otherwise all with the first.
    pub spread: bool,
    /// Each node's own admin API, by the node's name.
    pub nodes: Vec<(String, String)>,
    /// Sent as `Authorization: Bearer`, where the platform asks for a key.
    pub key: Option<String>,
}

impl Urls {
    /// What is missing or no address of HTTP.
    pub fn faults(&self) -> Vec<String> {
        let lists = [
            ("shield", &self.shield),
            ("flow", &self.flow),
            ("value", &self.value),
            ("admin", &self.admin),
        ];
        let mut faults = Vec::new();
        for (name, list) in lists {
            if list.is_empty() && name != "value" {
                faults.push(format!("there is no address of {name}"));
            }
            faults.extend(list.iter().filter_map(|url| fault(name, url)));
        }
        faults.extend(self.nodes.iter().filter_map(|(name, url)| fault(name, url)));
        faults
    }
}

fn fault(name: &str, url: &str) -> Option<String> {
    let fits = match reqwest::Url::parse(url) {
        Ok(parsed) => {
            matches!(parsed.scheme(), "http" | "https")
                && parsed.path() == "/"
                && parsed.query().is_none()
                && !url.ends_with('/')
        }
        Err(_) => false,
    };
    (!fits).then(|| format!("{name}: {url:?} is not http://HOST:PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_behind() {
        let of = |url: &str| fault("shield", url).is_none();
        assert!(of("http://127.0.0.1:8081") && of("https://[::1]:1"));
        for bad in ["127.0.0.1:8081", "ftp://a", "http://a/", "http://a/b", "http://a?x", ""] {
            assert!(!of(bad), "{bad}");
        }
        assert_eq!(Urls::default().faults().len(), 3);
    }
}
