//! Does faults and undoes them.
//!
//! What may be left of a fault is written to `undo/` of the run's folder, and is safe on disk, before anything is done. It
//! is removed after it was seen to be undone. Every fault has a time to live, after which it is undone whoever else
//! forgot it; a suite that dies is cleaned up after by [`heal`].

mod actor;
mod admin;
mod calls;
mod chosen;
mod clock;
mod disk;
pub mod error;
mod family;
mod ground;
mod heal;
mod left;
mod limits;
mod memory;
mod network;
mod postgres;
mod process;
mod record;
mod redis;
mod repeat;
mod service;
mod shelf;
mod system;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use self::admin::Admin;
pub use self::chosen::Chosen;
pub use self::error::{FaultError, FaultResult};
use self::family::{At, Family, Order, Site};
pub use self::ground::Ground;
pub use self::heal::{Healed, Healing, heal, left_in};
use self::record::Record;
use self::shelf::Shelf;
use crate::experiment::fault::Fault;

/// Longest time to live of a fault.
const TTL_MAX: Duration = Duration::from_secs(3600);

/// A fault that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Injected {
    pub number: u32,
    pub kind: String,
    /// In words: `node-1 -> node-2`.
    pub target: String,
    /// By which means: "relay", "proxy", "signal", "admin api", "strace" and so on.
    pub way: String,
    /// Names of hosts, or patterns of actors.
    pub struck: Vec<String>,
}

/// The faults of one run.
pub struct Faults {
    ground: Arc<Ground>,
    shelf: Arc<Shelf>,
    admin: Arc<Admin>,
}

impl Faults {
    /// # Errors
    /// The folder has records of a run that was not cleaned up, or no client of HTTP can be made.
    pub fn new(ground: Ground) -> FaultResult<Faults> {
        if let Some(record) = record::all(&ground.folder)?.first() {
            let folder = ground.folder.display();
            return Err(FaultError::Bad(format!(
                "{folder} tells of fault {} of a run that was not undone: `kiki-chaos heal {folder}` undoes it",
                record.number
            )));
        }
        let admin = Arc::new(Admin::new(ground.token.clone())?);
        Ok(Faults { ground: Arc::new(ground), shelf: Arc::default(), admin })
    }

    /// Does a fault. It goes on until [`Faults::undo`], or until its time to live is over; for a fault that a node does
    /// itself the node keeps this time, too, so that it should be longer than the fault is to last.
    ///
    /// Where it fails, what was done of it has been undone; where that failed, too, the fault is open and its record is
    /// there.
    ///
    /// # Errors
    /// It is not possible here, another fault holds its target, or it did not come about.
    pub async fn inject(
        &self,
        number: u32,
        fault: &Fault,
        chosen: &Chosen,
        ttl: Duration,
    ) -> FaultResult<Injected> {
        let kind = fault.kind();
        let family = family::of(kind)
            .ok_or_else(|| FaultError::Bad(format!("no family of faults knows {kind}")))?;
        if ttl.is_zero() || ttl > TTL_MAX {
            let most = TTL_MAX.as_secs();
            return Err(FaultError::Bad(format!("a time to live of {ttl:?}: most is {most} s")));
        }
        let (fault, chosen) = (fault.clone(), chosen.clone());
        self.begin(family, Order { number, fault, chosen, ttl, ground: self.ground.clone() }).await
    }

    async fn begin(&self, family: &'static dyn Family, order: Order) -> FaultResult<Injected> {
        let (number, kind, ttl) = (order.number, order.fault.kind(), order.ttl);
        if family.needs_lab() {
            order.ground.lab(kind)?;
        }
        let prepared = family.prepare(&order).await?;
        let record = Record::new(number, kind, &prepared.target, ttl, prepared.left)?;
        let injected = Injected {
            number,
            kind: kind.to_owned(),
            target: prepared.target,
            way: prepared.way,
            struck: prepared.struck,
        };
        let site = Arc::new(Site::new(family, order, injected.clone(), record.clone()));
        self.shelf.put(site.clone())?;
        if let Err(error) = record.write(&self.ground.folder) {
            self.shelf.forget(number);
            return Err(error);
        }
        let at = At { site, shelf: self.shelf.clone(), admin: self.admin.clone() };
        // Its time runs from here on, however it begins: where that goes wrong it is needed most.
        self.watch(number, ttl);
        // Whoever ordered it may give up waiting: what was begun is finished, and can be undone then.
        let done = tokio::spawn(async move {
            let acts = at.clone();
            let acted = tokio::spawn(async move {
                let _turn = acts.site.turn.lock().await;
                acts.site.family.act(&acts).await
            });
            let error = match acted.await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                // Nobody knows how far it came.
                Err(error) => FaultError::Bad(format!("fault {number} ({kind}) broke: {error}")),
            };
            Err(match undo(at).await {
                Ok(()) => error,
                Err(left) => FaultError::Bad(format!("{error}; and it is not undone: {left}")),
            })
        });
        done.await.map_err(|error| {
            FaultError::Bad(format!("fault {number} ({kind}) broke: {error}"))
        })??;
        Ok(injected)
    }

    /// Its time to live.
    fn watch(&self, number: u32, ttl: Duration) {
        let (shelf, admin) = (Arc::downgrade(&self.shelf), Arc::downgrade(&self.admin));
        tokio::spawn(async move {
            tokio::time::sleep(ttl).await;
            // Without a run nobody is here to undo it: its record is.
            let (Some(shelf), Some(admin)) = (shelf.upgrade(), admin.upgrade()) else { return };
            let Some(site) = shelf.get(number) else { return };
            tracing::warn!("the time of fault {number} ({}) is over", site.injected.kind);
            if let Err(error) = undo(At { site, shelf: shelf.clone(), admin }).await {
                shelf.troubled(format!("fault {number} is not undone after its time: {error}"));
            }
        });
    }

    /// Undoes a fault and sees that it is undone. Nothing is done where it is over already.
    ///
    /// # Errors
    /// Something is left of it: it is open and its record is there, so that it may be tried again.
    pub async fn undo(&self, number: u32) -> FaultResult<()> {
        match self.shelf.get(number) {
            None => Ok(()),
            Some(site) => {
                undo(At { site, shelf: self.shelf.clone(), admin: self.admin.clone() }).await
            }
        }
    }

    /// Undoes all that is open, the newest first. None waits for another one: what a balancer or a node needs to serve may
    /// be what another fault holds. What fails is tried again when the others are over.
    pub async fn undo_all(&self) -> Vec<(u32, FaultResult<()>)> {
        let mut numbers: Vec<u32> = self.shelf.open().keys().copied().collect();
        numbers.reverse();
        let first = futures_util::future::join_all(numbers.iter().map(|n| self.undo(*n))).await;
        let mut done = Vec::new();
        for (number, result) in numbers.into_iter().zip(first) {
            done.push(match result {
                Ok(()) => (number, Ok(())),
                Err(_) => (number, self.undo(number).await),
            });
        }
        done
    }

    /// Faults that go on, by their numbers.
    pub fn open(&self) -> Vec<Injected> {
        self.shelf.open().values().map(|site| site.injected.clone()).collect()
    }

    /// How many a fault struck: processes, connections, packets, messages, calls, by what it is. What only the target
    /// counts (messages, packets, calls) is known when it is over. `None`: there was no such fault.
    pub fn struck(&self, number: u32) -> Option<u64> {
        self.shelf.count(number)
    }

    /// What went wrong with faults while they went on. A run with any of it did not do what it was to do.
    pub fn trouble(&self) -> Vec<String> {
        self.shelf.trouble()
    }
}

/// Whoever ordered it may give up waiting: what was begun is finished.
async fn undo(at: At) -> FaultResult<()> {
    let kind = at.site.injected.kind.clone();
    let done = tokio::spawn(async move { end(&at).await });
    done.await.map_err(|error| FaultError::Bad(format!("undoing {kind} broke: {error}")))?
}

async fn end(at: &At) -> FaultResult<()> {
    let _turn = at.site.turn.lock().await;
    let number = at.site.order.number;
    // Somebody else was faster.
    if at.shelf.get(number).is_none() {
        return Ok(());
    }
    at.site.family.undo(at).await?;
    at.site.record().remove(&at.ground().folder)?;
    at.shelf.close(number);
    Ok(())
}

impl Drop for Faults {
    /// What can be done at once: nobody stands still and nobody is bounded or traced. The records stay, and tell of the
    /// rest.
    fn drop(&mut self) {
        let open = std::mem::take(&mut *self.shelf.open());
        for site in open.values().rev() {
            site.record().left.iter().rev().for_each(left::Left::let_go);
        }
    }
}

#[cfg(test)]
mod tests;
