//! Counts times spend: the part of a model that needs few customers and knows its own spread.

use serde::{Deserialize, Serialize};

use super::account::{Known, WEEK};
use super::answer::Contribution;
use super::counting::{Counting, told};
use super::shapley::shapley;
use super::terms::{FitError, Part};
use crate::value::cohort::Cohort;
use crate::value::counts::Counts;
use crate::value::gamma_gamma::{GammaGamma, SPEND_MAX, Spender};
use crate::value::history::{History, Horizon};
use crate::value::model::CountModel;
use crate::value::registry::version::Kind;
use crate::value::spend::Spend;
use crate::value::summary::Summary;
use crate::value::values::mean;

/// The shapes that stand for "all purchases are of one amount".
const ALIKE: f64 = 1e6;

/// What of a customer the models look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    pub history: History,
    pub spender: Option<Spender>,
}

impl Case {
    /// Of somebody who just bought for the first time.
    pub const NEW: Case = Case { history: History::NEW, spender: None };

    pub fn of(summary: &Summary) -> Case {
        Case { history: summary.history, spender: summary.spender() }
    }

    fn fitted(summary: &Summary, rounded: bool) -> Case {
        match rounded {
            true => Case { history: summary.rounded_history(), spender: summary.rounded_spender() },
            false => Case::of(summary),
        }
    }
}

/// The customer that others are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TypicalJson")]
pub struct Typical {
    /// Median of repeats and of age.
    repeats: u32,
    age: f64,
    /// Means over those who bought again: where in their age the last purchase was (0 to 1), mean spend.
    share: f64,
    spend: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypicalJson {
    repeats: u32,
    age: f64,
    share: f64,
    spend: f64,
}

/// Numbers that are no customer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the typical customer is none")]
pub struct BadTypical;

impl TryFrom<TypicalJson> for Typical {
    type Error = BadTypical;

    fn try_from(json: TypicalJson) -> Result<Typical, BadTypical> {
        let TypicalJson { repeats, age, share, spend } = json;
        let sound = History::new(repeats, 0.0, age).is_ok() && (0.0..=1.0).contains(&share);
        match sound && spend > 0.0 && spend <= SPEND_MAX {
            true => Ok(Typical { repeats, age, share, spend }),
            false => Err(BadTypical),
        }
    }
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>, none: T) -> T {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or(none)
}

fn share(of: &History) -> f64 {
    if of.age() > 0.0 { (of.recency() / of.age()).clamp(0.0, 1.0) } else { 1.0 }
}

impl Typical {
    fn of(cases: &[Case]) -> Typical {
        let again: Vec<&Case> = cases.iter().filter(|c| c.history.repeats() > 0).collect();
        let shares: Vec<f64> = again.iter().map(|c| share(&c.history)).collect();
        let spends: Vec<f64> = again.iter().filter_map(|c| Some(c.spender?.mean())).collect();
        Typical {
            repeats: median(cases.iter().map(|c| c.history.repeats()).collect(), 0),
            age: median(cases.iter().map(|c| c.history.age()).collect(), 0.0),
            share: mean(&shares),
            spend: if spends.is_empty() { 1.0 } else { mean(&spends) },
        }
    }
}

/// A counting model and amounts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probable {
    counting: Counting,
    amounts: GammaGamma,
    typical: Typical,
}

/// A fit with what is told of it.
pub struct Fitted {
    pub model: Probable,
    pub parts: Vec<Part>,
    pub note: Option<&'static str>,
}

/// An horizon in the models' unit.
pub fn weeks(days: u32) -> Horizon {
    // Ten years of days are within its range.
    Horizon::new(f64::from(days) / WEEK).unwrap_or_else(|_| whole())
}

fn whole() -> Horizon {
    Horizon::try_from(1e5).unwrap_or_else(|_| unreachable!("1e5 is the longest horizon"))
}

/// A spend without end is taken to this, in units of the currency.
const VALUE_MAX: f64 = 1e15;

impl Probable {
    /// On the summaries of a cohort, at whichever cut they are.
    pub fn fit<'a>(
        kind: Kind,
        summaries: impl Iterator<Item = &'a Summary>,
        rounded: bool,
    ) -> Result<Fitted, FitError> {
        let cases: Vec<Case> = summaries.map(|s| Case::fitted(s, rounded)).collect();
        let cohort: Cohort = cases.iter().map(|case| case.history).collect();
        let (counting, counted) =
            Counting::fit(kind, &cohort).map_err(|why| FitError::Part { kind, why })?;
        let typical = Typical::of(&cases);
        let spenders = cases.iter().filter_map(|case| case.spender);
        let mut parts: Vec<Part> = counted.into_iter().collect();
        let (amounts, note) = match GammaGamma::fit(spenders) {
            Ok(fit) => {
                let (amounts, part) = told(Kind::GammaGamma, fit);
                parts.push(part);
                (amounts, None)
            }
            // The kind that is nothing else has to be it.
            Err(why) if kind == Kind::GammaGamma => return Err(FitError::Part { kind, why }),
            Err(_) => (
                alike(typical.spend),
                Some("amounts gave no Gamma-Gamma: their mean stands for all"),
            ),
        };
        Ok(Fitted { model: Probable { counting, amounts, typical }, parts, note })
    }

    /// Expected purchases.
    pub fn purchases(&self, of: &Case, ahead: Horizon) -> f64 {
        self.counting.expected(&of.history, ahead)
    }

    /// Expected spend per purchase. Where the amounts have no mean, it is what was seen.
    pub fn amount(&self, of: &Case) -> f64 {
        let seen = || of.spender.map_or(self.typical.spend, |s| s.mean());
        self.amounts.mean(of.spender.as_ref()).unwrap_or_else(seen).clamp(0.0, SPEND_MAX)
    }

    pub fn value(&self, of: &Case, ahead: Horizon) -> f64 {
        (self.purchases(of, ahead) * self.amount(of)).clamp(0.0, VALUE_MAX)
    }

    pub fn p_active(&self, of: &Case, ahead: Horizon) -> f64 {
        self.counting.p_active(&of.history, ahead)
    }

    pub fn counting(&self) -> &Counting {
        &self.counting
    }

    fn spend(&self, of: &Case, ahead: Horizon) -> Spend {
        let counts = Counts { model: &self.counting, of: of.history, ahead };
        Spend::new(&counts, &self.amounts, of.spender.as_ref())
    }

    /// The level of the narrowest interval with equal tails that holds the actual spend, 0 to 1.
    pub fn level_of(&self, of: &Case, ahead: Horizon, actual: f64) -> f64 {
        if actual <= 0.0 {
            return (1.0 - 2.0 * (1.0 - self.p_active(of, ahead))).clamp(0.0, 1.0);
        }
        (2.0 * self.spend(of, ahead).p_at_most(actual) - 1.0).abs().clamp(0.0, 1.0)
    }

    /// Where the spend lies with a probability of `level`, half of the rest to either side.
    pub fn interval(&self, of: &Case, ahead: Horizon, level: f64) -> (f64, f64) {
        let outside = (1.0 - level.clamp(0.0, 1.0)) / 2.0;
        let none = 1.0 - self.p_active(of, ahead);
        if none >= 1.0 - outside {
            return (0.0, 0.0);
        }
        let spend = self.spend(of, ahead);
        let lower = if none >= outside { 0.0 } else { quantile(&spend, outside) };
        let upper = quantile(&spend, 1.0 - outside);
        (lower.min(VALUE_MAX), upper.clamp(lower, VALUE_MAX))
    }

    /// What the typical customer is worth, and what each input adds to it: Shapley's values over every
    /// coalition of the customer's inputs, the others being the typical customer's.
    pub fn explain(&self, of: &Case, ahead: Horizon) -> (f64, Vec<Contribution>) {
        let Typical { repeats, age, share: typical_share, spend } = self.typical;
        let again = of.history.repeats() > 0;
        // Of whom there is no last repeat and no spend, these say nothing.
        let own_share = if again { share(&of.history) } else { typical_share };
        let own_spend = of.spender.map_or(spend, |s| s.mean());
        let (baseline, values) = shapley(4, |set| {
            let own = |player: u32| set & (1 << player) != 0;
            let x = if own(0) { of.history.repeats() } else { repeats };
            let part = if own(1) { own_share } else { typical_share };
            let t = if own(2) { of.history.age() } else { age };
            let m = if own(3) { own_spend } else { spend };
            let recency = if x == 0 { 0.0 } else { (part * t).min(t) };
            // Every such mixture is a history.
            let history = History::new(x, recency, t).unwrap_or(of.history);
            self.value(&Case { history, spender: Spender::new(x, m).ok() }, ahead)
        });
        let names = ["frequency", "recency", "age", "mean_spend"];
        let parts = names.into_iter().zip(values);
        (baseline, parts.map(|(name, value)| Contribution { name, value }).collect())
    }
}

/// All purchases are of one amount.
fn alike(amount: f64) -> GammaGamma {
    let v = (amount * (ALIKE - 1.0) / ALIKE).clamp(1e-9, 1e15);
    // Within the bounds of all three.
    GammaGamma::new(ALIKE, ALIKE, v).unwrap_or_else(|_| unreachable!("an amount is within bounds"))
}

/// The least spend that is not passed with a probability of `level`, to six digits: a bracket by
/// doubling, then false position with Illinois' halving (Dowell & Jarratt 1971) over the logarithm.
fn quantile(spend: &Spend, level: f64) -> f64 {
    let below = |ln: f64| spend.p_at_most(ln.exp()) - level;
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    while below(low) > 0.0 && low > -40.0 {
        (high, low) = (low, low * 2.0 - 2.0);
    }
    while below(high) < 0.0 && high < 60.0 {
        (low, high) = (high, high * 2.0 + 1.0);
    }
    let (mut at_low, mut at_high) = (below(low), below(high));
    let mut side = 0;
    for _ in 0..60 {
        if high - low < 1e-6 || at_low == at_high {
            break;
        }
        let flat = low - at_low * (high - low) / (at_high - at_low);
        let next = if flat > low && flat < high { flat } else { f64::midpoint(low, high) };
        let at = below(next);
        if at < 0.0 {
            (low, at_low) = (next, at);
            at_high *= if side == -1 { 0.5 } else { 1.0 };
            side = -1;
        } else {
            (high, at_high) = (next, at);
            at_low *= if side == 1 { 0.5 } else { 1.0 };
            side = 1;
        }
        if at.abs() < 1e-7 {
            return next.exp();
        }
    }
    high.exp()
}

/// Summaries of who is known, at the cut.
pub fn fulls(known: &[(Box<str>, Known)]) -> impl Iterator<Item = &Summary> {
    known.iter().map(|(_, known)| &known.full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::cdnow::summaries;

    fn fitted(kind: Kind) -> Probable {
        Probable::fit(kind, summaries().iter(), true).unwrap().model
    }

    #[test]
    fn intervals_are_those_of_the_predictive_distribution() {
        for kind in [Kind::BgNbd, Kind::ParetoNbd, Kind::MbgNbd, Kind::GammaGamma] {
            let model = fitted(kind);
            for summary in summaries().iter().step_by(431) {
                let (case, ahead) = (Case::of(summary), weeks(273));
                let counts = Counts { model: &model.counting, of: case.history, ahead };
                let spend = Spend::new(&counts, &model.amounts, case.spender.as_ref());
                let (low, high) = model.interval(&case, ahead, 0.9);
                let (want_low, want_high) = spend.interval(0.9);
                assert!((low - want_low).abs() <= 1e-4 * want_low + 1e-9, "{kind:?} {case:?}");
                assert!((high - want_high).abs() <= 1e-4 * want_high + 1e-9, "{kind:?} {case:?}");
                let at_high = model.level_of(&case, ahead, high * 0.999);
                assert!(high == 0.0 || (at_high - 0.9).abs() < 0.01, "{at_high}");
            }
        }
    }

    #[test]
    fn contributions_lead_from_the_typical_customer_to_this_one() {
        let model = fitted(Kind::BgNbd);
        for summary in summaries().iter().step_by(97) {
            let (case, ahead) = (Case::of(summary), weeks(273));
            let (baseline, parts) = model.explain(&case, ahead);
            let sum: f64 = baseline + parts.iter().map(|c| c.value).sum::<f64>();
            assert!((sum - model.value(&case, ahead)).abs() < 1e-6);
            assert_eq!(parts.len(), 4);
        }
    }

    #[test]
    fn one_amount_for_all_is_that_amount_for_all() {
        let amounts = alike(20.0);
        let mean = amounts.mean(None).unwrap();
        assert!((mean - 20.0).abs() < 1e-6, "{mean}");
    }
}
