//! Clients around the service: they ask at the same time, answers are lost, what failed is asked again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Run;
use super::service::{ACCOUNT, CAP, HOLD_US, Said, Service, WINDOW_CAP, WINDOW_US, campaign};
use crate::history::{Answer, Begin, Budget, Line, Op, Outcome, Phase};

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub clients: u32,
    pub operations: u64,
    pub budgets: usize,
    /// Of a thousand calls, those that fail in some way.
    pub trouble: u32,
    /// Caps are so large that nothing is refused for want of money.
    pub plenty: bool,
}

/// A call that is under way: what is to happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// It never arrives, or its answer never does.
    LostBefore,
    LostAfter,
    Unavailable,
}

#[derive(Clone, Debug)]
struct Call {
    id: u64,
    client: u32,
    op: Op,
    trouble: Trouble,
    answer_at: u64,
}

#[derive(Debug, Default)]
struct Client {
    holds: Vec<(usize, Box<str>, i64)>,
    /// What is to be asked again.
    again: Option<Op>,
}

struct World {
    random: ChaCha8Rng,
    size: Size,
    service: Service,
    clients: Vec<Client>,
    lines: Vec<Line>,
    next: u64,
}

/// A whole run of a correct service.
pub fn run(seed: u64, size: Size) -> Run {
    let more = if size.plenty { 10_000 } else { 1 };
    let mut world = World {
        random: ChaCha8Rng::seed_from_u64(seed),
        size,
        service: Service::new(size.budgets, more),
        clients: (0..size.clients).map(|_| Client::default()).collect(),
        lines: Vec::new(),
        next: 0,
    };
    let budgets = (0..size.budgets).map(|at| Budget {
        account: ACCOUNT.into(),
        campaign: campaign(at),
        currency: "EUR".into(),
        cap: CAP * more,
    });
    world.lines.push(Line::Begin(Begin {
        version: 1,
        title: "a correct service".to_owned(),
        seed,
        started_at: "2026-09-21T14:13:20Z".to_owned(),
        window_cap: WINDOW_CAP * more,
        window_us: WINDOW_US,
        hold_us: HOLD_US,
        budgets: budgets.collect(),
    }));
    let end = world.play();
    world.owners(end);
    world.lines.push(Line::End { at_us: end });
    let (ledger, audit, at_end) = world.service.end();
    Run { lines: world.lines, ledger, audit, end: at_end }
}

enum What {
    Invoke(u32),
    Arrive(Call),
    Answer(Call, Outcome),
}

impl World {
    fn play(&mut self) -> u64 {
        let mut queue = BinaryHeap::new();
        let mut events = Vec::new();
        for client in 0..self.size.clients {
            events.push(Some(What::Invoke(client)));
            queue.push(Reverse((u64::from(client) * 7, events.len() - 1)));
        }
        let mut now = 0;
        while let Some(Reverse((at, place))) = queue.pop() {
            now = at;
            let Some(event) = events[place].take() else { continue };
            let mut then = Vec::new();
            match event {
                What::Invoke(client) => self.invoke(now, client, &mut then),
                What::Arrive(call) => self.arrive(now, call, &mut then),
                What::Answer(call, outcome) => {
                    self.lines.push(Line::Complete { id: call.id, at_us: now, outcome });
                    let pause = self.random.random_range(0..60_000);
                    then.push((now + pause, What::Invoke(call.client)));
                }
            }
            for (at, event) in then {
                events.push(Some(event));
                queue.push(Reverse((at, events.len() - 1)));
            }
        }
        now
    }

    fn invoke(&mut self, now: u64, client: u32, then: &mut Vec<(u64, What)>) {
        if self.next >= self.size.operations {
            return;
        }
        let id = self.next;
        self.next += 1;
        let op = self.choose(client);
        let via = format!("n{}", client % 3).into();
        self.lines.push(Line::Invoke { id, at_us: now, client, via, op: op.clone() });
        let trouble = match self.random.random_range(0..1_000) {
            n if n >= self.size.trouble => Trouble::None,
            n => [Trouble::LostBefore, Trouble::LostAfter, Trouble::Unavailable][n as usize % 3],
        };
        let arrives = now + self.random.random_range(50..20_000);
        let answer_at = arrives + self.random.random_range(50..20_000);
        // An unanswered call may arrive long after its client has given up.
        let late = trouble == Trouble::LostAfter && self.random.random_bool(0.5);
        let arrives = if late { arrives + 500_000 } else { arrives };
        then.push((arrives, What::Arrive(Call { id, client, op, trouble, answer_at })));
    }

    fn arrive(&mut self, now: u64, call: Call, then: &mut Vec<(u64, What)>) {
        let after = call.answer_at;
        match call.trouble {
            Trouble::Unavailable => {
                let outcome =
                    Outcome::Unavailable { status: 503, code: "store_unavailable".into() };
                self.again(&call);
                then.push((after.max(now), What::Answer(call, outcome)));
            }
            Trouble::LostBefore | Trouble::LostAfter => {
                if call.trouble == Trouble::LostAfter {
                    self.serve(now, &call);
                }
                self.again(&call);
                match self.random.random_bool(0.3) {
                    // Nobody was told at all: the client goes on without an end of this one.
                    true => then.push((after.max(now) + 1, What::Invoke(call.client))),
                    false => {
                        let outcome = Outcome::Unknown { why: "cut".into() };
                        then.push((after.max(now), What::Answer(call, outcome)));
                    }
                }
            }
            Trouble::None => {
                let said = self.serve(now, &call);
                let at = after.max(now).max(said.not_before);
                self.learn(&call, &said);
                then.push((at, What::Answer(call, outcome(said))));
            }
        }
    }

    fn again(&mut self, call: &Call) {
        let repeat = matches!(call.op, Op::Authorise { .. } | Op::Settle { .. } | Op::Spend { .. });
        if repeat && self.random.random_bool(0.7) {
            self.clients[call.client as usize].again = Some(call.op.clone());
        }
    }

    fn learn(&mut self, call: &Call, said: &Said) {
        let client = &mut self.clients[call.client as usize];
        if let (Op::Authorise { campaign, amount, .. }, Some(hold)) = (&call.op, &said.hold) {
            let at = campaign[4..].parse().unwrap();
            client.holds.push((at, hold.as_str().into(), *amount));
        }
        // Some ask the same again though they were answered.
        if self.random.random_bool(0.05) && said.refused.is_none() {
            self.again(call);
        }
    }

    fn serve(&mut self, now: u64, call: &Call) -> Said {
        let at = |campaign: &str| campaign[4..].parse::<usize>().unwrap();
        let who = |person: &str| person[1..].parse::<u32>().unwrap();
        let service = &mut self.service;
        match &call.op {
            Op::Authorise { campaign, amount, key, .. } => {
                service.authorise(now, at(campaign), *amount, key, call.id.is_multiple_of(2))
            }
            Op::Settle { campaign, hold, amount, .. } => {
                service.settle(now, at(campaign), hold, *amount)
            }
            Op::Release { campaign, hold, .. } => service.release(now, at(campaign), hold),
            Op::Spend { campaign, amount, key, .. } => {
                service.spend(now, at(campaign), *amount, key)
            }
            Op::Read { campaign, .. } => service.read(now, at(campaign)),
            Op::SetCap { campaign, cap, .. } => service.set_cap(at(campaign), *cap),
            Op::Pause { campaign, .. } => service.pause(at(campaign), true),
            Op::Resume { campaign, .. } => service.pause(at(campaign), false),
            Op::Grant { person, .. } => service.consent(now, who(person), true),
            Op::Revoke { person, .. } => service.consent(now, who(person), false),
            Op::MayUse { person, .. } => service.may_use(now, who(person), call.client % 3),
            Op::Bid { .. } | Op::Billing { .. } | Op::Call { .. } => Said::default(),
        }
    }

    fn choose(&mut self, client: u32) -> Op {
        let random = &mut self.random;
        let mine = &mut self.clients[client as usize];
        if let Some(op) = mine.again.take() {
            return op;
        }
        let account: Box<str> = ACCOUNT.into();
        let at = random.random_range(0..self.size.budgets);
        let key: Box<str> = format!("k{}", self.next).into();
        let person: Box<str> = format!("p{}", random.random_range(0..4)).into();
        let consent: Box<str> = "marketing".into();
        let held = (!mine.holds.is_empty()).then(|| random.random_range(0..mine.holds.len()));
        match (random.random_range(0..100), held) {
            (0..30, Some(held)) => {
                let (at, hold, most) = mine.holds.swap_remove(held);
                let amount = random.random_range(0..=most);
                Op::Settle { account, campaign: campaign(at), hold, amount }
            }
            (30..40, Some(held)) => {
                let (at, hold, _) = mine.holds.swap_remove(held);
                Op::Release { account, campaign: campaign(at), hold }
            }
            (40..48, _) => {
                let amount = random.random_range(1..20) * 1_000_000;
                Op::Spend { account, campaign: campaign(at), amount, key }
            }
            (48..51, _) => {
                let amount = -random.random_range(1..10) * 1_000_000;
                Op::Spend { account, campaign: campaign(at), amount, key }
            }
            (51..60, _) => Op::Read { account, campaign: campaign(at) },
            (60, _) => {
                let more = if self.size.plenty { 10_000 } else { 1 };
                let cap = CAP * more + random.random_range(-500..500) * 1_000_000;
                Op::SetCap { account, campaign: campaign(at), cap }
            }
            (61, _) => Op::Pause { account, campaign: campaign(at) },
            (62..65, _) => Op::Resume { account, campaign: campaign(at) },
            (65..68, _) => Op::Grant { account, person, consent },
            (68..71, _) => Op::Revoke { account, person, consent },
            (71..80, _) => Op::MayUse { account, person, consent },
            _ => {
                let amount = random.random_range(1..12) * 1_000_000;
                Op::Authorise { account, campaign: campaign(at), amount, key }
            }
        }
    }

    /// What nodes say of who owns what, and a fault.
    fn owners(&mut self, end: u64) {
        let mut epoch = 1;
        for at in 0..20u64 {
            epoch += i64::from(self.random.random_bool(0.3));
            for node in 0..3 {
                self.lines.push(Line::Owner {
                    at_us: end * at / 20,
                    seen_by: format!("n{node}").into(),
                    shard: 7,
                    owner: format!("n{}", epoch % 3).into(),
                    epoch,
                });
            }
        }
        for (at_us, phase) in [(end / 4, Phase::Began), (end / 2, Phase::Ended)] {
            let (kind, target) = ("process.kill".into(), "n1".into());
            self.lines.push(Line::Fault { at_us, fault: 0, kind, target, phase });
        }
    }
}

fn outcome(said: Said) -> Outcome {
    if let Some(reason) = said.refused {
        return Outcome::Refused { status: 403, reason: reason.into() };
    }
    let answer = Answer {
        hold: said.hold.map(Into::into),
        seq: said.seq,
        amount: said.amount,
        remaining: said.remaining,
        replayed: said.replayed,
        allowed: said.allowed,
        campaign: None,
    };
    Outcome::Done { status: 200, answer }
}
