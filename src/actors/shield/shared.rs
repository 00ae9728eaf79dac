//! What all actors of SyncShield share: the store, the limits, the shards' epochs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::audit::{Audit, AuditTerms};
use super::budget::BudgetActor;
use super::corrections::Desk;
use super::dsr::Dsrs;
use super::forget::Memories;
use super::names::BudgetName;
use super::person::{Handler, Persons, ShieldHoldings};
use super::vault::Vault;
use super::webhooks::{HookTerms, Post};
use crate::actors::cluster::{Placement, detour};
use crate::actors::flow::FlowHoldings;
use crate::actors::kernel::Entities;
use crate::actors::value::ValueHoldings;
use crate::clock;
use crate::models::cluster::shard::Shard;
use crate::models::shield::entry::{HolderId, Now};
use crate::models::shield::limits::Limits;
use crate::models::shield::terms::WindowCap;
use crate::store::{Committer, Store};

/// What belongs to no account is where this would be: no account has this name.
const INSTALLATION: &str = "*";

/// Settings of SyncShield.
#[derive(Clone, Debug)]
pub struct ShieldTerms {
    pub limits: Limits,
    /// Of accounts that have no cap of their own.
    pub window: WindowCap,
    pub default_account: String,
    pub default_currency: crate::models::shield::money::Currency,
    /// Life of a hold whose request names none.
    pub hold_ttl_us: i64,
    /// How long an actor without work stays in memory.
    pub idle_after: std::time::Duration,
    /// People in memory: of more, those that are idle longest go.
    pub resident_max: usize,
    pub mailbox_max: u32,
    pub audit: AuditTerms,
    pub webhooks: HookTerms,
}

pub struct Shared {
    pub terms: ShieldTerms,
    pub store: Store,
    pub committer: Committer,
    /// Names this life of the process among holders of slices.
    pub incarnation: u64,
    pub placement: Arc<Placement>,
    holders: AtomicU64,
    /// Actors whose last life did not end in order.
    unclean: Mutex<HashMap<String, ()>>,
    /// A restore has paused all spending until an operator resumes it.
    pub paused: AtomicBool,
    /// The service is coming to its end: what is committed now is the last.
    pub draining: AtomicBool,
    pub accounts: OnceLock<Entities<BudgetActor>>,
    pub budgets: OnceLock<Entities<BudgetActor>>,
    pub vault: Arc<Vault>,
    pub audit: Audit,
    pub persons: Persons,
    pub dsrs: Dsrs,
    pub corrections: Desk,
    pub webhooks: Post,
    /// What services hold about people: every one is asked for every package and every erasure.
    pub handlers: Vec<Box<dyn Handler>>,
    /// Who is told when somebody is erased.
    pub memories: Arc<Memories>,
}

impl Shared {
    pub fn new(
        terms: ShieldTerms,
        store: Store,
        committer: Committer,
        placement: Arc<Placement>,
        paused: bool,
        vault: Vault,
    ) -> Arc<Shared> {
        let audit = Audit::new(terms.audit.clone(), Arc::clone(&placement));
        Arc::new(Shared {
            terms,
            store,
            committer,
            incarnation: placement.incarnation().0,
            placement,
            holders: AtomicU64::new(0),
            unclean: Mutex::default(),
            paused: AtomicBool::new(paused),
            draining: AtomicBool::new(false),
            accounts: OnceLock::new(),
            budgets: OnceLock::new(),
            vault: Arc::new(vault),
            audit,
            persons: Persons::default(),
            dsrs: Dsrs::default(),
            corrections: Desk::default(),
            webhooks: Post::default(),
            handlers: vec![
                Box::new(ShieldHoldings),
                Box::new(ValueHoldings),
                Box::new(FlowHoldings),
            ],
            memories: Arc::default(),
        })
    }

    /// The epoch to write a shard of SyncShield's with; one that is refused where it is not this node's.
    pub fn epoch(&self, shard: i64) -> i64 {
        u16::try_from(shard).map_or(-1, |shard| self.placement.epoch(Shard(shard)))
    }

    /// Whether this node answers for what is in a shard. Where it does not, the request that asked for it is to be
    /// answered elsewhere.
    pub fn admits(&self, shard: Shard) -> bool {
        let here = self.placement.admits(shard);
        if !here {
            detour::want(shard);
        }
        here
    }

    /// The same of what an account has beside its campaigns.
    pub fn admits_account(&self, account: &str) -> bool {
        self.admits(BudgetName::account(account).place())
    }

    /// Whether other nodes may answer for this platform, too.
    pub fn has_neighbours(&self) -> bool {
        self.placement.links().address().is_some() || !self.placement.is_alone()
    }

    /// Whether this node does what is done once for the whole installation.
    pub fn is_first(&self) -> bool {
        self.placement.serves() && self.placement.admits(BudgetName::account(INSTALLATION).place())
    }

    /// A holder that never was: the next life of some purse.
    pub fn next_holder(&self) -> HolderId {
        let n = self.holders.fetch_add(1, Ordering::Relaxed);
        HolderId(self.incarnation ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Notes that a life begins; tells whether the one before it ended in disorder.
    pub fn begins(&self, path: &str) -> bool {
        let mut unclean = self.unclean.lock().unwrap_or_else(PoisonError::into_inner);
        unclean.insert(path.to_owned(), ()).is_some()
    }

    pub fn ended(&self, path: &str) {
        self.unclean.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

/// Both clocks, now.
pub fn now() -> Now {
    Now { mono_us: clock::mono_us(), wall_us: clock::wall_us() }
}
