//! A model of everything up to the cut, judged by what came after it.

use super::baselines::baselines;
use super::judged::{EvaluateError, Evaluation, Holdout, judged};
use crate::value::forecast::customer::Customer;
use crate::value::forecast::model::ValueModel;
use crate::value::forecast::terms::{FitTerms, Step};

/// Fits with `terms` at the holdout's cut and horizon, and judges all customers who are known there. The model
/// gets copies of the purchases up to the cut: there is nothing else for it to look at.
pub fn temporal(
    customers: &[Customer],
    holdout: Holdout,
    terms: &FitTerms,
    watch: &mut dyn FnMut(Step),
) -> Result<(Evaluation, ValueModel), EvaluateError> {
    let known: Vec<&Customer> =
        customers.iter().filter(|of| !holdout.sides(of).0.is_empty()).collect();
    if known.is_empty() {
        return Err(EvaluateError::Empty(holdout.cut));
    }
    let past: Vec<Customer> = known
        .iter()
        .map(|of| Customer { id: of.id.clone(), purchases: holdout.sides(of).0.to_vec() })
        .collect();
    let terms = FitTerms { cut: holdout.cut, horizon_days: holdout.days(), ..terms.clone() };
    let (model, report) = ValueModel::fit(&past, &terms, watch)?;
    let rows = judged(&model, &known, holdout);
    let evaluation = Evaluation::of(rows, holdout, 0, baselines(&known, holdout)?, vec![report])?;
    Ok((evaluation, model))
}
