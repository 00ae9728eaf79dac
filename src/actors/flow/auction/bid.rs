//! From a request to its answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use smallvec::SmallVec;

use super::answer::{Answer, Missed};
use super::market::Market;
use super::office::{Office, Place};
use super::open::Pending;
use super::ready::{Asked, Counted, Ready};
use super::sights::{Seeing, View};
use super::write::{self, Won};
use crate::actors::flow::bidder::{Seat, Told};
use crate::actors::flow::journal;
use crate::actors::kernel::run_within;
use crate::clock;
use crate::models::breaker::BreakerState;
use crate::models::flow::auction::explain;
use crate::models::flow::auction::standing::{self, GRACE_US};
use crate::models::flow::auction::{Bid, Context, Decisions, decide};
use crate::models::flow::decision::sample::sampled;
use crate::models::flow::decision::{Decision, Kind};
use crate::models::flow::frequency::key::mix;
use crate::models::flow::frequency::{PersonKey, Table};
use crate::models::flow::notice::action::Stage;
use crate::models::flow::openrtb::Request;
use crate::models::flow::opportunity::Auction;
use crate::models::flow::pacing::Event;
use crate::models::flow::privacy::Permits;
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::explain::Finding;
use crate::models::shield::entry::Op;
use crate::models::shield::hold::OWN_PROOF;
use crate::models::shield::purse::HoldAnswer;
use crate::models::shield::refusal;

/// A limit that is swept and has no timer of its own, which costs a third of the ask, may come so late.
const SWEPT_LATE: Duration = Duration::from_millis(20);
/// Rounds of authorising: the first winners and three fall-backs, once more for what a change of currency
/// takes.
const ROUNDS_MAX: usize = 6;
/// Explanations of one sampled request.
const EXPLAINED_MAX: usize = 4;

impl Office {
    /// Answers a bid request of an exchange, which is told apart from others by that name. `began_us`: when it
    /// arrived (monotonic); `tmax`: how long the caller waits at most, if that is less than what the request says.
    pub async fn bid(
        &self,
        body: &[u8],
        exchange: &str,
        began_us: i64,
        tmax: Option<Duration>,
    ) -> Answer {
        self.counts.request();
        let request = match Request::parse(body, &self.terms.limits) {
            Ok(request) => request,
            Err(malformed) => return self.unread(malformed, exchange),
        };
        let until_us = self.until_us(&request, began_us, tmax);
        match self.decided(&request, exchange, (began_us, until_us)).await {
            Ok(bytes) => Answer::Bids(bytes),
            Err(missed) => {
                self.counts.no_bid(missed.reason);
                missed.answer(&request)
            }
        }
    }

    /// By when the answer has to leave (monotonic micros).
    pub(super) fn until_us(
        &self,
        request: &Request<'_>,
        began_us: i64,
        tmax: Option<Duration>,
    ) -> i64 {
        let told = request.tmax_ms().map_or(self.terms.tmax_us, |ms| i64::from(ms) * 1_000);
        let asked = tmax.map(|tmax| i64::try_from(tmax.as_micros()).unwrap_or(i64::MAX));
        let tmax_us = asked.map_or(told, |asked| asked.min(told));
        began_us.saturating_add(tmax_us).saturating_sub(self.terms.margin_us)
    }

    async fn decided(
        &self,
        request: &Request<'_>,
        exchange: &str,
        (began_us, until_us): (i64, i64),
    ) -> Result<Vec<u8>, Missed> {
        let ready = self.readied(request, exchange, (began_us, until_us)).await?;
        match clock::mono_us() < until_us {
            true => Ok(ready.go()),
            // Nobody hears of these bids: dropped, what is held for them is given back.
            false => Err(Reason::Deadline.into()),
        }
    }

    /// A request with bids that are authorised and written, and of which nobody has heard.
    pub(super) async fn readied<'a>(
        &'a self,
        request: &'a Request<'_>,
        exchange: &str,
        (began_us, until_us): (i64, i64),
    ) -> Result<Ready<'a>, Missed> {
        let (_place, auction) = self.admitted(request, until_us).inspect_err(|reason| {
            let id = &*request.id;
            if sampled(self.salt ^ hash(id), self.terms.sample) {
                let found = write::refused(*reason, request, &self.terms.privacy);
                let made = self.unexplained(id, (found, clock::wall_us()), began_us);
                self.tell_journal(journal::Msg::NoBids(vec![made]));
            }
        })?;
        let market = self.market();
        let seeing = Seeing::of(self, &auction, exchange);
        let seed = self.salt ^ hash(auction.id);
        let mut lent = self.scratch();
        let decisions = {
            let table = seeing.key.and_then(|key| self.people.table(key));
            let sights = self.sights(&market, &seeing, table.as_deref());
            let context = Context { sights: &sights, seed };
            decide(&auction, market.index(), &*market, &context, lent.scratch())
        };
        self.wake(&market);
        // A test teaches nobody anything.
        let counts = (!auction.test).then_some(&*market);
        if let Some(market) = counts {
            place(decisions, market);
        }
        one_currency(decisions, counts, &[]);
        let mut ready = Ready::new(self, auction, Arc::clone(&market), seeing, began_us);
        match ready.auction.test {
            true => ready.won = untold(decisions),
            false => self.authorised(&mut ready, decisions, until_us).await,
        }
        let revoked = self.drop_revoked(&mut ready);
        let mut refused = *decisions.refused();
        refused.add(Reason::Consent, revoked);
        if !ready.auction.test {
            self.counts.refused(&refused);
        }
        if ready.won.is_empty() {
            let otherwise = if revoked > 0 { Reason::Consent } else { Reason::NoCandidate };
            let reason = decisions.no_bid().unwrap_or(otherwise);
            let Ready { auction, market, seeing, .. } = &ready;
            self.keep_sample(auction, market, seeing, (seed, reason), began_us);
            let refused = ready.auction.test.then(|| Box::new(refused));
            return Err(Missed { reason, refused });
        }
        let Ready { auction, market, won, seeing, .. } = &ready;
        match self.write_answer(auction, market, won, seeing) {
            Ok(bytes) => ready.bytes = bytes,
            Err(_) => {
                ready.why = Reason::Creative;
                return Err(Reason::Creative.into());
            }
        }
        Ok(ready)
    }

    /// What a request has to be before anybody looks who would bid on it.
    fn admitted<'r>(
        &self,
        request: &'r Request<'_>,
        until_us: i64,
    ) -> Result<(Place<'_>, Auction<'r>), Reason> {
        let place = self.enter().ok_or(Reason::Overloaded)?;
        if clock::mono_us() >= until_us {
            return Err(Reason::Deadline);
        }
        request.chain().admits(self.terms.complete_chain)?;
        let permits = Permits::of(&request.signals(), &self.terms.privacy);
        let auction = request.auction(clock::wall_us(), &permits)?;
        match self.open.is_full() {
            true => Err(Reason::Overloaded),
            false => Ok((place, auction)),
        }
    }

    fn sights<'a>(
        &'a self,
        market: &'a Market,
        seeing: &'a Seeing<'a>,
        table: Option<&'a Table>,
    ) -> View<'a> {
        View { office: self, market, seeing, table, nothing: &self.nothing }
    }

    /// Asks for the most that winners may cost, all at a time; who is refused is followed by the next.
    async fn authorised(&self, ready: &mut Ready<'_>, decisions: &mut Decisions, until_us: i64) {
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

    /// CO-1: takes out what was decided by grants that were recalled meanwhile; how many.
    fn drop_revoked(&self, ready: &mut Ready<'_>) -> u32 {
        let Ready { market, seeing, won, .. } = ready;
        let before = won.len();
        won.retain(|won| {
            let Some(entry) = market.index().entry(won.bid.at) else { return true };
            let stands = seeing.stands(self, entry.account);
            if !stands && let (Some(hold), Some(seat)) = (won.hold, market.seat(won.bid.at)) {
                self.release(seat, hold);
                seat.kept(Reason::Consent);
                self.uncount(seeing.key.filter(|_| !entry.caps.is_empty()), seat, hold);
            }
            stands
        });
        u32::try_from(before - won.len()).unwrap_or(u32::MAX)
    }

    /// What notices, caps, pacers and the journal need to know of bids.
    pub(super) fn remember(
        &self,
        auction: &Auction<'_>,
        market: &Market,
        won: &[Won],
        (seeing, began_us): (&Seeing<'_>, i64),
    ) {
        let latency_us = u32::try_from(clock::mono_us() - began_us).unwrap_or(u32::MAX);
        let mut made = Vec::with_capacity(won.len());
        for won in won {
            let (Some(hold), Some(seat)) = (won.hold, market.seat(won.bid.at)) else { continue };
            let Some(entry) = market.index().entry(won.bid.at) else { continue };
            let bid = &won.bid;
            let at_us = auction.at_us;
            let expires_us = won.expires_us(at_us);
            let per_impression = bid.cpm.0 as f64 / 1_000.0;
            self.open.put(
                hold.0,
                Pending {
                    seat: Arc::clone(seat),
                    person: seeing.key,
                    stage: Stage::Open,
                    reserve: bid.reserve,
                    value: bid.value,
                    bid: per_impression,
                    at_us,
                    expires_us,
                },
            );
            seat.bid();
            seat.tell(Told::Pace(Event::Bid {
                at_us,
                id: hold.0 as u64,
                hold: bid.reserve,
                value: bid.value,
                worth: bid.worth,
                bid: per_impression,
            }));
            let known = write::used(seeing, entry, bid);
            let record = write::record(auction, entry, won, (known, seat), latency_us);
            let person = known.and_then(|known| known.person.clone());
            made.push(journal::Made { hold: hold.0, decision: record, person });
        }
        self.tell_journal(journal::Msg::Bids(made));
    }

    /// Of some requests without a bid it is kept why.
    fn keep_sample(
        &self,
        auction: &Auction<'_>,
        market: &Market,
        seeing: &Seeing<'_>,
        (seed, reason): (u64, Reason),
        began_us: i64,
    ) {
        if auction.test || !sampled(seed, self.terms.sample) {
            return;
        }
        let explained = {
            let table = seeing.key.and_then(|key| self.people.table(key));
            let sights = self.sights(market, seeing, table.as_deref());
            let context = Context { sights: &sights, seed };
            explain::sample(auction, market.index(), market, &context, EXPLAINED_MAX)
        };
        let latency_us = u32::try_from(clock::mono_us() - began_us).ok();
        let of = |it: explain::Explanation| Decision {
            campaign: Some(it.campaign),
            version: Some(it.version),
            auction: Some(auction.id.to_owned()),
            impression: Some(it.slot),
            latency_us,
            // Who would have bid was kept from it by what ended the request.
            reasons: match it.findings.is_empty() {
                true => vec![write::finding(reason)],
                false => it.findings,
            },
            ..Decision::new(Kind::NoBid, &it.account, auction.at_us)
        };
        let mut made: Vec<Decision> = explained.into_iter().map(of).collect();
        if made.is_empty() {
            let found = write::finding(reason);
            made.push(self.unexplained(auction.id, (found, auction.at_us), began_us));
        }
        self.tell_journal(journal::Msg::NoBids(made));
    }

    /// The record of a request that no campaign was looked at for. It is of nobody's account: the default one
    /// has it.
    fn unexplained(&self, id: &str, (found, at_us): (Finding, i64), began_us: i64) -> Decision {
        Decision {
            auction: Some(id.to_owned()),
            latency_us: u32::try_from(clock::mono_us() - began_us).ok(),
            reasons: vec![found],
            ..Decision::new(Kind::NoBid, &self.terms.account, at_us)
        }
    }
}

/// FNV-1a, spread: nobody but us knows the salt that it is mixed with.
fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

/// Tells the seats whose prices win, or stood before who wins: they are not outbid.
fn place(decisions: &Decisions, market: &Market) {
    for slot in 0..decisions.slots() {
        let winner = decisions.winner(slot).and_then(|bid| market.seat(bid.at));
        winner.into_iter().for_each(|seat| seat.placed());
        for seat in decisions.passed_over(slot).filter_map(|bid| market.seat(bid.at)) {
            seat.placed();
            seat.kept(Reason::OnePerRequest);
        }
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
fn one_currency(decisions: &mut Decisions, market: Option<&Market>, stand: &[Won]) {
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

/// Of a test nothing is held and nothing told.
fn untold(decisions: &Decisions) -> SmallVec<[Won; 4]> {
    let of = |(slot, bid): (usize, &Bid)| Won { slot, bid: *bid, hold: None, exp_s: 1 };
    decisions.winners().map(of).collect()
}
