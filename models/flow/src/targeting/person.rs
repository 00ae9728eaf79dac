//! What is known of who sees an impression, looked up before the auction.

use serde::{Deserialize, Serialize};

use kiki_models::shield::consent::kind::{Kind, KindSet};
use kiki_models::shield::money::{Currency, Micros};

use crate::auction::rates::Rates;
use crate::campaign::audience::Cohort;
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
    /// Made of what is known of this person; else it is the same for everybody.
    pub personal: bool,
}

/// Who sees it, as one account knows the person. Of a request whose personal data may not be used nothing of
/// this is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Person<'a> {
    pub ltv: Option<Ltv<'a>>,
    /// The month of the first purchase.
    pub cohort: Option<Cohort>,
    /// What the person has granted; `None`: nothing is known of that. A customer that we know has then
    /// granted nothing; somebody else is nobody's to ask.
    pub granted: Option<KindSet>,
    /// Impressions so far, and the person's key there; the same for all accounts. `None`: the person cannot
    /// be told apart.
    pub seen: Option<(&'a Table, PersonKey)>,
}

impl<'a> Person<'a> {
    /// What of it may be used for a request. CO-1: of a customer who has not granted
    /// [targeting](Kind::Targeting) neither value nor cohort is; what else a campaign needs to be granted is
    /// among its purposes.
    pub fn of(self, auction: &Auction<'_>) -> Person<'a> {
        match auction.user {
            Some(user) if auction.personal && user.is_known() => {
                // Of a customer whose grants were not found, none is there.
                let granted = self.granted.unwrap_or_default();
                let person = Person { granted: Some(granted), ..self };
                match granted.contains(Kind::Targeting) {
                    true => person,
                    false => {
                        let ltv = self.ltv.filter(|ltv| !ltv.personal);
                        Person { ltv, cohort: None, ..person }
                    }
                }
            }
            Some(_) if auction.personal => self,
            _ => Person::default(),
        }
    }
}

/// A request as one account sees it: who sees the impression, and what money is worth.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    pub rates: &'a Rates,
    pub person: Person<'a>,
}

/// How each account sees a request. Campaigns of several accounts stand in one auction, and each is judged by
/// what its own account knows: customers, what they have granted, exchange rates.
pub trait Sights {
    /// `account`: its place in [`super::Index::accounts`]. Asked for at most once for each run of candidates
    /// of one account: what is looked up for it is to be remembered for the request.
    fn of(&self, account: u32) -> Sight<'_>;

    /// How often the person has seen campaigns, whatever the account.
    fn seen(&self) -> Option<(&Table, PersonKey)>;
}

/// The same for every account.
impl Sights for Sight<'_> {
    fn of(&self, _account: u32) -> Sight<'_> {
        *self
    }

    fn seen(&self) -> Option<(&Table, PersonKey)> {
        self.person.seen
    }
}
