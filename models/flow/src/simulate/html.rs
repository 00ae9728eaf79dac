//! A page to look at: no scripts, nothing loaded.

use std::fmt::Write;

use super::report::{Point, Report};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 84.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 14.0;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1000px;padding:0 \
1rem;color:#1b1f24;background:#fff}h1{font-size:1.3rem}h2{font-size:1rem;margin:1.6rem 0 .3rem}svg{width:100%;\
height:auto}table{border-collapse:collapse;margin:.6rem 0}td{padding:.15rem 1.2rem .15rem 0}td+td{text-align:\
right;font-variant-numeric:tabular-nums}text{font-size:12px;fill:#57606a}.grid{stroke:#d8dee4}.ours{fill:none;\
stroke:#0969da;stroke-width:2}.best{fill:none;stroke:#bc4c00;stroke-width:2;stroke-dasharray:5 4}\
.key i{display:inline-block;width:1.8rem;border-top:2px solid #0969da;margin:0 .4rem .25rem 1rem}\
.key i.b{border-top:2px dashed #bc4c00}@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}\
text{fill:#9198a1}.grid{stroke:#30363d}}";

/// The report as a page of its own: the figures, what was spent in each slot against the optimum in hindsight,
/// and the multiplier over time. `title` is text.
pub fn page(report: &Report, title: &str) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    );
    table(&mut page, report);
    page.push_str(
        "<h2>Spend by slot</h2><p class=\"key\"><i></i>spent<i class=\"b\"></i>optimum in hindsight</p>",
    );
    let curve = &report.curve;
    let ours = curve.iter().map(|point| Some(point.spend_micros)).collect::<Vec<_>>();
    let best = curve.iter().map(|point| Some(point.hindsight_micros)).collect::<Vec<_>>();
    chart(&mut page, "Micros spent in each slot", &[("best", &best), ("ours", &ours)], 0.0, plain);
    page.push_str("<h2>Bid for a unit of value, 1 / μ</h2>");
    let bid = |point: &Point| (point.priced > 0).then_some(point.ln_per_value);
    let multiplier = curve.iter().map(bid).collect::<Vec<_>>();
    let known = || multiplier.iter().flatten().copied();
    let (low, high) = known()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), ln| (low.min(ln), high.max(ln)));
    // Less than a fifth up or down is not blown up to the whole height.
    let base = if low.is_finite() { low.min((low + high) / 2.0 - 0.2) } else { 0.0 };
    let label = "Geometric mean of what was bid for a unit of value, in each slot";
    chart(&mut page, label, &[("ours", &multiplier)], base, |ln| four(ln.exp()));
    page.push_str("</html>\n");
    page
}

fn table(page: &mut String, report: &Report) {
    let percent = |part: f64| format!("{:.2}%", 100.0 * part);
    let mut rows = vec![
        ("Auctions", whole(report.auctions as f64)),
        ("Episodes", whole(report.episodes as f64)),
        ("Wins", whole(report.wins as f64)),
        ("Clicks", whole(report.clicks as f64)),
        ("Budget, micros", whole(report.budget_micros as f64)),
        ("Spent, micros", whole(report.spend_micros as f64)),
        ("Utilisation", percent(report.utilisation)),
        ("Overspent, micros", whole(report.overspend_micros as f64)),
        ("Value", scientific(report.value)),
        ("Value of the optimum in hindsight", scientific(report.hindsight_value)),
        ("Value ratio", format!("{:.4}", report.value_ratio)),
        ("Slot error", percent(report.slot_error)),
        ("Wins of the optimum in a slot", whole(report.slot_wins)),
    ];
    if let Some(uniform) = report.uniform_value {
        rows.push(("Value of the best single multiplier", scientific(uniform)));
    }
    page.push_str("<table>");
    for (name, figure) in rows {
        let _ = write!(page, "<tr><td>{name}</td><td>{figure}</td></tr>");
    }
    page.push_str("</table>");
}

/// Lines over the slots, on an axis that begins at `base`. A slot without a figure breaks its line.
fn chart(
    page: &mut String,
    label: &str,
    lines: &[(&str, &[Option<f64>])],
    base: f64,
    name: fn(f64) -> String,
) {
    let figures = || lines.iter().flat_map(|(_, line)| line.iter().flatten());
    let most = figures().copied().filter(|v| v.is_finite()).fold(base, f64::max);
    let top = if most > base { base + (most - base) * 1.05 } else { base + 1.0 };
    let slots = lines.first().map_or(0, |(_, line)| line.len()).max(1);
    let (inner_w, inner_h) = (WIDTH - LEFT - 10.0, HEIGHT - TOP - BOTTOM);
    let x = |slot: usize| LEFT + inner_w * (slot as f64 + 0.5) / slots as f64;
    let y = |figure: f64| TOP + inner_h * (1.0 - (figure - base) / (top - base));
    let _ = write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escaped(label)
    );
    for step in 0..=4 {
        let figure = base + (top - base) * f64::from(step) / 4.0;
        let at = y(figure);
        let _ = write!(
            page,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 10.0,
            LEFT - 8.0,
            at + 4.0,
            name(figure)
        );
    }
    for step in 0..=4 {
        let slot = (slots - 1) * step / 4;
        let _ = write!(
            page,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            x(slot),
            HEIGHT - 12.0,
            if step == 0 { "slot 1".to_owned() } else { (slot + 1).to_string() }
        );
    }
    for (class, line) in lines {
        let mut path = String::new();
        let mut pen = 'M';
        for (slot, figure) in line.iter().enumerate() {
            match figure.filter(|figure| figure.is_finite()) {
                Some(figure) => {
                    let _ = write!(path, "{pen}{:.1} {:.1}", x(slot), y(figure));
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        let _ = write!(page, "<path class=\"{class}\" d=\"{path}\"/>");
    }
    page.push_str("</svg>");
}

/// Thousands apart by a thin space.
fn whole(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let count = digits.len();
    let mut text = String::with_capacity(count + count / 3);
    for (at, digit) in digits.chars().enumerate() {
        let left = count - at;
        let after_sign = at == 1 && digits.starts_with('-');
        if at > 0 && left % 3 == 0 && !after_sign {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// A figure of an axis: `1.2M`.
fn plain(figure: f64) -> String {
    for (unit, name) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if figure.abs() >= unit {
            return format!("{:.4}", figure / unit).chars().take(5).collect::<String>() + name;
        }
    }
    format!("{figure:.0}")
}

/// Four digits for an axis.
fn four(figure: f64) -> String {
    match (0.01..1e6).contains(&figure) {
        true => {
            let digits = (3.0 - figure.log10().floor()).clamp(0.0, 6.0) as usize;
            format!("{figure:.digits$}")
        }
        false => format!("{figure:.3e}"),
    }
}

/// Four digits, with a power of ten where it is far from 1.
fn scientific(figure: f64) -> String {
    let size = figure.abs();
    match size == 0.0 || (1e-3..1e6).contains(&size) {
        true => format!("{figure:.3}"),
        false => format!("{figure:.3e}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
