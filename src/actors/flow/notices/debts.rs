//! What is owed, and whose turn it is to be booked. Slots are few, and a budget that does not answer holds each
//! for as long as a booking may take: so no budget gets more than its part of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::owed::Owed;

/// Bookings tried at once: of all budgets, and of one.
const AT_A_TIME: usize = 64;
const OF_BUDGET_MAX: usize = 8;
/// Bytes that all of it may take in memory: beyond it a notice is to be told again.
pub const BYTES_MAX: usize = 128 << 20;
/// Bytes that maps and allocations take beside what is owed itself.
const BESIDE_BYTES: usize = 192;

/// What became of what is owed when a booking of it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    /// It is owed no more.
    Over,
    /// It is owed still.
    Owed,
    /// It was not owed any more before that.
    Gone,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What waits of a budget.
#[derive(Default)]
struct Waiting {
    due: BTreeSet<(i64, u128)>,
    trying: usize,
    /// As which it stands in [`Debts::ready`].
    filed: Option<i64>,
}

/// Times are wall-clock micros.
pub struct Debts {
    owed: HashMap<u128, Arc<Owed>>,
    budgets: HashMap<Arc<str>, Waiting>,
    /// Budgets that have a slot left, by when their first is due.
    ready: BTreeSet<(i64, Arc<str>)>,
    /// Those that are being booked.
    flying: HashSet<u128>,
    bytes: usize,
    bytes_max: usize,
}

fn bytes(owed: &Owed) -> usize {
    let texts = [&owed.account, &owed.campaign, &owed.zone, &owed.digest];
    size_of::<Owed>() + texts.map(String::len).iter().sum::<usize>() + BESIDE_BYTES
}

/// No name of an account or a campaign has a slash.
fn name(owed: &Owed) -> String {
    format!("{}/{}", owed.account, owed.campaign)
}

impl Debts {
    /// Of what a file says, however much that is; more is taken up to `bytes_max`.
    pub fn new(owed: HashMap<u128, Arc<Owed>>, bytes_max: usize) -> Debts {
        let mut debts = Debts {
            owed: HashMap::new(),
            budgets: HashMap::new(),
            ready: BTreeSet::new(),
            flying: HashSet::new(),
            bytes: 0,
            bytes_max,
        };
        for it in owed.into_values() {
            debts.insert(it);
        }
        debts
    }

    pub fn len(&self) -> usize {
        self.owed.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn all(&self) -> Vec<Arc<Owed>> {
        self.owed.values().cloned().collect()
    }

    /// It is owed from now on; what is owed then.
    pub fn owe(&mut self, told: Owed) -> Result<Arc<Owed>, Full> {
        let owed = match self.owed.get(&told.hold.0) {
            None if self.bytes.saturating_add(bytes(&told)) > self.bytes_max => return Err(Full),
            None => Arc::new(told),
            Some(known) => Arc::new(told.after(known)),
        };
        self.insert(Arc::clone(&owed));
        Ok(owed)
    }

    fn insert(&mut self, owed: Arc<Owed>) {
        let (hold, due_us) = (owed.hold.0, owed.due_us);
        self.bytes += bytes(&owed);
        let name = name(&owed);
        if let Some(known) = self.owed.insert(hold, owed) {
            self.bytes -= bytes(&known);
            self.waiting(&name, |waiting| {
                waiting.due.remove(&(known.due_us, hold));
            });
        }
        // One that is being booked is tried again when that has ended.
        if !self.flying.contains(&hold) {
            self.waiting(&name, |waiting| {
                waiting.due.insert((due_us, hold));
            });
        }
    }

    /// What is owed for these, by account and campaign, is to be tried now.
    pub fn hasten(&mut self, now_us: i64, whose: impl Fn(&str, &str) -> bool) {
        let (mut known, mut meant) = (HashMap::new(), Vec::new());
        for owed in self.owed.values().filter(|owed| owed.due_us > now_us) {
            let (account, campaign) = (owed.account.as_str(), owed.campaign.as_str());
            if *known.entry((account, campaign)).or_insert_with(|| whose(account, campaign)) {
                meant.push(Arc::clone(owed));
            }
        }
        for owed in meant {
            self.insert(Arc::new(Owed { due_us: now_us, ..Owed::clone(&owed) }));
        }
    }

    /// It is booked, or never will be. Whether it was owed.
    pub fn done(&mut self, hold: u128) -> bool {
        let Some(owed) = self.owed.remove(&hold) else { return false };
        self.bytes -= bytes(&owed);
        self.waiting(&name(&owed), |waiting| {
            waiting.due.remove(&(owed.due_us, hold));
        });
        true
    }

    /// The next that is to be booked now.
    pub fn next(&mut self, now_us: i64) -> Option<Arc<Owed>> {
        if self.flying.len() >= AT_A_TIME {
            return None;
        }
        let (_, name) = self.ready.first().filter(|(at, _)| *at <= now_us)?.clone();
        let mut hold = None;
        self.waiting(&name, |waiting| {
            hold = waiting.due.pop_first().map(|(_, hold)| hold);
            waiting.trying += usize::from(hold.is_some());
        });
        let hold = hold?;
        self.flying.insert(hold);
        self.owed.get(&hold).cloned()
    }

    /// A booking has ended; `again_us`: it is tried again then, if it is owed still. So is, at once, what was told of
    /// the bid while it was being booked: a billing behind its win is in no ledger by that.
    pub fn landed(&mut self, tried: &Owed, again_us: Option<i64>) -> Landed {
        let hold = tried.hold.0;
        if !self.flying.remove(&hold) {
            return Landed::Gone;
        }
        self.waiting(&name(tried), |waiting| waiting.trying = waiting.trying.saturating_sub(1));
        let Some(owed) = self.owed.get(&hold) else { return Landed::Gone };
        let more = (!owed.says_as(tried)).then_some(tried.due_us.min(owed.due_us));
        match again_us.or(more) {
            Some(due_us) => {
                let again = Owed { due_us, ..Owed::clone(owed) };
                self.insert(Arc::new(again));
                Landed::Owed
            }
            None => {
                self.done(hold);
                Landed::Over
            }
        }
    }

    /// Changes what waits of a budget, and where it stands among those that are ready.
    fn waiting(&mut self, name: &str, change: impl FnOnce(&mut Waiting)) {
        let name: Arc<str> = match self.budgets.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => name.into(),
        };
        let waiting = self.budgets.entry(Arc::clone(&name)).or_default();
        change(waiting);
        let first = waiting.due.first().map(|(at, _)| *at);
        let next = first.filter(|_| waiting.trying < OF_BUDGET_MAX);
        if next != waiting.filed {
            if let Some(at) = std::mem::replace(&mut waiting.filed, next) {
                self.ready.remove(&(at, Arc::clone(&name)));
            }
            if let Some(at) = next {
                self.ready.insert((at, Arc::clone(&name)));
            }
        }
        if waiting.due.is_empty() && waiting.trying == 0 {
            self.budgets.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::owed::tests::owed;
    use super::*;

    fn of(n: u128, campaign: &str, due_us: i64) -> Owed {
        Owed { campaign: campaign.to_owned(), due_us, ..owed(n) }
    }

    fn debts(all: impl IntoIterator<Item = Owed>) -> Debts {
        let of = |it: Owed| (it.hold.0, Arc::new(it));
        Debts::new(all.into_iter().map(of).collect(), BYTES_MAX)
    }

    fn taken(debts: &mut Debts, now_us: i64) -> Vec<Arc<Owed>> {
        std::iter::from_fn(|| debts.next(now_us)).collect()
    }

    #[test]
    fn a_budget_that_does_not_answer_keeps_no_other_from_its_turn() {
        let hung = (0..1_000).map(|n| of(n, "hung", 0));
        let mut debts = debts(hung.chain([of(5_000, "well", 7), of(5_001, "well", 20)]));
        let first = taken(&mut debts, 10);
        let hung = first.iter().filter(|it| it.campaign == "hung").count();
        assert_eq!((hung, first.len()), (OF_BUDGET_MAX, OF_BUDGET_MAX + 1));
        let well = first.iter().find(|it| it.campaign == "well").expect("its turn");
        debts.landed(well, None);
        assert!(taken(&mut debts, 10).is_empty(), "the other is not due");
        assert_eq!(taken(&mut debts, 20)[0].hold.0, 5_001);
        // One ends, one comes.
        debts.landed(first.iter().find(|it| it.campaign == "hung").expect("one"), Some(99));
        assert_eq!(taken(&mut debts, 20).len(), 1);
        assert_eq!(debts.len(), 1_001, "what was booked is owed no more");
    }

    #[test]
    fn no_more_are_tried_at_once_than_there_are_slots() {
        let all = (0..200).map(|n| of(n, &format!("c{n}"), n as i64));
        let mut debts = debts(all);
        let first = taken(&mut debts, 1_000);
        assert_eq!(first.len(), AT_A_TIME);
        assert!(first.is_sorted_by_key(|it| it.due_us), "what is due first is tried first");
        for it in &first {
            assert_eq!(debts.landed(it, None), Landed::Over);
        }
        assert_eq!(taken(&mut debts, 1_000).len(), AT_A_TIME);
    }

    #[test]
    fn what_is_told_while_it_is_booked_is_tried_again_where_that_fails_and_not_beside_it() {
        let mut debts = debts([of(1, "c", 0)]);
        let flying = debts.next(0).expect("it is due");
        let billed = Owed { billed: true, amount: 7, ..of(1, "c", 0) };
        assert_eq!(debts.owe(billed).expect("room").amount, 7);
        assert!(debts.next(0).is_none());
        debts.landed(&flying, Some(5));
        assert!(debts.next(4).is_none());
        let again = debts.next(5).expect("it is due");
        assert_eq!((again.amount, again.billed), (7, true));
        // Whoever heard of it has booked it meanwhile.
        assert!(debts.done(1) && !debts.done(1));
        debts.landed(&again, Some(9));
        assert!(debts.next(9).is_none() && debts.len() == 0 && debts.bytes() == 0);
        assert!(debts.budgets.is_empty() && debts.ready.is_empty());
    }

    #[test]
    fn what_is_told_while_it_is_booked_is_booked_too_and_found_after_a_restart() {
        use super::super::spool::{Line, Spool};

        let dir = tempfile::tempdir().expect("a folder");
        let (mut spool, none) = Spool::open(dir.path()).expect("opens");
        let mut debts = Debts::new(none, BYTES_MAX);
        let win = Owed { silent: true, expires_us: 900, ..of(1, "c", 900) };
        spool.put(&[Line::Owed(debts.owe(win).expect("room"))], true).expect("written");
        debts.hasten(10, |_, _| true);
        let flying = debts.next(10).expect("it is handed over");
        let billed = Owed { billed: true, amount: 7, ..of(1, "c", 20) };
        spool.put(&[Line::Owed(debts.owe(billed).expect("room"))], true).expect("written");
        assert_eq!(debts.landed(&flying, None), Landed::Owed, "no line says that it is done");
        let again = debts.next(10).expect("it is due now");
        assert_eq!((again.amount, again.billed), (7, true));

        let (mut spool, found) = Spool::open(dir.path()).expect("opens");
        let mut debts = Debts::new(found, BYTES_MAX);
        let again = debts.next(20).expect("it is owed after a restart");
        assert_eq!((again.amount, again.billed), (7, true));
        // That it is to be tried sooner, and that its zone is known, is nothing more that is to be booked.
        debts.hasten(5, |_, _| true);
        let zoned = Owed { zone: String::new(), ..Owed::clone(&again) };
        assert_eq!(debts.landed(&zoned, None), Landed::Over);
        spool.put(&[Line::Done(again.hold)], true).expect("written");
        assert_eq!(debts.landed(&again, None), Landed::Gone);
        assert_eq!((debts.len(), debts.bytes(), debts.next(i64::MAX)), (0, 0, None));
        let (_, found) = Spool::open(dir.path()).expect("opens");
        assert!(found.is_empty());
    }

    #[test]
    fn memory_is_bounded_by_its_bytes_and_what_is_known_is_never_refused() {
        let mut debts = debts([]);
        debts.bytes_max = 3 * bytes(&owed(1));
        let took = (0..10).filter(|n| debts.owe(owed(*n)).is_ok()).count();
        assert_eq!((took, debts.len()), (3, 3));
        assert!(debts.bytes() <= debts.bytes_max);
        let billed = Owed { billed: true, ..owed(2) };
        assert!(debts.owe(billed).is_ok_and(|it| it.billed));
        assert_eq!(debts.owe(owed(9)), Err(Full));
        assert!(debts.done(2) && debts.owe(owed(9)).is_ok());
    }

    #[test]
    fn what_is_owed_for_a_campaign_that_left_is_tried_at_once_and_keeps_when_it_is_booked() {
        let win = |n, campaign| Owed { expires_us: 900, ..of(n, campaign, 900) };
        let mut debts = debts([win(1, "left"), win(2, "stayed"), win(3, "left")]);
        assert!(debts.next(10).is_none());
        debts.hasten(10, |account, campaign| (account, campaign) == ("default", "left"));
        let tried = taken(&mut debts, 10);
        assert_eq!(tried.iter().map(|it| it.hold.0).sum::<u128>(), 4);
        assert!(tried.iter().all(|it| it.books_at(10) == 900 && it.due_us == 10));
        // One is handed over, the other's campaign is back before it could be.
        debts.landed(&tried[0], None);
        debts.landed(&tried[1], Some(tried[1].expires_us));
        assert!(debts.next(899).is_none() && debts.len() == 2);
        assert_eq!(taken(&mut debts, 900).len(), 2);
        let billed = Owed { billed: true, ..win(4, "c") };
        assert_eq!(billed.books_at(10), 10);
    }
}
