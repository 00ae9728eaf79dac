//! Values that no log, error or listing may show.

use std::fmt;

use super::raw::Raw;
use super::setting::{Setting, quoted};

/// A secret: redacted wherever it is printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True where none was configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { "\"[redacted]\"" })
    }
}

impl Setting for Secret {
    const EXPECTS: &'static str = "a string";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        Ok(raw.is_string().then(|| Self(raw.text.clone())))
    }

    fn literal(&self) -> String {
        format!("{self:?}")
    }
}

/// A database URL: shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with its password, for the driver.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True where none was configured: the embedded store is used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The URL with its password (in the address or as a parameter) replaced.
    pub fn redacted(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return self.0.clone();
        };
        let (address, query) = match rest.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (rest, None),
        };
        let address = match address.rsplit_once('@') {
            Some((user, host)) => match user.split_once(':') {
                Some((user, _)) => format!("{user}:[redacted]@{host}"),
                None => format!("{user}@{host}"),
            },
            None => address.to_owned(),
        };
        let query = query.map(|query| {
            let parts = query.split('&').map(|part| match part.split_once('=') {
                Some((key @ ("password" | "sslkey"), _)) => format!("{key}=[redacted]"),
                _ => part.to_owned(),
            });
            format!("?{}", parts.collect::<Vec<_>>().join("&"))
        });
        format!("{scheme}://{address}{}", query.unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.redacted())
    }
}

impl Setting for DatabaseUrl {
    const EXPECTS: &'static str = "postgres://USER:PASSWORD@HOST:PORT/NAME";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        if !raw.is_string() {
            return Ok(None);
        }
        let url = raw.text.trim();
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        match url.is_empty() || known {
            true => Ok(Some(Self(url.to_owned()))),
            // The text may hold a password: it is not repeated.
            false => {
                Err(format!("expected {} (or nothing, for the embedded store)", Self::EXPECTS))
            }
        }
    }

    fn literal(&self) -> String {
        quoted(&self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://kiki:s3c:r@t@db:5432/kiki", "postgres://kiki:[redacted]@db:5432/kiki"),
            (
                "postgres:///kiki?host=/run&password=x",
                "postgres:///kiki?host=/run&password=[redacted]",
            ),
            ("postgres://kiki@db/kiki", "postgres://kiki@db/kiki"),
        ] {
            let url = DatabaseUrl::parse(&Raw::text(url)).ok().flatten().map(|u| u.redacted());
            assert_eq!(url.as_deref(), Some(shown));
        }
    }
}
