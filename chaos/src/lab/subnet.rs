//! The addresses of a lab: a /24 of the range that RFC 2544 sets apart for measuring networks, which nobody routes.

use std::fmt;
use std::net::Ipv4Addr;

use super::host::HostName;

/// 198.18.0.0/15 has so many /24.
const ALL: u16 = 512;

/// One /24 of 198.18.0.0/15, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet(u16);

impl Subnet {
    /// One that does not occur among the addresses in use, as `ip -o -4 addr` prints them; which one is tried first
    /// follows from the number.
    pub fn free(first: u64, in_use: &str) -> Option<Subnet> {
        let first = (first % u64::from(ALL)) as u16;
        (0..ALL)
            .map(|n| Subnet((first + n) % ALL))
            .find(|subnet| !in_use.contains(&format!(" {}", subnet.start())))
    }

    /// What all its addresses begin with.
    fn start(self) -> String {
        let [a, b, c, _] = self.octets(0);
        format!("{a}.{b}.{c}.")
    }

    fn octets(self, last: u8) -> [u8; 4] {
        [198, 18 + (self.0 >> 8) as u8, (self.0 & 0xff) as u8, last]
    }

    pub fn address(self, host: HostName) -> Ipv4Addr {
        Ipv4Addr::from(self.octets(host.octet()))
    }

    /// Whose address this is.
    pub fn host(self, address: Ipv4Addr) -> Option<HostName> {
        let octets = address.octets();
        HostName::of_octet(octets[3]).filter(|host| self.address(*host) == address)
    }

    /// The name of a host's interface while it is in the suite's namespace: 15 letters at most.
    pub fn interface(self, host: HostName) -> String {
        format!("kc{}t{}", self.0, host.octet())
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}0/24", self.start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_back_to_their_hosts() {
        let subnet = Subnet::free(300, "").unwrap();
        assert_eq!(subnet.to_string(), "198.19.44.0/24");
        for host in HostName::all(9) {
            assert_eq!(subnet.host(subnet.address(host)), Some(host));
            assert!(subnet.interface(host).len() <= 15);
        }
        assert_eq!(subnet.host(Ipv4Addr::new(198, 19, 45, 1)), None);
        assert_eq!(subnet.host(Ipv4Addr::new(198, 19, 44, 200)), None);
    }

    #[test]
    fn what_is_in_use_is_not_taken_again() {
        let used = "2: kc511t1    inet 198.19.255.1/24 scope global kc511t1\n3: x    inet 198.18.0.1/24 scope";
        assert_eq!(Subnet::free(511, used).unwrap().to_string(), "198.18.1.0/24");
        let all: String = (0..512_u16).map(|n| format!(" {}1/24\n", Subnet(n).start())).collect();
        assert_eq!(Subnet::free(0, &all), None);
    }
}
