//! The counting models as one.

use serde::{Deserialize, Serialize};

use crate::value::bg_nbd::BgNbd;
use crate::value::cohort::Cohort;
use crate::value::fit::report::{Fit, FitError};
use crate::value::history::{History, Horizon};
use crate::value::mbg_nbd::MbgNbd;
use crate::value::model::CountModel;
use crate::value::pareto_nbd::ParetoNbd;
use crate::value::registry::version::Kind;

use super::terms::Part;

/// A fitted counting model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "parameters")]
pub enum Counting {
    BgNbd(BgNbd),
    MbgNbd(MbgNbd),
    ParetoNbd(ParetoNbd),
}

fn part<M>(kind: Kind, fit: Fit<M>) -> (M, Part) {
    let part = Part {
        kind,
        parameters: fit.estimates,
        log_likelihood: fit.log_likelihood,
        customers: fit.customers,
        iterations: fit.iterations,
    };
    (fit.model, part)
}

/// A fit as it is told of.
pub(super) fn told<M>(kind: Kind, fit: Fit<M>) -> (M, Part) {
    part(kind, fit)
}

impl Counting {
    /// The most likely one of a kind; for kinds that count by another's help it is BG/NBD, and of
    /// [`Kind::GammaGamma`] the negative binomial without an end, which has no part to tell of.
    pub fn fit(kind: Kind, cohort: &Cohort) -> Result<(Counting, Option<Part>), FitError> {
        let (counting, part) = match kind {
            Kind::MbgNbd => {
                let (model, part) = part(kind, MbgNbd::fit(cohort)?);
                (Counting::MbgNbd(model), part)
            }
            Kind::ParetoNbd => {
                let (model, part) = part(kind, ParetoNbd::fit(cohort)?);
                (Counting::ParetoNbd(model), part)
            }
            Kind::GammaGamma => return Ok((Counting::BgNbd(endless(cohort)?), None)),
            Kind::BgNbd | Kind::Ziln | Kind::Blend => {
                let (model, part) = part(Kind::BgNbd, BgNbd::fit(cohort)?);
                (Counting::BgNbd(model), part)
            }
        };
        Ok((counting, Some(part)))
    }
}

/// Poisson purchases with a Gamma rate, for ever (Ehrenberg 1959), by moments: the mean rate is `Σx / ΣT`, and
/// what the squares have beyond a Poisson's is the rate's variance. It is BG/NBD with a coin that never falls.
fn endless(cohort: &Cohort) -> Result<BgNbd, FitError> {
    let (repeats, age) = cohort.fit_means(4)?;
    let rate = repeats / age;
    let (mut beyond, mut squares) = (0.0, 0.0);
    for group in cohort.groups() {
        let (n, x, mean) = (
            group.customers as f64,
            f64::from(group.history.repeats()),
            rate * group.history.age(),
        );
        beyond += n * ((x - mean).powi(2) - mean);
        squares += n * mean * mean;
    }
    let r = if beyond > 0.0 { (squares / beyond).clamp(1e-3, 1e3) } else { 1e3 };
    let alpha = (r / rate).clamp(1e-9, 1e15);
    BgNbd::new(r, alpha, 1e-9, 1.0).map_err(|_| FitError::NoTime)
}

impl CountModel for Counting {
    fn log_likelihood(&self, of: &History) -> f64 {
        match self {
            Counting::BgNbd(m) => m.log_likelihood(of),
            Counting::MbgNbd(m) => m.log_likelihood(of),
            Counting::ParetoNbd(m) => m.log_likelihood(of),
        }
    }

    fn p_alive(&self, of: &History) -> f64 {
        match self {
            Counting::BgNbd(m) => m.p_alive(of),
            Counting::MbgNbd(m) => m.p_alive(of),
            Counting::ParetoNbd(m) => m.p_alive(of),
        }
    }

    fn expected(&self, of: &History, ahead: Horizon) -> f64 {
        match self {
            Counting::BgNbd(m) => m.expected(of, ahead),
            Counting::MbgNbd(m) => m.expected(of, ahead),
            Counting::ParetoNbd(m) => m.expected(of, ahead),
        }
    }

    fn p_at_least(&self, of: &History, ahead: Horizon, count: u64) -> f64 {
        match self {
            Counting::BgNbd(m) => m.p_at_least(of, ahead, count),
            Counting::MbgNbd(m) => m.p_at_least(of, ahead, count),
            Counting::ParetoNbd(m) => m.p_at_least(of, ahead, count),
        }
    }

    fn p_active(&self, of: &History, ahead: Horizon) -> f64 {
        match self {
            Counting::BgNbd(m) => m.p_active(of, ahead),
            Counting::MbgNbd(m) => m.p_active(of, ahead),
            Counting::ParetoNbd(m) => m.p_active(of, ahead),
        }
    }
}
