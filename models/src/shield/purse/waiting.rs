//! Requests that wait for capacity, and the search for it.

use super::{Authorise, HoldAnswer, Purse, send};
use crate::shield::effect::{Effect, Lane};
use crate::shield::entry::{Now, Op, SliceId};
use crate::shield::hold::HoldState;
use crate::shield::money::Micros;
use crate::shield::refusal::Refusal;

impl Purse {
    /// Grants what waits in order; whatever an authority has refused is refused.
    pub(super) fn serve_waiting(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.waiting.is_empty() {
            for lane in &mut self.lanes {
                lane.take_refusal();
            }
            return;
        }
        let mut refusals = [None, None];
        for lane in Lane::ALL {
            refusals[lane.index()] = self.lanes[lane.index()].take_refusal();
        }
        let mut first = true;
        let mut i = 0;
        while let Some(ask) = self.waiting.get(i).map(|w| w.ask) {
            let answer = if self.holds.contains_key(&ask.id) {
                // Twice the same request waited; the other one was served just now.
                let hold = self.holds[&ask.id].clone();
                Some(match hold.body == ask.body {
                    true => HoldAnswer::Held { hold, replayed: true },
                    false => HoldAnswer::Mismatch,
                })
            } else if ask.is_late(now) {
                // Money that came too late for it is for those that still wait.
                Some(HoldAnswer::Expired)
            } else {
                match self.authorise(now, &ask) {
                    Ok(Some(hold)) => {
                        let hold = hold.clone();
                        out.push(Effect::Journal(Box::new(hold.clone())));
                        Some(HoldAnswer::Held { hold, replayed: false })
                    }
                    Err(refusal) => Some(HoldAnswer::Refused(refusal)),
                    Ok(None) => self.hopeless(now, &ask, &refusals, first).map(HoldAnswer::Refused),
                }
            };
            first &= answer.is_some();
            match answer {
                Some(answer) => {
                    if let Some(w) = self.waiting.remove(i) {
                        out.push(Effect::Hold(w.ticket, answer));
                    }
                }
                None => i += 1,
            }
        }
        self.seek(now, out);
    }

    /// Nobody wants it any more: what stands is given back, and what waits is granted no more. What was won,
    /// or is not here, stays as it is.
    pub fn withdraw(&mut self, now: Now, id: Op, out: &mut Vec<Effect>) {
        if self.holds.get(&id).is_some_and(|hold| hold.state == HoldState::Open) {
            self.void(now, id, HoldState::Released, out);
            self.serve_waiting(now, out);
        }
        // Those that gave up first waited longest: it is near the front.
        let at = self.waiting.iter().position(|waiting| waiting.ask.id == id);
        if let Some(waiting) = at.and_then(|at| self.waiting.remove(at)) {
            out.push(Effect::Hold(waiting.ticket, HoldAnswer::Expired));
            self.seek(now, out);
        }
    }

    /// Answers whatever waits for capacity that cannot be had now.
    pub(super) fn give_up(&mut self, now: Now, answer: &HoldAnswer, out: &mut Vec<Effect>) {
        self.serve_waiting(now, out);
        let waiting = self.waiting.drain(..);
        out.extend(waiting.map(|w| Effect::Hold(w.ticket, answer.clone())));
    }

    /// Whether a refusal that just came in settles the fate of this request too: the head of the
    /// queue is what was asked for, and others fall with it when they need more than there is.
    fn hopeless(
        &self,
        now: Now,
        ask: &Authorise,
        refusals: &[Option<Refusal>; 2],
        head: bool,
    ) -> Option<Refusal> {
        Lane::ALL.into_iter().find_map(|lane| {
            let refusal = refusals[lane.index()]?;
            let amount = match lane {
                Lane::Budget => ask.amount,
                Lane::Account => self.rate.convert(ask.amount),
            };
            let free = self.lanes[lane.index()].free(now, &self.limits).max(Micros::ZERO);
            let lacks = amount > free;
            let by_state = refusal.room <= Micros::ZERO;
            let fails = lacks && (head || by_state || amount > free + refusal.room);
            fails.then_some(refusal)
        })
    }

    /// Asks both authorities for what the head of the queue lacks.
    pub(super) fn seek(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(head) = self.waiting.front().map(|w| w.ask) else {
            return;
        };
        let amounts = [head.amount, self.rate.convert(head.amount)];
        for lane in Lane::ALL {
            let i = lane.index();
            if self.lanes[i].free(now, &self.limits) >= amounts[i] {
                continue;
            }
            let mut asks = Vec::new();
            let made = &mut self.slices_made;
            let holder = self.holder;
            let fresh = || {
                *made += 1;
                SliceId(mix(mix(holder.0) ^ (*made << 1 | i as u64)))
            };
            self.lanes[i].request(now, holder, amounts[i], fresh, &self.limits, &mut asks);
            send(lane, asks, out);
        }
    }
}

/// SplitMix64's finaliser: spreads a counter over 64 bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
