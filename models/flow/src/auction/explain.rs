//! Decisions in words: for one campaign and one slot all that speaks against it, and samples of that.

use kiki_models::shield::money::Micros;

use crate::decision::record::{LtvUsed, MultipliersUsed, PriceUsed};
use crate::frequency::key::mix;
use crate::opportunity::{Auction, PriceType, Slot};
use crate::pricing::worth;
use crate::reason::Reason;
use crate::targeting::explain::{Explained, Finding, admits, explain, shown};
use crate::targeting::{Index, Sight, Sights};

use super::bid::{Candidate, Offer, Tender};
use super::decide::{Context, throttles};
use super::rates::{Rates, Round};
use super::snapshot::{Snapshot, Snapshots};
use crate::targeting::check::Fitted;
use crate::targeting::compile::Entry;

/// One campaign and one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Places of the campaign in the index and of the slot in the request.
    pub at: u32,
    pub place: usize,
    pub account: String,
    pub campaign: String,
    pub version: u32,
    /// The slot's id.
    pub slot: String,
    /// The first is the one that counted; none: it bid, and won unless others bid more.
    pub findings: Vec<Finding>,
    pub inputs: Inputs,
}

/// What a price was looked for by. Where it was not come to, it is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// In the campaign's currency, where it is known there.
    pub ltv: Option<LtvUsed>,
    pub multipliers: Option<MultipliersUsed>,
    /// Of the bid that it would make; without one, that of its first offer.
    pub price: Option<PriceUsed>,
}

/// Everything that kept a campaign from bidding on a slot. `None`: the campaign or the slot is not there.
pub fn explain_one<S: Snapshots + ?Sized, V: Sights + ?Sized>(
    auction: &Auction<'_>,
    place: usize,
    at: u32,
    index: &Index,
    snapshots: &S,
    context: &Context<'_, V>,
) -> Option<Explanation> {
    let (entry, slot) = (index.entry(at)?, auction.slots.get(place)?);
    let Sight { rates, person } = context.sights.of(entry.account);
    let person = person.of(auction);
    // What the bidder says comes after everything that targeting says.
    let Explained { mut findings, listed } =
        explain(&entry.campaign, &index.seat, auction, slot, &person, rates);
    let inputs = match snapshots.get(at) {
        // Nobody looks further than the index.
        None => {
            findings.insert(listed, finding(Reason::NotActive, "no bidder runs for it"));
            Inputs::default()
        }
        Some(snapshot) => {
            if let Some(reason) = snapshot.closed {
                findings.push(finding(reason, "its bidder does not bid"));
            }
            let sight = Sight { rates, person };
            bidder(entry, &snapshot, (auction, slot), index, (&sight, context.seed), &mut findings)
        }
    };
    let it = &entry.campaign.definition;
    Some(Explanation {
        at,
        place,
        account: it.account.clone(),
        campaign: it.id.clone(),
        version: entry.campaign.version,
        slot: slot.id.to_owned(),
        findings,
        inputs,
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
) -> Inputs {
    let Sight { rates, person } = *sight;
    let amount = person
        .ltv
        .and_then(|ltv| rates.convert(ltv.amount, ltv.currency, entry.currency, Round::Down));
    let used = amount.zip(person.ltv);
    let mut inputs = Inputs {
        ltv: used.map(|(amount, ltv)| LtvUsed {
            amount: Some(amount),
            status: ltv.status,
            model: ltv.model.to_owned(),
        }),
        multipliers: Some(snapshot.multipliers.into()),
        price: None,
    };
    if throttles(snapshot, entry, seed) {
        let pass = snapshot.multipliers.pass;
        findings.push(finding(Reason::Throttled, &format!("takes part in {pass} of auctions")));
    }
    let tender = match Tender::of(entry.currency, auction, rates, rates) {
        Ok(tender) => tender,
        Err(reason) => {
            let detail = format!("no rate leads from {} to what is taken", entry.currency);
            findings.push(finding(reason, &detail));
            return inputs;
        }
    };
    let engagement = person.ltv.and_then(|ltv| ltv.engagement);
    let value = match Candidate::value(entry, snapshot, amount, engagement) {
        Ok(value) => value,
        Err(reason) => {
            findings.push(finding(reason, "no LTV of the person is known"));
            return inputs;
        }
    };
    let fitted = Fitted { creative: 0, room: 1, ltv: amount };
    let it = Candidate { at: 0, entry, snapshot, fitted, tender, value };
    let offers = offers(entry, auction, slot, index);
    // Without an offer it was said before that there is none.
    let Some(first) = offers.first().copied() else { return inputs };
    inputs.price = Some(match it.best(offers, rates) {
        Ok(bid) => PriceUsed::of(&bid, entry.currency),
        Err(reason) => {
            let detail = format!("worth {value:.0} micros an impression before budget and floor");
            findings.push(finding(reason, &detail));
            no_price(&it, first, rates)
        }
    });
    inputs
}

/// Of a pair that there is no bid for: what it is worth, and the floor of its first offer.
fn no_price(it: &Candidate<'_>, offer: Offer, rates: &Rates) -> PriceUsed {
    let Candidate { entry, snapshot, tender, value, .. } = *it;
    let floor = offer
        .floor
        .and_then(|floor| rates.convert(floor.cpm, floor.currency, entry.currency, Round::Up));
    let worth = worth(value, &snapshot.multipliers);
    PriceUsed {
        cpm: Micros::ZERO,
        own_currency: entry.currency,
        price: Micros::ZERO,
        currency: tender.currency,
        rates: [tender.cross.from.0, tender.cross.to.0],
        reserve: Micros::ZERO,
        first_price: offer.price_type == PriceType::First,
        floor: floor.filter(|floor| floor.0 > 0),
        value,
        worth: Some(worth).filter(|worth| worth.is_finite()),
        win: None,
        surplus: None,
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

#[cfg(test)]
mod tests {
    use super::super::tests::{Run, code, plain, second, snapshot};
    use super::*;
    use crate::opportunity::{Floor, IdKind, User};
    use crate::targeting::tests::rates;
    use crate::targeting::{Ltv, LtvStatus, Person};

    fn explained(asked: &Auction<'_>, snapshots: &[Snapshot]) -> Explanation {
        let (run, rates) = (Run::of(vec![plain(0, 2, |_| ())]), rates());
        let ltv = Ltv {
            amount: Micros(100_000_000),
            currency: code("EUR"),
            status: LtvStatus::Success,
            model: "m-1",
            engagement: None,
            personal: false,
        };
        let sight = Sight { rates: &rates, person: Person { ltv: Some(ltv), ..Person::default() } };
        let context = Context { sights: &sight, seed: 1 };
        explain_one(asked, 0, 0, &run.index, snapshots, &context).expect("a pair")
    }

    #[test]
    fn a_pair_below_the_floor_says_by_what_it_was_worth_what_and_what_was_asked() {
        let mut asked = second(1);
        (asked.user, asked.personal) = (Some(User { key: "x", kind: IdKind::Exchange }), true);
        asked.slots[0].floor =
            Some(Floor { cpm: "2.17".parse().expect("an amount"), currency: code("EUR") });
        let said = explained(&asked, &[snapshot(1.25)]);
        assert_eq!(said.findings.first().map(|it| it.reason), Some(Reason::BelowFloor));
        let Inputs { ltv, multipliers, price } = said.inputs;
        assert_eq!(multipliers, Some(MultipliersUsed { mu: 1.25, lambda: 0.0, pass: 1.0 }));
        // 100 EUR at 1.085
        let amount = Some(Micros(108_500_000));
        assert_eq!(ltv, Some(LtvUsed { amount, status: LtvStatus::Success, model: "m-1".into() }));
        let price = price.expect("one");
        assert_eq!((price.value, price.worth), (2_000.0, Some(1_600.0)));
        // 2.17 EUR at 1.085, rounded up
        assert_eq!(price.floor, Some(Micros(2_354_450)));
        let bid = [price.cpm, price.price, price.reserve];
        assert_eq!(bid, [Micros::ZERO; 3], "nothing is bid");
    }

    #[test]
    fn who_would_have_bid_says_what_and_without_a_bidder_nothing_is_said() {
        let asked = second(1);
        let idle = Snapshot { closed: Some(Reason::Breaker), ..snapshot(1.25) };
        let said = explained(&asked, &[idle]);
        assert_eq!(said.findings.first().map(|it| it.reason), Some(Reason::Breaker));
        let price = said.inputs.price.expect("one");
        assert_eq!((price.cpm, price.reserve), (Micros(1_600_000), Micros(1_600)));
        assert_eq!(explained(&asked, &[]).inputs, Inputs::default());
    }
}
