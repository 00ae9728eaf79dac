//! What the counting models know of one customer, and how far they are asked to look.

use serde::{Deserialize, Serialize};

/// The longest age and the farthest horizon: 10⁵ units of time (1,900 years of weeks).
pub const TIME_MAX: f64 = 1e5;
/// Most repeat purchases of one customer.
pub const REPEATS_MAX: u32 = 10_000_000;

/// A customer's purchases in three numbers, sufficient for all models here (Fader, Hardie & Lee
/// 2005): `x` repeat purchases, `t_x` from the first to the last one, `T` from the first one to now.
///
/// Times are in one unit of the caller's choice (weeks, for the published figures).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "HistoryJson")]
pub struct History {
    repeats: u32,
    recency: f64,
    age: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryJson {
    repeats: u32,
    recency: f64,
    age: f64,
}

/// Numbers that are no history, or no horizon.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadHistory {
    #[error("age {0} is not between 0 and 100000")]
    Age(f64),
    #[error("recency {recency} is not between 0 and the age {age}")]
    Recency { recency: f64, age: f64 },
    #[error("a customer without repeat purchases has recency 0, not {0}")]
    NoRepeats(f64),
    #[error("{0} repeat purchases are more than 10000000")]
    TooMany(u32),
    #[error("horizon {0} is not between 0 and 100000")]
    Horizon(f64),
}

impl TryFrom<HistoryJson> for History {
    type Error = BadHistory;

    fn try_from(json: HistoryJson) -> Result<History, BadHistory> {
        History::new(json.repeats, json.recency, json.age)
    }
}

impl History {
    /// Of a customer whose first purchase was made just now.
    pub const NEW: History = History { repeats: 0, recency: 0.0, age: 0.0 };

    /// A history with `0 ≤ recency ≤ age ≤` [`TIME_MAX`]; recency is 0 where nothing was repeated.
    pub fn new(repeats: u32, recency: f64, age: f64) -> Result<History, BadHistory> {
        if !(0.0..=TIME_MAX).contains(&age) {
            return Err(BadHistory::Age(age));
        }
        if !(0.0..=age).contains(&recency) {
            return Err(BadHistory::Recency { recency, age });
        }
        if repeats == 0 && recency != 0.0 {
            return Err(BadHistory::NoRepeats(recency));
        }
        if repeats > REPEATS_MAX {
            return Err(BadHistory::TooMany(repeats));
        }
        // A negative zero would make groups of its own.
        Ok(History { repeats, recency: recency + 0.0, age: age + 0.0 })
    }

    /// Repeat purchases, `x`: the first purchase is none.
    pub fn repeats(&self) -> u32 {
        self.repeats
    }

    /// Time of the last purchase after the first one, `t_x`.
    pub fn recency(&self) -> f64 {
        self.recency
    }

    /// Time since the first purchase, `T`.
    pub fn age(&self) -> f64 {
        self.age
    }
}

/// A length of time to look ahead, in the histories' unit.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Horizon(f64);

impl Horizon {
    /// From 0 to [`TIME_MAX`].
    pub fn new(time: f64) -> Result<Horizon, BadHistory> {
        (0.0..=TIME_MAX).contains(&time).then_some(Horizon(time)).ok_or(BadHistory::Horizon(time))
    }

    pub fn time(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Horizon {
    type Error = BadHistory;

    fn try_from(time: f64) -> Result<Horizon, BadHistory> {
        Horizon::new(time)
    }
}

impl From<Horizon> for f64 {
    fn from(horizon: Horizon) -> f64 {
        horizon.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_no_history_are_refused() {
        for (repeats, recency, age) in [
            (0, 1.0, 2.0),
            (1, 3.0, 2.0),
            (1, -1.0, 2.0),
            (1, f64::NAN, 2.0),
            (1, 1.0, f64::NAN),
            (1, 1.0, f64::INFINITY),
            (REPEATS_MAX + 1, 1.0, 2.0),
        ] {
            assert!(History::new(repeats, recency, age).is_err(), "{repeats} {recency} {age}");
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY, 2e5] {
            assert!(Horizon::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_history_in_json_is_checked_like_any_other() {
        let read = |text| serde_json::from_str::<History>(text);
        let history = History::new(2, 30.5, 38.75).unwrap();
        let json = serde_json::to_string(&history).unwrap();
        assert_eq!(read(&json).unwrap(), history);
        assert!(read(r#"{"repeats":2,"recency":39,"age":38}"#).is_err());
        assert!(serde_json::from_str::<Horizon>("-1").is_err());
    }
}
