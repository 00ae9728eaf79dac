//! A page to look at: no scripts, nothing loaded.

use std::fmt::Write;

use super::report::{Point, Report};
use super::terms::Terms;
use crate::opportunity::PriceType;
use crate::pacing::Strategy;

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

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    /// The figures are natural logarithms of what is shown.
    Ln,
}

/// The least of 1, 2 and 5 times a power of ten that is not below this.
fn round_up(figure: f64) -> f64 {
    let power = 10_f64.powf(figure.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|of| of * power)
        .find(|it| *it >= figure)
        .unwrap_or(10.0 * power)
}

/// Round figures within these bounds, at most seven.
fn linear(low: f64, high: f64) -> Vec<f64> {
    let step = round_up((high - low) / 5.0);
    let first = (low / step).ceil();
    let each = (0..7).map(|nth| (first + f64::from(nth)) * step);
    each.filter(|figure| figure.is_finite()).take_while(|figure| *figure <= high).collect()
}

/// The same where they are of several sizes.
fn sizes(low: f64, high: f64) -> Vec<f64> {
    if low <= 0.0 || !high.is_finite() {
        return Vec::new();
    }
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let apart = ((last - first) / 6).max(1);
    let of: &[f64] = if last - first > 3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let powers = (first..=last).step_by(usize::try_from(apart).unwrap_or(1));
    let all = powers.flat_map(|power| of.iter().map(move |of| of * 10_f64.powi(power)));
    all.filter(|figure| (low..=high).contains(figure)).collect()
}

/// Where an axis has its lines, and what stands beside them.
fn ticks(scale: Scale, base: f64, top: f64) -> Vec<(f64, String)> {
    match scale {
        Scale::Linear => linear(base, top).into_iter().map(|it| (it, short(it))).collect(),
        Scale::Ln => {
            let (low, high) = (base.exp(), top.exp());
            let of = if high < 8.0 * low { linear(low, high) } else { sizes(low, high) };
            of.into_iter().map(|it| (it.ln(), short(it))).collect()
        }
    }
}

/// A round figure of an axis: `1.2M`.
fn short(figure: f64) -> String {
    let size = figure.abs();
    if figure != 0.0 && !(1e-6..1e12).contains(&size) {
        return format!("{figure:.3e}");
    }
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (unit, name) = units.into_iter().find(|(unit, _)| size >= *unit).unwrap_or((1.0, ""));
    let digits = format!("{:.8}", figure / unit);
    digits.trim_end_matches('0').trim_end_matches('.').to_owned() + name
}

fn strategy(terms: &Terms) -> &'static str {
    match terms.strategy {
        Strategy::Dual => "dual: bids are scaled",
        Strategy::Throttle => "throttle: auctions are left out by chance",
        Strategy::Linear => "linear: auctions are left out while spending is ahead of traffic",
    }
}

/// The report as a page of its own: the figures, what was spent in each slot against the optimum in hindsight,
/// and the multiplier over time. `title` is text.
pub fn page(report: &Report, terms: &Terms, title: &str) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    );
    table(&mut page, report, terms);
    page.push_str(
        "<h2>Spend by slot, micros</h2><p class=\"key\"><i></i>spent<i class=\"b\"></i>optimum in hindsight</p>",
    );
    let curve = &report.curve;
    let ours = curve.iter().map(|point| Some(point.spend_micros)).collect::<Vec<_>>();
    let best = curve.iter().map(|point| Some(point.hindsight_micros)).collect::<Vec<_>>();
    chart(
        &mut page,
        "Micros spent in each slot",
        &[("best", &best), ("ours", &ours)],
        0.0,
        Scale::Linear,
    );
    page.push_str("<h2>Micros bid for a unit of value, by slot</h2>");
    let bid = |point: &Point| (point.priced > 0).then_some(point.ln_per_value);
    let multiplier = curve.iter().map(bid).collect::<Vec<_>>();
    let known = || multiplier.iter().flatten().copied();
    let (low, high) = known()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), ln| (low.min(ln), high.max(ln)));
    // Less than a fifth up or down is not blown up to the whole height.
    let base = if low.is_finite() { low.min((low + high) / 2.0 - 0.2) } else { 0.0 };
    let label = "Geometric mean of what was bid for a unit of value, in each slot";
    chart(&mut page, label, &[("ours", &multiplier)], base, Scale::Ln);
    page.push_str("</html>\n");
    page
}

fn table(page: &mut String, report: &Report, terms: &Terms) {
    let percent = |part: f64| format!("{:.2}%", 100.0 * part);
    let price = match terms.price {
        PriceType::First => "first: a win pays its bid",
        PriceType::Second => "second: a win pays the market's price",
    };
    let mut rows = vec![
        ("Price", price.to_owned()),
        ("Strategy", strategy(terms).to_owned()),
        ("Unit", "micros; value in the log's unit".to_owned()),
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
    scale: Scale,
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
    for (figure, name) in ticks(scale, base, top) {
        let at = y(figure);
        let _ = write!(
            page,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            WIDTH - 10.0,
            LEFT - 8.0,
            at + 4.0,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_few_round_figures() {
        for (scale, base, top, names) in [
            (Scale::Linear, 0.0, 1_234_567.0, &["0", "500k", "1M"][..]),
            (Scale::Linear, 0.0, 4.1, &["0", "1", "2", "3", "4"]),
            (Scale::Linear, 0.0, 0.9, &["0", "0.2", "0.4", "0.6", "0.8"]),
            (Scale::Ln, 95_f64.ln(), 190_f64.ln(), &["100", "120", "140", "160", "180"]),
            (Scale::Ln, 0.9_f64.ln(), 30_f64.ln(), &["1", "2", "5", "10", "20"]),
        ] {
            let found: Vec<String> = ticks(scale, base, top).into_iter().map(|it| it.1).collect();
            assert_eq!(found, names, "{base} to {top}");
        }
        for (low, high) in [(-700.0, 700.0), (0.0, f64::MIN_POSITIVE), (-1e300, 1e300), (5.0, 5.4)]
        {
            for scale in [Scale::Linear, Scale::Ln] {
                let found = ticks(scale, low, high);
                assert!(found.len() <= 210, "{low} to {high}: {found:?}");
            }
        }
    }
}
