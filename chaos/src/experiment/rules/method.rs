//! Steps that can be done, and that are over when the load is.

use std::collections::BTreeMap;

use super::Look;
use crate::experiment::fault::{Fault, Service};
use crate::experiment::pick::{By, End, Link, Nodes, Word};
use crate::experiment::step::{FaultStep, Order, Step};
use crate::experiment::strikes::Struck;
use crate::experiment::timeline::{Moment, moments};

pub fn check(look: &mut Look<'_>) {
    let experiment = look.experiment;
    let moments = moments(&experiment.method);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (step, moment)) in experiment.method.iter().zip(&moments).enumerate() {
        let path = format!("method[{at}]");
        if let Some(before) = seen.insert(&moment.id, at) {
            let what = format!("{} is the name of method[{before}] already", moment.id);
            look.wrong(&path, what);
        }
        match step {
            Step::Fault(it) => {
                let path = format!("{path}.fault");
                ends(look, &format!("{path}.duration"), moment);
                fault(look, &path, it);
            }
            Step::Probe(it) => {
                let path = format!("{path}.probe");
                ends(look, &path, moment);
                look.probe(&path, &it.probe);
            }
            Step::Order(it) => {
                let path = format!("{path}.order");
                ends(look, &format!("{path}.within"), moment);
                order(look, &path, &it.order);
            }
            Step::Wait(_) => ends(look, &format!("{path}.wait"), moment),
        }
    }
    overlaps(look, &moments);
    let waits = experiment.method.iter().all(|step| matches!(step, Step::Wait(_) | Step::Probe(_)));
    if waits && experiment.load.hostile.is_empty() && !misbehaves(look) {
        look.wrong("method", "nothing happens: there is no fault, no order and no hostile client");
    }
    for (at, step) in experiment.rollbacks.iter().enumerate() {
        let path = format!("rollbacks[{at}]");
        if step.start.is_some() {
            look.wrong(&format!("{path}.start"), "rollbacks are done one after the other");
        }
        order(look, &path, &step.order);
    }
}

/// The end of one of two faults of a kind would end the other's, too. Faults of actors are rules of their own each.
fn overlaps(look: &mut Look<'_>, moments: &[Moment]) {
    let method = &look.experiment.method;
    let faults: Vec<_> = method
        .iter()
        .zip(moments)
        .enumerate()
        .filter_map(|(at, (step, moment))| match step {
            Step::Fault(it) => Some((at, &it.fault, moment)),
            _ => None,
        })
        .collect();
    for (number, (at, fault, moment)) in faults.iter().enumerate() {
        let same = faults.iter().take(number).find(|(_, other, its)| {
            other.kind() == fault.kind()
                && other.struck() == fault.struck()
                && !matches!(fault.struck(), Struck::Actors(_))
                && its.from < moment.until
                && moment.from < its.until
        });
        if let Some((_, _, other)) = same {
            let what = format!("the same is struck by {} at the same time", other.id);
            look.wrong(&format!("method[{at}].fault"), what);
        }
    }
}

/// Clients that repeat or delay what they have to say are a fault, too.
fn misbehaves(look: &Look<'_>) -> bool {
    let bid = &look.experiment.load.rates.bid;
    bid.per_second > 0.0 && bid.duplicate + bid.late > 0.0
}

fn ends(look: &mut Look<'_>, path: &str, moment: &Moment) {
    let load = look.experiment.load.duration;
    if moment.until > load {
        let what =
            format!("lasts until {} of the method, and the load ends at {load}", moment.until);
        look.wrong(path, what);
    }
}

fn fault(look: &mut Look<'_>, path: &str, step: &FaultStep) {
    let mut narrowed = step.fault.clone();
    for (below, nodes) in narrowed.nodes_mut() {
        look.nodes(&format!("{path}.{below}"), nodes);
    }
    match step.fault.struck() {
        Struck::Link(it) => link(look, &format!("{path}.target"), it),
        Struck::Actors(it) if it.actor.contains("//") || it.actor.ends_with('/') => {
            look.wrong(&format!("{path}.target.actor"), "a segment of the path is empty");
        }
        _ => {}
    }
    if look.lab().is_none() && step.fault.needs_lab() {
        let what = format!(
            "{} needs a lab: of a cluster that runs, only actors and the services ltv and exchange can be struck",
            step.fault.kind()
        );
        look.wrong(&format!("{path}.kind"), what);
    }
    if matches!(step.fault.struck(), Struck::Service(Service::Exchange))
        && look.experiment.load.rates.bid.per_second <= 0.0
    {
        let what = "the exchange is the load's, and load.rates.bid asks for no bids";
        look.wrong(&format!("{path}.service"), what);
    }
    let shorter = |every| every > step.duration;
    match &step.fault {
        Fault::Latency { delay, jitter, .. } if jitter > delay => {
            let what = format!("{jitter} is more than the delay of {delay}");
            look.wrong(&format!("{path}.jitter"), what);
        }
        Fault::RestartLoop { every, .. }
        | Fault::Reset { every, .. }
        | Fault::PostgresKillConnections { every }
            if shorter(*every) =>
        {
            let what = format!("{every} is longer than the fault lasts");
            look.wrong(&format!("{path}.every"), what);
        }
        _ => {}
    }
}

fn link(look: &mut Look<'_>, path: &str, link: &Link) {
    let ends = link.ends();
    let node = |end: &End| matches!(end, End::Node(_) | End::OtherNodes);
    let beside = |end: &End| matches!(end, End::Clients | End::Balancer);
    match ends {
        [End::OtherNodes, End::OtherNodes] => look.wrong(path, "other_nodes than which?"),
        [End::OtherNodes, end] | [end, End::OtherNodes] if !matches!(end, End::Node(_)) => {
            look.wrong(path, "other_nodes has a meaning only where the other end names nodes");
        }
        [End::OtherNodes, End::Node(Nodes::Word(Word::All))]
        | [End::Node(Nodes::Word(Word::All)), End::OtherNodes] => {
            look.wrong(
                path,
                "there are no other nodes than all: {node: all} at both ends is each with each",
            );
        }
        [End::Node(one), End::Node(other)] if one == other && is_one(one) => {
            look.wrong(path, "both ends are the same node");
        }
        [End::OtherNodes, _] | [_, End::OtherNodes] if look.nodes_total() < 2 => {
            look.wrong(path, "there are no other nodes");
        }
        [one, other] if one == other && !node(one) => look.wrong(path, "both ends are the same"),
        [one, other] if !(node(one) || node(other) || beside(one) && beside(other)) => {
            look.wrong(path, "nothing is sent between these: one end has to be a node");
        }
        _ => {}
    }
}

/// Whether it is one node, and the same wherever it stands. What is drawn is drawn anew for each place.
fn is_one(nodes: &Nodes) -> bool {
    match nodes {
        Nodes::Name(_) | Nodes::By(By::OwnerOf(_) | By::NotOwnerOf(_)) => true,
        Nodes::By(By::Names(names)) => names.len() == 1,
        Nodes::Word(_) | Nodes::By(By::Count(_) | By::Percent(_) | By::Role(_)) => false,
    }
}

fn order(look: &mut Look<'_>, path: &str, order: &Order) {
    let mut narrowed = order.clone();
    for (below, nodes) in narrowed.nodes_mut() {
        look.nodes(&format!("{path}.{below}"), nodes);
    }
    match order {
        Order::MoveShard { budget, .. }
        | Order::PauseBudget { budget }
        | Order::ResumeBudget { budget }
        | Order::Allocate { budget, .. } => look.budget(&format!("{path}.budget"), budget),
        Order::RollingRestart { .. } | Order::Drain { .. } => {
            if look.lab().is_none() {
                look.wrong(path, "needs a lab: nobody here could start the node again");
            } else if look.nodes_total() < 2 {
                look.wrong(path, "there is no other node that could take over");
            }
        }
        Order::ResetBreakers { .. } | Order::ClearFaults { .. } => {}
    }
}
