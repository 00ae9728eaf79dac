//! What happens to notices on their way, by chance: on time, late, twice, or not at all.

use std::time::Duration;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::models::flow::notice::Kind;

/// What was to become of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    OnTime,
    Late,
    /// Called again after it was answered.
    Duplicated,
    /// Never called.
    Lost,
}

/// How often notices go astray, as parts of one that sum up to at most one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    pub late: f64,
    pub duplicated: f64,
    pub lost: f64,
    /// Mean delay of late ones.
    pub late_by: Duration,
}

/// When a notice is called, after its auction; a second time after the first was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub fate: Fate,
    pub after: Duration,
    pub again_after: Option<Duration>,
}

impl Faults {
    /// The fate of one notice.
    pub fn plan(&self, kind: Kind, rng: &mut impl Rng) -> Plan {
        let ms = |rng: &mut dyn Rng, from: u64, to: u64| {
            Duration::from_millis(rng.random_range(from..=to))
        };
        // All is drawn in any case: another share of late ones moves nothing else.
        let (chance, spread) = (rng.random::<f64>(), rng.random_range(0.5..1.5));
        let soon = match kind {
            Kind::Win | Kind::Loss => ms(rng, 1, 50),
            // A billing comes when the impression was seen.
            Kind::Billing => ms(rng, 100, 2_000),
        };
        let again = ms(rng, 1, 3_000);
        let (fate, after) = if chance < self.lost {
            (Fate::Lost, soon)
        } else if chance < self.lost + self.late {
            (Fate::Late, soon + self.late_by.mul_f64(spread))
        } else if chance < self.lost + self.late + self.duplicated {
            (Fate::Duplicated, soon)
        } else {
            (Fate::OnTime, soon)
        };
        Plan { fate, after, again_after: (fate == Fate::Duplicated).then_some(again) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::market::rng_of;
    use super::*;

    #[test]
    fn fates_come_as_often_as_was_asked_for_and_the_same_for_a_seed() {
        let late_by = Duration::from_secs(10);
        let faults = Faults { late: 0.1, duplicated: 0.05, lost: 0.02, late_by };
        let plans = || -> Vec<Plan> {
            (0..20_000).map(|nth| faults.plan(Kind::Billing, &mut rng_of(3, nth))).collect()
        };
        let drawn = plans();
        assert_eq!(drawn, plans());
        for (fate, share) in
            [(Fate::Late, 0.1), (Fate::Duplicated, 0.05), (Fate::Lost, 0.02), (Fate::OnTime, 0.83)]
        {
            let part = drawn.iter().filter(|plan| plan.fate == fate).count() as f64 / 20_000.0;
            assert!((part - share).abs() < 0.01, "{fate:?} {part}");
        }
        let late = drawn.iter().filter(|plan| plan.fate == Fate::Late);
        assert!(late.clone().all(|plan| plan.after >= late_by / 2 && plan.after <= late_by * 2));
        assert!(drawn.iter().all(|p| p.again_after.is_some() == (p.fate == Fate::Duplicated)));
        let none = Faults { late: 0.0, duplicated: 0.0, lost: 0.0, late_by };
        assert_eq!(none.plan(Kind::Win, &mut rng_of(3, 0)).fate, Fate::OnTime);
        let all = Faults { lost: 1.0, ..none };
        assert_eq!(all.plan(Kind::Win, &mut rng_of(3, 0)).fate, Fate::Lost);
    }
}
