//! The learned part joined with the probabilistic one: order, levels and spread from an inner holdout that
//! lies wholly before the cut.

use serde::{Deserialize, Serialize};

use super::account::Inner;
use super::answer::Contribution;
use super::customer::{Input, Purchase};
use super::level::{COVERAGE, group, speaks_of};
use super::net::{Nets, Said};
use super::probable::{Case, Probable, weeks};
use super::shapley::carried;
use crate::value::blend::curve::Curve;
use crate::value::blend::ranks::RankBlend;
use crate::value::conformal::intervals::{IntervalTerms, Intervals, Outcome};
use crate::value::recalibrate::{Ratio, RatioTerms, Totals};
use crate::value::values::BadValues;

/// Classes of the probability of a purchase.
const ACTIVE_BINS: usize = 20;
/// Another horizon than the learned one is worth at most so many times more per day.
const STRETCH_MAX: f64 = 10.0;

/// How two forecasts become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Join {
    /// Order from both, levels from what came.
    Ranks(RankBlend),
    /// The networks alone.
    Alone,
}

/// What is kept of the rolling holdouts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitting {
    join: Join,
    /// Brings totals to what they were a horizon later.
    ratio: Ratio,
    /// The same for expected purchases.
    purchases: Ratio,
    intervals: Intervals,
    active: Curve,
    /// The horizon that was learned.
    days: u32,
}

/// What the probabilistic model said of a customer.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub value: f64,
    pub purchases: f64,
    pub p_active: f64,
}

/// A customer at one of the rolling holdouts.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// See [`crate::value::split::place`].
    pub place: u64,
    /// Which holdout, from 0 for the newest.
    pub holdout: usize,
    pub repeats: u32,
    /// What came: units of the currency, and days with purchases.
    pub spend: f64,
    pub purchases: f64,
    /// By a model of what was known at the holdout's cut.
    pub counted: Counted,
    /// By networks that have not seen this customer.
    pub said: Said,
}

/// The networks, and how they are used.
#[derive(Debug)]
pub struct Blended {
    pub nets: Nets,
    pub fitting: Fitting,
}

/// What is said of a customer by both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    pub value: f64,
    pub lower: f64,
    pub upper: f64,
    pub confidence: f64,
    pub purchases: f64,
    pub p_active: f64,
}

impl Fitting {
    /// From the rows of rolling holdouts of so many `days`: levels and totals from all, intervals and chances
    /// of a purchase from the newest. `alone` takes the networks as they are, but for their total.
    pub fn fit(rows: &[Row], days: u32, alone: bool) -> Result<Fitting, BadValues> {
        let column = |of: &dyn Fn(&Row) -> f64| -> Vec<f64> { rows.iter().map(of).collect() };
        let join = match alone {
            true => Join::Alone,
            false => Join::Ranks(RankBlend::fit(
                &column(&|row| row.spend),
                &column(&|row| row.counted.value),
                &column(&|row| row.said.value),
            )?),
        };
        let joined = |row: &Row| join.of(row.counted.value, row.said.value);
        let own = ratio(rows, |row| row.spend, joined);
        let outcome = |row: &Row| Outcome {
            customer: row.place,
            group: group(row.repeats) as u32,
            predicted: own.apply(joined(row)),
            actual: row.spend,
        };
        // Widths of what comes next are those of what came last: where customers leave, older ones are wider.
        let newest: Vec<&Row> = rows.iter().filter(|row| row.holdout == 0).collect();
        let outcomes: Vec<Outcome> = newest.iter().copied().map(outcome).collect();
        let few = |_| BadValues::Empty;
        let intervals = Intervals::fit(&outcomes, IntervalTerms::default()).map_err(few)?;
        let weight = join.weight();
        let score = |row: &Row| weight * row.counted.p_active + (1.0 - weight) * row.said.p_active;
        let scores: Vec<f64> = newest.iter().copied().map(score).collect();
        let was: Vec<f64> =
            newest.iter().map(|row| f64::from(u8::from(row.purchases > 0.0))).collect();
        let active = Curve::calibrated(&scores, &was, ACTIVE_BINS)?;
        let purchases = ratio(rows, |row| row.purchases, |row| row.counted.purchases);
        Ok(Fitting { join, ratio: own, purchases, intervals, active, days })
    }

    pub fn ratio(&self) -> f64 {
        f64::from(self.ratio)
    }

    /// The weight of the probabilistic part in the order of customers, 0 to 1.
    pub fn weight(&self) -> f64 {
        self.join.weight()
    }

    /// Customers whose outcome the intervals know, of all groups.
    pub fn days(&self) -> u32 {
        self.days
    }

    /// Expected spend within the learned horizon.
    fn joined(&self, probable: f64, learned: f64) -> f64 {
        self.ratio.apply(self.join.of(probable, learned))
    }

    /// How much more comes within another horizon: as much as the counting model says.
    fn stretch(&self, model: &Probable, case: &Case, horizon_days: u32) -> f64 {
        if horizon_days == self.days {
            return 1.0;
        }
        let plain = f64::from(horizon_days) / f64::from(self.days.max(1));
        let (own, asked) =
            (model.purchases(case, weeks(self.days)), model.purchases(case, weeks(horizon_days)));
        let stretch = if own > 1e-12 { asked / own } else { plain };
        stretch.clamp(0.0, plain * STRETCH_MAX)
    }

    pub fn answer(&self, model: &Probable, case: &Case, said: Said, horizon_days: u32) -> Answer {
        let ahead = weeks(self.days);
        let stretch = self.stretch(model, case, horizon_days);
        let value = self.joined(model.value(case, ahead), said.value);
        let group = group(case.history.repeats()) as u32;
        let bounds = self.intervals.interval(group, value, COVERAGE);
        let (lower, upper, confidence) = match bounds {
            Some(bounds) => {
                let known = speaks_of(self.days, horizon_days);
                let held = self.intervals.confidence(group, value, bounds);
                (bounds.lower, bounds.upper, if known { held } else { 0.0 })
            }
            None => {
                let (lower, upper) = model.interval(case, ahead, COVERAGE);
                (lower, upper, 0.0)
            }
        };
        let weight = self.join.weight();
        let score = weight * model.p_active(case, ahead) + (1.0 - weight) * said.p_active;
        let once = self.active.at(score).clamp(0.0, 1.0);
        // Chances of nothing multiply over time.
        let p_active = if stretch == 1.0 { once } else { 1.0 - (1.0 - once).powf(stretch) };
        let purchases = self.purchases.apply(model.purchases(case, weeks(horizon_days)));
        Answer {
            value: value * stretch,
            lower: lower * stretch,
            upper: upper * stretch,
            confidence,
            purchases: purchases.max(p_active),
            p_active,
        }
    }
}

impl Join {
    fn of(&self, probable: f64, learned: f64) -> f64 {
        match self {
            Join::Ranks(ranks) => ranks.join(probable, learned),
            Join::Alone => learned,
        }
    }

    fn weight(&self) -> f64 {
        match self {
            Join::Ranks(ranks) => ranks.weight(),
            Join::Alone => 0.0,
        }
    }
}

/// Of the totals of each holdout, older ones counting less; one where they say nothing.
fn ratio(rows: &[Row], actual: impl Fn(&Row) -> f64, predicted: impl Fn(&Row) -> f64) -> Ratio {
    let holdouts = rows.iter().map(|row| row.holdout + 1).max().unwrap_or_default();
    let mut totals = vec![Totals { actual: 0.0, predicted: 0.0 }; holdouts];
    for row in rows {
        // The newest is the last.
        let totals = &mut totals[holdouts - 1 - row.holdout];
        totals.actual += actual(row);
        totals.predicted += predicted(row);
    }
    Ratio::of(&totals, RatioTerms::default()).unwrap_or(Ratio::ONE)
}

/// The probabilistic inputs under the names that the networks' groups have.
fn grouped(name: &'static str) -> &'static str {
    match name {
        "frequency" => "purchases",
        "mean_spend" => "basket_size",
        other => other,
    }
}

impl Blended {
    /// The typical customer's value, and what each input adds to it.
    ///
    /// Each part has Shapley's values of its own inputs, exact over every coalition. Those of two players,
    /// the parts, say what each part adds to the joined value, also exactly; within a part that is shared
    /// among its inputs in proportion to their values (the rescale rule, [`carried`]).
    pub fn explain(
        &self,
        model: &Probable,
        case: &Case,
        input: &Input<'_>,
        horizon_days: u32,
    ) -> (f64, Vec<Contribution>) {
        let stretch = self.fitting.stretch(model, case, horizon_days);
        let (no_count, counted) = model.explain(case, weeks(self.fitting.days));
        let (no_net, learned) = self.nets.explain(input);
        let sum = |of: &[Contribution]| of.iter().map(|c| c.value).sum::<f64>();
        let (count, net) = (no_count + sum(&counted), no_net + sum(&learned));
        let of = |count: f64, net: f64| self.fitting.joined(count, net) * stretch;
        let baseline = of(no_count, no_net);
        let all = of(count, net);
        let by_count = ((of(count, no_net) - baseline) + (all - of(no_count, net))) / 2.0;
        let parts = [(&counted, by_count), (&learned, all - baseline - by_count)];
        let mut contributions: Vec<Contribution> = Vec::new();
        for (part, whole) in parts {
            let own: Vec<f64> = part.iter().map(|c| c.value).collect();
            for (of, value) in part.iter().zip(carried(&own, whole)) {
                let name = grouped(of.name);
                match contributions.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.value += value,
                    None => contributions.push(Contribution { name, value }),
                }
            }
        }
        (baseline, contributions)
    }
}

/// What came after a day, for so many days: units of the currency, and days with purchases.
pub fn came(purchases: &[Purchase], after: Inner) -> (f64, f64) {
    let from = purchases.partition_point(|p| p.day <= after.cut);
    let end = after.cut.number().saturating_add(after.days as i32);
    let within = purchases[from..].iter().take_while(|p| p.day.number() <= end);
    within.fold((0.0, 0.0), |(spend, days), p| {
        let micros = p.micros.max(0) as f64;
        (spend + micros / crate::value::log::amount::UNIT as f64, days + 1.0)
    })
}
