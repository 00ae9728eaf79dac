//! Wins and billings that came too late to be booked: the exchange's billing report decides, and whoever
//! compares it with the ledger finds them in the campaign's timeline.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::heard::Ours;
use crate::actors::flow::auction::Office;
use crate::actors::flow::journal;
use crate::clock;
use crate::models::flow::auction::bid::reserve;
use crate::models::flow::decision::outcome::cost;
use crate::models::flow::decision::{ChangeOf, Decision, Text};
use crate::models::flow::notice::Kind;
use crate::models::shield::entry::Op;
use crate::models::shield::money::Micros;

/// What the timeline says of them.
const UNBOOKED: &str = "notice.unbooked";
/// As many are remembered at least, and twice as many at most, so that one that is told again is written once:
/// a batch of the journal has no decision twice. Later, a repeated one is written over itself.
const KNOWN_MIN: usize = 32_768;

/// The last ones, and those before.
#[derive(Default)]
pub struct Reviewed(Mutex<[HashSet<u128>; 2]>);

impl Reviewed {
    /// Whether nobody has told of it yet.
    fn is_new(&self, id: u128) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [last, before] = &mut *known;
        if last.contains(&id) || before.contains(&id) {
            return false;
        }
        if last.len() >= KNOWN_MIN {
            *before = std::mem::take(last);
        }
        last.insert(id)
    }
}

impl Office {
    /// `cpm`: in the bid's currency, as the notice has it.
    pub(super) fn review(&self, ours: &Ours, kind: Kind, cpm: Micros) {
        let id = Op::of(&[UNBOOKED, &ours.hold.to_string(), kind.as_str()]).0;
        if !self.reviewed.is_new(id) {
            return;
        }
        journal::unbooked();
        let Ours { hold, account, campaign, digest, .. } = ours;
        let amount = cost(cpm, digest.cross).min(reserve(digest.cpm));
        let told = format!("{} of {amount} {}", kind.as_str(), digest.own_currency);
        tracing::warn!(%hold, campaign, told,
            "a notice of {campaign} came too late to be booked: the billing report decides");
        let plain = |text: &Text| match text {
            Text::Plain(text) => Some(text.clone()),
            Text::Hash(_) => None,
        };
        let change = ChangeOf::new(UNBOOKED, &told, "not booked: it came too late");
        let decision = Decision {
            version: Some(digest.definition),
            creative: plain(&digest.creative),
            impression: plain(&digest.impression),
            hold: Some(hold.to_string()),
            ..Decision::change(account, campaign, clock::wall_us(), change)
        };
        let decision = Box::new(decision);
        self.tell_journal(journal::Msg::Change { id, decision });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_again_is_known_and_no_more_is_remembered_than_there_is_room_for() {
        let reviewed = Reviewed::default();
        assert!(reviewed.is_new(1) && !reviewed.is_new(1));
        for id in 2..5 * KNOWN_MIN as u128 {
            assert!(reviewed.is_new(id) && !reviewed.is_new(id));
            assert!(!reviewed.is_new(id.saturating_sub(KNOWN_MIN as u128 - 1).max(1)), "{id}");
        }
        let known: usize = reviewed.0.lock().expect("not poisoned").iter().map(HashSet::len).sum();
        assert!(known <= 2 * KNOWN_MIN);
    }
}
