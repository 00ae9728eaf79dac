//! Which nodes a fault strikes, now that everything is known.

use std::collections::BTreeMap;

use super::error::{FaultError, FaultResult};
use crate::experiment::fault::Fault;
use crate::experiment::pick::BudgetKey;

/// The nodes of each place of a fault, as [`Fault::nodes_mut`] names places, and what the fault draws from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// By place: `target.node`, `target.link.from.node`.
    pub places: BTreeMap<String, Vec<String>>,
    /// Every node that there is.
    pub all: Vec<String>,
    /// `Planned::draw`.
    pub draw: u64,
}

impl Chosen {
    /// The budgets whose owners have to be asked for before [`Chosen::at_the_moment`].
    pub fn asks(fault: &Fault) -> Vec<BudgetKey> {
        let mut fault = fault.clone();
        let places = fault.nodes_mut();
        places.iter().filter_map(|(_, nodes)| nodes.asks_owner().cloned()).collect()
    }

    /// Of a planned fault, with the owners as they are at this moment.
    ///
    /// # Errors
    /// An owner is not given, or the plan has left something open that only a plan can draw.
    pub fn at_the_moment(
        fault: &Fault,
        owners: &BTreeMap<BudgetKey, String>,
        all: &[String],
        draw: u64,
    ) -> FaultResult<Chosen> {
        let mut fault = fault.clone();
        let mut places = BTreeMap::new();
        for (place, nodes) in fault.nodes_mut() {
            let owner = match nodes.asks_owner() {
                None => "",
                Some(key) => owners.get(key).map(String::as_str).ok_or_else(|| {
                    let (account, campaign) = (&key.account, &key.campaign);
                    FaultError::Bad(format!(
                        "{place}: nobody says who owns {campaign} of {account}"
                    ))
                })?,
            };
            let names = nodes.at_the_moment(owner, all, draw);
            let names = names.filter(|names| !names.is_empty());
            let names =
                names.ok_or_else(|| FaultError::Bad(format!("{place}: no node is chosen")))?;
            places.insert(place.to_owned(), names);
        }
        Ok(Chosen { places, all: all.to_vec(), draw })
    }

    /// The nodes of a place.
    ///
    /// # Errors
    /// Nobody chose any.
    pub fn at(&self, place: &str) -> FaultResult<&[String]> {
        let found = self.places.get(place).filter(|names| !names.is_empty());
        found
            .map(Vec::as_slice)
            .ok_or_else(|| FaultError::Bad(format!("{place}: no node is chosen")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::pick::{By, Nodes, Process};

    #[test]
    fn the_owner_is_struck_that_is_owner_now() {
        let key = BudgetKey { account: "a".into(), campaign: "c".into() };
        let of = |nodes| Fault::Kill { target: Process::Node(Nodes::By(nodes)) };
        let fault = of(By::OwnerOf(key.clone()));
        let all = ["node-1".to_owned(), "node-2".to_owned()];
        assert_eq!(Chosen::asks(&fault), std::slice::from_ref(&key));
        assert!(Chosen::at_the_moment(&fault, &BTreeMap::new(), &all, 0).is_err());
        let owners = BTreeMap::from([(key.clone(), "node-2".to_owned())]);
        let chosen = Chosen::at_the_moment(&fault, &owners, &all, 0).unwrap();
        assert_eq!(chosen.at("target.node").unwrap(), ["node-2"]);
        let other = of(By::NotOwnerOf(key));
        let chosen = Chosen::at_the_moment(&other, &owners, &all, 0).unwrap();
        assert_eq!(chosen.at("target.node").unwrap(), ["node-1"]);
        assert!(chosen.at("target.link.from.node").is_err());
        assert!(Chosen::at_the_moment(&of(By::Count(1)), &owners, &all, 0).is_err());
    }
}
