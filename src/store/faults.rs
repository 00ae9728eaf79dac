//! Faults that tests and chaos runs put between the commit path and the database. Off by default.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fails before anything was written.
    BeforeCommit,
    /// Is committed, and its outcome is unknown to the caller.
    UnknownDone,
    /// Is not committed, and its outcome is unknown to the caller.
    UnknownUndone,
    /// The statements take this much longer.
    SlowStatements(Duration),
    /// The commit takes this much longer.
    SlowCommit(Duration),
}

/// The faults of one store; the next commits meet them in order of their setting.
#[derive(Debug, Default)]
pub struct Faults {
    next: Mutex<Vec<(Fault, u32)>>,
}

impl Faults {
    /// The next `times` transactions (behind those already set) meet this fault.
    pub fn set(&self, fault: Fault, times: u32) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).push((fault, times));
    }

    pub fn clear(&self) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn take(&self) -> Option<Fault> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.retain(|(_, times)| *times > 0);
        let (fault, times) = next.first_mut()?;
        *times -= 1;
        Some(*fault)
    }
}
