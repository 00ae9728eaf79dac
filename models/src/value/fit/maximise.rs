//! The search: L-BFGS over the parameters' logarithms, then Newton's steps to the last digits.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use super::curvature::{Square, hessian, inverse, times};
use super::report::{Estimate, Fit, FitError};

/// A parameter is searched for from its scale / 1e6 to its scale · 1e6.
const LOG_RANGE: f64 = 13.815510557964274;
/// Beyond this part of the range it counts as at its bound.
const AT_BOUND: f64 = 0.8;
const STEPS_MAX: u64 = 400;
const NEWTON_MAX: u64 = 30;
/// Slope per customer at which the search hands over, and at which Newton's steps end.
const SLOPE_NEAR: f64 = 1e-7;
const SLOPE_DONE: f64 = 1e-11;
/// A slope above this after everything is no maximum.
const SLOPE_MAX: f64 = 1e-5;

/// A log-likelihood of `N` positive parameters.
pub struct Search<'a, const N: usize, F> {
    pub names: [&'a str; N],
    /// The size that each parameter is expected to have, within six decades.
    pub scales: [f64; N],
    /// Where to begin; the best of the ends is taken.
    pub starts: &'a [[f64; N]],
    pub customers: u64,
    pub groups: u64,
    /// The log-likelihood over all customers, and its slope by each parameter's logarithm.
    pub value: F,
}

type Point<const N: usize> = (f64, [f64; N]);

/// Kept beside the optimiser, which drops where it was when a line search fails.
struct Seen<const N: usize> {
    last: Option<(Vec<f64>, Point<N>)>,
    best: Option<(f64, Vec<f64>)>,
    evaluations: u64,
}

struct Problem<'a, const N: usize, F> {
    search: &'a Search<'a, N, F>,
    seen: &'a RefCell<Seen<N>>,
}

impl<const N: usize, F: Fn(&[f64; N]) -> Point<N>> Problem<'_, N, F> {
    /// Minus the mean log-likelihood at `u`, with its slope by `u`.
    fn at(&self, u: &[f64]) -> Point<N> {
        let mut seen = self.seen.borrow_mut();
        if let Some((_, point)) = seen.last.as_ref().filter(|(at, _)| at == u) {
            return *point;
        }
        seen.evaluations += 1;
        let n = self.search.customers as f64;
        let (value, slope) = (self.search.value)(&self.search.parameters(u));
        // What cannot be computed is worse than anything, without a slope.
        let sound = value.is_finite() && slope.iter().all(|s| s.is_finite());
        let point = if sound {
            (
                -value / n,
                std::array::from_fn(|i| -slope[i] / n * (1.0 - (u[i] / LOG_RANGE).tanh().powi(2))),
            )
        } else {
            (1e300, [0.0; N])
        };
        if seen.best.as_ref().is_none_or(|(least, _)| point.0 < *least) {
            seen.best = Some((point.0, u.to_vec()));
        }
        seen.last = Some((u.to_vec(), point));
        point
    }
}

impl<const N: usize, F: Fn(&[f64; N]) -> Point<N>> CostFunction for Problem<'_, N, F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, u: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.at(u).0)
    }
}

impl<const N: usize, F: Fn(&[f64; N]) -> Point<N>> Gradient for Problem<'_, N, F> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, u: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.at(u).1.to_vec())
    }
}

impl<const N: usize, F: Fn(&[f64; N]) -> Point<N>> Search<'_, N, F> {
    /// A free coordinate to a parameter: near its scale its logarithm, far from it bounded.
    fn parameters(&self, u: &[f64]) -> [f64; N] {
        std::array::from_fn(|i| self.scales[i] * (LOG_RANGE * (u[i] / LOG_RANGE).tanh()).exp())
    }

    fn free(&self, parameters: &[f64; N]) -> Vec<f64> {
        let within =
            |i: usize| ((parameters[i] / self.scales[i]).ln() / LOG_RANGE).clamp(-0.99, 0.99);
        (0..N).map(|i| LOG_RANGE * within(i).atanh()).collect()
    }

    /// The most likely parameters, given to `model` in the names' order. Deterministic; at most
    /// 400 steps from each start.
    pub fn run<M>(&self, model: impl FnOnce([f64; N]) -> M) -> Result<Fit<M>, FitError> {
        let seen = RefCell::new(Seen { last: None, best: None, evaluations: 0 });
        let mut iterations = 0;
        let (mut most, mut at) = (f64::NEG_INFINITY, self.scales);
        for start in self.starts {
            let (end, steps) = self.descend(start, &seen);
            let (value, _) = (self.value)(&end);
            iterations += steps;
            if value > most {
                (most, at) = (value, end);
            }
        }
        let polished = self.polish(at);
        iterations += polished.steps;
        if polished.slope > SLOPE_MAX || !polished.value.is_finite() {
            return Err(FitError::NotConverged { iterations, slope: polished.slope });
        }
        let evaluations = seen.borrow().evaluations + polished.evaluations;
        Ok(self.report(polished, iterations, evaluations, model))
    }

    fn descend(&self, start: &[f64; N], seen: &RefCell<Seen<N>>) -> ([f64; N], u64) {
        let before = seen.borrow().evaluations;
        seen.borrow_mut().best = None;
        let problem = Problem { search: self, seen };
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7)
            .with_tolerance_grad(SLOPE_NEAR)
            .and_then(|s| s.with_tolerance_cost(0.0));
        let ended = solver.and_then(|solver| {
            Executor::new(problem, solver)
                .configure(|state| state.param(self.free(start)).max_iters(STEPS_MAX))
                .ctrlc(false)
                .run()
        });
        // A line search that finds no way down in the last digits is no failure: the best point
        // stands, and its slope decides.
        let steps = match ended {
            Ok(end) => end.state.iter,
            Err(_) => seen.borrow().evaluations - before,
        };
        let best = seen.borrow().best.as_ref().map(|(_, u)| self.parameters(u));
        (best.unwrap_or(*start), steps)
    }

    /// Newton's steps while they climb, or the same place where the likelihood is not curved.
    fn polish(&self, from: [f64; N]) -> Polished<N> {
        let exp = |ln: &[f64; N]| ln.map(f64::exp);
        let mut ln = from.map(f64::ln);
        let (mut value, mut slope) = (self.value)(&exp(&ln));
        let (mut steps, mut evaluations) = (0, 1);
        let curved = |ln: &[f64; N]| hessian(ln, |at| (self.value)(&exp(at)).1.map(|s| -s));
        let mut information = curved(&ln);
        evaluations += 4 * N as u64;
        while steps < NEWTON_MAX && self.per_customer(&slope, &exp(&ln)) > SLOPE_DONE {
            steps += 1;
            let Some(covariance) = inverse(&information) else { break };
            let step = times(&covariance, &slope);
            let longest = step.iter().fold(0.0_f64, |most, s| most.max(s.abs()));
            let part = if longest > 1.0 { 1.0 / longest } else { 1.0 };
            let next: [f64; N] = std::array::from_fn(|i| ln[i] + part * step[i]);
            let (next_value, next_slope) = (self.value)(&exp(&next));
            evaluations += 1;
            let better =
                self.per_customer(&next_slope, &exp(&next)) < self.per_customer(&slope, &exp(&ln));
            if !next_value.is_finite() || next_value < value - 1e-9 * value.abs() || !better {
                break;
            }
            (ln, value, slope) = (next, next_value, next_slope);
            information = curved(&ln);
            evaluations += 4 * N as u64;
        }
        let at = exp(&ln);
        Polished {
            slope: self.per_customer(&slope, &at),
            at,
            value,
            information,
            steps,
            evaluations,
        }
    }

    /// The largest slope, per customer, of the parameters that are not at their bounds.
    fn per_customer(&self, slope: &[f64; N], at: &[f64; N]) -> f64 {
        let free = (0..N).filter(|&i| !self.at_bound(i, at[i]));
        free.fold(0.0_f64, |most, i| {
            let part = slope[i].abs() / self.customers as f64;
            if part.is_nan() { f64::INFINITY } else { most.max(part) }
        })
    }

    fn at_bound(&self, i: usize, value: f64) -> bool {
        (value / self.scales[i]).ln().abs() > AT_BOUND * LOG_RANGE
    }

    fn report<M>(
        &self,
        end: Polished<N>,
        iterations: u64,
        evaluations: u64,
        model: impl FnOnce([f64; N]) -> M,
    ) -> Fit<M> {
        let bound: [bool; N] = std::array::from_fn(|i| self.at_bound(i, end.at[i]));
        let covariance = if bound.contains(&true) { None } else { inverse(&end.information) };
        let estimate = |i: usize| Estimate {
            name: self.names[i].to_owned(),
            value: end.at[i],
            // The delta method: d θ = θ d ln θ.
            std_error: covariance.map(|c| end.at[i] * c[i][i].sqrt()),
            at_bound: bound[i],
        };
        Fit {
            estimates: (0..N).map(estimate).collect(),
            model: model(end.at),
            ln_covariance: covariance.map(|c| c.iter().map(|row| row.to_vec()).collect()),
            log_likelihood: end.value,
            customers: self.customers,
            groups: self.groups,
            iterations,
            evaluations,
            slope_left: end.slope,
        }
    }
}

struct Polished<const N: usize> {
    at: [f64; N],
    value: f64,
    slope: f64,
    information: Square<N>,
    steps: u64,
    evaluations: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` draws from a Gamma(shape, rate) of mean 2 and mean log ½: its likelihood in closed form.
    fn gamma(theta: &[f64; 2]) -> Point<2> {
        use crate::value::math::gamma::{digamma, ln_gamma};
        let ([k, rate], n) = (*theta, 1000.0);
        let value = n * (k * rate.ln() - ln_gamma(k) + (k - 1.0) * 0.5 - rate * 2.0);
        let slope = [n * k * (rate.ln() - digamma(k) + 0.5), n * (k - rate * 2.0)];
        (value, slope)
    }

    fn search(value: fn(&[f64; 2]) -> Point<2>) -> Search<'static, 2, fn(&[f64; 2]) -> Point<2>> {
        let (names, scales) = (["shape", "rate"], [1.0, 1.0]);
        Search { names, scales, starts: &[[1.0, 1.0]], customers: 1000, groups: 1000, value }
    }

    #[test]
    fn a_search_ends_where_the_slopes_are_zero_with_the_known_errors() {
        let fit = search(gamma).run(|theta| theta).unwrap();
        let [k, rate] = fit.model;
        assert!((k / rate - 2.0).abs() < 1e-9);
        assert!((k.ln() - statrs::function::gamma::digamma(k) - (2f64.ln() - 0.5)).abs() < 1e-10);
        assert!(fit.slope_left < 1e-10);
        // Fisher's information of a Gamma's shape, ψ′(k) − 1/k, with ψ′ by a difference.
        let d = 1e-4;
        let psi = |k| statrs::function::gamma::digamma(k);
        let information = (psi(k + d) - psi(k - d)) / (2.0 * d) - 1.0 / k;
        let expected = 1.0 / (1000.0 * information).sqrt();
        let found = fit.estimates[0].std_error.unwrap();
        assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
    }

    #[test]
    fn what_only_grows_ends_at_its_bound_without_a_standard_error() {
        let fit = search(|theta| {
            let slope = 1000.0 * 1e-3;
            (slope * theta[0].ln() - (theta[1].ln()).powi(2), [slope, -2.0 * theta[1].ln()])
        })
        .run(|theta| theta)
        .unwrap();
        assert!(fit.estimates[0].at_bound && !fit.estimates[1].at_bound);
        assert_eq!((fit.estimates[0].std_error, fit.ln_covariance), (None, None));
    }

    #[test]
    fn a_likelihood_that_cannot_be_computed_is_an_error() {
        let ended = search(|_| (f64::NAN, [f64::NAN; 2])).run(|theta| theta);
        assert!(matches!(ended, Err(FitError::NotConverged { .. })), "{ended:?}");
    }
}
