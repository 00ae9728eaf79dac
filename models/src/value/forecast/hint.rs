//! A question about somebody of whom no purchases are known.

use serde::{Deserialize, Serialize};

/// What a request without history says. A value that is out of its range counts as not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// Spend so far, in units of the currency, at least 0.
    pub spend: Option<f64>,
    /// 0 (none) to 1 (as much as can be).
    pub engagement: Option<f64>,
}

impl Hint {
    /// Nothing is said.
    pub const NONE: Hint = Hint { spend: None, engagement: None };

    /// The spend where it is one: finite, from 0 to 1e12.
    pub fn spend(&self) -> Option<f64> {
        self.spend.filter(|spend| (0.0..=1e12).contains(spend))
    }

    /// The engagement where it is one: 0 to 1.
    pub fn engagement(&self) -> Option<f64> {
        self.engagement.filter(|engagement| (0.0..=1.0).contains(engagement))
    }
}
