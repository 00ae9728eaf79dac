//! Why money was not authorised: a closed set, the same in answers, metrics and the audit trail.

use serde::{Deserialize, Serialize};

use super::money::Micros;

/// The reason of a refusal. A refusal books nothing and holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The lifetime cap has no room for the amount.
    BudgetExceeded,
    /// The account's sliding window has no room for the amount.
    WindowExceeded,
    /// The day's cap has no room for the amount.
    DailyExceeded,
    Paused,
    Ended,
    /// The schedule has not begun.
    NotStarted,
    /// The account's stop-all switch is on.
    Stopped,
    UnknownCampaign,
    /// The request names another currency than the campaign's.
    CurrencyMismatch,
    /// No exchange rate leads from the campaign's currency to the account's.
    NoExchangeRate,
    /// The budget has as many open holds as it may have.
    TooManyHolds,
    /// The amount in the account's currency, or a total of the budget, is beyond what is counted.
    BeyondBounds,
    /// There is a budget of this name, and whoever asks for it has not made it.
    Taken,
}

impl Reason {
    pub const ALL: [Reason; 13] = [
        Reason::BudgetExceeded,
        Reason::WindowExceeded,
        Reason::DailyExceeded,
        Reason::Paused,
        Reason::Ended,
        Reason::NotStarted,
        Reason::Stopped,
        Reason::UnknownCampaign,
        Reason::CurrencyMismatch,
        Reason::NoExchangeRate,
        Reason::TooManyHolds,
        Reason::BeyondBounds,
        Reason::Taken,
    ];

    /// The code as it stands in answers and metric labels.
    pub fn code(self) -> &'static str {
        match self {
            Reason::BudgetExceeded => "budget_exceeded",
            Reason::WindowExceeded => "window_exceeded",
            Reason::DailyExceeded => "daily_exceeded",
            Reason::Paused => "paused",
            Reason::Ended => "ended",
            Reason::NotStarted => "not_started",
            Reason::Stopped => "stopped",
            Reason::UnknownCampaign => "unknown_campaign",
            Reason::CurrencyMismatch => "currency_mismatch",
            Reason::NoExchangeRate => "no_exchange_rate",
            Reason::TooManyHolds => "too_many_holds",
            Reason::BeyondBounds => "beyond_bounds",
            Reason::Taken => "taken",
        }
    }

    /// What an operator can do about it.
    pub fn help(self) -> &'static str {
        match self {
            Reason::BudgetExceeded => {
                "top up the allocation, or wait for open holds to be released"
            }
            Reason::WindowExceeded => "wait until spending leaves the account's sliding window",
            Reason::DailyExceeded => "wait for the campaign's next day, or raise its daily cap",
            Reason::Paused => "resume the allocation; after a restore, resume all spending",
            Reason::Ended => "the allocation is over; allocate a new one",
            Reason::NotStarted => "the schedule has not begun",
            Reason::Stopped => "switch the account's stop-all off",
            Reason::UnknownCampaign => "allocate a budget to the campaign first",
            Reason::CurrencyMismatch => "use the currency of the allocation",
            Reason::NoExchangeRate => "enter an exchange rate to the account's currency",
            Reason::TooManyHolds => "settle or release open holds",
            Reason::BeyondBounds => "use another campaign: totals end at 576,460,752,303 units",
            Reason::Taken => "there is a budget of this name: choose another name",
        }
    }
}

/// A refusal, and how much would have been granted instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub reason: Reason,
    /// The most that could be granted at this moment, in the currency of the cap.
    pub room: Micros,
}

impl Refusal {
    pub fn new(reason: Reason) -> Refusal {
        Refusal { reason, room: Micros::ZERO }
    }
}
