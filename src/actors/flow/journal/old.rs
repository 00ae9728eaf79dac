//! What is old: decisions, counts and changes whose time is over go.

use crate::actors::shield::Writes;
use crate::store::StoreError;

use super::counts::HOUR_US;

/// Rows that are deleted at once: a look that finds so many is followed by the next.
const AT_ONCE: u32 = 1_000;

/// What a look has done.
#[derive(Default)]
pub struct Looked {
    pub pruned: u64,
    /// There may be more.
    pub full: bool,
}

pub async fn look(writes: &Writes, now_us: i64, retention_us: i64) -> Result<Looked, StoreError> {
    let store = writes.store();
    let before = now_us.saturating_sub(retention_us);
    let pruned = [
        store.flow_decisions_prune(before, AT_ONCE).await?,
        store.flow_reach_prune(before, AT_ONCE).await?,
        store.flow_counts_prune(before.div_euclid(HOUR_US), AT_ONCE).await?,
        store.flow_changes_prune(before, AT_ONCE).await?,
    ];
    Ok(Looked { pruned: pruned.iter().sum(), full: pruned.contains(&u64::from(AT_ONCE)) })
}
