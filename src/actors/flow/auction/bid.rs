//! From a request to its answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use smallvec::SmallVec;

use super::answer::{Answer, Missed};
use super::elsewhere::{Elsewhere, Heard};
use super::hold::one_currency;
use super::market::Market;
use super::office::{Office, Place};
use super::open::Pending;
use super::ready::Ready;
use super::sample;
use super::sights::{Seeing, View};
use super::write::{self, Won};
use crate::actors::flow::bidder::Told;
use crate::actors::flow::journal;
use crate::clock;
use crate::models::flow::auction::{Bid, Context, Decisions, choose, decide};
use crate::models::flow::decision::sample::sampled;
use crate::models::flow::frequency::Table;
use crate::models::flow::frequency::key::mix;
use crate::models::flow::notice::action::Stage;
use crate::models::flow::openrtb::Request;
use crate::models::flow::opportunity::Auction;
use crate::models::flow::pacing::Event;
use crate::models::flow::privacy::Permits;
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::scratch::Refused;

/// Who asks for bids, and until when.
pub(super) struct Call<'a> {
    /// The name by which the exchange is known.
    pub exchange: &'a str,
    /// When the request came, and by when the answer has to leave (monotonic).
    pub began_us: i64,
    pub until_us: i64,
    /// The request as it came, for other nodes. `None`: one of them asks, and sees to the others itself.
    pub body: Option<&'a [u8]>,
}

/// What this node's own campaigns bid.
struct Own<'a> {
    ready: Ready<'a>,
    /// Why none of them does.
    none: Option<Reason>,
}

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
            Err(malformed) => {
                self.keep_unread(body, malformed, began_us);
                return self.unread(malformed, exchange);
            }
        };
        let until_us = self.until_us(&request, began_us, tmax);
        let call = Call { exchange, began_us, until_us, body: Some(body) };
        match self.decided(&request, &call).await {
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

    async fn decided(&self, request: &Request<'_>, call: &Call<'_>) -> Result<Vec<u8>, Missed> {
        let ready = self.readied(request, call).await?;
        match clock::mono_us() < call.until_us {
            true => Ok(ready.go()),
            // Nobody hears of these bids: dropped, what is held for them is given back, counted and kept.
            false => Err(Reason::Deadline.into()),
        }
    }

    /// A request with bids that are authorised and written, and of which nobody has heard: the best of those that
    /// this node and the others have.
    pub(super) async fn readied<'a>(
        &'a self,
        request: &'a Request<'_>,
        call: &Call<'_>,
    ) -> Result<Ready<'a>, Missed> {
        let (_place, auction) = self
            .admitted(request, call.until_us)
            .inspect_err(|reason| self.keep_unlooked(request, *reason, call))?;
        let (own, heard) = match self.elsewhere(call, auction.slots.len()) {
            None => (self.own(auction, call).await, None),
            Some(mut elsewhere) => {
                // They are asked first; boxed, as a node that is alone has no use for the room.
                let both = Box::pin(join(elsewhere.heard(), self.own(auction, call)));
                let (heard, own) = both.await;
                (own, Some((elsewhere, heard)))
            }
        };
        let Own { mut ready, mut none } = own;
        // From here on nothing is waited for until it is counted.
        let mut refused = ready.refused.take().unwrap_or_default();
        if let Some((elsewhere, heard)) = heard {
            none = none.map(|none| heard.reason.map_or(none, |other| none.max(other)));
            heard.refused.iter().for_each(|(reason, n)| refused.add(*reason, *n));
            self.joined(&mut ready, &mut refused, (elsewhere, heard));
        }
        let revoked = self.drop_revoked(&mut ready);
        refused.add(Reason::Consent, revoked);
        if !ready.auction.test {
            self.counts.refused(&refused);
        }
        let otherwise = if revoked > 0 { Reason::Consent } else { Reason::NoCandidate };
        let missed = (!ready.bids()).then(|| none.unwrap_or(otherwise));
        self.keep_sample(&mut ready, missed, call);
        if let Some(reason) = missed {
            let refused = ready.auction.test.then(|| Box::new(refused));
            return Err(Missed { reason, refused });
        }
        // Whoever asks from another node writes the answer.
        if call.body.is_none() {
            return Ok(ready);
        }
        let Ready { auction, market, won, seeing, elsewhere, .. } = &ready;
        let others = elsewhere.as_ref().map_or(&[][..], Elsewhere::bids);
        match self.write_answer((auction, market), won, seeing, others) {
            Ok(bytes) => ready.bytes = bytes,
            Err(_) => {
                ready.why = Reason::Creative;
                return Err(Reason::Creative.into());
            }
        }
        Ok(ready)
    }

    /// The bids of this node's own campaigns, with their money.
    async fn own<'a>(&'a self, auction: Auction<'a>, call: &Call<'_>) -> Own<'a> {
        let market = self.market();
        let seeing = Seeing::of(self, &auction, call.exchange);
        let seed = self.salt ^ hash(auction.id);
        let mut lent = self.scratch();
        let sampled = !auction.test && sampled(seed, self.terms.sample);
        let (decisions, drawn) = {
            let table = seeing.key.and_then(|key| self.people.table(key));
            let sights = self.sights(&market, &seeing, table.as_deref());
            let context = Context { sights: &sights, seed };
            // Before its winners are counted for the person's caps.
            let drawn = match sampled {
                true => sample::drawn(&auction, &market, &context),
                false => Vec::new(),
            };
            (decide(&auction, market.index(), &*market, &context, lent.scratch()), drawn)
        };
        self.wake(&market);
        // A test teaches nobody anything.
        let counts = (!auction.test).then_some(&*market);
        if let Some(market) = counts {
            place(decisions, market);
        }
        one_currency(decisions, counts, &[]);
        let mut ready = Ready::new(self, auction, Arc::clone(&market), seeing, call.began_us);
        ready.sampled = sampled;
        ready.refused = Some(*decisions.refused());
        match ready.auction.test {
            true => ready.won = untold(decisions),
            false => self.authorised(&mut ready, decisions, call.until_us).await,
        }
        ready.drawn = sample::lost(drawn, decisions, &ready.won);
        ready.common = decisions.common();
        Own { ready, none: decisions.no_bid() }
    }

    /// Of this node's bids and those of others the best stay.
    fn joined<'a>(
        &'a self,
        ready: &mut Ready<'a>,
        refused: &mut Refused,
        (mut elsewhere, heard): (Elsewhere<'a>, Heard),
    ) {
        let seed = self.salt ^ hash(ready.auction.id);
        let tie = |key: u64, slot: usize| mix(seed ^ mix(key) ^ slot as u64);
        let market = Arc::clone(&ready.market);
        let own = ready.won.iter().map(|won| choose::Offer {
            slot: won.slot,
            score: won.bid.score,
            tie: market.seat(won.bid.at).map_or(0, |seat| tie(seat.key, won.slot)),
            currency: won.bid.currency,
        });
        let mut offers: Vec<choose::Offer> = own.collect();
        let rates: Vec<_> = market.accounts.iter().map(|account| account.rates()).collect();
        let common = ready.common.or_else(|| heard.common());
        for (_, of, offered) in &heard.offers {
            let rates = || rates.iter().map(|rates| &**rates);
            let factor = common.map_or(1.0, |to| choose::factor(*of, to, rates()));
            offers.push(choose::Offer {
                slot: offered.slot,
                score: offered.score * factor,
                tie: tie(offered.key, offered.slot),
                currency: offered.currency,
            });
        }
        let chosen = choose::choose(&offers);
        let (own, others) = chosen.split_at(ready.won.len());
        refused.merge(&ready.part(|at, _| own.get(at).copied().flatten()));
        elsewhere.take(heard, others);
        ready.elsewhere = Some(elsewhere);
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

    /// CO-1: takes out what was decided by grants that were recalled meanwhile; how many.
    fn drop_revoked(&self, ready: &mut Ready<'_>) -> u32 {
        let Ready { market, seeing, won, .. } = &*ready;
        let revoked = |won: &Won| {
            let entry = market.index().entry(won.bid.at);
            entry.is_some_and(|entry| !seeing.stands(self, entry.account))
        };
        let revoked: SmallVec<[bool; 4]> = won.iter().map(revoked).collect();
        let mut many = 0;
        if revoked.contains(&true) {
            let gone = |at: usize| revoked.get(at).copied().unwrap_or_default();
            many = ready.part(|at, _| gone(at).then_some(Reason::Consent)).get(Reason::Consent);
        }
        many + ready.elsewhere.as_mut().map_or(0, Elsewhere::drop_revoked)
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
        // All of them may be other nodes' bids.
        if !made.is_empty() {
            self.tell_journal(journal::Msg::Bids(made));
        }
    }
}

/// FNV-1a, spread: nobody but us knows the salt that it is mixed with.
pub(super) fn hash(of: impl AsRef<[u8]>) -> u64 {
    let fnv = of.as_ref().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
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

/// Of a test nothing is held and nothing told.
fn untold(decisions: &Decisions) -> SmallVec<[Won; 4]> {
    let of = |(slot, bid): (usize, &Bid)| Won { slot, bid: *bid, hold: None, exp_s: 1 };
    decisions.winners().map(of).collect()
}
