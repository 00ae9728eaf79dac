//! What is known of who sees an impression, looked up before the auction.

use serde::{Deserialize, Serialize};

use kiki_models::shield::consent::kind::KindSet;
use kiki_models::shield::money::{Currency, Micros};

use crate::frequency::{PersonKey, Table};
use crate::opportunity::Auction;

/// How a lifetime value was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LtvStatus {
    /// From the customer's own purchases.
    Success,
    /// No purchases are known: what new customers are worth.
    InsufficientData,
    /// No model could be asked: a documented rule of thumb.
    Fallback,
    /// Nobody is known.
    #[default]
    Unknown,
}

impl LtvStatus {
    pub const ALL: [LtvStatus; 4] =
        [LtvStatus::Success, LtvStatus::InsufficientData, LtvStatus::Fallback, LtvStatus::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            LtvStatus::Success => "success",
            LtvStatus::InsufficientData => "insufficient_data",
            LtvStatus::Fallback => "fallback",
            LtvStatus::Unknown => "unknown",
        }
    }
}

/// A predicted lifetime value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ltv<'a> {
    pub amount: Micros,
    pub currency: Currency,
    pub status: LtvStatus,
    /// Of the model; empty where the rule of thumb answered.
    pub model: &'a str,
    /// The person's engagement score, 0..=1, where there is one.
    pub engagement: Option<f64>,
}

/// Who sees it. Of a request whose personal data may not be used nothing of this is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Person<'a> {
    pub ltv: Option<Ltv<'a>>,
    /// Names of the cohorts that the person is in.
    pub cohorts: &'a [&'a str],
    /// What the person has granted; `None`: nothing is known of that. A customer that we know has then
    /// granted nothing; somebody else is nobody's to ask.
    pub granted: Option<KindSet>,
    /// Impressions so far, and the person's key there. `None`: the person cannot be told apart.
    pub seen: Option<(&'a Table, PersonKey)>,
}

impl<'a> Person<'a> {
    /// What of it may be used for a request.
    pub fn of(self, auction: &Auction<'_>) -> Person<'a> {
        match auction.user {
            // Of a customer whose grants were not found, none is there.
            Some(user) if auction.personal && user.known => {
                Person { granted: self.granted.or(Some(KindSet::default())), ..self }
            }
            Some(_) if auction.personal => self,
            _ => Person::default(),
        }
    }
}
