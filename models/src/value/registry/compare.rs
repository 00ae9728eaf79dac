//! Whether a challenger is worse than the champion on the holdout.

use serde::{Deserialize, Serialize};

use crate::value::metrics::scores::Scores;

/// What is compared. The mean absolute error is not among them: it likes forecasts of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    NormalisedGini,
    DecileMape,
    TotalBias,
}

/// How much worse is still the same; each at least 0, NaN counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    pub normalised_gini: f64,
    pub decile_mape: f64,
    /// Of the bias without its sign.
    pub total_bias: f64,
}

impl Default for Tolerance {
    /// About what two seeds of one network differ by.
    fn default() -> Self {
        Self { normalised_gini: 0.005, decile_mape: 0.02, total_bias: 0.02 }
    }
}

/// One measure by which the challenger is worse; a figure that does not exist is missing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worse {
    pub measure: Measure,
    pub champion: f64,
    pub challenger: Option<f64>,
}

/// By what the challenger is worse beyond the tolerance; empty if by nothing. A figure that only the
/// champion has makes the challenger worse; what the champion does not have is not asked of others.
pub fn worse(champion: &Scores, challenger: &Scores, tolerance: Tolerance) -> Vec<Worse> {
    let loss = |s: &Scores| {
        [s.normalised_gini.map(|g| -g), Some(s.decile_mape), s.total_bias.map(f64::abs)]
    };
    let shown = |s: &Scores| [s.normalised_gini, Some(s.decile_mape), s.total_bias];
    let allowed = [tolerance.normalised_gini, tolerance.decile_mape, tolerance.total_bias];
    let measures = [Measure::NormalisedGini, Measure::DecileMape, Measure::TotalBias];
    let one = |at: usize| {
        let most = loss(champion)[at]? + allowed[at].max(0.0);
        let within = loss(challenger)[at].is_some_and(|loss| loss <= most);
        let (champion, challenger) = (shown(champion)[at]?, shown(challenger)[at]);
        (!within).then_some(Worse { measure: measures[at], champion, challenger })
    };
    (0..measures.len()).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::scores;
    use super::*;

    fn found(champion: Scores, challenger: Scores) -> Vec<Measure> {
        let worse = worse(&champion, &challenger, Tolerance::default());
        worse.into_iter().map(|w| w.measure).collect()
    }

    #[test]
    fn each_measure_has_its_direction_and_its_tolerance() {
        let champion = scores(0.7, 0.1, -0.05);
        assert_eq!(found(champion, champion), []);
        assert_eq!(found(champion, scores(0.9, 0.0, 0.0)), []);
        assert_eq!(found(champion, scores(0.696, 0.119, 0.069)), [], "within the tolerance");
        assert_eq!(found(champion, scores(0.694, 0.1, 0.0)), [Measure::NormalisedGini]);
        assert_eq!(found(champion, scores(0.7, 0.121, 0.0)), [Measure::DecileMape]);
        assert_eq!(found(champion, scores(0.7, 0.1, 0.071)), [Measure::TotalBias], "too high");
        assert_eq!(found(champion, scores(0.7, 0.1, -0.071)), [Measure::TotalBias], "too low");
    }

    #[test]
    fn what_only_one_of_them_has_counts_against_the_challenger_alone() {
        let (all, none) = (
            scores(0.7, 0.1, 0.0),
            Scores { normalised_gini: None, total_bias: None, ..scores(0.0, 0.1, 0.0) },
        );
        assert_eq!(found(all, none), [Measure::NormalisedGini, Measure::TotalBias]);
        assert_eq!(found(none, all), []);
    }

    #[test]
    fn a_figure_that_is_no_number_is_worse_and_such_a_tolerance_is_none() {
        let champion = scores(0.7, 0.1, 0.0);
        assert_eq!(found(champion, scores(f64::NAN, 0.1, 0.0)), [Measure::NormalisedGini]);
        let tolerance = Tolerance { decile_mape: f64::NAN, ..Tolerance::default() };
        assert_eq!(worse(&champion, &scores(0.7, 0.101, 0.0), tolerance).len(), 1);
    }
}
