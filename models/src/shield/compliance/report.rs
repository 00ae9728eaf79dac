//! The report of one account over one period; its JSON is this struct.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::{
    AuditLog, CONSENT_KINDS, ConsentLine, Contacts, Erasures, EventOutcome, Facts, Keys, Retention,
    Settings, Tcf,
};
use super::finding::{self, Finding};
use super::framework::{self, Framework};
use super::period::Period;
use super::requests::Requests;
use super::time;

/// Lines of the longest list; the smallest counts beyond are summed under [`OTHER`].
pub const LINES_MAX: usize = 500;
pub const OTHER: &str = "(other)";

/// Counts of one audited event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventLine {
    pub ok: u64,
    pub denied: u64,
    pub failed: u64,
    pub total: u64,
}

impl EventLine {
    fn add(&mut self, outcome: EventOutcome, n: u64) {
        let slot = match outcome {
            EventOutcome::Ok => &mut self.ok,
            EventOutcome::Denied => &mut self.denied,
            EventOutcome::Failed => &mut self.failed,
        };
        *slot = slot.saturating_add(n);
        self.total = self.total.saturating_add(n);
    }

    fn merge(&mut self, other: EventLine) {
        self.add(EventOutcome::Ok, other.ok);
        self.add(EventOutcome::Denied, other.denied);
        self.add(EventOutcome::Failed, other.failed);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Events {
    pub total: EventLine,
    pub by_event: BTreeMap<String, EventLine>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Denied {
    pub total: u64,
    pub by_reason: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Consent {
    pub total: ConsentLine,
    pub by_type: BTreeMap<String, ConsentLine>,
    pub tcf: Tcf,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub account: String,
    pub period: Period,
    /// The period was over when the report was made; otherwise its figures may still grow.
    pub complete: bool,
    #[serde(rename = "generated_at", serialize_with = "time::as_rfc3339")]
    pub generated_us: i64,
    /// The worst first.
    pub findings: Vec<Finding>,
    pub frameworks: Vec<Framework>,
    pub events: Events,
    pub consent: Consent,
    pub requests: Requests,
    pub erasures: Erasures,
    pub denied: Denied,
    pub contacts: Contacts,
    /// As it stood when the report was made, like the next three.
    pub audit: AuditLog,
    pub retention: Retention,
    pub keys: Keys,
    pub settings: Settings,
}

impl Report {
    /// Draws the report; `now_us` is the wall time in micros UTC.
    pub fn of(period: Period, facts: Facts, now_us: i64) -> Report {
        let findings = finding::all(&facts, now_us);
        let frameworks = framework::all(&facts, now_us);
        Report {
            account: facts.account,
            complete: period.to_us <= now_us,
            period,
            generated_us: now_us,
            findings,
            frameworks,
            events: events(facts.events),
            consent: consent(facts.consent, facts.tcf),
            requests: facts.requests,
            erasures: facts.erasures,
            denied: denied(facts.denied),
            contacts: facts.contacts,
            audit: facts.audit,
            retention: facts.retention,
            keys: facts.keys,
            settings: facts.settings,
        }
    }
}

fn events(counts: BTreeMap<(String, EventOutcome), u64>) -> Events {
    let mut all = Events::default();
    for ((event, outcome), n) in counts {
        all.total.add(outcome, n);
        all.by_event.entry(event).or_default().add(outcome, n);
    }
    if let Some(least) = least_that_stays(all.by_event.values().map(|l| l.total)) {
        let small = all.by_event.extract_if(.., |_, l| l.total < least);
        let other = small.fold(EventLine::default(), |mut sum, (_, l)| {
            sum.merge(l);
            sum
        });
        all.by_event.entry(OTHER.to_owned()).or_default().merge(other);
    }
    all
}

fn denied(mut by_reason: BTreeMap<String, u64>) -> Denied {
    let total = by_reason.values().fold(0u64, |sum, n| sum.saturating_add(*n));
    if let Some(least) = least_that_stays(by_reason.values().copied()) {
        let small = by_reason.extract_if(.., |_, n| *n < least);
        let other = small.fold(0u64, |sum, (_, n)| sum.saturating_add(n));
        let slot = by_reason.entry(OTHER.to_owned()).or_default();
        *slot = slot.saturating_add(other);
    }
    Denied { total, by_reason }
}

/// Lists of closed sets never come near the limit; a list that does keeps its greatest counts:
/// those of at least the answer. Fewer than [`LINES_MAX`] stay.
fn least_that_stays(counts: impl Iterator<Item = u64>) -> Option<u64> {
    let mut counts: Vec<u64> = counts.collect();
    if counts.len() <= LINES_MAX {
        return None;
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.get(LINES_MAX - 1).map(|n| n.saturating_add(1))
}

fn consent(mut by_type: BTreeMap<String, ConsentLine>, tcf: Tcf) -> Consent {
    for kind in CONSENT_KINDS {
        by_type.entry(kind.to_owned()).or_default();
    }
    let total = by_type.values().fold(ConsentLine::default(), |sum, l| ConsentLine {
        granted: sum.granted.saturating_add(l.granted),
        revoked: sum.revoked.saturating_add(l.revoked),
        granted_without_proof: sum.granted_without_proof.saturating_add(l.granted_without_proof),
    });
    Consent { total, by_type, tcf }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn sums_are_those_of_the_lines_and_closed_sets_are_whole() {
        let r = sample::report();
        let sum: u64 = r.events.by_event.values().map(|l| l.total).sum();
        assert_eq!(r.events.total.total, sum);
        let t = r.events.total;
        assert_eq!(t.total, t.ok + t.denied + t.failed);
        assert_eq!(r.denied.total, r.denied.by_reason.values().sum::<u64>());
        assert_eq!(r.consent.by_type.len(), 5);
        let granted: u64 = r.consent.by_type.values().map(|l| l.granted).sum();
        assert_eq!((r.consent.total.granted, r.requests.by_kind.len()), (granted, 7));
    }

    #[test]
    fn a_report_of_a_running_period_says_so() {
        let period = |to| Period::between(0, to).unwrap();
        let of = |to| Report::of(period(to), sample::clean(), 1_000).complete;
        assert!(of(1_000) && !of(1_001));
    }

    #[test]
    fn a_list_of_any_length_stays_bounded_and_its_total_true() {
        let mut f = sample::clean();
        f.events = (0..2_000u64).map(|i| ((format!("e{i}"), EventOutcome::Ok), i)).collect();
        f.denied = (0..2_000u64).map(|i| (format!("r{i}"), 7)).collect();
        let r = Report::of(sample::period(), f, sample::NOW_US);
        assert!(r.events.by_event.len() <= LINES_MAX && r.denied.by_reason.len() <= LINES_MAX);
        assert_eq!(r.events.total.total, 1_999_000);
        assert_eq!(r.events.by_event.values().map(|l| l.total).sum::<u64>(), 1_999_000);
        assert_eq!(r.events.by_event["e1999"].ok, 1_999, "the greatest stay");
        assert_eq!(r.denied.by_reason[OTHER], 14_000);
    }

    #[test]
    fn counts_at_the_end_of_the_range_do_not_overflow() {
        let mut f = sample::clean();
        for outcome in [EventOutcome::Ok, EventOutcome::Denied] {
            f.events.insert(("x".into(), outcome), u64::MAX);
        }
        f.denied.extend([("a".into(), u64::MAX), ("b".into(), u64::MAX)]);
        let r = Report::of(sample::period(), f, sample::NOW_US);
        assert_eq!((r.events.total.total, r.denied.total), (u64::MAX, u64::MAX));
    }

    #[test]
    fn the_json_has_counts_by_event_frameworks_and_findings() {
        let v = serde_json::to_value(sample::report()).unwrap();
        assert_eq!(v["period"]["kind"], "monthly");
        assert_eq!(v["period"]["from"], "2026-10-01T00:00:00Z");
        assert_eq!(v["complete"], true);
        assert_eq!(v["events"]["by_event"]["consent.granted"]["ok"], 18_402);
        assert_eq!(v["frameworks"][0]["controls"][0]["provision"], "Art. 5(1)(e)");
        assert_eq!(v["frameworks"][0]["controls"][0]["figures"]["days kept at most"], 2_555);
        assert_eq!(v["findings"][0]["severity"], "high");
        assert_eq!(v["audit"]["verification"]["state"], "done");
        assert_eq!(v["requests"]["by_kind"]["ACCESS"]["received"], 31);
    }
}
