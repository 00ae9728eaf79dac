//! A fitted model as the registry knows it.

use serde::{Deserialize, Serialize};

use crate::value::metrics::scores::Scores;

/// Characters of a version's name.
pub const ID_CHARS_MAX: usize = 64;

/// The name of a version: 1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionId(String);

/// A text that names no version, or is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error(
        "a version is named by 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit"
    )]
    Version,
    #[error("a fingerprint is 64 lower-case hex digits")]
    Fingerprint,
}

impl TryFrom<String> for VersionId {
    type Error = BadName;

    fn try_from(text: String) -> Result<VersionId, BadName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = text.len() <= ID_CHARS_MAX && text.bytes().next().is_some_and(plain);
        match fits && text.bytes().all(|b| plain(b) || b"._-".contains(&b)) {
            true => Ok(VersionId(text)),
            false => Err(BadName::Version),
        }
    }
}

impl From<VersionId> for String {
    fn from(id: VersionId) -> String {
        id.0
    }
}

impl std::fmt::Display for VersionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of something, as 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl TryFrom<String> for Fingerprint {
    type Error = BadName;

    fn try_from(text: String) -> Result<Fingerprint, BadName> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && text.len() == 64 { Ok(Fingerprint(text)) } else { Err(BadName::Fingerprint) }
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    BgNbd,
    MbgNbd,
    ParetoNbd,
    GammaGamma,
    Ziln,
    Blend,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BgNbd => "bg-nbd",
            Self::MbgNbd => "mbg-nbd",
            Self::ParetoNbd => "pareto-nbd",
            Self::GammaGamma => "gamma-gamma",
            Self::Ziln => "ziln",
            Self::Blend => "blend",
        }
    }
}

/// A version; nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    pub id: VersionId,
    pub kind: Kind,
    /// Wall micros UTC.
    pub created_us: i64,
    /// Of the transactions that it was fitted on, of the holdout that its scores are from, and of the
    /// parameters themselves.
    pub data: Fingerprint,
    pub holdout: Fingerprint,
    pub parameters: Fingerprint,
    pub scores: Scores,
    /// The champion of the time of the fit on this version's holdout, where that is another than its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rival: Option<Rival>,
}

/// How a champion did on another version's holdout: by itself where it knew nothing of it, else by its kind,
/// fitted anew on what came before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rival {
    pub id: VersionId,
    pub scores: Scores,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_of_a_limited_length() {
        let longest = "a".repeat(ID_CHARS_MAX);
        for good in ["v1", "2026-01-31.blend_2", &longest] {
            assert!(VersionId::try_from(good.to_string()).is_ok(), "{good}");
        }
        let longer = "a".repeat(ID_CHARS_MAX + 1);
        for bad in ["", ".", "-v", "V1", "a/b", "a b", "ä", &longer] {
            assert_eq!(VersionId::try_from(bad.to_string()), Err(BadName::Version), "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_is_a_hash_in_hex() {
        assert!(Fingerprint::try_from("0f".repeat(32)).is_ok());
        for bad in ["0F".repeat(32), "0f".repeat(31), "0g".repeat(32), String::new()] {
            assert_eq!(Fingerprint::try_from(bad), Err(BadName::Fingerprint));
        }
    }

    #[test]
    fn kinds_are_written_as_they_are_asked_for() {
        for kind in
            [Kind::BgNbd, Kind::MbgNbd, Kind::ParetoNbd, Kind::GammaGamma, Kind::Ziln, Kind::Blend]
        {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
    }
}
