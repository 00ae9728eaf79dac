//! Findings: what the figures demand, each from one comparison and with its count.

use serde::Serialize;

use super::facts::{Facts, Verification};
use super::time::{self, DAY_US};

/// A verification or an exported head older than this is announced.
pub const VERIFIED_DAYS_MAX: i64 = 7;
/// Records are dropped by whole months, so the oldest may be this much older than the retention.
pub const RETENTION_SLACK_DAYS: i64 = 31;
/// Records of requests are kept 24 months (11 CCR § 7101(a)).
pub const REQUEST_RECORD_DAYS: u64 = 731;

/// Where to look: API paths. A test walks the router with these.
pub const DSR: &str = "/api/v1/dsr";
pub const AUDIT: &str = "/api/v1/audit";
pub const VERIFY: &str = "/api/v1/audit/verify";
pub const HEADS: &str = "/api/v1/audit/heads";
pub const CONSENT: &str = "/consent/status";
pub const KEYS: &str = "/api/admin/keys";
pub const HEALTH: &str = "/health";
pub const PLACES: [&str; 7] = [DSR, AUDIT, VERIFY, HEADS, CONSENT, KEYS, HEALTH];

/// How much it matters; the first is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Critical,
    High,
    Medium,
    Notice,
}

impl Severity {
    pub const ALL: [Severity; 4] = [Self::Critical, Self::High, Self::Medium, Self::Notice];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Notice => "notice",
        }
    }
}

/// One thing that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// Stable name, for alerts.
    pub code: &'static str,
    pub count: u64,
    /// What was found, in one sentence.
    pub what: String,
    /// What to do about it.
    pub action: &'static str,
    /// API path that shows it.
    pub look: &'static str,
    /// The provision or invariant behind it.
    pub rule: &'static str,
}

struct Found(Vec<Finding>);

impl Found {
    /// Takes `[code, what, action, look, rule]` when there is anything to count.
    fn when(&mut self, severity: Severity, count: u64, words: [&'static str; 5]) {
        let [code, what, action, look, rule] = words;
        if count > 0 {
            let what = what.to_owned();
            self.0.push(Finding { severity, code, count, what, action, look, rule });
        }
    }

    /// The same with a figure or a reason at the end of the sentence.
    fn with(&mut self, severity: Severity, more: &str, count: u64, words: [&'static str; 5]) {
        let before = self.0.len();
        self.when(severity, count, words);
        if let Some(new) = self.0.get_mut(before) {
            new.what = format!("{}: {more}", new.what);
        }
    }
}

/// Everything that follows from the facts, the worst first.
pub fn all(f: &Facts, now_us: i64) -> Vec<Finding> {
    let mut found = Found(Vec::new());
    contacts(f, &mut found);
    requests(f, &mut found);
    audit(f, now_us, &mut found);
    retention(f, now_us, &mut found);
    access(f, &mut found);
    found.0.sort_by_key(|x| x.severity);
    found.0
}

#[rustfmt::skip] // one finding, one paragraph of five parts
fn contacts(f: &Facts, found: &mut Found) {
    let c = &f.contacts;
    found.when(Severity::Critical, c.breaches.unwrap_or(0), ["contact_without_consent",
        "Sends or targetings went through without the consent they need",
        "Stop the campaigns concerned, inform the persons, assess the duty to notify (Art. 33).",
        AUDIT, "CO-1 · GDPR Art. 6(1)(a)"]);
    found.when(Severity::Critical, c.restricted_processed.unwrap_or(0), ["restricted_processed",
        "Restricted persons were processed",
        "Stop the processing concerned and inform the persons.",
        AUDIT, "GDPR Art. 18(2)"]);
    found.when(Severity::Notice, c.blocked, ["contact_blocked",
        "Attempts without consent were refused",
        "Aim the campaigns at persons who consented; nothing was sent.",
        AUDIT, "CO-1"]);
    let no_proof = f.consent.values().fold(0u64, |n, l| n.saturating_add(l.granted_without_proof));
    found.when(Severity::Medium, no_proof, ["consent_without_proof",
        "Consents were granted without a copy of the text that was shown",
        "Send the text or its version with each grant.",
        CONSENT, "GDPR Art. 7(1)"]);
    found.when(Severity::Medium, f.tcf.without_disclosed_vendors, ["tcf_no_disclosed_vendors",
        "TC strings came without the Disclosed Vendors segment",
        "Ask the consent platform to write TCF 2.3 strings.",
        AUDIT, "TCF 2.3"]);
}

#[rustfmt::skip]
fn requests(f: &Facts, found: &mut Found) {
    let r = &f.requests.total;
    found.when(Severity::High, r.overdue, ["requests_overdue",
        "Requests of data subjects are past their due date",
        "Answer them now; an extension is possible only before the due date, with its reason.",
        DSR, "GDPR Art. 12(3)"]);
    found.when(Severity::Medium, r.completed_late, ["requests_late",
        "Requests were answered after their due date",
        "Find out what held them up.",
        DSR, "GDPR Art. 12(3)"]);
    found.when(Severity::Medium, r.extended_without_reason, ["extension_without_reason",
        "Extensions give no reason",
        "Record the reason and tell it to the person.",
        DSR, "GDPR Art. 12(3)"]);
    found.when(Severity::Notice, r.due_soon, ["requests_due_soon",
        "Requests are due within 7 days",
        "Answer them before their due date.",
        DSR, "GDPR Art. 12(3)"]);
    found.when(Severity::Notice, f.erasures.reapplied, ["erasures_reapplied",
        "Erasures were made again after a restore from a backup",
        "Nothing, if a restore was meant.",
        AUDIT, "GDPR Art. 17(1)"]);
}

#[rustfmt::skip]
fn audit(f: &Facts, now_us: i64, found: &mut Found) {
    match &f.audit.verification {
        Verification::Done { discrepancies, first, .. } if *discrepancies > 0 => {
            let first = first.as_deref().unwrap_or("no details");
            found.with(Severity::Critical, first, *discrepancies, ["audit_broken",
                "The audit log does not verify",
                "Keep the data as it is, compare with the exported heads and the backups.",
                VERIFY, "AU-1 · GDPR Art. 5(2)"]);
        }
        Verification::Done { at_us, .. } => {
            let days = now_us.saturating_sub(*at_us).div_euclid(DAY_US);
            let old = days > VERIFIED_DAYS_MAX;
            let more = format!("{days} days ago");
            found.with(Severity::Medium, &more, old.into(), ["audit_verified_long_ago",
                "The audit log was last verified",
                "Verify it again.",
                VERIFY, "AU-1 · GDPR Art. 5(2)"]);
        }
        Verification::NotDone { why } => {
            found.with(Severity::High, why, 1, ["audit_not_verified",
                "The audit log was not verified",
                "Verify it.",
                VERIFY, "AU-1 · GDPR Art. 5(2)"]);
        }
    }
    let none = f.audit.heads > 0 && f.audit.heads_exported == 0;
    found.when(Severity::Medium, none.into(), ["heads_not_exported",
        "No signed head was ever exported",
        "Export heads outside: they alone show that the whole log was rewritten.",
        HEADS, "AU-1 · GDPR Art. 32(1)(b)"]);
    let unsigned = f.audit.records > 0 && f.audit.heads == 0;
    found.when(Severity::High, unsigned.into(), ["heads_missing",
        "The audit log has records but no signed head",
        "See why the signer does not run.",
        HEADS, "AU-1 · GDPR Art. 32(1)(b)"]);
    if let Some(at_us) = f.audit.head_exported_us {
        let days = now_us.saturating_sub(at_us).div_euclid(DAY_US);
        let old = days > VERIFIED_DAYS_MAX;
        found.with(Severity::Notice, &format!("{days} days ago"), old.into(), ["heads_export_old",
            "The last signed head was exported",
            "Export the newest one.",
            HEADS, "AU-1"]);
    }
    found.when(Severity::Notice, f.events.is_empty().into(), ["no_records",
        "The audit log has no record of this period",
        "See whether the platform was meant to be idle.",
        AUDIT, "GDPR Art. 5(2)"]);
}

#[rustfmt::skip]
fn retention(f: &Facts, now_us: i64, found: &mut Found) {
    if let Some(oldest) = f.retention.oldest_record_us {
        let kept = i64::try_from(f.retention.days).unwrap_or(i64::MAX);
        let days = now_us.saturating_sub(oldest).div_euclid(DAY_US);
        let over = days > kept.saturating_add(RETENTION_SLACK_DAYS);
        let more = format!("since {}, {days} days", time::minute(oldest));
        found.with(Severity::Medium, &more, over.into(), ["retention_exceeded",
            "Records are kept longer than configured",
            "See why the months that are over were not dropped.",
            AUDIT, "GDPR Art. 5(1)(e)"]);
    }
    let short = f.retention.days < REQUEST_RECORD_DAYS;
    found.with(Severity::Notice, &format!("{} days", f.retention.days), short.into(),
        ["retention_short",
        "Records are dropped before 24 months",
        "Where California applies, keep records of requests for 24 months.",
        AUDIT, "11 CCR § 7101(a)"]);
}

#[rustfmt::skip]
fn access(f: &Facts, found: &mut Found) {
    let s = &f.settings;
    found.when(Severity::Critical, (!s.authentication && !s.loopback_only).into(), ["no_authentication",
        "The platform listens beyond loopback without authentication",
        "Configure API keys or OIDC and restart.",
        HEALTH, "GDPR Art. 32(1)(b)"]);
    found.when(Severity::High, (!s.tls && !s.loopback_only).into(), ["no_tls",
        "The platform listens beyond loopback without TLS",
        "Configure a certificate, or make sure that a proxy in front encrypts.",
        HEALTH, "GDPR Art. 32(1)(a)"]);
    found.when(Severity::Medium, f.keys.without_expiry, ["keys_without_expiry",
        "Active API keys never expire",
        "Replace them by keys with an expiry.",
        KEYS, "GDPR Art. 32(1)(b)"]);
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn codes(f: &Facts) -> Vec<&'static str> {
        all(f, sample::NOW_US).iter().map(|x| x.code).collect()
    }

    #[test]
    fn facts_that_are_in_order_give_no_finding() {
        assert_eq!(codes(&sample::clean()), Vec::<&str>::new());
    }

    #[test]
    fn each_fault_alone_gives_its_own_finding_and_no_other() {
        type Fault = fn(&mut Facts);
        let (now, day) = (sample::NOW_US, DAY_US);
        assert_eq!(now % day, 0, "the limits below are exact");
        let cases: [(&str, Severity, u64, Fault); 21] = [
            ("contact_without_consent", Severity::Critical, 3, |f| f.contacts.breaches = Some(3)),
            ("restricted_processed", Severity::Critical, 1, |f| {
                f.contacts.restricted_processed = Some(1)
            }),
            ("contact_blocked", Severity::Notice, 9, |f| f.contacts.blocked = 9),
            ("consent_without_proof", Severity::Medium, 2, |f| {
                f.consent.entry("marketing".into()).or_default().granted_without_proof = 2;
            }),
            ("tcf_no_disclosed_vendors", Severity::Medium, 4, |f| {
                f.tcf.without_disclosed_vendors = 4;
            }),
            ("requests_overdue", Severity::High, 5, |f| f.requests.total.overdue = 5),
            ("requests_late", Severity::Medium, 5, |f| f.requests.total.completed_late = 5),
            ("extension_without_reason", Severity::Medium, 1, |f| {
                f.requests.total.extended_without_reason = 1;
            }),
            ("requests_due_soon", Severity::Notice, 6, |f| f.requests.total.due_soon = 6),
            ("erasures_reapplied", Severity::Notice, 2, |f| f.erasures.reapplied = 2),
            ("audit_broken", Severity::Critical, 2, |f| verified(f, sample::NOW_US, 2)),
            ("audit_verified_long_ago", Severity::Medium, 1, |f| {
                verified(f, sample::NOW_US - 8 * DAY_US, 0);
            }),
            ("audit_not_verified", Severity::High, 1, |f| {
                f.audit.verification = Verification::NotDone { why: "it was never asked".into() };
            }),
            ("heads_not_exported", Severity::Medium, 1, |f| {
                (f.audit.heads_exported, f.audit.head_exported_us) = (0, None);
            }),
            ("heads_missing", Severity::High, 1, |f| f.audit.heads = 0),
            ("heads_export_old", Severity::Notice, 1, |f| {
                f.audit.head_exported_us = Some(sample::NOW_US - 8 * DAY_US);
            }),
            ("no_records", Severity::Notice, 1, |f| f.events.clear()),
            ("retention_exceeded", Severity::Medium, 1, |f| {
                f.retention.oldest_record_us = Some(sample::NOW_US - (2_555 + 32) * DAY_US);
            }),
            ("retention_short", Severity::Notice, 1, |f| f.retention.days = 730),
            ("no_authentication", Severity::Critical, 1, |f| f.settings.authentication = false),
            ("no_tls", Severity::High, 1, |f| f.settings.tls = false),
        ];
        for (code, severity, count, fault) in cases {
            let mut f = sample::clean();
            fault(&mut f);
            let found = all(&f, now);
            let got: Vec<_> = found.iter().map(|x| (x.code, x.severity, x.count)).collect();
            assert_eq!(got, [(code, severity, count)]);
            assert!(PLACES.contains(&found[0].look));
        }
        let mut f = sample::clean();
        f.keys.without_expiry = 4;
        assert_eq!(codes(&f), ["keys_without_expiry"]);
    }

    fn verified(f: &mut Facts, at_us: i64, discrepancies: u64) {
        let first = (discrepancies > 0).then(|| "block 7: root differs".to_owned());
        let (records, heads) = (f.audit.records, f.audit.heads);
        f.audit.verification = Verification::Done { at_us, records, heads, discrepancies, first };
    }

    #[test]
    fn a_limit_is_not_passed_before_it_is_passed() {
        let mut f = sample::clean();
        verified(&mut f, sample::NOW_US - 8 * DAY_US + 1, 0);
        f.audit.head_exported_us = Some(sample::NOW_US - 8 * DAY_US + 1);
        f.retention.oldest_record_us = Some(sample::NOW_US - (2_555 + 32) * DAY_US + 1);
        f.retention.days = 2_555;
        assert_eq!(codes(&f), Vec::<&str>::new());
    }

    #[test]
    fn an_open_platform_on_loopback_is_no_finding() {
        let mut f = sample::clean();
        (f.settings.authentication, f.settings.tls, f.settings.loopback_only) =
            (false, false, true);
        assert_eq!(codes(&f), Vec::<&str>::new());
    }

    #[test]
    fn the_worst_comes_first_and_the_sentence_carries_the_reason() {
        let mut f = sample::troubled();
        verified(&mut f, sample::NOW_US, 1);
        let found = all(&f, sample::NOW_US);
        assert!(found.is_sorted_by_key(|x| x.severity) && found.len() > 5);
        let broken = found.iter().find(|x| x.code == "audit_broken").unwrap();
        assert_eq!(broken.what, "The audit log does not verify: block 7: root differs");
        assert!(found.iter().all(|x| x.count > 0), "no finding without a figure");
    }
}
