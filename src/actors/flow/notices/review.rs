//! Wins and billings that came too late to be booked, or never can be: the exchange's billing report decides, and
//! whoever compares it with the ledger finds them in the campaign's timeline.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::owed::Owed;
use crate::actors::flow::auction::Office;
use crate::actors::flow::journal;
use crate::clock;
use crate::models::flow::decision::{ChangeOf, Decision, Digest, Text};
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

/// What was told and is not booked.
pub(super) struct Unbooked<'a> {
    pub hold: Op,
    pub account: &'a str,
    pub campaign: &'a str,
    pub digest: Option<&'a Digest>,
    pub kind: Kind,
    /// Of one impression, in the campaign's currency.
    pub amount: Micros,
}

impl Unbooked<'_> {
    fn id(&self) -> u128 {
        Op::of(&[UNBOOKED, &self.hold.to_string(), self.kind.as_str()]).0
    }

    /// What the timeline says of it.
    fn change(&self, why: &str, now_us: i64) -> Decision {
        let currency = self.digest.map_or("", |digest| digest.own_currency.as_str());
        let told = format!("{} of {} {currency}", self.kind.as_str(), self.amount);
        let plain = |text: &Text| match text {
            Text::Plain(text) => Some(text.clone()),
            Text::Hash(_) => None,
        };
        let change = ChangeOf::new(UNBOOKED, told.trim_end(), &format!("not booked: {why}"));
        Decision {
            version: self.digest.map(|digest| digest.definition),
            creative: self.digest.and_then(|digest| plain(&digest.creative)),
            impression: self.digest.and_then(|digest| plain(&digest.impression)),
            hold: Some(self.hold.to_string()),
            ..Decision::change(self.account, self.campaign, now_us, change)
        }
    }
}

impl Office {
    /// It came too late.
    pub(super) fn review_late(&self, it: &Unbooked<'_>) {
        if self.review(it, "it came too late") {
            journal::unbooked();
        }
    }

    /// It can never be booked.
    pub(super) fn review_never(&self, it: &Unbooked<'_>, why: &str) {
        if self.review(it, why) {
            journal::never();
        }
    }

    /// What was owed can never be booked.
    pub(super) fn never_booked(&self, owed: &Owed, why: &str) {
        let digest = owed.decision();
        let it = Unbooked {
            hold: owed.hold,
            account: &owed.account,
            campaign: &owed.campaign,
            digest: digest.as_ref(),
            kind: if owed.billed { Kind::Billing } else { Kind::Win },
            amount: Micros(owed.amount),
        };
        self.review_never(&it, why);
    }

    /// Puts it into the timeline; whether it was not there yet.
    fn review(&self, it: &Unbooked<'_>, why: &str) -> bool {
        let id = it.id();
        if !self.reviewed.is_new(id) {
            return false;
        }
        let decision = Box::new(it.change(why, clock::wall_us()));
        let told = decision.change.as_ref().map_or("", |change| &change.from);
        tracing::warn!(hold = %it.hold, campaign = it.campaign, told, why,
            "a notice of {} is not booked ({why}): the billing report decides", it.campaign);
        self.tell_journal(journal::Msg::Change { id, decision });
        true
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

    #[test]
    fn what_is_not_booked_stands_in_the_timeline_with_its_hold_its_amount_and_why() {
        let mut it = Unbooked {
            hold: Op(7),
            account: "a",
            campaign: "c",
            digest: None,
            kind: Kind::Win,
            amount: Micros(1_500),
        };
        let told = it.change("no such campaign", 5);
        let change = told.change.expect("a change");
        assert_eq!((told.account.as_str(), told.campaign.as_deref()), ("a", Some("c")));
        assert_eq!((told.hold, told.at_us), (Some(Op(7).to_string()), 5));
        assert_eq!((change.what.as_str(), change.from.as_str()), (UNBOOKED, "win of 0.0015"));
        assert_eq!(change.to, "not booked: no such campaign");
        let win = it.id();
        it.kind = Kind::Billing;
        assert_ne!(it.id(), win, "its billing is told beside it");
    }
}
