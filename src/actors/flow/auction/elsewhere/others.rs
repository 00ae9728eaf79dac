//! The other nodes, as bids know of them; and `/flow/others`, which tells them how many campaigns run here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::oneshot;

use super::running::Running;
use super::wire::{RUNNING, Verdict};
use crate::actors::flow::auction::Office;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::clock;
use crate::models::cluster::node::Incarnation;

/// How often it looks who is there, and how often it tells what has not changed (microseconds).
const EVERY: Duration = Duration::from_millis(200);
const TELLS_EVERY_US: i64 = 1_000_000;

/// Requests of another node whose bids wait for what becomes of them.
type Waiting = HashMap<(Incarnation, u64), oneshot::Sender<Verdict>>;

pub struct Others {
    /// Whether there is anybody to ask: all that a node alone looks at.
    any: AtomicBool,
    asked: ArcSwap<Vec<Incarnation>>,
    running: Mutex<Running>,
    waiting: Mutex<Waiting>,
    /// Names requests between nodes.
    next: AtomicU64,
}

impl Default for Others {
    fn default() -> Others {
        Others {
            any: AtomicBool::new(false),
            asked: ArcSwap::default(),
            running: Mutex::default(),
            waiting: Mutex::default(),
            next: AtomicU64::new(rand::random()),
        }
    }
}

impl Others {
    /// Those to be asked for bids; `None`: nobody.
    pub(super) fn asked(&self) -> Option<Arc<Vec<Incarnation>>> {
        self.any.load(Relaxed).then(|| self.asked.load_full())
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Running, i64)) {
        let now_us = clock::mono_us();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut running, now_us);
        let asked = running.asked(now_us);
        if **self.asked.load() != asked {
            let any = !asked.is_empty();
            self.asked.store(Arc::new(asked));
            self.any.store(any, Relaxed);
        }
    }

    pub(super) fn heard(&self, node: Incarnation, runs: usize) {
        self.change(|running, now_us| running.heard(node, runs, now_us));
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the verdict on a request will come; `None`: as many wait as may.
    pub(super) fn waits(
        &self,
        of: (Incarnation, u64),
        most: usize,
    ) -> Option<oneshot::Receiver<Verdict>> {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.len() >= most {
            return None;
        }
        waiting.insert(of, tell);
        Some(told)
    }

    pub(super) fn waits_no_more(&self, of: (Incarnation, u64)) {
        self.waiting().remove(&of);
    }

    pub(super) fn verdict(&self, from: Incarnation, verdict: Verdict) {
        let waiting = self.waiting().remove(&(from, verdict.id));
        // One that comes too late finds nobody: what was held was taken to be bid.
        let _ = waiting.map(|waiting| waiting.send(verdict));
    }
}

pub enum Msg {
    Look,
}

#[derive(Clone, Copy, Default, Serialize)]
pub struct View {
    nodes: usize,
    asked: usize,
    runs: usize,
    /// Requests of others whose bids wait here.
    waiting: usize,
}

pub struct OthersActor {
    office: Arc<Office>,
    told: usize,
    /// When it was told last (monotonic).
    told_us: i64,
    view: View,
}

impl OthersActor {
    pub fn new(office: Arc<Office>) -> OthersActor {
        OthersActor { office, told: 0, told_us: i64::MIN, view: View::default() }
    }

    fn look(&mut self) {
        let (office, now_us) = (&self.office, clock::mono_us());
        let placement = office.shield.placement();
        let others = placement.others();
        office.others.change(|running, now_us| running.follow(&others, now_us));
        let runs = office.market().seats.len();
        if runs != self.told || now_us.saturating_sub(self.told_us) >= TELLS_EVERY_US {
            (self.told, self.told_us) = (runs, now_us);
            for node in &others {
                let body = runs.to_string().into_bytes();
                // One that cannot be told takes some to be there.
                let _ = placement.links().tell(*node, RUNNING, body);
            }
        }
        let asked = office.others.asked.load().len();
        let waiting = office.others.waiting().len();
        self.view = View { nodes: others.len(), asked, runs, waiting };
    }
}

impl Actor for OthersActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "flow_others";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.look();
        cx.send_after(EVERY, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look => {
                self.look();
                cx.send_after(EVERY, Msg::Look);
            }
        }
        Ok(())
    }

    fn view(&self) -> View {
        self.view
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look => "Look",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::reason::Reason;

    #[test]
    fn a_verdict_reaches_the_request_that_it_is_of_and_no_other() {
        let (others, node) = (Others::default(), Incarnation(1));
        assert!(others.asked().is_none());
        others.heard(node, 2);
        assert_eq!(others.asked().as_deref(), Some(&vec![node]));
        let mut told = others.waits((node, 7), 1).expect("there is room");
        assert!(others.waits((node, 8), 1).is_none(), "no more than this wait");
        let verdict = |id| Verdict { id, ends: Vec::new(), otherwise: Reason::Deadline };
        others.verdict(Incarnation(2), verdict(7));
        others.verdict(node, verdict(8));
        assert!(told.try_recv().is_err());
        others.verdict(node, verdict(7));
        assert_eq!(told.try_recv(), Ok(verdict(7)));
        let late = others.waits((node, 9), 1).expect("there is room");
        others.waits_no_more((node, 9));
        others.verdict(node, verdict(9));
        drop(late);
        assert!(others.waits((node, 10), 1).is_some());
    }
}
