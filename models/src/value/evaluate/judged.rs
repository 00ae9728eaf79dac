//! What came, against what was forecast.

use serde::{Deserialize, Serialize};

use super::baselines::Baseline;
use crate::value::forecast::answer::Forecast;
use crate::value::forecast::customer::{Customer, Input, Purchase};
use crate::value::forecast::terms::{FitError, FitReport};
use crate::value::log::amount::UNIT;
use crate::value::log::day::Day;
use crate::value::metrics::calibration::{FrequencyClass, by_frequency};
use crate::value::metrics::coverage::{Coverage, coverage};
use crate::value::metrics::decile::{Decile, table};
use crate::value::metrics::order::activity_auc;
use crate::value::metrics::pairs::Pairs;
use crate::value::metrics::scores::Scores;
use crate::value::metrics::tracking::{Tracked, track};
use crate::value::values::BadValues;

/// The last class of the calibration by frequency: so many repeats or more.
pub const FREQUENCY_LAST: u64 = 7;
/// Days of a period of the tracking.
pub const PERIOD_DAYS: u32 = 7;

/// Where the log is cut: a model knows what is up to and on `cut`, and is judged by what comes after it, up
/// to and on `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdout {
    pub cut: Day,
    pub end: Day,
}

/// Why nothing was judged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    #[error("the holdout ends on {end}, not within ten years after the cut on {cut}")]
    Holdout { cut: Day, end: Day },
    #[error("{0} folds are not between 2 and 20")]
    Folds(u32),
    #[error("fold {0} has no customers: use fewer folds")]
    EmptyFold(u32),
    #[error("no customer is known at the cut on {0}")]
    Empty(Day),
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Values(#[from] BadValues),
}

impl Holdout {
    /// # Errors
    /// The end is not after the cut, or more than ten years after it.
    pub fn new(cut: Day, end: Day) -> Result<Holdout, EvaluateError> {
        match (1..=3_653).contains(&(end.number() - cut.number())) {
            true => Ok(Holdout { cut, end }),
            false => Err(EvaluateError::Holdout { cut, end }),
        }
    }

    /// Its length.
    pub fn days(self) -> u32 {
        u32::try_from(self.end.number() - self.cut.number()).unwrap_or(1)
    }

    /// The purchases of a customer on both sides of the cut, up to the end.
    pub fn sides(self, of: &Customer) -> (&[Purchase], &[Purchase]) {
        let known = of.purchases.partition_point(|p| p.day <= self.cut);
        let end = of.purchases.partition_point(|p| p.day <= self.end);
        (&of.purchases[..known], &of.purchases[known..end])
    }
}

/// One customer: what was said at the cut, and what came.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: Box<str>,
    pub repeats: u64,
    pub forecast: Forecast,
    /// Units of the currency.
    pub spend: f64,
    /// Days with purchases.
    pub purchases: f64,
    /// Expected and actual spend in each period of the holdout.
    pub expected_by_period: Vec<f64>,
    pub spend_by_period: Vec<f64>,
}

/// The ends of the periods, in days after the cut; the last one may be shorter.
pub fn periods(days: u32) -> Vec<u32> {
    let whole = (1..=days / PERIOD_DAYS).map(|k| k * PERIOD_DAYS);
    whole.chain((!days.is_multiple_of(PERIOD_DAYS)).then_some(days)).collect()
}

/// What came in each period.
pub fn by_period(holdout: Holdout, came: &[Purchase]) -> Vec<f64> {
    let mut sums = vec![0.0; periods(holdout.days()).len()];
    for purchase in came {
        let passed =
            u32::try_from(purchase.day.number() - holdout.cut.number()).unwrap_or(1).max(1);
        if let Some(sum) = sums.get_mut(((passed - 1) / PERIOD_DAYS) as usize) {
            *sum += purchase.micros.max(0) as f64 / UNIT as f64;
        }
    }
    sums
}

/// A row of a model's answer.
pub fn row(of: &Customer, holdout: Holdout, forecast: Forecast, path: &[f64]) -> Row {
    let (known, came) = holdout.sides(of);
    let mut before = 0.0;
    let step = |until: &f64| until - std::mem::replace(&mut before, *until);
    Row {
        id: of.id.clone(),
        repeats: known.len().saturating_sub(1) as u64,
        forecast,
        spend: came.iter().map(|p| p.micros.max(0) as f64 / UNIT as f64).sum(),
        purchases: came.len() as f64,
        expected_by_period: path.iter().map(step).collect(),
        spend_by_period: by_period(holdout, came),
    }
}

/// All figures of a kind of model on one holdout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    pub holdout: Holdout,
    pub customers: u64,
    /// Folds by customer; 0 for the temporal check.
    pub folds: u32,
    /// Of spend, in units of the currency, and of days with purchases.
    pub spend: Scores,
    pub purchases: Scores,
    /// Area under the curve of "bought at all" by the probability of it.
    pub activity_auc: Option<f64>,
    /// Of the intervals; the mean confidence is what they were said to hold.
    pub coverage: Coverage,
    pub mean_confidence: f64,
    /// The same forecasts without a model.
    pub baselines: Vec<Baseline>,
    /// Of purchases, and of spend.
    pub by_frequency: Vec<FrequencyClass>,
    pub spend_by_frequency: Vec<FrequencyClass>,
    pub deciles: Vec<Decile>,
    /// Of spend, by period of [`PERIOD_DAYS`].
    pub tracking: Vec<Tracked>,
    /// Of each fit.
    pub fits: Vec<FitReport>,
}

impl Evaluation {
    /// Of rows in any order; baselines in the order of the rows' ids.
    pub fn of(
        mut rows: Vec<Row>,
        holdout: Holdout,
        folds: u32,
        baselines: Vec<Baseline>,
        fits: Vec<FitReport>,
    ) -> Result<Evaluation, EvaluateError> {
        rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let column = |of: fn(&Row) -> f64| rows.iter().map(of).collect::<Vec<f64>>();
        let (spend, value) = (column(|row| row.spend), column(|row| row.forecast.value));
        let (count, expected) = (column(|row| row.purchases), column(|row| row.forecast.purchases));
        let (lower, upper) = (column(|row| row.forecast.lower), column(|row| row.forecast.upper));
        let repeats: Vec<u64> = rows.iter().map(|row| row.repeats).collect();
        let (spent, bought) = (Pairs::new(&spend, &value)?, Pairs::new(&count, &expected)?);
        let p_active = column(|row| row.forecast.p_active);
        let confidence = column(|row| row.forecast.confidence);
        let period = |of: fn(&Row) -> &[f64]| {
            let mut sums = vec![0.0; periods(holdout.days()).len()];
            for row in &rows {
                sums.iter_mut().zip(of(row)).for_each(|(sum, value)| *sum += value);
            }
            sums
        };
        Ok(Evaluation {
            holdout,
            customers: rows.len() as u64,
            folds,
            spend: Scores::of(spent),
            purchases: Scores::of(bought),
            activity_auc: activity_auc(Pairs::new(&count, &p_active)?),
            coverage: coverage(&spend, &lower, &upper)?,
            mean_confidence: confidence.iter().sum::<f64>() / rows.len().max(1) as f64,
            baselines,
            by_frequency: by_frequency(&repeats, bought, FREQUENCY_LAST)?,
            spend_by_frequency: by_frequency(&repeats, spent, FREQUENCY_LAST)?,
            deciles: table(spent),
            tracking: track(
                &period(|row| &row.spend_by_period),
                &period(|row| &row.expected_by_period),
            )?,
            fits,
        })
    }
}

/// What a model says of customers at the cut. It is given nothing but what is up to it.
pub(super) fn judged(
    model: &crate::value::forecast::model::ValueModel,
    customers: &[&Customer],
    holdout: Holdout,
) -> Vec<Row> {
    let inputs: Vec<Input<'_>> = customers
        .iter()
        .map(|of| Input { purchases: holdout.sides(of).0, as_of: holdout.cut })
        .collect();
    let periods = periods(holdout.days());
    let forecasts = model.predict(&inputs, holdout.days()).into_iter();
    let rows = customers.iter().zip(&inputs).zip(forecasts);
    rows.map(|((of, input), forecast)| {
        let path = model.path(input, &forecast, &periods);
        row(of, holdout, forecast, &path)
    })
    .collect()
}
