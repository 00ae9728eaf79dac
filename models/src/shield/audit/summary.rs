//! What a block holds in numbers, so that reports and searches need not read every line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{Event, Outcome};

/// Kinds of events that one summary tells apart; the rest is counted under [`Summary::REST`].
pub const SUMMARY_KINDS_MAX: usize = 4_096;

/// Occurrences by event and outcome: `{"budget.settled":{"ok":12}}`. A record of `n` gathered
/// refusals counts `n`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Summary(BTreeMap<Event, BTreeMap<Outcome, u64>>);

impl Summary {
    /// The name under which kinds beyond [`SUMMARY_KINDS_MAX`] are counted.
    pub const REST: Event = Event::fixed("other");

    /// Nothing counted.
    pub fn new() -> Summary {
        Summary::default()
    }

    /// Counts `count` occurrences more.
    pub fn count(&mut self, event: &Event, outcome: Outcome, count: u64) {
        let sum = match self.0.get_mut(event) {
            Some(kind) => kind.entry(outcome).or_default(),
            None => {
                let full = self.0.len() >= SUMMARY_KINDS_MAX;
                let event = if full { Self::REST } else { event.clone() };
                self.0.entry(event).or_default().entry(outcome).or_default()
            }
        };
        *sum = sum.saturating_add(count);
    }

    /// Adds another summary to this one.
    pub fn add(&mut self, other: &Summary) {
        for (event, outcome, count) in other.iter() {
            self.count(event, outcome, count);
        }
    }

    /// Occurrences of one event with one outcome.
    pub fn get(&self, event: &str, outcome: Outcome) -> u64 {
        let kind = self.0.iter().find(|(name, _)| name.as_str() == event);
        kind.and_then(|(_, outcomes)| outcomes.get(&outcome)).copied().unwrap_or(0)
    }

    /// All occurrences.
    pub fn total(&self) -> u64 {
        self.iter().fold(0, |sum: u64, (_, _, count)| sum.saturating_add(count))
    }

    /// Event, outcome and occurrences, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&Event, Outcome, u64)> {
        self.0.iter().flat_map(|(event, outcomes)| {
            outcomes.iter().map(move |(outcome, count)| (event, *outcome, *count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_add_up_and_come_back_from_their_json() {
        let settled = Event::fixed("budget.settled");
        let mut one = Summary::new();
        one.count(&settled, Outcome::Ok, 12);
        assert_eq!(serde_json::to_string(&one).unwrap(), r#"{"budget.settled":{"ok":12}}"#);
        let mut other = Summary::new();
        other.count(&settled, Outcome::Denied, 3);
        other.count(&Event::fixed("access.denied"), Outcome::Denied, u64::MAX);
        one.add(&other);
        assert_eq!(one.get("budget.settled", Outcome::Ok), 12);
        assert_eq!(one.get("budget.settled", Outcome::Denied), 3);
        assert_eq!(one.get("budget.settled", Outcome::Failed), 0);
        assert_eq!(one.total(), u64::MAX, "a sum beyond the range stays at its end");
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), one);
        assert!(serde_json::from_str::<Summary>(r#"{"Bad Name":{"ok":1}}"#).is_err());
    }

    #[test]
    fn kinds_beyond_the_most_are_counted_together() {
        let mut summary = Summary::new();
        for i in 0..SUMMARY_KINDS_MAX + 5 {
            summary.count(&Event::new(format!("e{i}")).unwrap(), Outcome::Ok, 1);
        }
        assert_eq!(summary.get("other", Outcome::Ok), 5);
        assert_eq!(summary.total(), SUMMARY_KINDS_MAX as u64 + 5);
    }
}
