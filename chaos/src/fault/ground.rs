//! What there is to be struck.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::{FaultError, FaultResult};
use crate::lab::{HostName, Lab, Process};
use crate::load::Venue;

/// A lab, or a cluster of somebody's that runs already: then only its admin APIs.
pub struct Ground {
    pub lab: Option<Arc<Lab>>,
    /// The admin API of each node, by the node's name.
    pub admins: Vec<(String, String)>,
    /// For the admin API.
    pub token: Option<String>,
    /// The run's folder.
    pub folder: PathBuf,
    /// The exchange that the load plays.
    pub venue: Arc<Venue>,
}

impl Ground {
    /// # Errors
    /// The cluster is somebody's own.
    pub fn lab(&self, what: &str) -> FaultResult<&Arc<Lab>> {
        self.lab.as_ref().ok_or_else(|| {
            FaultError::not_possible(
                what,
                "it is not possible against a user's own cluster: only faults of actors are, through its admin API",
            )
        })
    }

    /// # Errors
    /// There is no lab, or no such process in it.
    pub fn process(&self, what: &str, name: &str) -> FaultResult<Process> {
        let lab = self.lab(what)?;
        let found = lab.process(name);
        found.ok_or_else(|| FaultError::Bad(format!("there is no process {name:?} in this lab")))
    }

    /// # Errors
    /// There is no lab, or no such node in it.
    pub fn host(&self, what: &str, node: &str) -> FaultResult<HostName> {
        let lab = self.lab(what)?;
        let found = lab.nodes().iter().find(|it| it.name == node);
        found
            .map(|it| it.host)
            .ok_or_else(|| FaultError::Bad(format!("there is no node {node:?} in this lab")))
    }

    /// # Errors
    /// There is no node of this name.
    pub fn admin(&self, node: &str) -> FaultResult<&str> {
        let found = self.admins.iter().find(|(name, _)| name == node);
        found
            .map(|(_, url)| url.trim_end_matches('/'))
            .ok_or_else(|| FaultError::Bad(format!("no admin API of a node {node:?} is known")))
    }
}
