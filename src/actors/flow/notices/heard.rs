//! One notice, from its address to its answer.

use std::time::Duration;

use super::actor::Msg;
use super::owed::{Owed, Paid};
use super::review::Unbooked;
use crate::actors::flow::auction::{Office, Pending};
use crate::actors::flow::bidder::Told;
use crate::actors::flow::journal;
use crate::actors::shield::message::HoldFate;
use crate::actors::shield::{BudgetName, ShieldError};
use crate::clock;
use crate::models::cluster::shard::Shard;
use crate::models::flow::auction::bid::reserve;
use crate::models::flow::decision::outcome::cost;
use crate::models::flow::decision::{Digest, Outcome};
use crate::models::flow::notice::action::{Action, Heard as Said, Oddity, Stage, decide};
use crate::models::flow::notice::{Kind, price};
use crate::models::flow::opportunity::PriceType;
use crate::models::flow::pacing::Event;
use crate::models::shield::entry::Op;
use crate::models::shield::money::Micros;
use crate::models::shield::purse::HoldAnswer;

/// How long a booking may take before the notice is put aside on disk and answered.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the record of a booking may take before the notice is put aside as well.
const RECORD_PATIENCE: Duration = Duration::from_secs(1);
/// How long the disk may take.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

/// What a notice is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// HTTP 200: it is booked, on disk, or nothing is to be done.
    Taken,
    /// HTTP 400: it is none of ours.
    Bad,
    /// HTTP 503: neither store nor disk take it; to be told again.
    Later,
    /// Nothing is done here: to be told to the node that owns this shard, else again.
    Elsewhere(Shard),
}

/// A notice that is ours.
pub(super) struct Ours {
    pub hold: Op,
    pub account: String,
    pub campaign: String,
    pub digest: Digest,
    pub expires_us: i64,
    pub pending: Option<Pending>,
    /// In whose day it was bid; empty: of a campaign that auctions do not see.
    pub zone: String,
}

/// What it says.
#[derive(Clone, Copy)]
struct Tells {
    kind: Kind,
    cpm: Micros,
    /// No price: `cpm` is the most that it can be.
    silent: bool,
    /// The hold was over.
    late: bool,
}

impl Ours {
    /// What was won, to be booked at the end of its hold.
    fn owed(&self, cpm: Micros) -> Owed {
        let most = reserve(self.digest.cpm);
        Owed {
            hold: self.hold,
            account: self.account.clone(),
            campaign: self.campaign.clone(),
            amount: cost(cpm, self.digest.cross).min(most).0,
            reserve: most.0,
            due_us: self.expires_us,
            expires_us: self.expires_us,
            at_us: self.digest.at_us,
            zone: self.zone.clone(),
            digest: self.digest.to_text(),
            billed: false,
            late: false,
            silent: false,
        }
    }

    /// It is in nobody's ledger.
    fn unbooked(&self, kind: Kind, cpm: Micros) -> Unbooked<'_> {
        Unbooked {
            hold: self.hold,
            account: &self.account,
            campaign: &self.campaign,
            digest: Some(&self.digest),
            kind,
            amount: cost(cpm, self.digest.cross).min(reserve(self.digest.cpm)),
        }
    }

    /// For the journal.
    fn told(&self, outcome: Outcome) -> journal::Told {
        journal::Told {
            account: self.account.clone(),
            campaign: self.campaign.clone(),
            hold: self.hold.0,
            at_us: self.digest.at_us,
            outcome,
            digest: Some(self.digest.clone()),
        }
    }
}

impl Office {
    /// Takes a notice: `query` is all after the question mark.
    pub async fn notice(&self, kind: Kind, query: &str) -> Heard {
        let Ok(notice) = self.keys.open(kind, query) else { return Heard::Bad };
        let ours = match self.ours(&notice).await {
            Ok(ours) => ours,
            Err(heard) => return heard,
        };
        // Its money, its caps and its pacer are with the campaign, wherever it was bid.
        let shard = BudgetName::campaign(&ours.account, &ours.campaign).place();
        if !self.shield.placement().admits(shard) {
            return Heard::Elsewhere(shard);
        }
        let bid = price::Bid {
            cpm: ours.digest.price,
            currency: ours.digest.currency,
            price: match ours.digest.first_price {
                true => PriceType::First,
                false => PriceType::Second,
            },
        };
        let priced = price::settle(&notice.told, &bid);
        let now_us = clock::wall_us();
        let stage = ours.pending.as_ref().map_or(Stage::Unknown, |pending| pending.stage);
        let silent = priced.flag.is_some_and(price::Flag::is_silent);
        let (cpm, silent) = match stage {
            // The win said what a billing without a price does not.
            Stage::Won(told) if silent => (told, false),
            _ => (priced.cpm, silent),
        };
        let said = Said { kind, cpm, expires_us: ours.expires_us, now_us };
        let mut decision = decide(&said, stage, &self.terms.patience);
        if decision.action == Action::Release {
            // Another notice may have turned the bid since it was looked at, and a loss never takes a win back:
            // unless it stood open until now, the table says what a loss is of where it stands.
            let stood = self.open.turn_from(ours.hold.0, stage, Stage::Released);
            let stood = stood.unwrap_or(Stage::Unknown);
            decision = decide(&said, stood, &self.terms.patience);
        }
        // What an auction went for that was lost is no price of ours.
        let flag = priced.flag.filter(|_| kind != Kind::Loss);
        journal::heard(kind, decision.oddity.map(Oddity::name), flag.map(price::Flag::name));
        match decision.action {
            Action::Nothing => {
                // Its memory was lost, and its record says no more than that it was bid.
                let fresh = now_us < ours.expires_us.saturating_add(self.terms.patience.book_us);
                if kind == Kind::Loss && stage == Stage::Unknown && fresh {
                    let code = price::loss(&notice.told);
                    self.tell_outcome(&ours, Outcome::Lost { code, at_us: now_us });
                }
                Heard::Taken
            }
            Action::Review => {
                self.review_late(&ours.unbooked(kind, priced.cpm));
                Heard::Taken
            }
            Action::Remember(cpm) | Action::Restore(cpm) => {
                let owed = Owed { silent, ..ours.owed(cpm) };
                // Of what was told before a restart the first price counts.
                let Some(amount) = self.put_aside(owed).await else { return Heard::Later };
                if !self.kept(&ours, amount).await {
                    return Heard::Later;
                }
                self.won(&ours, Stage::Won(cpm), amount, price::min_to_win(&notice.told));
                self.tell_outcome(&ours, Outcome::Won { amount, at_us: now_us });
                Heard::Taken
            }
            Action::Settle(cpm) | Action::BookLate(cpm) => {
                // What was given back after a loss is over, too.
                let late = matches!(decision.oddity, Some(Oddity::Late | Oddity::Contradicted));
                self.bill(&ours, Tells { kind, cpm, silent, late }, stage).await
            }
            // It was turned above.
            Action::Release => {
                let name = BudgetName::campaign(&ours.account, &ours.campaign);
                // Where it is not released now, its time ends it.
                let release = self.shield.release(&name, ours.hold);
                let _ = tokio::time::timeout(PATIENCE, release).await;
                self.tell_lost(&ours, price::min_to_win(&notice.told));
                let code = price::loss(&notice.told);
                self.tell_outcome(&ours, Outcome::Lost { code, at_us: now_us });
                Heard::Taken
            }
        }
    }

    /// Books it now and sees to its record, or puts it on disk.
    async fn bill(&self, ours: &Ours, tells: Tells, stage: Stage) -> Heard {
        let Tells { kind, cpm, silent, late } = tells;
        let now_us = clock::wall_us();
        let billed = kind == Kind::Billing;
        let owed = Owed { due_us: now_us, billed, late, silent, ..ours.owed(cpm) };
        let paid = match stage.defers(kind, silent) {
            true => Paid::Later,
            false => {
                let paid = tokio::time::timeout(PATIENCE, owed.book(self)).await;
                paid.unwrap_or(Paid::Later)
            }
        };
        let amount = match paid {
            Paid::Booked { .. } => Micros(owed.amount),
            // The first one counts.
            Paid::Differs(known) => known,
            Paid::Never(why) => {
                self.review_never(&ours.unbooked(kind, cpm), why);
                return Heard::Taken;
            }
            Paid::Later | Paid::Early | Paid::HandedOver => {
                let Some(amount) = self.put_aside(owed).await else { return Heard::Later };
                if !self.kept(ours, amount).await {
                    return Heard::Later;
                }
                self.won(ours, Stage::Settled(cpm), amount, None);
                // It is billed when the ledger says so.
                self.tell_outcome(ours, Outcome::Won { amount, at_us: now_us });
                return Heard::Taken;
            }
        };
        let billed = Outcome::Billed { amount, at_us: now_us, late };
        if self.recorded(ours.told(billed)).await {
            if matches!(stage, Stage::Won(_) | Stage::Unknown)
                && let Some(notices) = self.notices.get()
            {
                // Left owed, it is booked again, which changes nothing.
                let _ = notices.tell(Msg::Done { hold: ours.hold });
            }
        } else if self.put_aside(owed).await.is_none() {
            // It is in the ledger, and nothing says why: to be told again.
            return Heard::Later;
        }
        self.won(ours, Stage::Settled(cpm), amount, None);
        Heard::Taken
    }

    /// The record of what became of a bid is durable when this is true.
    async fn recorded(&self, told: journal::Told) -> bool {
        let Some(journal) = self.journal.get() else { return false };
        let told = Box::new(told);
        let asked = journal
            .ask(RECORD_PATIENCE, |reply| journal::Msg::Outcome { told, reply: Some(reply) });
        asked.await.unwrap_or(false)
    }

    /// Pacer, win curve and caps hear of it once, whoever tells it how often.
    fn won(&self, ours: &Ours, stage: Stage, amount: Micros, min_to_win: Option<Micros>) {
        let before = self.open.turn(ours.hold.0, stage);
        if ours.pending.is_none() {
            let at_us = ours.digest.at_us;
            return self.people.won_before(ours.hold.0, at_us, clock::wall_us());
        }
        if let Some(before) = before.filter(|it| !matches!(it.stage, Stage::Settled(_))) {
            self.tell_won((ours.hold.0, &before), Some(&ours.digest), (amount, min_to_win));
        }
    }

    /// Rule 6: SyncShield books a hold that is kept at its end by itself, whatever becomes of what is owed
    /// here until then; both book under the name of the hold's settle. `true` also where it has no such hold
    /// in memory: there is none that could be given back.
    async fn kept(&self, ours: &Ours, amount: Micros) -> bool {
        // Bids are known here for longer than their holds stand: where one is not, a restart has lost both.
        if ours.pending.is_none() {
            return true;
        }
        let name = BudgetName::campaign(&ours.account, &ours.campaign);
        let told = self.shield.notice(&name, ours.hold, amount);
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(HoldFate::Answer(HoldAnswer::TooMuch(_) | HoldAnswer::Mismatch))) => {
                // What is owed decides: it was said first to the disk.
                tracing::warn!(hold = %ours.hold, campaign = ours.campaign,
                    "a win of {} is not what its hold says", ours.campaign);
                true
            }
            // Its budget is not in memory, or has just been lost from it.
            Ok(
                Ok(_) | Err(ShieldError::Absent | ShieldError::Unavailable | ShieldError::Faulted),
            ) => true,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// The amount that is owed, which is on disk when this is answered; `None`: it is not.
    pub(super) async fn put_aside(&self, owed: Owed) -> Option<Micros> {
        let owed = Box::new(owed);
        let asked = self.notices.get()?.ask(DISK_PATIENCE, |reply| Msg::Owe { owed, reply });
        asked.await.ok().flatten()
    }

    /// `pending`: as it was before.
    fn tell_won(
        &self,
        (hold, pending): (u128, &Pending),
        digest: Option<&Digest>,
        (price, min_to_win): (Micros, Option<Micros>),
    ) {
        let now_us = clock::wall_us();
        let seat = &pending.seat;
        seat.tell(Told::Pace(Event::Won { at_us: now_us, id: hold as u64, price }));
        if pending.stage == Stage::Open {
            let second = digest.is_some_and(|digest| !digest.first_price);
            let own = |cpm| digest.map(|digest| cost(cpm, digest.cross).0 as f64);
            let market = if second { Some(price.0 as f64) } else { min_to_win.and_then(own) };
            let (bid, value) = (pending.bid, pending.value);
            seat.tell(Told::Outcome { bid, value, won: true, price: market });
        }
        // Whatever was thought of it meanwhile, its person has seen it.
        if !pending.stage.is_bought()
            && let Some(person) = pending.person
            && let Some(mut table) = self.people.table(person)
        {
            let caps = &seat.campaign().definition.frequency.caps;
            table.won(person, seat.key, caps, hold, pending.at_us, now_us);
        }
    }

    fn tell_lost(&self, ours: &Ours, min_to_win: Option<Micros>) {
        if let Some(pending) = &ours.pending {
            let price = min_to_win.map(|cpm| cost(cpm, ours.digest.cross).0 as f64);
            self.lost(ours.hold.0, pending, price, false);
        }
    }

    fn lost(&self, hold: u128, pending: &Pending, price: Option<f64>, expired: bool) {
        let (at_us, id, seat) = (clock::wall_us(), hold as u64, &pending.seat);
        seat.tell(Told::Pace(match expired {
            true => Event::Expired { at_us, id },
            false => Event::Lost { at_us, id },
        }));
        let (bid, value) = (pending.bid, pending.value);
        seat.tell(Told::Outcome { bid, value, won: false, price });
        // What nobody spoke of counts no more by its time, and may yet be told as won.
        if !expired
            && let Some(person) = pending.person
            && let Some(mut table) = self.people.table(person)
        {
            table.lost(person, seat.key, hold, at_us);
        }
    }

    fn tell_outcome(&self, ours: &Ours, outcome: Outcome) {
        let told = Box::new(ours.told(outcome));
        self.tell_journal(journal::Msg::Outcome { told, reply: None });
    }

    /// Ends bids of which nobody has said anything in time. Their holds end by themselves, and their records say
    /// when.
    pub(super) fn end_bids(&self, most: usize) {
        let now_us = clock::wall_us();
        for (hold, pending) in self.open.expire(now_us, most) {
            self.lost(hold, &pending, None, true);
        }
    }

    /// What was owed was booked in its turn: whether its record is safe.
    pub(super) async fn over(&self, owed: &Owed, paid: Paid) -> bool {
        let amount = match paid {
            Paid::Booked { .. } => Micros(owed.amount),
            Paid::Differs(known) => known,
            Paid::Never(_) => return true,
            Paid::Later | Paid::Early | Paid::HandedOver => return false,
        };
        let (hold, digest) = (owed.hold, owed.decision());
        let settled = Stage::Settled(Micros(owed.amount.saturating_mul(1_000)));
        // Where its notice was put off and never came again, nobody has heard of it yet.
        match self.open.turn(hold.0, settled) {
            Some(before) if !before.stage.is_bought() => {
                self.tell_won((hold.0, &before), digest.as_ref(), (amount, None));
            }
            Some(_) => {}
            None => self.people.won_before(hold.0, owed.at_us, clock::wall_us()),
        }
        self.recorded(journal::Told {
            account: owed.account.clone(),
            campaign: owed.campaign.clone(),
            hold: hold.0,
            at_us: owed.at_us,
            outcome: Outcome::Billed { amount, at_us: clock::wall_us(), late: owed.late },
            digest,
        })
        .await
    }
}
