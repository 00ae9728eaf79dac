//! SyncShield's word that somebody is erased, or allows something else.
//!
//! A change of what a person allows is heard of where the person is at home; elsewhere what is known is leased for less
//! than two seconds ([`Granted::until_us`]). Of an erasure all nodes are told: each answers bids, so each may have
//! some in memory that name the person, and would write them when the erasure has long said that it is done.
//!
//! [`Granted::until_us`]: crate::actors::shield::person::Granted

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};

use crate::actors::cluster::links::LinkError;
use crate::actors::flow::auction::Office;
use crate::actors::flow::journal;
use crate::actors::shield::Forgets;
use crate::actors::shield::person::{Hears, PersonName};
use crate::clock;
use crate::models::cluster::node::Incarnation;
use crate::models::cluster::roster::Roster;

const KIND: &str = "flow.forget";
/// How long the journal is waited for, and what the store has been handed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long another node may take for both.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// How long it is kept who is being erased: longer than any forecast is.
const KEPT_US: i64 = 86_400_000_000;

/// Somebody who is erased.
#[derive(Serialize, Deserialize)]
struct Erased {
    /// The inner id.
    person: String,
    /// That of the person's name, while anybody knows it.
    number: Option<u128>,
}

impl Office {
    /// Lets go of people whom other nodes erase.
    pub fn forgets(self: &Arc<Office>) {
        let of = Arc::downgrade(self);
        self.shield.placement().links().answer_with(KIND, move |_, erased: Erased| {
            let of = of.clone();
            async move {
                let ends = || LinkError::Refused("the node ends".to_owned());
                let office = of.upgrade().ok_or_else(ends)?;
                office.forget(&erased).await.map_err(LinkError::Refused)
            }
        });
    }

    /// Lets go of a person on this node. When it is done, nothing is on its way into the store that names the person,
    /// and nothing gets there.
    async fn forget(&self, erased: &Erased) -> Result<(), String> {
        if let Some(number) = erased.number {
            self.ltv.forget(number);
        }
        let Some(journal) = self.journal.get() else { return Ok(()) };
        let person = erased.person.as_str().into();
        let done = journal.ask(PATIENCE, |reply| journal::Msg::Forget { person, reply }).await;
        done.map_err(|error| format!("the journal of decisions: {error}"))?;
        // What was being written may have ended without anybody knowing how, and be written yet.
        let writes = self.shield.writes();
        let decided = tokio::time::timeout(PATIENCE, writes.barrier()).await;
        decided.map_err(|_| "the store takes nothing: decisions may be on their way".to_owned())
    }

    /// Has all other nodes let go of the person.
    async fn forget_elsewhere(&self, erased: &Erased) -> Result<(), String> {
        let placement = self.shield.placement();
        // As it is now: what a node reads that joins from here on, it reads behind what was erased before this.
        let roster = self.shield.store().roster().await;
        let roster = roster.map_err(|error| format!("the register of nodes: {error}"))?;
        let ended = |life| placement.has_ended(life);
        let others = others(&roster, placement.incarnation(), &placement.others(), ended);
        let others = others.map_err(|life| {
            format!("node {life} was ended by others, and could write until its shards are taken")
        })?;
        let asking = others.into_iter().map(async |node| {
            let asked = placement.links().ask_for::<_, ()>(node, KIND, erased, ELSEWHERE).await;
            asked.map_err(|error| {
                format!("node {node} may have decisions about the person: {error}")
            })
        });
        join_all(asking).await.into_iter().collect()
    }
}

/// Which nodes there are beside this one. `known`: those that it knows of, where the register does not have it.
/// Whoever was ended by others is refused what it writes from when its shards are taken.
///
/// # Errors
/// A life that is over, of which nobody knows whether its process is, and whose shards are not all taken.
fn others(
    roster: &Roster,
    me: Incarnation,
    known: &[Incarnation],
    has_ended: impl Fn(Incarnation) -> bool,
) -> Result<BTreeSet<Incarnation>, Incarnation> {
    let mut others: BTreeSet<Incarnation> = match roster.node(me) {
        Some(_) => roster.nodes.iter().map(|node| node.incarnation).collect(),
        None => known.iter().copied().collect(),
    };
    others.remove(&me);
    let mut owners = roster.shards.iter().filter_map(|row| row.owner);
    match owners.find(|owner| *owner != me && !others.contains(owner) && !has_ended(*owner)) {
        Some(life) => Err(life),
        None => Ok(others),
    }
}

/// Lets go of what bids know of people.
pub struct Forgetting {
    office: Weak<Office>,
    /// Who is being erased, by the inner id: the last step comes when nobody knows any more who it was.
    /// With when that was heard: a last step may be done on another node.
    erasing: Mutex<HashMap<Box<str>, (u128, i64)>>,
}

impl Forgetting {
    pub fn new(office: &Arc<Office>) -> Forgetting {
        Forgetting { office: Arc::downgrade(office), erasing: Mutex::default() }
    }

    fn erasing(&self) -> MutexGuard<'_, HashMap<Box<str>, (u128, i64)>> {
        self.erasing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self, account: &str, person: &str, lookup: Option<&str>) -> Option<u128> {
        let Some(lookup) = lookup else {
            return self.erasing().get(person).map(|(number, _)| *number);
        };
        let number = PersonName { account: account.into(), lookup: lookup.into() }.number();
        let now_us = clock::mono_us();
        let mut erasing = self.erasing();
        erasing.retain(|_, (_, heard_us)| now_us.saturating_sub(*heard_us) < KEPT_US);
        erasing.insert(person.into(), (number, now_us));
        Some(number)
    }
}

impl Hears for Forgetting {
    fn changed(&self, number: u128) {
        if let Some(office) = self.office.upgrade() {
            office.ltv.forget(number);
        }
    }
}

impl Forgets for Forgetting {
    fn forget<'a>(
        &'a self,
        account: &'a str,
        person: &'a str,
        lookup: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let Some(office) = self.office.upgrade() else { return Ok(()) };
            let number = self.number(account, person, lookup);
            let erased = Erased { person: person.to_owned(), number };
            let (here, elsewhere) =
                tokio::join!(office.forget(&erased), office.forget_elsewhere(&erased));
            here.and(elsewhere)?;
            if lookup.is_none() {
                // The last step.
                self.erasing().remove(person);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::cluster::node::{NodeRow, Roles};
    use crate::models::cluster::roster::ShardRow;
    use crate::models::cluster::shard::Shard;

    const ME: Incarnation = Incarnation(1);

    fn roster(lives: &[u64], owners: &[Option<u64>]) -> Roster {
        let node = |life: &u64| NodeRow {
            incarnation: Incarnation(*life),
            name: format!("node-{life}"),
            address: String::new(),
            roles: Roles::ALL,
            version: "1".into(),
            joined_us: 0,
            lease_until_us: 0,
            draining: false,
            dead: false,
        };
        let shard = |(at, owner): (usize, &Option<u64>)| ShardRow {
            shard: Shard(at as u16),
            owner: owner.map(Incarnation),
            epoch: 1,
            heir: None,
            since_us: 0,
        };
        let shards = owners.iter().enumerate().map(shard).collect();
        Roster { now_us: 1, nodes: lives.iter().map(node).collect(), shards }
    }

    #[test]
    fn all_nodes_that_live_are_asked_whatever_this_one_knows_of_them() {
        let asked = |roster: &Roster, known: &[Incarnation]| others(roster, ME, known, |_| false);
        let three = roster(&[1, 2, 3], &[Some(1), Some(2), None]);
        // One whose lease is over may write until somebody has ended its life.
        assert_eq!(asked(&three, &[]), Ok([2, 3].map(Incarnation).into()));
        let left = roster(&[1, 2], &[Some(1), Some(2), None]);
        assert_eq!(asked(&left, &[Incarnation(2), Incarnation(3)]), Ok([Incarnation(2)].into()));
        // A process of which the register does not know goes by what it was told.
        let none = roster(&[], &[Some(1), Some(2)]);
        assert_eq!(asked(&none, &[Incarnation(2)]), Ok([Incarnation(2)].into()));
        assert_eq!(asked(&roster(&[1], &[Some(1)]), &[]), Ok(BTreeSet::new()));
    }

    #[test]
    fn a_life_that_is_over_is_waited_for_until_it_cannot_write_any_more() {
        let cut_off = roster(&[1, 2], &[Some(1), Some(3), Some(2)]);
        assert_eq!(others(&cut_off, ME, &[], |_| false), Err(Incarnation(3)));
        let taken = roster(&[1, 2], &[Some(1), Some(1), Some(2)]);
        assert_eq!(others(&taken, ME, &[], |_| false), Ok([Incarnation(2)].into()));
        // Its process is gone for certain.
        let asked = others(&cut_off, ME, &[], |life| life == Incarnation(3));
        assert_eq!(asked, Ok([Incarnation(2)].into()));
    }

    #[test]
    fn whom_to_forget_is_known_until_the_last_step_is_done() {
        let of = Forgetting { office: Weak::new(), erasing: Mutex::default() };
        let lookup = format!("{:032x}", 7);
        assert_eq!(of.number("a", "p", None), None);
        assert_eq!(of.number("a", "p", Some(&lookup)), Some(7));
        assert_eq!((of.number("a", "p", None), of.number("a", "p", None)), (Some(7), Some(7)));
        let json = serde_json::to_vec(&Erased { person: "p".into(), number: Some(u128::MAX) });
        let read: Erased = serde_json::from_slice(&json.expect("json")).expect("reads");
        assert_eq!((&*read.person, read.number), ("p", Some(u128::MAX)));
    }
}
