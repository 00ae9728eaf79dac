//! Why campaigns did not win, of some requests: a share of all, drawn by their ids. Nothing is made of the others.

use super::bid::{Call, hash};
use super::market::Market;
use super::office::Office;
use super::ready::Ready;
use super::sights::{Seeing, View};
use super::write::{self, Won};
use crate::actors::flow::journal;
use crate::clock;
use crate::models::flow::auction::explain::{self, Explanation};
use crate::models::flow::auction::{Context, Decisions};
use crate::models::flow::decision::sample::sampled;
use crate::models::flow::decision::{Decision, Kind, Outcome};
use crate::models::flow::openrtb::told::{Told, beginning, told};
use crate::models::flow::openrtb::{Malformed, Request};
use crate::models::flow::opportunity::Auction;
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::explain::Finding;

/// Pairs of an impression and a campaign that are drawn of one request.
const DRAWN_MAX: usize = 4;

/// Pairs of a sampled request, with all that speaks against them.
pub(super) fn drawn(
    auction: &Auction<'_>,
    market: &Market,
    context: &Context<'_, View<'_>>,
) -> Vec<Explanation> {
    explain::sample(auction, market.index(), market, context, DRAWN_MAX)
}

/// Those of them that win nothing. Of one that has bid, what was decided says why.
pub(super) fn lost(
    mut drawn: Vec<Explanation>,
    decisions: &Decisions,
    won: &[Won],
) -> Vec<Explanation> {
    drawn.retain(|it| !won.iter().any(|won| (won.slot, won.bid.at) == (it.place, it.at)));
    for it in drawn.iter_mut().filter(|it| it.findings.is_empty()) {
        it.findings.extend(decisions.lost(it.place, it.at).map(write::finding));
    }
    drawn
}

fn since(began_us: i64) -> Option<u32> {
    u32::try_from(clock::mono_us() - began_us).ok()
}

impl Office {
    /// Of a sampled request: why the pairs that were drawn of it did not win. `missed`: why it has no bid at all.
    pub(super) fn keep_sample(
        &self,
        ready: &mut Ready<'_>,
        missed: Option<Reason>,
        call: &Call<'_>,
    ) {
        if !ready.sampled {
            return;
        }
        let mut drawn = std::mem::take(&mut ready.drawn);
        for it in &mut drawn {
            let entry = ready.market.index().entry(it.at);
            let stands = entry.is_some_and(|entry| ready.seeing.stands(self, entry.account));
            if !stands {
                // What the person has taken back is not written down any more, nor what follows from it.
                (it.inputs.ltv, it.inputs.price) = (None, None);
            }
        }
        let (auction, latency_us) = (&ready.auction, since(call.began_us));
        let of = |it: Explanation| Decision {
            campaign: Some(it.campaign),
            version: Some(it.version),
            auction: Some(auction.id.to_owned()),
            impression: Some(it.slot),
            ltv: it.inputs.ltv,
            multipliers: it.inputs.multipliers,
            price: it.inputs.price,
            latency_us,
            // Who would have bid was kept from it by what ended the request.
            reasons: match it.findings.is_empty() {
                true => vec![write::finding(missed.unwrap_or(Reason::Outbid))],
                false => it.findings,
            },
            ..Decision::new(Kind::NoBid, &it.account, auction.at_us)
        };
        let mut made: Vec<Decision> = drawn.into_iter().map(of).collect();
        // Of a request that nobody's campaign was looked at for, whoever was asked first says so.
        if let Some(reason) = missed.filter(|_| call.body.is_some())
            && ready.market.index().is_empty()
        {
            let found = (write::finding(reason), auction.at_us);
            made.push(self.unexplained(Some(auction.id.to_owned()), found, call.began_us));
        }
        if !made.is_empty() {
            self.tell_journal(journal::Msg::NoBids(made));
        }
    }

    /// Of a bid in a sampled request that is not made after all: why.
    pub(super) fn keep_lost(
        &self,
        (auction, market): (&Auction<'_>, &Market),
        (won, why): (&Won, Reason),
        (seeing, began_us): (&Seeing<'_>, i64),
    ) {
        let at = won.bid.at;
        let (Some(entry), Some(seat)) = (market.index().entry(at), market.seat(at)) else { return };
        // What the person has taken back is not written down any more, nor what follows from it.
        let stands = why != Reason::Consent;
        let known = write::used(seeing, entry, &won.bid).filter(|_| stands);
        let latency_us = since(began_us).unwrap_or(u32::MAX);
        let bid = write::record(auction, entry, won, (known, seat), latency_us);
        let made = Decision {
            kind: Kind::NoBid,
            outcome: Outcome::default_of(Kind::NoBid),
            hold: None,
            ends_us: None,
            reasons: vec![write::finding(why)],
            price: bid.price.filter(|_| stands),
            ltv: bid.ltv.filter(|_| stands),
            ..bid
        };
        self.tell_journal(journal::Msg::NoBids(vec![made]));
    }

    /// Of some requests that no campaign was looked at for: why. Whoever was asked first says so; of a test nothing
    /// is kept.
    pub(super) fn keep_unlooked(&self, request: &Request<'_>, reason: Reason, call: &Call<'_>) {
        let id = &*request.id;
        let kept = call.body.is_some() && !request.is_test();
        if !kept || !sampled(self.salt ^ hash(id), self.terms.sample) {
            return;
        }
        let found = write::refused(reason, request, &self.terms.privacy);
        let found = (found, clock::wall_us());
        let made = self.unexplained(Some(id.to_owned()), found, call.began_us);
        self.tell_journal(journal::Msg::NoBids(vec![made]));
    }

    /// Of some requests that are too large to be looked at: which bound they met.
    pub(super) fn keep_unread(&self, body: &[u8], why: Malformed, began_us: i64) {
        let Some(reason) = why.no_bid() else { return };
        // Its id is not known until all of it is read once more.
        if !sampled(self.salt ^ hash(beginning(body)), self.terms.sample) {
            return;
        }
        let Told { id, test } = told(body, &self.terms.limits);
        if test {
            return;
        }
        let found = (Finding { reason, detail: why.to_string() }, clock::wall_us());
        self.tell_journal(journal::Msg::NoBids(vec![self.unexplained(id, found, began_us)]));
    }

    /// The record of a request that no campaign was looked at for. It is of nobody's account: the default one
    /// has it.
    fn unexplained(
        &self,
        id: Option<String>,
        (found, at_us): (Finding, i64),
        began_us: i64,
    ) -> Decision {
        Decision {
            auction: id,
            latency_us: since(began_us),
            reasons: vec![found],
            ..Decision::new(Kind::NoBid, &self.terms.account, at_us)
        }
    }
}
