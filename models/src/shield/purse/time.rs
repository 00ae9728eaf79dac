//! What time does to a purse.

use super::{Purse, send, settlement};
use crate::shield::ask::Ask;
use crate::shield::budget::Settlement;
use crate::shield::effect::{Effect, Lane};
use crate::shield::entry::Now;
use crate::shield::hold::HoldState;
use crate::shield::limits::Bug;

impl Purse {
    /// Time passes: holds expire, slices end, what got no answer is sent again.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.mind_the_clocks(now);
        self.expire(now, out);
        self.book_again(now, out);
        for lane in Lane::ALL {
            let mut asks = Vec::new();
            self.lanes[lane.index()].tick(now, self.holder, &self.limits, &mut asks);
            send(lane, asks, out);
        }
        self.serve_waiting(now, out);
    }

    pub(super) fn expire(&mut self, now: Now, out: &mut Vec<Effect>) {
        loop {
            let due = |at: &i64| now.mono_us >= *at;
            let id = if self.queue.front().is_some_and(|(at, _)| due(at)) {
                self.queue.pop_front().map(|(_, id)| id)
            } else if self.odd.first().is_some_and(|(at, _)| due(at)) {
                self.odd.pop_first().map(|(_, id)| id)
            } else {
                None
            };
            let Some(id) = id else { return };
            let Some(hold) = self.holds.get(&id) else {
                continue;
            };
            match hold.state {
                // Released and authorised anew under the same id: its own expiry is queued too.
                HoldState::Open if now.mono_us < hold.expires_us + self.limits.grace_us => {}
                HoldState::Won(_) if self.limits.has(Bug::WonHoldExpires) => {
                    self.void(now, id, HoldState::Expired, out);
                }
                HoldState::Won(price) => self.settle(now, None, id, price, out),
                HoldState::Settling(_) => {}
                _ => {
                    self.void(now, id, HoldState::Expired, out);
                }
            }
        }
    }

    /// A settle without an answer is sent again: the authority finds it if it was booked.
    pub(super) fn book_again(&mut self, now: Now, out: &mut Vec<Effect>) {
        for (id, (_, sent_us)) in &mut self.settling {
            let due = now.mono_us - *sent_us >= self.limits.resend_us;
            let Some(hold) = self.holds.get(id).filter(|_| due) else {
                continue;
            };
            if let HoldState::Settling(amount) = hold.state {
                *sent_us = now.mono_us;
                let s = Settlement { again: true, ..settlement(hold, amount, self.rate, true) };
                out.push(Effect::Book { hold: *id, ask: Ask::Settle(Box::new(s)) });
            }
        }
    }
}
