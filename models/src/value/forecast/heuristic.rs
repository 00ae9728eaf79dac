//! The answer where there is no model at all.

use super::answer::{Contribution, Forecast, Status};
use super::hint::Hint;

/// A year, in days.
const YEAR: f64 = 365.25;
/// Annual spend of somebody of whom nothing is known, in units of the currency.
const SPEND_UNKNOWN: f64 = 50.0;
/// Engagement of whom nothing is said.
const ENGAGEMENT_UNKNOWN: f64 = 0.5;

/// A rule of thumb, marked as such ([`Status::Fallback`], confidence 0): who spent so much spends in a year
/// the part of it that the engagement says (half of it where nothing is said), shorter horizons in proportion.
/// Bounds are from nothing to ten times that: nobody measured them.
///
/// `value = spend · engagement · days / 365.25`, with a spend of 50 where none is said.
pub fn heuristic(hint: &Hint, horizon_days: u32) -> Forecast {
    let part = f64::from(horizon_days) / YEAR;
    let spend = hint.spend().unwrap_or(SPEND_UNKNOWN);
    let engagement = hint.engagement().unwrap_or(ENGAGEMENT_UNKNOWN);
    let of = |spend: f64, engagement: f64| spend * engagement * part;
    let (value, baseline) = (of(spend, engagement), of(SPEND_UNKNOWN, ENGAGEMENT_UNKNOWN));
    // Shapley values of two inputs: the mean over both orders.
    let by_spend =
        (of(spend, ENGAGEMENT_UNKNOWN) - baseline + value - of(SPEND_UNKNOWN, engagement)) / 2.0;
    let contributions = vec![
        Contribution { name: "spend", value: by_spend },
        Contribution { name: "engagement_score", value: value - baseline - by_spend },
    ];
    let p_active = (engagement * part.min(1.0)).clamp(0.0, 1.0);
    Forecast {
        value,
        lower: 0.0,
        upper: 10.0 * value.max(baseline),
        confidence: 0.0,
        purchases: p_active,
        p_active,
        status: Status::Fallback,
        baseline,
        contributions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_thumb_is_marked_and_adds_up() {
        let hint = Hint { spend: Some(500.0), engagement: Some(0.85) };
        for (hint, days) in [(hint, 365), (Hint::NONE, 90), (Hint { engagement: None, ..hint }, 1)]
        {
            let of = heuristic(&hint, days);
            assert_eq!((of.status, of.confidence, of.lower), (Status::Fallback, 0.0, 0.0));
            let sum: f64 = of.contributions.iter().map(|c| c.value).sum();
            assert!((of.baseline + sum - of.value).abs() < 1e-9 && of.value <= of.upper);
        }
        assert!((heuristic(&hint, 365).value / (425.0 * 365.0 / 365.25) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_out_of_range_counts_as_not_said() {
        let none = heuristic(&Hint::NONE, 90);
        for (spend, engagement) in [(f64::NAN, 2.0), (-5.0, f64::NAN), (f64::INFINITY, -0.1)] {
            let hint = Hint { spend: Some(spend), engagement: Some(engagement) };
            assert_eq!(heuristic(&hint, 90), none);
        }
    }
}
