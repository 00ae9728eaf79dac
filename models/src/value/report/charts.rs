//! The charts of an evaluation.

use super::axis::Frame;
use super::text::{number, percent};
use crate::value::evaluate::judged::PERIOD_DAYS;
use crate::value::metrics::calibration::FrequencyClass;
use crate::value::metrics::decile::Decile;
use crate::value::metrics::tracking::Tracked;

/// Steps between the labels of weeks: fours, quarters and years.
const WEEKS: [usize; 8] = [1, 2, 4, 13, 26, 52, 104, 260];
/// Lines of more points than these have no dots.
const DOTS_MAX: usize = 110;

/// Pairs of bars side by side: label, a line under it, predicted, actual.
fn pairs(rows: &[(String, String, f64, f64)], unit: &str, labels: [&str; 3]) -> String {
    let most = rows.iter().fold(0.0_f64, |most, row| most.max(row.2).max(row.3));
    let mut frame = Frame::new(most);
    let step = 1.0 / rows.len().max(1) as f64;
    let width = (frame.x(step) - frame.x(0.0)) * 0.36;
    for (at, (label, below, predicted, actual)) in rows.iter().enumerate() {
        let share = (at as f64 + 0.5) * step;
        let middle = frame.x(share);
        let says = |what: &str, value: f64| format!("{label}: {what} {} {unit}", number(value, 2));
        frame.bar(
            "predicted",
            middle - width - 1.0,
            width,
            *predicted,
            &says("predicted", *predicted),
        );
        frame.bar("actual", middle + 1.0, width, *actual, &says("actual", *actual));
        frame.tick(share, label, below);
    }
    frame.svg(labels[0], labels[1], labels[2])
}

/// Mean purchases (or spend) per customer, by how often customers had bought again before the cut.
pub fn by_frequency(classes: &[FrequencyClass], about: &str, unit: &str, y_label: &str) -> String {
    let last = classes.len().saturating_sub(1);
    let row = |(at, class): (usize, &FrequencyClass)| {
        let more = if at == last { "+" } else { "" };
        let label = format!("{}{more}", class.frequency);
        (label, format!("n {}", number(class.customers as f64, 0)), class.predicted, class.actual)
    };
    let rows: Vec<_> = classes.iter().enumerate().map(row).collect();
    pairs(&rows, unit, [about, "Repeat purchases before the cut (n: customers)", y_label])
}

/// Total spend of each tenth of the customers, by prediction.
pub fn deciles(deciles: &[Decile], unit: &str) -> String {
    let row = |of: &Decile| {
        let off = match of.predicted_total / of.actual_total - 1.0 {
            off if off < 10.0 => percent(off, true),
            off if off.is_finite() => "> 999%".to_owned(),
            _ => "–".to_owned(),
        };
        (of.decile.to_string(), off, of.predicted_total, of.actual_total)
    };
    let rows: Vec<_> = deciles.iter().map(row).collect();
    let about = "Predicted and actual spend by decile of the prediction";
    let y_label = format!("Spend in the holdout ({unit})");
    pairs(
        &rows,
        unit,
        [about, "Decile of customers by prediction, 10 is highest (% off)", &y_label],
    )
}

/// Spend since the cut, week by week.
pub fn tracking(tracked: &[Tracked], unit: &str) -> String {
    let most = tracked
        .iter()
        .fold(0.0_f64, |most, t| most.max(t.actual_cumulative).max(t.predicted_cumulative));
    let mut frame = Frame::new(most);
    let last = tracked.len().max(1) as f64;
    let line = |of: fn(&Tracked) -> f64| -> Vec<(f64, f64)> {
        let points = tracked.iter().map(|t| (t.period as f64 / last, of(t)));
        std::iter::once((0.0, 0.0)).chain(points).collect()
    };
    let (actual, predicted) = (line(|t| t.actual_cumulative), line(|t| t.predicted_cumulative));
    frame.line("line actual", &actual);
    frame.line("line predicted", &predicted);
    for (name, points) in [("actual", &actual), ("predicted", &predicted)] {
        if points.len() > DOTS_MAX {
            break;
        }
        for (at, (share, value)) in points.iter().enumerate().skip(1) {
            let says = format!("week {at}: {name} {} {unit}", number(*value, 0));
            frame.dot(name, *share, *value, &says);
        }
    }
    let step = WEEKS.into_iter().find(|step| tracked.len() / step <= 14).unwrap_or(520);
    for at in (0..=tracked.len()).step_by(step) {
        frame.tick(at as f64 / last, &at.to_string(), "");
    }
    let about = "Predicted and actual spend since the cut";
    let x_label = format!("Weeks since the cut (periods of {PERIOD_DAYS} days)");
    frame.svg(about, &x_label, &format!("Spend since the cut ({unit})"))
}
