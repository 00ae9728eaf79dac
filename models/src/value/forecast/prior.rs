//! What somebody is worth of whom no purchases are known.

use serde::{Deserialize, Serialize};

use super::account::Known;
use super::answer::{Contribution, Forecast, Status};
use super::hint::Hint;
use super::level::{COVERAGE, speaks_of};
use super::probable::{Case, Probable, weeks};
use super::shapley::shapley;
use crate::value::conformal::intervals::{Interval, IntervalTerms, Intervals, Outcome};
use crate::value::gamma_gamma::Spender;
use crate::value::history::History;
use crate::value::recalibrate::{Ratio, RatioTerms, Totals};
use crate::value::split::place;

/// The rule of new customers: somebody who just bought for the first time, for the spend that is said (of the
/// population's mean where none is), as much as customers who began like that came to spend.
///
/// What a request says of somebody's spend and engagement was in nobody's purchases, so that how often
/// intervals around it hold is not known: confidence is 0 then.
///
/// An engagement moves the value to between a half and one and a half of that, in proportion: what it is
/// worth nobody has measured, so that bounds only become wider by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// Brings the total to what such customers came to spend.
    ratio: Ratio,
    /// Around predictions for `days`.
    intervals: Option<Intervals>,
    days: u32,
}

fn began(spend: Option<f64>) -> Case {
    let spender = spend.and_then(|spend| Spender::new(1, spend).ok());
    Case { history: History::NEW, spender }
}

/// Of the value of the middle.
fn factor(engagement: Option<f64>) -> f64 {
    engagement.map_or(1.0, |engagement| 0.5 + engagement)
}

impl Prior {
    /// From how customers began and what came then; `days` is the length of the inner holdout, of none
    /// that of the horizon.
    pub fn fit(model: &Probable, known: &[(Box<str>, Known)], days: u32) -> Prior {
        let starts: Vec<_> = known
            .iter()
            .filter_map(|(id, known)| Some((place("prior", id), known.start?)))
            .collect();
        let predict = |spend: f64| model.value(&began(Some(spend)), weeks(days));
        let predicted: Vec<f64> = starts.iter().map(|(_, start)| predict(start.spend)).collect();
        let totals = Totals {
            actual: starts.iter().map(|(_, start)| start.after).sum(),
            predicted: predicted.iter().sum(),
        };
        let ratio = Ratio::of(&[totals], RatioTerms::default()).unwrap_or(Ratio::ONE);
        let outcome =
            |((customer, start), predicted): (&(u64, super::account::Start), &f64)| Outcome {
                customer: *customer,
                group: 0,
                predicted: ratio.apply(*predicted),
                actual: start.after.max(0.0),
            };
        let outcomes: Vec<Outcome> = starts.iter().zip(&predicted).map(outcome).collect();
        let intervals = Intervals::fit(&outcomes, IntervalTerms::default()).ok();
        Prior { ratio, intervals, days }
    }

    fn value(&self, model: &Probable, hint: &Hint, days: u32) -> f64 {
        let plain = model.value(&began(hint.spend()), weeks(days));
        self.ratio.apply(plain) * factor(hint.engagement())
    }

    /// The answer for a horizon. Bounds of another horizon than the one that was measured grow with what is
    /// expected.
    pub fn forecast(&self, model: &Probable, hint: &Hint, horizon_days: u32) -> Forecast {
        let said = Hint { engagement: None, ..*hint };
        let measured = self.value(model, &said, self.days);
        let plain = self.value(model, &said, horizon_days);
        let scale = if measured > 0.0 { plain / measured } else { 1.0 };
        let value = self.value(model, hint, horizon_days);
        let own = self.intervals.as_ref().and_then(|of| {
            let Interval { lower, upper } = of.interval(0, measured, COVERAGE)?;
            let told = hint.spend().is_some() || hint.engagement().is_some();
            let confidence = match speaks_of(self.days, horizon_days) && !told {
                true => of.confidence(0, measured, Interval { lower, upper }),
                false => 0.0,
            };
            Some((lower * scale, upper * scale, confidence))
        });
        let (lower, upper, confidence) = own.unwrap_or_else(|| {
            (0.0, model.interval(&began(hint.spend()), weeks(horizon_days), 0.99).1, 0.0)
        });
        let factor = factor(hint.engagement());
        let (baseline, values) = shapley(2, |set| {
            let spend = hint.spend.filter(|_| set & 1 != 0);
            let engagement = hint.engagement.filter(|_| set & 2 != 0);
            self.value(model, &Hint { spend, engagement }, horizon_days)
        });
        let names = ["spend", "engagement_score"];
        let parts = names.into_iter().zip(values);
        let purchases = model.purchases(&Case::NEW, weeks(horizon_days)) * factor;
        let p_active = model.p_active(&Case::NEW, weeks(horizon_days));
        Forecast {
            value,
            lower: (lower * factor.min(1.0)).min(value),
            upper: (upper * factor.max(1.0)).max(value),
            confidence,
            purchases,
            p_active: (p_active * factor).clamp(0.0, purchases.min(1.0)),
            status: Status::InsufficientData,
            baseline,
            contributions: parts.map(|(name, value)| Contribution { name, value }).collect(),
        }
    }
}
