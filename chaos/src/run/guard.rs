//! Looks at the run all the while: conditions that end it at once, nodes that end by themselves, figures for people.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::field::Field;
use super::{ask, words};
use crate::experiment::checks::Expectation;
use crate::history::Death;
use crate::lab::Died;

const EVERY: Duration = Duration::from_millis(500);

/// Says why the experiment has to end at once, by `tell`; ends when `stop` is true. Conditions that could not be asked a
/// single time are given back, in words: who relied on them had nothing.
pub async fn watch(
    field: Arc<Field>,
    tell: watch::Sender<Option<String>>,
    mut stop: watch::Receiver<bool>,
) -> Vec<String> {
    let mut silent: Vec<Option<String>> =
        vec![Some("the run was over before".to_owned()); field.experiment.abort.len()];
    while !*stop.borrow() {
        for (probe, silent) in field.experiment.abort.iter().zip(&mut silent) {
            match ask::condition(&field, &probe.question).await {
                Ok(told) if told.held && tell.borrow().is_none() => {
                    *silent = None;
                    let (name, good) = words::probe(probe);
                    tell.send_replace(Some(format!("{name} is {}: {good} ends it", told.value)));
                }
                Ok(_) => *silent = None,
                Err(why) => {
                    if let Some(reason) = silent {
                        *reason = why;
                    }
                }
            }
        }
        deaths(&field).await;
        let open: Vec<String> =
            field.faults.open().iter().map(|it| format!("{} of {}", it.kind, it.target)).collect();
        let last = field.tally().last(field.clock.now_us(), 2_000_000, None);
        field.progress.figures(&last, &open);
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    let asked = field.experiment.abort.iter().zip(silent);
    asked
        .filter_map(|(probe, why)| {
            let (name, good) = words::probe(probe);
            Some(format!("{name}: {good} ends it, and it could never be asked: {}", why?))
        })
        .collect()
}

/// Processes of the lab that ended by themselves, as far as it has seen, each once.
pub fn look(field: &Field) -> Vec<Died> {
    let died = field.cluster.lab.as_ref().map(|lab| lab.died()).unwrap_or_default();
    let known = field.told().ended.len();
    for one in died.iter().skip(known) {
        field.progress.say(&format!("{} ended by itself: {}", one.name, one.status));
        let at_us = Some(field.clock.at_us(one.at));
        field.told().ended.push(Death { name: one.name.clone(), at_us });
    }
    died
}

/// Nodes that ended by themselves are started again, as whoever looks after them would, unless a fault has them.
async fn deaths(field: &Field) {
    let Some(lab) = &field.cluster.lab else { return };
    let died = look(field);
    let struck: BTreeSet<String> = field
        .faults
        .open()
        .into_iter()
        .flat_map(|it| it.struck.into_iter().chain([it.target]))
        .collect();
    for node in lab.nodes() {
        let Some(process) = lab.process(&node.name) else { continue };
        let itself = !process.alive && died.iter().any(|it| it.id == process.id);
        if itself && !struck.iter().any(|it| it.contains(&node.name)) {
            match lab.processes().restart(&node.name).await {
                Ok(_) => field.progress.say(&format!("{} was started again", node.name)),
                Err(error) => field.note(format!("{} does not start again: {error}", node.name)),
            }
        }
    }
}

/// Nodes of the lab that do not run. After the stage nobody starts them again.
pub fn down(field: &Field) -> Vec<String> {
    let Some(lab) = &field.cluster.lab else { return Vec::new() };
    let is_down = |name: &&String| lab.process(name).is_none_or(|it| !it.alive);
    lab.nodes().iter().map(|it| &it.name).filter(is_down).cloned().collect()
}

/// Ends that no expectation allows.
pub fn unexpected(field: &Field) -> Vec<Death> {
    let allowed: BTreeSet<String> = field
        .experiment
        .checks
        .expect
        .iter()
        .filter_map(|it| match it {
            Expectation::Ended { node, .. } => Some(field.cluster.named(node)),
            _ => None,
        })
        .flatten()
        .collect();
    let told = field.told();
    told.ended.iter().filter(|it| !allowed.contains(&it.name)).cloned().collect()
}
