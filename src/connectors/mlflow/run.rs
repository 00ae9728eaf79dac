//! A run as MLflow keeps it.

use serde_json::{Value, json};

/// Tags that runs are found by.
pub const RUN: &str = "kiki.run";
pub const MODEL: &str = "kiki.model";
pub const ACCOUNT: &str = "kiki.account";

/// Characters of a value (the API takes 6,000 of a parameter and 8,000 of a tag), and of a name.
const VALUE_CHARS_MAX: usize = 5_000;
const NAME_CHARS_MAX: usize = 250;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Finished,
    Failed,
    /// Somebody gave it up.
    Killed,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }
}

/// A fit, or an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its own, by which it is found again: 32 hex digits.
    pub id: String,
    pub name: String,
    /// Wall micros UTC.
    pub begun_us: i64,
    pub ended_us: i64,
    pub state: State,
    pub tags: Vec<(String, String)>,
    params: Vec<(String, String)>,
    metrics: Vec<(String, f64)>,
}

impl Run {
    /// One that has begun. It counts as failed until somebody says otherwise.
    pub fn begun(name: &str, now_us: i64) -> Run {
        Run {
            id: uuid::Uuid::now_v7().simple().to_string(),
            name: name.to_owned(),
            begun_us: now_us,
            ended_us: now_us,
            state: State::Failed,
            tags: Vec::new(),
            params: Vec::new(),
            metrics: Vec::new(),
        }
    }

    pub fn tag(&mut self, name: &str, value: impl Into<String>) {
        self.tags.push((name.to_owned(), value.into()));
    }

    pub fn param(&mut self, name: &str, value: impl ToString) {
        self.params.push((name.to_owned(), value.to_string()));
    }

    /// A figure; one that is no finite number is left out.
    pub fn metric(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.metrics.push((name.to_owned(), value));
        }
    }

    pub(super) fn creation(&self, experiment: &str) -> Value {
        let mut tags = vec![json!({ "key": RUN, "value": self.id })];
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let own = [("kiki.version".to_owned(), version)];
        let each = own.iter().chain(&self.tags);
        tags.extend(each.map(|(key, value)| pair(key, value)));
        json!({
            "experiment_id": experiment,
            "run_name": clipped(&self.name),
            "start_time": self.begun_us.div_euclid(1_000),
            "tags": tags,
        })
    }

    pub(super) fn params(&self) -> Vec<Value> {
        self.params.iter().map(|(key, value)| pair(key, value)).collect()
    }

    pub(super) fn metrics(&self) -> Vec<Value> {
        let at = self.ended_us.div_euclid(1_000);
        let metric = |(key, value): &(String, f64)| json!({ "key": name(key), "value": value, "timestamp": at, "step": 0 });
        self.metrics.iter().map(metric).collect()
    }
}

fn pair(key: &str, value: &str) -> Value {
    json!({ "key": name(key), "value": clipped(value) })
}

pub(super) fn clipped(value: &str) -> String {
    value.chars().take(VALUE_CHARS_MAX).collect()
}

/// Letters, digits and a few signs are what names may have.
fn name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_. /".contains(c) { c } else { '_' };
    text.chars().take(NAME_CHARS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_left_out_and_what_is_too_long_is_cut() {
        let mut run = Run::begun("fit", 1_700_000_000_123_456);
        run.metric("nan", f64::NAN);
        run.metric("infinite", f64::NEG_INFINITY);
        run.metric("good", 0.25);
        run.param("a:b", "x".repeat(7_000));
        let metrics = run.metrics();
        assert_eq!(metrics.len(), 1);
        assert_eq!((&metrics[0]["key"], &metrics[0]["value"]), (&json!("good"), &json!(0.25)));
        assert_eq!(metrics[0]["timestamp"], json!(1_700_000_000_123_i64));
        let params = run.params();
        assert_eq!(params[0]["key"], "a_b");
        assert_eq!(params[0]["value"].as_str().map(str::len), Some(VALUE_CHARS_MAX));
    }

    #[test]
    fn a_run_that_nobody_ended_counts_as_failed() {
        assert_eq!(Run::begun("fit", 0).state.word(), "FAILED");
    }
}
