//! The holder's side of slices: what may still be authorised of one cap on this node.

use super::ask::Ask;
use super::budget::Grant;
use super::entry::{Day, HolderId, Now, SliceId};
use super::limits::{Bug, Limits};
use super::money::Micros;
use super::refusal::Refusal;

/// A slice as its holder uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub slice: SliceId,
    pub quota: Micros,
    /// Of open holds.
    pub held: Micros,
    /// Of settled holds.
    pub booked: Micros,
    pub day: Day,
    /// Monotonic time until which it may be authorised from.
    pub until_us: i64,
    /// The same by the wall clock: only a planted bug looks at it.
    pub until_wall_us: i64,
}

impl Share {
    pub fn free(&self) -> Micros {
        self.quota - self.held - self.booked
    }
}

/// A request to the authority that has no answer yet.
#[derive(Clone, Copy, Debug)]
struct Asking {
    slice: SliceId,
    grow: bool,
    needed: Micros,
    want: Micros,
    /// When it was first sent: the life of the slice counts from here.
    first_us: i64,
    first_wall_us: i64,
    last_us: i64,
    /// The authority has recalled the slice before its grant arrived.
    recalled: bool,
}

/// A slice that serves no more and still has holds.
#[derive(Clone, Copy, Debug)]
struct Draining {
    share: Share,
    /// When its return was last sent, and what was kept then.
    sent_us: i64,
    sent: Micros,
    /// What the authority has answered to keep.
    known: Option<Micros>,
}

/// One cap's slices on this node.
#[derive(Debug, Default)]
pub struct LaneState {
    serving: Option<Share>,
    draining: Vec<Draining>,
    asking: Option<Asking>,
    /// Authorised since the last slice was taken: how much to ask for next.
    used: Micros,
    refusal: Option<Refusal>,
}

impl LaneState {
    pub fn serving(&self) -> Option<&Share> {
        self.serving.as_ref()
    }

    pub fn draining(&self) -> impl Iterator<Item = &Share> {
        self.draining.iter().map(|d| &d.share)
    }

    #[cfg(test)]
    pub fn adopt(&mut self, share: Share) {
        self.serving = Some(share);
    }

    /// Authorises nothing more from what is out; the next tick returns it.
    pub fn distrust(&mut self) {
        if let Some(share) = &mut self.serving {
            share.until_us = i64::MIN;
            share.until_wall_us = i64::MIN;
        }
        // The life of one that is on its way counts from before the clocks parted, too.
        if let Some(asking) = &mut self.asking {
            asking.recalled = true;
        }
    }

    pub fn asks_for(&self, slice: SliceId) -> bool {
        self.asking.is_some_and(|a| a.slice == slice)
    }

    pub fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// What can be authorised at this moment.
    #[inline]
    pub fn free(&self, now: Now, limits: &Limits) -> Micros {
        match &self.serving {
            Some(s) if limits.has(Bug::ServeByWallClock) && now.wall_us < s.until_wall_us => {
                s.free()
            }
            Some(s) if now.mono_us < s.until_us => s.free(),
            _ => Micros(-1),
        }
    }

    /// Sets `amount` aside in the serving slice; the caller has looked at [`LaneState::free`].
    #[inline]
    pub fn hold(&mut self, amount: Micros) -> Option<(SliceId, Day)> {
        let share = self.serving.as_mut()?;
        share.held += amount;
        debug_assert!(share.held + share.booked <= share.quota, "BG-1");
        self.used += amount;
        Some((share.slice, share.day))
    }

    /// A hold is over: `booked` of it was spent, the rest may be authorised again if the slice still
    /// serves.
    #[inline]
    pub fn end_hold(&mut self, slice: SliceId, held: Micros, booked: Micros, out: &mut Vec<Ask>) {
        if let Some(share) = self.serving.as_mut().filter(|s| s.slice == slice) {
            share.held -= held;
            share.booked += booked;
            return;
        }
        let Some(i) = self.draining.iter().position(|d| d.share.slice == slice) else {
            return;
        };
        let share = &mut self.draining[i].share;
        share.held -= held;
        share.booked += booked;
        if share.held <= Micros::ZERO {
            out.push(give_back(share));
        }
    }

    /// Asks for capacity that covers `needed` more, unless an answer is awaited already.
    pub fn request(
        &mut self,
        now: Now,
        holder: HolderId,
        amount: Micros,
        fresh: impl FnOnce() -> SliceId,
        limits: &Limits,
        out: &mut Vec<Ask>,
    ) {
        if self.asking.is_some() {
            return;
        }
        let free = self.free(now, limits);
        let asking = match self.serving {
            Some(share) if free >= Micros::ZERO => {
                let needed = amount - free;
                let want = needed.max(share.quota);
                self.ask_of(share.slice, true, needed, want, now)
            }
            _ => {
                self.stop_serving(now, out);
                let want = (self.used + self.used).max(Micros(amount.0.saturating_mul(8)));
                self.used = Micros::ZERO;
                self.ask_of(fresh(), false, amount, want, now)
            }
        };
        out.push(asking.ask(holder));
        self.asking = Some(asking);
    }

    fn ask_of(&self, slice: SliceId, grow: bool, needed: Micros, want: Micros, now: Now) -> Asking {
        Asking {
            slice,
            grow,
            needed,
            want,
            first_us: now.mono_us,
            first_wall_us: now.wall_us,
            last_us: now.mono_us,
            recalled: false,
        }
    }

    pub fn granted(&mut self, grant: Grant, now: Now, limits: &Limits, out: &mut Vec<Ask>) {
        let Some(asking) = self.asking.take_if(|a| a.slice == grant.slice) else {
            return self.stray(grant, now, out);
        };
        self.refusal = None;
        if let Some(share) = self.serving.as_mut().filter(|s| s.slice == grant.slice) {
            share.quota = share.quota.max(grant.quota);
            return;
        }
        if asking.grow {
            return; // Its slice stopped serving meanwhile and was returned whole.
        }
        let life = grant.serves_us - limits.slice_margin_us;
        self.serving = Some(Share {
            slice: grant.slice,
            quota: grant.quota,
            held: Micros::ZERO,
            booked: Micros::ZERO,
            day: grant.day,
            until_us: asking.first_us + life,
            until_wall_us: asking.first_wall_us + life,
        });
        if asking.recalled {
            self.stop_serving(now, out);
        }
    }

    /// A grant that nobody waits for: an answer that was repeated, or one given up on.
    fn stray(&mut self, grant: Grant, now: Now, out: &mut Vec<Ask>) {
        let known = self.serving.iter().any(|s| s.slice == grant.slice)
            || self.draining.iter().any(|d| d.share.slice == grant.slice);
        if !known {
            let share = Share {
                slice: grant.slice,
                quota: grant.quota,
                held: Micros::ZERO,
                booked: Micros::ZERO,
                day: grant.day,
                until_us: now.mono_us,
                until_wall_us: now.wall_us,
            };
            out.push(give_back(&share));
        }
    }

    pub fn refused(&mut self, slice: SliceId, refusal: Refusal) -> bool {
        let expected = self.asking.take_if(|a| a.slice == slice).is_some();
        if expected {
            self.refusal = Some(refusal);
        }
        expected
    }

    pub fn take_refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// The slice asked about is over at its authority.
    pub fn gone(&mut self, slice: SliceId, now: Now, out: &mut Vec<Ask>) {
        self.asking.take_if(|a| a.slice == slice);
        if self.serving.is_some_and(|s| s.slice == slice) {
            self.stop_serving(now, out);
        }
    }

    /// The authority has taken note of a return: a slice without holds needs no more thought.
    pub fn returned(&mut self, slice: SliceId) {
        for d in self.draining.iter_mut().filter(|d| d.share.slice == slice) {
            d.known = Some(d.sent);
        }
        self.draining.retain(|d| d.share.slice != slice || d.share.held > Micros::ZERO);
    }

    pub fn recall(&mut self, slice: SliceId, now: Now, out: &mut Vec<Ask>) {
        if let Some(asking) = self.asking.as_mut().filter(|a| a.slice == slice && !a.grow) {
            asking.recalled = true;
            return;
        }
        if self.serving.is_some_and(|s| s.slice == slice) {
            self.stop_serving(now, out);
            return;
        }
        match self.draining.iter().find(|d| d.share.slice == slice) {
            Some(d) => out.push(give_back(&d.share)),
            None => out.push(Ask::Return { slice, keep: Micros::ZERO, booked: Micros::ZERO }),
        }
    }

    /// Nothing more is authorised from the serving slice; its unheld part goes back.
    pub fn stop_serving(&mut self, now: Now, out: &mut Vec<Ask>) {
        if let Some(share) = self.serving.take() {
            out.push(give_back(&share));
            self.draining.push(Draining {
                share,
                sent_us: now.mono_us,
                sent: share.held,
                known: None,
            });
        }
    }

    /// Ends a slice whose time is over, and sends again what got no answer.
    pub fn tick(&mut self, now: Now, holder: HolderId, limits: &Limits, out: &mut Vec<Ask>) {
        if self.serving.is_some() && self.free(now, limits) < Micros::ZERO {
            self.stop_serving(now, out);
        }
        for d in &mut self.draining {
            // Said once it is answered, and again only when less is held.
            let said = d.known == Some(d.share.held);
            if !said && now.mono_us - d.sent_us >= limits.resend_us {
                d.sent_us = now.mono_us;
                d.sent = d.share.held;
                out.push(give_back(&d.share));
            }
        }
        if let Some(asking) = &mut self.asking
            && now.mono_us - asking.last_us >= limits.resend_us
        {
            asking.last_us = now.mono_us;
            out.push(asking.ask(holder));
        }
    }
}

impl Asking {
    fn ask(&self, holder: HolderId) -> Ask {
        let Asking { slice, needed, want, .. } = *self;
        match self.grow {
            true => Ask::Grow { slice, holder, needed, want },
            false => Ask::Take { slice, holder, needed, want },
        }
    }
}

fn give_back(share: &Share) -> Ask {
    Ask::Return { slice: share.slice, keep: share.held, booked: share.booked }
}
