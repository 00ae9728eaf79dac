use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::intervals::{BadOutcomes, Interval, IntervalTerms, Intervals, Outcome};
use crate::value::values::BadValues;

fn normal(rng: &mut impl Rng) -> f64 {
    let u: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// Customers as they are: most come to nothing, the others are log-normal, and the model sees only a part
/// of it. `off` is how many times too high its predictions are.
fn spend(rng: &mut ChaCha8Rng, off: f64) -> Outcome {
    let quality = normal(rng);
    let active = rng.random::<f64>() < 1.0 / (1.0 + (1.0 - 1.2 * quality).exp());
    let actual = if active { (3.0 + 0.6 * quality + 0.8 * normal(rng)).exp() } else { 0.0 };
    let seen = quality + 0.5 * normal(rng);
    let predicted = off * (1.5 + seen).exp();
    let group = (seen > -0.5) as u32 + (seen > 0.5) as u32;
    Outcome { customer: rng.random(), group, predicted, actual }
}

/// Counts of purchases: few distinct values, many ties.
fn count(rng: &mut ChaCha8Rng, _: f64) -> Outcome {
    let rate = (0.4 * normal(rng)).exp() * 2.0;
    let (mut actual, mut product) = (0.0, rng.random::<f64>());
    while product > (-rate).exp() {
        actual += 1.0;
        product *= rng.random::<f64>();
    }
    Outcome { customer: rng.random(), group: 0, predicted: rate, actual }
}

type World = fn(&mut ChaCha8Rng, f64) -> Outcome;

fn outcomes(world: World, off: f64, n: usize, rng: &mut ChaCha8Rng) -> Vec<Outcome> {
    (0..n).map(|_| world(rng, off)).collect()
}

fn covered(intervals: &Intervals, rows: &[Outcome], level: f64) -> f64 {
    let holds = |o: &&Outcome| {
        let i = intervals.interval(o.group, o.predicted, level).unwrap();
        i.lower <= o.actual && o.actual <= i.upper
    };
    rows.iter().filter(holds).count() as f64 / rows.len() as f64
}

#[test]
fn intervals_said_to_hold_95_in_100_hold_93_to_97_however_wrong_the_model() {
    for (seed, off) in [(1, 1.0), (2, 0.1), (3, 25.0), (4, 1.0)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let intervals =
            Intervals::fit(&outcomes(spend, off, 6_000, &mut rng), IntervalTerms::default())
                .unwrap();
        let new = outcomes(spend, off, 20_000, &mut rng);
        let share = covered(&intervals, &new, 0.95);
        assert!((0.93..=0.97).contains(&share), "seed {seed}: {share}");
        for group in 0..3 {
            let of: Vec<Outcome> = new.iter().copied().filter(|o| o.group == group).collect();
            let share = covered(&intervals, &of, 0.95);
            assert!((0.93..=0.98).contains(&share), "seed {seed}, group {group}: {share}");
        }
    }
}

#[test]
fn every_level_is_held_on_average_over_many_fits() {
    for level in [0.5, 0.8, 0.9, 0.95] {
        let (mut sum, fits) = (0.0, 40);
        for seed in 0..fits {
            let mut rng = ChaCha8Rng::seed_from_u64(100 + seed);
            let rows = outcomes(spend, 1.0, 2_000, &mut rng);
            let rows: Vec<_> = rows.into_iter().map(|o| Outcome { group: 0, ..o }).collect();
            let intervals = Intervals::fit(&rows, IntervalTerms::default()).unwrap();
            sum += covered(&intervals, &outcomes(spend, 1.0, 1_000, &mut rng), level);
        }
        let share = sum / fits as f64;
        // Zeros are one value for many customers: small intervals hold more than was asked for.
        let most = if level < 0.9 { 1.0 } else { level + 0.015 };
        assert!(share > level - 0.006 && share < most, "{level}: {share}");
    }
}

#[test]
fn few_rows_hold_their_promise_on_average_and_are_not_far_above_it() {
    let (mut held, mut rows) = (0, 0);
    for seed in 0..1_500 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let intervals =
            Intervals::fit(&outcomes(spend, 1.0, 120, &mut rng), IntervalTerms::default()).unwrap();
        for o in outcomes(spend, 1.0, 20, &mut rng) {
            let i = intervals.interval(0, o.predicted, 0.9).unwrap();
            held += u32::from(i.lower <= o.actual && o.actual <= i.upper);
            rows += 1;
        }
    }
    let share = f64::from(held) / f64::from(rows);
    assert!(share > 0.9 - 0.006 && share < 0.93, "{share}");
}

#[test]
fn counts_with_their_ties_are_held_too() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let intervals =
        Intervals::fit(&outcomes(count, 1.0, 6_000, &mut rng), IntervalTerms::default()).unwrap();
    let share = covered(&intervals, &outcomes(count, 1.0, 20_000, &mut rng), 0.95);
    assert!((0.93..=0.97).contains(&share), "{share}");
}

#[test]
fn a_confidence_is_what_the_bounds_turn_out_to_hold() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let intervals =
        Intervals::fit(&outcomes(spend, 1.0, 6_000, &mut rng), IntervalTerms::default()).unwrap();
    let new = outcomes(spend, 1.0, 20_000, &mut rng);
    for factor in [1.0, 3.0, 8.0] {
        let bounds = |o: &Outcome| Interval { lower: 0.0, upper: factor * o.predicted };
        let n = new.len() as f64;
        let said = new.iter().map(|o| intervals.confidence(o.group, o.predicted, bounds(o)));
        let said = said.sum::<f64>() / n;
        let held = new.iter().filter(|o| o.actual <= bounds(o).upper).count() as f64 / n;
        assert!(said < held + 0.01 && said > held - 0.12, "{factor}: said {said}, held {held}");
    }
    for level in [0.8, 0.95] {
        let own = intervals.interval(2, 30.0, level).unwrap();
        let said = intervals.confidence(2, 30.0, own);
        assert!((level - 0.01..level + 0.02).contains(&said), "{level}: said {said}");
    }

    let crossed = Interval { lower: 2.0, upper: 1.0 };
    assert_eq!(intervals.confidence(0, 5.0, crossed), 0.0);
}

#[test]
fn a_wider_level_has_a_wider_interval_and_one_that_cannot_be_promised_has_none() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let intervals =
        Intervals::fit(&outcomes(spend, 1.0, 60, &mut rng), IntervalTerms::default()).unwrap();
    let [narrow, wide] = [0.5, 0.9].map(|level| intervals.interval(0, 20.0, level).unwrap());
    assert!(wide.lower <= narrow.lower && wide.upper > narrow.upper);
    assert!(intervals.rows(0) < 60);
    for level in [0.999, 1.0, f64::NAN] {
        assert_eq!(intervals.interval(0, 20.0, level), None);
    }
}

#[test]
fn small_groups_are_taken_together_and_strangers_with_them() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut rows = outcomes(spend, 1.0, 4_000, &mut rng);
    rows.iter_mut().zip(0..).for_each(|(o, i)| o.group = if i % 4 == 0 { 10 + i % 37 } else { 1 });
    let intervals = Intervals::fit(&rows, IntervalTerms::default()).unwrap();
    let (large, small) = (intervals.rows(1), intervals.rows(10));
    assert!((1_350..1_650).contains(&large) && (400..600).contains(&small), "{large} {small}");
    assert_eq!((intervals.rows(11), intervals.rows(999)), (small, small));
}

#[test]
fn all_rows_of_a_customer_are_on_one_side_and_the_order_of_rows_changes_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let rows = outcomes(spend, 1.0, 500, &mut rng);
    let one = |customer| Outcome { customer, ..rows[0] };
    let same: Vec<Outcome> = (0..50).map(|_| one(7)).collect();
    let refused = Intervals::fit(&same, IntervalTerms::default());
    assert!(matches!(refused, Err(BadOutcomes::TooFew { shape: 0 | 50, .. })), "{refused:?}");
    let reversed: Vec<Outcome> = rows.iter().rev().copied().collect();
    let terms = IntervalTerms::default();
    assert_eq!(Intervals::fit(&rows, terms), Intervals::fit(&reversed, terms));
    let other = IntervalTerms { seed: 1, ..terms };
    assert_ne!(Intervals::fit(&rows, terms), Intervals::fit(&rows, other));
}

#[test]
fn rows_that_are_none_are_refused_and_intervals_come_back_from_their_json() {
    let row = |predicted, actual| Outcome { customer: 1, group: 0, predicted, actual };
    let fit = |rows: &[Outcome]| Intervals::fit(rows, IntervalTerms::default()).err();
    assert_eq!(fit(&[]), Some(BadValues::Empty.into()));
    assert_eq!(fit(&[row(1.0, -1.0)]), Some(BadValues::Negative { at: 0 }.into()));
    assert_eq!(fit(&[row(f64::NAN, 1.0)]), Some(BadValues::OutOfRange { at: 0 }.into()));
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    let intervals =
        Intervals::fit(&outcomes(spend, 1.0, 8_000, &mut rng), IntervalTerms::default()).unwrap();
    let json = serde_json::to_string(&intervals).unwrap();
    assert!(json.len() < 250_000, "{}", json.len());
    let back: Intervals = serde_json::from_str(&json).unwrap();
    let [one, two] = [&intervals, &back].map(|i| i.interval(2, 30.0, 0.95).unwrap());
    assert!((one.upper / two.upper - 1.0).abs() < 1e-12);
}
