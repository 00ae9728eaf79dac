//! Campaigns of several accounts in one auction: each is judged by what its own account knows.

use std::cell::Cell;
use std::sync::Arc;

use kiki_models::shield::consent::kind::{Kind, KindSet};
use kiki_models::shield::money::{Currency, Micros, Rate, UNIT};

use super::decide::{Context, Scratch, decide};
use super::explain::{explain_one, sample};
use super::rates::Rates;
use super::snapshot::Snapshot;
use super::tests::{code, plain, second, snapshot};
use crate::campaign::audience::{Audience, Band, Cohort};
use crate::campaign::definition::Definition;
use crate::campaign::state::Campaign;
use crate::campaign::strategy::{Strategy, Worth};
use crate::frequency::{PersonKey, Table};
use crate::opportunity::{Auction, Floor, IdKind, User};
use crate::reason::Reason;
use crate::targeting::{Index, Ltv, LtvStatus, Person, Sight, Sights};

/// What each account of an index knows, by its place.
struct Each<'a> {
    of: Vec<Sight<'a>>,
    asked: Cell<usize>,
}

impl Sights for Each<'_> {
    fn of(&self, account: u32) -> Sight<'_> {
        self.asked.set(self.asked.get() + 1);
        self.of[account as usize]
    }

    fn seen(&self) -> Option<(&Table, PersonKey)> {
        self.of.first().and_then(|sight| sight.person.seen)
    }
}

fn each<'a>(of: impl IntoIterator<Item = Sight<'a>>) -> Each<'a> {
    Each { of: of.into_iter().collect(), asked: Cell::new(0) }
}

fn table(base: &str, listed: &[(&str, f64)]) -> Rates {
    let rate = |(of, rate): &(&str, f64)| (code(of), Rate((rate * 1e9) as i64));
    Rates::new(20261121, code(base), listed.iter().map(rate)).expect("rates")
}

fn of(account: &str, change: impl FnOnce(&mut Definition)) -> Arc<Campaign> {
    plain(0, 2, |it| {
        it.account = account.to_owned();
        change(it);
    })
}

/// A customer, whose personal data may be used.
fn to_a_customer() -> Auction<'static> {
    let mut it = second(1);
    (it.user, it.personal) = (Some(User { key: "anna", kind: IdKind::Buyer }), true);
    it
}

fn worth(units: i64, granted: &[Kind]) -> Person<'static> {
    let ltv = Ltv {
        amount: Micros(units * UNIT),
        currency: Currency::USD,
        status: LtvStatus::Success,
        model: "bg_nbd-7",
        engagement: None,
        personal: true,
    };
    let granted = Some(KindSet::of(granted));
    Person { ltv: Some(ltv), granted, ..Person::default() }
}

/// The reason of each campaign, or that it won or stands behind the winner. In words it is the same.
fn outcomes(
    campaigns: &[Arc<Campaign>],
    auction: &Auction<'_>,
    sights: &Each<'_>,
) -> Vec<Option<Reason>> {
    let index = Index::new(campaigns.iter().cloned(), "house");
    let snapshots: Vec<Snapshot> = campaigns.iter().map(|_| snapshot(1.0)).collect();
    let context = Context { sights, seed: 1 };
    let mut scratch = Scratch::default();
    let decisions = decide(auction, &index, &snapshots[..], &context, &mut scratch);
    let bids = decisions.ranked(0).count();
    let said: Vec<Option<Reason>> = (0..campaigns.len() as u32)
        .map(|at| {
            let said = explain_one(auction, 0, at, &index, &snapshots[..], &context);
            let said = said.expect("a campaign");
            assert_eq!(said.account, campaigns[at as usize].definition.account);
            said.findings.first().map(|finding| finding.reason)
        })
        .collect();
    assert_eq!(said.iter().filter(|reason| reason.is_none()).count(), bids, "{said:?}");
    for reason in said.iter().flatten() {
        assert!(decisions.refused().get(*reason) > 0, "{reason}");
    }
    said
}

const TARGETING: &[Kind] = &[Kind::Targeting];

#[test]
fn a_floor_is_converted_at_the_rates_of_the_campaigns_own_account() {
    let campaigns = [of("a", |_| ()), of("b", |_| ()), of("c", |_| ())];
    let (dear, cheap, none) =
        (table("USD", &[("EUR", 2.0)]), table("USD", &[("EUR", 1.1)]), table("USD", &[]));
    let sight = |rates| Sight { rates, person: Person::default() };
    let sights = each([sight(&dear), sight(&cheap), sight(&none)]);
    let mut auction = second(1);
    // 1.5 EUR are 3 USD, 1.65 USD, and nobody knows.
    auction.slots[0].floor = Some(Floor { cpm: Micros(3 * UNIT / 2), currency: code("EUR") });
    let said = outcomes(&campaigns, &auction, &sights);
    assert_eq!(said, [Some(Reason::BelowFloor), None, Some(Reason::NoRate)]);
}

#[test]
fn a_customer_has_a_value_a_cohort_and_grants_for_each_account_apart() {
    let rates = table("USD", &[]);
    let band = Band { at_least: Micros(100 * UNIT), below: None };
    let rich = |it: &mut Definition| {
        it.targeting.audience = Audience::Ltv { bands: vec![band], unknown: false };
    };
    let early = |it: &mut Definition| {
        it.targeting.audience = Audience::Cohort { name: "cohort_jan_2026".to_owned() };
    };
    let asks = |it: &mut Definition| {
        it.consent.purposes.insert(Kind::Marketing);
    };
    let campaigns = [
        of("a", rich),
        of("b", rich),
        of("a", early),
        of("b", early),
        of("a", asks),
        of("b", asks),
    ];
    let a = Person { cohort: Cohort::new(2026, 2), ..worth(200, TARGETING) };
    let b =
        Person { cohort: Cohort::new(2026, 1), ..worth(20, &[Kind::Targeting, Kind::Marketing]) };
    let sights = each([a, b].map(|person| Sight { rates: &rates, person }));
    let said = outcomes(&campaigns, &to_a_customer(), &sights);
    let no = Some(Reason::Audience);
    assert_eq!(said, [None, no, no, None, Some(Reason::Consent), None]);
}

#[test]
fn without_the_consent_to_be_targeted_a_customers_value_and_cohort_are_not_used() {
    let rates = table("USD", &[]);
    let by_value = |it: &mut Definition| {
        it.strategy = Strategy::TargetValue(Worth {
            conversion_rate: 0.001,
            engagement_weight: 0.0,
            unknown_ltv: None,
            max_cpm: None,
        });
    };
    let early = |it: &mut Definition| {
        it.targeting.audience = Audience::Cohort { name: "cohort_jan_2026".to_owned() };
    };
    let campaigns = [of("a", by_value), of("b", by_value), of("b", early), of("b", |_| ())];
    let cohort = Cohort::new(2026, 1);
    let a = worth(200, TARGETING);
    for granted in [Some(KindSet::EMPTY), Some(KindSet::of(&[Kind::Marketing])), None] {
        let b = Person { cohort, granted, ..worth(200, &[]) };
        let sights = each([a, b].map(|person| Sight { rates: &rates, person }));
        let said = outcomes(&campaigns, &to_a_customer(), &sights);
        assert_eq!(said, [None, Some(Reason::NoValue), Some(Reason::Audience), None]);
    }
}

#[test]
fn bids_of_accounts_with_different_currencies_are_compared_by_what_they_are_worth() {
    let cpm = |units: i64, currency: &str| {
        let (currency, account) = (code(currency), if currency == "USD" { "a" } else { "b" });
        plain(0, 1, |it| {
            it.account = account.to_owned();
            it.currency = currency;
            it.strategy = Strategy::MaxCpm { cpm: Micros(units * UNIT) };
        })
    };
    let mut auction = second(1);
    auction.currencies = [Currency::USD, code("JPY")].into_iter().collect();
    let alone = table("JPY", &[]);
    // 2 USD, and 250 or 350 JPY at 150 JPY for a USD, whichever of the two tables has the rate.
    for (a, b) in [
        (table("USD", &[]), table("JPY", &[("USD", 150.0)])),
        (table("USD", &[("JPY", 1.0 / 150.0)]), table("JPY", &[])),
    ] {
        for (yen, first) in [(250, 0), (350, 1)] {
            let index = Index::new([cpm(2, "USD"), cpm(yen, "JPY")], "house");
            let sights = each([&a, &b].map(|rates| Sight { rates, person: Person::default() }));
            let context = Context { sights: &sights, seed: 1 };
            let snapshots = [snapshot(1.0), snapshot(1.0)];
            let mut scratch = Scratch::default();
            let decisions = decide(&auction, &index, &snapshots[..], &context, &mut scratch);
            assert_eq!(decisions.winner(0).map(|bid| bid.at), Some(first), "{yen}");
        }
    }
    // What cannot be compared stands behind, and bids where nobody else does.
    let (usd, index) = (table("USD", &[]), [cpm(2, "USD"), cpm(350, "JPY")]);
    let sights = each([&usd, &alone].map(|rates| Sight { rates, person: Person::default() }));
    assert_eq!(outcomes(&index, &auction, &sights), [None, None]);
    let index = Index::new(index, "house");
    let context = Context { sights: &sights, seed: 1 };
    let snapshots = [snapshot(1.0), snapshot(1.0)];
    let mut scratch = Scratch::default();
    let decisions = decide(&auction, &index, &snapshots[..], &context, &mut scratch);
    assert_eq!(decisions.ranked(0).map(|bid| bid.at).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn an_account_is_asked_once_for_candidates_that_stand_together_and_named_in_samples() {
    let rates = table("USD", &[]);
    let campaigns: Vec<Arc<Campaign>> =
        (0..40).map(|i| of(if i < 20 { "a" } else { "b" }, |_| ())).collect();
    let sight = Sight { rates: &rates, person: Person::default() };
    let sights = each([sight, sight]);
    let index = Index::new(campaigns, "house");
    assert_eq!(index.accounts.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
    let snapshots: Vec<Snapshot> = (0..40).map(|_| snapshot(1.0)).collect();
    let context = Context { sights: &sights, seed: 3 };
    decide(&second(1), &index, &snapshots[..], &context, &mut Scratch::default());
    assert_eq!(sights.asked.get(), 2);
    let drawn = sample(&second(1), &index, &snapshots[..], &context, 16);
    let named: std::collections::BTreeSet<&str> =
        drawn.iter().map(|it| it.account.as_str()).collect();
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}
