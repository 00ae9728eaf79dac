//! Inputs of questions that are answered here about accounts at home elsewhere, for the watch over their drift:
//! the account's home has the one that counts.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Homes;
use crate::actors::cluster::links::LinkError;
use crate::actors::value::loaded::Loaded;
use crate::actors::value::shared::{Shared, home_of};
use crate::actors::value::watch::{self, Name};
use crate::models::cluster::member::Route;

pub const KIND: &str = "value.observed";
/// Samples of a version between two messages, and versions: of more, some are left out.
const OF_VERSION_MAX: usize = 512;
const VERSIONS_MAX: usize = 64;

/// Samples that wait to be sent.
#[derive(Default)]
pub struct Samples(HashMap<Name, Vec<Vec<f64>>>);

/// Samples as they are sent. What is no number is nothing in JSON.
#[derive(Serialize, Deserialize)]
pub struct Observed {
    account: String,
    model: String,
    values: Vec<Vec<Option<f64>>>,
}

impl Observed {
    fn new((account, model): &Name, samples: Vec<Vec<f64>>) -> Observed {
        let number = |value: f64| value.is_finite().then_some(value);
        let sample = |values: Vec<f64>| values.into_iter().map(number).collect();
        let values = samples.into_iter().map(sample).collect();
        Observed { account: account.to_string(), model: model.to_string(), values }
    }
}

impl Samples {
    /// Whether there was room.
    pub fn add(&mut self, loaded: &Loaded, values: Vec<f64>) -> bool {
        self.put((Arc::clone(&loaded.account), Arc::clone(&loaded.id)), values)
    }

    fn put(&mut self, name: Name, values: Vec<f64>) -> bool {
        if self.0.len() >= VERSIONS_MAX && !self.0.contains_key(&name) {
            return false;
        }
        let of = self.0.entry(name).or_default();
        let room = of.len() < OF_VERSION_MAX;
        if room {
            of.push(values);
        }
        room
    }

    /// Sends all to where their accounts are at home.
    pub fn send(&mut self, shared: &Shared) {
        let mut homes = Homes::default();
        for (name, samples) in self.0.drain() {
            if let Route::There(node) = shared.placement().route(homes.of(&name.0)) {
                super::tell(shared, node, KIND, &Observed::new(&name, samples));
            }
        }
    }
}

/// Another node answered questions about an account that is at home here.
pub async fn told(shared: Arc<Shared>, observed: Observed) -> Result<(), LinkError> {
    if !shared.is_here(home_of(&observed.account)) {
        return Err(super::not_here());
    }
    let serving = super::follow::serving(&shared, &observed.account).await;
    let (serving, _) = serving.map_err(|error| LinkError::Refused(error.to_string()))?;
    let (Some(loaded), Some(watch)) = (serving.find(&observed.model), shared.watch.get()) else {
        // It answers nobody any more.
        return Ok(());
    };
    let inputs = loaded.model.features().len();
    for values in observed.values.into_iter().filter(|values| values.len() == inputs) {
        let features = values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        let loaded = Arc::clone(loaded);
        if watch.tell(watch::Msg::Observe { loaded, features }).is_err() {
            return Err(LinkError::Full);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_bounded_and_what_is_no_number_comes_through_as_such() {
        let mut samples = Samples::default();
        let name = |n: usize| -> Name { ("acme".into(), format!("m{n}").into()) };
        assert!((0..OF_VERSION_MAX).all(|_| samples.put(name(0), vec![1.0])));
        assert!(!samples.put(name(0), vec![1.0]), "too many of one");
        assert!((1..VERSIONS_MAX).all(|n| samples.put(name(n), vec![1.0])));
        assert!(!samples.put(name(VERSIONS_MAX), vec![1.0]), "too many versions");
        let sent = Observed::new(&name(0), vec![vec![1.5, f64::NAN], vec![f64::INFINITY, 0.1]]);
        let text = serde_json::to_vec(&sent).expect("written");
        let read: Observed = serde_json::from_slice(&text).expect("read");
        assert_eq!(read.values, [[Some(1.5), None], [None, Some(0.1)]]);
    }
}
