//! Forecasts of the same customers without a model.

use serde::{Deserialize, Serialize};

use super::judged::{EvaluateError, Holdout};
use crate::value::forecast::customer::{Customer, Purchase};
use crate::value::log::amount::UNIT;
use crate::value::metrics::baseline::{
    Habit, best_hiatus, hiatus, mean_of, repeat_last_period, zero,
};
use crate::value::metrics::pairs::Pairs;
use crate::value::metrics::scores::Scores;

/// A naive forecast of spend, and its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub name: String,
    pub scores: Scores,
}

/// Weeks without a purchase, after which somebody may count as gone.
const HIATUS_WEEKS: [f64; 10] = [2.0, 4.0, 6.0, 8.0, 10.0, 13.0, 18.0, 26.0, 39.0, 52.0];

fn units(purchases: &[Purchase]) -> f64 {
    purchases.iter().map(|p| p.micros.max(0) as f64 / UNIT as f64).sum()
}

/// Of a customer's purchases up to a day, in days.
fn habit(known: &[Purchase], at: i32) -> Habit {
    let first = known.first().map_or(at, |p| p.day.number());
    let last = known.last().map_or(at, |p| p.day.number());
    Habit {
        value: units(known.get(1..).unwrap_or_default()),
        recency: f64::from(last - first),
        age: f64::from(at - first),
    }
}

/// All of them, on spend. None knows anything after the cut; the hiatus is the one that would have been best
/// half a history earlier.
pub fn baselines(known: &[&Customer], holdout: Holdout) -> Result<Vec<Baseline>, EvaluateError> {
    let mut known = known.to_vec();
    known.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let actual: Vec<f64> = known.iter().map(|of| units(holdout.sides(of).1)).collect();
    let past: Vec<&[Purchase]> = known.iter().map(|of| holdout.sides(of).0).collect();
    let (cut, days) = (holdout.cut.number(), f64::from(holdout.days()));
    let first =
        past.iter().filter_map(|of| of.first()).map(|p| p.day.number()).min().unwrap_or(cut);
    let length = days.min(f64::from(cut - first)).max(1.0);
    // Repeats alone: a first purchase is made once.
    let recent: Vec<f64> = past
        .iter()
        .map(|of| {
            let repeats = of.get(1..).unwrap_or_default();
            let from = repeats.partition_point(|p| f64::from(cut - p.day.number()) >= length);
            units(&repeats[from..])
        })
        .collect();
    let again = repeat_last_period(&recent, length, days)?;
    let habits: Vec<Habit> = past.iter().map(|of| habit(of, cut)).collect();
    let earlier = first + (cut - first) / 2;
    let (before, then): (Vec<Habit>, Vec<f64>) = past
        .iter()
        .filter(|of| of.first().is_some_and(|p| p.day.number() <= earlier))
        .map(|of| {
            let (before, after) = of.split_at(of.partition_point(|p| p.day.number() <= earlier));
            (habit(before, earlier), units(after))
        })
        .unzip();
    let candidates = HIATUS_WEEKS.map(|weeks| weeks * 7.0);
    let gone = best_hiatus(&before, &then, f64::from(cut - earlier), &candidates).unwrap_or(91.0);
    let forecasts = [
        ("repeat_last_period", again.clone()),
        ("hiatus", hiatus(&habits, gone, days)?),
        ("mean_of_last_period", mean_of(&again)?),
        ("zero", zero(actual.len())),
    ];
    let scored = |(name, forecast): (&str, Vec<f64>)| {
        let scores = Scores::of(Pairs::new(&actual, &forecast)?);
        Ok(Baseline { name: name.to_owned(), scores })
    };
    forecasts.into_iter().map(scored).collect()
}
