//! Names of accounts, campaigns, creatives and seats, domains, and codes of categories.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// The account of campaigns whose definition names none.
pub const DEFAULT_ACCOUNT: &str = "default";
/// Characters of a creative's name at exchanges: what they commonly keep.
pub const TOLD_CHARS_MAX: usize = 128;
/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 128;
/// Characters of a domain (RFC 1035 §2.3.4, without the last dot).
pub const DOMAIN_CHARS_MAX: usize = 253;

/// Letters, digits, `_`, `-` and `.`, at most 128 of them and not dots alone: the names of budgets, safe in
/// paths, logs and labels.
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let dots = text.bytes().all(|b| b == b'.');
    (1..=NAME_CHARS_MAX).contains(&text.len()) && !dots && text.bytes().all(plain)
}

/// What exchanges call something: a deal, a seat, an app: 1 to `most` printable characters of ASCII.
pub fn is_token(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A host name in lower case with at least two labels.
pub fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    text.len() <= DOMAIN_CHARS_MAX && text.contains('.') && text.split('.').all(label)
}

/// A code of a content taxonomy of the IAB: `IAB1`, `IAB1-5`, or a number of a later taxonomy.
pub fn is_category(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=16).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The category and the one above it: `IAB1-5` is also `IAB1`.
pub fn with_parent(category: &str) -> impl Iterator<Item = &str> {
    let parent = category.split_once('-').map(|(parent, _)| parent);
    std::iter::once(category).chain(parent)
}

/// Whether `category` is `of` or below it, whatever the case of either.
pub fn is_within(category: &str, of: &str) -> bool {
    with_parent(category).any(|it| it.eq_ignore_ascii_case(of))
}

/// What exchanges call a campaign (`cid`): its id, after its account where that is not [`DEFAULT_ACCOUNT`]. No
/// name has a `:`, so that two campaigns never share one.
pub fn campaign_told<'a>(account: &str, campaign: &'a str) -> Cow<'a, str> {
    match account == DEFAULT_ACCOUNT {
        true => Cow::Borrowed(campaign),
        false => Cow::Owned(format!("{account}:{campaign}")),
    }
}

/// What exchanges review a creative by (`crid`): what they call its campaign, and its id. Of more than
/// [`TOLD_CHARS_MAX`] characters, 32 hexadecimal digits of the SHA-256 of that.
pub fn creative_told(account: &str, campaign: &str, creative: &str) -> String {
    let told = format!("{}:{creative}", campaign_told(account, campaign));
    if told.len() <= TOLD_CHARS_MAX {
        return told;
    }
    fingerprint(told.as_bytes())
}

/// The first half of the SHA-256: 32 hexadecimal digits.
pub fn fingerprint(of: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(of).into();
    hash.iter().take(16).fold(String::with_capacity(32), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The campaign's own id of what [`campaign_told`] made of it.
pub fn campaign_of_told(told: &str) -> &str {
    told.rsplit_once(':').map_or(told, |(_, campaign)| campaign)
}

/// A domain and the domains that it is in, down to two labels: `a.b.example`, `b.example`. A last dot does
/// not count.
pub fn with_parents(host: &str) -> impl Iterator<Item = &str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut rest = Some(host);
    std::iter::from_fn(move || {
        let it = rest?;
        rest = it.split_once('.').map(|(_, parent)| parent).filter(|parent| parent.contains('.'));
        Some(it)
    })
}

/// Whether a host is a domain or within it, whatever the case of either.
pub fn is_under(host: &str, domain: &str) -> bool {
    with_parents(host).any(|it| it.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_budgets() {
        assert!(is_name("camp_001") && is_name(".a") && is_name(&"x".repeat(128)));
        for bad in ["", ".", "..", "a:b", "a/b", "caf\u{e9}", "a b", &"x".repeat(129)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn no_two_creatives_or_campaigns_have_one_name_at_exchanges() {
        assert_eq!(creative_told("default", "boots", "box"), "boots:box");
        assert_eq!(creative_told("acme", "boots", "box"), "acme:boots:box");
        assert_eq!(campaign_told("default", "boots"), "boots");
        assert_eq!(campaign_told("acme", "boots"), "acme:boots");
        for told in ["boots", "acme:boots"] {
            assert_eq!(campaign_of_told(told), "boots");
        }
        let long = "x".repeat(128);
        let names = ["a", "b", "a.b", "default", &long];
        let mut all = std::collections::BTreeSet::new();
        for account in names {
            for campaign in names {
                for creative in names {
                    let told = creative_told(account, campaign, creative);
                    assert!(told.len() <= TOLD_CHARS_MAX, "{told}");
                    assert_eq!(told, creative_told(account, campaign, creative), "it is stable");
                    assert!(all.insert(told), "{account} {campaign} {creative}");
                }
            }
        }
    }

    #[test]
    fn domains_have_two_labels_in_lower_case() {
        assert!(
            is_domain("news.example") && is_domain("a-b.co.uk") && is_domain("xn--bcher-kva.de")
        );
        let long = format!("{}.example", "x".repeat(64));
        for bad in ["", "example", ".example", "a..b", "News.example", "-a.example", "a b.c", &long]
        {
            assert!(!is_domain(bad), "{bad}");
        }
    }

    #[test]
    fn a_host_is_under_its_own_domains_and_under_no_look_alike() {
        assert!(is_under("m.news.example", "news.example"));
        assert!(is_under("news.example.", "news.example"));
        assert!(!is_under("fakenews.example", "news.example"));
        assert!(!is_under("news.example", "m.news.example"));
        assert_eq!(with_parents("a.b.c").collect::<Vec<_>>(), ["a.b.c", "b.c"]);
        assert_eq!(with_parents("localhost").collect::<Vec<_>>(), ["localhost"]);
        assert!(is_under(&format!("{}bad.example", "a.".repeat(100)), "bad.example"));
    }

    #[test]
    fn a_category_is_within_the_one_above_it_and_not_the_other_way() {
        assert!(is_within("IAB1-5", "IAB1") && is_within("iab1", "IAB1"));
        assert!(!is_within("IAB1", "IAB1-5") && !is_within("IAB12", "IAB1"));
        assert!(is_category("IAB25-3") && is_category("483") && !is_category("IAB 1"));
    }
}
