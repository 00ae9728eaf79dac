//! What is old: decisions, counts and changes whose time is over go, and bids that nobody has spoken of are
//! over.

use crate::actors::shield::Writes;
use crate::models::flow::decision::{Decision, Outcome};
use crate::store::StoreError;

use super::batch;
use super::counts::HOUR_US;

/// Rows that are deleted, and bids that are ended, at once: a look that finds so many is followed by the next.
const AT_ONCE: u32 = 1_000;
/// A bid stands for an hour at most; its notices come within minutes of that.
const SILENT_US: i64 = 2 * HOUR_US;

/// What a look has done.
#[derive(Default)]
pub struct Looked {
    pub pruned: u64,
    /// Bids of which nobody has told: they are over.
    pub silent: Vec<(u128, Decision)>,
    /// There may be more.
    pub full: bool,
    /// Where the next look for silent bids begins; `None`: from the oldest on.
    pub after: Option<Place>,
}

/// Time and id of a bid.
pub type Place = (i64, String);

/// `after`: behind which bid it looks for silent ones. What it has found once does not keep it from the next,
/// whatever becomes of that.
pub async fn look(
    writes: &Writes,
    (now_us, retention_us): (i64, i64),
    after: Option<Place>,
) -> Result<Looked, StoreError> {
    let store = writes.store();
    let before = now_us.saturating_sub(retention_us);
    let pruned = [
        store.flow_decisions_prune(before, AT_ONCE).await?,
        store.flow_reach_prune(before, AT_ONCE).await?,
        store.flow_counts_prune(before.div_euclid(HOUR_US), AT_ONCE).await?,
        store.flow_changes_prune(before, AT_ONCE).await?,
    ];
    let after = after.unwrap_or((i64::MIN, String::new()));
    let silent_us = now_us.saturating_sub(SILENT_US);
    let rows = store.flow_decisions_open(silent_us, (after.0, &after.1), AT_ONCE).await?;
    let more = rows.len() == AT_ONCE as usize;
    let after = rows.last().filter(|_| more).map(|row| (row.at, row.decision.clone()));
    let full = more || pruned.contains(&u64::from(AT_ONCE));
    let expired = |mut decision: Decision| {
        decision.outcome = Outcome::Expired { at_us: now_us };
        decision
    };
    let silent = rows.iter().filter_map(batch::read).map(|(id, it)| (id, expired(it)));
    Ok(Looked { pruned: pruned.iter().sum(), silent: silent.collect(), full, after })
}
