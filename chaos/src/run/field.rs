//! What all parts of a run share while it runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cluster::Cluster;
use super::meters::Meters;
use super::progress::Progress;
use super::tally::Tally;
use crate::experiment::Experiment;
use crate::experiment::pick::BudgetKey;
use crate::fault::Faults;
use crate::history::{Death, Line, Op, Outcome};
use crate::load::{Clock, Journal, Names};
use crate::report;

/// The number of who gives orders, in the history: no client of the load has it.
const OPERATOR: u32 = 9_000;

pub struct Field {
    pub experiment: Experiment,
    pub cluster: Arc<Cluster>,
    pub names: Names,
    pub tally: Arc<Mutex<Tally>>,
    pub meters: Arc<Meters>,
    pub faults: Faults,
    /// Nothing once the run is over: a history ends when nobody can write any more.
    pub journal: Option<Journal>,
    pub clock: Clock,
    pub progress: Arc<Progress>,
    pub told: Mutex<Told>,
}

/// What is written into the report as it happens.
#[derive(Debug, Default)]
pub struct Told {
    pub hypothesis: Vec<report::Probe>,
    pub faults: Vec<report::Fault>,
    /// How much each fault struck, by the id of its step; and hostile clients.
    pub struck: BTreeMap<String, f64>,
    /// Nodes that ended by themselves.
    pub ended: Vec<Death>,
    /// Patterns of actors that faults struck, and nodes that were killed: what restarts there was ordered.
    pub patterns: Vec<String>,
    /// What the run went through, one after the other; the last one may go on.
    pub phases: Vec<report::Phase>,
    /// Why the hypothesis failed, a sentence each.
    pub failed: Vec<String>,
    pub notes: Vec<String>,
}

impl Field {
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run goes on to this, for about so long.
    pub fn phase(&self, name: &str, lasts: Option<Duration>) {
        self.phase_over();
        let from_s = self.clock.now_us() as f64 / 1e6;
        self.told().phases.push(report::Phase { name: name.to_owned(), from_s, to_s: None });
        self.progress.phase(name, lasts);
    }

    /// The last of them is over.
    pub fn phase_over(&self) {
        let to_s = self.clock.now_us() as f64 / 1e6;
        if let Some(last) = self.told().phases.last_mut() {
            last.to_s.get_or_insert(to_s);
        }
    }

    pub fn failed(&self, why: String) {
        self.progress.say(&why);
        self.told().failed.push(why);
    }

    pub fn note(&self, what: String) {
        self.progress.say(&what);
        self.told().notes.push(what);
    }

    /// A budget as the load calls it.
    ///
    /// # Errors
    /// The load has none of this name.
    pub fn budget(&self, key: &BudgetKey) -> Result<(Box<str>, Box<str>), String> {
        super::load::name(key, &self.names)
    }

    /// Who owns a budget now.
    ///
    /// # Errors
    /// Nobody does, or nobody says.
    pub async fn owner(&self, key: &BudgetKey) -> Result<String, String> {
        let (account, campaign) = self.budget(key)?;
        // While a shard goes from one to the next, nobody owns it: not for long.
        let until = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            let told = self.cluster.owner(&account, &campaign).await;
            match told {
                Ok((_, Some(owner))) => return Ok(owner),
                Ok((_, None)) if tokio::time::Instant::now() >= until => {
                    return Err(format!("nobody owns {} of {}", key.campaign, key.account));
                }
                Err(why) if tokio::time::Instant::now() >= until => return Err(why),
                Ok(_) | Err(_) => tokio::time::sleep(super::POLL).await,
            }
        }
    }

    fn journal(&self) -> Result<&Journal, String> {
        self.journal.as_ref().ok_or_else(|| "the history is over".to_owned())
    }

    pub async fn line(&self, line: Line) -> Result<(), String> {
        self.journal()?.line(line).await.map_err(|closed| closed.to_string())
    }

    /// What an operator asks for is in the history as what clients ask for: the checker has to know of it.
    pub async fn invoke(&self, via: &str, op: Op) -> Result<u64, String> {
        self.journal()?.invoke(OPERATOR, via, op).await.map_err(|closed| closed.to_string())
    }

    pub async fn complete(&self, id: u64, outcome: Outcome) -> Result<(), String> {
        self.journal()?.complete(id, outcome).await.map_err(|closed| closed.to_string())
    }
}
