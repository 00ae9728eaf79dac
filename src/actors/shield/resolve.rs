//! A hold that no purse knows: what ledger, journal and token say of it.

use super::budget::{Asker, Live};
use super::message::{Found, HoldFate, Seek, Told, Wish};
use crate::actors::kernel::Reply;
use crate::models::shield::ask::Ask;
use crate::models::shield::entry::{Entry, Op, SliceId};
use crate::models::shield::hold::{Hold, HoldState, UNKEYED};
use crate::models::shield::money::{Micros, Rate};
use crate::models::shield::purse::{HoldAnswer, settlement};

impl Live {
    /// Decides about a hold that the purse does not know, by what ledger, journal and token say.
    pub(super) fn resolved(&mut self, seek: Seek, found: Found) {
        let Seek { hold: id, wish, proof, reply, .. } = seek;
        if let Some(entry) = found.entry {
            if wish != Wish::Look && self.authority.is_telling(entry.op) {
                // Acknowledged once the account has counted it; whoever looks sees what is booked.
                return reply.send(Told::Done(HoldFate::Answer(HoldAnswer::Busy)));
            }
            if self.guest
                && let Wish::Settle(amount) = wish
                && entry.amount == amount
                && let Some(hold) = found.journaled.clone().or_else(|| proof.as_deref().cloned())
            {
                // Whether the account has counted it by now, its authority knows.
                return self.settle_late(hold, amount, reply);
            }
            let fate = match wish {
                Wish::Settle(amount) if entry.amount != amount => {
                    HoldFate::Answer(HoldAnswer::Mismatch)
                }
                Wish::Release => HoldFate::Over(settled_hold(id, found.journaled, &entry)),
                _ => HoldFate::Booked {
                    hold: found
                        .journaled
                        .or(proof.map(|p| *p))
                        .or_else(|| self.purse.settled_hold(id).cloned()),
                    entry: Box::new(entry),
                    replayed: true,
                },
            };
            return reply.send(Told::Done(fate));
        }
        let released = self.released.iter().rfind(|h| h.id == id).cloned();
        let mut known = match (found.journaled.or(released), proof) {
            // A key that was granted once more after its release: the token is of the later grant.
            (Some(hold), Some(proof))
                if proof.id == id && proof.expires_wall_us > hold.expires_wall_us =>
            {
                *proof
            }
            (Some(hold), _) => hold,
            (None, Some(proof)) if proof.id == id => *proof,
            (None, _) => return reply.send(Told::Done(HoldFate::Answer(HoldAnswer::Unknown))),
        };
        if known.state == HoldState::Open {
            // Its purse is gone: nobody settles or releases it in memory any more.
            known.state = HoldState::Expired;
        }
        match wish {
            Wish::Settle(amount) if known.state == HoldState::Expired => {
                self.settle_late(known, amount, reply);
            }
            _ => reply.send(Told::Done(HoldFate::Over(known))),
        }
    }

    /// A hold under a key that the journal has as standing, and no purse: what another owner has left behind.
    pub(super) fn left_behind(&self, found: &Found) -> Option<Hold> {
        let hold = found.journaled.as_ref().filter(|_| found.entry.is_none())?;
        let stands = hold.state == HoldState::Open && hold.expires_wall_us > self.at.wall_us;
        // One that is in memory has been granted once more, or ends in its turn.
        let own = self.purse.hold(hold.id).is_some() || self.ended.contains_key(&hold.id);
        (stands && !own && !hold.is_asked_once()).then(|| hold.clone())
    }

    /// A hold that was released here before the journal had it: no other node can know. One with a key is always
    /// there, and may have been granted once more.
    pub(super) fn let_go(&self, hold: Op) -> Option<Hold> {
        let released = self.released.iter().rfind(|it| it.id == hold && it.body == UNKEYED);
        released.cloned()
    }

    /// It was bought, whoever has forgotten the hold: booked as a late fact (rule 1).
    fn settle_late(&mut self, hold: Hold, amount: Micros, reply: Reply<Told<HoldFate>>) {
        if amount > hold.amount {
            let answer = HoldAnswer::TooMuch(hold);
            return reply.send(Told::Done(HoldFate::Answer(answer)));
        }
        let rate = self.rate.unwrap_or(Rate::ONE);
        let ask = Ask::Settle(Box::new(settlement(&hold, amount, rate, false)));
        self.ask(ask, Asker::Settle(reply, Box::new(hold)));
    }
}

/// A hold that the ledger has settled, as far as it is still known.
fn settled_hold(id: Op, journaled: Option<Hold>, entry: &Entry) -> Hold {
    let state = HoldState::Settled(entry.amount);
    let unknown = SliceId(0);
    match journaled {
        Some(hold) => Hold { state, ..hold },
        None => Hold {
            id,
            amount: entry.amount,
            window_amount: entry.window_amount,
            expires_us: 0,
            expires_wall_us: entry.at.wall_us,
            slice: entry.slice.unwrap_or(unknown),
            window_slice: unknown,
            day: entry.day,
            state,
            body: entry.body,
        },
    }
}
