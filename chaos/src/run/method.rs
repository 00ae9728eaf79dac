//! The method: steps at their times, beside each other, until all are over or the run is cut off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::field::Field;
use super::{ask, hostile, keeper, orders, words};
use crate::experiment::plan::{Act, Plan, Planned};
use crate::experiment::step::OrderStep;
use crate::report;

/// Plays all steps. What goes wrong is written down; a fault that was not done is given back, in words.
pub async fn play(field: &Arc<Field>, plan: &Plan, cut: &watch::Receiver<bool>) -> Vec<String> {
    let began = Instant::now();
    let mut steps: JoinSet<Option<String>> = JoinSet::new();
    let mut number = 0;
    for step in &plan.steps {
        number += u32::from(matches!(step.act, Act::Fault(_)));
        steps.spawn(one(field.clone(), step.clone(), number, began, cut.clone()));
    }
    for (at, it) in field.experiment.load.hostile.iter().enumerate() {
        let playing = hostile::play(field.clone(), it.clone(), at, began, cut.clone());
        steps.spawn(async move {
            playing.await;
            None
        });
    }
    let mut not_done = Vec::new();
    while let Some(ended) = steps.join_next().await {
        match ended {
            Ok(why) => not_done.extend(why),
            Err(error) => not_done.push(format!("a step of the method broke: {error}")),
        }
    }
    not_done
}

/// One step; a fault's failure to be done is what it returns.
async fn one(
    field: Arc<Field>,
    step: Planned,
    number: u32,
    began: Instant,
    mut cut: watch::Receiver<bool>,
) -> Option<String> {
    let at = began + Duration::from(step.at);
    tokio::select! {
        _ = cut.wait_for(|cut| *cut) => return None,
        () = tokio::time::sleep_until(at) => {}
    }
    match &step.act {
        Act::Fault(fault) => {
            let until = began + Duration::from(step.until);
            let lasts = until.saturating_duration_since(Instant::now());
            let open = keeper::begin(&field, number, &step.id, fault, step.draw, lasts).await;
            let open = match open {
                Ok(open) => open,
                Err(why) => {
                    field.progress.say(&why);
                    return Some(why);
                }
            };
            tokio::select! {
                _ = cut.wait_for(|cut| *cut) => {}
                () = tokio::time::sleep_until(until) => {}
            }
            if let Err(why) = keeper::end(&field, open).await {
                field.note(why);
            }
        }
        Act::Probe(probe) => {
            let told = tokio::select! {
                _ = cut.wait_for(|cut| *cut) => return None,
                told = ask::ask(&field, probe) => told,
            };
            let (name, tolerance) = words::probe(probe);
            let name = format!("{}: {name}", step.id);
            field.progress.say(&format!("{name}: {}", told.value));
            if !told.held {
                field.failed(format!("{name} was {}, and has to be {tolerance}", told.value));
            }
            let probe = report::Probe { name, tolerance, before: None, after: Some(told) };
            field.told().hypothesis.push(probe);
        }
        Act::Order(order) => {
            let until = began + Duration::from(step.until);
            let what = format!("{}: {}", step.id, order.kind());
            field.progress.say(&what);
            let given = tokio::time::timeout_at(until, orders::give(&field, order, step.draw));
            let given = tokio::select! {
                _ = cut.wait_for(|cut| *cut) => return None,
                given = given => given,
            };
            match given {
                Ok(Ok(())) => field.progress.say(&format!("{what}: done")),
                Ok(Err(why)) => field.failed(format!("{what}: {why}")),
                Err(_) => field.failed(format!("{what} was not done in its time")),
            }
        }
    }
    None
}

/// What an operator does afterwards, whatever happened; each has its time.
pub async fn roll_back(field: &Field, steps: &[OrderStep]) {
    for step in steps {
        let what = format!("{}: {}", step.id.as_deref().unwrap_or("rollback"), step.order.kind());
        field.progress.say(&what);
        let given = orders::give(field, &step.order, 0);
        match tokio::time::timeout(Duration::from(step.within), given).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => field.failed(format!("{what}: {why}")),
            Err(_) => field.failed(format!("{what} was not done in its time")),
        }
    }
}
