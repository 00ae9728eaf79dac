//! What every bid needs, in one place: the market, the rates, the people, the ways to actors.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::counts::Counts;
use super::elsewhere::Others;
use super::market::Market;
use super::open::Open;
use super::people::People;
use crate::actors::flow::bidder::{self, BidderActor, Seat};
use crate::actors::flow::roster::Live;
use crate::actors::flow::{journal, ltv, notices};
use crate::actors::kernel::{Entities, Handle};
use crate::actors::shield::Shield;
use crate::actors::value::Value;
use crate::clock;
use crate::models::flow::auction::{Rates, Scratch};
use crate::models::flow::decision::Decision;
use crate::models::flow::notice::action::Patience;
use crate::models::flow::notice::url::Keys;
use crate::models::flow::openrtb::Limits;
use crate::models::flow::privacy;
use crate::models::flow::reason::Reason;
use crate::models::shield::money::Currency;

/// Stacks of scratches that wait for the next request, so that threads seldom wait for each other, and how
/// many wait in each.
const SCRATCHES: usize = 8;
const SCRATCHES_MAX: usize = 32;

/// Threads that have looked for a scratch.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN_STACK: usize = THREADS.fetch_add(1, Relaxed);
}

/// Settings of the bid path.
#[derive(Clone, Debug)]
pub struct OfficeTerms {
    /// Of actors' keys that name none, and of records that are of no account in particular.
    pub account: String,
    /// The seat of campaigns that name none.
    pub seat: String,
    /// Of notices: scheme, host and port, without a slash at its end.
    pub base_url: String,
    pub limits: Limits,
    pub privacy: privacy::Terms,
    /// Whether a supply chain has to be complete.
    pub complete_chain: bool,
    /// Time for an answer where the exchange names none, and what is taken off for the way back.
    pub tmax_us: i64,
    pub margin_us: i64,
    /// Requests worked on at once.
    pub running_max: usize,
    /// Bids that wait for what becomes of them.
    pub open_max: usize,
    pub hold_ttl_us: i64,
    pub patience: Patience,
    /// Share of requests of which it is kept why campaigns did not win, in millionths.
    pub sample: u32,
    pub frequency_pairs: usize,
    pub ltv_max: usize,
    pub ltv_ttl_us: i64,
    pub ltv_patience: Duration,
    pub journal_max: usize,
    pub retention_us: i64,
    /// The data directory: notices that the store did not take wait in it.
    pub dir: PathBuf,
}

/// Boxed: a pointer is what changes hands at each request.
#[allow(clippy::vec_box, reason = "a scratch has some hundred bytes of its own")]
type Stack = Vec<Box<Scratch>>;

pub struct Office {
    pub terms: OfficeTerms,
    pub shield: Shield,
    pub value: Value,
    pub keys: Keys,
    pub people: People,
    pub ltv: ltv::Cache,
    pub open: Open,
    pub counts: Counts,
    pub zones: notices::Zones,
    pub reviewed: notices::Reviewed,
    pub spool: notices::Kept,
    pub others: Others,
    pub(super) running: AtomicUsize,
    /// Mixed into the seed of every decision: which auctions are left out cannot be foreseen.
    pub(super) salt: u64,
    market: ArcSwap<Market>,
    /// Of nothing but US dollars to themselves.
    pub(super) nothing: Rates,
    scratches: [Mutex<Stack>; SCRATCHES],
    /// Not all bidders write at once.
    pub saves: bidder::Gate,
    pub bidders: OnceLock<Entities<BidderActor>>,
    pub journal: OnceLock<Handle<journal::Msg>>,
    pub notices: OnceLock<Handle<notices::Msg>>,
    pub lookup: OnceLock<Handle<ltv::Msg>>,
}

impl Office {
    pub fn new(
        terms: OfficeTerms,
        notice_key: &[u8],
        (shield, value): (Shield, Value),
        live: Arc<Live>,
    ) -> Office {
        let keys = Keys::new(notice_key, None);
        // No account has such a name: this is the key of nobody's customer.
        let secret = shield.vault().master().lookup("@flow", "frequency");
        let people = People::new(secret.as_bytes(), terms.frequency_pairs);
        Office {
            keys,
            people,
            ltv: ltv::Cache::new(terms.ltv_max, terms.ltv_ttl_us),
            open: Open::new(terms.open_max),
            counts: Counts::default(),
            zones: notices::Zones::default(),
            reviewed: notices::Reviewed::default(),
            spool: notices::Kept::default(),
            others: Others::default(),
            running: AtomicUsize::new(0),
            salt: rand::random(),
            market: ArcSwap::from_pointee(Market::empty(live)),
            nothing: Rates::none(Currency::USD),
            scratches: Default::default(),
            saves: bidder::Gate::default(),
            bidders: OnceLock::new(),
            journal: OnceLock::new(),
            notices: OnceLock::new(),
            lookup: OnceLock::new(),
            terms,
            shield,
            value,
        }
    }

    pub fn market(&self) -> Arc<Market> {
        self.market.load_full()
    }

    /// Auctions see this index from now on. One caller at a time.
    pub fn publish(&self, live: Arc<Live>) {
        let (next, changed) = self.market.load().next(live, &self.terms.account);
        self.market.store(Arc::new(next));
        if let Some(bidders) = self.bidders.get() {
            for seat in changed {
                // One that sleeps reads it when it wakes.
                bidders.tell_if_active(&seat.actor, bidder::Msg::Wake);
            }
        }
    }

    /// How an account's customer is named, as SyncShield names people.
    pub(super) fn person(&self, account: &str, customer: &str) -> u128 {
        self.shield.vault().master().lookup_number(account, customer)
    }

    /// That of values which nobody has asked for another one.
    pub fn horizon_days(&self) -> u32 {
        self.value.terms().horizon_days
    }

    /// Wakes the bidders that auctions have asked for.
    pub(super) fn wake(&self, market: &Market) {
        for seat in market.waking() {
            let told = self.bidders.get().map(|to| to.tell(&seat.actor, bidder::Msg::Wake));
            if !matches!(told, Some(Ok(()))) {
                // The next auction asks again.
                seat.sleeps();
            }
        }
    }

    /// Lets seats sleep whose bidders are gone.
    pub(super) fn look_for_bidders(&self) {
        let Some(bidders) = self.bidders.get() else { return };
        let gone = self.market().forsaken(|seat| bidders.is_active(&seat.actor));
        let told = |(seat, before): &(Arc<Seat>, Option<Reason>)| {
            tracing::warn!(campaign = %seat.name, "the bidder of {} is gone", seat.name);
            let change = bidder::change(*before, Some(Reason::WarmingUp));
            let name = &seat.name;
            Decision::change(&name.account, &name.budget, clock::wall_us(), change)
        };
        if !gone.is_empty() {
            self.tell_journal(journal::Msg::Changes(gone.iter().map(told).collect()));
        }
    }

    pub(super) fn scratch(&self) -> Lent<'_> {
        let scratch = self.stack().and_then(|mut stack| stack.pop());
        Lent { scratch: Some(scratch.unwrap_or_default()), office: self }
    }

    /// A stack that nobody else is at, where there is one; each thread begins at its own.
    fn stack(&self) -> Option<MutexGuard<'_, Stack>> {
        let own = OWN_STACK.with(|own| *own);
        let mut near = self.scratches.iter().cycle().skip(own % SCRATCHES).take(SCRATCHES);
        near.find_map(|stack| match stack.try_lock() {
            Ok(stack) => Some(stack),
            Err(TryLockError::Poisoned(stack)) => Some(stack.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    /// A place among the requests that are worked on; `None`: there is none.
    pub(super) fn enter(&self) -> Option<Place<'_>> {
        let place = Place(&self.running);
        let before = self.running.fetch_add(1, Relaxed);
        (before < self.terms.running_max).then_some(place)
    }

    pub fn tell_journal(&self, msg: journal::Msg) {
        let decisions = msg.decisions();
        if let Some(journal) = self.journal.get()
            && journal.tell(msg).is_err()
        {
            self.counts.left_out(decisions);
            journal::left_out(decisions);
        }
    }
}

pub(super) struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Memory of a decision, which goes back when it is over.
pub(super) struct Lent<'a> {
    /// There until it is dropped.
    scratch: Option<Box<Scratch>>,
    office: &'a Office,
}

impl Lent<'_> {
    pub fn scratch(&mut self) -> &mut Scratch {
        self.scratch.get_or_insert_default()
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(scratch) = self.scratch.take()
            && let Some(mut stack) = self.office.stack()
            && stack.len() < SCRATCHES_MAX
        {
            stack.push(scratch);
        }
    }
}
