//! The search for an order that explains the answers, for each key on its own: a history of many things is
//! explained when that of each is (Herlihy and Wing's locality).

mod flag;
mod money;
mod search;
#[cfg(test)]
mod tests;

use std::time::Instant;

use self::search::{Call, Model, Purse, Verdict, search};
use super::bids::Bids;
use super::found::Found;
use super::history::History;
use super::ledger::{Fates, Ledger};
use super::logical::Asked;
use super::options::Options;
use crate::verdict::Invariant::Linear;

const NOT_ASKED: &str = "the experiment asks for no search";
/// Such bookings come at a time that no answer tells, so any remaining sum would fit.
const WINS: &str = "wins were booked as their holds ended, which no answer tells";

/// What is searched, what may be spent on it, and where it goes.
struct Searcher<'a> {
    options: &'a Options,
    left: u64,
    until: Instant,
    found: &'a mut Found,
}

pub fn check(
    history: &History,
    asked: &Asked,
    booked: Option<(&Ledger, &Fates, &Bids)>,
    options: &Options,
    found: &mut Found,
) {
    let until = Instant::now() + options.search_time;
    let mut searcher = Searcher { options, left: options.search_states_total, until, found };
    // People are new in each run: no consent is there before it is given.
    for (flag, calls) in flag::consents(history, options.stale_us).iter().enumerate() {
        searcher.key::<flag::Flag>(flag::Flag::Off, calls, || history.flag_name(flag as u32));
    }
    for (budget, calls) in flag::pauses(history, asked).iter().enumerate() {
        let name = || format!("whether {} is open", history.budget_name(budget as u32));
        searcher.key::<flag::Flag>(flag::Flag::On, calls, name);
    }
    let Some((ledger, fates, bids)) = booked else { return };
    for (budget, calls) in money::budgets(history, asked, (ledger, fates), bids).iter().enumerate()
    {
        let (Some(calls), Some(begun)) = (calls, history.begin.budgets.get(budget)) else {
            searcher.found.given_up(WINS);
            continue;
        };
        let initial = money::Money { cap: i128::from(begun.cap), booked: 0, next: 0 };
        let name = || format!("what remains of {}", history.budget_name(budget as u32));
        searcher.key::<money::Money>(initial, calls, name);
    }
}

impl Searcher<'_> {
    fn key<M: Model>(
        &mut self,
        initial: M::State,
        calls: &[Call<M::Action>],
        name: impl Fn() -> String,
    ) {
        if calls.is_empty() {
            return;
        }
        if self.options.search_states_total == 0 {
            self.found.given_up(NOT_ASKED);
            return;
        }
        let states = self.options.search_states.min(self.left);
        let mut purse = Purse { states, until: self.until };
        let verdict = search::<M>(initial, calls, &mut purse);
        self.left -= states - purse.states;
        match verdict {
            Verdict::GivenUp(why) => self.found.given_up(why),
            Verdict::Explained => self.found.searched += 1,
            Verdict::Unexplained { id, at_us } => {
                self.found.searched += 1;
                self.found.add(Linear, Some(at_us), &[id], || {
                    format!("{}: no order of the calls explains the answer of {id}", name())
                });
            }
        }
    }
}
