//! SyncValue's metrics: names, meanings, and when they count.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use super::answer::Answer;
use crate::models::value::forecast::answer::Status;
use crate::models::value::split::Arm;

pub const PREDICTIONS: &str = "value_predictions_total";
pub const PREDICTION_TIME: &str = "value_prediction_duration_seconds";
pub const CACHE: &str = "value_cache_lookups_total";
pub const BATCH: &str = "value_batch_size";
pub const FALLBACKS: &str = "value_fallbacks_total";
pub const PURCHASES: &str = "value_purchases_total";
pub const FORECASTS: &str = "value_forecasts_total";
pub const DRIFT: &str = "value_drift_signals_total";
pub const DRIFT_PSI: &str = "value_drift_psi";
pub const FITS: &str = "value_fits_total";
pub const PROMOTIONS: &str = "value_promotions_total";
pub const MLFLOW_RUNS: &str = "syncvalue_mlflow_runs_total";

/// What a status is called in labels and answers.
pub fn status_name(status: Status) -> &'static str {
    match status {
        Status::Success => "success",
        Status::InsufficientData => "insufficient_data",
        Status::Fallback => "fallback",
    }
}

pub fn arm_name(arm: Arm) -> &'static str {
    match arm {
        Arm::Champion => "champion",
        Arm::Challenger => "challenger",
    }
}

/// Describes every metric and makes it present from the start.
pub fn describe() {
    describe_counter!(PREDICTIONS, "Questions that were answered, by status and arm");
    describe_histogram!(PREDICTION_TIME, "Time from a question to its answer");
    describe_counter!(CACHE, "Looks into the cache of answers, by what they found");
    describe_histogram!(BATCH, "Questions that a predictor answered together");
    describe_counter!(FALLBACKS, "Answers of the rule of thumb, by reason");
    describe_counter!(PURCHASES, "Purchases that were taken");
    describe_counter!(FORECASTS, "Forecasts kept to be compared, by what became of them");
    describe_counter!(DRIFT, "Signals of drift, by detector and input");
    describe_gauge!(DRIFT_PSI, "Population stability index of an input of the champion");
    describe_counter!(FITS, "Fits that ended, by outcome");
    describe_counter!(PROMOTIONS, "Changes of the champion, by kind");
    for status in [Status::Success, Status::InsufficientData, Status::Fallback] {
        for arm in [Arm::Champion, Arm::Challenger] {
            let (status, arm) = (status_name(status), arm_name(arm));
            counter!(PREDICTIONS, "status" => status, "arm" => arm).absolute(0);
        }
    }
    for found in ["hit", "shared", "miss"] {
        counter!(CACHE, "found" => found).absolute(0);
    }
    for reason in ["no_model", "breaker", "late", "failed", "overloaded"] {
        counter!(FALLBACKS, "reason" => reason).absolute(0);
    }
    for became in ["kept", "closed", "dropped"] {
        counter!(FORECASTS, "became" => became).absolute(0);
    }
    for outcome in ["done", "failed", "cancelled"] {
        counter!(FITS, "outcome" => outcome).absolute(0);
    }
    describe_counter!(MLFLOW_RUNS, "Fits and promotions that MLflow was to be told of, by outcome");
    for outcome in ["logged", "failed", "dropped"] {
        counter!(MLFLOW_RUNS, "outcome" => outcome).absolute(0);
    }
    for kind in ["promoted", "forced", "rolled_back"] {
        counter!(PROMOTIONS, "kind" => kind).absolute(0);
    }
    counter!(PURCHASES).absolute(0);
}

struct Answered {
    /// By status, then by arm.
    count: [[Counter; 2]; 3],
    time: Histogram,
}

/// This is the path of every bid: looked up once.
static ANSWERED: LazyLock<Answered> = LazyLock::new(|| Answered {
    count: [Status::Success, Status::InsufficientData, Status::Fallback].map(|status| {
        [Arm::Champion, Arm::Challenger].map(
            |arm| counter!(PREDICTIONS, "status" => status_name(status), "arm" => arm_name(arm)),
        )
    }),
    time: histogram!(PREDICTION_TIME),
});

pub fn answered(answer: &Answer) {
    let status = match answer.forecast.status {
        Status::Success => 0,
        Status::InsufficientData => 1,
        Status::Fallback => 2,
    };
    let arm = usize::from(answer.arm == Arm::Challenger);
    ANSWERED.count[status][arm].increment(1);
    let took = u64::try_from(answer.took_us).unwrap_or(0);
    ANSWERED.time.record(Duration::from_micros(took).as_secs_f64());
}

static LOOKED: LazyLock<[Counter; 3]> =
    LazyLock::new(|| ["hit", "shared", "miss"].map(|found| counter!(CACHE, "found" => found)));

/// What a look into the caches found.
#[derive(Clone, Copy)]
pub enum Look {
    Hit,
    Shared,
    Miss,
}

pub fn looked(look: Look) {
    LOOKED[look as usize].increment(1);
}

pub fn batch(size: usize) {
    static SIZE: LazyLock<Histogram> = LazyLock::new(|| histogram!(BATCH));
    SIZE.record(size as f64);
}

pub fn fell_back(reason: &'static str) {
    counter!(FALLBACKS, "reason" => reason).increment(1);
}

pub fn purchases(new: u64) {
    counter!(PURCHASES).increment(new);
}

pub fn forecasts(became: &'static str, many: u64) {
    counter!(FORECASTS, "became" => became).increment(many);
}

pub fn drift(detector: &'static str, feature: &str) {
    counter!(DRIFT, "detector" => detector, "feature" => feature.to_owned()).increment(1);
}

pub fn psi(account: &str, feature: &str, psi: f64) {
    let (account, feature) = (account.to_owned(), feature.to_owned());
    gauge!(DRIFT_PSI, "account" => account, "feature" => feature).set(psi);
}

pub fn fit(outcome: &'static str) {
    counter!(FITS, "outcome" => outcome).increment(1);
}

pub fn promotion(kind: &'static str) {
    counter!(PROMOTIONS, "kind" => kind).increment(1);
}

pub fn mlflow(outcome: &'static str) {
    counter!(MLFLOW_RUNS, "outcome" => outcome).increment(1);
}
