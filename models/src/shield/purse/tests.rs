//! A purse, its campaign and its account, each answering at once.

use std::collections::{HashMap, VecDeque};

use super::*;
use crate::shield::authority::{Authority, CommitOutcome};
use crate::shield::budget::Budget;
use crate::shield::core::Core;
use crate::shield::terms::{Terms, WindowCap};
use crate::shield::window::Window;

const SECOND: i64 = 1_000_000;
const UNIT: i64 = 1_000_000;

struct Small {
    campaign: Authority,
    account: Authority,
    purse: Purse,
    now: Now,
    tickets: u64,
    /// Whether the store takes commits.
    store: bool,
    answers: Vec<HoldAnswer>,
}

enum From {
    Authority(Lane),
    Purse,
}

impl Small {
    fn new(lifetime: i64, window: i64) -> Small {
        let currency = "USD".parse().expect("a currency");
        let limits = Limits::default();
        let authority = |terms| {
            let budget = Budget { core: Core::new(terms), window: Window::default() };
            Authority::new(budget, limits.clone())
        };
        let cap = WindowCap { amount: Micros(window * UNIT), length_us: 3_600 * SECOND };
        Small {
            campaign: authority(Terms::campaign(currency, Micros(lifetime * UNIT))),
            account: authority(Terms::account(currency, Some(cap))),
            purse: Purse::new(HolderId(7), Rate::ONE, limits.clone()),
            now: Now { mono_us: SECOND, wall_us: 1_700_000_000 * SECOND },
            tickets: 0,
            store: true,
            answers: Vec::new(),
        }
    }

    fn carry(&mut self, from: From, effects: Vec<Effect>) {
        let mut queue: VecDeque<(Option<Lane>, Effect)> = VecDeque::new();
        let lane = match from {
            From::Authority(lane) => Some(lane),
            From::Purse => None,
        };
        queue.extend(effects.into_iter().map(|e| (lane, e)));
        // Who waits for which answer of an authority, in order: one request at a time is under way.
        let mut asked: HashMap<(Lane, Ticket), Back> = HashMap::new();
        while let Some((of, effect)) = queue.pop_front() {
            let mut out = Vec::new();
            let mut next = None;
            match effect {
                Effect::Commit(_) => {
                    next = of;
                    let done = match self.store {
                        true => CommitOutcome::Done,
                        false => CommitOutcome::Failed,
                    };
                    let now = self.now;
                    self.authority(of).committed(now, done, &mut out);
                }
                Effect::Tell { notes, then, ops } => {
                    let ticket = self.ticket();
                    let mut told = Vec::new();
                    self.account.ask(self.now, ticket, Ask::Note(notes), &mut told);
                    queue.extend(told.into_iter().map(|e| (Some(Lane::Account), e)));
                    self.campaign.told(&ops);
                    next = Some(Lane::Budget);
                    out.extend(then.into_iter().map(|(t, a)| Effect::Reply(t, a)));
                }
                Effect::Reply(ticket, answer) => {
                    match asked.remove(&(of.expect("an authority"), ticket)) {
                        Some(Back::Lane(lane, slice)) => {
                            self.purse.answered(self.now, lane, slice, answer, &mut out);
                        }
                        Some(Back::Hold(hold)) => {
                            self.purse.settled(self.now, hold, answer, &mut out);
                        }
                        None => {}
                    }
                }
                Effect::Ask { lane, ask } => {
                    let slice = match &ask {
                        Ask::Take { slice, .. }
                        | Ask::Grow { slice, .. }
                        | Ask::Return { slice, .. } => *slice,
                        other => unreachable!("{other:?} of a purse"),
                    };
                    let ticket = self.ticket();
                    asked.insert((lane, ticket), Back::Lane(lane, slice));
                    next = Some(lane);
                    let now = self.now;
                    self.authority(next).ask(now, ticket, ask, &mut out);
                }
                Effect::Book { hold, ask } => {
                    let ticket = self.ticket();
                    asked.insert((Lane::Budget, ticket), Back::Hold(hold));
                    next = Some(Lane::Budget);
                    self.campaign.ask(self.now, ticket, ask, &mut out);
                }
                Effect::Recall { slice, .. } => {
                    let lane = of.expect("an authority");
                    self.purse.recall(self.now, lane, slice, &mut out);
                }
                Effect::Hold(_, answer) => self.answers.push(answer),
                Effect::Journal(_) => {}
                other => unreachable!("{other:?}"),
            }
            queue.extend(out.into_iter().map(|e| (next, e)));
        }
    }

    fn authority(&mut self, lane: Option<Lane>) -> &mut Authority {
        match lane {
            Some(Lane::Account) => &mut self.account,
            _ => &mut self.campaign,
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn check(&mut self, id: u128, amount: i64) -> HoldAnswer {
        let ask = Authorise {
            id: Op(id),
            amount: Micros(amount),
            ttl_us: 30 * SECOND,
            body: amount as u64,
            deadline_us: self.now.mono_us + SECOND,
        };
        let ticket = self.ticket();
        let mut out = Vec::new();
        self.purse.ask(self.now, ticket, ask, &mut out);
        self.carry(From::Purse, out);
        self.answers.pop().expect("an answer")
    }

    fn settle(&mut self, id: u128, amount: i64) -> HoldAnswer {
        let ticket = self.ticket();
        let mut out = Vec::new();
        self.purse.settle(self.now, Some(ticket), Op(id), Micros(amount), &mut out);
        self.carry(From::Purse, out);
        self.answers.pop().expect("an answer")
    }

    fn pass(&mut self, us: i64) {
        self.now.mono_us += us;
        self.now.wall_us += us;
        for lane in Lane::ALL {
            let now = self.now;
            let mut out = Vec::new();
            self.authority(Some(lane)).tick(now, &mut out);
            self.carry(From::Authority(lane), out);
        }
        let mut out = Vec::new();
        self.purse.tick(self.now, &mut out);
        self.carry(From::Purse, out);
    }
}

enum Back {
    Lane(Lane, SliceId),
    Hold(Op),
}

#[test]
fn a_lone_bidder_can_spend_its_account_to_the_cap_whatever_its_bids() {
    for bid in [UNIT / 2, UNIT, 5 * UNIT, 10 * UNIT, 50 * UNIT] {
        let mut small = Small::new(1_000, 500);
        let mut spent = 0;
        for id in 0.. {
            match small.check(id, bid) {
                HoldAnswer::Held { .. } => {}
                HoldAnswer::Refused(refusal) => {
                    assert_eq!(refusal.reason, Reason::WindowExceeded);
                    break;
                }
                other => unreachable!("{other:?}"),
            }
            assert!(matches!(small.settle(id, bid), HoldAnswer::Settled { .. }));
            spent += bid;
            small.pass(1_000);
        }
        assert_eq!(spent, 500 * UNIT, "in bids of {bid}");
    }
}

#[test]
fn a_settled_hold_is_not_granted_anew_under_its_key() {
    let mut small = Small::new(1_000, 500);
    let HoldAnswer::Held { replayed: false, .. } = small.check(1, 30 * UNIT) else { panic!() };
    let HoldAnswer::Settled { replayed: false, .. } = small.settle(1, 20 * UNIT) else { panic!() };
    let held = small.purse.held();
    let again = small.check(1, 30 * UNIT);
    let HoldAnswer::Held { hold, replayed: true } = again else { panic!("{again:?}") };
    assert_eq!(hold.state, HoldState::Settled(Micros(20 * UNIT)));
    assert_eq!(small.purse.held(), held, "nothing is set aside for it");
    assert_eq!(small.check(1, 31 * UNIT), HoldAnswer::Mismatch, "another request, the same key");
}

#[test]
fn a_hold_whose_settle_the_ledger_has_with_another_amount_ends() {
    let mut small = Small::new(1_000, 500);
    small.check(1, 30 * UNIT);
    let mut out = Vec::new();
    let ticket = small.ticket();
    small.purse.settle(small.now, Some(ticket), Op(1), Micros(UNIT), &mut out);
    out.clear();
    small.purse.settled(small.now, Op(1), Answer::Mismatch, &mut out);
    let told = out.iter().any(|e| matches!(e, Effect::Hold(_, HoldAnswer::Mismatch)));
    assert!(told, "{out:?}");
    assert_eq!((small.purse.open_holds(), small.purse.held()), (0, Micros::ZERO));
}

#[test]
fn while_the_store_takes_nothing_a_bid_is_told_so_at_once() {
    let mut small = Small::new(1_000, 500);
    small.store = false;
    assert_eq!(small.check(1, UNIT), HoldAnswer::Unavailable);
    small.store = true;
    small.pass(2 * SECOND);
    assert!(matches!(small.check(2, UNIT), HoldAnswer::Held { .. }));
}

#[test]
fn a_grant_that_was_on_its_way_while_the_machine_stood_still_is_not_used() {
    let mut small = Small::new(1_000, 500);
    let ask = Authorise {
        id: Op(1),
        amount: Micros(UNIT),
        ttl_us: SECOND,
        body: 1,
        deadline_us: 60 * SECOND,
    };
    let mut out = Vec::new();
    small.purse.ask(small.now, Ticket(1), ask, &mut out);
    let slices: Vec<(Lane, SliceId)> = out
        .iter()
        .filter_map(|e| match e {
            Effect::Ask { lane, ask: Ask::Take { slice, .. } } => Some((*lane, *slice)),
            _ => None,
        })
        .collect();
    assert_eq!(slices.len(), 2);
    // Wall time has gone on for a minute, monotonic time has not.
    small.now.wall_us += 60 * SECOND;
    small.purse.tick(small.now, &mut out);
    for (lane, slice) in slices {
        let grant = crate::shield::budget::Grant {
            slice,
            quota: Micros(10 * UNIT),
            day: crate::shield::entry::Day(20231114),
            serves_us: 10 * SECOND,
        };
        small.purse.answered(small.now, lane, slice, Answer::Granted(grant), &mut out);
        assert!(small.purse.lane(lane).serving().is_none(), "{lane:?}");
    }
}

/// A request that waits, and the slices that its purse asks for.
fn waits(small: &mut Small, id: u128, deadline_us: i64) -> Vec<(Lane, SliceId)> {
    let ask =
        Authorise { id: Op(id), amount: Micros(UNIT), ttl_us: 30 * SECOND, body: 1, deadline_us };
    let (ticket, mut out) = (Ticket(id as u64), Vec::new());
    small.purse.ask(small.now, ticket, ask, &mut out);
    let slice = |effect: &Effect| match effect {
        Effect::Ask { lane, ask: Ask::Take { slice, .. } } => Some((*lane, *slice)),
        _ => None,
    };
    out.iter().filter_map(slice).collect()
}

/// What becomes of those that wait when their slices are granted.
fn granted(small: &mut Small, slices: Vec<(Lane, SliceId)>) -> Vec<(u64, bool)> {
    let mut out = Vec::new();
    for (lane, slice) in slices {
        let day = crate::shield::entry::Day(20231114);
        let quota = Micros(10 * UNIT);
        let grant = crate::shield::budget::Grant { slice, quota, day, serves_us: 10 * SECOND };
        small.purse.answered(small.now, lane, slice, Answer::Granted(grant), &mut out);
    }
    let told = |effect: &Effect| match effect {
        Effect::Hold(ticket, answer) => Some((ticket.0, matches!(answer, HoldAnswer::Held { .. }))),
        _ => None,
    };
    out.iter().filter_map(told).collect()
}

#[test]
fn money_that_comes_too_late_for_a_bid_is_held_for_those_that_still_wait() {
    let mut small = Small::new(1_000, 500);
    let begun_us = small.now.mono_us;
    let slices = waits(&mut small, 1, begun_us + 50_000);
    waits(&mut small, 2, begun_us + SECOND);
    assert_eq!((slices.len(), small.purse.waiting()), (2, 2));
    small.now.mono_us += 60_000;
    small.now.wall_us += 60_000;
    assert_eq!(granted(&mut small, slices), [(1, false), (2, true)]);
    assert_eq!((small.purse.open_holds(), small.purse.held()), (1, Micros(UNIT)));
    // One that comes too late itself is not granted, either, whatever there is.
    let now_us = small.now.mono_us;
    waits(&mut small, 3, now_us);
    assert_eq!((small.purse.open_holds(), small.purse.waiting()), (1, 0));
}

#[test]
fn what_is_taken_back_is_granted_no_more_and_given_back_if_it_was() {
    let mut small = Small::new(1_000, 500);
    let until_us = small.now.mono_us + SECOND;
    let slices = waits(&mut small, 1, until_us);
    waits(&mut small, 2, until_us);
    let mut out = Vec::new();
    small.purse.withdraw(small.now, Op(1), &mut out);
    assert!(matches!(*out, [Effect::Hold(Ticket(1), HoldAnswer::Expired)]), "{out:?}");
    assert_eq!(granted(&mut small, slices), [(2, true)]);
    for _ in 0..2 {
        small.purse.withdraw(small.now, Op(2), &mut out);
        assert_eq!((small.purse.open_holds(), small.purse.held()), (0, Micros::ZERO));
    }
    // What was won stays, whoever takes it back.
    let HoldAnswer::Held { .. } = small.check(3, UNIT) else { panic!() };
    small.purse.notice(small.now, Ticket(9), Op(3), Micros(UNIT), &mut out);
    small.purse.withdraw(small.now, Op(3), &mut out);
    assert_eq!(small.purse.held(), Micros(UNIT));
}
