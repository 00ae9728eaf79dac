//! `/value/predictor/<n>`: answers what waits together. While a batch is worked on, the next one
//! gathers in the mailbox; a question that is alone waits for nobody.

#![allow(
    clippy::vec_box,
    clippy::borrowed_box,
    reason = "a job comes in its box, and is too large to be moved out of it again and again"
)]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;

use super::answer::History;
use super::loaded::Loaded;
use super::recorder::Made;
use super::shared::Shared;
use super::{metrics, recorder, watch};
use crate::actors::kernel::{Actor, Breaker, Cx, Fault, Reply};
use crate::clock;
use crate::models::breaker::BreakerTerms;
use crate::models::value::forecast::answer::Forecast;
use crate::models::value::forecast::customer::Input;
use crate::models::value::forecast::hint::Hint;
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::log::day::Day;

const TERMS: BreakerTerms = BreakerTerms {
    failures_max: 3,
    latency_max_us: None,
    open_us: 5_000_000,
    open_us_max: 30_000_000,
};

/// A batch that takes longer is worked on beside the threads that serve.
const ASIDE_US: f64 = 250.0;

/// One question for one version.
pub struct Job {
    pub loaded: Arc<Loaded>,
    pub history: Arc<History>,
    /// Counts where the history is empty.
    pub hint: Hint,
    pub as_of: Day,
    pub horizon_days: u32,
    pub explain: bool,
    /// champion, challenger or shadow: the answer is kept to be compared. `None`: it is not.
    pub keep: Option<&'static str>,
    /// The number of a `corrupt` fault: what is answered makes no sense.
    pub spoilt: Option<u64>,
    /// `None`: nobody waits.
    pub reply: Option<Reply<Forecast>>,
}

pub enum Msg {
    Predict(Box<Job>),
    /// What waits has waited long enough.
    Flush(u64),
}

/// As operators see it.
#[derive(Clone, Default, Serialize)]
pub struct View {
    answered: u64,
    batches: u64,
    largest_batch: usize,
    last_batch_us: i64,
}

pub struct PredictorActor {
    shared: Arc<Shared>,
    breaker: Arc<OnceLock<Breaker>>,
    pending: Vec<Box<Job>>,
    /// Monotonic time when the first of them came.
    since_us: i64,
    /// What a question without explanation took lately.
    each_us: f64,
    samples: Samples,
    view: View,
}

/// How many questions' inputs may be watched: all while they are few, so many a second of a flood.
#[derive(Debug)]
struct Samples {
    left: f64,
    at_us: i64,
}

impl Samples {
    const A_SECOND: f64 = 200.0;
    const MAX: f64 = 2_000.0;

    fn new(now_us: i64) -> Samples {
        Samples { left: Samples::MAX, at_us: now_us }
    }

    /// Takes at most `wanted`.
    fn take(&mut self, wanted: usize, now_us: i64) -> usize {
        let passed_us = now_us.saturating_sub(self.at_us).max(0) as f64;
        self.left = (self.left + passed_us * 1e-6 * Samples::A_SECOND).min(Samples::MAX);
        self.at_us = now_us;
        let taken = wanted.min(self.left as usize);
        self.left -= taken as f64;
        taken
    }
}

impl PredictorActor {
    pub fn new(shared: Arc<Shared>, breaker: Arc<OnceLock<Breaker>>) -> PredictorActor {
        PredictorActor {
            shared,
            breaker,
            pending: Vec::new(),
            since_us: 0,
            each_us: ASIDE_US,
            samples: Samples::new(clock::mono_us()),
            view: View::default(),
        }
    }

    /// Whether this would hold up who shares the thread.
    fn is_long(&self, jobs: &[Box<Job>]) -> bool {
        let known = |job: &&Box<Job>| !job.history.purchases.is_empty();
        let (count, explain) = jobs
            .iter()
            .filter(known)
            .fold((0_u32, false), |(count, explain), job| (count + 1, explain | job.explain));
        explain || f64::from(count) * self.each_us >= ASIDE_US
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        let jobs = std::mem::take(&mut self.pending);
        if jobs.is_empty() {
            return Ok(());
        }
        let (began, size) = (clock::mono_us(), jobs.len());
        // of who is not known there is nothing to watch
        let known = jobs.iter().filter(|job| !job.history.purchases.is_empty()).count();
        let watched = self.samples.take(known, began);
        // To hand a short batch to another thread takes longer than to answer it.
        let Answered { done, together, took_us } = match self.is_long(&jobs) {
            true => tokio::task::spawn_blocking(move || answer(jobs, watched)).await?,
            false => answer(jobs, watched),
        };
        if together > 0 {
            self.each_us += (took_us as f64 / together as f64 - self.each_us) / 8.0;
        }
        for one in done {
            self.tell(one);
        }
        self.view.batches += 1;
        self.view.answered += size as u64;
        self.view.largest_batch = self.view.largest_batch.max(size);
        self.view.last_batch_us = clock::mono_us() - began;
        metrics::batch(size);
        Ok(())
    }

    fn tell(&self, Done { job, mut forecast, features }: Done) {
        let Job { loaded, history, as_of, horizon_days, keep, reply, spoilt, .. } = *job;
        if let Some(draw) = spoilt {
            spoil(&mut forecast, draw);
        }
        let keep = keep.filter(|_| forecast.is_sound());
        // of a version are compared the forecasts of the horizon that it was fitted for alone: others
        // are another scale
        let keep = keep.filter(|_| horizon_days == loaded.model.horizon_days());
        if let (Some(arm), Some(person)) = (keep, &history.person) {
            let made = Made {
                loaded: Arc::clone(&loaded),
                person: Arc::clone(person),
                arm,
                as_of,
                horizon_days,
                value: forecast.value,
                lower: forecast.lower,
                upper: forecast.upper,
                p_active: forecast.p_active,
            };
            let told =
                self.shared.recorder.get().map(|to| to.tell(recorder::Msg::Made(Box::new(made))));
            if !matches!(told, Some(Ok(()))) {
                metrics::forecasts("dropped", 1);
            }
        }
        if let (Some(features), Some(watch)) = (features, self.shared.watch.get()) {
            // a sample: of a flood, what does not fit is left out
            let _ = watch.tell(watch::Msg::Observe { loaded, features });
        }
        if let Some(reply) = reply {
            reply.send(forecast);
        }
    }
}

/// Makes a forecast one that cannot be, in one of several ways.
fn spoil(forecast: &mut Forecast, draw: u64) {
    match draw % 5 {
        0 => forecast.value = f64::NAN,
        1 => forecast.value = -forecast.value - 1.0,
        2 => forecast.upper = f64::INFINITY,
        3 => forecast.value = f64::MAX,
        _ => (forecast.p_active, forecast.lower) = (2.0, forecast.upper + 1.0),
    }
}

struct Done {
    job: Box<Job>,
    forecast: Forecast,
    /// Inputs of the model, where there were any.
    features: Option<Vec<f64>>,
}

struct Answered {
    done: Vec<Done>,
    /// Questions of somebody with purchases, without explanation, and the time that they took.
    together: usize,
    took_us: i64,
}

/// Answers all of them: questions for one version and one horizon in one call of its model. Of at most
/// `watched` the inputs are told.
fn answer(jobs: Vec<Box<Job>>, mut watched: usize) -> Answered {
    let mut done: Vec<Done> = Vec::with_capacity(jobs.len());
    let mut features = |model: &ValueModel, input: &Input<'_>| {
        watched = watched.checked_sub(1)?;
        Some(model.feature_values(input))
    };
    let mut together: Vec<Box<Job>> = Vec::new();
    for job in jobs {
        if job.reply.as_ref().is_some_and(Reply::is_closed) {
            continue;
        }
        let model = &job.loaded.model;
        let input = Input { purchases: &job.history.purchases, as_of: job.as_of };
        if input.known().is_empty() {
            let forecast = model.prior(&job.hint, job.horizon_days);
            done.push(Done { job, forecast, features: None });
        } else if job.explain {
            let forecast = model.explain(&input, job.horizon_days);
            let features = features(model, &input);
            done.push(Done { job, forecast, features });
        } else {
            together.push(job);
        }
    }
    let (count, began) = (together.len(), clock::mono_us());
    while let Some(first) = together.first() {
        let (model, horizon) = (Arc::as_ptr(&first.loaded), first.horizon_days);
        let alike =
            |job: &Box<Job>| Arc::as_ptr(&job.loaded) == model && job.horizon_days == horizon;
        let (now, later): (Vec<_>, Vec<_>) = together.into_iter().partition(alike);
        together = later;
        let inputs: Vec<Input<'_>> = now
            .iter()
            .map(|job| Input { purchases: &job.history.purchases, as_of: job.as_of })
            .collect();
        let Some(first) = now.first() else { break };
        let forecasts = first.loaded.model.predict(&inputs, horizon);
        let features: Vec<Option<Vec<f64>>> =
            inputs.iter().map(|input| features(&first.loaded.model, input)).collect();
        for ((job, forecast), features) in now.into_iter().zip(forecasts).zip(features) {
            done.push(Done { job, forecast, features });
        }
    }
    Answered { done, together: count, took_us: clock::mono_us() - began }
}

impl Actor for PredictorActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "predictor";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.breaker.get_or_init(|| cx.breaker(TERMS));
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let terms = &self.shared.terms;
        match msg {
            Msg::Predict(job) => {
                if self.pending.is_empty() {
                    self.since_us = clock::mono_us();
                    if cx.depth() > 0 {
                        // who waits behind may be too late to be handled, and then nobody flushes
                        let batch = self.view.batches;
                        let wait = terms.batch_wait.max(Duration::from_millis(1));
                        cx.send_after(wait, Msg::Flush(batch));
                    }
                }
                self.pending.push(job);
                let waited = clock::mono_us() - self.since_us;
                let long = i64::try_from(terms.batch_wait.as_micros()).unwrap_or(i64::MAX);
                if cx.depth() == 0 || self.pending.len() >= terms.batch_max || waited >= long {
                    self.flush().await?;
                }
            }
            Msg::Flush(batch) if batch == self.view.batches => self.flush().await?,
            Msg::Flush(_) => {}
        }
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        if let Err(fault) = self.flush().await {
            tracing::warn!(%fault, "questions were left behind at the end");
        }
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }

    fn corrupt(msg: &mut Msg, draw: u64) {
        if let Msg::Predict(job) = msg {
            job.spoilt = Some(draw);
        }
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Predict(_) => "Predict",
            Msg::Flush(_) => "Flush",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_questions_are_all_watched_and_of_a_flood_so_many_a_second() {
        let mut samples = Samples::new(0);
        let few: usize = (0..1_000).map(|n| samples.take(1, n * 10_000)).sum();
        assert_eq!(few, 1_000, "100 a second");
        let seconds = 100;
        let flood: usize =
            (0..seconds * 1_000).map(|n| samples.take(64, 10_000_000 + i64::from(n) * 1_000)).sum();
        let most = Samples::MAX + f64::from(seconds) * Samples::A_SECOND;
        assert!((0.99 * most..=1.01 * most).contains(&(flood as f64)), "{flood}, at most {most}");
        assert_eq!(samples.take(5, 0), 0, "a clock that goes back gives nothing");
    }
}
