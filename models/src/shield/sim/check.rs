//! The checker: it sees everything, in true time, and knows only what must hold, not how.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::store::{Store, WINDOW_CAP, WINDOW_US};
use super::world::{ACCOUNT, BUDGETS};
use crate::shield::ask::Order;
use crate::shield::effect::Batch;
use crate::shield::entry::{Day, Entry, Kind, Op};
use crate::shield::hold::{Hold, HoldState};
use crate::shield::money::Micros;

/// A hold that may still be settled against its slice.
#[derive(Clone, Debug)]
struct Promise {
    campaign: usize,
    amount: Micros,
    day: Day,
    until: i64,
    /// When its slice's capacity may come back at the earliest, whatever became of the hold: what is
    /// booked after that is late by definition.
    life: i64,
    /// Its settle or its notice was accepted by a purse that lives: it cannot expire there.
    kept_by: Option<usize>,
}

/// The reference window: plain, sorted by time, and aware of facts that nobody was told of yet.
#[derive(Default)]
struct Reference {
    entries: Vec<(i64, Micros, Op, bool)>,
    /// What is left of refunds that the account may not have heard of: until it has, they may also
    /// cancel what is booked after them elsewhere.
    credits: Vec<(i64, Op, Micros)>,
}

#[derive(Default)]
pub struct Check {
    failure: Option<String>,
    /// `KIKI_SIM_TRACE=1`: print what is granted, booked and acknowledged.
    pub trace: bool,
    promises: BTreeMap<Op, Promise>,
    /// Holds that ended without a booking: their purse has their money again.
    over: HashSet<Op>,
    window: Reference,
    /// Facts that are durable but not acknowledged: slices that are out may not know of them.
    untold: HashMap<Op, (usize, Micros, Day)>,
    totals: [Micros; BUDGETS],
    days: Vec<BTreeMap<Day, Micros>>,
    allowed: [Micros; BUDGETS],
    allowed_daily: [Micros; BUDGETS],
    booked: HashMap<Op, Micros>,
    /// Notices that were acknowledged, and must end in the ledger.
    notices: HashMap<Op, Micros>,
    epochs: [i64; BUDGETS],
    /// A pause, an end or a stop was acknowledged, and nobody has said otherwise since.
    halted: [bool; BUDGETS],
    pub grants: u64,
    pub rows: u64,
    pub late: u64,
}

impl Check {
    pub fn verdict(&mut self) -> Result<(), String> {
        self.failure.take().map_or(Ok(()), Err)
    }

    pub fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
    }

    pub fn begin(&mut self, store: &Store) {
        for b in 0..BUDGETS {
            self.allowed[b] = store.cores[b].funded;
            self.allowed_daily[b] = store.cores[b].terms.daily.unwrap_or(Micros(i64::MAX));
        }
        self.days = vec![BTreeMap::new(); BUDGETS];
    }

    /// A hold was given to a bidder: BG-1 for every cap that covers it, in true time.
    pub fn granted(&mut self, t: i64, campaign: usize, hold: &Hold, until: i64, life: i64) {
        self.grants += 1;
        if self.trace {
            println!("{t} grant campaign {campaign} {hold:?} until {until}");
        }
        if self.halted[campaign] || self.halted[ACCOUNT] {
            self.fail(format!(
                "BG-1: campaign {campaign} was granted a hold after its pause was acknowledged"
            ));
        }
        // A request that comes once more is a hold of its own, where the first was given back.
        self.over.remove(&hold.id);
        let promise =
            Promise { campaign, amount: hold.amount, day: hold.day, until, life, kept_by: None };
        if self.promises.insert(hold.id, promise).is_some() {
            self.fail(format!("BG-3: hold {} was granted twice", hold.id));
        }
        self.promises.retain(|_, p| p.until > t || (p.kept_by.is_some() && p.life > t));
        let mut promised = Micros::ZERO;
        let mut promised_day = Micros::ZERO;
        let mut promised_all = Micros::ZERO;
        for p in self.promises.values() {
            promised_all += p.amount;
            if p.campaign == campaign {
                promised += p.amount;
                if p.day == hold.day {
                    promised_day += p.amount;
                }
            }
        }
        let mut untold = Micros::ZERO;
        let mut untold_day = Micros::ZERO;
        for (b, amount, day) in self.untold.values() {
            if *b == campaign {
                untold += *amount;
                if *day == hold.day {
                    untold_day += *amount;
                }
            }
        }
        let total = self.totals[campaign] - untold + promised;
        if total > self.allowed[campaign] {
            let allowed = self.allowed[campaign];
            if self.trace {
                println!("promises {:?}", self.promises);
            }
            self.fail(format!("BG-1: campaign {campaign} at {total} of {allowed} (lifetime)"));
        }
        let used = self.days[campaign].get(&hold.day).copied().unwrap_or_default();
        let total = used - untold_day + promised_day;
        if total > self.allowed_daily[campaign] {
            let (day, allowed) = (hold.day.0, self.allowed_daily[campaign]);
            self.fail(format!("BG-1: campaign {campaign} at {total} of {allowed} (day {day})"));
        }
        let total = self.window.sum(t) + promised_all;
        if total > WINDOW_CAP {
            self.fail(format!("BG-1: account at {total} of {WINDOW_CAP} (window)"));
        }
    }

    /// A hold is over for its purse: released, expired or settled.
    pub fn ended(&mut self, hold: &Hold) {
        if hold.state == HoldState::Expired && self.notices.contains_key(&hold.id) {
            self.fail(format!("BG-2: hold {} expired to nothing after its notice", hold.id));
        }
        self.promises.remove(&hold.id);
        if matches!(hold.state, HoldState::Expired | HoldState::Released) {
            self.over.insert(hold.id);
        }
    }

    pub fn kept(&mut self, hold: Op, node: usize) {
        if let Some(p) = self.promises.get_mut(&hold) {
            p.kept_by = Some(node);
        }
    }

    /// A node died: what it kept from expiring is only what it wrote down.
    pub fn died(&mut self, node: usize) {
        for p in self.promises.values_mut() {
            p.kept_by.take_if(|n| *n == node);
        }
    }

    /// A batch became durable.
    #[expect(clippy::too_many_arguments, reason = "everything about one transaction")]
    pub fn applied(
        &mut self,
        t: i64,
        ages: &[i64],
        budget: usize,
        epoch: i64,
        current: i64,
        writer_owns: bool,
        batch: &Batch,
        store: &Store,
    ) {
        if epoch != current || epoch < self.epochs[budget] || !writer_owns {
            self.fail(format!("OW-1: budget {budget} written by a node that does not own it, or with epoch {epoch} of {current}"));
        }
        self.epochs[budget] = epoch;
        let mut seq = store.ledger[budget].len() as i64 - batch.entries.len() as i64;
        for (entry, age) in batch.entries.iter().zip(ages) {
            seq += 1;
            self.row(t - age, budget, entry, seq);
        }
        let (core, sums) = (&store.cores[budget], &store.sums[budget]);
        let agrees = core.settled == sums.settled
            && core.facts == sums.facts
            && core.refunded == sums.refunded
            && core.seq == store.ledger[budget].len() as i64;
        let whole = core.funded + core.refunded
            == core.available() + core.reserved() + core.settled + core.facts;
        if !agrees || !whole {
            self.fail(format!("BG-4: budget {budget} does not add up to its ledger"));
        }
        if core.slices.values().any(|s| s.settled > s.quota) {
            self.fail(format!("BG-1: a slice of budget {budget} has booked more than its quota"));
        }
        if self.trace {
            println!(
                "{t} applied budget {budget} version {} funded {} reserved {} slices {:?}",
                core.version,
                core.funded,
                core.reserved(),
                core.slices
            );
        }
        // A cut counts from its acknowledgement; a raise from now.
        self.allowed[budget] = self.allowed[budget].max(core.funded);
        let daily = core.terms.daily.unwrap_or(Micros(i64::MAX));
        self.allowed_daily[budget] = self.allowed_daily[budget].max(daily);
    }

    fn row(&mut self, at: i64, budget: usize, entry: &Entry, seq: i64) {
        self.rows += 1;
        if self.trace {
            println!("{at} row budget {budget} {entry:?}");
        }
        if entry.seq != seq {
            self.fail(format!("BG-3: budget {budget} has row {} where {seq} follows", entry.seq));
        }
        if self.booked.insert(entry.op, entry.amount).is_some() {
            self.fail(format!("BG-3: operation {} has two rows", entry.op));
        }
        self.totals[budget] += entry.amount;
        let day = self.days[budget].entry(entry.day).or_default();
        *day = (*day + entry.amount).max(Micros::ZERO);
        if let Some(hold) = entry.hold {
            let day = self.promises.remove(&hold).map(|p| p.day);
            if day.is_some_and(|day| day != entry.day) {
                let (held, booked) = (day.unwrap_or_default().0, entry.day.0);
                self.fail(format!("BG-1: a hold of day {held} was booked on day {booked}"));
            }
        }
        let settled = entry.kind == Kind::Settle;
        if let Some(hold) = entry.hold.filter(|hold| settled && self.over.contains(hold)) {
            // Somebody else may hold the same money within the slice by now.
            self.fail(format!("BG-1: hold {hold} had ended, and is booked within its slice"));
        }
        if entry.kind == Kind::Late {
            self.late += 1;
        }
        match entry.kind {
            Kind::Refund => self.window.refund(at, -entry.amount, entry.op),
            _ => self.window.book(at, entry.amount, entry.op, settled),
        }
        if matches!(entry.kind, Kind::Late | Kind::Spend) {
            self.untold.insert(entry.op, (budget, entry.amount, entry.day));
        }
    }

    /// A booking was acknowledged: BG-2.
    pub fn acknowledged(&mut self, op: Op, amount: Micros) {
        if self.booked.get(&op) != Some(&amount) {
            self.fail(format!("BG-2: operation {op} was acknowledged and is not in the ledger"));
        }
        if self.trace {
            println!("acknowledged {op:?}");
        }
        self.untold.remove(&op);
        self.window.told(op);
    }

    /// An order was acknowledged: from here on its caps hold.
    pub fn ordered(&mut self, budget: usize, store: &Store, order: &Order) {
        if self.trace {
            println!("ordered budget {budget} {order:?}: funded {}", store.cores[budget].funded);
        }
        // Other terms leave a budget as open as it is.
        if !matches!(order, Order::Amend(_)) {
            self.halted[budget] = matches!(order, Order::Pause | Order::End | Order::Stop(true));
        }
        self.allowed[budget] = store.cores[budget].funded;
        self.allowed_daily[budget] = store.cores[budget].terms.daily.unwrap_or(Micros(i64::MAX));
    }

    /// An order that may set spending free was given: from here on grants are possible.
    pub fn may_run(&mut self, budget: usize, order: &Order) {
        if matches!(order, Order::Resume | Order::Allocate(_) | Order::Open(_) | Order::Stop(false))
        {
            self.halted[budget] = false;
        }
    }

    pub fn noticed(&mut self, hold: Op, price: Micros) {
        self.notices.insert(hold, price);
    }

    /// Whether every acknowledged notice has been booked.
    pub fn notices_open(&self) -> usize {
        let op = crate::shield::hold::settle_op;
        self.notices.keys().filter(|hold| !self.booked.contains_key(&op(**hold))).count()
    }

    pub fn unbooked_acked(&self, acked: &HashSet<Op>) -> usize {
        acked.iter().filter(|op| !self.booked.contains_key(op)).count()
    }
}

impl Reference {
    fn expire(&mut self, t: i64) {
        let over = self.entries.iter().take_while(|(at, ..)| t - at >= WINDOW_US).count();
        self.entries.drain(..over);
    }

    fn book(&mut self, at: i64, amount: Micros, op: Op, told: bool) {
        let mut amount = amount;
        for (_, _, credit) in &mut self.credits {
            let cancelled = (*credit).min(amount);
            *credit -= cancelled;
            amount -= cancelled;
        }
        let i = self.entries.iter().rposition(|(e, ..)| *e <= at).map_or(0, |i| i + 1);
        self.entries.insert(i, (at, amount, op, told));
    }

    fn refund(&mut self, t: i64, amount: Micros, op: Op) {
        self.expire(t);
        let mut left = amount;
        // The account cancels the oldest that it has when it hears of the refund, and by then the
        // oldest of this moment may have left. The newest stay longest: nothing that a correct
        // account does comes out lower than this. Those that it knows first: of the others it may hear later,
        // when they count in full.
        for known in [true, false] {
            for (_, entry, _, told) in self.entries.iter_mut().rev() {
                if *told == known {
                    let cancelled = (*entry).min(left);
                    *entry -= cancelled;
                    left -= cancelled;
                }
            }
        }
        self.credits.retain(|(at, ..)| t - at < 2 * WINDOW_US);
        self.credits.push((t, op, left));
    }

    fn told(&mut self, op: Op) {
        self.credits.retain(|(_, o, _)| *o != op);
        if let Some(e) = self.entries.iter_mut().find(|e| e.2 == op) {
            e.3 = true;
        }
    }

    fn sum(&mut self, t: i64) -> Micros {
        self.expire(t);
        self.entries.iter().filter(|e| e.3).map(|e| e.1).sum()
    }
}
