//! The simulated world: virtual time, the event queue, the network, and the dice.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::check::Check;
use super::client::Clients;
use super::node::Node;
use super::store::Store;
use crate::cluster::member::{Reply, Request};
use crate::cluster::terms::ClusterTerms;
use crate::shield::ask::{Answer, Ask};
use crate::shield::authority::CommitOutcome;
use crate::shield::day::DaySpan;
use crate::shield::effect::{Batch, Lane, Note};
use crate::shield::entry::{Op, SliceId};
use crate::shield::hold::Hold;
use crate::shield::limits::{Bug, Limits};
use crate::shield::money::Micros;
use crate::shield::purse::Authorise;

pub const NODES: usize = 3;
/// Budget 0 is the account; the others are its campaigns.
pub const BUDGETS: usize = 4;
pub const ACCOUNT: usize = 0;
pub const MS: i64 = 1_000;
pub const SECOND: i64 = 1_000_000;
/// Virtual time begins 40 s before midnight UTC, so that runs cross it while they are busy.
pub const EPOCH_WALL_US: i64 = 1_795_219_160 * SECOND;

pub fn limits(bug: Option<Bug>) -> Limits {
    Limits {
        slice_ttl_us: 5 * SECOND,
        slice_margin_us: 500 * MS,
        hold_ttl_max_us: 8 * SECOND,
        grace_us: 2 * SECOND,
        holds_max: 200,
        slices_max: 64,
        batch_max: 8,
        pending_max: 64,
        recall_wait_us: SECOND,
        resend_us: 500 * MS,
        drift_max_us: SECOND,
        bug,
    }
}

pub fn terms(bug: Option<Bug>) -> ClusterTerms {
    let terms = ClusterTerms {
        lease_us: 3 * SECOND,
        renew_us: 800 * MS,
        margin_us: SECOND,
        look_us: 300 * MS,
        confirm_us: 200 * MS,
        drift_max_us: SECOND,
        settle_us: 4 * SECOND,
        hand_max: 2,
        hand_patience_us: 2 * SECOND,
        retry_us: 100 * MS,
        bug,
    };
    assert_eq!(terms.mistake(), None);
    terms
}

/// How far the store's clock may be from true time, either way: half a margin less what is lost on the way.
pub const STORE_CLOCK_US: i64 = 450 * MS;

/// Who asked an authority.
#[derive(Clone, Debug)]
pub enum Asker {
    Lane {
        node: usize,
        incarnation: u64,
        campaign: usize,
        lane: Lane,
        slice: SliceId,
    },
    Book {
        node: usize,
        incarnation: u64,
        campaign: usize,
        hold: Op,
    },
    /// A campaign's authority tells the account's what was booked.
    Told {
        node: usize,
        incarnation: u64,
        tell: u64,
    },
    Client {
        op: Op,
    },
    /// A notice that outlived the node that took it, booked by the next.
    Notice {
        hold: Op,
    },
}

#[derive(Clone, Debug)]
pub enum Message {
    Authorise { campaign: usize, ask: Authorise },
    Settle { campaign: usize, hold: Op, amount: Micros },
    Release { campaign: usize, hold: Op },
    Notice { campaign: usize, hold: Op, price: Micros },
    Ask { budget: usize, ask: Ask, from: Asker },
    LaneAnswer { campaign: usize, lane: Lane, slice: SliceId, answer: Answer },
    BookAnswer { campaign: usize, hold: Op, answer: Answer },
    ToldAnswer { tell: u64 },
    Recall { campaign: usize, lane: Lane, slice: SliceId },
    Notes { notes: Vec<Note>, from: Asker },
}

#[derive(Debug)]
pub enum Event {
    Deliver {
        node: usize,
        incarnation: Option<u64>,
        message: Message,
    },
    /// The store meets a commit: only now is it decided whether it happens.
    Apply {
        node: usize,
        incarnation: u64,
        budget: usize,
        epoch: i64,
        generation: u64,
        batch: Box<Batch>,
        answer: Option<i64>,
    },
    Committed {
        node: usize,
        incarnation: u64,
        budget: usize,
        generation: u64,
        outcome: CommitOutcome,
    },
    Load {
        node: usize,
        incarnation: u64,
        budget: usize,
        epoch: i64,
    },
    Tick {
        node: usize,
        incarnation: u64,
    },
    /// The register meets what a member asks of it, or not; then it answers, or not.
    Register {
        node: usize,
        incarnation: u64,
        request: Box<Request>,
        answers: bool,
    },
    Replied {
        node: usize,
        incarnation: u64,
        request: Box<Request>,
        reply: Box<Reply>,
    },
    Restart {
        node: usize,
    },
    Resume {
        node: usize,
    },
    Client,
    Fault,
}

pub struct World {
    pub t: i64,
    pub steps: u64,
    pub rng: ChaCha8Rng,
    pub bug: Option<Bug>,
    pub limits: Limits,
    pub nodes: Vec<Node>,
    pub store: Store,
    pub check: Check,
    pub clients: Clients,
    /// Faults are over: what is asked for now must be answered.
    pub calm: bool,
    /// The longest time between two faults: some runs are a storm, others are mostly at work.
    pub gap_us: i64,
    /// Whether the day's caps are the narrow ones, rather than the lifetime caps.
    pub tight_days: bool,
    /// A wall clock was moved: from here on nodes may disagree about the day.
    pub jumped: bool,
    /// Bidders have gone home: what is open must come to its end.
    pub quiet: bool,
    /// Nodes that cannot be reached by others.
    pub cut: [bool; NODES],
    /// Nodes that cannot reach the store.
    pub stranded: [bool; NODES],
    /// Budgets that were taken from their owners unasked, with the epochs that those had.
    pub usurped: HashSet<(usize, i64)>,
    pub terms: ClusterTerms,
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    events: std::collections::HashMap<u64, Event>,
    made: u64,
}

/// What a run found, if anything: the invariant's number and what was seen.
pub type Verdict = Result<(), String>;

impl World {
    pub fn new(seed: u64, bug: Option<Bug>) -> World {
        let limits = limits(bug);
        let mut world = World {
            t: 0,
            steps: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            bug,
            nodes: (0..NODES).map(|i| Node::new(i, i as i64 * 1_000 * SECOND + 7, bug)).collect(),
            tight_days: seed % 2 == 1,
            store: Store::new(seed % 2 == 1),
            check: Check::default(),
            clients: Clients::default(),
            calm: false,
            gap_us: [2, 8, 25][(seed % 3) as usize] * SECOND,
            quiet: false,
            jumped: false,
            cut: [false; NODES],
            stranded: [false; NODES],
            usurped: HashSet::new(),
            terms: terms(bug),
            queue: BinaryHeap::new(),
            events: Default::default(),
            made: 0,
            limits,
        };
        world.store.register.bug = bug;
        for node in 0..NODES {
            world.boot(node);
        }
        world.at(0, Event::Client);
        world.at(2 * SECOND, Event::Fault);
        world
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub fn at(&mut self, t: i64, event: Event) {
        self.made += 1;
        self.queue.push(Reverse((t, self.made)));
        self.events.insert(self.made, event);
    }

    pub fn after(&mut self, us: i64, event: Event) {
        self.at(self.t + us, event);
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100u32) < percent
    }

    pub fn pick(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..=high)
    }

    /// Sends a message: between nodes it may be lost, doubled, or late.
    pub fn send(&mut self, from: usize, node: usize, incarnation: Option<u64>, message: Message) {
        if from == node {
            self.after(1, Event::Deliver { node, incarnation, message });
            return;
        }
        let is_cut = self.cut.get(from).is_some_and(|c| *c) || self.cut[node];
        if is_cut || (!self.calm && self.chance(3)) {
            return;
        }
        let copies = if !self.calm && self.chance(3) { 2 } else { 1 };
        for _ in 0..copies {
            let slow = !self.calm && self.chance(3);
            let delay = if slow {
                self.between(SECOND / 2, 4 * SECOND)
            } else {
                self.between(100, 20 * MS)
            };
            self.after(delay, Event::Deliver { node, incarnation, message: message.clone() });
        }
    }

    /// One step: the next event, and every invariant that it could break.
    pub fn step(&mut self) -> Verdict {
        let Some(Reverse((t, id))) = self.queue.pop() else {
            return Err("LV: nothing is left to happen".into());
        };
        self.t = self.t.max(t);
        self.steps += 1;
        if let Some(event) = self.events.remove(&id) {
            self.happen(event);
        }
        self.check.verdict()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { node, incarnation, message } => {
                let n = &self.nodes[node];
                if !n.up || incarnation.is_some_and(|i| i != n.incarnation) {
                    return;
                }
                if let Some(until) = n.paused_until {
                    // A paused node's socket keeps what arrives.
                    self.at(until + 1, Event::Deliver { node, incarnation, message });
                    return;
                }
                self.receive(node, message);
            }
            Event::Apply { node, incarnation, budget, epoch, generation, batch, answer } => {
                self.apply(node, incarnation, budget, (epoch, generation), *batch, answer);
            }
            Event::Committed { node, incarnation, budget, generation, outcome } => {
                if let Some(until) = self.nodes[node].paused_until {
                    let again = Event::Committed { node, incarnation, budget, generation, outcome };
                    self.at(until + 1, again);
                    return;
                }
                self.committed(node, incarnation, budget, generation, outcome);
            }
            Event::Load { node, incarnation, budget, epoch } => {
                self.load(node, incarnation, budget, epoch);
            }
            Event::Tick { node, incarnation } => self.tick(node, incarnation),
            Event::Register { node, incarnation, request, answers } => {
                self.register(node, incarnation, request, answers);
            }
            Event::Replied { node, incarnation, request, reply } => {
                if let Some(until) = self.nodes[node].paused_until {
                    let again = Event::Replied { node, incarnation, request, reply };
                    self.at(until + 1, again);
                    return;
                }
                self.replied(node, incarnation, &request, *reply);
            }
            Event::Restart { node } => self.boot(node),
            Event::Resume { node } => self.nodes[node].paused_until = None,
            Event::Client => self.client_acts(),
            Event::Fault => self.fault_strikes(),
        }
    }

    pub fn promise(&mut self, campaign: usize, hold: &Hold, node: usize) {
        let today = DaySpan::at("UTC", EPOCH_WALL_US + self.t).day;
        if !self.jumped && hold.day != today {
            let (day, today) = (hold.day.0, today.0);
            self.check.fail(format!("BG-1: a hold of day {day} was granted on day {today}"));
        }
        let left = hold.expires_us - self.nodes[node].now(self.t).mono_us;
        let until = self.t + left + self.limits.grace_us;
        let life = self.t - self.limits.slice_ttl_us + self.limits.slice_life_us();
        self.check.granted(self.t, campaign, hold, until, life.max(until));
    }
}
