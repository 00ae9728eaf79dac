//! What answers exchanges.

use std::sync::{Arc, OnceLock};

use super::auction::{FollowActor, Office, OfficeTerms, OthersActor};
use super::bidder::BidderActor;
use super::frequency::FrequencyActor;
use super::journal::JournalActor;
use super::ltv::{Forgetting, LookupActor};
use super::notices::NoticesActor;
use super::shared::Shared;
use super::terms::FlowTerms;
use crate::actors::kernel::{SpawnError, Supervisor, per_minute};
use crate::models::flow::notice::action::Patience;
use crate::models::flow::openrtb::Limits;
use crate::models::flow::privacy;

/// Bids that wait for what becomes of them: more are answered as an overload.
const OPEN_MAX: usize = 1 << 20;
/// It ends last of all, and has so long to write what the others told it: else its file takes the rest.
const JOURNAL_RESERVE: std::time::Duration = std::time::Duration::from_secs(4);
/// A bidder without an auction stays in memory for so long.
const BIDDER_IDLE: std::time::Duration = std::time::Duration::from_secs(120);

/// The parts of the bid path, each set once when the tree grows.
#[derive(Default)]
pub struct Parts {
    pub office: OnceLock<Arc<Office>>,
}

impl Parts {
    /// What is needed before any actor begins.
    pub fn new(_terms: &FlowTerms) -> Parts {
        Parts::default()
    }
}

fn terms(of: &FlowTerms) -> OfficeTerms {
    let micros = |it: std::time::Duration| i64::try_from(it.as_micros()).unwrap_or(i64::MAX);
    OfficeTerms {
        account: of.default_account.clone(),
        seat: of.seat.clone(),
        base_url: of.notice_base_url.clone(),
        limits: Limits::default(),
        privacy: privacy::Terms { vendor: of.tcf_vendor, ..privacy::Terms::default() },
        complete_chain: of.complete_chain,
        tmax_us: micros(of.tmax),
        margin_us: micros(of.tmax_margin),
        running_max: of.bids_max,
        open_max: OPEN_MAX,
        hold_ttl_us: of.hold_ttl_us,
        patience: Patience::default(),
        sample: of.sample_millionths,
        frequency_pairs: of.frequency_pairs,
        ltv_max: of.ltv_cache_max,
        ltv_ttl_us: micros(of.ltv_cache_ttl),
        ltv_patience: of.ltv_patience,
        journal_max: of.journal_max,
        retention_us: of.retention_us,
        dir: of.data_dir.clone(),
    }
}

/// Grows the actors of the bid path under SyncFlow's root.
///
/// ```text
/// ├── journal               permanent: why something was bid
/// ├── notices               permanent: what exchanges tell, on disk until it is booked
/// ├── frequency             permanent: how often people have seen campaigns, on disk
/// ├── lookup                permanent: what people are worth and allow, and the exchange rates
/// ├── others                permanent: the other nodes, who are asked for bids, too
/// ├── bidder/<campaign>     entities: what auctions price by
/// └── market                permanent: seats every index
/// ```
pub fn grow(root: &Supervisor, shared: &Arc<Shared>) -> Result<(), SpawnError> {
    let of = (shared.shield.clone(), shared.value.clone());
    let live = arc_swap::Guard::into_inner(shared.roster.live());
    let office = Office::new(terms(&shared.terms), &shared.terms.notice_key, of, live);
    let office = Arc::new(office);

    let (own, writes) = (Arc::clone(&office), shared.writes.clone());
    let journal = root
        .child("journal")
        .intensity(10, per_minute())
        .reserve(JOURNAL_RESERVE)
        .mailbox(16_384)
        .start(move || JournalActor::new(Arc::clone(&own), writes.clone()))?;
    // Each is set once: this tree is the only place that grows one.
    let _ = office.journal.set(journal);

    let (own, of_notices) = (Arc::clone(&office), Arc::clone(shared));
    let notices = root
        .child("notices")
        .intensity(10, per_minute())
        .mailbox(65_536)
        .start(move || NoticesActor::new(Arc::clone(&own), Arc::clone(&of_notices)))?;
    let _ = office.notices.set(notices);

    let own = Arc::clone(&office);
    root.child("others")
        .intensity(10, per_minute())
        .mailbox(64)
        .start(move || OthersActor::new(Arc::clone(&own)))?;
    office.answers();
    office.takes_over();
    office.forgets();

    // What bids know of people ends when SyncShield says so.
    let forgetting = Arc::new(Forgetting::new(&office));
    shared.shield.remembers(forgetting.clone());
    shared.shield.tells(forgetting);

    let own = Arc::clone(&office);
    root.child("frequency")
        .intensity(10, per_minute())
        .mailbox(64)
        .start(move || FrequencyActor::new(Arc::clone(&own)))?;

    let own = Arc::clone(&office);
    let lookup = root
        .child("lookup")
        .intensity(10, per_minute())
        .mailbox(8_192)
        .start(move || LookupActor::new(Arc::clone(&own)))?;
    let _ = office.lookup.set(lookup);

    let (own, writes) = (Arc::clone(&office), shared.writes.clone());
    let bidders = root
        .entities("bidder")
        .mailbox(shared.terms.mailbox_max)
        .idle_after(BIDDER_IDLE)
        .resident_max(shared.terms.resident_max)
        .start(move |key| BidderActor::new(Arc::clone(&own), writes.clone(), key))?;
    let _ = office.bidders.set(bidders);

    let (own, of_market) = (Arc::clone(&office), Arc::clone(shared));
    root.child("market")
        .intensity(10, per_minute())
        .mailbox(64)
        .start(move || FollowActor::new(Arc::clone(&of_market), Arc::clone(&own)))?;
    let _ = shared.parts.office.set(office);
    Ok(())
}
