//! The supervision tree of SyncFlow.

use std::sync::Arc;

use super::campaign::CampaignActor;
use super::index::IndexActor;
use super::parts;
use super::shared::Shared;
use super::tenant::Campaigns;
use crate::actors::kernel::{Registry, Service, SpawnError, Strategy, per_minute};

/// ```text
/// /flow                     one for one
/// ├── campaign/<campaign>   entities: what a campaign is, and what becomes of it
/// ├── …                     what answers exchanges
/// └── index                 permanent: what auctions see of them, and when to wake them
/// ```
pub fn grow(registry: &Registry, shared: &Arc<Shared>) -> Result<Service, SpawnError> {
    let service = registry.service("flow").strategy(Strategy::OneForOne).start()?;
    let root = service.supervisor();
    let terms = &shared.terms;

    let of_campaign = Arc::clone(shared);
    let campaigns = root
        .entities("campaign")
        .mailbox(terms.mailbox_max)
        .idle_after(terms.idle_after)
        .resident_max(terms.resident_max)
        .start(move |key| CampaignActor::new(Arc::clone(&of_campaign), key))?;
    // Set once: this tree is the only place that grows one.
    let _ = shared.campaigns.set(campaigns);

    parts::grow(root, shared)?;
    let tenant = Campaigns(Arc::downgrade(shared));
    shared.shield.placement().tenants().add(Arc::new(tenant));

    let for_index = Arc::clone(shared);
    root.child("index")
        .intensity(10, per_minute())
        .mailbox(256)
        .start(move || IndexActor::new(Arc::clone(&for_index)))?;
    Ok(service)
}
