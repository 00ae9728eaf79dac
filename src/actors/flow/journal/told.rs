//! What became of a bid, as the journal is told.

use serde::{Deserialize, Serialize};

use crate::models::flow::decision::rebuild::{Named, rebuild};
use crate::models::flow::decision::{Decision, Digest, Kind, Outcome};

/// Times are wall-clock micros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    pub account: String,
    pub campaign: String,
    pub hold: u128,
    /// When it was bid.
    pub at_us: i64,
    pub outcome: Outcome,
    /// With it, a record that is lost can be made anew.
    #[serde(with = "as_text")]
    pub digest: Option<Digest>,
}

impl Told {
    /// The record of a bid of which nothing is left but this. Of a bid that cost nothing, and of which not
    /// even a digest is there, there is none.
    pub fn rebuilt(&self) -> Option<Decision> {
        let found = |named: Named, _: &[u8; 16]| match named {
            Named::Account => Some(self.account.clone()),
            Named::Campaign => Some(self.campaign.clone()),
            Named::Creative | Named::Impression | Named::Model => None,
            Named::Auction | Named::Deal => None,
        };
        let decision = match &self.digest {
            Some(digest) => rebuild(digest, found),
            None if matches!(self.outcome, Outcome::Won { .. } | Outcome::Billed { .. }) => {
                Decision {
                    hold: Some(format!("{:032x}", self.hold)),
                    breaker: None,
                    rebuilt: true,
                    ..Decision::new(Kind::Bid, &self.account, self.at_us)
                }
            }
            None => return None,
        };
        // Whoever tells it knows whose it is.
        Some(Decision {
            account: self.account.clone(),
            campaign: Some(self.campaign.clone()),
            ..decision
        })
    }
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::models::flow::decision::Digest;

    pub fn serialize<S: Serializer>(digest: &Option<Digest>, s: S) -> Result<S::Ok, S::Error> {
        digest.as_ref().map(Digest::to_text).serialize(s)
    }

    /// One that cannot be read is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Digest>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        Ok(text.and_then(|text| Digest::from_text(&text).ok()))
    }
}
