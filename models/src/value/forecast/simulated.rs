//! Customers who buy by a known process, for tests.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::customer::{Customer, Purchase, merged};
use crate::value::log::day::Day;

fn exponential(rng: &mut impl Rng) -> f64 {
    -rng.random_range(f64::MIN_POSITIVE..1.0_f64).ln()
}

fn normal(rng: &mut impl Rng) -> f64 {
    let u: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// The first day of all.
pub fn start() -> Day {
    Day::any("2024-01-01").unwrap()
}

/// So many days after the start.
pub fn day(after: i32) -> Day {
    Day::new(start().number() + after).unwrap()
}

/// Customers who begin within the first `joining` days, and buy until `end`: log-normal rates of about one purchase
/// in eight weeks, one in twelve leaves after each, log-normal amounts of their own.
pub fn customers(seed: u64, n: usize, joining: i32, end: i32) -> Vec<Customer> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut all = Vec::with_capacity(n);
    for at in 0..n {
        let rate = (normal(&mut rng) - 4.4).exp();
        let usual = (3.0 + 0.5 * normal(&mut rng)).exp();
        let mut time = f64::from(rng.random_range(0..joining));
        let mut purchases = Vec::new();
        while time < f64::from(end) {
            let amount = usual * (0.4 * normal(&mut rng)).exp();
            let micros = (amount * 100.0).round() as i64 * 10_000;
            purchases.push(Purchase { day: day(time as i32), micros });
            if rng.random::<f64>() < 1.0 / 12.0 {
                break;
            }
            time += exponential(&mut rng) / rate;
        }
        all.push(Customer { id: format!("c{at}").into(), purchases: merged(purchases) });
    }
    all
}
