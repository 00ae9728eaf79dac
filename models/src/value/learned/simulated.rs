//! Customers who buy at rates of their own until they leave, for tests.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::value::forecast::customer::{Purchase, merged};
use crate::value::log::day::Day;

pub fn day(number: i32) -> Day {
    Day::new(number).unwrap()
}

/// Customers who come in the first 90 days and are watched for 400; the day 0 is 2000-01-01.
pub const BEGIN: i32 = 10_957;

pub fn customers(n: usize, seed: u64) -> Vec<Vec<Purchase>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut exponential =
        |rng: &mut ChaCha8Rng, mean: f64| -> f64 { -mean * (1.0 - rng.random::<f64>()).ln() };
    let one = |rng: &mut ChaCha8Rng, exponential: &mut dyn FnMut(&mut ChaCha8Rng, f64) -> f64| {
        let first = rng.random_range(0.0..90.0);
        let gap = 7.0 + exponential(rng, 90.0);
        let life = exponential(rng, 250.0);
        let typical = 10.0 + exponential(rng, 30.0);
        let (mut at, mut all) = (first, Vec::new());
        while at < 400.0 && at - first <= life {
            let spend = typical * (0.5 + rng.random::<f64>());
            all.push(Purchase { day: day(BEGIN + at as i32), micros: (spend * 1e6) as i64 });
            at += exponential(rng, gap);
        }
        merged(all)
    };
    (0..n).map(|_| one(&mut rng, &mut exponential)).collect()
}

pub fn slices(customers: &[Vec<Purchase>]) -> Vec<&[Purchase]> {
    customers.iter().map(Vec::as_slice).collect()
}
