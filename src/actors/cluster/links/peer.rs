//! Another node, as this one sees it: the way to it, and what is known of that way.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::Serialize;
use utoipa::ToSchema;

use super::LinkError;
use super::line::Line;
use crate::actors::cluster::metrics;
use crate::clock;
use crate::models::cluster::node::{Incarnation, NodeRow};

/// A node that joins is let in when the others have read the register anew: until then nothing is told of it.
const KNOWN_AFTER_US: i64 = 5_000_000;
/// A node whose leases are not as long as here is complained about so often.
const COMPLAIN_EVERY_US: i64 = 60_000_000;

/// The end of a node in order takes no longer. One that hands over for longer hangs, and is complained about like others.
const LEAVES_WITHIN_US: i64 = 60_000_000;
/// What the log was told last of a node that leaves.
const LEAVES: &str = "it leaves";

/// One life of another node.
pub struct Peer {
    pub name: String,
    pub incarnation: Incarnation,
    pub address: String,
    line: ArcSwapOption<Line>,
    asks: AtomicU64,
    failures: AtomicU64,
    begun_us: i64,
    seen: Mutex<Seen>,
}

struct Seen {
    state: LinkState,
    since_us: i64,
    rtt_us: Option<i64>,
    smoothed_us: Option<i64>,
    last_error: Option<String>,
    /// What the log was told last.
    told: Option<String>,
    /// How long its leases last and how long those of this node do, where that is not the same.
    leases_ms: Option<(u32, u32)>,
    complained_us: Option<i64>,
    /// Since when the register says that it hands everything over: its end is no surprise.
    leaves_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// It was not reached yet.
    Dialling,
    Up,
    /// It was reached, or should have been, and is not.
    Away,
}

/// The way to another node, as operators see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LinkView {
    pub node: String,
    pub incarnation: String,
    pub address: String,
    pub state: LinkState,
    /// Since when it is so, in microseconds since 1970-01-01 UTC.
    pub since_us: i64,
    /// From a probe to its echo, the last time.
    pub rtt_us: Option<i64>,
    /// The same, smoothed over the last eight.
    pub rtt_smoothed_us: Option<i64>,
    /// Questions without an answer yet.
    pub in_flight: usize,
    pub asks: u64,
    /// Questions that were not asked, or not answered in time.
    pub failures: u64,
    pub last_error: Option<String>,
    /// How long leases of that node last, where that is not as long as here: `cluster.leases` should be the same on all
    /// nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_lease_ms: Option<u32>,
}

impl Peer {
    pub fn new(row: &NodeRow) -> Peer {
        Peer {
            name: row.name.clone(),
            incarnation: row.incarnation,
            address: row.address.clone(),
            line: ArcSwapOption::empty(),
            asks: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            begun_us: clock::mono_us(),
            seen: Mutex::new(Seen {
                state: LinkState::Dialling,
                since_us: clock::wall_us(),
                rtt_us: None,
                smoothed_us: None,
                last_error: None,
                told: None,
                leases_ms: None,
                complained_us: None,
                leaves_us: row.draining.then(clock::mono_us),
            }),
        }
    }

    /// Whether it hands everything over, as the register has it now.
    pub fn leaves(&self, draining: bool) {
        let mut seen = self.seen();
        seen.leaves_us = draining.then(|| seen.leaves_us.unwrap_or_else(clock::mono_us));
    }

    /// How long its leases last, and those of this node; 0: it does not say.
    pub fn compare_leases(&self, theirs_ms: u32, own_ms: u32) {
        let differ = theirs_ms != 0 && theirs_ms != own_ms;
        self.seen().leases_ms = differ.then_some((theirs_ms, own_ms));
    }

    /// Complains about what differs, once in a while.
    pub fn complain(&self) {
        let mut seen = self.seen();
        let Some((theirs_ms, own_ms)) = seen.leases_ms else { return };
        let now_us = clock::mono_us();
        if seen.complained_us.is_none_or(|us| now_us.saturating_sub(us) >= COMPLAIN_EVERY_US) {
            seen.complained_us = Some(now_us);
            let node = &self.name;
            tracing::warn!(%node, theirs_ms, own_ms, "leases of node {node} last {theirs_ms} ms, and those of this node {own_ms} ms: \
                cluster.leases should be the same on all nodes");
        }
    }

    /// Whether the register says the same of it.
    pub fn is(&self, row: &NodeRow) -> bool {
        self.incarnation == row.incarnation && self.address == row.address && self.name == row.name
    }

    pub async fn ask(
        &self,
        kind: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, LinkError> {
        self.asks.fetch_add(1, Relaxed);
        metrics::link_asked();
        let answer = match self.line.load_full() {
            Some(line) => line.ask(kind, body, patience).await,
            None => Err(LinkError::Away),
        };
        if let Err(LinkError::Away | LinkError::Full | LinkError::Silent) = answer {
            self.failures.fetch_add(1, Relaxed);
            metrics::link_failed();
        }
        answer
    }

    pub fn tell(&self, kind: &str, body: Vec<u8>) -> Result<(), LinkError> {
        self.line.load().as_ref().ok_or(LinkError::Away)?.tell(kind, body)
    }

    /// From now on it is asked over this line, until that is given back.
    pub fn stands(&self, line: Arc<Line>) -> Standing<'_> {
        self.line.store(Some(Arc::clone(&line)));
        self.turn(LinkState::Up);
        Standing { peer: self, line }
    }

    /// It is not reached, or was lost.
    pub fn failed(&self, error: String) {
        let mut seen = self.seen();
        let now_us = clock::mono_us();
        let is_known = now_us.saturating_sub(self.begun_us) > KNOWN_AFTER_US;
        let leaves = |us: i64| now_us.saturating_sub(us) <= LEAVES_WITHIN_US;
        let (node, address) = (&self.name, &self.address);
        if seen.leaves_us.is_some_and(leaves) {
            // It ends in order, and in how many ways its end is noticed is nobody's concern.
            if is_known && seen.told.is_none() {
                tracing::info!(%node, %address, "node {node} leaves: the link to it has ended");
                seen.told = Some(LEAVES.to_owned());
            }
        } else if is_known && seen.told.as_ref() != Some(&error) {
            tracing::warn!(%node, %address, %error, "there is no link to node {node}: {error}");
            seen.told = Some(error.clone());
        }
        seen.last_error = Some(error);
        drop(seen);
        self.turn(LinkState::Away);
    }

    pub fn measured(&self, rtt_us: i64) {
        metrics::link_rtt(rtt_us);
        let mut seen = self.seen();
        seen.rtt_us = Some(rtt_us);
        seen.smoothed_us = Some(seen.smoothed_us.map_or(rtt_us, |it| it + (rtt_us - it) / 8));
    }

    pub fn view(&self) -> LinkView {
        let in_flight = self.line.load().as_ref().map_or(0, |line| line.in_flight());
        let seen = self.seen();
        LinkView {
            node: self.name.clone(),
            incarnation: self.incarnation.to_string(),
            address: self.address.clone(),
            state: seen.state,
            since_us: seen.since_us,
            rtt_us: seen.rtt_us,
            rtt_smoothed_us: seen.smoothed_us,
            in_flight,
            asks: self.asks.load(Relaxed),
            failures: self.failures.load(Relaxed),
            last_error: seen.last_error.clone(),
            other_lease_ms: seen.leases_ms.map(|(theirs_ms, _)| theirs_ms),
        }
    }

    fn turn(&self, state: LinkState) {
        let mut seen = self.seen();
        if seen.state != state {
            (seen.state, seen.since_us) = (state, clock::wall_us());
        }
        if state == LinkState::Up {
            (seen.last_error, seen.told) = (None, None);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line that is in use. However its task ends, nobody waits on it afterwards.
pub struct Standing<'a> {
    peer: &'a Peer,
    pub line: Arc<Line>,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.peer.line.store(None);
        self.line.end();
        self.peer.turn(LinkState::Away);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::cluster::node::Roles;

    #[test]
    fn a_node_that_leaves_is_no_concern_until_it_takes_too_long() {
        let row = NodeRow {
            incarnation: Incarnation(1),
            name: "node-1".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            roles: Roles::ALL,
            version: "1".to_owned(),
            joined_us: 0,
            lease_until_us: 0,
            draining: true,
            dead: false,
        };
        let mut peer = Peer::new(&row);
        peer.begun_us -= 2 * KNOWN_AFTER_US;
        let told = |peer: &Peer| peer.seen().told.clone();
        peer.failed("refused".to_owned());
        assert_eq!(told(&peer).as_deref(), Some(LEAVES));
        peer.seen().leaves_us = Some(clock::mono_us() - LEAVES_WITHIN_US - 1);
        // The register says it once more, and that does not begin anew.
        peer.leaves(true);
        peer.failed("refused".to_owned());
        assert_eq!(told(&peer).as_deref(), Some("refused"));
        peer.leaves(false);
        peer.leaves(true);
        assert!(peer.seen().leaves_us.is_some_and(|us| clock::mono_us() - us < LEAVES_WITHIN_US));
    }
}
