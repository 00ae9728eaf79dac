//! Fits on customers that say little: an error or finite parameters, never a panic or a NaN.

use proptest::prelude::*;

use super::bg_nbd::BgNbd;
use super::cohort::Cohort;
use super::fit::report::{Fit, FitError};
use super::gamma_gamma::{GammaGamma, Spender};
use super::history::{History, Horizon};
use super::mbg_nbd::MbgNbd;
use super::model::CountModel;
use super::pareto_nbd::ParetoNbd;

fn cohort(of: &[(u32, f64, f64)]) -> Cohort {
    of.iter().map(|(x, t_x, t)| History::new(*x, *t_x, *t).unwrap()).collect()
}

fn finite<M>(fit: &Fit<M>) {
    assert!(fit.log_likelihood.is_finite() && fit.slope_left.is_finite());
    for estimate in &fit.estimates {
        assert!(estimate.value.is_finite() && estimate.value > 0.0, "{estimate:?}");
        assert!(estimate.std_error.is_none_or(|e| e.is_finite() && e > 0.0), "{estimate:?}");
        assert!(!estimate.at_bound || estimate.std_error.is_none(), "{estimate:?}");
    }
}

fn counting<M: CountModel>(fit: Result<Fit<M>, FitError>) {
    let Ok(fit) = fit else { return };
    finite(&fit);
    let of = History::new(3, 5.0, 9.0).unwrap();
    let mean = fit.model.expected(&of, Horizon::new(39.0).unwrap());
    assert!(mean.is_finite() && mean >= 0.0);
}

#[test]
fn what_cannot_be_fitted_is_an_error_that_says_why() {
    let few = BgNbd::fit(&cohort(&[(1, 2.0, 9.0); 3])).unwrap_err();
    assert_eq!(few, FitError::TooFew { customers: 3, least: 4 });
    assert_eq!(ParetoNbd::fit(&cohort(&[(0, 0.0, 9.0); 9])).unwrap_err(), FitError::NoRepeats);
    assert_eq!(MbgNbd::fit(&cohort(&[(1, 0.0, 0.0); 9])).unwrap_err(), FitError::NoTime);
    assert!(matches!(BgNbd::fit(&Cohort::default()), Err(FitError::TooFew { .. })));
    assert!(matches!(GammaGamma::fit([]), Err(FitError::TooFew { .. })));
    for mean in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Spender::new(1, mean).is_err(), "{mean}");
    }
    assert!(Spender::new(0, 5.0).is_err());
}

#[test]
fn customers_who_are_all_alike_give_no_certainty_that_is_not_there() {
    let alike = cohort(&[(3, 10.0, 10.0); 50]);
    counting(BgNbd::fit(&alike));
    counting(MbgNbd::fit(&alike));
    counting(ParetoNbd::fit(&alike));
    // All spend the same: the shapes grow without end.
    if let Ok(fit) = GammaGamma::fit(vec![Spender::new(2, 20.0).unwrap(); 50]) {
        finite(&fit);
        assert!(fit.estimates.iter().any(|e| e.std_error.is_none()), "{fit:?}");
    }
}

#[test]
fn a_likelihood_is_the_sum_over_customers_however_they_are_grouped() {
    let model = BgNbd::new(0.3, 5.0, 0.8, 2.5).unwrap();
    let (one, other) = ((2, 5.0, 9.0), (0, 0.0, 9.0));
    let fit =
        BgNbd::fit(&cohort(&[one, one, other, other, other, (1, 1.0, 9.0)])).map(|f| f.groups);
    assert!(fit.is_err() || fit == Ok(3));
    let each: f64 = [one, one, other]
        .iter()
        .map(|(x, t_x, t)| model.log_likelihood(&History::new(*x, *t_x, *t).unwrap()))
        .sum();
    let grouped: f64 = cohort(&[one, other, one])
        .groups()
        .iter()
        .map(|g| g.customers as f64 * model.log_likelihood(&g.history))
        .sum();
    assert!((each - grouped).abs() < 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_fit_on_any_few_customers_ends(of in proptest::collection::vec((0..40_u32, 0.0..1.0, 0.0..3_000.0), 4..30)) {
        let cohort: Cohort = of
            .iter()
            .map(|(x, part, t): &(u32, f64, f64)| History::new(*x, if *x == 0 { 0.0 } else { part * t }, *t).unwrap())
            .collect();
        counting(BgNbd::fit(&cohort));
        counting(MbgNbd::fit(&cohort));
        counting(ParetoNbd::fit(&cohort));
    }

    #[test]
    fn a_fit_on_any_few_amounts_ends(of in proptest::collection::vec((1..40_u32, 0.01..1e7), 3..30)) {
        if let Ok(fit) = GammaGamma::fit(of.into_iter().map(|(x, m)| Spender::new(x, m).unwrap())) {
            finite(&fit);
        }
    }
}
