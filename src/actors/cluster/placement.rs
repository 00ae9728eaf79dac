//! What this process may write and answer for at this moment: read on every path, changed by the member alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::clock;
use crate::models::cluster::node::{Incarnation, Role};
use crate::models::cluster::roster::Roster;
use crate::models::cluster::shard::{SHARDS, Shard};

const ALL: usize = SHARDS as usize * Role::ALL.len();
/// The epoch of a shard that this node does not own: no write with it is accepted.
const NONE: i64 = -1;

/// The wall clock less the monotonic one.
fn apart_us() -> i64 {
    clock::wall_us() - clock::mono_us()
}

pub struct Placement {
    incarnation: Incarnation,
    ended: Ended,
    drift_max_us: i64,
    /// How far the clocks were apart when the lease was looked at last.
    clocks_us: AtomicI64,
    epochs: Box<[AtomicI64]>,
    /// Until when this node may serve, on its monotonic clock.
    until_us: AtomicI64,
    /// This life was ended by others.
    lost: AtomicBool,
    roster: Mutex<Arc<Roster>>,
    changed: Notify,
}

/// Lives of which it is certain that their processes have ended. That a lease is over proves nothing: whoever
/// stood still for long may wake, and grant from a slice to its end.
enum Ended {
    All,
    These(Vec<Incarnation>),
}

impl Placement {
    pub(super) fn new(
        incarnation: Incarnation,
        before: Vec<Incarnation>,
        drift_max_us: i64,
    ) -> Arc<Placement> {
        Placement::of(incarnation, Ended::These(before), drift_max_us)
    }

    fn of(incarnation: Incarnation, ended: Ended, drift_max_us: i64) -> Arc<Placement> {
        Arc::new(Placement {
            incarnation,
            ended,
            drift_max_us,
            clocks_us: AtomicI64::new(apart_us()),
            epochs: (0..ALL).map(|_| AtomicI64::new(NONE)).collect(),
            until_us: AtomicI64::new(i64::MIN),
            lost: AtomicBool::new(false),
            roster: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Of a process that is alone with its store, has taken these shards for good, and has no lease that could end.
    pub fn fixed(incarnation: Incarnation, epochs: &BTreeMap<i64, i64>) -> Arc<Placement> {
        let placement = Placement::of(incarnation, Ended::All, i64::MAX);
        for (shard, epoch) in epochs {
            if let Some(own) = usize::try_from(*shard).ok().and_then(|at| placement.epochs.get(at))
            {
                own.store(*epoch, Relaxed);
            }
        }
        placement.until_us.store(i64::MAX, Relaxed);
        placement
    }

    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Whether the process of an earlier life has certainly ended.
    pub fn has_ended(&self, life: Incarnation) -> bool {
        match self.ended {
            Ended::All => life != self.incarnation,
            Ended::These(ref before) => before.contains(&life),
        }
    }

    /// The last lives of this node, as far as it is certain that they have ended.
    pub(super) fn before(&self) -> &[Incarnation] {
        match &self.ended {
            Ended::All => &[],
            Ended::These(before) => before,
        }
    }

    /// Whether this node may answer for anything at all: its lease holds.
    pub fn serves(&self) -> bool {
        // A machine that stood still has not noticed yet, perhaps: see `Lease`.
        let drift_us = apart_us().saturating_sub(self.clocks_us.load(Relaxed)).saturating_abs();
        drift_us <= self.drift_max_us && clock::mono_us() < self.until_us.load(Relaxed)
    }

    /// The epoch to write a shard's rows with; one that is refused where the shard is not this node's.
    pub fn epoch(&self, shard: Shard) -> i64 {
        self.epochs.get(usize::from(shard.0)).map_or(NONE, |epoch| epoch.load(Relaxed))
    }

    /// How many shards are this node's.
    pub fn owned(&self) -> usize {
        self.epochs.iter().filter(|epoch| epoch.load(Relaxed) != NONE).count()
    }

    /// The register as it was read last.
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    /// Waits until this life is ended by others.
    pub async fn lost(&self) {
        self.wait_for(Placement::is_lost).await;
    }

    /// Waits until something that `look` finds is so.
    pub(super) async fn wait_for(&self, look: impl Fn(&Placement) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if look(self) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn set(&self, shard: Shard, epoch: Option<i64>) {
        if self.is_lost() {
            return;
        }
        if let Some(own) = self.epochs.get(usize::from(shard.0)) {
            own.store(epoch.unwrap_or(NONE), Relaxed);
        }
    }

    pub(super) fn publish(&self, until_us: i64, roster: Option<Roster>) {
        if self.is_lost() {
            return;
        }
        self.clocks_us.store(apart_us(), Relaxed);
        self.until_us.store(until_us, Relaxed);
        if let Some(roster) = roster {
            *self.roster.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
        }
        self.changed.notify_waiters();
    }

    /// A member begins: what the one before it had is told anew.
    pub(super) fn clear(&self) {
        self.epochs.iter().for_each(|epoch| epoch.store(NONE, Relaxed));
    }

    pub(super) fn lose(&self) {
        self.until_us.store(i64::MIN, Relaxed);
        self.epochs.iter().for_each(|epoch| epoch.store(NONE, Relaxed));
        self.lost.store(true, Relaxed);
        self.changed.notify_waiters();
    }
}
