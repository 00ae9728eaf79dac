//! Where the impression is: a site, an app, or a screen in public.

use std::borrow::Cow;

use super::object::object;
use super::value::{Code, Text, Texts};

object! {
    pub struct Site<'a> {
        /// In lower case.
        pub domain: Option<Text<'a>>,
        pub page: Option<Text<'a>>,
        pub cat: Texts<'a>,
        pub sectioncat: Texts<'a>,
        pub pagecat: Texts<'a>,
        /// Of all three: AdCOM list "Category Taxonomies".
        pub cattax: Option<Code>,
        pub content: Option<Content<'a>>,
    }
}

object! {
    pub struct App<'a> {
        pub bundle: Option<Text<'a>>,
        pub cat: Texts<'a>,
        pub sectioncat: Texts<'a>,
        pub pagecat: Texts<'a>,
        /// Of all three: AdCOM list "Category Taxonomies".
        pub cattax: Option<Code>,
        pub content: Option<Content<'a>>,
    }
}

object! {
    /// Digital out of home.
    pub struct Dooh<'a> {
        pub id: Option<Text<'a>>,
        pub content: Option<Content<'a>>,
    }
}

object! {
    pub struct Content<'a> {
        pub cat: Texts<'a>,
        pub cattax: Option<Code>,
    }
}

impl<'a> Site<'a> {
    /// The host of the page stands in for a domain that was not told. Some write an address where the domain
    /// belongs: its host is meant, and a list of sites to avoid has to find it.
    pub(super) fn settle(&mut self) {
        let told = self.domain.as_ref().and_then(|domain| part(domain, |it| Some(host(it))));
        self.domain = told.or_else(|| {
            let host = part(self.page.as_ref()?, |page| without_scheme(page).map(host))?;
            Some(host).filter(|host| host.contains('.'))
        });
        if let Some(domain) = &mut self.domain {
            domain.lower();
        }
    }
}

/// A part of a text, unless it is empty.
fn part<'a>(text: &Text<'a>, of: impl Fn(&str) -> Option<&str>) -> Option<Text<'a>> {
    let part = match &text.0 {
        Cow::Borrowed(text) => Cow::Borrowed(of(text)?),
        Cow::Owned(text) => Cow::Owned(of(text)?.to_owned()),
    };
    Some(Text(part)).filter(|part| !part.is_empty())
}

fn without_scheme(address: &str) -> Option<&str> {
    let begins = |with: &str| {
        address.get(..with.len()).filter(|begin| begin.eq_ignore_ascii_case(with))?;
        address.get(with.len()..)
    };
    begins("https://").or_else(|| begins("http://")).or_else(|| begins("//"))
}

/// The host of a web address, with or without a scheme: after whoever is named before `@`, before port, path
/// and a last dot.
pub(super) fn host(address: &str) -> &str {
    let address = address.trim();
    let rest = without_scheme(address).unwrap_or(address);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    host.strip_suffix('.').unwrap_or(host)
}

/// The domain that an entry of a list of advertisers means: `https://www.shop.example/` is `shop.example`.
pub(super) fn advertiser(entry: &str) -> &str {
    let host = host(entry);
    let bare = host
        .split_once('.')
        .filter(|(first, rest)| matches!(*first, "www" | "WWW" | "*" | "") && rest.contains('.'));
    bare.map_or(host, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::super::value::told;
    use super::*;

    #[test]
    fn an_advertiser_that_is_blocked_is_found_however_it_is_written() {
        for entry in [
            "shop.example",
            "www.shop.example",
            "https://www.shop.example/",
            "http://shop.example/de?x=1",
            "*.shop.example",
            ".shop.example",
            "shop.example.",
            " shop.example",
        ] {
            assert_eq!(advertiser(entry), "shop.example", "{entry}");
        }
        for (entry, domain) in [("www.example", "www.example"), ("com", "com"), ("", ""), ("/", "")]
        {
            assert_eq!(advertiser(entry), domain);
        }
    }

    #[test]
    fn the_domain_is_told_or_the_pages_and_in_lower_case() {
        for (json, domain) in [
            (r#"{"domain":"News.Example","page":"https://other.example/"}"#, Some("news.example")),
            (r#"{"page":"HTTPS://WWW.News.Example:8443/a?b#c"}"#, Some("www.news.example")),
            (r#"{"page":"http:\/\/a:b@news.example\/x"}"#, Some("news.example")),
            (r#"{"domain":"","page":"http://news.example"}"#, Some("news.example")),
            (r#"{"domain":"https://www.News.Example/a?b"}"#, Some("www.news.example")),
            (r#"{"domain":"news.example:443"}"#, Some("news.example")),
            (r#"{"domain":"//news.example"}"#, Some("news.example")),
            (r#"{"domain":"news.example/sport"}"#, Some("news.example")),
            (r#"{"domain":" news.example. "}"#, Some("news.example")),
            (r#"{"domain":"https:\/\/news.example"}"#, Some("news.example")),
            (r#"{"domain":"https://","page":"https://news.example/"}"#, Some("news.example")),
            (r#"{"domain":"localhost"}"#, Some("localhost")),
            (r#"{"page":"http://bad.example\\@news.example"}"#, Some("bad.example")),
            (r#"{"page":"app://news"}"#, None),
            (r#"{"page":"https://"}"#, None),
            (r#"{"page":"ä"}"#, None),
            (r#"{"page":"httpsä://x.example"}"#, None),
            ("{}", None),
        ] {
            let mut site: Site<'_> = serde_json::from_str(json).expect("site");
            site.settle();
            assert_eq!(told(&site.domain), domain, "{json}");
        }
    }
}
