//! What stops overspend: the state of one budget at its authority.
//!
//! A [`Budget`] changes only through a [`Stage`]: requests are applied to a copy, the copy is made
//! durable, and only then becomes the state. So nothing that a failed commit would take back is ever
//! visible, and BG-1…BG-4 hold for the durable state at every step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::core::Core;
use super::day::DaySpan;
use super::entry::{Day, Entry, HolderId, Kind, Now, Op, SliceId};
use super::event::Event;
use super::limits::{Bug, Limits};
use super::money::Micros;
use super::refusal::{Reason, Refusal};
use super::slice::Slice;
use super::terms::Status;
use super::window::Window;

/// Slices that are drained, for each that may serve: a slice drains for up to the longest hold with
/// its graces, seven times as long as it serves.
const DRAINED_PER_SERVING: usize = 8;

/// A budget: its durable state and its window, which is rebuilt from the ledger at a start.
#[derive(Clone, Debug)]
pub struct Budget {
    pub core: Core,
    pub window: Window,
}

/// What a settle asks to book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    pub hold: Op,
    pub op: Op,
    /// The slice of this budget that the hold was authorised from.
    pub slice: SliceId,
    /// The slice of the account's window that covers it too.
    pub window_slice: SliceId,
    pub amount: Micros,
    pub window_amount: Micros,
    pub day: Day,
    /// The holder vouches that the hold is open; without that it is booked beside the slice, whose
    /// capacity may long be promised to another hold.
    pub confirmed: bool,
    /// Sent before without an answer: it may be booked already.
    pub again: bool,
    pub body: u64,
    pub memo: Option<String>,
}

impl Settlement {
    /// The slice of the window that the booking comes out of: none, if nobody vouches that the hold
    /// still has its part of it.
    pub fn window_slice(&self) -> Option<SliceId> {
        self.confirmed.then_some(self.window_slice)
    }
}

/// A spend (or, negative, a refund) that happened elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub op: Op,
    pub amount: Micros,
    pub window_amount: Micros,
    pub body: u64,
    pub memo: Option<String>,
}

/// Capacity given to a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub slice: SliceId,
    /// The slice's whole quota, absolute: a repeated grant says the same.
    pub quota: Micros,
    pub day: Day,
    /// How long the holder may authorise from it, counted from before it asked.
    pub serves_us: i64,
}

/// Requests applied to a copy, with everything that must become durable for them to hold.
#[derive(Debug)]
pub struct Stage<'a> {
    pub now: Now,
    pub core: Core,
    pub entries: Vec<Entry>,
    pub slices_put: BTreeMap<SliceId, ()>,
    pub slice_settles: Vec<(SliceId, Micros)>,
    pub slices_gone: Vec<SliceId>,
    pub events: Vec<Event>,
    pub window_ops: Vec<(Micros, Op)>,
    pub dirty: bool,
    /// What was counted in the window out of no slice of it.
    pub window_facts: Micros,
    window: &'a Window,
    window_sum: Micros,
    day: DaySpan,
    limits: &'a Limits,
}

impl Budget {
    pub fn stage<'a>(&'a mut self, now: Now, limits: &'a Limits) -> Stage<'a> {
        if let Some(cap) = self.core.terms.window {
            self.window.expire(now.mono_us, cap.length_us);
        }
        let day = DaySpan::at(&self.core.terms.time_zone, now.wall_us);
        Stage {
            now,
            core: self.core.clone(),
            entries: Vec::new(),
            slices_put: BTreeMap::new(),
            slice_settles: Vec::new(),
            slices_gone: Vec::new(),
            events: Vec::new(),
            window_ops: Vec::new(),
            dirty: false,
            window_facts: Micros::ZERO,
            window_sum: self.window.sum(),
            window: &self.window,
            day,
            limits,
        }
    }

    /// Makes a staged state the state, once it is durable.
    pub fn adopt(&mut self, now: Now, core: Core, window_ops: &[(Micros, Op)], limits: &Limits) {
        self.core = core;
        for (amount, op) in window_ops {
            self.window.book(now.mono_us, *amount, *op, limits);
        }
    }

    /// What is booked in the trailing window.
    pub fn window_used(&mut self, now: Now) -> Micros {
        if let Some(cap) = self.core.terms.window {
            self.window.expire(now.mono_us, cap.length_us);
        }
        self.window.sum()
    }
}

impl Stage<'_> {
    pub fn day(&self) -> DaySpan {
        self.day
    }

    pub fn window_sum(&self) -> Micros {
        self.window_sum
    }

    /// The most that may be granted now, and the cap that says so. BG-1: facts, settles, holds and
    /// unheld escrow of every cap and every trailing window stay within the cap.
    pub fn room(&self) -> Refusal {
        let reserved = self.core.reserved();
        let mut least = Refusal { reason: Reason::BudgetExceeded, room: Micros(i64::MAX) };
        let mut narrow = |reason, room: Micros| {
            if room < least.room {
                least = Refusal { reason, room };
            }
        };
        let terms = &self.core.terms;
        if terms.lifetime.is_some() {
            narrow(Reason::BudgetExceeded, self.core.available());
        }
        if let Some(daily) = terms.daily {
            let today = self.day.day;
            let escrow: Micros =
                self.core.slices.values().filter(|s| s.day == today).map(Slice::reserved).sum();
            narrow(Reason::DailyExceeded, daily - self.core.day_used(today) - escrow);
        }
        if let Some(cap) = terms.window {
            let escrow =
                if self.limits.has(Bug::HoldsOutsideWindow) { Micros::ZERO } else { reserved };
            narrow(Reason::WindowExceeded, cap.amount - self.window_sum - escrow);
        }
        least
    }

    /// Whether anything may be authorised at all.
    pub fn open(&self) -> Result<(), Refusal> {
        let terms = &self.core.terms;
        let wall = self.now.wall_us;
        let reason = match self.core.status {
            _ if self.core.stopped => Reason::Stopped,
            Status::Paused => Reason::Paused,
            Status::Ended => Reason::Ended,
            Status::Active if terms.starts_us.is_some_and(|t| wall < t) => Reason::NotStarted,
            Status::Active if terms.ends_us.is_some_and(|t| wall >= t) => Reason::Ended,
            Status::Active => return Ok(()),
        };
        Err(Refusal::new(reason))
    }

    /// How long a slice taken now may serve: its ttl, but never past its day (rule 9) or the end of
    /// the schedule.
    fn serves_us(&self) -> Result<i64, Refusal> {
        let mut serves = self.limits.slice_ttl_us;
        let wall = self.now.wall_us;
        if self.core.terms.daily.is_some() && !self.limits.has(Bug::SliceCrossesMidnight) {
            serves = serves.min(self.day.ends_us.saturating_sub(wall));
        }
        if let Some(end) = self.core.terms.ends_us {
            serves = serves.min(end.saturating_sub(wall));
        }
        if serves <= self.limits.slice_margin_us {
            return Err(Refusal::new(Reason::DailyExceeded));
        }
        Ok(serves)
    }

    /// Takes a slice that covers `needed`, if it can be `want`. The quota shrinks with the room, so
    /// that the last of a budget is not stranded with one holder.
    pub fn take(
        &mut self,
        id: SliceId,
        holder: HolderId,
        needed: Micros,
        want: Micros,
    ) -> Result<Grant, Refusal> {
        if let Some(known) = self.core.slices.get(&id) {
            // Asked again because the answer was lost: the same slice, as it stands.
            let today = known.day == self.day.day;
            let usable = today && !known.drained && !known.sealed && known.holder == holder;
            let (quota, day) = (known.quota, known.day);
            let serves_us = self.serves_us()?;
            return match usable {
                true => Ok(Grant { slice: id, quota, day, serves_us }),
                false => Err(Refusal::new(self.room().reason)),
            };
        }
        self.open()?;
        let serves_us = self.serves_us()?;
        // Slices that only wait for their last holds are many where bids are lost without a word:
        // they keep nobody from bidding, up to a bound of their own.
        let slices = self.core.slices.values();
        let serving = slices.filter(|s| s.may_serve(self.now.mono_us)).count();
        let drained_max = self.limits.slices_max.saturating_mul(DRAINED_PER_SERVING);
        if serving >= self.limits.slices_max || self.core.slices.len() - serving >= drained_max {
            return Err(Refusal::new(Reason::TooManyHolds));
        }
        let quota = self.portion(needed, want)?;
        self.core.slices.insert(
            id,
            Slice {
                id,
                holder,
                quota,
                settled: Micros::ZERO,
                noted: Micros::ZERO,
                missed: Micros::ZERO,
                since_seq: self.core.seq,
                day: self.day.day,
                seen_us: self.now.mono_us,
                ttl_us: self.limits.slice_ttl_us,
                sealed: false,
                drained: false,
            },
        );
        self.put(id);
        Ok(Grant { slice: id, quota, day: self.day.day, serves_us })
    }

    /// Adds to a slice that is still served from. `None`: the slice is over, take another.
    pub fn grow(
        &mut self,
        id: SliceId,
        holder: HolderId,
        needed: Micros,
        want: Micros,
    ) -> Option<Result<Grant, Refusal>> {
        let slice = self.core.slices.get(&id)?;
        if slice.holder != holder || !slice.may_serve(self.now.mono_us) || slice.day != self.day.day
        {
            return None;
        }
        if let Err(refusal) = self.open() {
            return Some(Err(refusal));
        }
        let more = match self.portion(needed, want) {
            Ok(more) => more,
            Err(refusal) => return Some(Err(refusal)),
        };
        let slice = self.core.slices.get_mut(&id)?;
        slice.quota += more;
        let grant = Grant { slice: id, quota: slice.quota, day: slice.day, serves_us: 0 };
        self.put(id);
        Some(Ok(grant))
    }

    fn portion(&self, needed: Micros, want: Micros) -> Result<Micros, Refusal> {
        let least = self.room();
        if least.room < needed {
            return Err(least);
        }
        let fair = Micros(least.room.0 / 4);
        Ok(want.min(fair).max(needed))
    }

    /// A holder stops serving from a slice and keeps only `keep` for its open holds. `booked` is what
    /// it knows to have been booked from the slice, for a window that may have missed the news.
    pub fn give_back(&mut self, id: SliceId, keep: Micros, booked: Micros) {
        let Some(slice) = self.core.slices.get_mut(&id) else {
            return;
        };
        // A restart may have found more in the ledger than the holder has heard of.
        let missed = booked - slice.noted;
        let counts_notes = self.core.terms.window.is_some();
        if counts_notes && missed > Micros::ZERO {
            slice.noted = booked;
            slice.missed += missed;
            let op = Op::of(&["returned", &id.to_string(), &booked.to_string()]);
            self.window_op(missed, op);
        }
        let Some(slice) = self.core.slices.get_mut(&id) else {
            return;
        };
        slice.quota = slice.quota.min(slice.settled + slice.noted + keep.max(Micros::ZERO));
        slice.drained = true;
        if slice.reserved() <= Micros::ZERO {
            self.drop_slice(id);
        } else {
            self.put(id);
        }
    }

    /// Books the real amount of a hold: within its slice, or late beside it. Rule 1: a slice never
    /// books more than its quota. Rule 9: it counts on the slice's day.
    pub fn settle(&mut self, s: &Settlement) -> Entry {
        let beyond = self.limits.has(Bug::SettleBeyondSlice);
        let covered = self.core.slices.get_mut(&s.slice).filter(|slice| {
            beyond || (s.confirmed && !slice.sealed && slice.settled + s.amount <= slice.quota)
        });
        let kind = match covered {
            Some(slice) => {
                slice.settled += s.amount;
                self.slice_settles.push((s.slice, s.amount));
                self.core.settled += s.amount;
                Kind::Settle
            }
            None => {
                self.core.facts += s.amount;
                self.core.late += s.amount;
                self.events.push(Event::LateSettle { hold: s.hold, amount: s.amount });
                Kind::Late
            }
        };
        let day = if self.limits.has(Bug::SettleOnToday) { self.day.day } else { s.day };
        self.core.use_day(day, s.amount);
        self.window_op(s.window_amount, s.op);
        self.core.seq += 1;
        self.entry(Entry {
            seq: self.core.seq,
            op: s.op,
            kind,
            amount: s.amount,
            currency: self.core.terms.currency,
            window_amount: s.window_amount,
            at: self.now,
            day,
            hold: Some(s.hold),
            slice: Some(s.slice),
            window_slice: s.window_slice(),
            body: s.body,
            memo: s.memo.clone(),
        })
    }

    /// Books a fact. It is never refused; a negative one is a refund.
    pub fn spend(&mut self, fact: &Fact) -> Entry {
        let kind = if fact.amount < Micros::ZERO { Kind::Refund } else { Kind::Spend };
        match kind {
            Kind::Refund => self.core.refunded += -fact.amount,
            _ => self.core.facts += fact.amount,
        }
        let day = self.day.day;
        self.core.use_day(day, fact.amount);
        self.window_op(fact.window_amount, fact.op);
        self.window_facts += fact.window_amount.max(Micros::ZERO);
        self.core.seq += 1;
        self.entry(Entry {
            seq: self.core.seq,
            op: fact.op,
            kind,
            amount: fact.amount,
            currency: self.core.terms.currency,
            window_amount: fact.window_amount,
            at: self.now,
            day,
            hold: None,
            slice: None,
            window_slice: None,
            body: fact.body,
            memo: fact.memo.clone(),
        })
    }

    /// Counts in this window what was booked in another budget of the account. For a hold, the
    /// capacity moves from its slice of the window to the window itself. Nothing becomes durable
    /// here: the booking itself is, and a restart finds it in the ledger.
    pub fn note(&mut self, slice: Option<SliceId>, op: Op, amount: Micros) {
        if self.window.knows(op) || self.window_ops.iter().any(|(_, known)| *known == op) {
            return;
        }
        let mut amount = amount;
        let mut fact = amount;
        if let Some(slice) = slice.and_then(|id| self.core.slices.get_mut(&id)) {
            // The holder's return was here first: it counts already.
            let counted = slice.missed.min(amount).max(Micros::ZERO);
            slice.missed -= counted;
            amount -= counted;
            fact = amount - amount.min(slice.reserved());
            slice.noted += amount;
        }
        self.window_facts += fact.max(Micros::ZERO);
        self.window_op(amount, op);
    }

    /// Ends slices whose time is over for certain (rule 2), counted on this authority's own
    /// monotonic clock from its first sight of them.
    pub fn reclaim(&mut self) {
        let now = self.now.mono_us;
        let mut life = self.limits.slice_life_us();
        if self.limits.has(Bug::ReclaimAtTtl) {
            life = self.limits.slice_ttl_us;
        } else if let Some(cap) = self.core.terms.window {
            life += cap.length_us;
        }
        let over: Vec<(SliceId, Micros)> = self
            .core
            .slices
            .values()
            .filter(|s| now - s.seen_us >= life)
            .map(|s| (s.id, s.reserved()))
            .collect();
        for (slice, amount) in over {
            if amount > Micros::ZERO {
                self.events.push(Event::Reclaimed { slice, amount });
            }
            self.drop_slice(slice);
        }
    }

    /// Raises each threshold once, when spending first reaches it; a higher cap arms it again.
    pub fn check_thresholds(&mut self) {
        let (spent, funded) = (self.core.spent(), self.core.funded);
        if self.core.terms.lifetime.is_none() || funded <= Micros::ZERO {
            return;
        }
        for percent in self.core.terms.thresholds.clone() {
            let reached = i128::from(spent.0) * 100 >= i128::from(funded.0) * i128::from(percent);
            let raised = self.core.raised.contains(&percent);
            if reached && !raised {
                self.core.raised.push(percent);
                self.events.push(Event::Threshold { percent, spent, funded });
                self.dirty = true;
            } else if !reached && raised {
                self.core.raised.retain(|p| *p != percent);
                self.dirty = true;
            }
        }
    }

    fn window_op(&mut self, amount: Micros, op: Op) {
        if self.core.terms.window.is_none() {
            return;
        }
        self.window_ops.push((amount, op));
        self.window_sum = match self.limits.has(Bug::RefundBelowZero) {
            true => self.window_sum + amount,
            false => (self.window_sum + amount).max(Micros::ZERO),
        };
    }

    fn entry(&mut self, entry: Entry) -> Entry {
        self.dirty = true;
        self.entries.push(entry.clone());
        self.check_thresholds();
        entry
    }

    fn put(&mut self, id: SliceId) {
        self.slices_put.insert(id, ());
        self.dirty = true;
    }

    fn drop_slice(&mut self, id: SliceId) {
        self.core.slices.remove(&id);
        self.slices_put.remove(&id);
        self.slices_gone.push(id);
        self.dirty = true;
    }
}
