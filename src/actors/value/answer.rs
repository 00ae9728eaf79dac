//! A question about a customer, and its answer.

use std::sync::Arc;

use crate::models::value::forecast::answer::Forecast;
use crate::models::value::forecast::customer::Purchase;
use crate::models::value::forecast::hint::Hint;
use crate::models::value::split::Arm;

/// What is known of a customer.
#[derive(Debug, Default, PartialEq)]
pub struct History {
    /// The inner id; nothing for somebody of whom nothing is known.
    pub person: Option<Arc<str>>,
    /// One per day, in order.
    pub purchases: Vec<Purchase>,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Ask {
    pub customer: String,
    /// Counts where no purchases are known.
    pub hint: Hint,
    /// Without: that of the settings.
    pub horizon_days: Option<u32>,
    /// Whether each input's contribution is wanted.
    pub explain: bool,
    /// Purchases that came with the question, in place of those that are stored.
    pub purchases: Option<Vec<Purchase>>,
}

impl Ask {
    pub fn of(customer: impl Into<String>) -> Ask {
        Ask {
            customer: customer.into(),
            hint: Hint::NONE,
            horizon_days: None,
            explain: false,
            purchases: None,
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub forecast: Arc<Forecast>,
    /// The version that answered; nothing where the rule of thumb did.
    pub model: Option<Arc<str>>,
    pub arm: Arm,
    pub horizon_days: u32,
    /// Whether contributions were asked for. A remembered answer may have some all the same.
    pub explained: bool,
    /// Whether it was known already.
    pub cached: bool,
    pub took_us: i64,
}
