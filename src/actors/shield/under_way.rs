//! Settles that an authority on another node has been asked for and has not answered. One hold is settled by one
//! question at a time: whoever asks the same meanwhile is answered with it, so that what is sent again while the
//! owner is away makes no second loop of attempts. What asks for something else is a question of its own.

use std::collections::HashMap;

use crate::models::shield::ask::Ask;
use crate::models::shield::budget::Settlement;
use crate::models::shield::entry::Op;

/// Who may wait for one answer.
const WAITING_MAX: usize = 64;
/// Different settles of one hold that may be asked for at a time.
const DIFFERENT_MAX: usize = 8;

#[derive(Default)]
pub struct UnderWay {
    questions: HashMap<Op, Vec<Question>>,
    /// The hold of each question, by the ticket of who asked first.
    holds: HashMap<u64, Op>,
}

struct Question {
    settlement: Settlement,
    first: u64,
    others: Vec<u64>,
}

/// What is to be done about a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is to be sent.
    First,
    /// It is on its way already: its answer is this one's, too.
    Waits,
    /// It is on its way already, and as many wait for it as may; or as many others are.
    Full,
    /// It is on its way already, and this one needs no answer of its own.
    Known,
}

impl UnderWay {
    /// `waits`: whether somebody waits for this ticket's own answer.
    pub fn join(&mut self, ticket: u64, ask: &Ask, waits: bool) -> Joined {
        let Ask::Settle(settlement) = ask else { return Joined::First };
        // Whether it was sent before changes nothing of what is asked.
        let settlement = Settlement { again: false, ..(**settlement).clone() };
        let questions = self.questions.entry(settlement.hold).or_default();
        if let Some(same) = questions.iter_mut().find(|it| it.settlement == settlement) {
            return match waits {
                false => Joined::Known,
                true if same.others.len() >= WAITING_MAX => Joined::Full,
                true => {
                    same.others.push(ticket);
                    Joined::Waits
                }
            };
        }
        if questions.len() >= DIFFERENT_MAX {
            return Joined::Full;
        }
        self.holds.insert(ticket, settlement.hold);
        questions.push(Question { settlement, first: ticket, others: Vec::new() });
        Joined::First
    }

    /// A question was answered: who else is.
    pub fn answered(&mut self, first: u64) -> Vec<u64> {
        let Some(hold) = self.holds.remove(&first) else { return Vec::new() };
        let Some(questions) = self.questions.get_mut(&hold) else { return Vec::new() };
        let at = questions.iter().position(|it| it.first == first);
        let others = at.map(|at| questions.swap_remove(at).others).unwrap_or_default();
        if questions.is_empty() {
            self.questions.remove(&hold);
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::entry::{Day, SliceId};
    use crate::models::shield::hold::{Hold, HoldState};
    use crate::models::shield::money::{Micros, Rate};
    use crate::models::shield::purse::settlement;

    fn settle(hold: u128, amount: i64) -> Settlement {
        let hold = Hold {
            id: Op(hold),
            amount: Micros(100),
            window_amount: Micros(100),
            expires_us: 0,
            expires_wall_us: 0,
            slice: SliceId(1),
            window_slice: SliceId(2),
            day: Day(20_260_101),
            state: HoldState::Open,
            body: 9,
        };
        settlement(&hold, Micros(amount), Rate::ONE, true)
    }

    fn ask(settlement: Settlement) -> Ask {
        Ask::Settle(Box::new(settlement))
    }

    #[test]
    fn one_question_settles_a_hold_and_its_answer_is_that_of_all_who_ask_the_same() {
        let mut under_way = UnderWay::default();
        assert_eq!(under_way.join(1, &ask(settle(1, 5)), true), Joined::First);
        let again = Settlement { again: true, ..settle(1, 5) };
        assert_eq!(under_way.join(2, &ask(again.clone()), true), Joined::Waits);
        // The purse sends it again by itself, and is answered once.
        assert_eq!(under_way.join(3, &ask(again), false), Joined::Known);
        assert_eq!(under_way.join(4, &ask(settle(1, 6)), true), Joined::First, "another amount");
        assert_eq!(under_way.join(5, &ask(settle(2, 5)), true), Joined::First, "another hold");
        assert_eq!(under_way.answered(1), [2]);
        assert_eq!(under_way.answered(4), Vec::<u64>::new());
        assert_eq!(under_way.join(6, &ask(settle(1, 5)), true), Joined::First, "it was answered");
        assert_eq!(under_way.answered(6), Vec::<u64>::new());
        assert_eq!(under_way.answered(5), Vec::<u64>::new());
        assert!(under_way.questions.is_empty() && under_way.holds.is_empty());
    }

    #[test]
    fn no_more_wait_than_may_and_what_is_no_settle_is_always_sent() {
        let mut under_way = UnderWay::default();
        assert_eq!(under_way.join(0, &ask(settle(1, 5)), true), Joined::First);
        for ticket in 1..=WAITING_MAX as u64 {
            assert_eq!(under_way.join(ticket, &ask(settle(1, 5)), true), Joined::Waits);
        }
        assert_eq!(under_way.join(1_000, &ask(settle(1, 5)), true), Joined::Full);
        for amount in 10..9 + DIFFERENT_MAX as i64 {
            let ticket = 2_000 + amount as u64;
            assert_eq!(under_way.join(ticket, &ask(settle(1, amount)), true), Joined::First);
        }
        assert_eq!(under_way.join(3_000, &ask(settle(1, 99)), true), Joined::Full);
        assert_eq!(under_way.answered(0).len(), WAITING_MAX);
        for ticket in 4_000..4_002 {
            assert_eq!(under_way.join(ticket, &Ask::Note(Vec::new()), true), Joined::First);
            assert_eq!(under_way.answered(ticket), Vec::<u64>::new());
        }
    }
}
