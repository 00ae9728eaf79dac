use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::crossed::crossed;
use super::judged::{EvaluateError, Holdout, by_period, judged, periods};
use super::temporal::temporal;
use crate::value::forecast::customer::{Customer, Input, Purchase, merged};
use crate::value::forecast::model::ValueModel;
use crate::value::forecast::simulated::{customers, day};
use crate::value::forecast::terms::FitTerms;
use crate::value::learned::terms::LearnTerms;
use crate::value::log::day::Day;
use crate::value::log::format::Format;
use crate::value::log::rows::Rows;
use crate::value::registry::version::Kind;

fn quick(kind: Kind) -> FitTerms {
    let learn = LearnTerms { ensemble: 1, epochs_max: 4, ..LearnTerms::default() };
    FitTerms { learn, ..FitTerms::new(kind, day(0), 1) }
}

/// The published sample.
fn sample() -> Vec<Customer> {
    let bytes: &[u8] = include_bytes!("../../../../tests/data/cdnow_sample.txt");
    let mut all: std::collections::BTreeMap<Box<str>, Vec<Purchase>> = Default::default();
    for row in Rows::new(bytes, Format::CdnowSample, Day::any("1998-06-30").unwrap()) {
        let of = row.unwrap().unwrap();
        all.entry(of.customer).or_default().push(Purchase { day: of.day, micros: of.amount });
    }
    all.into_iter().map(|(id, of)| Customer { id, purchases: merged(of) }).collect()
}

/// The same past; everything after the cut is dealt anew among customers, days and amounts.
fn other_future(of: &[Customer], holdout: Holdout, seed: u64) -> Vec<Customer> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut future: Vec<Purchase> = of.iter().flat_map(|c| holdout.sides(c).1.to_vec()).collect();
    future.shuffle(&mut rng);
    let mut all: Vec<Customer> = of
        .iter()
        .map(|c| Customer { id: c.id.clone(), purchases: holdout.sides(c).0.to_vec() })
        .collect();
    let days = holdout.days() as i32;
    for purchase in future {
        let day = Day::new(holdout.cut.number() + rng.random_range(1..=days)).unwrap();
        let at = rng.random_range(0..all.len());
        all[at].purchases.push(Purchase { day, micros: purchase.micros * rng.random_range(1..50) });
    }
    // Nobody new comes, and everybody's purchases are in order again.
    all.into_iter().map(|c| Customer { id: c.id, purchases: merged(c.purchases) }).collect()
}

#[test]
fn whatever_comes_after_the_cut_the_forecasts_are_the_same() {
    let holdout = Holdout::new(day(270), day(360)).unwrap();
    let all = customers(11, 700, 120, 360);
    let other = other_future(&all, holdout, 12);
    for kind in [Kind::BgNbd, Kind::Blend] {
        let run = |of: &[Customer]| {
            let (evaluation, model) = temporal(of, holdout, &quick(kind), &mut |_| ()).unwrap();
            let known: Vec<&Customer> =
                of.iter().filter(|c| !holdout.sides(c).0.is_empty()).collect();
            let rows = judged(&model, &known, holdout);
            let forecasts: Vec<_> = rows.into_iter().map(|r| (r.id, r.forecast)).collect();
            (model.to_bytes().unwrap(), forecasts, evaluation.spend.actual_total)
        };
        let ((bytes, forecasts, total), (other_bytes, other_forecasts, other_total)) =
            (run(&all), run(&other));
        assert_eq!(bytes, other_bytes, "{kind:?}");
        assert_eq!(forecasts, other_forecasts, "{kind:?}");
        assert!(total != other_total, "the futures do differ");
    }
}

#[test]
fn what_judged_customers_buy_after_the_cut_changes_nothing_of_what_is_said_of_them() {
    let holdout = Holdout::new(day(200), day(300)).unwrap();
    let all = customers(13, 300, 100, 300);
    let kept = |of: &Customer| of.id.len().is_multiple_of(2);
    let others: Vec<Customer> = all.iter().filter(|c| kept(c)).cloned().collect();
    let terms = FitTerms { cut: holdout.end, horizon_days: 100, ..quick(Kind::BgNbd) };
    let (model, _) = ValueModel::fit(&others, &terms, &mut |_| ()).unwrap();
    for of in all.iter().filter(|c| !kept(c) && !holdout.sides(c).0.is_empty()) {
        let whole = Input { purchases: &of.purchases, as_of: holdout.cut };
        let known = Input { purchases: holdout.sides(of).0, as_of: holdout.cut };
        assert_eq!(model.predict(&[whole], 100), model.predict(&[known], 100));
    }
}

#[test]
fn the_published_figures_of_the_sample_are_met() {
    let day = |text| Day::any(text).unwrap();
    let holdout = Holdout::new(day("1997-09-30"), day("1998-06-30")).unwrap();
    let all = sample();
    let run = |kind| {
        let terms = FitTerms { rounded: true, ..quick(kind) };
        temporal(&all, holdout, &terms, &mut |_| ()).unwrap().0
    };
    let bg = run(Kind::BgNbd);
    let near = |got: Option<f64>, want: f64, off: f64| {
        let got = got.unwrap();
        assert!((got - want).abs() <= off, "{got} {want}");
    };
    assert_eq!((bg.customers, bg.folds), (2_357, 0));
    near(Some(bg.purchases.mae), 0.7855, 1e-4);
    near(Some(bg.purchases.rmse), 1.608, 1e-3);
    near(bg.purchases.normalised_gini, 0.6624, 1e-3);
    near(Some(bg.purchases.decile_mape), 0.188, 5e-3);
    near(bg.purchases.activity_auc, 0.7725, 5e-3);
    let pareto = run(Kind::ParetoNbd);
    near(Some(pareto.purchases.mae), 0.7545, 1e-4);
    near(Some(pareto.purchases.rmse), 1.6028, 1e-3);
    near(pareto.purchases.normalised_gini, 0.6726, 1e-3);
    for of in [&bg, &pareto] {
        assert!((0.93..=0.97).contains(&of.coverage.covered), "{:?}", of.coverage);
        let last = of.tracking.last().unwrap();
        assert!((last.predicted_cumulative / of.spend.predicted_total - 1.0).abs() < 1e-9);
        assert!((last.actual_cumulative / of.spend.actual_total - 1.0).abs() < 1e-9);
        let zero = of.baselines.iter().find(|b| b.name == "zero").unwrap();
        assert_eq!((zero.scores.decile_mape, of.baselines.len()), (1.0, 4));
    }
}

#[test]
fn every_customer_is_judged_once_by_a_model_of_others() {
    let holdout = Holdout::new(day(200), day(290)).unwrap();
    let all = customers(14, 400, 150, 290);
    let known = all.iter().filter(|c| !holdout.sides(c).0.is_empty()).count();
    let of = crossed(&all, holdout, 4, &quick(Kind::BgNbd), &mut |_| ()).unwrap();
    assert_eq!((of.customers, of.folds, of.fits.len()), (known as u64, 4, 4));
    assert!(of.fits.iter().all(|fit| fit.customers < known as u64 * 4 / 5 + 40));
    let json = serde_json::to_string(&of).unwrap();
    let back: super::judged::Evaluation = serde_json::from_str(&json).unwrap();
    assert_eq!(back.customers, of.customers);
}

#[test]
fn holdouts_and_folds_that_are_none_are_refused() {
    assert!(Holdout::new(day(5), day(5)).is_err());
    assert!(Holdout::new(day(5), day(5_000)).is_err());
    let holdout = Holdout::new(day(5), day(9)).unwrap();
    let all = customers(15, 30, 100, 200);
    for folds in [0, 1, 21] {
        let refused = crossed(&all, holdout, folds, &quick(Kind::BgNbd), &mut |_| ());
        assert_eq!(refused.unwrap_err(), EvaluateError::Folds(folds));
    }
    let early = Holdout::new(day(-50), day(-10)).unwrap();
    let refused = temporal(&all, early, &quick(Kind::BgNbd), &mut |_| ()).map(|_| ());
    assert_eq!(refused.unwrap_err(), EvaluateError::Empty(day(-50)));
}

#[test]
fn periods_end_with_the_holdout_and_purchases_fall_into_theirs() {
    assert_eq!((periods(14), periods(15)), (vec![7, 14], vec![7, 14, 15]));
    let holdout = Holdout::new(day(0), day(15)).unwrap();
    let at = |after, units: i64| Purchase { day: day(after), micros: units * 1_000_000 };
    let came = [at(1, 1), at(7, 2), at(8, 4), at(15, 8)];
    assert_eq!(by_period(holdout, &came), [3.0, 4.0, 8.0]);
}
