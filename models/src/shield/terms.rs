//! What an operator has agreed to spend: caps, schedule, pacing, thresholds.

use serde::{Deserialize, Serialize};

use super::money::{Currency, Micros, Rate};
use super::pacing::Pacing;

/// At most `amount` in any trailing `length_us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowCap {
    pub amount: Micros,
    pub length_us: i64,
}

/// The terms of one budget. A campaign has a lifetime cap and perhaps a daily one; an account has a
/// window. A cap that is `None` does not limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub currency: Currency,
    pub lifetime: Option<Micros>,
    pub daily: Option<Micros>,
    pub window: Option<WindowCap>,
    /// IANA name of the zone whose midnight ends the day.
    pub time_zone: String,
    /// Wall-clock micros; nothing is authorised before.
    pub starts_us: Option<i64>,
    /// Wall-clock micros; nothing is authorised from then on.
    pub ends_us: Option<i64>,
    pub pacing: Pacing,
    /// Shares of the lifetime cap, in percent and ascending, that raise an event when reached.
    pub thresholds: Vec<u8>,
    /// What one unit of `currency` is in the account's currency.
    pub rate: Rate,
}

impl Terms {
    /// A campaign's budget with a lifetime cap and the defaults of everything else.
    pub fn campaign(currency: Currency, lifetime: Micros) -> Terms {
        Terms {
            currency,
            lifetime: Some(lifetime),
            daily: None,
            window: None,
            time_zone: "UTC".to_owned(),
            starts_us: None,
            ends_us: None,
            pacing: Pacing::Even,
            thresholds: vec![80, 95],
            rate: Rate::ONE,
        }
    }

    /// An account: a window over all its campaigns, and no lifetime cap.
    pub fn account(currency: Currency, window: Option<WindowCap>) -> Terms {
        Terms {
            lifetime: None,
            window,
            thresholds: Vec::new(),
            ..Terms::campaign(currency, Micros::ZERO)
        }
    }
}

/// Whether money may be authorised. Facts are booked in every state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Active,
    Paused,
    Ended,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Paused => "paused",
            Status::Ended => "ended",
        }
    }

    pub fn parse(text: &str) -> Option<Status> {
        [Status::Active, Status::Paused, Status::Ended].into_iter().find(|s| s.as_str() == text)
    }
}
