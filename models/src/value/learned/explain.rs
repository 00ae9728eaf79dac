//! What each group of inputs adds to a forecast: Shapley values (1953), as Lundberg & Lee 2017 put them to
//! use, exact: all 2⁸ coalitions of groups are asked. A group that is not told has its mean over the training;
//! the baseline is the forecast of the customer whose groups all are untold.

use super::features::{FEATURES, NAMES};
use super::fit::Learned;
use super::groups::{GROUPS, Group};
use super::member::Member;
use crate::value::forecast::answer::Contribution;
use crate::value::forecast::customer::Input;

/// Coalitions of all groups.
const COALITIONS: usize = 1 << GROUPS;

/// A forecast's expected spend taken apart, in units of the currency: `baseline` + Σ `contributions` =
/// `value`, to within 1e-9 of the largest of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub value: f64,
    pub baseline: f64,
    /// One per group, in the order of [`Group::ALL`].
    pub contributions: Vec<Contribution>,
}

impl Learned {
    /// Takes the mean of [`Learned::predict`]'s answer apart. Where nothing is known of the customer, it is
    /// the prior, to which nothing contributes.
    pub fn explain(&self, input: &Input<'_>) -> Explanation {
        let (rows, unknown) = self.rows(std::slice::from_ref(input));
        if unknown.iter().any(|unknown| *unknown) {
            let value = self.prior().mean();
            let nothing = |group: Group| Contribution { name: group.name(), value: 0.0 };
            let contributions = Group::ALL.map(nothing).to_vec();
            return Explanation { value, baseline: value, contributions };
        }
        let mut values = [0.0; COALITIONS];
        for member in &self.members {
            let told = member.inputs(&rows);
            let asked = coalitions(member, &told);
            for (value, logits) in values.iter_mut().zip(member.logits_of(&asked)) {
                *value += self.unscaled(logits).mean() / self.members.len() as f64;
            }
        }
        let weights = weights();
        let value_of = |(at, group): (usize, Group)| {
            let without = (0..COALITIONS).filter(|of| of & (1 << at) == 0);
            let added = without.map(|of| {
                let size = of.count_ones() as usize;
                weights[size] * (values[of | 1 << at] - values[of])
            });
            Contribution { name: group.name(), value: added.sum() }
        };
        let contributions = Group::ALL.into_iter().enumerate().map(value_of).collect();
        Explanation { value: values[COALITIONS - 1], baseline: values[0], contributions }
    }
}

/// The network's inputs of each coalition: scaled figures, whose mean is 0, and the recurrent state.
fn coalitions(member: &Member, told: &[f32]) -> Vec<f32> {
    let group_of = |at: usize| NAMES.get(at).map_or(Group::Sequence, |(_, group)| *group);
    let bits: Vec<usize> = (0..told.len()).map(|at| 1 << group_of(at) as usize).collect();
    let untold = |at: usize| at.checked_sub(FEATURES).map_or(0.0, |state| member.mean_state[state]);
    let mut asked = Vec::with_capacity(COALITIONS * told.len());
    for coalition in 0..COALITIONS {
        let each = told.iter().zip(&bits).enumerate();
        asked.extend(each.map(|(at, (x, bit))| if coalition & bit != 0 { *x } else { untold(at) }));
    }
    asked
}

/// |S|! (n − |S| − 1)! / n! by |S|.
fn weights() -> [f64; GROUPS] {
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    std::array::from_fn(|s| factorial(s) * factorial(GROUPS - s - 1) / factorial(GROUPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_its_own_bit_and_every_order_the_same_weight() {
        for (at, group) in Group::ALL.into_iter().enumerate() {
            assert_eq!(group as usize, at);
        }
        let choose = [1.0, 7.0, 21.0, 35.0, 35.0, 21.0, 7.0, 1.0];
        let sum: f64 = weights().iter().zip(choose).map(|(w, n)| w * n).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }
}
