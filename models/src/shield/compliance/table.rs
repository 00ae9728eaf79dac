//! The report as tables: one drawing for the page and for the CSV, so that they cannot differ.

use std::borrow::Cow;

use super::facts::{ConsentLine, Verification};
use super::finding::Finding;
use super::framework::{ControlState, Framework};
use super::report::{EventLine, Report};
use super::requests::KindLine;

/// A value. Times are wall micros UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    Text(Cow<'a, str>),
    /// An API path.
    Path(&'a str),
    /// A word of a closed set that the page shows in its colour.
    Word(&'static str),
    Count(u64),
    Time(i64),
    Missing,
}

impl Cell<'_> {
    /// Right-aligned on the page.
    pub fn is_figure(&self) -> bool {
        matches!(self, Self::Count(_))
    }
}

#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The item of the CSV.
    pub key: Cow<'a, str>,
    pub cells: Vec<Cell<'a>>,
    /// A sum of the rows above.
    pub total: bool,
}

/// `columns` are (key, title); every row has as many cells.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    /// The section of the CSV.
    pub key: Cow<'a, str>,
    pub title: Cow<'a, str>,
    pub columns: Vec<(&'static str, &'static str)>,
    /// The column that names the row.
    pub head: usize,
    pub rows: Vec<Row<'a>>,
}

fn text(t: &str) -> Cell<'_> {
    Cell::Text(Cow::Borrowed(t))
}

fn row<'a>(key: impl Into<Cow<'a, str>>, cells: Vec<Cell<'a>>) -> Row<'a> {
    Row { key: key.into(), cells, total: false }
}

/// A row of counts named by its key.
fn counts<'a>(key: &'a str, numbers: &[u64]) -> Row<'a> {
    let cells = std::iter::once(text(key)).chain(numbers.iter().map(|n| Cell::Count(*n)));
    row(key, cells.collect())
}

fn total<'a>(numbers: &[u64]) -> Row<'a> {
    Row { total: true, ..counts("total", numbers) }
}

type Columns = [(&'static str, &'static str)];

fn table<'a>(
    key: &'static str,
    title: &'static str,
    columns: &Columns,
    rows: Vec<Row<'a>>,
) -> Table<'a> {
    Table { key: key.into(), title: title.into(), columns: columns.to_vec(), head: 0, rows }
}

/// The findings, the worst first.
pub fn findings(list: &[Finding]) -> Table<'_> {
    let columns = [
        ("severity", "Severity"),
        ("what", "Finding"),
        ("count", "Count"),
        ("action", "What to do"),
        ("look", "Where to look"),
        ("rule", "Rule"),
    ];
    let rows = list.iter().map(|f| {
        let cells = vec![
            Cell::Word(f.severity.as_str()),
            text(&f.what),
            Cell::Count(f.count),
            text(f.action),
            Cell::Path(f.look),
            text(f.rule),
        ];
        row(f.code, cells)
    });
    Table { head: 1, ..table("findings", "Findings", &columns, rows.collect()) }
}

/// One framework with its controls; what needs attention is not moved, the articles keep order.
pub fn framework(f: &Framework) -> Table<'_> {
    let columns = [
        ("provision", "Provision"),
        ("control", "Control"),
        ("state", "State"),
        ("evidence", "Evidence"),
    ];
    let rows = f.controls.iter().map(|c| {
        let figures = c.figures.iter().map(|(name, n)| format!("{} {name}", grouped(*n)));
        let evidence: Vec<String> = figures.chain(c.note.clone()).collect();
        let state = match c.state {
            ControlState::NotAssessed => "not assessed",
            state => state.as_str(),
        };
        let evidence = Cell::Text(evidence.join(" · ").into());
        row(c.provision, vec![text(c.provision), text(c.control), Cell::Word(state), evidence])
    });
    let rows = rows.collect();
    let key = format!("framework.{}", f.key).into();
    Table { key, title: f.name.into(), columns: columns.to_vec(), head: 0, rows }
}

/// The figures behind them, section by section.
pub fn figures(r: &Report) -> Vec<Table<'_>> {
    vec![
        requests(r),
        ages(r),
        statuses(r),
        consent(r),
        contacts(r),
        denied(r),
        events(r),
        audit(r),
        access(r),
    ]
}

fn by_kind<'a>(r: &'a Report, pick: impl Fn(&KindLine) -> Vec<u64>) -> Vec<Row<'a>> {
    let lines = r.requests.by_kind.iter().map(|(kind, l)| counts(kind, &pick(l)));
    lines.chain([total(&pick(&r.requests.total))]).collect()
}

fn requests(r: &Report) -> Table<'_> {
    let columns = [
        ("kind", "Kind"),
        ("received", "Received"),
        ("completed_in_time", "Done in time"),
        ("completed_late", "Done late"),
        ("closed_otherwise", "Refused, withdrawn"),
        ("extended", "Extended"),
        ("extended_without_reason", "… without reason"),
    ];
    let pick = |l: &KindLine| {
        let done = [l.received, l.completed_in_time, l.completed_late, l.closed_otherwise];
        [&done[..], &[l.extended, l.extended_without_reason]].concat()
    };
    table("requests", "Requests of data subjects", &columns, by_kind(r, pick))
}

fn ages(r: &Report) -> Table<'_> {
    let columns = [
        ("kind", "Kind"),
        ("open", "Open"),
        ("open_0_7_days", "0–7 days"),
        ("open_8_21_days", "8–21 days"),
        ("open_22_30_days", "22–30 days"),
        ("open_over_30_days", "Over 30 days"),
        ("due_soon", "Due in 7 days"),
        ("overdue", "Overdue"),
    ];
    let pick = |l: &KindLine| {
        let ages = [l.open_0_7_days, l.open_8_21_days, l.open_22_30_days, l.open_over_30_days];
        [&[l.open], &ages[..], &[l.due_soon, l.overdue]].concat()
    };
    let title = "Open requests by age, at the end of the period or now";
    table("requests_open", title, &columns, by_kind(r, pick))
}

fn statuses(r: &Report) -> Table<'_> {
    let columns = [("kind", "Kind"), ("status", "Status"), ("requests", "Requests")];
    let rows = r.requests.by_status.iter().flat_map(|(kind, of)| {
        of.iter().map(move |(status, n)| {
            row(format!("{kind}.{status}"), vec![text(kind), text(status), Cell::Count(*n)])
        })
    });
    table("requests_status", "Requests by status", &columns, rows.collect())
}

fn consent(r: &Report) -> Table<'_> {
    let columns = [
        ("type", "Type"),
        ("granted", "Granted"),
        ("revoked", "Revoked"),
        ("granted_without_proof", "Granted without proof"),
    ];
    let pick = |l: &ConsentLine| [l.granted, l.revoked, l.granted_without_proof];
    let lines = r.consent.by_type.iter().map(|(kind, l)| counts(kind, &pick(l)));
    let rows = lines.chain([total(&pick(&r.consent.total))]).collect();
    table("consent", "Changes of consent", &columns, rows)
}

/// (key, what it is, value) as a table of two columns.
fn pairs<'a>(
    key: &'static str,
    title: &'static str,
    list: Vec<(&'static str, &'static str, Cell<'a>)>,
) -> Table<'a> {
    let columns = [("figure", "Figure"), ("value", "Value")];
    let rows = list.into_iter().map(|(key, what, value)| row(key, vec![text(what), value]));
    table(key, title, &columns, rows.collect())
}

fn contacts(r: &Report) -> Table<'_> {
    let (c, t, e) = (&r.contacts, &r.consent.tcf, &r.erasures);
    let n = Cell::Count;
    let reported = |figure: Option<u64>| figure.map_or(Cell::Missing, Cell::Count);
    pairs(
        "processing",
        "Consent asked for, contacts, erasures and TC strings",
        vec![
            ("with_consent", "Consent asked for and there", n(c.with_consent)),
            ("blocked", "Consent asked for and not there", n(c.blocked)),
            ("breaches", "Contacts without consent (CO-1: must be 0)", reported(c.breaches)),
            ("restricted_persons", "Persons restricted", n(c.restricted_persons)),
            ("restricted_processed", "Contacts while restricted", reported(c.restricted_processed)),
            ("erasures_done", "Persons erased", n(e.done)),
            ("erasures_reapplied", "Erased again after a restore", n(e.reapplied)),
            ("tcf_read", "TC strings read", n(t.read)),
            ("tcf_refused", "TC strings refused", n(t.refused)),
            (
                "tcf_without_disclosed_vendors",
                "TC strings without Disclosed Vendors",
                n(t.without_disclosed_vendors),
            ),
        ],
    )
}

fn denied(r: &Report) -> Table<'_> {
    let columns = [("reason", "Reason"), ("count", "Decisions refused")];
    let lines = r.denied.by_reason.iter().map(|(reason, n)| counts(reason, &[*n]));
    let rows = lines.chain([total(&[r.denied.total])]).collect();
    table("denied", "Denied decisions by reason", &columns, rows)
}

fn events(r: &Report) -> Table<'_> {
    let columns = [
        ("event", "Event"),
        ("ok", "OK"),
        ("denied", "Denied"),
        ("failed", "Failed"),
        ("total", "Total"),
    ];
    let pick = |l: &EventLine| [l.ok, l.denied, l.failed, l.total];
    let lines = r.events.by_event.iter().map(|(event, l)| counts(event, &pick(l)));
    let rows = lines.chain([total(&pick(&r.events.total))]).collect();
    table("events", "Audited events", &columns, rows)
}

fn audit(r: &Report) -> Table<'_> {
    let time = |at: Option<i64>| at.map_or(Cell::Missing, Cell::Time);
    let mut list = vec![
        ("records", "Records in the log", Cell::Count(r.audit.records)),
        ("heads", "Signed heads", Cell::Count(r.audit.heads)),
        ("heads_exported", "Signed heads exported", Cell::Count(r.audit.heads_exported)),
        ("head_exported_at", "Last export of a head", time(r.audit.head_exported_us)),
        ("oldest_record_at", "Oldest record", time(r.retention.oldest_record_us)),
        ("retention_days", "Days that records are kept", Cell::Count(r.retention.days)),
    ];
    match &r.audit.verification {
        Verification::Done { at_us, records, heads, discrepancies, first } => list.extend([
            ("verified_at", "Last verification", Cell::Time(*at_us)),
            ("verified_records", "Records verified", Cell::Count(*records)),
            ("verified_heads", "Heads verified", Cell::Count(*heads)),
            ("discrepancies", "Discrepancies (AU-1: must be 0)", Cell::Count(*discrepancies)),
            ("first", "The first of them", first.as_deref().map_or(Cell::Missing, text)),
        ]),
        Verification::NotDone { why } => list.push(("not_verified", "Not verified", text(why))),
    }
    pairs("audit", "Audit log and retention", list)
}

fn access(r: &Report) -> Table<'_> {
    let (k, s) = (&r.keys, &r.settings);
    let word = |yes: bool, a, b| text(if yes { a } else { b });
    pairs(
        "access",
        "Keys and settings",
        vec![
            ("keys_active", "API keys active", Cell::Count(k.active)),
            ("keys_without_expiry", "… that never expire", Cell::Count(k.without_expiry)),
            ("keys_expired", "API keys expired", Cell::Count(k.expired)),
            ("keys_revoked", "API keys revoked", Cell::Count(k.revoked)),
            ("authentication", "Authentication", word(s.authentication, "on", "off")),
            ("tls", "TLS", word(s.tls, "on", "off")),
            ("reach", "Listens on", word(s.loopback_only, "loopback only", "other addresses too")),
        ],
    )
}

/// `1,204,377`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_row_has_a_cell_for_every_column_and_its_own_key() {
        for facts in [sample::idle(), sample::clean(), sample::troubled()] {
            let r = Report::of(sample::period(), facts, sample::NOW_US);
            let frameworks = r.frameworks.iter().map(framework);
            for t in figures(&r).into_iter().chain([findings(&r.findings)]).chain(frameworks) {
                let mut keys: Vec<_> = t.rows.iter().map(|r| r.key.clone()).collect();
                keys.sort();
                keys.dedup();
                assert_eq!(keys.len(), t.rows.len(), "{}", t.key);
                assert!(t.rows.iter().all(|r| r.cells.len() == t.columns.len()), "{}", t.key);
            }
        }
    }

    #[test]
    fn figures_are_grouped_by_thousands() {
        for (n, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_204_377, "1,204,377")] {
            assert_eq!(grouped(n), want);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }
}
