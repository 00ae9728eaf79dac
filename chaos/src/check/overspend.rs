//! BG-1: no grant where what was certainly booked and held left no room for it, in a budget and in the
//! window of its account; nothing granted while it was paused; no ledger whose settles exceed a cap.
//!
//! Only what is certain counts against a grant: what was acknowledged before it was asked for, and holds that
//! can neither have been ended nor have run out before it was answered. So what is found here is proven by
//! the clients' own clocks alone.

use super::booked::money;
use super::caps::Caps;
use super::found::Found;
use super::history::History;
use super::ledger::{Booked, Fate, Fates};
use super::logical::{Asked, Logical};
use super::operation::NEVER;
use super::span::{Span, Steps, covering};
use super::switch::Switch;
use crate::history::AtUs;
use crate::verdict::Invariant::Bg1;

/// What counts against the grants of one budget, or of all budgets of an account.
#[derive(Default)]
struct Book<'a> {
    spans: Vec<Span>,
    /// Refunds by when they may have begun to count, and by when the last moment was at which they can.
    began: Vec<(AtUs, i128)>,
    ended: Vec<(AtUs, i128)>,
    grants: Vec<&'a Logical>,
}

/// Clocks of machines run differently fast: a part in a thousand, and what a look at a clock takes.
pub fn less(us: u64) -> u64 {
    us.saturating_sub(us / 1_000 + 100_000)
}

/// `booked`: what the ledger says of settles and spends, where there is one.
pub fn check(
    history: &History,
    asked: &Asked,
    caps: &Caps,
    booked: Option<(&Fates, &Booked)>,
    found: &mut Found,
) {
    let mut budgets: Vec<Book> = Vec::new();
    budgets.resize_with(history.budgets.len(), Book::default);
    gather(history, asked, booked, None, |budget| Some(budget as usize), &mut budgets);
    for (budget, book) in budgets.into_iter().enumerate() {
        let budget = budget as u32;
        if !caps.knows(budget) {
            if !book.grants.is_empty() {
                let name = history.budget_name(budget);
                found.note(format!("the cap of {name} is not known: its grants were not compared"));
            }
            continue;
        }
        book.check(history, asked, found, "the budget of", |grant| {
            caps.possible(budget, grant.first, grant.acked).max()
        });
    }
    windows(history, asked, booked, found);
}

fn windows(history: &History, asked: &Asked, booked: Option<(&Fates, &Booked)>, found: &mut Found) {
    let (cap, length) = (history.begin.window_cap, history.begin.window_us);
    if cap <= 0 || length == 0 {
        found.note("the run has no window of accounts: none was compared");
        return;
    }
    let mut places: Vec<u32> = (0..history.budgets.len() as u32).collect();
    places.sort_unstable_by_key(|budget| history.account_of(*budget));
    places.dedup_by_key(|budget| history.account_of(*budget));
    let mixed: Vec<u32> = mixed_accounts(history);
    for account in &mixed {
        let name = history.names.text(*account);
        found
            .note(format!("{name} has budgets of several currencies: its window was not compared"));
    }
    let place = |budget: u32| {
        let account = history.account_of(budget);
        (!mixed.contains(&account))
            .then(|| places.partition_point(|other| history.account_of(*other) < account))
    };
    let mut accounts: Vec<Book> = Vec::new();
    accounts.resize_with(places.len(), Book::default);
    gather(history, asked, booked, Some(length), place, &mut accounts);
    for book in accounts {
        book.check(history, asked, found, "the window of the account of", |_| Some(cap));
    }
}

/// Accounts whose amounts cannot be added up without exchange rates.
pub fn mixed_accounts(history: &History) -> Vec<u32> {
    let begun = &history.begin.budgets;
    let differs = |a: &&crate::history::Budget| {
        begun.iter().any(|b| b.account == a.account && b.currency != a.currency)
    };
    let names = begun.iter().filter(differs).filter_map(|b| history.names.find(&b.account));
    let mut accounts: Vec<u32> = names.collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

/// Puts everything into the books that `place` names. `window`: what is booked counts for so long.
fn gather<'a>(
    history: &History,
    asked: &'a Asked,
    booked: Option<(&Fates, &Booked)>,
    window: Option<u64>,
    place: impl Fn(u32) -> Option<usize>,
    books: &mut [Book<'a>],
) {
    let leaves = |first: AtUs| window.map_or(NEVER, |length| first + less(length));
    let settles = asked.settles.list.iter().map(|settle| (settle, None));
    let spends = asked.spends.list.iter().enumerate().map(|(at, spend)| {
        // An unanswered refund may have made room at any time: not if the ledger has none like it, and not
        // after what is behind it there.
        let by = match booked.map(|(fates, booked)| (fates.spends[at], booked)) {
            Some((Fate::Never, _)) => None,
            Some((Fate::Possible(last), booked)) => Some(booked.by(spend.budget, last)),
            Some((Fate::Row(_), _)) | None => Some(NEVER),
        };
        (spend, by)
    });
    for (logical, by) in settles.chain(spends) {
        let Some(book) = place(logical.budget).and_then(|place| books.get_mut(place)) else {
            continue;
        };
        let amount = i128::from(logical.amount);
        if amount < 0 && (logical.is_acked() || logical.maybe && by.is_some()) {
            book.began.push((logical.first, -amount));
            // A refund takes away the oldest of the window. Once all that it found has left, it is over.
            let by = logical.acked.min(by.unwrap_or(NEVER));
            if let Some(length) = window.filter(|_| by != NEVER) {
                let slack = length / 1_000 + 100_000;
                book.ended.push((by.saturating_add(length + slack), -amount));
            }
        } else if amount > 0 && logical.is_acked() {
            let until = leaves(logical.first);
            book.spans.push(Span { from: logical.acked, until, amount });
        }
    }
    let ends = ends_of_holds(asked);
    for grant in &asked.grants.list {
        let Some(book) = place(grant.budget).and_then(|place| books.get_mut(place)) else {
            continue;
        };
        if !grant.is_acked() {
            continue;
        }
        book.grants.push(grant);
        if let Some(hold) = grant.hold {
            let from = ends.partition_point(|(other, _)| *other < hold);
            let ended = ends.get(from).filter(|(other, _)| *other == hold).map_or(NEVER, |e| e.1);
            let until = ended.min(grant.first + less(history.begin.hold_us));
            let amount = i128::from(grant.amount);
            book.spans.push(Span { from: grant.acked, until, amount });
        }
    }
}

/// When each hold was first asked to end.
fn ends_of_holds(asked: &Asked) -> Vec<(u32, AtUs)> {
    let both = asked.settles.list.iter().chain(&asked.releases.list);
    let mut ends: Vec<(u32, AtUs)> = both.map(|end| (end.name, end.first)).collect();
    ends.sort_unstable();
    ends
}

impl Book<'_> {
    fn check(
        mut self,
        history: &History,
        asked: &Asked,
        found: &mut Found,
        of: &str,
        cap: impl Fn(&Logical) -> Option<i64>,
    ) {
        let asks: Vec<(AtUs, AtUs)> = self.grants.iter().map(|g| (g.first, g.acked)).collect();
        let sums = covering(&mut self.spans, &asks);
        let (began, ended) = (Steps::of(self.began), Steps::of(self.ended));
        for (grant, used) in self.grants.iter().zip(sums) {
            let Some(cap) = cap(grant) else { continue };
            let refunds = began.before(grant.acked) - ended.before(grant.first);
            let used = (used - refunds.max(0)).max(0);
            if used + i128::from(grant.amount) > i128::from(cap) {
                let ids = asked.grants.ids(grant, history);
                found.add(Bg1, Some(grant.acked), &ids, || {
                    let name = history.budget_name(grant.budget);
                    let used = i64::try_from(used).map_or_else(|_| used.to_string(), money);
                    let (amount, cap) = (money(grant.amount), money(cap));
                    format!(
                        "{of} {name} is {cap}, {used} was certainly used, and {amount} was granted"
                    )
                });
            }
        }
    }
}

/// Nothing is granted between the answer to a pause and what may have opened the budget again.
pub fn paused(history: &History, asked: &Asked, found: &mut Found) {
    let switches = Switch::of_pauses(history);
    for grant in asked.grants.list.iter().filter(|grant| grant.is_acked()) {
        let Some(off) = switches.get(grant.budget as usize) else { continue };
        if let Some(pause) = off.surely_off(grant.first, grant.acked) {
            let mut ids = asked.grants.ids(grant, history);
            ids.insert(0, pause);
            found.add(Bg1, Some(grant.acked), &ids, || {
                let (amount, name) = (money(grant.amount), history.budget_name(grant.budget));
                format!("{amount} of {name} was granted after a pause was acknowledged")
            });
        }
    }
}
