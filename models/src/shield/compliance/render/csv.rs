//! The report as flat CSV (RFC 4180): `section,item,key,value`, one figure a line.

use super::super::report::Report;
use super::super::table::{self, Cell, Table};
use super::super::time;

/// The writer refused a record; with a buffer in memory this does not happen.
#[derive(Debug, thiserror::Error)]
#[error("the report could not be written as csv")]
pub struct NotWritten;

/// The whole report; times in RFC 3339, what is missing is empty.
pub fn csv(report: &Report) -> Result<String, NotWritten> {
    let mut out = ::csv::Writer::from_writer(Vec::new());
    let mut line = |section: &str, item: &str, key: &str, value: &str| {
        let fields = [section, item, key, value].map(quiet);
        out.write_record(&fields).map_err(|_| NotWritten)
    };
    line("section", "item", "key", "value")?;
    let p = &report.period;
    for (key, value) in [
        ("account", report.account.clone()),
        ("period", p.kind.as_str().to_owned()),
        ("label", p.label.clone()),
        ("from", time::rfc3339(p.from_us)),
        ("to", time::rfc3339(p.to_us)),
        ("complete", report.complete.to_string()),
        ("generated_at", time::rfc3339(report.generated_us)),
    ] {
        line("report", "report", key, &value)?;
    }
    let mut tables = vec![table::findings(&report.findings)];
    tables.extend(report.frameworks.iter().map(table::framework));
    tables.extend(table::figures(report));
    for Table { key: section, columns, rows, .. } in &tables {
        for row in rows {
            for ((key, _), cell) in columns.iter().zip(&row.cells) {
                // The name of a row of figures is its item already.
                if !matches!(cell, Cell::Text(t) if *t == row.key) {
                    line(section, &row.key, key, &value(cell))?;
                }
            }
        }
    }
    String::from_utf8(out.into_inner().map_err(|_| NotWritten)?).map_err(|_| NotWritten)
}

fn value(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Text(t) => t.to_string(),
        Cell::Path(t) => (*t).to_owned(),
        Cell::Word(t) => t.replace(' ', "_"),
        Cell::Count(n) => n.to_string(),
        Cell::Time(us) => time::rfc3339(*us),
        Cell::Missing => String::new(),
    }
}

/// A spreadsheet runs what begins like a formula; a quote before it keeps it a text (OWASP, CSV
/// injection).
fn quiet(field: &str) -> String {
    let risky = field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if risky { format!("'{field}") } else { field.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    fn read(text: &str) -> Vec<[String; 4]> {
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), vec!["section", "item", "key", "value"]);
        reader.deserialize().map(|r| r.unwrap()).collect()
    }

    fn find<'a>(rows: &'a [[String; 4]], want: [&str; 3]) -> &'a str {
        &rows.iter().find(|r| r[..3] == want).unwrap()[3]
    }

    #[test]
    fn every_figure_of_the_report_has_its_line() {
        let rows = read(&csv(&sample::report()).unwrap());
        assert_eq!(find(&rows, ["events", "budget.settled", "total"]), "1204389");
        assert_eq!(find(&rows, ["requests_open", "ACCESS", "overdue"]), "1");
        assert_eq!(find(&rows, ["requests_open", "total", "overdue"]), "2");
        assert_eq!(find(&rows, ["consent", "data_sharing", "granted"]), "0");
        assert_eq!(find(&rows, ["audit", "verified_at", "value"]), "2026-11-01T18:00:00Z");
        assert_eq!(find(&rows, ["audit", "first", "value"]), "");
        assert_eq!(find(&rows, ["findings", "requests_overdue", "severity"]), "high");
        assert_eq!(find(&rows, ["report", "report", "account"]), "acme-eu");
        assert_eq!(find(&rows, ["framework.gdpr", "Art. 12(3)", "state"]), "attention");
        let mut places: Vec<_> = rows.iter().map(|r| &r[..3]).collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), rows.len(), "no figure is said twice");
    }

    #[test]
    fn hostile_names_stay_one_field_and_no_formula() {
        let mut f = sample::clean();
        f.account = "=cmd|' /C calc'!A0".into();
        f.denied.insert("@SUM(1,2)\r\n\"x\",y".into(), 3);
        let report = Report::of(sample::period(), f, sample::NOW_US);
        let rows = read(&csv(&report).unwrap());
        assert_eq!(find(&rows, ["report", "report", "account"]), "'=cmd|' /C calc'!A0");
        let hostile = "'@SUM(1,2)\r\n\"x\",y";
        assert_eq!(find(&rows, ["denied", hostile, "count"]), "3");
        for field in rows.iter().flatten() {
            assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{field}");
        }
    }
}
