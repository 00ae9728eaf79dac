//! What a machine has to have for an experiment.

use std::collections::BTreeSet;

use super::Experiment;
use super::fault::{Fault, Service};
use super::load::Through;
use super::pick::{Disk, End, Process};
use super::probe::{At, Probe, Question};
use super::step::Step;
use super::strikes::Struck;
use super::target::{Need, Target};

impl Fault {
    pub fn needs(&self) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        match self {
            Fault::MemoryLimit { .. } => _ = needs.insert(Need::Cgroups),
            Fault::DescriptorLimit { .. } => _ = needs.insert(Need::Prlimit),
            Fault::Clock { .. } => _ = needs.insert(Need::Faketime),
            Fault::DiskFull { .. } | Fault::DiskReadOnly { .. } => _ = needs.insert(Need::Mounts),
            Fault::FsyncError { .. } | Fault::DiskSlow { .. } => _ = needs.insert(Need::Strace),
            Fault::PostgresSlow { .. } => _ = needs.insert(Need::Namespaces),
            _ => {}
        }
        match self.struck() {
            Struck::Process(Process::Balancer) => _ = needs.insert(Need::Balancer),
            Struck::Process(Process::Node(_)) | Struck::Clock(_) | Struck::Disk(Disk::Node(_)) => {}
            Struck::Link(link) => {
                needs.insert(Need::Namespaces);
                needs.extend(link.ends().into_iter().filter_map(|end| match end {
                    End::Database => Some(Need::Postgres),
                    End::Redis => Some(Need::Redis),
                    End::Balancer => Some(Need::Balancer),
                    End::Node(_) | End::OtherNodes | End::Clients => None,
                }));
            }
            Struck::Actors(_) => _ = needs.insert(Need::ActorFaults),
            Struck::Postgres | Struck::Disk(Disk::Database) => _ = needs.insert(Need::Postgres),
            Struck::Redis => _ = needs.insert(Need::Redis),
            // SyncValue is within the nodes: its predictors are struck where they run.
            Struck::Service(Service::Ltv) => needs.extend([Need::Model, Need::ActorFaults]),
            Struck::Service(Service::Exchange) => _ = needs.insert(Need::Exchange),
            Struck::Service(Service::ObjectStore) => _ = needs.insert(Need::ObjectStore),
        }
        needs
    }
}

impl Experiment {
    /// What the machine has to have: what is listed, and what faults and probes need by themselves.
    pub fn needs(&self) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        if let Target::Lab(lab) = &self.target {
            needs.extend(&lab.needs);
            needs.insert(Need::Postgres);
        }
        let faults = self.method.iter().filter_map(|step| match step {
            Step::Fault(it) => Some(&it.fault),
            _ => None,
        });
        needs.extend(faults.flat_map(Fault::needs));
        if self.load.through == Through::Balancer || self.probes().any(asks_balancer) {
            needs.insert(Need::Balancer);
        }
        needs
    }

    /// Every probe, wherever it stands.
    pub fn probes(&self) -> impl Iterator<Item = &Probe> {
        let inside = self.method.iter().filter_map(|step| match step {
            Step::Probe(it) => Some(&it.probe),
            _ => None,
        });
        self.hypothesis.iter().chain(inside).chain(&self.abort)
    }
}

fn asks_balancer(probe: &Probe) -> bool {
    matches!(
        probe.question,
        Question::Http { at: At::Balancer, .. }
            | Question::Process { target: Process::Balancer, .. }
    )
}
