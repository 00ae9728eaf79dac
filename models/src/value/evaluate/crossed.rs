//! Customers whom no part of the model has seen.

use super::baselines::baselines;
use super::judged::{EvaluateError, Evaluation, Holdout, judged};
use crate::value::forecast::customer::Customer;
use crate::value::forecast::model::ValueModel;
use crate::value::forecast::terms::{FitTerms, Step};
use crate::value::split::fold;

/// Folds at most.
pub const FOLDS_MAX: u32 = 20;

/// Each fold of the customers is judged by a model that was fitted on the others: of those it may know all up
/// to the holdout's end (what they bought in the holdout is what it learns from), of the judged ones only what
/// is up to the cut.
pub fn crossed(
    customers: &[Customer],
    holdout: Holdout,
    folds: u32,
    terms: &FitTerms,
    watch: &mut dyn FnMut(Step),
) -> Result<Evaluation, EvaluateError> {
    if !(2..=FOLDS_MAX).contains(&folds) {
        return Err(EvaluateError::Folds(folds));
    }
    let known: Vec<&Customer> =
        customers.iter().filter(|of| !holdout.sides(of).0.is_empty()).collect();
    if known.is_empty() {
        return Err(EvaluateError::Empty(holdout.cut));
    }
    // Another salt than that of the folds within a fit.
    let dealt = |of: &Customer| fold(terms.seed ^ 0x5EED, &of.id, folds);
    let terms = FitTerms { cut: holdout.end, horizon_days: holdout.days(), ..terms.clone() };
    let (mut rows, mut reports) = (Vec::with_capacity(known.len()), Vec::new());
    for current in 0..folds {
        let (own, others): (Vec<&Customer>, Vec<&Customer>) =
            known.iter().partition(|of| dealt(of) == current);
        if own.is_empty() || others.is_empty() {
            return Err(EvaluateError::EmptyFold(current));
        }
        let others: Vec<Customer> = others
            .into_iter()
            .map(|of| {
                let (known, came) = holdout.sides(of);
                Customer { id: of.id.clone(), purchases: [known, came].concat() }
            })
            .collect();
        let (model, report) = ValueModel::fit(&others, &terms, &mut |step| {
            watch(Step { done: (f64::from(current) + step.done) / f64::from(folds), ..step });
        })?;
        rows.extend(judged(&model, &own, holdout));
        reports.push(report);
    }
    Evaluation::of(rows, holdout, folds, baselines(&known, holdout)?, reports)
}
