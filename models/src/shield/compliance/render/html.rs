//! The report as one printable page: no scripts, nothing fetched, A4.

use std::fmt::Write;

use super::super::finding::Severity;
use super::super::report::Report;
use super::super::table::{self, Cell, Table, grouped};
use super::super::time;

const STYLE: &str = include_str!("page.css");

/// The only way of a text into the page: safe as content and inside quoted attributes. Control
/// characters, which HTML does not allow and which can turn the reading direction, become `�`.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The whole document.
pub fn html(r: &Report) -> String {
    let mut out = String::with_capacity(64 * 1_024);
    let (account, label) = (escaped(&r.account), escaped(&r.period.label));
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str("<meta name=\"referrer\" content=\"no-referrer\">\n");
    put(&mut out, format_args!("<title>Compliance report · {account} · {label}</title>\n"));
    put(&mut out, format_args!("<style>\n{STYLE}</style>\n</head>\n<body>\n"));
    head(&mut out, r, &account, &label);
    out.push_str("<main>\n");
    summary(&mut out, r);
    section(&mut out, "findings", "Findings");
    if r.findings.is_empty() {
        out.push_str("<p>No finding follows from the figures of this report.</p>\n");
    } else {
        draw(&mut out, &table::findings(&r.findings), "The most severe first");
    }
    out.push_str("</section>\n");
    section(&mut out, "frameworks", "Frameworks");
    out.push_str("<p class=\"note\">States are computed from the figures shown beside them. ");
    out.push_str("“Not assessed”: the period gave nothing to judge by.</p>\n");
    for f in &r.frameworks {
        let counts = format!(
            "{}: {} satisfied, {} need attention, {} not assessed",
            f.name, f.satisfied, f.attention, f.not_assessed
        );
        draw(&mut out, &table::framework(f), &counts);
    }
    out.push_str("</section>\n");
    out.push_str("<section class=\"figures\" aria-labelledby=\"figures\">\n");
    out.push_str("<h2 id=\"figures\">Figures</h2>\n");
    for t in &table::figures(r) {
        draw(&mut out, t, &t.title);
    }
    out.push_str("</section>\n");
    sign(&mut out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// Writing to a string cannot fail.
fn put(out: &mut String, args: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

fn head(out: &mut String, r: &Report, account: &str, label: &str) {
    let state = if r.complete { "complete" } else { "still running: figures may grow" };
    let bounds = format!("{} to {}", day(r.period.from_us), day(r.period.to_us));
    out.push_str("<header>\n<p class=\"maker\">KIKI SyncShield</p>\n");
    out.push_str("<h1>Data protection compliance report</h1>\n<dl>\n");
    for (name, value) in [
        ("Account", account),
        ("Period", &format!("{label} <span>({state})</span>")),
        ("Covers", &escaped(&bounds)),
        ("Generated", &escaped(&time::minute(r.generated_us))),
    ] {
        put(out, format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
    }
    out.push_str("</dl>\n</header>\n");
}

/// A bound without the midnight that nobody needs to read.
fn day(us: i64) -> String {
    let text = time::minute(us);
    text.strip_suffix(" 00:00 UTC").map_or(text.clone(), |d| format!("{d} (0h UTC)"))
}

fn section(out: &mut String, id: &str, title: &str) {
    put(out, format_args!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n"));
}

/// The figures that somebody who signs looks at first.
fn summary(out: &mut String, r: &Report) {
    out.push_str("<section aria-label=\"Summary\">\n<ul class=\"summary\">\n");
    let tile = |out: &mut String, class: &str, figure: u64, what: &str| {
        let figure = grouped(figure);
        put(out, format_args!("<li class=\"{class}\"><b>{figure}</b> {what}</li>\n"));
    };
    for s in Severity::ALL {
        let n = r.findings.iter().filter(|f| f.severity == s).count() as u64;
        let class = if n > 0 { s.as_str() } else { "none" };
        tile(out, class, n, s.as_str());
    }
    tile(out, "figure", r.requests.total.open, "requests open");
    tile(out, "figure", r.requests.total.overdue, "overdue");
    match r.contacts.breaches {
        Some(breaches) => tile(out, "figure", breaches, "contacts without consent"),
        None => tile(out, "figure", r.contacts.blocked, "times consent was asked for in vain"),
    }
    tile(out, "figure", r.events.total.total, "events audited");
    out.push_str("</ul>\n</section>\n");
}

fn draw(out: &mut String, t: &Table<'_>, caption: &str) {
    let key = escaped(&t.key.replace('.', " "));
    put(out, format_args!("<table class=\"{key}\">\n<caption>{}</caption>\n", escaped(caption)));
    out.push_str("<thead><tr>");
    for (i, (_, title)) in t.columns.iter().enumerate() {
        // A column of figures has figures in its rows; one without rows is text.
        let figure = t.rows.first().and_then(|r| r.cells.get(i)).is_some_and(Cell::is_figure)
            || *title == "Value";
        let class = if figure { " class=\"n\"" } else { "" };
        put(out, format_args!("<th scope=\"col\"{class}>{}</th>", escaped(title)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    if t.rows.is_empty() {
        let wide = t.columns.len();
        put(out, format_args!("<tr><td class=\"none\" colspan=\"{wide}\">none</td></tr>\n"));
    }
    for row in &t.rows {
        out.push_str(if row.total { "<tr class=\"total\">" } else { "<tr>" });
        for (i, c) in row.cells.iter().enumerate() {
            let last = t.columns.get(i).is_some_and(|(_, title)| *title == "Value");
            cell(out, c, i == t.head, last);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn cell(out: &mut String, c: &Cell<'_>, head: bool, right: bool) {
    let value = match c {
        Cell::Text(t) => escaped(t),
        Cell::Path(t) => format!("<code>{}</code>", escaped(t)),
        Cell::Word(t) => {
            let class = escaped(&t.replace(' ', "-"));
            format!("<span class=\"badge {class}\">{}</span>", escaped(t))
        }
        Cell::Count(n) => grouped(*n),
        Cell::Time(us) => escaped(&time::minute(*us)),
        Cell::Missing => "–".to_owned(),
    };
    let class = match c {
        Cell::Count(0) => " class=\"n zero\"",
        _ if right || c.is_figure() => " class=\"n\"",
        _ => "",
    };
    if head {
        put(out, format_args!("<th scope=\"row\"{class}>{value}</th>"));
    } else {
        put(out, format_args!("<td{class}>{value}</td>"));
    }
}

fn sign(out: &mut String) {
    out.push_str("<section class=\"sign\" aria-labelledby=\"review\">\n");
    out.push_str("<h2 id=\"review\">Review</h2>\n<dl>\n");
    for line in ["Reviewed by", "Place and date", "Signature"] {
        put(out, format_args!("<div><dt>{line}</dt><dd></dd></div>\n"));
    }
    out.push_str("</dl>\n<p class=\"note\">Figures come from the records, keys and settings ");
    out.push_str("of this installation. The report states figures; it is no legal advice.</p>\n");
    out.push_str("</section>\n");
}

#[cfg(test)]
mod tests;
