//! The invariants of a budget, checked on every batch before it is written: what the batch says it
//! does against the state that it starts from. Rules and checks share no arithmetic on purpose.

use std::collections::HashSet;

use super::budget::Core;
use super::day::DaySpan;
use super::effect::Batch;
use super::entry::Kind;
use super::money::Micros;
use super::slice::Slice;

/// The invariants that this watches.
pub const WATCHED: [&str; 3] = ["BG-1", "BG-3", "BG-4"];

/// The invariants that the batch would break, each once. Empty is the only good answer.
pub fn broken(before: &Core, batch: &Batch) -> Vec<&'static str> {
    let checks = [within_caps(before, batch), dense(before, batch), balanced(before, batch)];
    WATCHED.iter().zip(checks).filter_map(|(id, holds)| (!holds).then_some(*id)).collect()
}

/// BG-1: whoever grants stays within every cap; no slice has booked more than its quota.
fn within_caps(before: &Core, batch: &Batch) -> bool {
    let core = &batch.core;
    let wide = |m: Micros| i128::from(m.0);
    let grown = batch.slices_put.iter().any(|slice| {
        let known = before.slices.get(&slice.id).map_or(Micros::ZERO, |s| s.quota);
        slice.quota > known
    });
    let covered = core.slices.values().all(|s| s.settled <= s.quota);
    // An order may have lowered a cap after the grant.
    if !grown || !batch.operations.is_empty() {
        return covered;
    }
    let free = |s: &Slice| (wide(s.quota) - wide(s.settled) - wide(s.noted)).max(0);
    let reserved: i128 = core.slices.values().map(free).sum();
    // Facts of the same batch may have passed a cap after the grant: they are never refused.
    let facts = batch.entries.iter().filter(|e| matches!(e.kind, Kind::Spend | Kind::Late));
    let facts: i128 = facts.map(|e| wide(e.amount)).sum();
    let spent = wide(core.settled) + wide(core.facts) - wide(core.refunded) - facts;
    let lifetime = core.terms.lifetime.is_none() || spent + reserved <= wide(core.funded);
    let today = DaySpan::at(&core.terms.time_zone, batch.now.wall_us).day;
    let of_today: i128 = core
        .slices
        .values()
        .filter(|s| s.day == today)
        .map(|s| wide(s.quota) - wide(s.settled))
        .sum();
    let used = core.days.get(&today).map_or(0, |used| wide(*used));
    let daily = core.terms.daily.is_none_or(|cap| used - facts + of_today <= wide(cap));
    let counted = wide(batch.window_used) - wide(batch.window_facts);
    let window = core.terms.window.is_none_or(|cap| counted + reserved <= wide(cap.amount));
    covered && lifetime && daily && window
}

/// BG-3: one row for each operation, numbered without a gap.
fn dense(before: &Core, batch: &Batch) -> bool {
    let mut ops = HashSet::new();
    let numbered = (before.seq + 1..).zip(&batch.entries).all(|(seq, e)| e.seq == seq);
    let once = batch.entries.iter().all(|e| ops.insert(e.op));
    let counted = i64::try_from(batch.entries.len()) == Ok(batch.core.seq - before.seq);
    numbered && once && counted
}

/// BG-4: the totals have moved by exactly what the rows say.
fn balanced(before: &Core, batch: &Batch) -> bool {
    let rows = |kinds: &[Kind]| -> i128 {
        let of = batch.entries.iter().filter(|e| kinds.contains(&e.kind));
        of.map(|e| i128::from(e.amount.0)).sum()
    };
    let moved = |from: Micros, to: Micros| i128::from(to.0) - i128::from(from.0);
    let core = &batch.core;
    let slices: i128 = batch.slice_settles.iter().map(|(_, amount)| i128::from(amount.0)).sum();
    moved(before.settled, core.settled) == rows(&[Kind::Settle])
        && moved(before.facts, core.facts) == rows(&[Kind::Spend, Kind::Late])
        && moved(before.late, core.late) == rows(&[Kind::Late])
        && moved(before.refunded, core.refunded) == -rows(&[Kind::Refund])
        && slices == rows(&[Kind::Settle])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shield::ask::{Ask, Ticket};
    use crate::shield::authority::{Authority, CommitOutcome};
    use crate::shield::budget::{Budget, Fact, Settlement};
    use crate::shield::effect::Effect;
    use crate::shield::entry::{Day, HolderId, Now, Op, SliceId};
    use crate::shield::limits::Limits;
    use crate::shield::terms::Terms;
    use crate::shield::window::Window;

    const NOW: Now = Now { mono_us: 5, wall_us: 1_700_000_000_000_000 };

    fn batch_of(authority: &mut Authority, asks: Vec<Ask>) -> Batch {
        let mut out = Vec::new();
        for (n, ask) in (1..).zip(asks) {
            authority.ask(NOW, Ticket(n), ask, &mut out);
        }
        let batch = out.into_iter().find_map(|effect| match effect {
            Effect::Commit(batch) => Some(*batch),
            _ => None,
        });
        batch.expect("something to commit")
    }

    fn fact(op: u128, amount: i64) -> Ask {
        let amount = Micros(amount);
        Ask::Spend(Box::new(Fact {
            op: Op(op),
            amount,
            window_amount: amount,
            body: 0,
            memo: None,
        }))
    }

    fn take(needed: i64) -> Ask {
        let (slice, holder) = (SliceId(1), HolderId(1));
        Ask::Take { slice, holder, needed: Micros(needed), want: Micros(needed) }
    }

    fn campaign() -> Authority {
        let terms = Terms::campaign("USD".parse().expect("a currency"), Micros(100));
        let budget = Budget { core: Core::new(terms), window: Window::default() };
        Authority::new(budget, Limits::default())
    }

    fn judged(
        authority: &Authority,
        batch: &Batch,
        spoil: impl Fn(&mut Batch),
    ) -> Vec<&'static str> {
        let before = &authority.budget().core;
        assert_eq!(broken(before, batch), Vec::<&str>::new());
        let mut spoiled = batch.clone();
        spoil(&mut spoiled);
        broken(before, &spoiled)
    }

    #[test]
    fn what_the_rules_do_breaks_nothing_and_each_mistake_is_named() {
        let mut authority = campaign();
        let grant = batch_of(&mut authority, vec![take(60)]);
        assert_eq!(judged(&authority, &grant, |b| b.core.facts = Micros(41)), ["BG-1", "BG-4"]);
        let quota = |b: &mut Batch| {
            b.core.slices.get_mut(&SliceId(1)).expect("it is there").quota = Micros(101);
            b.slices_put[0].quota = Micros(101);
        };
        assert_eq!(judged(&authority, &grant, quota), ["BG-1"]);
        authority.committed(NOW, CommitOutcome::Done, &mut Vec::new());

        let settle = Ask::Settle(Box::new(Settlement {
            hold: Op(7),
            op: Op(8),
            slice: SliceId(1),
            window_slice: SliceId(2),
            amount: Micros(10),
            window_amount: Micros(10),
            day: Day(20231114),
            confirmed: true,
            again: false,
            body: 0,
            memo: None,
        }));
        let booked = batch_of(&mut authority, vec![settle]);
        assert_eq!(judged(&authority, &booked, |b| b.entries[0].seq = 2), ["BG-3"]);
        assert_eq!(judged(&authority, &booked, |b| b.entries.clear()), ["BG-3", "BG-4"]);
        assert_eq!(judged(&authority, &booked, |b| b.entries[0].amount = Micros(9)), ["BG-4"]);
        assert_eq!(judged(&authority, &booked, |b| b.slice_settles.clear()), ["BG-4"]);
        assert_eq!(judged(&authority, &booked, |b| b.core.refunded = Micros(1)), ["BG-4"]);
        let twice = |b: &mut Batch| {
            let mut again = b.entries[0].clone();
            again.seq += 1;
            b.entries.push(again);
            b.core.seq += 1;
        };
        assert_eq!(judged(&authority, &booked, twice), ["BG-3", "BG-4"]);
        authority.committed(NOW, CommitOutcome::Done, &mut Vec::new());
        let facts = batch_of(&mut authority, vec![fact(9, 500)]);
        assert_eq!(judged(&authority, &facts, |_| {}), Vec::<&str>::new(), "facts pass caps");

        let mut authority = campaign();
        authority.ask(NOW, Ticket(1), fact(1, 1), &mut Vec::new());
        for ask in [take(60), fact(2, 500)] {
            authority.ask(NOW, Ticket(2), ask, &mut Vec::new());
        }
        let mut out = Vec::new();
        authority.committed(NOW, CommitOutcome::Done, &mut out);
        let both = out.into_iter().find_map(|effect| match effect {
            Effect::Commit(batch) => Some(*batch),
            _ => None,
        });
        let both = both.expect("what waited");
        assert!(both.core.available() < Micros::ZERO && !both.slices_put.is_empty());
        assert_eq!(judged(&authority, &both, |_| {}), Vec::<&str>::new(), "also after a grant");
    }
}
