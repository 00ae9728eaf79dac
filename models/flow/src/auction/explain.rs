//! Decisions in words: for one campaign and one slot all that speaks against it, and samples of that.

use serde::{Deserialize, Serialize};

use crate::frequency::key::mix;
use crate::opportunity::{Auction, Slot};
use crate::reason::Reason;
use crate::targeting::explain::{Explained, Finding, admits, explain, shown};
use crate::targeting::{Index, Sight, Sights};

use super::bid::{Candidate, Offer, Tender};
use super::decide::{Context, throttles};
use super::snapshot::{Snapshot, Snapshots};
use crate::targeting::check::Fitted;
use crate::targeting::compile::Entry;

/// One campaign and one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub account: String,
    pub campaign: String,
    pub version: u32,
    /// The slot's id.
    pub slot: String,
    /// The first is the one that counted; none: it bid, and won unless others bid more.
    pub findings: Vec<Finding>,
}

/// Everything that kept a campaign from bidding on a slot. `None`: the campaign or the slot is not there.
pub fn explain_one<S: Snapshots + ?Sized, V: Sights + ?Sized>(
    auction: &Auction<'_>,
    slot: usize,
    at: u32,
    index: &Index,
    snapshots: &S,
    context: &Context<'_, V>,
) -> Option<Explanation> {
    let (entry, slot) = (index.entry(at)?, auction.slots.get(slot)?);
    let Sight { rates, person } = context.sights.of(entry.account);
    let person = person.of(auction);
    // What the bidder says comes after everything that targeting says.
    let Explained { mut findings, listed } =
        explain(&entry.campaign, &index.seat, auction, slot, &person, rates);
    match snapshots.get(at) {
        // Nobody looks further than the index.
        None => findings.insert(listed, finding(Reason::NotActive, "no bidder runs for it")),
        Some(snapshot) => {
            if let Some(reason) = snapshot.closed {
                findings.push(finding(reason, "its bidder does not bid"));
            }
            let sight = Sight { rates, person };
            bidder(entry, &snapshot, (auction, slot), index, (&sight, context.seed), &mut findings);
        }
    }
    let it = &entry.campaign.definition;
    Some(Explanation {
        account: it.account.clone(),
        campaign: it.id.clone(),
        version: entry.campaign.version,
        slot: slot.id.to_owned(),
        findings,
    })
}

fn finding(reason: Reason, detail: &str) -> Finding {
    Finding { reason, detail: detail.to_owned() }
}

fn bidder(
    entry: &Entry,
    snapshot: &Snapshot,
    (auction, slot): (&Auction<'_>, &Slot<'_>),
    index: &Index,
    (sight, seed): (&Sight<'_>, u64),
    findings: &mut Vec<Finding>,
) {
    let Sight { rates, person } = *sight;
    if throttles(snapshot, entry, seed) {
        let pass = snapshot.multipliers.pass;
        findings.push(finding(Reason::Throttled, &format!("takes part in {pass} of auctions")));
    }
    let tender = match Tender::of(entry.currency, auction, rates, rates) {
        Ok(tender) => tender,
        Err(reason) => {
            let detail = format!("no rate leads from {} to what is taken", entry.currency);
            return findings.push(finding(reason, &detail));
        }
    };
    let ltv = person.ltv.and_then(|ltv| {
        let round = super::rates::Round::Down;
        rates.convert(ltv.amount, ltv.currency, entry.currency, round)
    });
    let engagement = person.ltv.and_then(|ltv| ltv.engagement);
    let value = match Candidate::value(entry, snapshot, ltv, engagement) {
        Ok(value) => value,
        Err(reason) => return findings.push(finding(reason, "no LTV of the person is known")),
    };
    let fitted = Fitted { creative: 0, room: 1, ltv };
    let it = Candidate { at: 0, entry, snapshot, fitted, tender, value };
    let offers = offers(entry, auction, slot, index);
    if offers.is_empty() {
        return;
    }
    if let Err(reason) = it.best(offers, rates) {
        let detail = format!("worth {value:.0} micros an impression before budget and floor");
        findings.push(finding(reason, &detail));
    }
}

fn offers(entry: &Entry, auction: &Auction<'_>, slot: &Slot<'_>, index: &Index) -> Vec<Offer> {
    let it = &entry.campaign.definition;
    let seat = it.seat.as_deref().unwrap_or(&index.seat);
    let open = !slot.private && !it.targeting.deals.only;
    let shown = shown(it, auction, slot);
    let ours = slot.deals.iter().enumerate().filter(|(_, deal)| admits(deal, it, seat, &shown));
    let ours = ours.filter_map(|(place, _)| Offer::deal(auction, slot, place));
    open.then(|| Offer::open(auction, slot)).into_iter().chain(ours).collect()
}

/// Explanations of `most` pairs of a slot and a campaign, drawn by the seed with equal chances. For requests
/// that are sampled: it allocates.
pub fn sample<S: Snapshots + ?Sized, V: Sights + ?Sized>(
    auction: &Auction<'_>,
    index: &Index,
    snapshots: &S,
    context: &Context<'_, V>,
    most: usize,
) -> Vec<Explanation> {
    let pairs = auction.slots.len() as u64 * index.len() as u64;
    if pairs == 0 {
        return Vec::new();
    }
    let mut drawn: Vec<u64> = (0..most as u64)
        .map(|i| {
            let bits = mix(context.seed ^ mix(i.wrapping_add(1)));
            ((u128::from(bits) * u128::from(pairs)) >> 64) as u64
        })
        .collect();
    drawn.sort_unstable();
    drawn.dedup();
    let n = index.len() as u64;
    let each = drawn.into_iter().filter_map(|pair| {
        let (slot, at) = (usize::try_from(pair / n).ok()?, u32::try_from(pair % n).ok()?);
        explain_one(auction, slot, at, index, snapshots, context)
    });
    each.collect()
}
