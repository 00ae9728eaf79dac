//! Faults of a run: begun and ended, written into the history and the report, and counted by what they struck.

use std::collections::BTreeMap;
use std::time::Duration;

use super::field::Field;
use super::words;
use crate::experiment::fault::{Fault, Service};
use crate::experiment::strikes::Struck;
use crate::fault::{Chosen, FaultError, FaultResult, Injected};
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
        id: id.to_owned(),
        kind: fault.kind().to_owned(),
        target: target.clone(),
        way: String::new(),
        began_s: None,
        ended_s: None,
        struck: None,
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
    let counted = field.faults.struck(open.number);
    let struck = counted.unwrap_or_default();
    let phase = if undone.is_ok() { Phase::Ended } else { Phase::Failed };
    field.line(line(field, open.number, &open.fault, &open.target, phase)).await?;
    let ended_s = field.clock.now_us() as f64 / 1e6;
    let mut told = field.told();
    told.struck.insert(open.id.clone(), struck as f64);
    let record = told.faults.iter_mut().find(|it| it.number == open.number);
    if let Some(record) = record {
        record.ended_s = undone.is_ok().then_some(ended_s);
        record.struck = counted;
        record.undo = match &undone {
            Ok(()) => Undo::Undone,
            Err(error) => Undo::Failed { why: error.to_string() },
        };
    }
    drop(told);
    match undone {
        Ok(()) => {
            field.progress.say(&format!("{}: over, struck {struck}", open.id));
            if counted == Some(0) {
                field.note(format!("fault {} ({}) struck nothing", open.number, open.id));
            }
            Ok(())
        }
        Err(error) => Err(format!("{} was not undone: {error}", open.id)),
    }
}

/// Ends what nobody has ended: steps that were cut off, and faults that could not be undone. The report says of each how
/// that went, also of one that it does not know of yet.
pub async fn undo_all(field: &Field) {
    let open = field.faults.open();
    for (number, undone) in field.faults.undo_all().await {
        let ended_s = field.clock.now_us() as f64 / 1e6;
        let injected = open.iter().find(|it| it.number == number);
        if let Err(error) = &undone {
            field.note(format!("fault {number} was not undone: {error}"));
        }
        let struck = field.faults.struck(number);
        close(&mut field.told().faults, number, injected, (ended_s, struck), undone);
    }
}

fn close(
    faults: &mut Vec<report::Fault>,
    number: u32,
    injected: Option<&Injected>,
    (ended_s, struck): (f64, Option<u64>),
    undone: FaultResult<()>,
) {
    let known = faults.iter().position(|it| it.number == number);
    let at = known.unwrap_or_else(|| {
        faults.push(report::Fault {
            number,
            id: String::new(),
            kind: injected.map(|it| it.kind.clone()).unwrap_or_default(),
            target: injected.map(|it| it.target.clone()).unwrap_or_default(),
            way: injected.map(|it| it.way.clone()).unwrap_or_default(),
            began_s: None,
            ended_s: None,
            struck: None,
            undo: Undo::Nothing,
        });
        faults.len() - 1
    });
    let record = &mut faults[at];
    record.struck = record.struck.max(struck);
    match undone {
        // One that was not done, or not undone in its time, stays so.
        Ok(()) if record.undo != Undo::Nothing => {}
        Ok(()) => (record.ended_s, record.undo) = (Some(ended_s), Undo::Undone),
        Err(error) => record.undo = Undo::Failed { why: error.to_string() },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_is_left_at_the_end_is_told_as_such() {
        let injected = Injected {
            number: 3,
            kind: "pause".to_owned(),
            target: "node-1".to_owned(),
            way: "signal".to_owned(),
            struck: Vec::new(),
        };
        let left = || Err(FaultError::Bad("it stays".to_owned()));
        let mut faults = Vec::new();
        close(&mut faults, 3, Some(&injected), (7.0, Some(2)), left());
        let failed = Undo::Failed { why: "it stays".to_owned() };
        assert_eq!((faults[0].kind.as_str(), &faults[0].undo), ("pause", &failed));
        assert_eq!(faults[0].struck, Some(2));
        close(&mut faults, 3, Some(&injected), (7.0, Some(2)), Ok(()));
        assert_eq!((faults.len(), faults[0].ended_s, &faults[0].undo), (1, None, &failed));
        faults[0].undo = Undo::Nothing;
        close(&mut faults, 3, None, (7.0, Some(2)), Ok(()));
        assert_eq!((faults[0].ended_s, &faults[0].undo), (Some(7.0), &Undo::Undone));
        let not_done = Undo::NotDone { why: "no strace".to_owned() };
        faults[0].undo = not_done.clone();
        close(&mut faults, 3, None, (8.0, None), Ok(()));
        assert_eq!(faults[0].undo, not_done);
        close(&mut faults, 3, None, (8.0, None), left());
        assert_eq!(faults[0].undo, failed);
    }
}
