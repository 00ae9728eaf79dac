//! The learned part as a blend uses it: several networks, none of which has seen all customers.

use super::answer::Contribution;
use super::customer::{Input, Purchase};
use super::terms::FitError;
use crate::value::learned::fit::Learned;
use crate::value::learned::terms::LearnTerms;
use crate::value::log::day::Day;

/// What the networks say of one customer: expected spend and the probability of any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    pub value: f64,
    pub p_active: f64,
}

/// Trained networks; what they say is the mean of what each says.
#[derive(Debug)]
pub struct Nets(pub Vec<Learned>);

fn failed(why: impl std::fmt::Display) -> FitError {
    FitError::Learned(why.to_string())
}

/// A network for what comes within `days` after `cut`, trained on these customers. `watch` hears what part of it
/// is done, 0 to 1.
pub fn train(
    customers: &[&[Purchase]],
    cut: Day,
    days: u32,
    terms: &LearnTerms,
    watch: &mut dyn FnMut(f64),
) -> Result<Learned, FitError> {
    let mut passes = vec![0_u32; terms.ensemble.max(1) as usize];
    let all = f64::from(terms.epochs_max.max(1)) * passes.len() as f64;
    let learned = Learned::fit(customers, cut, days, terms, &mut |epoch| {
        if let Some(own) = passes.get_mut(epoch.member as usize) {
            *own = if epoch.last { terms.epochs_max } else { epoch.epoch };
        }
        watch(passes.iter().map(|own| f64::from(*own)).sum::<f64>() / all);
    });
    learned.map_err(failed)
}

/// What one network says of each.
pub fn ask(learned: &Learned, inputs: &[Input<'_>]) -> Vec<Said> {
    let said = learned.predict(inputs).into_iter();
    said.map(|of| Said { value: of.mean(), p_active: of.p }).collect()
}

impl Nets {
    /// The mean over all networks.
    pub fn ask(&self, inputs: &[Input<'_>]) -> Vec<Said> {
        let part = 1.0 / self.0.len().max(1) as f64;
        let mut mean = vec![Said { value: 0.0, p_active: 0.0 }; inputs.len()];
        for learned in &self.0 {
            for (mean, said) in mean.iter_mut().zip(ask(learned, inputs)) {
                mean.value += said.value * part;
                mean.p_active += said.p_active * part;
            }
        }
        mean
    }

    /// What the networks say of the typical customer, and what each group of inputs adds to it.
    pub fn explain(&self, input: &Input<'_>) -> (f64, Vec<Contribution>) {
        let part = 1.0 / self.0.len().max(1) as f64;
        let (mut baseline, mut all) = (0.0, Vec::<Contribution>::new());
        for learned in &self.0 {
            let own = learned.explain(input);
            baseline += own.baseline * part;
            for of in own.contributions {
                match all.iter_mut().find(|known| known.name == of.name) {
                    Some(known) => known.value += of.value * part,
                    None => all.push(Contribution { value: of.value * part, ..of }),
                }
            }
        }
        (baseline, all)
    }
}

/// The same terms with another seed.
pub fn seeded(terms: &LearnTerms, seed: u64) -> LearnTerms {
    LearnTerms { seed, ..terms.clone() }
}
