//! What holds of a training as a whole, on simulated customers.

use std::sync::OnceLock;

use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::error::LearnError;
use super::features::{FEATURES, NAMES, features, known};
use super::fit::Learned;
use super::groups::Group;
use super::simulated::{BEGIN, customers, day, slices};
use super::terms::LearnTerms;
use super::train::Epoch;
use crate::value::forecast::customer::{Input, Purchase};
use crate::value::log::amount::AMOUNT_MAX;
use crate::value::metrics::pairs::Pairs;
use crate::value::metrics::scores::Scores;

const CUT: i32 = BEGIN + 200;
const HORIZON: u32 = 90;

fn quick() -> LearnTerms {
    LearnTerms {
        ensemble: 2,
        epochs_max: 12,
        batch: 128,
        hidden: [16, 8],
        events_max: 4,
        state: 4,
        ..LearnTerms::default()
    }
}

/// Without an end to it this test would take hours.
#[test]
fn a_training_that_is_given_up_ends_with_the_next_step() {
    let all = customers(300, 31);
    let terms = LearnTerms { epochs_max: 10_000, patience: 10_000, rate: 1e-6, ..quick() };
    let given_up = std::panic::catch_unwind(|| {
        let mut watch = |_: Epoch| std::panic::resume_unwind(Box::new("enough"));
        Learned::fit(&slices(&all), day(CUT), HORIZON, &terms, &mut watch).map(|_| ())
    });
    assert_eq!(given_up.unwrap_err().downcast_ref(), Some(&"enough"));
}

fn learn(of: &[Vec<Purchase>], terms: &LearnTerms) -> Result<Learned, LearnError> {
    Learned::fit(&slices(of), day(CUT), HORIZON, terms, &mut |_| {})
}

/// One that tests may share.
fn learned() -> &'static Learned {
    static LEARNED: OnceLock<Learned> = OnceLock::new();
    LEARNED.get_or_init(|| learn(&customers(1_500, 1), &quick()).unwrap())
}

fn bytes(of: &Learned) -> Vec<u8> {
    of.to_safetensors().unwrap()
}

#[test]
fn it_orders_and_adds_up_customers_whom_it_has_not_seen() {
    let strangers = customers(1_500, 2);
    let strangers: Vec<_> = strangers.iter().filter(|of| of[0].day <= day(CUT)).collect();
    let inputs: Vec<_> =
        strangers.iter().map(|p| Input { purchases: p, as_of: day(CUT) }).collect();
    let predicted: Vec<f64> = learned().predict(&inputs).iter().map(|z| z.mean()).collect();
    let ahead = day(CUT)..day(CUT + HORIZON as i32);
    let spent = |of: &Vec<Purchase>| -> f64 {
        let within = of.iter().filter(|p| p.day > ahead.start && p.day <= ahead.end);
        within.map(|p| p.micros as f64 / 1e6).sum()
    };
    let actual: Vec<f64> = strangers.iter().map(|of| spent(of)).collect();
    let scores = Scores::of(Pairs::new(&actual, &predicted).unwrap());
    assert!(scores.normalised_gini.unwrap() > 0.55, "{scores:?}");
    assert!(scores.total_bias.unwrap().abs() < 0.15, "{scores:?}");
    assert!(scores.activity_auc.unwrap() > 0.7, "{scores:?}");
}

#[test]
fn two_trainings_give_the_same_bytes_however_many_threads_there_are() {
    let of = customers(300, 3);
    let terms = |threads| LearnTerms { ensemble: 3, epochs_max: 3, threads, ..quick() };
    let one = bytes(&learn(&of, &terms(1)).unwrap());
    assert_eq!(one, bytes(&learn(&of, &terms(3)).unwrap()));
    let other = LearnTerms { seed: 1, ..terms(1) };
    assert_ne!(one, bytes(&learn(&of, &other).unwrap()));
}

#[test]
fn whatever_happens_later_the_figures_are_the_same() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for of in customers(300, 4) {
        let cut = day(CUT);
        let (mut later, n): (Vec<_>, _) = (of.clone(), known(&of, cut).len());
        let days: Vec<_> = (1..=150).map(|d| day(CUT + d)).collect();
        later.truncate(n);
        for _ in 0..rng.random_range(0..4) {
            let day = days[rng.random_range(0..days.len())];
            later.push(Purchase { day, micros: rng.random_range(0..1_000_000_000) });
        }
        later[n..].sort_by_key(|p| p.day);
        let figures = |of: &[Purchase]| features(known(of, cut), cut, 1.0);
        assert_eq!(figures(&of), figures(&later));
        let answer = |of: &[Purchase]| learned().predict(&[Input { purchases: of, as_of: cut }]);
        assert_eq!(answer(&of), answer(&later));
    }
}

#[test]
fn what_comes_after_the_horizon_changes_no_weight() {
    let of = customers(300, 5);
    let terms = LearnTerms { ensemble: 1, epochs_max: 2, cuts: 2, ..quick() };
    let end = day(CUT + HORIZON as i32);
    // Whose future is whose is dealt anew.
    let mut futures: Vec<Vec<Purchase>> =
        of.iter().map(|p| p[known(p, end).len()..].to_vec()).collect();
    futures.shuffle(&mut ChaCha8Rng::seed_from_u64(5));
    let with = |(past, future): (&Vec<Purchase>, &Vec<Purchase>)| {
        [known(past, end), future.as_slice()].concat()
    };
    let other: Vec<Vec<Purchase>> = of.iter().zip(&futures).map(with).collect();
    assert_ne!(of, other);
    let (one, two) = (learn(&of, &terms).unwrap(), learn(&other, &terms).unwrap());
    assert_eq!(bytes(&one), bytes(&two));
    assert_eq!(one.facts().cuts, [day(CUT), day(CUT - 28)]);
}

#[test]
fn figures_do_not_depend_on_the_currency() {
    for of in customers(50, 6) {
        let yen: Vec<_> = of.iter().map(|p| Purchase { micros: p.micros * 150, ..*p }).collect();
        let as_of = of.last().unwrap().day;
        let figures = [features(&of, as_of, 2.0).unwrap(), features(&yen, as_of, 300.0).unwrap()];
        for k in 0..FEATURES {
            assert!((figures[0][k] - figures[1][k]).abs() < 1e-5, "{}", NAMES[k].0);
        }
    }
}

#[test]
fn contributions_add_up_to_the_forecast_of_every_customer() {
    let of = customers(40, 7);
    for purchases in &of {
        let input = Input { purchases, as_of: day(CUT) };
        let explained = learned().explain(&input);
        let mean = learned().predict(&[input])[0].mean();
        let sum: f64 = explained.contributions.iter().map(|c| c.value).sum();
        assert!((explained.baseline + sum - explained.value).abs() < 1e-9 * mean.max(1.0));
        assert!((explained.value - mean).abs() < 1e-6 * mean.max(1.0), "{explained:?} {mean}");
        let names: Vec<_> = explained.contributions.iter().map(|c| c.name).collect();
        assert_eq!(names, Group::ALL.map(Group::name));
    }
    let nothing = Input { purchases: &[], as_of: day(CUT) };
    let explained = learned().explain(&nothing);
    assert_eq!(learned().predict(&[nothing])[0], learned().prior());
    assert_eq!(explained.value, learned().prior().mean());
    assert!(explained.contributions.iter().all(|c| c.value == 0.0));
}

#[test]
fn a_row_is_answered_the_same_alone_and_among_many_that_threads_share() {
    let all = customers(300, 5);
    let inputs: Vec<Input<'_>> =
        all.iter().map(|purchases| Input { purchases, as_of: day(CUT) }).collect();
    let (member, known) = learned().dense_part(&inputs).expect("a network");
    let width = member.width();
    let many: Vec<f32> = known.iter().copied().cycle().take(1_601 * width).collect();
    let shared_by = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| member.logits_of(&many))
    };
    let together = shared_by(1);
    assert_eq!((together.len(), &shared_by(2), &shared_by(3)), (1_601, &together, &together));
    for (row, answer) in many.chunks_exact(width).zip(&together) {
        // the last bit depends on the neighbour in the vector
        let alone = member.logits_of(row)[0];
        assert!(
            alone.iter().zip(answer).all(|(a, b)| (a - b).abs() < 1e-6),
            "{alone:?} {answer:?}"
        );
    }
}

#[test]
fn every_pass_of_every_member_is_told() {
    let mut told: Vec<Epoch> = Vec::new();
    let of = customers(200, 8);
    let terms = LearnTerms { ensemble: 3, epochs_max: 4, patience: 1, ..quick() };
    let fitted = Learned::fit(&slices(&of), day(CUT), HORIZON, &terms, &mut |e| told.push(e));
    let fitted = fitted.unwrap();
    for member in 0..3 {
        let own: Vec<_> = told.iter().filter(|e| e.member == member).collect();
        let numbers: Vec<_> = own.iter().map(|e| e.epoch).collect();
        assert_eq!(numbers, (1..=own.len() as u32).collect::<Vec<_>>());
        assert!(own.iter().rev().skip(1).all(|e| !e.last) && own.last().unwrap().last);
        let trained = fitted.facts().members[member as usize];
        let best = own.iter().rev().find(|e| e.best).unwrap();
        assert_eq!((trained.best_epoch, trained.epochs), (best.epoch, own.len() as u32));
        assert!(own.iter().all(|e| e.training.is_finite() && e.validation >= trained.validation));
    }
}

#[test]
fn what_nothing_can_be_learned_from_is_refused_with_its_reason() {
    let of = customers(200, 9);
    let refused = |terms| learn(&of, &terms).unwrap_err().to_string();
    let bad = refused(LearnTerms { ensemble: 0, ..quick() });
    assert_eq!(bad, "ensemble of 0 is not between 1 and 32");
    assert!(refused(LearnTerms { rate: f64::NAN, ..quick() }).starts_with("rate of NaN"));
    assert!(matches!(learn(&of[..20], &quick()), Err(LearnError::TooFew { .. })));
    let at = |cut, days| Learned::fit(&slices(&of), day(cut), days, &quick(), &mut |_| {});
    assert!(matches!(at(CUT, 0), Err(LearnError::Term { name: "horizon_days", .. })));
    assert!(matches!(at(84_000, 90), Err(LearnError::OutOfTime { .. })));
    assert!(matches!(at(BEGIN + 1_000, 90), Err(LearnError::NoneActive { active: 0, .. })));
    assert!(matches!(at(BEGIN - 1, 90), Err(LearnError::TooFew { rows: 0, .. })));
}

#[test]
fn customers_beyond_all_measure_have_a_finite_forecast() {
    let every_day: Vec<_> =
        (0..40_000).map(|d| Purchase { day: day(d), micros: AMOUNT_MAX }).collect();
    let free: Vec<_> =
        (0..9).map(|d| Purchase { day: day(CUT - d * 9), micros: 0 }).rev().collect();
    let odd = [
        Purchase { day: day(-25_567), micros: i64::MIN },
        Purchase { day: day(0), micros: i64::MAX },
    ];
    let all = [every_day.as_slice(), &free, &odd, &odd[..1], &[]];
    for as_of in [day(-25_567), day(0), day(CUT), day(84_005)] {
        let inputs: Vec<_> = all.iter().map(|purchases| Input { purchases, as_of }).collect();
        for (input, z) in inputs.iter().zip(learned().predict(&inputs)) {
            let numbers = [z.p, z.mu, z.sigma, z.mean(), z.quantile(0.025), z.quantile(0.975)];
            assert!(numbers.iter().all(|x| x.is_finite()), "{z:?}");
            let explained = learned().explain(input);
            assert!(explained.value.is_finite() && explained.baseline.is_finite());
            assert!(explained.contributions.iter().all(|c| c.value.is_finite()));
        }
    }
}

#[test]
fn an_ensemble_comes_back_from_its_bytes() {
    let written = bytes(learned());
    let read = Learned::from_safetensors(&written).unwrap();
    assert_eq!(&read, learned());
    assert_eq!(bytes(&read), written);
}

#[test]
fn bytes_with_a_weight_that_is_none_or_with_more_after_them_are_refused() {
    let written = bytes(learned());
    let header = 8 + u64::from_le_bytes(written[..8].try_into().unwrap()) as usize;
    for bad in [f32::NAN, f32::INFINITY, 1e7] {
        let mut wrong = written.clone();
        let at = written.len() - 4;
        wrong[at..].copy_from_slice(&bad.to_le_bytes());
        let why = Learned::from_safetensors(&wrong).unwrap_err().to_string();
        assert!(why.contains("has a number that is none"), "{why}");
    }
    let more = [written.as_slice(), &[0; 4]].concat();
    assert!(Learned::from_safetensors(&more).is_err());
    assert!(Learned::from_safetensors(&[]).is_err());
    let text = String::from_utf8(written[8..header].to_vec()).unwrap();
    let swapped = [
        ("\\\"version\\\":1", "\\\"version\\\":2"),
        ("\\\"state\\\":4", "\\\"state\\\":5"),
        ("\\\"ensemble\\\":2", "\\\"ensemble\\\":9"),
        ("\\\"repeats\\\"", "\\\"repeat_\\\""),
        ("[3,12]", "[6,6] "),
        ("\"F32\"", "\"I32\""),
        ("\"0.own.bias\"", "\"9.own.bias\""),
    ];
    for (from, to) in swapped {
        let other = text.replacen(from, to, 1);
        assert_ne!(other, text, "{from}");
        let wrong = [&written[..8], other.as_bytes(), &written[header..]].concat();
        assert!(Learned::from_safetensors(&wrong).is_err(), "{from}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn bytes_that_were_cut_or_changed_are_refused_or_read_but_never_panic(
        at in any::<prop::sample::Index>(), bit in 0..8_u32, cut in any::<prop::sample::Index>()
    ) {
        let written = bytes(learned());
        prop_assert!(Learned::from_safetensors(&written[..cut.index(written.len())]).is_err());
        let header = u64::from_le_bytes(written[..8].try_into().unwrap()) as usize;
        for range in [written.len(), header + 8] {
            let mut wrong = written.clone();
            wrong[at.index(range)] ^= 1 << bit;
            if let Ok(read) = Learned::from_safetensors(&wrong) {
                let purchases = [Purchase { day: day(CUT), micros: 5_000_000 }];
                let input = Input { purchases: &purchases, as_of: day(CUT) };
                prop_assert!(read.predict(&[input])[0].mean().is_finite());
            }
        }
    }
}
