//! The published figures of the CDNOW sample.

use super::bg_nbd::BgNbd;
use super::book::Book;
use super::cohort::Cohort;
use super::counts::Counts;
use super::fit::report::Fit;
use super::gamma_gamma::{GammaGamma, Spender};
use super::history::{History, Horizon};
use super::log::day::Day;
use super::log::format::Format;
use super::log::rows::Rows;
use super::mbg_nbd::MbgNbd;
use super::model::CountModel;
use super::pareto_nbd::ParetoNbd;
use super::summary::{Summary, Windows};

const SAMPLE: &[u8] = include_bytes!("../../../tests/data/cdnow_sample.txt");

pub(super) fn summaries() -> Vec<Summary> {
    let day = |text| Day::any(text).unwrap();
    let windows = Windows::new(day("1997-09-30"), Some(day("1998-06-30")), 7.0).unwrap();
    let mut book = Book::default();
    for row in Rows::new(SAMPLE, Format::CdnowSample, day("1998-06-30")) {
        let bought = row.unwrap().unwrap();
        book.add(&bought.customer, bought.day, bought.amount);
    }
    book.summaries(windows).into_iter().map(|(_, summary)| summary).collect()
}

pub(super) fn cohort() -> Cohort {
    summaries().into_iter().map(|summary| summary.history).collect()
}

pub(super) fn spenders() -> Vec<Spender> {
    summaries().iter().filter_map(Summary::spender).collect()
}

/// Panics unless all are within these parts of the expected ones.
fn near<M>(fit: &Fit<M>, expected: &[f64], ln: f64, parts: f64) {
    assert_eq!(fit.estimates.len(), expected.len());
    for (estimate, expected) in fit.estimates.iter().zip(expected) {
        let off = (estimate.value / expected - 1.0).abs();
        assert!(off <= parts, "{} {} {expected}, off by {off:e}", estimate.name, estimate.value);
    }
    assert!((fit.log_likelihood - ln).abs() < 1e-4, "{} {ln}", fit.log_likelihood);
    assert!(fit.slope_left < 1e-9, "{}", fit.slope_left);
}

/// The same for standard errors, which second differences of likelihoods give to four digits.
fn errors_near<M>(fit: &Fit<M>, expected: &[f64]) {
    for (estimate, expected) in fit.estimates.iter().zip(expected) {
        let found = estimate.std_error.unwrap_or(f64::NAN);
        assert!((found / expected - 1.0).abs() < 2e-4, "{} {found} {expected}", estimate.name);
    }
}

fn published() -> Cohort {
    summaries().iter().map(Summary::rounded_history).collect()
}

#[test]
fn the_sample_has_2357_customers_of_whom_946_came_back() {
    let summaries = summaries();
    assert_eq!((summaries.len(), spenders().len()), (2_357, 946));
    let repeats: u32 = summaries.iter().map(|s| s.history.repeats()).sum();
    let spend: i64 =
        summaries.iter().map(|s| s.first_spend + s.repeat_spend + s.holdout_spend).sum();
    assert_eq!(spend, 244_091_940_000);
    assert_eq!((repeats, cohort().customers()), (2_457, 2_357));
    // The first row of the published table: 2, 30.43, 38.86, 22.35.
    let first = &summaries[0];
    assert_eq!((first.history.repeats(), first.rounded_history().recency()), (2, 30.43));
    assert_eq!((first.rounded_history().age(), first.holdout_purchases), (38.86, 1));
    assert_eq!(first.rounded_spender().map(|s| s.mean()), Some(22.35));
}

#[test]
fn bg_nbd_on_the_published_table_is_the_published_fit() {
    let fit = BgNbd::fit(&published()).unwrap();
    near(&fit, &[0.242593, 4.413532, 0.792886, 2.425752], -9582.4256, 3e-6);
    let flat = BgNbd::new(1.0, 1.0, 1.0, 1.0).unwrap();
    let ln: f64 = published()
        .groups()
        .iter()
        .map(|g| g.customers as f64 * flat.log_likelihood(&g.history))
        .sum();
    assert!((ln + 13887.6946).abs() < 1e-4, "{ln}");
}

#[test]
fn gamma_gamma_on_the_published_table_is_the_published_fit() {
    let fit = GammaGamma::fit(summaries().iter().filter_map(Summary::rounded_spender)).unwrap();
    near(&fit, &[6.248802, 3.744588, 15.447748], -4055.9232, 2e-6);
    let mean = fit.model.mean_new().unwrap();
    assert!((mean - 35.1710).abs() < 0.5e-4, "{mean}");
}

#[test]
fn pareto_nbd_on_the_published_table_is_the_published_fit() {
    let fit = ParetoNbd::fit(&published()).unwrap();
    near(&fit, &[0.5533, 10.5776, 0.6062, 11.6669], -9594.973930, 1e-4);
}

// The log itself, to its last digit: as SciPy 1.17 finds it by Nelder and Mead's method and second
// differences of the likelihood.

#[test]
fn bg_nbd_on_the_log_is_scipys_fit_with_its_standard_errors() {
    let fit = BgNbd::fit(&cohort()).unwrap();
    near(&fit, &[0.242594522, 4.413602019, 0.792922017, 2.425906777], -9582.429206674, 1e-6);
    errors_near(&fit, &[0.01255737, 0.37822392, 0.18573372, 0.70541424]);
    assert_eq!((fit.customers, fit.groups), (2_357, cohort().groups().len() as u64));
}

#[test]
fn mbg_nbd_on_the_log_is_scipys_fit_with_its_standard_errors() {
    let fit = MbgNbd::fit(&cohort()).unwrap();
    near(&fit, &[0.52484318, 6.18308525, 0.8913594, 1.61400216], -9582.135715554, 1e-6);
    errors_near(&fit, &[0.08326894, 0.69562414, 0.15479034, 0.53749835]);
}

#[test]
fn pareto_nbd_on_the_log_is_scipys_fit_with_its_standard_errors() {
    let fit = ParetoNbd::fit(&cohort()).unwrap();
    near(&fit, &[0.55327703, 10.57768308, 0.60624012, 11.66873851], -9594.97617894, 1e-6);
    errors_near(&fit, &[0.04762827, 0.84272435, 0.18728482, 6.21125135]);
}

#[test]
fn gamma_gamma_on_the_log_is_scipys_fit() {
    let fit = GammaGamma::fit(spenders()).unwrap();
    near(&fit, &[6.24957109, 3.74422485, 15.44352481], -4055.917694802, 1e-6);
}

#[test]
fn a_fit_on_days_is_the_fit_on_weeks_in_another_unit() {
    let cohort = cohort();
    let days = cohort.groups().iter().flat_map(|group| {
        let of = &group.history;
        let of = History::new(of.repeats(), of.recency() * 7.0, of.age() * 7.0).unwrap();
        std::iter::repeat_n(of, group.customers as usize)
    });
    let (days, weeks) =
        (ParetoNbd::fit(&days.collect()).unwrap(), ParetoNbd::fit(&cohort).unwrap());
    let units = [1.0, 7.0, 1.0, 7.0];
    for ((day, week), unit) in days.estimates.iter().zip(&weeks.estimates).zip(units) {
        assert!((day.value / week.value / unit - 1.0).abs() < 1e-6, "{}", day.name);
    }
}

#[test]
fn intervals_of_counts_hold_what_they_say_on_the_holdout() {
    let (model, summaries) = (ParetoNbd::fit(&cohort()).unwrap().model, summaries());
    let ahead = Horizon::new(39.0).unwrap();
    let inside = summaries.iter().filter(|summary| {
        let counts = Counts { model: &model, of: summary.history, ahead };
        let (low, high) = counts.interval(0.95);
        (low..=high).contains(&u64::from(summary.holdout_purchases))
    });
    let part = inside.count() as f64 / summaries.len() as f64;
    // Counts are whole, so the intervals hold somewhat more than they say.
    assert!((0.95..=0.985).contains(&part), "{part}");
}
