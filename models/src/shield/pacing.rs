//! How a budget should be spread over its schedule: data for bidders and people, never a cap.

use serde::{Deserialize, Serialize};

use super::money::Micros;

/// The planned curve of spending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// The same every hour.
    #[default]
    Even,
    /// As fast as the market allows: all of it is due at once.
    Accelerated,
    /// More at first: after a share x of the time, 1 − (1 − x)² of the budget is due.
    FrontLoaded,
}

/// Where spending stands against its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// No schedule with an end, so no plan to compare with.
    Unplanned,
    Behind,
    OnTrack,
    Ahead,
}

/// The plan of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What should be spent by now.
    pub due: Micros,
    pub standing: Standing,
}

/// Parts per million of the budget that are due after `elapsed` of `length` (both micros of time).
fn due_ppm(pacing: Pacing, elapsed_us: i64, length_us: i64) -> i64 {
    const ONE: i128 = 1_000_000;
    if length_us <= 0 {
        return ONE as i64;
    }
    let x = (i128::from(elapsed_us.clamp(0, length_us)) * ONE) / i128::from(length_us);
    let due = match pacing {
        Pacing::Even => x,
        Pacing::Accelerated => ONE,
        Pacing::FrontLoaded => ONE - (ONE - x) * (ONE - x) / ONE,
    };
    due as i64
}

/// Compares `spent` with what is due at `now_us` of a schedule; within 5% of the budget is on track.
pub fn plan(
    pacing: Pacing,
    funded: Micros,
    spent: Micros,
    schedule: (Option<i64>, Option<i64>),
    now_us: i64,
) -> Plan {
    let (Some(start), Some(end)) = schedule else {
        return Plan { due: Micros::ZERO, standing: Standing::Unplanned };
    };
    let ppm = due_ppm(pacing, now_us.saturating_sub(start), end.saturating_sub(start));
    let due = Micros((i128::from(funded.0) * i128::from(ppm) / 1_000_000) as i64);
    let tolerance = Micros(funded.0 / 20);
    let standing = match () {
        () if spent + tolerance < due => Standing::Behind,
        () if spent > due + tolerance => Standing::Ahead,
        () => Standing::OnTrack,
    };
    Plan { due, standing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curves_begin_at_nothing_and_end_at_everything() {
        for pacing in [Pacing::Even, Pacing::FrontLoaded] {
            assert_eq!(due_ppm(pacing, 0, 100), 0);
            assert_eq!(due_ppm(pacing, 100, 100), 1_000_000);
            assert_eq!(due_ppm(pacing, 500, 100), 1_000_000);
        }
        assert_eq!(due_ppm(Pacing::Even, 25, 100), 250_000);
        assert_eq!(due_ppm(Pacing::FrontLoaded, 50, 100), 750_000);
        assert_eq!(due_ppm(Pacing::Accelerated, 0, 100), 1_000_000);
    }

    #[test]
    fn standing_tells_ahead_from_behind_within_five_percent() {
        let at = |spent| plan(Pacing::Even, Micros(1_000), Micros(spent), (Some(0), Some(100)), 50);
        assert_eq!(at(500).due, Micros(500));
        assert_eq!(at(449).standing, Standing::Behind);
        assert_eq!(at(455).standing, Standing::OnTrack);
        assert_eq!(at(551).standing, Standing::Ahead);
        let open = plan(Pacing::Even, Micros(1_000), Micros(1), (Some(0), None), 50);
        assert_eq!(open.standing, Standing::Unplanned);
    }
}
