//! The live secrets of a webhook: the one that was made last, and for a while the one before it.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::hook::{BadSecret, HookSecret};

/// How long the older secret lives after a rotation, micros: a day, for receivers to change theirs.
pub const OVERLAP_US: i64 = 86_400_000_000;

/// One or two live secrets, newest first.
#[derive(Clone, Debug)]
pub struct LiveSecrets {
    newest: HookSecret,
    /// With the wall time at which it ends.
    older: Option<(HookSecret, i64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    newest: String,
    older: Option<(String, i64)>,
}

impl LiveSecrets {
    pub fn new(secret: HookSecret) -> LiveSecrets {
        LiveSecrets { newest: secret, older: None }
    }

    /// With a new secret. What was newest lives for [`OVERLAP_US`] more; an older one ends at once.
    pub fn rotated(&self, secret: HookSecret, now_us: i64) -> LiveSecrets {
        let ends = now_us.saturating_add(OVERLAP_US);
        LiveSecrets { newest: secret, older: Some((self.newest.clone(), ends)) }
    }

    /// Those that sign at `now_us`, newest first.
    pub fn at(&self, now_us: i64) -> Vec<HookSecret> {
        let older = self.older.as_ref().filter(|(_, ends)| now_us < *ends);
        std::iter::once(&self.newest).chain(older.map(|(secret, _)| secret)).cloned().collect()
    }

    /// When the older one ends, if there is one that lives.
    pub fn older_ends_at(&self, now_us: i64) -> Option<i64> {
        self.older.as_ref().map(|(_, ends)| *ends).filter(|ends| now_us < *ends)
    }

    /// To be sealed and stored.
    pub fn text(&self) -> Zeroizing<String> {
        let wire = Wire {
            newest: self.newest.text().to_string(),
            older: self.older.as_ref().map(|(secret, ends)| (secret.text().to_string(), *ends)),
        };
        // two texts and a number: this cannot fail
        Zeroizing::new(serde_json::to_string(&wire).unwrap_or_default())
    }

    /// # Errors
    /// It is no such text.
    pub fn parse(text: &[u8]) -> Result<LiveSecrets, BadSecret> {
        let wire: Wire = serde_json::from_slice(text).map_err(|_| BadSecret)?;
        let older = wire.older.map(|(text, ends)| Ok((HookSecret::parse(&text)?, ends)));
        Ok(LiveSecrets { newest: HookSecret::parse(&wire.newest)?, older: older.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::hook::sign;

    fn secret(seed: u8) -> HookSecret {
        HookSecret::generate([seed; 32])
    }

    fn signs_as(live: &LiveSecrets, now: i64, seeds: &[u8]) {
        let expected: Vec<_> = seeds.iter().map(|seed| secret(*seed)).collect();
        assert_eq!(sign(&live.at(now), 1, "a", b""), sign(&expected, 1, "a", b""));
    }

    #[test]
    fn two_secrets_live_for_a_day_after_a_rotation_and_never_three() {
        let first = LiveSecrets::new(secret(1));
        signs_as(&first, 0, &[1]);
        let second = first.rotated(secret(2), 10);
        signs_as(&second, 10, &[2, 1]);
        signs_as(&second, 10 + OVERLAP_US - 1, &[2, 1]);
        signs_as(&second, 10 + OVERLAP_US, &[2]);
        assert_eq!(second.older_ends_at(11), Some(10 + OVERLAP_US));
        assert_eq!(second.older_ends_at(10 + OVERLAP_US), None);
        signs_as(&second.rotated(secret(3), 20), 20, &[3, 2]);
    }

    #[test]
    fn they_are_read_back_as_they_were() {
        let live = LiveSecrets::new(secret(1)).rotated(secret(2), 10);
        let back = LiveSecrets::parse(live.text().as_bytes()).unwrap();
        signs_as(&back, 10, &[2, 1]);
        assert_eq!(back.older_ends_at(10), live.older_ends_at(10));
        for bad in ["", "{}", r#"{"newest":"x","older":null}"#] {
            assert!(LiveSecrets::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
