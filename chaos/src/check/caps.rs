//! Which cap of a budget may have been in force when.

use super::history::History;
use super::operation::{End, NEVER, What};
use crate::history::{AtUs, Micros};

#[derive(Clone, Copy, Debug)]
struct Set {
    first: AtUs,
    acked: AtUs,
    cap: Micros,
}

/// The caps of each budget, in the order in which they were asked for.
#[derive(Debug)]
pub struct Caps {
    sets: Vec<Vec<Set>>,
    /// Of those that were acknowledged: when, and the latest beginning among those that were by then.
    floors: Vec<Vec<(AtUs, AtUs)>>,
}

impl Caps {
    pub fn of(history: &History) -> Caps {
        let mut sets: Vec<Vec<Set>> = vec![Vec::new(); history.budgets.len()];
        for (list, budget) in sets.iter_mut().zip(&history.begin.budgets) {
            list.push(Set { first: 0, acked: 0, cap: budget.cap });
        }
        for op in &history.operations {
            let What::SetCap { budget, cap } = op.what else { continue };
            if matches!(op.end, End::Done(_)) || op.may_have_happened() {
                let (first, acked) = (op.invoke, op.certain_from());
                sets[budget as usize].push(Set { first, acked, cap });
            }
        }
        let floors = sets.iter_mut().map(|list| {
            list.sort_by_key(|set| set.first);
            let mut done: Vec<(AtUs, AtUs)> = list
                .iter()
                .filter(|set| set.acked != NEVER)
                .map(|set| (set.acked, set.first))
                .collect();
            done.sort_unstable();
            let mut latest = 0;
            for (_, first) in &mut done {
                latest = latest.max(*first);
                *first = latest;
            }
            done
        });
        let floors = floors.collect();
        Caps { sets, floors }
    }

    pub fn knows(&self, budget: u32) -> bool {
        self.sets.get(budget as usize).is_some_and(|list| !list.is_empty())
    }

    /// Those that may have been in force at some moment of this time: asked for by its end, and not surely
    /// replaced at its beginning.
    pub fn possible(&self, budget: u32, from: AtUs, to: AtUs) -> impl Iterator<Item = Micros> + '_ {
        let floors = self.floors.get(budget as usize).map_or(&[][..], |list| list);
        let before = floors.partition_point(|(acked, _)| *acked < from);
        let floor = before.checked_sub(1).map_or(0, |last| floors[last].1);
        let sets = self.sets.get(budget as usize).map_or(&[][..], |list| list);
        let asked = sets.partition_point(|set| set.first < to || set.first == 0);
        sets[..asked].iter().filter(move |set| set.acked >= floor).map(|set| set.cap)
    }

    pub fn largest(&self, budget: u32) -> Option<Micros> {
        self.sets.get(budget as usize)?.iter().map(|set| set.cap).max()
    }
}
