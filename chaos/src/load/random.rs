//! What a client does, drawn from a stream of its own: a function of seed and client, and of nothing that it is told.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::kind::Kind;
use crate::history::Micros;

pub struct Stream(ChaCha8Rng);

impl Stream {
    pub fn of(seed: u64, kind: Kind, client: u32) -> Stream {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..12].copy_from_slice(&client.to_le_bytes());
        key[12] = kind as u8;
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// The time to the next arrival of a Poisson process.
    pub fn gap(&mut self, rate: f64) -> Duration {
        // 1 - u is never 0, so the logarithm is finite.
        let u: f64 = self.0.random();
        Duration::from_secs_f64((-(1.0 - u).ln() / rate).min(86_400.0))
    }

    pub fn chance(&mut self, part: f64) -> bool {
        self.0.random::<f64>() < part
    }

    pub fn part(&mut self) -> f64 {
        self.0.random()
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n.max(1))
    }

    pub fn amount(&mut self, least: Micros, most: Micros) -> Micros {
        self.0.random_range(least..=most.max(least))
    }

    pub fn within(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.0.random())
    }
}

/// Which of n things, the first ones more often.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// Sums of the weights, the last one 1.
    sums: Vec<f64>,
}

impl Zipf {
    pub fn new(n: usize, skew: f64) -> Zipf {
        let weights = (1..=n.max(1)).map(|k| (k as f64).powf(-skew));
        let mut sums: Vec<f64> = weights
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let all = sums.last().copied().unwrap_or(1.0);
        sums.iter_mut().for_each(|sum| *sum /= all);
        Zipf { sums }
    }

    pub fn draw(&self, stream: &mut Stream) -> usize {
        let u = stream.part();
        self.sums.partition_point(|sum| *sum <= u).min(self.sums.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u64, kind: Kind, client: u32) -> Vec<u128> {
        let mut stream = Stream::of(seed, kind, client);
        (0..20).map(|_| stream.gap(10.0).as_nanos()).collect()
    }

    #[test]
    fn a_stream_is_of_its_seed_kind_and_client() {
        let one = first(7, Kind::Budget, 3);
        assert_eq!(one, first(7, Kind::Budget, 3));
        for other in [(8, Kind::Budget, 3), (7, Kind::Spend, 3), (7, Kind::Budget, 4)] {
            assert_ne!(one, first(other.0, other.1, other.2));
        }
    }

    #[test]
    fn arrivals_come_at_their_rate() {
        let mut stream = Stream::of(1, Kind::Budget, 0);
        let all: Duration = (0..20_000).map(|_| stream.gap(50.0)).sum();
        assert!((390.0..410.0).contains(&all.as_secs_f64()), "{all:?}");
    }

    #[test]
    fn the_first_is_drawn_as_often_as_the_law_says() {
        let (zipf, mut stream) = (Zipf::new(4, 1.0), Stream::of(1, Kind::Budget, 0));
        let mut drawn = [0u32; 4];
        for _ in 0..25_000 {
            drawn[zipf.draw(&mut stream)] += 1;
        }
        // 1, 1/2, 1/3 and 1/4 of 25/12
        for (count, want) in drawn.iter().zip([12_000, 6_000, 4_000, 3_000]) {
            assert!(count.abs_diff(want) < want / 10, "{drawn:?}");
        }
    }
}
