//! The order of a run: hypothesis, method, hypothesis, rollbacks; with the load under all of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::field::Field;
use super::stop::Stop;
use super::{ask, method, words};
use crate::experiment::plan::Plan;
use crate::report;

/// How the stage was left.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Faults that were not done, in words.
    pub not_done: Vec<String>,
    /// Somebody ended it before its time.
    pub interrupted: bool,
}

/// Plays the whole order. `aborted` says why it has to end at once.
pub async fn play(
    field: Arc<Field>,
    plan: Plan,
    stop: Stop,
    aborted: watch::Receiver<Option<String>>,
) -> Played {
    let (cut, is_cut) = watch::channel(false);
    let mut played = Played::default();
    let load = &field.experiment.load;
    let inner = async {
        field.phase("warm-up", Some(Duration::from(load.warm_up)));
        tokio::time::sleep(Duration::from(load.warm_up)).await;
        field.phase("first hypothesis", None);
        if !hypothesis(&field, false).await {
            let why =
                "the steady state did not hold before anything was done: nothing was injected";
            field.failed(why.to_owned());
            return Vec::new();
        }
        let began = Instant::now();
        field.tally().mark_begin(field.clock.now_us());
        field.phase("method", Some(Duration::from(load.duration.max(plan.ends))));
        let sent = async {
            tokio::time::sleep_until(began + Duration::from(load.duration)).await;
            field.tally().mark_end();
        };
        let whole = sent_until(is_cut.clone(), sent);
        let (not_done, ()) =
            futures_util::future::join(method::play(&field, &plan, &is_cut), whole).await;
        if *is_cut.borrow() || !not_done.is_empty() {
            return not_done;
        }
        field.phase("second hypothesis", None);
        hypothesis(&field, true).await;
        not_done
    };
    tokio::pin!(inner);
    let mut left = aborted.clone();
    let why = tokio::select! {
        not_done = &mut inner => {
            played.not_done = not_done;
            None
        }
        () = stop.asked() => {
            played.interrupted = true;
            Some("it was interrupted".to_owned())
        }
        why = why(&mut left) => {
            field.failed(format!("the experiment was ended at once: {why}"));
            Some(why)
        }
    };
    if why.is_some() {
        field.phase("undoing", None);
        cut.send_replace(true);
        // Steps see it, and undo what they did; one that does not come back is undone from outside.
        if let Ok(not_done) = tokio::time::timeout(Duration::from_secs(60), &mut inner).await {
            played.not_done = not_done;
        }
    }
    field.phase("rollbacks", None);
    method::roll_back(&field, &plan.rollbacks).await;
    played
}

async fn sent_until(mut cut: watch::Receiver<bool>, sent: impl Future<Output = ()>) {
    tokio::select! {
        _ = cut.wait_for(|cut| *cut) => {}
        () = sent => {}
    }
}

async fn why(aborted: &mut watch::Receiver<Option<String>>) -> String {
    let why = aborted.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

/// Asks all probes, one after another; whether all were good.
async fn hypothesis(field: &Field, after: bool) -> bool {
    let mut all = true;
    for (at, probe) in field.experiment.hypothesis.iter().enumerate() {
        let reading = ask::ask(field, probe).await;
        let (name, tolerance) = words::probe(probe);
        all &= reading.held;
        if !reading.held {
            let when = if after { "afterwards" } else { "before" };
            field.failed(format!("{name} was {} {when}, and has to be {tolerance}", reading.value));
        }
        let mut told = field.told();
        match after {
            // The first entries are those of the hypothesis, in its order.
            true => {
                if let Some(known) = told.hypothesis.get_mut(at) {
                    known.after = Some(reading);
                }
            }
            false => told.hypothesis.push(report::Probe {
                name,
                tolerance,
                before: Some(reading),
                after: None,
            }),
        }
    }
    all
}
