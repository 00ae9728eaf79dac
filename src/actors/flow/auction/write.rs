//! Bids as exchanges read them, and as the journal keeps them.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::elsewhere::Offered;
use super::market::Market;
use super::office::Office;
use super::ready::Ready;
use super::sights::Seeing;
use crate::actors::flow::bidder::Seat;
use crate::actors::flow::ltv::Known;
use crate::models::flow::auction::Bid;
use crate::models::flow::campaign::creative::{Creative, FormatKind, Shape};
use crate::models::flow::campaign::definition::Definition;
use crate::models::flow::campaign::media::Needs;
use crate::models::flow::campaign::name::{campaign_told, creative_told};
use crate::models::flow::campaign::native;
use crate::models::flow::campaign::taxonomy::Taxonomy;
use crate::models::flow::campaign::transparency;
use crate::models::flow::decision::record::{LtvUsed, PriceUsed};
use crate::models::flow::decision::{Decision, Digest, Kind};
use crate::models::flow::notice::Kind as Notice;
use crate::models::flow::notice::url::{Addresses, Ticket};
use crate::models::flow::openrtb::Request;
use crate::models::flow::openrtb::response::{self, Markup, Response};
use crate::models::flow::opportunity::{Auction, Deal, PriceType};
use crate::models::flow::privacy::{self, Permits};
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::LtvStatus;
use crate::models::flow::targeting::compile::Entry;
use crate::models::flow::targeting::explain::Finding;
use crate::models::shield::entry::Op;

/// A bid that will be made.
#[derive(Clone, Copy, Debug)]
pub struct Won {
    /// Place of the impression in the request.
    pub slot: usize,
    pub bid: Bid,
    /// `None`: of a test.
    pub hold: Option<Op>,
    /// Seconds that it stands.
    pub exp_s: u32,
}

impl Won {
    pub fn expires_us(&self, at_us: i64) -> i64 {
        // Addresses say milliseconds.
        let end = at_us.saturating_add(i64::from(self.exp_s) * 1_000_000);
        end.div_euclid(1_000) * 1_000
    }
}

/// What a bid borrows from.
struct Parts<'a> {
    id: String,
    urls: Option<Addresses>,
    creative: &'a Creative,
    /// The markup, as the impression asks for it.
    adm: Cow<'a, str>,
    entry: &'a Entry,
    domains: Vec<&'a str>,
    /// Those of one taxonomy.
    categories: Vec<&'a str>,
    taxonomy: Option<Taxonomy>,
    protocol: Option<u16>,
    /// What exchanges call campaign and creative.
    cid: Cow<'a, str>,
    crid: String,
    won: &'a Won,
}

/// It cannot be told to an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Untold;

fn unfit(error: response::Unfit) -> Untold {
    tracing::warn!(%error, "an answer cannot be written");
    Untold
}

fn creative<'a>(entry: &'a Entry, bid: &Bid) -> Option<&'a Creative> {
    entry.campaign.definition.creatives.get(usize::from(bid.creative))
}

/// By which a bid is made, if by one.
fn deal<'s, 'a>(auction: &'s Auction<'a>, won: &Won) -> Option<&'s Deal<'a>> {
    auction.slots.get(won.slot)?.deals.get(usize::from(won.bid.deal?))
}

/// What a bid was made with of what is known of the person.
pub fn used<'a>(seeing: &'a Seeing<'_>, entry: &Entry, bid: &Bid) -> Option<&'a Known> {
    seeing.known(entry.account).filter(|_| bid.ltv.is_some())
}

impl Office {
    /// `others`: bids of other nodes.
    pub(super) fn write_answer(
        &self,
        (auction, market): (&Auction<'_>, &Market),
        won: &[Won],
        seeing: &Seeing<'_>,
        others: &[Offered],
    ) -> Result<Vec<u8>, Untold> {
        let parts: Option<Vec<Parts<'_>>> =
            won.iter().map(|won| self.parts(auction, market, won, seeing)).collect();
        let parts = parts.ok_or(Untold)?;
        let mut seats: Vec<(&str, Vec<response::Bid<'_>>)> = Vec::with_capacity(1);
        for part in &parts {
            let seat = self.seat_of(part.entry);
            let bid = part.bid(auction).ok_or(Untold)?;
            match seats.iter_mut().find(|(known, _)| *known == seat) {
                Some((_, bids)) => bids.push(bid),
                None => seats.push((seat, vec![bid])),
            }
        }
        let seats: Vec<response::Seat<'_>> =
            seats.iter().map(|(seat, bids)| response::Seat { seat: Some(*seat), bids }).collect();
        let written =
            others.iter().map(|it| response::Written { seat: &it.seat, bid: it.bid.get() });
        let written: SmallVec<[response::Written<'_>; 4]> = written.collect();
        let currencies = || {
            let own = won.iter().map(|won| won.bid.currency);
            own.chain(others.iter().map(|other| other.currency))
        };
        let currency = currencies().next().ok_or(Untold)?;
        // A price that is told in another currency is another price.
        if let Some(other) = currencies().find(|other| *other != currency) {
            tracing::error!("bids in {currency} and {other} are in one answer");
            return Err(Untold);
        }
        let mut out = Vec::with_capacity(4_096);
        let answer = Response { id: auction.id, bidid: None, currency, seats: &seats };
        answer.write_with(&written, &mut out).map_err(unfit)?;
        Ok(out)
    }

    /// The bids alone, for a node that asks for them.
    pub(super) fn offers(&self, ready: &Ready<'_>) -> Result<Vec<Offered>, Untold> {
        let Ready { auction, market, won, seeing, .. } = ready;
        let of = |won: &Won| {
            let part = self.parts(auction, market, won, seeing).ok_or(Untold)?;
            let json = part.bid(auction).ok_or(Untold)?.json().map_err(unfit)?;
            let json = String::from_utf8(json).map_err(|_| Untold)?;
            Ok(Offered {
                slot: won.slot,
                key: part.entry.key,
                score: won.bid.score,
                currency: won.bid.currency,
                seat: self.seat_of(part.entry).to_owned(),
                bid: RawValue::from_string(json).map_err(|_| Untold)?,
                granted: seeing.granted(part.entry.account),
            })
        };
        won.iter().map(of).collect()
    }

    fn seat_of<'a>(&'a self, entry: &'a Entry) -> &'a str {
        entry.campaign.definition.seat.as_deref().unwrap_or(&self.terms.seat)
    }

    fn parts<'a>(
        &self,
        auction: &Auction<'_>,
        market: &'a Market,
        won: &'a Won,
        seeing: &Seeing<'_>,
    ) -> Option<Parts<'a>> {
        let entry = market.index().entry(won.bid.at)?;
        let seat = market.seat(won.bid.at)?;
        let it = &entry.campaign.definition;
        let creative = creative(entry, &won.bid)?;
        let needs = market.index().needs(entry, won.bid.creative);
        let adm = match creative.format {
            Shape::Native {} => {
                let asks = &auction.slots.get(won.slot)?.asks;
                let assets = &asks.of(FormatKind::Native)?.assets;
                Cow::Owned(native::answer(&creative.markup, needs?.assets(), assets)?)
            }
            _ => Cow::Borrowed(creative.markup.as_str()),
        };
        let sold = it.sold(creative);
        let taxonomy = sold.told_in(auction.allowed.taxonomy);
        let categories = sold.each().filter(|(_, of)| Some(*of) == taxonomy);
        let urls = match won.hold {
            None => None,
            Some(hold) => {
                let known = used(seeing, entry, &won.bid);
                Some(self.urls(auction, entry, (won, seat, known), hold)?)
            }
        };
        Some(Parts {
            id: won.hold.map_or_else(|| won.slot.to_string(), |hold| hold.to_string()),
            urls,
            creative,
            adm,
            entry,
            domains: it.domains(creative).iter().map(String::as_str).collect(),
            categories: categories.map(|(code, _)| code).collect(),
            taxonomy,
            protocol: needs.and_then(Needs::protocol),
            cid: campaign_told(&it.account, &it.id),
            crid: creative_told(&it.account, &it.id, &creative.id),
            won,
        })
    }

    fn urls(
        &self,
        auction: &Auction<'_>,
        entry: &Entry,
        (won, seat, known): (&Won, &Arc<Seat>, Option<&Known>),
        hold: Op,
    ) -> Option<Addresses> {
        let slot = auction.slots.get(won.slot)?;
        let digest = self.digest(auction, entry, (won, seat, known), hold)?.encode();
        let ticket = Ticket {
            kind: Notice::Win,
            hold,
            impression: Cow::Borrowed(slot.id),
            expires_us: won.expires_us(auction.at_us),
            digest: Cow::Borrowed(&digest),
        };
        self.keys.write_all(&self.terms.base_url, &ticket).ok()
    }

    fn digest<'a>(
        &self,
        auction: &'a Auction<'_>,
        entry: &'a Entry,
        (won, seat, known): (&Won, &Arc<Seat>, Option<&'a Known>),
        hold: Op,
    ) -> Option<Digest<&'a str>> {
        let (it, bid) = (&entry.campaign.definition, &won.bid);
        let slot = auction.slots.get(won.slot)?;
        let multipliers = seat.snapshot().multipliers;
        Some(Digest {
            account: &it.account,
            campaign: &it.id,
            creative: &creative(entry, bid)?.id,
            impression: slot.id,
            model: known.map_or("", |known| &known.model),
            auction: auction.id,
            deal: deal(auction, won).map_or("", |deal| deal.id),
            definition: entry.campaign.version,
            hold: hold.0,
            at_us: auction.at_us,
            cpm: bid.cpm,
            own_currency: entry.currency,
            price: bid.price,
            currency: bid.currency,
            cross: bid.cross,
            first_price: bid.price_type == PriceType::First,
            value: bid.value,
            multipliers,
            ltv: bid.ltv,
            ltv_status: known.map_or(LtvStatus::Unknown, |known| known.status),
            floor: bid.floor,
        })
    }
}

impl Parts<'_> {
    fn bid<'b>(&'b self, auction: &'b Auction<'_>) -> Option<response::Bid<'b>> {
        let Parts { creative, entry, won, .. } = self;
        let slot = auction.slots.get(won.slot)?;
        let deal = deal(auction, won);
        let size = creative.format.size();
        let (markup, dur) = match creative.format {
            Shape::Banner { .. } => (Markup::Banner, None),
            Shape::Video { duration_s, .. } => (Markup::Video, Some(duration_s)),
            Shape::Audio { duration_s, .. } => (Markup::Audio, Some(duration_s)),
            Shape::Native {} => (Markup::Native, None),
        };
        let url = |kind: Notice| self.urls.as_ref().map(|urls| urls.get(kind));
        Some(response::Bid {
            id: &self.id,
            impression: slot.id,
            cpm: won.bid.price,
            adm: Some(&self.adm),
            nurl: url(Notice::Win),
            burl: url(Notice::Billing),
            lurl: url(Notice::Loss),
            adomain: &self.domains,
            bundle: entry.campaign.definition.advertiser_app.as_deref(),
            crid: Some(&self.crid),
            cid: Some(&self.cid),
            cat: &self.categories,
            cattax: self.taxonomy.and_then(Taxonomy::number),
            attr: &creative.attributes,
            protocol: self.protocol,
            apis: &creative.media.apis,
            language: creative.language.as_deref(),
            w: size.map(|(w, _)| w),
            h: size.map(|(_, h)| h),
            dur,
            dealid: deal.map(|deal| deal.id),
            exp: Some(won.exp_s),
            mtype: Some(markup),
            iurl: creative.preview_url.as_deref(),
            dsa: disclosed(&entry.campaign.definition, auction),
        })
    }
}

/// What a bid says of whom it is for, where that is asked.
fn disclosed<'a>(of: &'a Definition, auction: &Auction<'_>) -> Option<response::Dsa<'a>> {
    let it = of.transparency.as_ref()?;
    let told = transparency::told(Some(it.rendered), auction.transparency)?;
    let names = response::Names {
        behalf: &it.behalf,
        paid: it.paid(),
        params: &it.params,
        domain: it.domain.as_deref().unwrap_or(&of.advertiser_domain),
    };
    Some(response::Dsa { names: told.names.then_some(names), renders: told.renders })
}

/// The record of a bid.
pub fn record(
    auction: &Auction<'_>,
    entry: &Entry,
    won: &Won,
    (known, seat): (Option<&Known>, &Arc<Seat>),
    latency_us: u32,
) -> Decision {
    let (it, bid) = (&entry.campaign.definition, &won.bid);
    let slot = auction.slots.get(won.slot);
    Decision {
        campaign: Some(it.id.clone()),
        version: Some(entry.campaign.version),
        auction: Some(auction.id.to_owned()),
        impression: slot.map(|slot| slot.id.to_owned()),
        creative: creative(entry, bid).map(|creative| creative.id.clone()),
        deal: deal(auction, won).map(|deal| deal.id.to_owned()),
        ltv: known.map(|known| LtvUsed {
            amount: bid.ltv,
            status: known.status,
            model: known.model.to_string(),
        }),
        multipliers: Some(seat.snapshot().multipliers.into()),
        price: Some(PriceUsed::of(bid, entry.currency)),
        hold: won.hold.map(|hold| hold.to_string()),
        latency_us: Some(latency_us),
        ends_us: Some(auction.at_us.saturating_add(i64::from(won.exp_s) * 1_000_000)),
        ..Decision::new(Kind::Bid, &it.account, auction.at_us)
    }
}

pub fn finding(reason: Reason) -> Finding {
    Finding { reason, detail: String::new() }
}

/// What kept a request from being looked at by any campaign.
pub fn refused(reason: Reason, request: &Request<'_>, terms: &privacy::Terms) -> Finding {
    let detail = match reason {
        Reason::Consent => Permits::of(&request.signals(), terms).why(),
        _ => String::new(),
    };
    Finding { reason, detail }
}
