//! What this process may write and answer for at this moment: read on every path, changed by the member alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::links::Links;
use super::orders::Orders;
use super::reach;
use super::tenants::Tenants;
use crate::clock;
use crate::models::cluster::member::Route;
use crate::models::cluster::node::{Incarnation, Role};
use crate::models::cluster::roster::Roster;
use crate::models::cluster::shard::{SHARDS, Shard};
use crate::planted::Planted;

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
    /// Shards that take in nothing more: they are on their way to another node.
    closing: Box<[AtomicBool]>,
    /// When each was taken, on this node's monotonic clock.
    taken: Box<[AtomicI64]>,
    tenants: Tenants,
    links: OnceLock<Links>,
    /// Until when this node may serve, on its monotonic clock.
    until_us: AtomicI64,
    /// This life was ended by others.
    lost: AtomicBool,
    leaving: AtomicBool,
    roster: Mutex<Arc<Roster>>,
    /// When that was read, on this node's monotonic clock.
    read_us: AtomicI64,
    changed: Notify,
    orders: Orders,
    lease: OnceLock<Duration>,
}

/// Lives of which it is certain that their processes have ended. That a lease is over proves nothing: whoever
/// stood still for long may wake, and grant from a slice to its end.
enum Ended {
    All,
    These(Vec<Incarnation>),
}

/// Beside the lease: to notice, to take the shard, and to read what it is about.
const SETTLES: Duration = Duration::from_millis(1_500);

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
            closing: (0..ALL).map(|_| AtomicBool::new(false)).collect(),
            taken: (0..ALL).map(|_| AtomicI64::new(i64::MIN)).collect(),
            tenants: Tenants::default(),
            links: OnceLock::new(),
            until_us: AtomicI64::new(i64::MIN),
            lost: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            roster: Mutex::default(),
            read_us: AtomicI64::new(i64::MIN),
            changed: Notify::new(),
            orders: Orders::default(),
            lease: OnceLock::new(),
        })
    }

    /// How long leases last, told once.
    pub(super) fn leased_for(&self, lease: Duration) {
        self.lease.get_or_init(|| lease);
    }

    /// Within which time the shards of a node that is gone are another's; none where nobody takes them. Who waits
    /// longer waits for a node that is there and is not reached.
    pub fn settles_within(&self) -> Option<Duration> {
        self.lease.get().map(|lease| *lease + *lease / 4 + SETTLES)
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

    /// What the register says from now on, for one that is [fixed](Placement::fixed): no member tells it. Others keep
    /// to what their member has read.
    pub fn show(&self, roster: Roster) {
        if matches!(self.ended, Ended::All) {
            self.publish(i64::MAX, Some(roster));
        }
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
            || Planted::EpochIgnored.is_made()
    }

    /// The epoch to write a shard's rows with; one that is refused where the shard is not this node's.
    pub fn epoch(&self, shard: Shard) -> i64 {
        self.epochs.get(usize::from(shard.0)).map_or(NONE, |epoch| epoch.load(Relaxed))
    }

    /// Whether this node takes in work for a shard: it owns it, and does not hand it over. The lease aside.
    pub fn admits(&self, shard: Shard) -> bool {
        let closing = self.closing.get(usize::from(shard.0));
        self.epoch(shard) != NONE && !closing.is_some_and(|closing| closing.load(Relaxed))
    }

    /// When a shard was taken, on this node's monotonic clock; long ago, where nobody else can have had it.
    pub fn taken_us(&self, shard: Shard) -> i64 {
        self.taken.get(usize::from(shard.0)).map_or(i64::MIN, |taken| taken.load(Relaxed))
    }

    /// Who is to be asked about a shard.
    pub fn route(&self, shard: Shard) -> Route {
        let epoch = self.epoch(shard);
        if epoch != NONE {
            return if self.admits(shard) { Route::Here(epoch) } else { Route::Nobody };
        }
        let roster = self.roster();
        let owner = roster.shard(shard).and_then(|row| row.owner);
        let owner = owner.filter(|owner| *owner != self.incarnation);
        match owner.and_then(|owner| roster.node(owner)) {
            Some(node) => Route::There(node.incarnation),
            None => Route::Nobody,
        }
    }

    /// Waits, for so long at most, until it can be said who is to be asked about a shard. What is on its way from
    /// one node to another is there in a moment.
    pub async fn whereabouts(&self, shard: Shard, patience: Duration) -> Route {
        let known = |it: &Placement| it.is_lost() || it.route(shard) != Route::Nobody;
        // Whoever waits no longer hears that nobody is there.
        let _ = tokio::time::timeout(patience, self.wait_for(known)).await;
        self.route(shard)
    }

    /// A shard that this node owns: the one asked for, or else any. What belongs to no one entity is written
    /// under it.
    pub fn some_of_mine(&self, shard: Shard) -> Option<Shard> {
        let all = || Shard::all(crate::models::cluster::node::Roles::ALL);
        std::iter::once(shard).chain(all()).find(|shard| self.admits(*shard))
    }

    /// Whether this node owns nothing and speaks with nobody who does, such as one whose certificate the others do not
    /// take: whatever it is asked for, it could not answer.
    pub fn is_astray(&self) -> bool {
        let roster = self.roster();
        self.some_of_mine(Shard(0)).is_none()
            && reach::is_cut_off(&roster, self.incarnation, &reach::reached(self.links()))
    }

    /// Whether no other node is known.
    pub fn is_alone(&self) -> bool {
        let roster = self.roster();
        !roster.nodes.iter().any(|node| !node.dead && node.incarnation != self.incarnation)
    }

    /// Nodes beside this one that are not known to be dead.
    pub fn others(&self) -> Vec<Incarnation> {
        let roster = self.roster();
        let living = roster.nodes.iter().filter(|node| !node.dead);
        living.map(|node| node.incarnation).filter(|it| *it != self.incarnation).collect()
    }

    /// The ways to other nodes; a node that is alone has none.
    pub fn links(&self) -> &Links {
        self.links.get_or_init(Links::alone)
    }

    /// Whoever keeps something of a shard in memory.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// How many of the 256 shards are this node's. Of the roles of the register that of SyncShield carries all work.
    pub fn owned(&self) -> usize {
        let all = (0..SHARDS).map(|place| Shard::of(Role::Shield, place));
        all.filter(|shard| self.epoch(*shard) >= 0).count()
    }

    /// The register as it was read last.
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When that was read, on this node's monotonic clock; `None`: not yet.
    pub(super) fn read_us(&self) -> Option<i64> {
        Some(self.read_us.load(Relaxed)).filter(|us| *us != i64::MIN)
    }

    /// What operators tell this node.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// This node was told to stop: it answers on, and says that it is not ready.
    pub fn begin_leaving(&self) {
        self.leaving.store(true, Relaxed);
    }

    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
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
        let at = usize::from(shard.0);
        if let (Some(own), Some(closing), Some(taken)) =
            (self.epochs.get(at), self.closing.get(at), self.taken.get(at))
        {
            if epoch.is_some_and(|epoch| epoch != own.load(Relaxed)) {
                taken.store(clock::mono_us(), Relaxed);
            }
            own.store(epoch.unwrap_or(NONE), Release);
            // Last: a shard that has come to rest must not seem open for a moment.
            closing.store(false, Release);
        }
        self.changed.notify_waiters();
    }

    /// From here on nothing new is taken in for a shard; what is under way is written with its epoch.
    pub(super) fn close(&self, shard: Shard) {
        if let Some(closing) = self.closing.get(usize::from(shard.0)) {
            closing.store(true, Relaxed);
        }
    }

    pub(super) fn connect(&self, links: Links) {
        // Once, before anything is served.
        let _ = self.links.set(links);
    }

    pub(super) fn publish(&self, until_us: i64, roster: Option<Roster>) {
        if self.is_lost() {
            return;
        }
        self.clocks_us.store(apart_us(), Relaxed);
        self.until_us.store(until_us, Relaxed);
        if let Some(roster) = roster {
            *self.roster.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
            self.read_us.store(clock::mono_us(), Relaxed);
        }
        self.changed.notify_waiters();
    }

    /// A member begins: what the one before it had is told anew.
    pub(super) fn clear(&self) {
        self.epochs.iter().for_each(|epoch| epoch.store(NONE, Relaxed));
        self.closing.iter().for_each(|closing| closing.store(false, Relaxed));
    }

    pub(super) fn lose(&self) {
        self.until_us.store(i64::MIN, Relaxed);
        self.epochs.iter().for_each(|epoch| epoch.store(NONE, Relaxed));
        self.lost.store(true, Relaxed);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::models::cluster::terms::ClusterTerms;

    const ME: Incarnation = Incarnation(1);

    fn placement() -> Arc<Placement> {
        Placement::new(ME, Vec::new(), i64::MAX)
    }

    #[test]
    fn shards_of_a_node_that_is_gone_settle_within_a_lease_a_quarter_of_it_and_a_moment() {
        for (lease_ms, settles_ms) in [(10_000, 14_000), (2_000, 4_000), (400, 2_000)] {
            let placement = placement();
            placement.leased_for(Duration::from_millis(lease_ms));
            assert_eq!(placement.settles_within(), Some(Duration::from_millis(settles_ms)));
            // What was told first holds.
            placement.leased_for(Duration::from_secs(60));
            assert_eq!(placement.settles_within(), Some(Duration::from_millis(settles_ms)));
        }
        // Nobody takes them.
        assert_eq!(placement().settles_within(), None);
        assert_eq!(Placement::fixed(ME, &BTreeMap::new()).settles_within(), None);
    }

    #[test]
    fn whoever_waits_for_a_shard_waits_longer_than_a_node_takes_to_be_replaced() {
        for terms in [ClusterTerms::default(), ClusterTerms::fast()] {
            let placement = placement();
            placement.leased_for(Duration::from_micros(terms.lease_us.unsigned_abs()));
            // It renewed right before its end; whoever looks finds that late, confirms it, and the others look again.
            let worst = terms.lease_us + terms.retry_us + terms.confirm_us + terms.look_us;
            let worst = Duration::from_micros(worst.unsigned_abs());
            assert!(placement.settles_within() > Some(worst), "{terms:?}");
        }
    }

    #[tokio::test]
    async fn a_shard_is_waited_for_until_it_is_there_and_no_longer_than_said() {
        let (placement, shard) = (placement(), Shard(3));
        let began = Instant::now();
        let gone = placement.whereabouts(shard, Duration::from_millis(50)).await;
        assert_eq!(gone, Route::Nobody);
        assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
        let comes = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            placement.set(shard, Some(4));
        };
        let patience = Duration::from_secs(60);
        let (found, ()) = tokio::join!(placement.whereabouts(shard, patience), comes);
        assert_eq!(found, Route::Here(4));
        assert!(began.elapsed() < patience / 2, "{:?}", began.elapsed());
    }
}
