use super::answer::{Forecast, Status};
use super::customer::{Customer, Input};
use super::hint::Hint;
use super::model::ValueModel;
use super::simulated::{customers, day};
use super::terms::{FitError, FitReport, FitTerms};
use crate::value::learned::terms::LearnTerms;
use crate::value::registry::version::Kind;

/// Networks that learn little, fast.
fn quick() -> LearnTerms {
    LearnTerms { ensemble: 1, epochs_max: 6, ..LearnTerms::default() }
}

fn fit(kind: Kind, of: &[Customer]) -> (ValueModel, FitReport) {
    fit_with(kind, of, quick())
}

fn fit_with(kind: Kind, of: &[Customer], learn: LearnTerms) -> (ValueModel, FitReport) {
    let terms = FitTerms { learn, ..FitTerms::new(kind, day(360), 90) };
    let mut done = 0.0;
    let fitted = ValueModel::fit(of, &terms, &mut |step| {
        assert!(step.done >= done && step.done <= 1.0, "{step:?} after {done}");
        done = step.done;
    });
    assert_eq!(done, 1.0);
    fitted.unwrap()
}

fn sound(of: &Forecast) {
    let all = [of.value, of.lower, of.upper, of.confidence, of.purchases, of.p_active, of.baseline];
    assert!(all.iter().all(|v| v.is_finite() && *v >= 0.0), "{of:?}");
    assert!(of.lower <= of.upper && of.p_active <= 1.0 && of.confidence <= 1.0, "{of:?}");
    assert!(of.p_active <= of.purchases * (1.0 + 1e-6) + 1e-9, "{of:?}");
}

fn adds_up(of: &Forecast) {
    let sum = of.baseline + of.contributions.iter().map(|c| c.value).sum::<f64>();
    assert!((sum - of.value).abs() <= 1e-6 * of.value.max(1.0), "{sum} {of:?}");
}

fn share_held(model: &ValueModel, of: &[Customer], days: u32) -> (f64, f64) {
    let as_of = model.cut();
    let known: Vec<&Customer> = of.iter().filter(|c| c.purchases[0].day <= as_of).collect();
    let inputs: Vec<Input<'_>> =
        known.iter().map(|c| Input { purchases: &c.purchases, as_of }).collect();
    let (mut held, mut said) = (0.0, 0.0);
    for (customer, forecast) in known.iter().zip(model.predict(&inputs, days)) {
        sound(&forecast);
        let came = customer
            .purchases
            .iter()
            .filter(|p| p.day > as_of && p.day.number() <= as_of.number() + days as i32);
        let spend = came.map(|p| p.micros).sum::<i64>() as f64 / 1e6;
        held += f64::from(u8::from((forecast.lower..=forecast.upper).contains(&spend)));
        said += forecast.confidence;
    }
    (held / known.len() as f64, said / known.len() as f64)
}

#[test]
fn intervals_said_to_hold_95_in_100_hold_93_to_97_after_the_cut() {
    let all = customers(1, 2_500, 180, 450);
    // A network that has hardly learned anything does not know who has left.
    let learn = LearnTerms { cuts: 3, cut_step_days: 15, epochs_max: 15, ..quick() };
    for kind in [Kind::BgNbd, Kind::ParetoNbd, Kind::Ziln, Kind::Blend] {
        let (model, report) = fit_with(kind, &all, learn.clone());
        assert!(report.calibrated_on > 1_000 && report.notes.is_empty(), "{kind:?} {report:?}");
        let (held, said) = share_held(&model, &all, 90);
        assert!((0.93..=0.97).contains(&held), "{kind:?}: {held}");
        assert!((0.94..=0.97).contains(&said), "{kind:?}: {said}");
    }
}

#[test]
fn of_horizons_that_nobody_measured_no_share_is_promised() {
    let all = customers(16, 900, 180, 450);
    for kind in [Kind::BgNbd, Kind::Blend] {
        let (model, _) = fit(kind, &all);
        let input = Input { purchases: &all[5].purchases, as_of: day(360) };
        let confidence = |days| {
            let known = model.explain(&input, days).confidence;
            (known, model.prior(&Hint::NONE, days).confidence)
        };
        for days in [70, 90, 110] {
            let (known, new) = confidence(days);
            assert!(known > 0.9 && new > 0.9, "{kind:?} {days}: {known} {new}");
        }
        for days in [1, 60, 120, 3_653] {
            assert_eq!(confidence(days), (0.0, 0.0), "{kind:?} {days}");
        }
    }
}

#[test]
fn every_kind_explains_what_it_says_and_comes_back_from_its_bytes() {
    let all = customers(2, 900, 180, 450);
    for kind in
        [Kind::BgNbd, Kind::MbgNbd, Kind::ParetoNbd, Kind::GammaGamma, Kind::Ziln, Kind::Blend]
    {
        let (model, report) = fit(kind, &all);
        assert_eq!(report.notes, Vec::<String>::new());
        let bytes = model.to_bytes().unwrap();
        assert_eq!(bytes, model.to_bytes().unwrap());
        let back = ValueModel::from_bytes(&bytes).unwrap();
        assert_eq!((back.kind(), back.cut(), back.horizon_days()), (kind, day(360), 90));
        assert_eq!(back.features().len(), 5);
        for customer in all.iter().step_by(111) {
            for days in [1, 90, 3_653] {
                let input = Input { purchases: &customer.purchases, as_of: day(360) };
                let one = model.explain(&input, days);
                let two = back.explain(&input, days);
                sound(&one);
                adds_up(&one);
                assert_eq!(one.status, Status::Success);
                assert!((one.value - two.value).abs() <= 1e-9 * one.value.max(1.0), "{kind:?}");
                assert!((one.upper - two.upper).abs() <= 1e-6 * one.upper.max(1.0), "{kind:?}");
                let alone = model.predict(&[input], days);
                assert_eq!(alone[0].value, one.value);
                let now = model.discounted(&input, &one, days, 0.1, 1.0);
                assert!(now <= one.value && now >= one.value * 0.35, "{now} {one:?}");
            }
        }
    }
}

#[test]
fn bytes_that_are_no_model_are_refused_without_a_panic() {
    let (model, _) = fit(Kind::Blend, &customers(3, 600, 120, 400));
    let good = model.to_bytes().unwrap();
    for end in [0, 1, 7, 8, 9, 100, good.len() / 2, good.len() - 1] {
        assert!(ValueModel::from_bytes(&good[..end]).is_err(), "{end}");
    }
    let inputs = customers(4, 5, 10, 300);
    for at in (0..good.len()).step_by(good.len() / 400 + 1) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        // What is still a model answers with numbers.
        if let Ok(model) = ValueModel::from_bytes(&bad) {
            for of in &inputs {
                let input = Input { purchases: &of.purchases, as_of: day(200) };
                assert!(model.predict(&[input], 90)[0].value.is_finite());
            }
        }
    }
}

#[test]
fn who_is_not_known_gets_what_new_customers_are_worth_with_a_wide_interval() {
    let all = customers(5, 2_000, 180, 450);
    let (model, _) = fit(Kind::BgNbd, &all);
    let none = model.prior(&Hint::NONE, 90);
    let input = Input { purchases: &[], as_of: day(360) };
    assert_eq!(model.explain(&input, 90), none);
    let early = Input { purchases: &all[0].purchases, as_of: day(-1) };
    assert_eq!(model.explain(&early, 90), none);
    let hints =
        [(None, None), (Some(500.0), Some(0.85)), (Some(0.0), None), (Some(f64::NAN), Some(7.0))];
    for (spend, engagement) in hints {
        let of = model.prior(&Hint { spend, engagement }, 90);
        sound(&of);
        adds_up(&of);
        assert_eq!(of.status, Status::InsufficientData);
        assert!(of.lower == 0.0 && of.upper > 1.5 * of.value, "{of:?}");
        // what is out of its range counts as not said
        match spend.is_some_and(f64::is_finite) {
            true => assert_eq!(of.confidence, 0.0, "nobody has measured that: {of:?}"),
            false => assert!((0.94..0.98).contains(&of.confidence), "{of:?}"),
        }
    }
    let [low, high] = [20.0, 500.0]
        .map(|spend| model.prior(&Hint { spend: Some(spend), engagement: None }, 90).value);
    assert!(high > low);
    // What was said of beginners holds for others of them: spend within 90 days after the first.
    let (mut held, others) = (0, customers(6, 2_000, 180, 450));
    for of in &others {
        let first = of.purchases[0];
        let said =
            model.prior(&Hint { spend: Some(first.micros as f64 / 1e6), engagement: None }, 90);
        let came = of.purchases[1..].iter().filter(|p| p.day.number() <= first.day.number() + 90);
        let spend = came.map(|p| p.micros).sum::<i64>() as f64 / 1e6;
        held += u32::from(spend <= said.upper);
    }
    let share = f64::from(held) / others.len() as f64;
    assert!((0.93..=0.97).contains(&share), "{share}");
}

#[test]
fn too_few_to_learn_from_are_answered_by_the_probabilistic_model_and_it_is_said() {
    let few = customers(7, 120, 100, 450);
    let (blend, report) = fit(Kind::Blend, &few);
    assert_eq!(report.notes.len(), 1, "{report:?}");
    let (plain, _) = fit(Kind::BgNbd, &few);
    let input = Input { purchases: &few[3].purchases, as_of: day(360) };
    assert_eq!(blend.explain(&input, 90), plain.explain(&input, 90));
}

#[test]
fn what_cannot_be_fitted_is_an_error_that_says_why() {
    let all = customers(8, 50, 100, 300);
    let refused = |of: &[Customer], terms: FitTerms| {
        ValueModel::fit(of, &terms, &mut |_| ()).map(|_| ()).unwrap_err()
    };
    let terms = FitTerms::new(Kind::BgNbd, day(200), 90);
    assert_eq!(refused(&[], terms.clone()), FitError::Empty(day(200)));
    let before = FitTerms { cut: day(-10), ..terms.clone() };
    assert_eq!(refused(&all, before), FitError::Empty(day(-10)));
    for horizon_days in [0, 4_000] {
        let terms = FitTerms { horizon_days, ..terms.clone() };
        assert_eq!(refused(&all, terms), FitError::Horizon(horizon_days));
    }
    assert!(matches!(refused(&all[..2], terms), FitError::Part { kind: Kind::BgNbd, .. }));
}

#[test]
fn the_order_of_customers_changes_nothing() {
    let all = customers(9, 500, 120, 400);
    let mut back = all.clone();
    back.reverse();
    for kind in [Kind::BgNbd, Kind::GammaGamma] {
        let [one, two] = [&all, &back].map(|of| fit(kind, of).0.to_bytes().unwrap());
        assert_eq!(one, two, "{kind:?}");
    }
}
