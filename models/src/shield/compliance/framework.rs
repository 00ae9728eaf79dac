//! The frameworks and the controls of the platform that stand behind them.
//!
//! A control's state is computed from its figures. Where a period gave nothing to judge by, it is
//! `not_assessed`: silence proves nothing. Sources: Regulation (EU) 2016/679; California Civil Code
//! § 1798.100 ff. and 11 CCR § 7000 ff.; IAB Europe TCF 2.3.

use serde::{Serialize, Serializer};

use super::facts::{Facts, Verification};
use super::finding::{REQUEST_RECORD_DAYS, RETENTION_SLACK_DAYS, VERIFIED_DAYS_MAX};
use super::time::{self, DAY_US};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlState {
    Attention,
    Satisfied,
    /// Nothing was measured that could tell.
    NotAssessed,
}

impl ControlState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Satisfied => "satisfied",
            Self::NotAssessed => "not_assessed",
        }
    }

    /// `assessed`: there was something to judge by; `good`: the judgement.
    fn of(assessed: bool, good: bool) -> ControlState {
        match (assessed, good) {
            (_, false) => Self::Attention,
            (true, true) => Self::Satisfied,
            (false, true) => Self::NotAssessed,
        }
    }
}

/// One control with the figures that decide its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Control {
    /// Article or section.
    pub provision: &'static str,
    pub control: &'static str,
    pub state: ControlState,
    #[serde(serialize_with = "as_map")]
    pub figures: Vec<(&'static str, u64)>,
    /// A fact that is no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The figures as a JSON object, in their order.
fn as_map<S: Serializer>(figures: &[(&'static str, u64)], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(figures.iter().copied())
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Framework {
    pub key: &'static str,
    pub name: &'static str,
    pub satisfied: u64,
    pub attention: u64,
    pub not_assessed: u64,
    pub controls: Vec<Control>,
}

fn framework(key: &'static str, name: &'static str, controls: Vec<Control>) -> Framework {
    let count = |state| controls.iter().filter(|c| c.state == state).count() as u64;
    Framework {
        key,
        name,
        satisfied: count(ControlState::Satisfied),
        attention: count(ControlState::Attention),
        not_assessed: count(ControlState::NotAssessed),
        controls,
    }
}

/// GDPR, CCPA/CPRA and TCF 2.3, in this order.
pub fn all(f: &Facts, now_us: i64) -> Vec<Framework> {
    vec![
        framework("gdpr", "GDPR", gdpr(f, now_us)),
        framework("ccpa_cpra", "CCPA/CPRA", ccpa(f)),
        framework("tcf_2_3", "TCF 2.3", tcf(f)),
    ]
}

fn gdpr(f: &Facts, now_us: i64) -> Vec<Control> {
    vec![
        storage(f, now_us),
        accountability(f, now_us),
        lawful("Art. 6(1)(a)", "Nothing is sent or targeted without consent", f),
        proof(f),
        in_time("Art. 12(3)", "Requests are answered within one month, extensions with reason", f),
        request("Art. 15", "Access", "ACCESS", f),
        request("Art. 16", "Rectification", "RECTIFICATION", f),
        erasure(f),
        restriction(f),
        request("Art. 20", "Portability", "PORTABILITY", f),
        request("Art. 21", "Objection", "OBJECTION", f),
        transport(f),
        security("Art. 32(1)(b)", f),
    ]
}

fn ccpa(f: &Facts) -> Vec<Control> {
    let days = f.retention.days;
    vec![
        request("§ 1798.105", "Right to delete", "DELETION", f),
        request("§ 1798.106", "Right to correct", "RECTIFICATION", f),
        request("§ 1798.110", "Right to know", "ACCESS", f),
        request("§ 1798.120", "Right to opt out of sale and sharing", "OPT_OUT", f),
        in_time("§ 1798.130(a)(2)", "Requests are answered within one month (45 days allowed)", f),
        Control {
            provision: "11 CCR § 7101(a)",
            control: "Records of requests are kept 24 months",
            state: ControlState::of(true, days >= REQUEST_RECORD_DAYS),
            figures: vec![("days kept", days), ("days required", REQUEST_RECORD_DAYS)],
            note: None,
        },
        security("§ 1798.100(e)", f),
    ]
}

fn tcf(f: &Facts) -> Vec<Control> {
    let t = &f.tcf;
    let seen = t.read > 0 || t.refused > 0;
    vec![
        Control {
            provision: "Disclosed Vendors",
            control: "TC strings name the vendors that were disclosed",
            state: ControlState::of(seen, t.without_disclosed_vendors == 0),
            figures: vec![
                ("read", t.read),
                ("without the segment", t.without_disclosed_vendors),
                ("refused", t.refused),
            ],
            note: None,
        },
        lawful("Purposes 1–10", "Without a signal for a purpose nothing is processed for it", f),
    ]
}

fn storage(f: &Facts, now_us: i64) -> Control {
    let days = f.retention.days;
    let most = days.saturating_add(RETENTION_SLACK_DAYS.unsigned_abs());
    let age = f.retention.oldest_record_us.map(|at| now_us.saturating_sub(at).div_euclid(DAY_US));
    let age = age.map(|d| u64::try_from(d).unwrap_or(0));
    let mut figures = vec![("days kept at most", days)];
    figures.extend(age.map(|d| ("days old is the oldest record", d)));
    Control {
        provision: "Art. 5(1)(e)",
        control: "Records are dropped when their retention is over",
        state: ControlState::of(age.is_some(), age.is_none_or(|d| d <= most)),
        figures,
        note: None,
    }
}

fn accountability(f: &Facts, now_us: i64) -> Control {
    let (state, figures, note) = match &f.audit.verification {
        Verification::Done { at_us, records, heads, discrepancies, .. } => {
            let fresh = now_us.saturating_sub(*at_us) < (VERIFIED_DAYS_MAX + 1) * DAY_US;
            (
                ControlState::of(true, *discrepancies == 0 && fresh),
                vec![
                    ("records verified", *records),
                    ("signed heads", *heads),
                    ("discrepancies", *discrepancies),
                ],
                format!("verified {}", time::minute(*at_us)),
            )
        }
        Verification::NotDone { why } => (
            ControlState::NotAssessed,
            vec![("records", f.audit.records), ("signed heads", f.audit.heads)],
            format!("not verified: {why}"),
        ),
    };
    let control = "What was done is recorded in a log that shows tampering";
    Control { provision: "Art. 5(2)", control, state, figures, note: Some(note) }
}

fn lawful(provision: &'static str, control: &'static str, f: &Facts) -> Control {
    let c = &f.contacts;
    let mut figures = vec![("refused", c.blocked), ("with consent", c.with_consent)];
    figures.extend(c.breaches.map(|breaches| ("without consent", breaches)));
    Control {
        provision,
        control,
        state: ControlState::of(c.breaches.is_some(), c.breaches.is_none_or(|n| n == 0)),
        figures,
        note: unreported(c.breaches),
    }
}

/// What is said where no service told of contacts.
fn unreported(figure: Option<u64>) -> Option<String> {
    figure.is_none().then(|| "no service reported contacts in this period".to_owned())
}

fn proof(f: &Facts) -> Control {
    let sum = |n: fn(&super::facts::ConsentLine) -> u64| {
        f.consent.values().fold(0u64, |sum, l| sum.saturating_add(n(l)))
    };
    let (granted, revoked) = (sum(|l| l.granted), sum(|l| l.revoked));
    let without = sum(|l| l.granted_without_proof);
    Control {
        provision: "Art. 7(1), 7(3)",
        control: "Consent can be shown and withdrawn",
        state: ControlState::of(granted > 0 || revoked > 0, without == 0),
        figures: vec![("granted", granted), ("without proof", without), ("revoked", revoked)],
        note: None,
    }
}

fn in_time(provision: &'static str, control: &'static str, f: &Facts) -> Control {
    let t = &f.requests.total;
    let good = t.overdue == 0 && t.completed_late == 0 && t.extended_without_reason == 0;
    Control {
        provision,
        control,
        state: ControlState::of(t.handled() > 0, good),
        figures: vec![
            ("overdue", t.overdue),
            ("late", t.completed_late),
            ("in time", t.completed_in_time),
            ("open", t.open),
            ("extended without reason", t.extended_without_reason),
        ],
        note: None,
    }
}

fn request(provision: &'static str, control: &'static str, kind: &str, f: &Facts) -> Control {
    let t = f.requests.kind(kind);
    Control {
        provision,
        control,
        state: ControlState::of(t.handled() > 0, t.overdue == 0 && t.completed_late == 0),
        figures: vec![
            ("overdue", t.overdue),
            ("late", t.completed_late),
            ("in time", t.completed_in_time),
            ("open", t.open),
        ],
        note: None,
    }
}

fn erasure(f: &Facts) -> Control {
    let mut c = request("Art. 17", "Erasure", "DELETION", f);
    c.figures.push(("persons erased", f.erasures.done));
    c
}

fn restriction(f: &Facts) -> Control {
    let mut c = request("Art. 18", "Restriction", "RESTRICTION", f);
    let persons = f.contacts.restricted_persons;
    let processed = f.contacts.restricted_processed;
    c.figures.push(("persons restricted", persons));
    c.figures.extend(processed.map(|processed| ("processed while restricted", processed)));
    c.note = unreported(processed).filter(|_| persons > 0);
    c.state = match c.state {
        ControlState::Attention => ControlState::Attention,
        state => {
            let done = state == ControlState::Satisfied || (persons > 0 && processed.is_some());
            ControlState::of(done, processed.is_none_or(|n| n == 0))
        }
    };
    c
}

fn transport(f: &Facts) -> Control {
    let s = &f.settings;
    Control {
        provision: "Art. 32(1)(a)",
        control: "Traffic beyond loopback is encrypted",
        state: ControlState::of(!s.loopback_only, s.tls || s.loopback_only),
        figures: Vec::new(),
        note: Some(format!("TLS {}, {}", on(s.tls), reach(f))),
    }
}

fn security(provision: &'static str, f: &Facts) -> Control {
    let (s, k) = (&f.settings, &f.keys);
    let closed = s.authentication || s.loopback_only;
    Control {
        provision,
        control: "Only who holds a key or a token gets in, and keys expire",
        state: ControlState::of(s.authentication, closed && k.without_expiry == 0),
        figures: vec![
            ("keys active", k.active),
            ("without expiry", k.without_expiry),
            ("expired", k.expired),
            ("revoked", k.revoked),
        ],
        note: Some(format!("authentication {}, {}", on(s.authentication), reach(f))),
    }
}

fn on(yes: bool) -> &'static str {
    if yes { "on" } else { "off" }
}

fn reach(f: &Facts) -> &'static str {
    if f.settings.loopback_only { "loopback only" } else { "reachable beyond loopback" }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn state(f: &Facts, key: &str, provision: &str) -> ControlState {
        let all = all(f, sample::NOW_US);
        let of = all.iter().find(|x| x.key == key).unwrap();
        of.controls.iter().find(|c| c.provision == provision).unwrap().state
    }

    #[test]
    fn facts_in_order_satisfy_every_control_that_can_be_assessed() {
        for f in all(&sample::clean(), sample::NOW_US) {
            assert_eq!((f.attention, f.not_assessed), (0, 0), "{f:?}");
            assert_eq!(f.satisfied, f.controls.len() as u64);
        }
    }

    #[test]
    fn an_idle_installation_proves_nothing() {
        let idle = sample::idle();
        for provision in ["Art. 6(1)(a)", "Art. 7(1), 7(3)", "Art. 12(3)", "Art. 15", "Art. 17"] {
            assert_eq!(state(&idle, "gdpr", provision), ControlState::NotAssessed, "{provision}");
        }
        assert_eq!(state(&idle, "gdpr", "Art. 5(2)"), ControlState::NotAssessed);
        assert_eq!(state(&idle, "tcf_2_3", "Disclosed Vendors"), ControlState::NotAssessed);
        assert_eq!(state(&idle, "gdpr", "Art. 32(1)(b)"), ControlState::NotAssessed);
    }

    #[test]
    fn a_bad_figure_turns_the_controls_that_rest_on_it() {
        let turn = |fault: fn(&mut Facts)| {
            let mut f = sample::clean();
            fault(&mut f);
            let all = all(&f, sample::NOW_US);
            let bad = |c: &&Control| c.state == ControlState::Attention;
            all.iter()
                .flat_map(|x| x.controls.iter().filter(bad).map(|c| c.provision))
                .collect::<Vec<_>>()
        };
        assert_eq!(turn(|f| f.contacts.breaches = Some(1)), ["Art. 6(1)(a)", "Purposes 1–10"]);
        assert_eq!(turn(|f| f.contacts.restricted_processed = Some(1)), ["Art. 18"]);
        assert_eq!(turn(|f| f.requests.total.overdue = 1), ["Art. 12(3)", "§ 1798.130(a)(2)"]);
        let deletion = |f: &mut Facts| {
            f.requests.by_kind.entry("DELETION".into()).or_default().completed_late = 1;
        };
        assert_eq!(turn(deletion), ["Art. 17", "§ 1798.105"]);
        assert_eq!(turn(|f| f.retention.days = 600), ["Art. 5(1)(e)", "11 CCR § 7101(a)"]);
        assert_eq!(turn(|f| f.settings.tls = false), ["Art. 32(1)(a)"]);
        assert_eq!(turn(|f| f.keys.without_expiry = 1), ["Art. 32(1)(b)", "§ 1798.100(e)"]);
        assert_eq!(turn(|f| f.tcf.without_disclosed_vendors = 1), ["Disclosed Vendors"]);
    }

    #[test]
    fn a_breach_turns_its_control_even_when_nothing_else_was_counted() {
        let mut f = sample::idle();
        f.contacts.breaches = Some(1);
        assert_eq!(state(&f, "gdpr", "Art. 6(1)(a)"), ControlState::Attention);
    }

    #[test]
    fn every_control_shows_figures_or_the_setting_it_rests_on() {
        for f in [sample::clean(), sample::idle(), sample::troubled()] {
            for c in all(&f, sample::NOW_US).iter().flat_map(|x| &x.controls) {
                assert!(!c.figures.is_empty() || c.note.is_some(), "{c:?}");
            }
        }
    }
}
