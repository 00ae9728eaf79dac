//! What all actors of SyncFlow share.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use super::campaign::CampaignActor;
use super::parts::Parts;
use super::roster::Roster;
use super::terms::FlowTerms;
use crate::actors::kernel::Entities;
use crate::actors::shield::{Shield, Writes};
use crate::actors::value::Value;

pub struct Shared {
    pub terms: FlowTerms,
    pub shield: Shield,
    pub value: Value,
    pub writes: Writes,
    pub roster: Roster,
    pub campaigns: OnceLock<Entities<CampaignActor>>,
    /// What answers exchanges.
    pub parts: Parts,
    pub draining: AtomicBool,
}
