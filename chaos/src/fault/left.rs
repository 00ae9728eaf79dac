//! What a fault may leave behind, and how each of it is taken away: by the one who did it, by `heal` after a suite that
//! died, and by a suite that is about to end and cannot wait.

use std::path::PathBuf;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::admin::{Admin, Rules};
use super::error::{FaultError, FaultResult};
use super::family::At;
use super::limits::Limit;
use super::memory::Group;
use super::network::Way;
use super::{calls, clock, disk, network, process};
use crate::lab::ProcessId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Left {
    /// A process of a lab that is over.
    Dead { name: String },
    /// Processes that stand still.
    Stopped { ids: Vec<ProcessId> },
    /// A limit of a process, as it was before.
    Limit(Limit),
    /// A group of processes with bounded memory.
    Group(Group),
    /// Rules of a lab's network.
    Ways { ways: Vec<Way> },
    /// The clock of a process of a lab is wrong.
    Clock { name: String },
    /// A file that fills a disk.
    Fill { file: PathBuf },
    /// A disk that cannot be written.
    ReadOnly { folder: PathBuf },
    /// A tracer, with this mark in its environment, of these processes.
    Tracer { mark: String, of: Vec<ProcessId>, log: PathBuf },
    /// Faults that a node was told of.
    Rules(Rules),
}

/// How things are when something is taken away.
pub struct Undoing<'a> {
    /// Nobody where the suite that did it is gone, and its lab with it.
    pub at: Option<&'a At>,
    pub admin: &'a Admin,
    /// What other faults go on holding.
    pub others: &'a [Left],
    /// Whether the fault's time is over.
    pub is_over: bool,
}

impl Left {
    /// What only one fault at a time may change.
    pub fn alone(&self) -> Option<String> {
        match self {
            Left::Limit(limit) => Some(format!("the limit of process {}", limit.id.pid)),
            Left::Group(group) => Some(format!("the memory of process {}", group.id.pid)),
            Left::Clock { name } => Some(format!("the clock of {name}")),
            Left::Fill { file } => file.parent().map(|it| it.display().to_string()),
            Left::ReadOnly { folder } => Some(folder.display().to_string()),
            Left::Tracer { of, .. } => of.first().map(|id| format!("process {}", id.pid)),
            Left::Dead { .. } | Left::Stopped { .. } | Left::Ways { .. } | Left::Rules(_) => None,
        }
    }

    /// Whether it may be on another machine.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Left::Rules(_))
    }

    /// Takes it away and sees that it is gone. How many it struck, where that is known only now.
    ///
    /// # Errors
    /// It is still there.
    pub async fn undo(&self, on: &Undoing<'_>) -> FaultResult<u64> {
        match self {
            Left::Dead { name } => process::start(name, on).await.map(|()| 0),
            Left::Stopped { ids } => process::go_on(ids, on.others).await.map(|()| 0),
            Left::Limit(limit) => limit.back().map(|()| 0),
            Left::Group(group) => group.undo().await.map(|()| 0),
            Left::Ways { ways } => network::open(ways, on),
            Left::Clock { name } => clock::right(name, on).map(|()| 0),
            Left::Fill { file } => disk::empty(file).map(|()| 0),
            Left::ReadOnly { folder } => disk::writable(folder).await.map(|()| 0),
            Left::Tracer { mark, of, log } => calls::detach(mark, of, log).await,
            Left::Rules(rules) => on.admin.remove(rules, on.is_over).await,
        }
    }

    /// What can be done of that at once, by whoever cannot wait and whom nobody hears any more. What is not done is in the
    /// record.
    pub fn let_go(&self) {
        match self {
            Left::Stopped { ids } => {
                for id in ids {
                    _ = id.signal(Signal::CONT);
                }
            }
            Left::Limit(limit) => _ = limit.back(),
            Left::Group(group) => _ = group.let_go(),
            Left::Fill { file } => _ = std::fs::remove_file(file),
            Left::Tracer { mark, .. } => calls::end(mark, Signal::KILL),
            // They end with the lab, or by themselves.
            Left::Dead { .. }
            | Left::Ways { .. }
            | Left::Clock { .. }
            | Left::ReadOnly { .. }
            | Left::Rules(_) => {}
        }
    }
}

/// Takes away all that an open fault has left: what was done last comes first, and processes are started at the end, when
/// nothing is in their way any more.
///
/// # Errors
/// Something is left.
pub async fn take_away(at: &At) -> FaultResult<()> {
    let mut errors: Vec<FaultError> = at.site.settle().await.err().into_iter().collect();
    let record = at.site.record();
    let others = at.shelf.others(record.number);
    let on = Undoing { at: Some(at), admin: &at.admin, others: &others, is_over: record.is_over() };
    let (starts, first): (Vec<&Left>, Vec<&Left>) =
        record.left.iter().rev().partition(|it| matches!(it, Left::Dead { .. }));
    let mut done = Vec::new();
    for left in first {
        done.push(left.undo(&on).await);
    }
    done.extend(join_all(starts.into_iter().map(|it| it.undo(&on))).await);
    for one in done {
        match one {
            Ok(struck) => at.site.struck(struck),
            Err(error) => errors.push(error),
        }
    }
    FaultError::all(errors)
}
