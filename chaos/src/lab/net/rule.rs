//! What happens to what one host sends to another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const LATENCY_MAX: Duration = Duration::from_secs(60);
const BITS_PER_S: std::ops::RangeInclusive<u64> = 8_000..=100_000_000_000;
/// One packet has to fit; what waits is in memory.
const QUEUE_BYTES: std::ops::RangeInclusive<u32> = 1_600..=67_108_864;

/// The rule of a directed pair of hosts. Without one, everything passes at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Nothing passes, and nobody is told.
    pub partition: bool,
    /// What is TCP is answered with RST, to both ends.
    pub reset: bool,
    /// Probability that a packet is lost, 0 to 1.
    pub drop: f64,
    /// Probability that a packet arrives twice, 0 to 1.
    pub duplicate: f64,
    pub latency: Duration,
    /// Latency is even in `latency - jitter ..= latency + jitter`. Packets of a pair stay in their order, as on
    /// one path.
    pub jitter: Duration,
    pub bandwidth: Option<Bandwidth>,
}

/// A line that takes so much and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    pub bits_per_s: u64,
    /// What may wait for the line. What comes beyond it is lost.
    pub queue_bytes: u32,
}

impl Rule {
    pub fn partition() -> Rule {
        Rule { partition: true, ..Rule::default() }
    }

    pub fn reset() -> Rule {
        Rule { reset: true, ..Rule::default() }
    }

    pub fn slow(latency: Duration, jitter: Duration) -> Rule {
        Rule { latency, jitter, ..Rule::default() }
    }

    pub fn lossy(drop: f64) -> Rule {
        Rule { drop, ..Rule::default() }
    }

    pub fn narrow(bits_per_s: u64, queue_bytes: u32) -> Rule {
        let bandwidth = Some(Bandwidth { bits_per_s, queue_bytes });
        Rule { bandwidth, ..Rule::default() }
    }

    /// Whether its numbers are within what is allowed; the error names the member and its limits.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("drop", self.drop), ("duplicate", self.duplicate)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{name}: {value} is no probability: allowed are 0 to 1"));
            }
        }
        if self.latency > LATENCY_MAX {
            return Err(format!("latency: {:?} is more than {LATENCY_MAX:?}", self.latency));
        }
        if self.jitter > self.latency {
            return Err(format!(
                "jitter: {:?} is more than the latency of {:?}, so that packets would arrive before they were sent",
                self.jitter, self.latency
            ));
        }
        let Some(bandwidth) = self.bandwidth else { return Ok(()) };
        if !BITS_PER_S.contains(&bandwidth.bits_per_s) {
            return Err(format!(
                "bandwidth: {} bits/s: allowed are {} to {}",
                bandwidth.bits_per_s,
                BITS_PER_S.start(),
                BITS_PER_S.end()
            ));
        }
        if !QUEUE_BYTES.contains(&bandwidth.queue_bytes) {
            return Err(format!(
                "queue: {} bytes: allowed are {} to {}",
                bandwidth.queue_bytes,
                QUEUE_BYTES.start(),
                QUEUE_BYTES.end()
            ));
        }
        Ok(())
    }
}

/// What was done to what one host sent to another: packets on the relay, pieces of a stream on a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub forwarded: u64,
    pub bytes: u64,
    /// Of those forwarded.
    pub delayed: u64,
    /// Of those forwarded, the second copies.
    pub duplicated: u64,
    pub dropped: u64,
    pub partitioned: u64,
    pub reset: u64,
    /// Lost because too much waited already.
    pub overflowed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_their_limits_are_refused_by_name() {
        let ms = Duration::from_millis;
        for (rule, name) in [
            (Rule::lossy(f64::NAN), "drop"),
            (Rule::lossy(1.01), "drop"),
            (Rule { duplicate: -0.1, ..Rule::default() }, "duplicate"),
            (Rule::slow(ms(60_001), ms(0)), "latency"),
            (Rule::slow(ms(10), ms(11)), "jitter"),
            (Rule::narrow(1, 10_000), "bandwidth"),
            (Rule::narrow(1_000_000, 100), "queue"),
        ] {
            let refused = rule.check().unwrap_err();
            assert!(refused.starts_with(name), "{refused}");
        }
        for rule in [Rule::partition(), Rule::lossy(1.0), Rule::slow(ms(60_000), ms(60_000))] {
            assert_eq!(rule.check(), Ok(()));
        }
    }
}
