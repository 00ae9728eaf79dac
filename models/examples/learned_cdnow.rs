//! What the learned model foretells of the customers of CDNOW, on its own: neither blended nor recalibrated.
//!
//!     cargo run --release -p kiki-models --example learned_cdnow [folds|ahead|all] [TERMS]
//!
//! `folds`: five folds by customer; features up to 1997-09-30, spend of the 273 days after, learned from the
//! other folds' customers. `ahead`: learned from the spend of the 91 days up to 1997-09-30, applied to the 91
//! days after. `rehearse` is both within the calibration period, to choose TERMS (JSON) by.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::time::Instant;

use kiki_models::value::forecast::customer::{Input, Purchase, merged};
use kiki_models::value::learned::fit::Learned;
use kiki_models::value::learned::terms::LearnTerms;
use kiki_models::value::log::amount::UNIT;
use kiki_models::value::log::day::Day;
use kiki_models::value::log::format::Format;
use kiki_models::value::log::rows::Rows;
use kiki_models::value::metrics::pairs::Pairs;
use kiki_models::value::metrics::scores::Scores;
use kiki_models::value::split::fold;

type Customers = BTreeMap<String, Vec<Purchase>>;
type Outcome<T> = Result<T, Box<dyn Error>>;

fn customers() -> Outcome<Customers> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/cdnow_master.txt.gz");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_end(&mut text)?;
    let mut customers = Customers::new();
    for row in Rows::new(text.as_slice(), Format::CdnowMaster, day("1998-06-30")?) {
        let row = row??;
        let purchase = Purchase { day: row.day, micros: row.amount };
        customers.entry(row.customer.to_string()).or_default().push(purchase);
    }
    Ok(customers.into_iter().map(|(id, all)| (id, merged(all))).collect())
}

fn day(text: &str) -> Outcome<Day> {
    Day::any(text).map_err(|reason| format!("{text}: {reason:?}").into())
}

fn after(day: Day, days: u32) -> Outcome<Day> {
    let later = i32::try_from(days).ok().and_then(|days| Day::new(day.number() + days));
    later.ok_or_else(|| format!("no day {days} days after {day}").into())
}

fn spent(of: &[Purchase], cut: Day, until: Day) -> f64 {
    let within = of.iter().filter(|p| p.day > cut && p.day <= until);
    within.map(|p| p.micros as f64 / UNIT as f64).sum()
}

fn learn(of: &[&[Purchase]], cut: Day, horizon: u32, terms: &LearnTerms) -> Outcome<Learned> {
    let model = Learned::fit(of, cut, horizon, terms, &mut |_| {})?;
    let trained = &model.facts().members;
    let best: Vec<_> = trained.iter().map(|m| (m.best_epoch, m.validation as f32)).collect();
    eprintln!(
        "  {} rows of {:?}, best epochs and losses {best:?}",
        model.facts().rows,
        model.facts().cuts
    );
    Ok(model)
}

fn foretell(model: &Learned, of: &[&[Purchase]], as_of: Day) -> Vec<f64> {
    let inputs: Vec<_> = of.iter().map(|p| Input { purchases: p, as_of }).collect();
    model.predict(&inputs).iter().map(|z| z.mean()).collect()
}

fn print(name: &str, actual: &[f64], predicted: &[f64], since: Instant) -> Outcome<()> {
    let scores = Scores::of(Pairs::new(actual, predicted)?);
    println!(
        "{name}: {} customers, nG {:.4}, dM {:.3}, bias {:+.3}, RMSE {:.1}, AUC {:.4}, actual {:.0}, {:.0} s",
        scores.rows,
        scores.normalised_gini.unwrap_or_default(),
        scores.decile_mape,
        scores.total_bias.unwrap_or_default(),
        scores.rmse,
        scores.activity_auc.unwrap_or_default(),
        scores.actual_total,
        since.elapsed().as_secs_f64(),
    );
    Ok(())
}

fn folds(all: &Customers, cut: &str, horizon: u32, terms: &LearnTerms) -> Outcome<()> {
    let (since, cut) = (Instant::now(), day(cut)?);
    let until = after(cut, horizon)?;
    let (mut actual, mut predicted) = (Vec::new(), Vec::new());
    for k in 0..5 {
        let side = |is_in: bool| -> Vec<&[Purchase]> {
            let of = all.iter().filter(|(id, _)| (fold(1, id, 5) == k) == is_in);
            let of = of.map(|(_, purchases)| purchases.as_slice());
            of.filter(|of| of.first().is_some_and(|p| p.day <= cut)).collect()
        };
        let (train, test) = (side(false), side(true));
        let model = learn(&train, cut, horizon, terms)?;
        predicted.extend(foretell(&model, &test, cut));
        actual.extend(test.iter().map(|of| spent(of, cut, until)));
    }
    print(&format!("five folds, {cut} and {horizon} days"), &actual, &predicted, since)
}

fn ahead(all: &Customers, cut: &str, test: &str, horizon: u32, terms: &LearnTerms) -> Outcome<()> {
    let (since, cut, test) = (Instant::now(), day(cut)?, day(test)?);
    let everybody: Vec<&[Purchase]> = all.values().map(Vec::as_slice).collect();
    let model = learn(&everybody, cut, horizon, terms)?;
    let of: Vec<_> = everybody.into_iter().filter(|of| of[0].day <= test).collect();
    let predicted = foretell(&model, &of, test);
    let until = after(test, horizon)?;
    let actual: Vec<_> = of.iter().map(|of| spent(of, test, until)).collect();
    print(
        &format!("learned at {cut}, asked at {test}, {horizon} days"),
        &actual,
        &predicted,
        since,
    )?;
    time(&model, &of, test);
    Ok(())
}

/// The quickest of many answers for 1,024 customers, and of explanations of one.
fn time(model: &Learned, of: &[&[Purchase]], as_of: Day) {
    let inputs: Vec<_> = of.iter().take(1_024).map(|p| Input { purchases: p, as_of }).collect();
    let quickest = |n: usize, ask: &mut dyn FnMut()| {
        let mut once = || {
            let since = Instant::now();
            ask();
            since.elapsed().as_micros()
        };
        (0..n).map(|_| once()).min().unwrap_or_default()
    };
    let batch = quickest(200, &mut || drop(std::hint::black_box(model.predict(&inputs))));
    let one = quickest(200, &mut || drop(std::hint::black_box(model.predict(&inputs[..1]))));
    let why = quickest(200, &mut || drop(std::hint::black_box(model.explain(&inputs[0]))));
    println!("  {} customers: {batch} µs; one: {one} µs; explained: {why} µs", inputs.len());
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_else(|| "all".into());
    let terms: LearnTerms = serde_json::from_str(&arguments.next().unwrap_or_else(|| "{}".into()))?;
    let all = customers()?;
    println!("{}", serde_json::to_string(&terms)?);
    if task == "rehearse" {
        ahead(&all, "1997-03-31", "1997-06-30", 91, &terms)?;
        folds(&all, "1997-06-30", 91, &terms)?;
    }
    if task == "ahead" || task == "all" {
        ahead(&all, "1997-06-30", "1997-09-30", 91, &terms)?;
    }
    if task == "folds" || task == "all" {
        folds(&all, "1997-09-30", 273, &terms)?;
    }
    Ok(())
}
