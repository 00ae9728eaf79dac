//! A customer's purchases up to a day, in figures.
//!
//! No figure is the age or the first day of a customer by itself: customers who came in one season would
//! let a network read the calendar out of their age, and what it learned would not hold a season later.

use super::groups::Group;
use crate::value::forecast::customer::Purchase;
use crate::value::log::amount::UNIT;
use crate::value::log::day::Day;

/// Figures per customer.
pub const FEATURES: usize = 32;

/// Windows of recent purchases, in weeks.
const WINDOWS: [f64; 4] = [4.0, 8.0, 13.0, 26.0];
/// Half-lives of fading sums, in weeks.
const HALF_LIVES: [f64; 3] = [3.0, 10.0, 26.0];
/// A day, in weeks: no time is taken for shorter where it divides.
const DAY: f64 = 1.0 / 7.0;
/// Rates are per this many weeks.
const QUARTER: f64 = 13.0;

/// Names of the figures and what they are about, in their order. All are ln(1 + figure) but the mean
/// (`typical_spend`) and the deviation (`spread`) of ln(1 + spend), and the last purchase's share of all
/// spend. Spend is in the unit of the network, time in weeks.
pub const NAMES: [(&str, Group); FEATURES] = [
    ("repeats", Group::Purchases),
    ("rate", Group::Purchases),
    ("since_last", Group::Recency),
    ("since_last_in_mean_gaps", Group::Recency),
    ("since_last_in_longest_gaps", Group::Recency),
    ("mean_gap", Group::Rhythm),
    ("gap_deviation", Group::Rhythm),
    ("longest_gap", Group::Rhythm),
    ("mean_spend", Group::BasketSize),
    ("last_spend", Group::BasketSize),
    ("largest_spend", Group::BasketSize),
    ("first_spend", Group::BasketSize),
    ("typical_spend", Group::BasketSize),
    ("spread", Group::BasketSize),
    ("total_spend", Group::TotalSpend),
    ("repeat_spend", Group::TotalSpend),
    ("repeat_spend_rate", Group::TotalSpend),
    ("purchases_4_weeks", Group::RecentPurchases),
    ("purchases_8_weeks", Group::RecentPurchases),
    ("purchases_13_weeks", Group::RecentPurchases),
    ("purchases_26_weeks", Group::RecentPurchases),
    ("fading_purchases_3_weeks", Group::RecentPurchases),
    ("fading_purchases_10_weeks", Group::RecentPurchases),
    ("fading_purchases_26_weeks", Group::RecentPurchases),
    ("spend_4_weeks", Group::RecentSpend),
    ("spend_8_weeks", Group::RecentSpend),
    ("spend_13_weeks", Group::RecentSpend),
    ("spend_26_weeks", Group::RecentSpend),
    ("fading_spend_3_weeks", Group::RecentSpend),
    ("fading_spend_10_weeks", Group::RecentSpend),
    ("fading_spend_26_weeks", Group::RecentSpend),
    ("share_of_last_spend", Group::BasketSize),
];

/// The purchases up to and on a day, in the order of their days: nothing later reaches a network.
pub fn known(purchases: &[Purchase], as_of: Day) -> &[Purchase] {
    &purchases[..purchases.partition_point(|p| p.day <= as_of)]
}

/// Weeks from one day to another, at least 0.
pub(super) fn weeks(from: Day, to: Day) -> f64 {
    (f64::from(to.number()) - f64::from(from.number())).max(0.0) * DAY
}

/// Spend in units of the network, at least 0.
pub(super) fn spend(purchase: &Purchase, unit: f64) -> f64 {
    (purchase.micros as f64).max(0.0) / UNIT as f64 / unit
}

/// The figures of a customer as of a day, from what is [`known`] then; `None` where nothing is. `unit` is the
/// network's unit of spend in units of the currency, above 0.
pub fn features(known: &[Purchase], as_of: Day, unit: f64) -> Option<[f32; FEATURES]> {
    let (first, last) = (known.first()?, known.last()?);
    let n = known.len() as f64;
    let repeats = n - 1.0;
    let (mut total, mut largest, mut logs, mut log_squares) = (0.0, 0.0_f64, 0.0, 0.0);
    let (mut gaps, mut gap_squares, mut longest) = (0.0, 0.0, 0.0_f64);
    let (mut recent, mut recent_spend) = ([0.0; 4], [0.0; 4]);
    let (mut fading, mut fading_spend) = ([0.0; 3], [0.0; 3]);
    let mut before = None;
    for purchase in known {
        let (of, ago) = (spend(purchase, unit), weeks(purchase.day, as_of));
        total += of;
        largest = largest.max(of);
        logs += of.ln_1p();
        log_squares += of.ln_1p().powi(2);
        if let Some(before) = before.replace(purchase.day) {
            let gap = weeks(before, purchase.day);
            gaps += gap;
            gap_squares += gap * gap;
            longest = longest.max(gap);
            for (k, window) in WINDOWS.iter().enumerate() {
                if ago < *window {
                    recent[k] += 1.0;
                    recent_spend[k] += of;
                }
            }
        }
        for (k, half_life) in HALF_LIVES.iter().enumerate() {
            let weight = (-ago / half_life).exp2();
            fading[k] += weight;
            fading_spend[k] += weight * of;
        }
    }
    let age = weeks(first.day, as_of);
    let since = weeks(last.day, as_of);
    let (first_spend, last_spend) = (spend(first, unit), spend(last, unit));
    let some = repeats.max(1.0);
    let mean_gap = gaps / some;
    let repeat_spend = total - first_spend;
    let in_gaps = |gap: f64| if repeats > 0.0 { (since / gap.max(DAY)).ln_1p() } else { 0.0 };
    let deviation =
        |squares: f64, sum: f64, n: f64| (squares / n - (sum / n).powi(2)).max(0.0).sqrt();
    let per_quarter = QUARTER / age.max(1.0);
    let ln = f64::ln_1p;
    let figures: [f64; FEATURES] = [
        ln(repeats),
        ln(repeats * per_quarter),
        ln(since),
        in_gaps(mean_gap),
        in_gaps(longest),
        ln(mean_gap),
        ln(deviation(gap_squares, gaps, some)),
        ln(longest),
        ln(total / n),
        ln(last_spend),
        ln(largest),
        ln(first_spend),
        logs / n,
        deviation(log_squares, logs, n),
        ln(total),
        ln(repeat_spend.max(0.0)),
        ln(repeat_spend.max(0.0) * per_quarter),
        ln(recent[0]),
        ln(recent[1]),
        ln(recent[2]),
        ln(recent[3]),
        ln(fading[0]),
        ln(fading[1]),
        ln(fading[2]),
        ln(recent_spend[0]),
        ln(recent_spend[1]),
        ln(recent_spend[2]),
        ln(recent_spend[3]),
        ln(fading_spend[0]),
        ln(fading_spend[1]),
        ln(fading_spend[2]),
        last_spend / total.max(1e-9),
    ];
    Some(figures.map(|figure| figure as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bought(day: i32, units: i64) -> Purchase {
        Purchase { day: Day::new(day).unwrap(), micros: units * UNIT }
    }

    fn figure(of: &[f32; FEATURES], name: &str) -> f64 {
        let at = NAMES.iter().position(|(other, _)| *other == name).unwrap();
        f64::from(of[at])
    }

    /// Purchases of weeks 0, 2 and 8, seen from week 10.
    #[test]
    fn figures_are_what_their_names_say() {
        let all = [bought(0, 10), bought(14, 30), bought(56, 20), bought(71, 99)];
        let as_of = Day::new(70).unwrap();
        let of = features(known(&all, as_of), as_of, 1.0).unwrap();
        for (name, logged) in [
            ("repeats", 2.0),
            ("rate", 2.0 * 13.0 / 10.0),
            ("since_last", 2.0),
            ("since_last_in_mean_gaps", 2.0 / 4.0),
            ("since_last_in_longest_gaps", 2.0 / 6.0),
            ("mean_gap", 4.0),
            ("gap_deviation", 2.0),
            ("longest_gap", 6.0),
            ("mean_spend", 20.0),
            ("last_spend", 20.0),
            ("largest_spend", 30.0),
            ("first_spend", 10.0),
            ("total_spend", 60.0),
            ("repeat_spend", 50.0),
            ("repeat_spend_rate", 65.0),
            ("purchases_4_weeks", 1.0),
            ("purchases_13_weeks", 2.0),
            ("spend_8_weeks", 20.0),
            ("fading_purchases_10_weeks", 0.5 + 0.5_f64.powf(0.8) + 0.5_f64.powf(0.2)),
        ] {
            let found = figure(&of, name).exp_m1();
            assert!((found - logged).abs() < 1e-4, "{name}: {found} {logged}");
        }
        assert!((figure(&of, "share_of_last_spend") - 1.0 / 3.0).abs() < 1e-6);
        let logs = [11.0_f64, 31.0, 21.0].map(f64::ln);
        assert!((figure(&of, "typical_spend") - logs.iter().sum::<f64>() / 3.0).abs() < 1e-5);
    }

    #[test]
    fn names_are_distinct_and_nothing_is_said_of_who_bought_nothing() {
        let mut names = NAMES.map(|(name, _)| name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FEATURES);
        let before = Day::new(-1).unwrap();
        assert_eq!(features(known(&[bought(0, 1)], before), before, 1.0), None);
    }
}
