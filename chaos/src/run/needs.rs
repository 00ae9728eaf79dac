//! Whether this host has what an experiment needs. It is asked once a process, and only where something is not plain.

use std::collections::BTreeSet;
use std::path::Path;

use tokio::sync::OnceCell;

use crate::experiment::Experiment;
use crate::experiment::fault::Fault;
use crate::experiment::step::Step;
use crate::experiment::target::Need;
use crate::lab::namespace;
use crate::lab::programs::Programs;
use crate::probe::{Capability, probe};

/// What was found out about this host.
#[derive(Default)]
pub struct Host(OnceCell<Vec<Capability>>);

impl Host {
    /// What is missing, a sentence each; nothing where the experiment can be done.
    ///
    /// # Errors
    /// The host cannot be looked at.
    pub async fn missing(
        &self,
        experiment: &Experiment,
        in_lab: bool,
        binary: Option<&Path>,
    ) -> std::io::Result<Vec<String>> {
        if !in_lab {
            let faults = experiment.method.iter().filter_map(|step| match step {
                Step::Fault(it) if it.fault.needs_lab() => Some(&it.fault),
                _ => None,
            });
            let lab = |fault: &Fault| {
                format!("a lab: {} is not done to a cluster that runs", fault.kind())
            };
            return Ok(faults.map(lab).collect());
        }
        let needs = experiment.needs();
        let mut missing = Vec::new();
        if let Err(error) = Programs::find() {
            missing.push(error.to_string());
        }
        if needs.contains(&Need::Namespaces) && !namespace::is_inside() {
            let why = namespace::missing();
            let why =
                if why.is_empty() { "the suite is in none".to_owned() } else { why.join(", ") };
            missing.push(format!("network namespaces: {why}"));
        }
        if needs.contains(&Need::ObjectStore) {
            missing.push("an object store: nodes use none".to_owned());
        }
        let tried: BTreeSet<&str> = needs.iter().filter_map(|need| trial(*need)).collect();
        if tried.is_empty() {
            return Ok(missing);
        }
        let rows = self.0.get_or_try_init(|| probe(binary)).await?;
        let lacking = rows.iter().filter(|row| tried.contains(row.name) && !row.possible);
        missing.extend(lacking.map(|row| {
            let package = row.package.map(|it| format!(" (apt-get install {it})"));
            format!("{}: {}{}", row.name, row.missing, package.unwrap_or_default())
        }));
        Ok(missing)
    }
}

/// The trial that shows whether a need is met, where it is not known otherwise.
fn trial(need: Need) -> Option<&'static str> {
    match need {
        Need::Faketime => Some("clocks of processes"),
        Need::Strace => Some("strace with faults"),
        Need::Mounts => Some("tmpfs"),
        // Without control groups, memory is bounded by the limits of the process.
        Need::Prlimit | Need::Cgroups => Some("prlimit"),
        Need::Namespaces
        | Need::Postgres
        | Need::Redis
        | Need::Balancer
        | Need::Model
        | Need::Exchange
        | Need::ObjectStore
        | Need::ActorFaults => None,
    }
}
