//! A customer's last purchases one by one, as the recurrent unit reads them.

use super::features::{spend, weeks};
use crate::value::forecast::customer::Purchase;
use crate::value::log::day::Day;

/// Figures of an event: ln(1 + weeks since the purchase before), ln(1 + spend), ln(1 + weeks up to the day
/// of the question).
pub const FIGURES: usize = 3;

pub type Event = [f32; FIGURES];

/// Appends the last `events_max` purchases, the oldest first, and returns their number.
pub fn append(
    events: &mut Vec<Event>,
    known: &[Purchase],
    as_of: Day,
    unit: f64,
    events_max: usize,
) -> usize {
    let from = known.len().saturating_sub(events_max);
    for (at, purchase) in known.iter().enumerate().skip(from) {
        let before = at.checked_sub(1).and_then(|before| known.get(before));
        let gap = before.map_or(0.0, |before| weeks(before.day, purchase.day));
        let (of, ago) = (spend(purchase, unit), weeks(purchase.day, as_of));
        events.push([gap, of, ago].map(|figure| figure.ln_1p() as f32));
    }
    known.len() - from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::log::amount::UNIT;

    #[test]
    fn the_last_events_come_in_their_order_with_the_gap_before_each() {
        let bought =
            |day: i32, units: i64| Purchase { day: Day::new(day).unwrap(), micros: units * UNIT };
        let all = [bought(0, 10), bought(14, 30), bought(56, 20)];
        let mut events = Vec::new();
        assert_eq!(append(&mut events, &all, Day::new(70).unwrap(), 10.0, 2), 2);
        assert_eq!(append(&mut events, &all, Day::new(56).unwrap(), 10.0, 9), 3);
        let found: Vec<[f32; 3]> = events.iter().map(|event| event.map(f32::exp_m1)).collect();
        let wanted =
            [[2.0, 3.0, 8.0], [6.0, 2.0, 2.0], [0.0, 1.0, 8.0], [2.0, 3.0, 6.0], [6.0, 2.0, 0.0]];
        for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
        }
    }
}
