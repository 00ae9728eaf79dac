//! Faults of a run: begun and ended, written into the history and the report, and counted by what they struck.

use std::collections::BTreeMap;
use std::time::Duration;

use super::field::Field;
use super::words;
use crate::experiment::fault::{Fault, Service};
use crate::experiment::strikes::Struck;
use crate::fault::{Chosen, FaultError};
use crate::history::{Line, Phase};
use crate::report::{self, Undo};

/// What a fault may live longer than it should where the suite is late; then it ends by itself.
const MARGIN: Duration = Duration::from_secs(5);
/// Predictors, which an outage of forecasts strikes.
const PREDICTORS: &str = "/value/predictor/**";

/// A fault that has begun.
pub struct Open {
    pub number: u32,
    id: String,
    fault: Fault,
    target: String,
}

/// Begins a fault.
///
/// # Errors
/// It was not done: why. The report says so already.
pub async fn begin(
    field: &Field,
    number: u32,
    id: &str,
    fault: &Fault,
    draw: u64,
    lasts: Duration,
) -> Result<Open, String> {
    let chosen = choose(field, fault, draw).await;
    let target = match &chosen {
        Ok(chosen) if !chosen.places.is_empty() => {
            let names: Vec<String> = chosen.places.values().map(|names| names.join(", ")).collect();
            names.join(" and ")
        }
        _ => words::target(fault),
    };
    // Before it is done: what happens while it begins is under it, too.
    field.line(line(field, number, fault, &target, Phase::Began)).await?;
    let began_s = field.clock.now_us() as f64 / 1e6;
    let done = match chosen {
        Ok(chosen) => field.faults.inject(number, fault, &chosen, lasts + MARGIN).await,
        Err(why) => Err(FaultError::Bad(why)),
    };
    let mut record = report::Fault {
        number,
        kind: fault.kind().to_owned(),
        target: target.clone(),
        way: String::new(),
        began_s: None,
        ended_s: None,
        undo: Undo::Nothing,
    };
    match done {
        Ok(injected) => {
            field.progress.say(&format!("{id}: {} of {target} by {}", injected.kind, injected.way));
            record.began_s = Some(began_s);
            record.way.clone_from(&injected.way);
            record.target.clone_from(&injected.target);
            let mut told = field.told();
            told.faults.push(record);
            told.patterns.extend(pattern(fault));
            drop(told);
            Ok(Open { number, id: id.to_owned(), fault: fault.clone(), target })
        }
        Err(error) => {
            field.line(line(field, number, fault, &target, Phase::Failed)).await?;
            record.undo = Undo::NotDone { why: error.to_string() };
            field.told().faults.push(record);
            Err(format!("{id}: {error}"))
        }
    }
}

/// Ends a fault, and says what it struck.
///
/// # Errors
/// It is still there: why. The report says so already.
pub async fn end(field: &Field, open: Open) -> Result<(), String> {
    let undone = field.faults.undo(open.number).await;
    let struck = field.faults.struck(open.number).unwrap_or_default();
    let phase = if undone.is_ok() { Phase::Ended } else { Phase::Failed };
    field.line(line(field, open.number, &open.fault, &open.target, phase)).await?;
    let ended_s = field.clock.now_us() as f64 / 1e6;
    let mut told = field.told();
    told.struck.insert(open.id.clone(), struck as f64);
    let record = told.faults.iter_mut().find(|it| it.number == open.number);
    if let Some(record) = record {
        record.ended_s = undone.is_ok().then_some(ended_s);
        record.undo = match &undone {
            Ok(()) => Undo::Undone,
            Err(error) => Undo::Failed { why: error.to_string() },
        };
    }
    drop(told);
    match undone {
        Ok(()) => {
            field.progress.say(&format!("{}: over, struck {struck}", open.id));
            Ok(())
        }
        Err(error) => Err(format!("{} was not undone: {error}", open.id)),
    }
}

async fn choose(field: &Field, fault: &Fault, draw: u64) -> Result<Chosen, String> {
    let mut owners = BTreeMap::new();
    for key in Chosen::asks(fault) {
        let owner = field.owner(&key).await?;
        owners.insert(key, owner);
    }
    let all = field.cluster.names();
    Chosen::at_the_moment(fault, &owners, &all, draw).map_err(|error| error.to_string())
}

fn line(field: &Field, number: u32, fault: &Fault, target: &str, phase: Phase) -> Line {
    Line::Fault {
        at_us: field.clock.now_us(),
        fault: number,
        kind: fault.kind().into(),
        target: target.into(),
        phase,
    }
}

/// Actors whose restarts a fault explains.
fn pattern(fault: &Fault) -> Option<String> {
    match fault.struck() {
        Struck::Actors(actors) => Some(actors.actor.clone()),
        Struck::Service(Service::Ltv) => Some(PREDICTORS.to_owned()),
        _ => None,
    }
}
