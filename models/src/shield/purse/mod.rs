//! The purse of one campaign on one node: holds, authorised in memory from slices of every cap that
//! covers them. Nothing here waits for a store or another node while the slices last.

mod answer;
mod by_id;
#[cfg(test)]
mod tests;
mod time;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::shield::ask::{Answer, Ask, Ticket};
use crate::shield::effect::{Effect, Lane};
use crate::shield::entry::{HolderId, Now, Op, SliceId};
use crate::shield::hold::{Hold, HoldState};
use crate::shield::lane::LaneState;
use crate::shield::limits::{Bug, Limits};
use crate::shield::money::{Micros, Rate};
use crate::shield::refusal::{Reason, Refusal};
pub use answer::{Authorise, HoldAnswer, settlement};
pub use by_id::{ById, IdHasher};

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    ask: Authorise,
}

#[derive(Debug)]
pub struct Purse {
    limits: Limits,
    holder: HolderId,
    rate: Rate,
    lanes: [LaneState; 2],
    holds: ById<Hold>,
    /// Expiries in order; holds mostly live equally long, so the queue serves nearly all of them.
    queue: VecDeque<(i64, Op)>,
    odd: BTreeSet<(i64, Op)>,
    waiting: VecDeque<Waiting>,
    /// Who asked for a settle that is on its way, and when it was last sent.
    settling: BTreeMap<Op, (Option<Ticket>, i64)>,
    /// The last holds that were settled, for whoever authorises or settles them once more.
    over: ById<Hold>,
    over_order: VecDeque<Op>,
    slices_made: u64,
    last: Option<Now>,
}

/// Settled holds that are remembered.
const OVER_KEPT: usize = 4_096;

impl Purse {
    pub fn new(holder: HolderId, rate: Rate, limits: Limits) -> Purse {
        Purse {
            limits,
            holder,
            rate,
            lanes: Default::default(),
            holds: ById::default(),
            queue: VecDeque::new(),
            odd: BTreeSet::new(),
            waiting: VecDeque::new(),
            settling: BTreeMap::new(),
            over: ById::default(),
            over_order: VecDeque::new(),
            slices_made: 0,
            last: None,
        }
    }

    pub fn holder(&self) -> HolderId {
        self.holder
    }

    /// A planted bug: goes on with a slice of an earlier life.
    #[cfg(test)]
    pub fn adopt(&mut self, lane: Lane, share: crate::shield::lane::Share) {
        self.lanes[lane.index()].adopt(share);
    }

    pub fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    pub fn lane(&self, lane: Lane) -> &LaneState {
        &self.lanes[lane.index()]
    }

    pub fn hold(&self, id: Op) -> Option<&Hold> {
        self.holds.get(&id)
    }

    /// One of the last that were settled.
    pub fn settled_hold(&self, id: Op) -> Option<&Hold> {
        self.over.get(&id)
    }

    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values()
    }

    pub fn open_holds(&self) -> usize {
        self.holds.len()
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn held(&self) -> Micros {
        let mut held = Micros::ZERO;
        let lane = &self.lanes[Lane::Budget.index()];
        held += lane.serving().map_or(Micros::ZERO, |s| s.held);
        held + lane.draining().map(|s| s.held).sum()
    }

    /// No hold, no slice, nobody waiting.
    pub fn is_idle(&self) -> bool {
        self.holds.is_empty()
            && self.waiting.is_empty()
            && self
                .lanes
                .iter()
                .all(|l| l.serving().is_none() && !l.is_asking() && l.draining().next().is_none())
    }

    /// Sets the amount aside in every cap, in memory. `Ok(None)`: a slice is missing or too small, ask
    /// for more. The clock was read by the caller right before (rule 2).
    #[inline]
    pub fn authorise(&mut self, now: Now, ask: &Authorise) -> Result<Option<&Hold>, Refusal> {
        self.mind_the_clocks(now);
        if self.holds.len() >= self.limits.holds_max {
            return Err(Refusal::new(Reason::TooManyHolds));
        }
        let window_amount = self.rate.convert(ask.amount);
        let [budget, account] = &mut self.lanes;
        if budget.free(now, &self.limits) < ask.amount
            || account.free(now, &self.limits) < window_amount
        {
            return Ok(None);
        }
        let (Some((slice, day)), Some((window_slice, _))) =
            (budget.hold(ask.amount), account.hold(window_amount))
        else {
            return Ok(None);
        };
        let expires_us = now.mono_us + ask.ttl_us;
        self.enqueue(expires_us + self.limits.grace_us, ask.id);
        let hold = self.holds.entry(ask.id).insert_entry(Hold {
            id: ask.id,
            amount: ask.amount,
            window_amount,
            expires_us,
            expires_wall_us: now.wall_us + ask.ttl_us,
            slice,
            window_slice,
            day,
            state: HoldState::Open,
            body: ask.body,
        });
        Ok(Some(hold.into_mut()))
    }

    /// Rule 2: wall and monotonic time that drift apart tell of a paused machine, whose monotonic
    /// clock may have stood still while slices ran out elsewhere.
    #[inline]
    fn mind_the_clocks(&mut self, now: Now) {
        if self.limits.has(Bug::ServeByWallClock) {
            return;
        }
        if let Some(last) = self.last.replace(now) {
            let (mono, wall) = (now.mono_us - last.mono_us, now.wall_us - last.wall_us);
            if (mono - wall).abs() > self.limits.drift_max_us {
                for lane in &mut self.lanes {
                    lane.distrust();
                }
            }
        }
    }

    fn enqueue(&mut self, at_us: i64, id: Op) {
        // Holds that ended early leave their entry behind: swept before they outnumber the living.
        if self.queue.len() > 4_096 + 4 * self.holds.len() {
            let holds = &self.holds;
            self.queue.retain(|(_, id)| holds.contains_key(id));
        }
        match self.queue.back() {
            Some((last, _)) if *last > at_us => {
                self.odd.insert((at_us, id));
            }
            _ => self.queue.push_back((at_us, id)),
        }
    }

    /// The answer, where slices and rules give one at once: the path of nearly every bid. Whoever
    /// asks journals a hold that is granted. `None`: see [`Purse::ask`].
    #[inline]
    pub fn ask_now(&mut self, now: Now, ask: &Authorise) -> Option<HoldAnswer> {
        if let Some(hold) = self.holds.get(&ask.id).or_else(|| self.over.get(&ask.id)) {
            return Some(match hold.body == ask.body {
                true => HoldAnswer::Held { hold: hold.clone(), replayed: true },
                false => HoldAnswer::Mismatch,
            });
        }
        if ask.is_late(now) {
            return Some(HoldAnswer::Expired);
        }
        let full = self.waiting.len() >= self.limits.pending_max;
        match self.authorise(now, ask) {
            Ok(Some(hold)) => Some(HoldAnswer::Held { hold: hold.clone(), replayed: false }),
            Err(refusal) => Some(HoldAnswer::Refused(refusal)),
            Ok(None) => full.then_some(HoldAnswer::Overloaded),
        }
    }

    /// Answers at once where the slices allow it, else as soon as the authorities have answered.
    pub fn ask(&mut self, now: Now, ticket: Ticket, ask: Authorise, out: &mut Vec<Effect>) {
        match self.ask_now(now, &ask) {
            Some(answer) => {
                if let HoldAnswer::Held { hold, replayed: false } = &answer {
                    out.push(Effect::Journal(Box::new(hold.clone())));
                }
                out.push(Effect::Hold(ticket, answer));
            }
            None => self.wait(now, ticket, ask, out),
        }
    }

    /// Waits for capacity, after [`Purse::ask_now`] has found none.
    pub fn wait(&mut self, now: Now, ticket: Ticket, ask: Authorise, out: &mut Vec<Effect>) {
        self.waiting.push_back(Waiting { ticket, ask });
        self.seek(now, out);
    }

    /// Books the real amount. The hold waits, and cannot expire, until the ledger has answered.
    pub fn settle(
        &mut self,
        now: Now,
        ticket: Option<Ticket>,
        id: Op,
        amount: Micros,
        out: &mut Vec<Effect>,
    ) {
        let reply = |answer| ticket.map(|t| Effect::Hold(t, answer));
        let Some(hold) = self.holds.get_mut(&id) else {
            out.extend(reply(HoldAnswer::Unknown));
            return;
        };
        if amount > hold.amount {
            out.extend(reply(HoldAnswer::TooMuch(hold.clone())));
            return;
        }
        match hold.state {
            HoldState::Settling(other) => {
                let answer = if other == amount { HoldAnswer::Busy } else { HoldAnswer::Mismatch };
                out.extend(reply(answer));
                return;
            }
            HoldState::Open if now.mono_us >= hold.expires_us + self.limits.grace_us => {
                out.extend(reply(HoldAnswer::Unknown));
                return;
            }
            _ => {}
        }
        hold.state = HoldState::Settling(amount);
        self.settling.insert(id, (ticket, now.mono_us));
        let settlement = settlement(hold, amount, self.rate, true);
        out.push(Effect::Book { hold: id, ask: Ask::Settle(Box::new(settlement)) });
    }

    /// The ledger's answer to a settle.
    pub fn settled(&mut self, now: Now, id: Op, answer: Answer, out: &mut Vec<Effect>) {
        if matches!(answer, Answer::Busy) {
            return; // The repeated one of two messages; the other will be answered.
        }
        let Some((ticket, _)) = self.settling.remove(&id) else {
            return;
        };
        let Some(hold) = self.holds.get_mut(&id) else {
            return;
        };
        let HoldState::Settling(amount) = hold.state else {
            return;
        };
        let answer = match answer {
            Answer::Booked { entry, replayed } => {
                hold.state = HoldState::Settled(entry.amount);
                let hold = hold.clone();
                let booked = [hold.amount.min(entry.amount), entry.window_amount];
                self.end(&hold, booked, out);
                self.remember(&hold);
                out.push(Effect::Journal(Box::new(hold.clone())));
                self.serve_waiting(now, out);
                HoldAnswer::Settled { hold, entry, replayed }
            }
            Answer::Mismatch => {
                // Its key was granted, and settled for another amount, before this purse was: that
                // booking stands, and this hold has nothing to wait for.
                self.void(now, id, HoldState::Expired, out);
                self.serve_waiting(now, out);
                HoldAnswer::Mismatch
            }
            other => {
                // Nothing was booked. It was to be booked: so it does not expire to nothing.
                hold.state = HoldState::Won(amount);
                self.enqueue_retry(now, id);
                match other {
                    Answer::Overloaded => HoldAnswer::Overloaded,
                    _ => HoldAnswer::Unavailable,
                }
            }
        };
        if let Some(ticket) = ticket {
            out.push(Effect::Hold(ticket, answer));
        }
    }

    /// One key, one hold, one settle: also when the same request comes once more.
    fn remember(&mut self, hold: &Hold) {
        if self.over.insert(hold.id, hold.clone()).is_none() {
            self.over_order.push_back(hold.id);
        }
        if self.over_order.len() > OVER_KEPT
            && let Some(oldest) = self.over_order.pop_front()
        {
            self.over.remove(&oldest);
        }
    }

    fn enqueue_retry(&mut self, now: Now, id: Op) {
        self.odd.insert((now.mono_us + self.limits.resend_us, id));
    }

    /// Gives the whole amount back.
    pub fn release(&mut self, now: Now, ticket: Ticket, id: Op, out: &mut Vec<Effect>) {
        let answer = match self.holds.get(&id).map(|h| h.state) {
            None => HoldAnswer::Unknown,
            // Somebody has said that it was bought.
            Some(HoldState::Settling(_) | HoldState::Won(_)) => HoldAnswer::Busy,
            Some(_) => HoldAnswer::Released(self.void(now, id, HoldState::Released, out)),
        };
        out.push(Effect::Hold(ticket, answer));
        self.serve_waiting(now, out);
    }

    /// A win notice with its price: from here on the hold cannot expire to nothing (rule 6).
    pub fn notice(
        &mut self,
        _now: Now,
        ticket: Ticket,
        id: Op,
        price: Micros,
        out: &mut Vec<Effect>,
    ) {
        let Some(hold) = self.holds.get_mut(&id) else {
            out.push(Effect::Hold(ticket, HoldAnswer::Unknown));
            return;
        };
        match hold.state {
            HoldState::Settling(_) => out.push(Effect::Hold(ticket, HoldAnswer::Busy)),
            HoldState::Won(known) if known != price => {
                out.push(Effect::Hold(ticket, HoldAnswer::Mismatch));
            }
            _ if price > hold.amount => {
                out.push(Effect::Hold(ticket, HoldAnswer::TooMuch(hold.clone())));
            }
            _ => {
                hold.state = HoldState::Won(price);
                let hold = hold.clone();
                if self.limits.has(Bug::NoticeAckedInMemory) {
                    out.push(Effect::Hold(ticket, HoldAnswer::Noticed(hold)));
                } else {
                    out.push(Effect::Spool { ticket, hold: Box::new(hold) });
                }
            }
        }
    }

    /// An authority's answer to a request of a lane.
    pub fn answered(
        &mut self,
        now: Now,
        lane: Lane,
        asked: SliceId,
        answer: Answer,
        out: &mut Vec<Effect>,
    ) {
        let mut asks = Vec::new();
        let state = &mut self.lanes[lane.index()];
        match answer {
            Answer::Granted(grant) => state.granted(grant, now, &self.limits, &mut asks),
            Answer::Refused(refusal) => {
                state.refused(asked, refusal);
            }
            Answer::SliceGone(slice) => state.gone(slice, now, &mut asks),
            Answer::Returned(slice) => state.returned(slice),
            // Sent again by the tick, until the authority is there; nobody waits for that long.
            Answer::Unavailable | Answer::NotOwner if state.asks_for(asked) => {
                self.give_up(now, &HoldAnswer::Unavailable, out);
            }
            Answer::Overloaded if state.asks_for(asked) => {
                self.give_up(now, &HoldAnswer::Overloaded, out);
            }
            _ => {}
        }
        send(lane, asks, out);
        self.serve_waiting(now, out);
    }

    pub fn recall(&mut self, now: Now, lane: Lane, slice: SliceId, out: &mut Vec<Effect>) {
        let mut asks = Vec::new();
        self.lanes[lane.index()].recall(slice, now, &mut asks);
        send(lane, asks, out);
    }

    /// Stops serving from every slice: the node is draining, or its clocks cannot be trusted.
    pub fn seal(&mut self, now: Now, out: &mut Vec<Effect>) {
        for lane in Lane::ALL {
            let mut asks = Vec::new();
            self.lanes[lane.index()].stop_serving(now, &mut asks);
            send(lane, asks, out);
        }
    }

    fn void(&mut self, _now: Now, id: Op, state: HoldState, out: &mut Vec<Effect>) -> Hold {
        // Only called for holds that were just looked up.
        let mut hold = self.holds.get(&id).cloned().expect("hold is there");
        hold.state = state;
        self.end(&hold, [Micros::ZERO; 2], out);
        out.push(Effect::Journal(Box::new(hold.clone())));
        hold
    }

    fn end(&mut self, hold: &Hold, booked: [Micros; 2], out: &mut Vec<Effect>) {
        self.holds.remove(&hold.id);
        let held = [hold.amount, hold.window_amount];
        let slices = [hold.slice, hold.window_slice];
        for lane in Lane::ALL {
            let i = lane.index();
            let mut asks = Vec::new();
            self.lanes[i].end_hold(slices[i], held[i], booked[i].min(held[i]), &mut asks);
            send(lane, asks, out);
        }
    }
}

fn send(lane: Lane, asks: Vec<Ask>, out: &mut Vec<Effect>) {
    out.extend(asks.into_iter().map(|ask| Effect::Ask { lane, ask }));
}
