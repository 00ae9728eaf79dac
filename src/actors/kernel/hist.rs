//! A latency histogram of one writer and any number of readers: fixed log2 buckets, no locks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use serde::Serialize;

const BUCKETS: usize = 32;
/// The first bucket ends at 256 ns, the last begins at 2^38 ns (275 s).
const SHIFT: u32 = 7;

pub(super) struct Hist {
    buckets: [AtomicU32; BUCKETS],
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
}

/// Percentiles of a histogram in microseconds, interpolated inside buckets that double in width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Latency {
    /// How many were measured (short handlers are sampled).
    pub samples: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

/// A copy that can be added to others, for sums over actors of one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    buckets: [u64; BUCKETS],
    sum_ns: u64,
    max_ns: u64,
}

impl Hist {
    pub fn new() -> Self {
        Self {
            buckets: [const { AtomicU32::new(0) }; BUCKETS],
            sum_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
        }
    }

    /// Only the owning actor calls this: plain loads and stores are enough with one writer.
    pub fn record(&self, ns: u64) {
        let bucket = &self.buckets[bucket_of(ns)];
        bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
        self.sum_ns.store(self.sum_ns.load(Relaxed).wrapping_add(ns), Relaxed);
        if ns > self.max_ns.load(Relaxed) {
            self.max_ns.store(ns, Relaxed);
        }
    }

    pub fn counts(&self) -> Counts {
        Counts {
            buckets: std::array::from_fn(|i| u64::from(self.buckets[i].load(Relaxed))),
            sum_ns: self.sum_ns.load(Relaxed),
            max_ns: self.max_ns.load(Relaxed),
        }
    }

    pub fn mean_ns(&self) -> u64 {
        let counts = self.counts();
        counts.sum_ns.checked_div(counts.samples()).unwrap_or(0)
    }
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    pub fn samples(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub fn latency(&self) -> Latency {
        let samples = self.samples();
        if samples == 0 {
            return Latency::default();
        }
        let us = |ns: f64| (ns / 10.0).round() / 100.0;
        Latency {
            samples,
            mean_us: us(self.sum_ns as f64 / samples as f64),
            p50_us: us(self.percentile(samples, 0.50)),
            p90_us: us(self.percentile(samples, 0.90)),
            p99_us: us(self.percentile(samples, 0.99)),
            max_us: us(self.max_ns as f64),
        }
    }

    fn percentile(&self, samples: u64, q: f64) -> f64 {
        let rank = (q * samples as f64).ceil().max(1.0);
        let mut below = 0.0;
        for (i, &count) in self.buckets.iter().enumerate() {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                let low = if i == 0 { 0.0 } else { (1u64 << (i as u32 + SHIFT)) as f64 };
                let high = ((1u64 << (i as u32 + SHIFT + 1)) as f64).min(self.max_ns.max(1) as f64);
                return low + (high - low).max(0.0) * (rank - below) / count;
            }
            below += count;
        }
        self.max_ns as f64
    }
}

fn bucket_of(ns: u64) -> usize {
    let log2 = 63 - (ns | 1).leading_zeros();
    (log2.saturating_sub(SHIFT) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_the_width_of_a_bucket() {
        let hist = Hist::new();
        (1..=1_000u64).for_each(|us| hist.record(us * 1_000));
        let latency = hist.counts().latency();
        assert_eq!(latency.samples, 1_000);
        assert!((400.0..600.0).contains(&latency.p50_us), "{latency:?}");
        assert!((900.0..=1_000.0).contains(&latency.p99_us), "{latency:?}");
        assert_eq!(latency.max_us, 1_000.0);
    }

    #[test]
    fn every_duration_has_a_bucket() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(255), 0);
        assert_eq!(bucket_of(256), 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }
}
