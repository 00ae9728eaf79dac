//! The work of a fit, on a thread that nobody else waits for: fitted up to a cut, scored on what came
//! after it, and fitted once more on everything.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::data::fingerprint;
use super::{FitFailure, FitOrder, Fitted, Progress};
use crate::actors::value::loaded::Loaded;
use crate::actors::value::registry::sha256;
use crate::models::value::forecast::answer::Forecast;
use crate::models::value::forecast::customer::{Customer, Input};
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::forecast::terms::{FitReport, FitTerms, Step};
use crate::models::value::log::day::Day;
use crate::models::value::metrics::coverage::coverage;
use crate::models::value::metrics::pairs::Pairs;
use crate::models::value::metrics::scores::Scores;
use crate::models::value::registry::version::{Fingerprint, Kind, Rival, Version, VersionId};

/// Days of purchases that a fit needs at least.
const SPAN_MIN: i32 = 28;

/// The fit was given up: unwinds through the model, which knows nothing of that.
pub struct Cancelled;

/// A holdout: the days after `cut` up to and with `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub cut: Day,
    pub end: Day,
}

/// The champion at the time of a fit.
pub struct Reign {
    pub id: VersionId,
    pub kind: Kind,
    pub seed: u64,
    /// What its own scores are from.
    pub holdout: Fingerprint,
    pub loaded: Option<Arc<Loaded>>,
}

/// The last days of the data, as long as the horizon but no longer than a third of it.
pub fn window(customers: &[Customer], order: &FitOrder) -> Result<(Window, Day), FitFailure> {
    let days = || customers.iter().flat_map(|c| c.purchases.iter().map(|p| p.day));
    let (Some(first), Some(last)) = (days().min(), days().max()) else {
        return Err(FitFailure::Data("there are no purchases".to_owned()));
    };
    let end = order.holdout_end.unwrap_or(last).min(last);
    let span = end.number() - first.number() + 1;
    if span < SPAN_MIN {
        let why = format!("purchases of {span} days are too few: at least {SPAN_MIN} are needed");
        return Err(FitFailure::Data(why));
    }
    let holdout = i32::try_from(order.horizon_days).unwrap_or(i32::MAX).min(span / 3).max(1);
    let cut = Day::new(end.number() - holdout);
    let cut = cut.ok_or_else(|| FitFailure::Data("the holdout begins before 1900".to_owned()))?;
    Ok((Window { cut, end }, last))
}

fn fit(
    customers: &[Customer],
    terms: &FitTerms,
    progress: &Progress,
    (from, to): (f64, f64),
) -> Result<(ValueModel, FitReport), FitFailure> {
    let mut watch = |step: Step| {
        if progress.is_cancelled() {
            std::panic::resume_unwind(Box::new(Cancelled));
        }
        progress.step(step.what, from + (to - from) * step.done.clamp(0.0, 1.0));
    };
    ValueModel::fit(customers, terms, &mut watch)
        .map_err(|error| FitFailure::Data(error.to_string()))
}

/// Forecasts at the cut against what came after it, of everybody who had bought by then.
fn score(
    model: &ValueModel,
    customers: &[Customer],
    window: Window,
) -> Result<(Scores, serde_json::Value), FitFailure> {
    let failed = |error: &dyn std::fmt::Display| FitFailure::Data(format!("no scores: {error}"));
    let known = |c: &&Customer| c.purchases.first().is_some_and(|p| p.day <= window.cut);
    let known: Vec<&Customer> = customers.iter().filter(known).collect();
    let days = window.end.number() - window.cut.number();
    let days = u32::try_from(days).map_err(|error| failed(&error))?;
    let inputs: Vec<Input<'_>> =
        known.iter().map(|c| Input { purchases: &c.purchases, as_of: window.cut }).collect();
    let forecasts = model.predict(&inputs, days);
    let actual: Vec<f64> = known
        .iter()
        .map(|c| {
            let after = c.purchases.iter().filter(|p| p.day > window.cut && p.day <= window.end);
            after.map(|p| p.micros as f64 / 1e6).sum()
        })
        .collect();
    let of = |number: fn(&Forecast) -> f64| forecasts.iter().map(number).collect::<Vec<f64>>();
    let predicted = of(|f| f.value);
    let pairs = Pairs::new(&actual, &predicted).map_err(|error| failed(&error))?;
    let covered = coverage(&actual, &of(|f| f.lower), &of(|f| f.upper));
    let covered = covered.map_err(|error| failed(&error))?;
    let covered = serde_json::to_value(covered).map_err(|error| failed(&error))?;
    Ok((Scores::of(pairs), covered))
}

/// How the champion does on a holdout that is not its own: by itself where it knows nothing of it, else by
/// its kind, fitted anew up to the cut. None where that cannot be said.
fn rival(
    reign: &Reign,
    trial: (Kind, u64, Scores),
    (customers, horizon_days, window): (&[Customer], u32, Window),
    (progress, part): (&Progress, (f64, f64)),
) -> Result<Option<Rival>, FitFailure> {
    let of = |scores| Some(Rival { id: reign.id.clone(), scores });
    let (kind, seed, scores) = trial;
    match &reign.loaded {
        Some(loaded) if loaded.model.cut() <= window.cut => {
            return Ok(of(score(&loaded.model, customers, window)?.0));
        }
        _ if (reign.kind, reign.seed) == (kind, seed) => return Ok(of(scores)),
        _ => {}
    }
    let terms = FitTerms::new(reign.kind, window.cut, horizon_days);
    let terms = FitTerms { seed: reign.seed, ..terms };
    match fit(customers, &terms, progress, part) {
        Ok((model, _)) => Ok(of(score(&model, customers, window)?.0)),
        // The challenger can be promoted with a reason all the same.
        Err(FitFailure::Data(why)) => {
            tracing::warn!(champion = %reign.id, why, "the champion's kind cannot be scored on the holdout");
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// All of it.
pub fn work(
    customers: &[Customer],
    order: &FitOrder,
    reign: Option<&Reign>,
    (now_us, progress): (i64, &Progress),
) -> Result<Fitted, FitFailure> {
    let (window, last) = window(customers, order)?;
    let failed = |error: &dyn std::fmt::Display| FitFailure::Failed(error.to_string());
    let began = Instant::now();
    let terms = |cut| {
        let terms = FitTerms::new(order.kind, cut, order.horizon_days);
        FitTerms { seed: order.seed, ..terms }
    };
    let print = |text: String| Fingerprint::try_from(text).map_err(|error| failed(&error));
    let held = fingerprint(customers, Some(window.cut), window.end);
    // another cut with the same purchases after it is another holdout
    let holdout = print(sha256(format!("{} {} {held}", window.cut, window.end).as_bytes()))?;
    let (trial, _) = fit(customers, &terms(window.cut), progress, (0.0, 0.3))?;
    progress.step("score", 0.3);
    let (scores, coverage) = score(&trial, customers, window)?;
    let rival = match reign.filter(|reign| reign.holdout != holdout) {
        None => None,
        Some(reign) => rival(
            reign,
            (order.kind, order.seed, scores),
            (customers, order.horizon_days, window),
            (progress, (0.3, 0.6)),
        )?,
    };
    let (model, report) = fit(customers, &terms(last), progress, (0.6, 1.0))?;
    let bytes = model.to_bytes().map_err(|error| failed(&error))?;
    let parameters = sha256(&bytes);
    let day = crate::actors::shield::view::rfc3339(now_us);
    let day: String = day.chars().take(10).filter(char::is_ascii_digit).collect();
    // The same parameters, scored on another holdout, are another version.
    let own = sha256(format!("{parameters} {}", String::from(holdout.clone())).as_bytes());
    let id = format!("{}-{day}-{}", order.kind.as_str(), &own[..10]);
    let version = Version {
        id: VersionId::try_from(id).map_err(|error| failed(&error))?,
        kind: order.kind,
        created_us: now_us,
        data: print(fingerprint(customers, None, last))?,
        holdout,
        parameters: print(parameters)?,
        scores,
        rival,
    };
    let report = json!({
        "cut": window.cut, "end": window.end, "fitted_to": last, "horizon_days": order.horizon_days,
        "seed": order.seed, "customers": customers.len(), "coverage": coverage,
        "seconds": began.elapsed().as_secs_f64(), "fit": report,
    });
    Ok(Fitted { version, horizon_days: order.horizon_days, model, bytes, report })
}
