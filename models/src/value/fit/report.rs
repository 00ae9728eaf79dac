//! What a fit found.

use serde::{Deserialize, Serialize};

/// One parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub name: String,
    pub value: f64,
    /// Asymptotic standard error in the parameter's unit. None where the likelihood is not curved in
    /// all directions, so that the data do not determine it.
    pub std_error: Option<f64>,
    /// Whether the search ended at the edge of what it may try: the data want it at 0 or without
    /// end (nobody ever leaves; all customers are alike).
    pub at_bound: bool,
}

/// A model fitted by maximum likelihood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit<M> {
    pub model: M,
    /// In the order of the model's own parameters.
    pub estimates: Vec<Estimate>,
    /// Covariance of the parameters' logarithms; none where a standard error is none.
    pub ln_covariance: Option<Vec<Vec<f64>>>,
    /// At the maximum, in nats, over all customers.
    pub log_likelihood: f64,
    pub customers: u64,
    /// Distinct histories among them.
    pub groups: u64,
    pub iterations: u64,
    /// Times that the likelihood and its gradient were computed.
    pub evaluations: u64,
    /// Largest slope left, in nats per customer and per unit of a parameter's logarithm.
    pub slope_left: f64,
}

/// Why there is no fit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    #[error("{customers} customers are fewer than {least}")]
    TooFew { customers: u64, least: u64 },
    #[error("no customer has bought again")]
    NoRepeats,
    #[error("all ages are zero: nobody was watched for any time")]
    NoTime,
    #[error("mean spend {0} is not above 0 and below 1e12")]
    Spend(f64),
    #[error("the search stopped after {iterations} steps with a slope of {slope} left")]
    NotConverged { iterations: u64, slope: f64 },
}
