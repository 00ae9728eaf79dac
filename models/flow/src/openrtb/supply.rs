//! Where the impression is: a site, an app, or a screen in public.

use super::object::object;
use super::value::{Text, Texts, told};

object! {
    pub struct Site<'a> {
        pub id: Option<Text<'a>>,
        /// In lower case.
        pub domain: Option<Text<'a>>,
        pub page: Option<Text<'a>>,
        pub cat: Texts<'a>,
        pub sectioncat: Texts<'a>,
        pub pagecat: Texts<'a>,
        pub publisher: Option<Publisher<'a>>,
        pub content: Option<Content<'a>>,
    }
}

object! {
    pub struct App<'a> {
        pub id: Option<Text<'a>>,
        pub bundle: Option<Text<'a>>,
        pub domain: Option<Text<'a>>,
        pub cat: Texts<'a>,
        pub sectioncat: Texts<'a>,
        pub pagecat: Texts<'a>,
        pub publisher: Option<Publisher<'a>>,
        pub content: Option<Content<'a>>,
    }
}

object! {
    /// Digital out of home.
    pub struct Dooh<'a> {
        pub id: Option<Text<'a>>,
        pub venuetype: Texts<'a>,
        pub publisher: Option<Publisher<'a>>,
        pub content: Option<Content<'a>>,
    }
}

object! {
    pub struct Publisher<'a> {
        pub id: Option<Text<'a>>,
    }
}

object! {
    pub struct Content<'a> {
        pub cat: Texts<'a>,
    }
}

impl<'a> Site<'a> {
    /// The host of the page stands in for a domain that was not told.
    pub(super) fn settle(&mut self) {
        if told(&self.domain).is_none() {
            self.domain = self.page.as_ref().and_then(host);
        }
        if let Some(domain) = &mut self.domain {
            domain.lower();
        }
    }
}

/// The host of a web address: after the scheme and whoever is named before `@`, before port and path.
fn host<'a>(page: &Text<'a>) -> Option<Text<'a>> {
    use std::borrow::Cow;
    fn part(page: &str) -> Option<&str> {
        let scheme = page
            .get(..8)
            .filter(|s| s.eq_ignore_ascii_case("https://"))
            .or(page.get(..7).filter(|s| s.eq_ignore_ascii_case("http://")))?;
        let rest = page.get(scheme.len()..)?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?.split(':').next()?;
        Some(host).filter(|host| host.contains('.'))
    }
    match &page.0 {
        Cow::Borrowed(page) => part(page).map(|host| Text(Cow::Borrowed(host))),
        Cow::Owned(page) => part(page).map(|host| Text(Cow::Owned(host.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_told_or_the_pages_and_in_lower_case() {
        for (json, domain) in [
            (r#"{"domain":"News.Example","page":"https://other.example/"}"#, Some("news.example")),
            (r#"{"page":"HTTPS://WWW.News.Example:8443/a?b#c"}"#, Some("www.news.example")),
            (r#"{"page":"http:\/\/a:b@news.example\/x"}"#, Some("news.example")),
            (r#"{"domain":"","page":"http://news.example"}"#, Some("news.example")),
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
