//! Hypotheses, conditions and checks that can be answered.

use super::Look;
use crate::experiment::bound::Bound;
use crate::experiment::checks::Expectation;
use crate::experiment::step::Step;
use crate::experiment::timeline::moments;

pub fn check(look: &mut Look<'_>) {
    let experiment = look.experiment;
    for (at, probe) in experiment.hypothesis.iter().enumerate() {
        look.probe(&format!("hypothesis[{at}]"), probe);
    }
    for (at, probe) in experiment.abort.iter().enumerate() {
        let path = format!("abort[{at}]");
        if probe.within.is_some() {
            look.wrong(&format!("{path}.within"), "a condition to abort is asked all the time");
        }
        look.probe(&path, probe);
    }
    let checks = &experiment.checks;
    if checks.invariants.is_empty() && !checks.linearizability.search && checks.expect.is_empty() {
        look.wrong("checks", "nothing is checked");
    }
    for (at, invariant) in checks.invariants.iter().enumerate() {
        if checks.invariants.iter().take(at).any(|it| it == invariant) {
            look.wrong(&format!("checks.invariants[{at}]"), "stands there twice");
        }
    }
    for (at, expectation) in checks.expect.iter().enumerate() {
        expect(look, &format!("checks.expect[{at}]"), expectation);
    }
}

fn expect(look: &mut Look<'_>, path: &str, expectation: &Expectation) {
    let mut narrowed = expectation.clone();
    for (below, nodes) in narrowed.nodes_mut() {
        look.nodes(&format!("{path}.{below}"), nodes);
        look.settled(&format!("{path}.{below}"), nodes);
    }
    let tolerance = match expectation {
        Expectation::Struck { fault, tolerance } => {
            struck(look, path, fault, tolerance);
            tolerance
        }
        Expectation::OwnerChanged { budget, tolerance } => {
            look.budget(&format!("{path}.budget"), budget);
            tolerance
        }
        Expectation::Outcomes { of: Some(kind), tolerance, .. } => {
            if look.experiment.load.rates.of(*kind) <= 0.0 {
                look.wrong(&format!("{path}.of"), "the load has no such operations");
            }
            tolerance
        }
        Expectation::Restarts { tolerance, .. }
        | Expectation::BreakerOpened { tolerance, .. }
        | Expectation::Ended { tolerance, .. }
        | Expectation::Increase { tolerance, .. }
        | Expectation::Outcomes { tolerance, .. } => tolerance,
    };
    look.bound(&format!("{path}.tolerance"), tolerance);
}

fn struck(look: &mut Look<'_>, path: &str, fault: &str, tolerance: &Bound) {
    let method = &look.experiment.method;
    let by_chance = method.iter().zip(moments(method)).any(|(step, moment)| match step {
        Step::Fault(it) => moment.id == fault && it.probability < 1.0,
        _ => false,
    });
    if by_chance && !tolerance.admits(0.0) {
        let what = format!("{fault} does not happen with every seed: its probability is below 1");
        look.wrong(&format!("{path}.fault"), what);
    }
    let ids = method.iter().zip(moments(method));
    let faults = ids.filter(|(step, _)| matches!(step, Step::Fault(_)));
    let mut faults: Vec<String> = faults.map(|(_, moment)| moment.id).collect();
    let hostile = look.experiment.load.hostile.len();
    faults.extend((1..=hostile).map(|number| format!("hostile-{number}")));
    if !faults.iter().any(|id| id == fault) {
        let known = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
        look.wrong(
            &format!("{path}.fault"),
            format!("there is no fault {fault}; there are {known}"),
        );
    }
}
