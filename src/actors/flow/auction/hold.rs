//! The money of winners: asked for before they are told, and given back where they are not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use smallvec::SmallVec;

use super::market::Market;
use super::office::Office;
use super::ready::{Asked, Counted, Ready};
use super::write::Won;
use crate::actors::flow::bidder::{Seat, Told};
use crate::actors::flow::journal;
use crate::actors::kernel::run_within;
use crate::clock;
use crate::models::breaker::BreakerState;
use crate::models::flow::auction::standing::{self, GRACE_US};
use crate::models::flow::auction::{Bid, Decisions};
use crate::models::flow::frequency::PersonKey;
use crate::models::flow::reason::Reason;
use crate::models::shield::entry::Op;
use crate::models::shield::hold::OWN_PROOF;
use crate::models::shield::purse::HoldAnswer;
use crate::models::shield::refusal;

/// A limit that is swept and has no timer of its own, which costs a third of the ask, may come so late.
const SWEPT_LATE: Duration = Duration::from_millis(20);
/// Rounds of authorising: the first winners and three fall-backs, once more for what a change of currency
/// takes.
const ROUNDS_MAX: usize = 6;

impl Office {
    /// Asks for the most that winners may cost, all at a time; who is refused is followed by the next.
    pub(super) async fn authorised(
        &self,
        ready: &mut Ready<'_>,
        decisions: &mut Decisions,
        until_us: i64,
    ) {
        for _ in 0..ROUNDS_MAX {
            let open = |slot: &usize| ready.won.iter().all(|won: &Won| won.slot != *slot);
            let asked: SmallVec<[(usize, Bid); 4]> = decisions
                .winners()
                .filter(|(slot, _)| open(slot))
                .map(|(slot, bid)| (slot, *bid))
                .collect();
            if asked.is_empty() {
                break;
            }
            let (auction, market) = (&ready.auction, &ready.market);
            let who = (ready.seeing.key, auction.at_us);
            let ask = |(slot, bid): (usize, Bid)| async move {
                let slot_of = auction.slots.get(slot);
                let asked_s = slot_of.and_then(|slot| slot.expires_s);
                (slot, bid, self.authorise((&**market, who), &bid, asked_s, until_us).await)
            };
            // Mostly there is one.
            let answers: SmallVec<[_; 1]> = match asked.as_slice() {
                [only] => SmallVec::from_iter([ask(*only).await]),
                _ => SmallVec::from_vec(join_all(asked.into_iter().map(ask)).await),
            };
            for (slot, bid, answer) in answers {
                match answer {
                    Ok((hold, exp_s)) => {
                        ready.won.push(Won { slot, bid, hold: Some(hold.kept()), exp_s });
                    }
                    Err(reason) => fall_back(decisions, Some(&*ready.market), slot, reason),
                }
            }
            one_currency(decisions, Some(&*ready.market), &ready.won);
            ready.refused = Some(*decisions.refused());
        }
    }

    /// Holds the most that a bid may cost: the hold and for how many seconds it is promised. The person's caps
    /// count it before, so that requests which are answered at the same time do not pass them together.
    async fn authorise<'a>(
        &'a self,
        (market, (person, at_us)): (&'a Market, (Option<PersonKey>, i64)),
        bid: &Bid,
        asked_s: Option<u32>,
        until_us: i64,
    ) -> Result<(Counted<'a>, u32), Reason> {
        let seat = market.seat(bid.at).ok_or(Reason::NotActive)?;
        // Its budget is on its way to another node, and this index is of before.
        if !self.shield.placement().admits(seat.shard) {
            seat.kept(Reason::NotActive);
            return Err(Reason::NotActive);
        }
        let counted = self.counted((market, (person, at_us)), seat, bid, asked_s);
        let (counted, exp_s) = counted.inspect_err(|reason| seat.kept(*reason))?;
        match self.asked(counted.hold(), (market, seat), bid, (exp_s, until_us)).await {
            Ok(exp_s) => Ok((counted.held(), exp_s)),
            Err(reason) => Err(counted.refused(reason)),
        }
    }

    /// A bid that its person's caps count, and for how many seconds it is to be promised.
    fn counted<'a>(
        &'a self,
        (market, (person, at_us)): (&Market, (Option<PersonKey>, i64)),
        seat: &'a Arc<Seat>,
        bid: &Bid,
        asked_s: Option<u32>,
    ) -> Result<(Counted<'a>, u32), Reason> {
        let longest_us = self.shield.terms().limits.hold_ttl_max_us;
        let exp_s = standing::seconds(asked_s, self.terms.hold_ttl_us, longest_us);
        let entry = market.index().entry(bid.at).ok_or(Reason::NotActive)?;
        let hold = Op(journal::in_time(clock::wall_us(), rand::random()));
        let ends_us = at_us.saturating_add(i64::from(exp_s) * 1_000_000);
        Ok((Counted::new(self, (seat, entry), person, hold, (at_us, ends_us))?, exp_s))
    }

    /// Asks SyncShield; for how many seconds the hold is promised.
    async fn asked(
        &self,
        hold: Op,
        (market, seat): (&Market, &Arc<Seat>),
        bid: &Bid,
        (exp_s, until_us): (u32, i64),
    ) -> Result<u32, Reason> {
        let left_us = u64::try_from(until_us - clock::mono_us()).unwrap_or(0);
        if left_us == 0 {
            return Err(Reason::Deadline);
        }
        let currency = Some(market.index().entry(bid.at).ok_or(Reason::NotActive)?.currency);
        let ttl_us = i64::from(exp_s) * 1_000_000 + GRACE_US;
        let (id, ttl, until) = ((hold, OWN_PROOF), Some(ttl_us), Some(until_us));
        let ask = self.shield.authorise(&seat.name, id, bid.reserve, currency, ttl, until);
        // Without an answer it may have been granted all the same.
        let asked = Asked::new(self, seat, hold);
        let left = Duration::from_micros(left_us);
        let answer = match left > SWEPT_LATE * 2 {
            true => run_within(left - SWEPT_LATE, ask).await,
            false => tokio::time::timeout(left, ask).await.ok(),
        };
        let Some(Ok(answer)) = answer else {
            return Err(self.unavailable());
        };
        asked.answered();
        match answer.answer {
            HoldAnswer::Held { hold: held, .. } => {
                seat.tell(Told::Remaining(answer.remaining));
                // SyncShield may bound it more tightly.
                let stands_us = held.expires_wall_us - clock::wall_us() - GRACE_US;
                let stands_s = u32::try_from(stands_us.div_euclid(1_000_000) + 1).unwrap_or(0);
                Ok(exp_s.min(stands_s).max(1))
            }
            HoldAnswer::Refused(refused) => {
                seat.tell(Told::Refused);
                Err(match refused.reason {
                    refusal::Reason::NoExchangeRate => Reason::NoRate,
                    refusal::Reason::CurrencyMismatch => Reason::Currency,
                    _ => Reason::Budget,
                })
            }
            _ => Err(self.unavailable()),
        }
    }

    /// Why SyncShield does not say whether there is money: for want of time, or of its store.
    fn unavailable(&self) -> Reason {
        match self.shield.writes().breaker() {
            BreakerState::Closed => Reason::BudgetUnavailable,
            BreakerState::Open | BreakerState::HalfOpen => Reason::Breaker,
        }
    }

    /// Gives a hold back, or what was asked for and not granted yet.
    pub(super) fn release(&self, seat: &Arc<Seat>, hold: Op) {
        self.shield.withdraw(&seat.name, hold);
    }
}

/// The next one wins a slot, whose seat hears of it. `market`: not of a test.
fn fall_back(decisions: &mut Decisions, market: Option<&Market>, slot: usize, reason: Reason) {
    let next = decisions.fall_back(slot, reason).map(|bid| bid.at);
    if let Some(seat) = next.and_then(|at| market?.seat(at)) {
        seat.placed();
    }
}

/// An answer has one currency: that of what stands already, else of the best bid. Bids in others are followed
/// by the next ones.
pub(super) fn one_currency(decisions: &mut Decisions, market: Option<&Market>, stand: &[Won]) {
    let best = decisions.winners().map(|(_, bid)| bid);
    let best = best.max_by(|a, b| a.score.total_cmp(&b.score));
    let first = stand.first().map(|won| &won.bid).or(best);
    let Some(currency) = first.map(|bid| bid.currency) else { return };
    for slot in 0..decisions.slots() {
        while let Some(at) =
            decisions.winner(slot).filter(|it| it.currency != currency).map(|it| it.at)
        {
            if let Some(seat) = market.and_then(|market| market.seat(at)) {
                seat.kept(Reason::Currency);
            }
            fall_back(decisions, market, slot, Reason::Currency);
        }
    }
}
