//! Something that is turned off and on: a consent, a budget. When was it surely off?

use super::history::History;
use super::operation::{NEVER, Operation, What};
use crate::history::AtUs;

#[derive(Clone, Debug, Default)]
pub struct Switch {
    /// Acknowledged: when it was answered, the latest beginning so far, and whose that is.
    off: Vec<(AtUs, AtUs, u64)>,
    /// May have happened: when it began, and the latest end so far.
    on: Vec<(AtUs, AtUs)>,
}

impl Switch {
    fn turn_off(&mut self, op: &Operation) {
        if op.is_done() {
            self.off.push((op.complete, op.invoke, op.id));
        }
    }

    fn turn_on(&mut self, op: &Operation) {
        if op.may_have_happened() {
            self.on.push((op.invoke, if op.is_done() { op.complete } else { NEVER }));
        }
    }

    fn ready(&mut self) {
        self.off.sort_unstable();
        let mut latest = (0, 0);
        for (_, began, id) in &mut self.off {
            latest = latest.max((*began, *id));
            (*began, *id) = latest;
        }
        self.on.sort_unstable();
        let mut latest = 0;
        for (_, ended) in &mut self.on {
            latest = latest.max(*ended);
            *ended = latest;
        }
    }

    /// The operation by which it was off for all of this time, if there is one: it was acknowledged before
    /// `from`, and nothing that may have turned it on ended after it began, and began before `to`.
    pub fn surely_off(&self, from: AtUs, to: AtUs) -> Option<u64> {
        let count = self.off.partition_point(|(acked, ..)| *acked < from);
        let (_, began, id) = self.off[..count].last()?;
        let count = self.on.partition_point(|(first, _)| *first < to);
        let on = self.on[..count].last().map_or(0, |(_, ended)| *ended);
        // A switch that was never on is off, too.
        (count == 0 || on < *began).then_some(*id)
    }

    /// Nothing that may have turned it on had begun by `to`.
    pub fn never_on(&self, to: AtUs) -> bool {
        self.on.first().is_none_or(|(first, _)| *first > to)
    }

    /// By budget: paused, and whatever may open it again.
    pub fn of_pauses(history: &History) -> Vec<Switch> {
        let mut all = vec![Switch::default(); history.budgets.len()];
        for op in &history.operations {
            match op.what {
                What::Pause { budget } => all[budget as usize].turn_off(op),
                // An allocation opens the budget, whatever it was.
                What::Resume { budget } | What::SetCap { budget, .. } => {
                    all[budget as usize].turn_on(op);
                }
                _ => {}
            }
        }
        all.iter_mut().for_each(Switch::ready);
        all
    }

    /// By consent of a person.
    pub fn of_consents(history: &History) -> Vec<Switch> {
        let mut all = vec![Switch::default(); history.flags.len()];
        for op in &history.operations {
            match op.what {
                What::Revoke { flag } => all[flag as usize].turn_off(op),
                What::Grant { flag } => all[flag as usize].turn_on(op),
                _ => {}
            }
        }
        all.iter_mut().for_each(Switch::ready);
        all
    }
}
