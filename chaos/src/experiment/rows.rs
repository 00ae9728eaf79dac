//! Experiments as rows of a list.

use serde::Serialize;

use super::Experiment;
use super::load::Hostile;
use super::step::Step;
use super::target::Need;
use super::units::Period;

/// One experiment in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The file's name without its ending.
    pub name: String,
    pub title: String,
    pub tags: Vec<String>,
    pub needs: Vec<Need>,
    /// Kinds of faults and orders, each once, in their order.
    pub faults: Vec<&'static str>,
    /// Warm-up and load; what is done around it comes on top.
    pub length: Period,
}

/// Rows by name.
pub fn rows<'a>(experiments: impl IntoIterator<Item = (&'a str, &'a Experiment)>) -> Vec<Row> {
    let mut rows: Vec<Row> = experiments.into_iter().map(|(name, it)| row(name, it)).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

fn row(name: &str, experiment: &Experiment) -> Row {
    let of_steps = experiment.method.iter().filter_map(|step| match step {
        Step::Fault(it) => Some(it.fault.kind()),
        Step::Order(it) => Some(it.order.kind()),
        Step::Wait(_) | Step::Probe(_) => None,
    });
    let of_clients = experiment.load.hostile.iter().map(Hostile::kind);
    let mut faults = Vec::new();
    for kind in of_steps.chain(of_clients) {
        if !faults.contains(&kind) {
            faults.push(kind);
        }
    }
    Row {
        name: name.to_owned(),
        title: experiment.title.clone(),
        tags: experiment.tags.clone(),
        needs: experiment.needs().into_iter().collect(),
        faults,
        length: experiment.load.warm_up.plus(experiment.load.duration),
    }
}

impl Hostile {
    pub fn kind(&self) -> &'static str {
        match self {
            Hostile::SlowLoris { .. } => "slow_loris",
            Hostile::ConnectionStorm { .. } => "connection_storm",
        }
    }
}
