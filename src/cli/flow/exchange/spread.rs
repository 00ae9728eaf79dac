//! Latencies by logarithmic buckets, each 2% wide: as many as there are in a run, in 8 kB.

use std::time::Duration;

use serde::Serialize;

const BUCKETS: usize = 1_000;
/// Of neighbours.
const RATIO: f64 = 1.02;

#[derive(Clone, Debug)]
pub struct Spread {
    counts: Vec<u64>,
    max_us: u64,
}

/// Upper ends of the buckets that the percentiles are in, in microseconds; at most 2% too high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Spread { counts: vec![0; BUCKETS], max_us: 0 }
    }
}

impl Spread {
    pub fn record(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = ((us.max(1) as f64).ln() / RATIO.ln()).ceil() as usize;
        if let Some(count) = self.counts.get_mut(at.min(BUCKETS - 1)) {
            *count += 1;
        }
        self.max_us = self.max_us.max(us);
    }

    fn at(&self, share: f64) -> u64 {
        let total: u64 = self.counts.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        });
        let end = found.map_or(0, |at| RATIO.powi(at as i32) as u64);
        end.min(self.max_us)
    }

    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50_us: self.at(0.50),
            p90_us: self.at(0.90),
            p99_us: self.at(0.99),
            max_us: self.max_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_two_percent() {
        let mut spread = Spread::default();
        assert_eq!(spread.percentiles(), Percentiles::default());
        for us in 1..=10_000 {
            spread.record(Duration::from_micros(us));
        }
        let shown = spread.percentiles();
        for (shown, exact) in
            [(shown.p50_us, 5_000.0), (shown.p90_us, 9_000.0), (shown.p99_us, 9_900.0)]
        {
            assert!((shown as f64 / exact - 1.0).abs() < 0.021, "{shown} {exact}");
        }
        assert_eq!(shown.max_us, 10_000);
        spread.record(Duration::from_secs(1 << 40));
        assert_eq!(spread.percentiles().p50_us, shown.p50_us);
    }
}
