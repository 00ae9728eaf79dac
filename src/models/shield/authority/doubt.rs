//! What was booked before: found again after a doubt, told to the account, answered once more.

use std::collections::HashMap;

use super::{Authority, Flight, Found, Parked, Then, UNTIL_OVER};
use crate::models::shield::ask::{Answer, Ask, Ticket};
use crate::models::shield::effect::Effect;
use crate::models::shield::entry::{HolderId, Now, Op, SliceId};
use crate::models::shield::money::Micros;

impl Authority {
    /// An earlier life may have ended between a booking and telling the account of it.
    pub fn retell(&mut self, out: &mut Vec<Effect>) {
        let campaign = self.budget.core.terms.window.is_none();
        if !campaign {
            return;
        }
        if self.retelling {
            self.retell_again = true;
        } else {
            self.retelling = true;
            out.push(Effect::Retell);
        }
    }

    /// The account has counted everything that was booked by the time it was told.
    pub fn retold(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.retelling = false;
        if std::mem::take(&mut self.retell_again) {
            return self.retell(out);
        }
        for (ticket, ask, answer) in std::mem::take(&mut self.replays) {
            self.finish(&ask);
            self.answer_replay(now, ticket, &ask, answer, out);
        }
    }

    /// Answers what was booked before, and tries the rest again.
    pub(super) fn sort_out(
        &mut self,
        now: Now,
        flight: Flight,
        found: Vec<(Op, Found)>,
        out: &mut Vec<Effect>,
    ) {
        let mut found: HashMap<Op, Found> = found.into_iter().collect();
        let mut rest = Vec::new();
        for (ticket, ask) in flight.jobs {
            let known = ask.op().and_then(|(op, body)| Some((found.remove(&op)?, body)));
            let Some((found, body)) = known else {
                rest.push((ticket, ask));
                continue;
            };
            if let Some((op, _)) = ask.op() {
                self.doubted.remove(&op);
            }
            let answer = match found {
                Found::Row { entry } if entry.body == body => {
                    Answer::Booked { entry, replayed: true }
                }
                Found::Answer { body: stored, status, answer } if stored == body => {
                    Answer::OrderReplayed { status, answer }
                }
                Found::Row { .. } | Found::Answer { .. } => Answer::Mismatch,
            };
            if self.retelling {
                // It stays busy: whoever repeats it waits like this one.
                self.replays.push((ticket, ask, answer));
                continue;
            }
            self.finish(&ask);
            self.answer_replay(now, ticket, &ask, answer, out);
        }
        self.requeue(rest);
    }

    /// A repeated request is told the same, and as late: whoever asked first may have been cut off
    /// before the slices were recalled.
    fn answer_replay(
        &mut self,
        now: Now,
        ticket: Ticket,
        ask: &Ask,
        answer: Answer,
        out: &mut Vec<Effect>,
    ) {
        let limits = self.limits.clone();
        let recalls = match ask {
            Ask::Order { order, .. } => order.may_cut(),
            _ => self.budget.stage(now, &limits).room().room < Micros::ZERO,
        };
        let out_there: Vec<(HolderId, SliceId)> = self
            .budget
            .core
            .slices
            .values()
            .filter(|s| recalls && s.may_serve(now.mono_us))
            .map(|s| (s.holder, s.id))
            .collect();
        if out_there.is_empty() {
            out.push(Effect::Reply(ticket, answer));
            return;
        }
        out.extend(
            out_there
                .iter()
                .map(|(holder, slice)| Effect::Recall { holder: *holder, slice: *slice }),
        );
        self.parked.push(Parked {
            until_us: now.mono_us + UNTIL_OVER,
            asked_us: now.mono_us,
            waits: out_there.into_iter().map(|(_, slice)| slice).collect(),
            then: Then::Answer(ticket, answer),
        });
    }
}
