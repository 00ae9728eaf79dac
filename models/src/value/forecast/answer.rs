//! What is said of one customer.

use serde::{Deserialize, Serialize};

/// Whether an answer is from this customer's purchases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// From the customer's own purchases.
    Success,
    /// No purchases of the customer are known: it is what new customers are worth, with the spread that they
    /// have.
    InsufficientData,
    /// No fitted model, or not one for this question: a documented rule of thumb.
    Fallback,
}

/// The most that micros in 64 bits can say, in units.
const VALUE_MAX: f64 = i64::MAX as f64 / 1e6;
/// What a sum of probabilities may be off by rounding.
const SLACK: f64 = 1e-9;

/// What one input adds to the value, in units of the currency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Contribution {
    pub name: &'static str,
    pub value: f64,
}

/// A customer's worth in a horizon. Every number is finite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Expected spend within the horizon, in units of the currency, at least 0.
    pub value: f64,
    /// What the spend will be between, `lower ≤ upper`, at least 0. Spend is mostly nothing and sometimes
    /// much, so the expected value may lie above what most such customers reach.
    pub lower: f64,
    pub upper: f64,
    /// The share of such customers whose spend was within such bounds where it is known, 0 to 1.
    /// 0 where nobody knows ([`Status::Fallback`]).
    pub confidence: f64,
    /// Expected days with a purchase within the horizon.
    pub purchases: f64,
    /// Probability of at least one purchase within the horizon, 0 to 1.
    pub p_active: f64,
    pub status: Status,
    /// What the population's typical customer is worth; the contributions lead from there to `value`.
    pub baseline: f64,
    /// `baseline + Σ value of contributions = value`, within 1e-6 or a millionth of the value, whichever is
    /// more. Empty where none was asked for.
    pub contributions: Vec<Contribution>,
}

impl Forecast {
    /// Whether it can be believed to be a forecast at all: within the bounds that its members have, and not more
    /// money than can be counted. Who asks a model does not rely on its numbers before that.
    pub fn is_sound(&self) -> bool {
        let money = 0.0..=VALUE_MAX;
        let share = 0.0..=1.0 + SLACK;
        [self.value, self.lower, self.upper].iter().all(|it| money.contains(it))
            && self.lower <= self.upper
            && [self.confidence, self.p_active].iter().all(|it| share.contains(it))
            && self.purchases >= 0.0
            && self.purchases.is_finite()
            && self.baseline.is_finite()
            && self.contributions.iter().all(|it| it.value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Forecast {
        Forecast {
            value: 12.0,
            lower: 0.0,
            upper: 8.0,
            confidence: 0.9,
            purchases: 0.4,
            p_active: 1.0,
            status: Status::Success,
            baseline: 30.0,
            contributions: vec![Contribution { name: "recency", value: -18.0 }],
        }
    }

    #[test]
    fn what_cannot_be_a_forecast_is_told_from_what_can() {
        assert!(sound().is_sound(), "the mean may lie above what most reach");
        type Spoil = fn(&mut Forecast);
        let spoil: [(&str, Spoil); 12] = [
            ("no number", |it| it.value = f64::NAN),
            ("no bound", |it| it.upper = f64::INFINITY),
            ("a debt", |it| it.value = -0.01),
            ("a debt at least", |it| it.lower = -1.0),
            ("more than can be counted", |it| it.value = 1e13),
            ("bounds the wrong way round", |it| it.lower = 9.0),
            ("more than sure", |it| it.p_active = 1.5),
            ("less than unsure", |it| it.confidence = -0.1),
            ("purchases undone", |it| it.purchases = -1.0),
            ("purchases without end", |it| it.purchases = f64::INFINITY),
            ("from nowhere", |it| it.baseline = f64::NAN),
            ("by nothing", |it| it.contributions[0].value = f64::NAN),
        ];
        for (what, spoil) in spoil {
            let mut forecast = sound();
            spoil(&mut forecast);
            assert!(!forecast.is_sound(), "{what}");
        }
    }
}
