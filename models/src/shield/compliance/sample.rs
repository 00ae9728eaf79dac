//! Facts for the tests.

use super::facts::*;
use super::period::{Period, PeriodKind};
use super::report::Report;
use super::requests::{KindLine, Requests};
use super::time::DAY_US;

/// 2026-11-02T00:00:00Z.
pub const NOW_US: i64 = 20_759 * DAY_US;

/// October 2026.
pub fn period() -> Period {
    Period::around(PeriodKind::Monthly, NOW_US - 5 * DAY_US).unwrap()
}

pub fn report() -> Report {
    Report::of(period(), troubled(), NOW_US)
}

/// A platform on which nothing ever happened.
pub fn idle() -> Facts {
    Facts {
        account: "default".into(),
        events: Default::default(),
        consent: Default::default(),
        tcf: Tcf::default(),
        requests: Requests::default(),
        erasures: Erasures::default(),
        denied: Default::default(),
        contacts: Contacts::default(),
        audit: AuditLog {
            records: 0,
            heads: 0,
            heads_exported: 0,
            head_exported_us: None,
            verification: Verification::NotDone { why: "there is no record".into() },
        },
        retention: Retention { days: 2_555, oldest_record_us: None },
        keys: Keys::default(),
        settings: Settings { authentication: false, tls: false, loopback_only: true },
    }
}

/// A month of work with nothing to find.
pub fn clean() -> Facts {
    let event = |name: &str, outcome, n| ((name.to_owned(), outcome), n);
    let consent = |name: &str, granted, revoked| {
        (name.to_owned(), ConsentLine { granted, revoked, granted_without_proof: 0 })
    };
    let line = |received, completed_in_time| KindLine {
        received,
        completed_in_time,
        open: received - completed_in_time,
        open_0_7_days: received - completed_in_time,
        ..KindLine::default()
    };
    let by_kind = [
        ("ACCESS", line(31, 26)),
        ("RECTIFICATION", line(6, 6)),
        ("DELETION", line(44, 39)),
        ("RESTRICTION", line(2, 2)),
        ("PORTABILITY", line(5, 4)),
        ("OBJECTION", line(9, 9)),
        ("OPT_OUT", line(72, 72)),
    ];
    let status =
        |l: &KindLine| [("COMPLETED".to_owned(), l.completed_in_time), ("OPEN".to_owned(), l.open)];
    let by_status = by_kind
        .iter()
        .map(|(k, l)| ((*k).to_owned(), status(l).into_iter().filter(|(_, n)| *n > 0).collect()))
        .collect();
    let total = KindLine { open: 11, open_0_7_days: 11, ..line(169, 158) };
    Facts {
        events: [
            event("access.denied", EventOutcome::Denied, 214),
            event("admin.restart", EventOutcome::Ok, 3),
            event("budget.authorised", EventOutcome::Denied, 12_048),
            event("budget.settled", EventOutcome::Ok, 1_204_377),
            event("budget.settled", EventOutcome::Failed, 12),
            event("consent.granted", EventOutcome::Ok, 18_402),
            event("consent.revoked", EventOutcome::Ok, 1_377),
            event("dsr.completed", EventOutcome::Ok, 158),
            event("dsr.created", EventOutcome::Ok, 169),
        ]
        .into(),
        consent: [
            consent("marketing", 9_120, 802),
            consent("analytics", 5_044, 211),
            consent("targeting", 3_018, 340),
            consent("profiling", 1_220, 24),
        ]
        .into(),
        tcf: Tcf { read: 88_410, refused: 1_204, without_disclosed_vendors: 0 },
        requests: Requests {
            total,
            by_kind: by_kind.into_iter().map(|(k, l)| (k.to_owned(), l)).collect(),
            by_status,
        },
        erasures: Erasures { done: 39, reapplied: 0 },
        denied: [
            ("window_exceeded".to_owned(), 9_022),
            ("budget_exceeded".to_owned(), 2_411),
            ("paused".to_owned(), 401),
            ("no_consent".to_owned(), 214),
        ]
        .into(),
        contacts: Contacts {
            with_consent: 402_118,
            blocked: 0,
            breaches: Some(0),
            restricted_persons: 4,
            restricted_processed: Some(0),
        },
        audit: AuditLog {
            records: 14_882_610,
            heads: 525_600,
            heads_exported: 525_590,
            head_exported_us: Some(NOW_US - DAY_US / 24),
            verification: Verification::Done {
                at_us: NOW_US - DAY_US / 4,
                records: 14_882_101,
                heads: 525_240,
                discrepancies: 0,
                first: None,
            },
        },
        retention: Retention { days: 2_555, oldest_record_us: Some(NOW_US - 702 * DAY_US) },
        keys: Keys { active: 14, expired: 6, revoked: 3, without_expiry: 0 },
        settings: Settings { authentication: true, tls: true, loopback_only: false },
        ..idle()
    }
}

/// The same month with the faults of ordinary life.
pub fn troubled() -> Facts {
    let mut f = clean();
    f.account = "acme-eu".into();
    f.contacts.blocked = 214;
    f.keys.without_expiry = 2;
    f.tcf.without_disclosed_vendors = 310;
    if let Some(l) = f.consent.get_mut("marketing") {
        l.granted_without_proof = 57;
    }
    let mut late = |kind: &str| {
        let r = &mut f.requests;
        for l in [r.by_kind.get_mut(kind).unwrap(), &mut r.total] {
            l.completed_in_time -= 2;
            l.completed_late += 2;
            l.open_0_7_days -= 3;
            l.open_8_21_days += 1;
            l.open_22_30_days += 1;
            l.open_over_30_days += 1;
            l.overdue += 1;
            l.due_soon += 1;
            l.extended += 1;
        }
    };
    late("ACCESS");
    late("DELETION");
    f
}
