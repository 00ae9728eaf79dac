//! One actor in full, the tree, and sums by type.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use super::cell::{Cell, Incident};
use super::dead::short_name;
use super::hist::Latency;
use super::kernel::Totals;
use super::page::{ActorSummary, summary};
use super::registry::Registry;
use super::sync::{lock, read};
use super::time::now_ns;
use crate::models::breaker::BreakerView;

const CHILDREN_MAX: usize = 1_000;
const TREE_DEPTH_MAX: usize = 16;

/// The message that an actor is handling.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Handling {
    /// The message's label.
    pub message: &'static str,
    pub for_ms: u64,
}

/// Everything that is known of an actor without asking it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActorDetail {
    #[serde(flatten)]
    pub summary: ActorSummary,
    /// When it was started, wall-clock microseconds since 1970 UTC.
    pub since_us: i64,
    /// How many lives it has begun.
    pub lives: u32,
    /// What it is handling now, and for how long.
    pub handling: Option<Handling>,
    /// Since its last message's turn.
    pub idle_ms: u64,
    /// Most messages that waited at a time.
    pub depth_max: u32,
    /// Timers and continuations that wait, beside the mailbox.
    pub inner_depth: u32,
    pub failed: u64,
    /// Messages whose deadline passed before their turn.
    pub expired: u64,
    /// Messages refused by a full mailbox.
    pub refused: u64,
    /// From sending to the handler's start.
    pub wait: Latency,
    /// The handler; short handlers are sampled.
    pub handle: Latency,
    /// The latest, oldest first.
    pub restart_reasons: Vec<Incident>,
    pub last_errors: Vec<Incident>,
    /// The last published state.
    #[schema(value_type = Option<Object>)]
    pub view: Option<serde_json::Value>,
    /// When the view was published, wall-clock microseconds since 1970 UTC.
    pub view_at_us: Option<i64>,
    #[schema(value_type = Option<Object>)]
    pub breaker: Option<BreakerView>,
    /// Paths of direct children, the first 1,000.
    #[schema(value_type = Vec<String>)]
    pub children: Vec<Arc<str>>,
    #[schema(value_type = Option<String>)]
    pub parent: Option<Arc<str>>,
}

/// A node of the tree.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TreeNode {
    #[serde(flatten)]
    pub actor: ActorSummary,
    /// How many actors are below, at any depth shown or not.
    pub below: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub children: Vec<TreeNode>,
}

/// Sums over all actors of one type, also those that ended.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TypeStats {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub active: usize,
    pub depth: u64,
    pub handled: u64,
    pub failed: u64,
    pub expired: u64,
    pub refused: u64,
    pub restarts: u64,
    pub wait: Latency,
    pub handle: Latency,
}

impl Registry {
    pub fn actor(&self, path: &str) -> Option<ActorDetail> {
        let cell = self.kernel.find(path)?;
        let children =
            self.children(path, CHILDREN_MAX).iter().map(|c| Arc::clone(&c.path)).collect();
        Some(detail(&cell, children))
    }

    /// All services with what is below them, `depth` levels deep (1 to 16), at most 1,000 children
    /// of each.
    pub fn tree(&self, depth: usize) -> Vec<TreeNode> {
        let roots = lock(&self.kernel.services).clone();
        roots.iter().map(|root| self.node(root, depth.clamp(1, TREE_DEPTH_MAX) - 1)).collect()
    }

    /// For metrics: one entry for each type of actor.
    pub fn types(&self) -> Vec<TypeStats> {
        let mut sums: BTreeMap<&'static str, (usize, u64, Totals)> = BTreeMap::new();
        for (kind, ended) in lock(&self.kernel.totals).iter() {
            sums.entry(kind).or_default().2 = ended.clone();
        }
        for cell in read(&self.kernel.actors).values().filter(|cell| cell.port.get().is_some()) {
            let (active, depth, totals) = sums.entry(cell.kind).or_default();
            *active += 1;
            *depth += u64::from(cell.depth());
            totals.add(cell);
        }
        sums.into_iter()
            .map(|(kind, (active, depth, t))| type_stats(kind, active, depth, &t))
            .collect()
    }

    fn node(&self, cell: &Arc<Cell>, deeper: usize) -> TreeNode {
        let children =
            if deeper == 0 { Vec::new() } else { self.children(&cell.path, CHILDREN_MAX) };
        TreeNode {
            actor: summary(cell),
            below: self.count_below(&cell.path),
            children: children.iter().map(|child| self.node(child, deeper - 1)).collect(),
        }
    }

    /// Direct children in the order of their paths: what is deeper is stepped over.
    fn children(&self, path: &str, limit: usize) -> Vec<Arc<Cell>> {
        let actors = read(&self.kernel.actors);
        let below = format!("{path}/");
        let mut found = Vec::new();
        let mut from = Bound::Included(below.clone());
        while found.len() < limit {
            let start = from.as_ref().map(String::as_str);
            let Some((at, cell)) = actors.range::<str, _>((start, Bound::Unbounded)).next() else {
                break;
            };
            let Some(rest) = at.strip_prefix(below.as_str()) else { break };
            match rest.split_once('/') {
                None => {
                    found.push(Arc::clone(cell));
                    from = Bound::Excluded(at.to_string());
                }
                // '0' is the character after '/'.
                Some((child, _)) => from = Bound::Included(format!("{below}{child}0")),
            }
        }
        found
    }

    fn count_below(&self, path: &str) -> usize {
        let actors = read(&self.kernel.actors);
        let (from, to) = (format!("{path}/"), format!("{path}0"));
        let range = (Bound::Included(from.as_str()), Bound::Excluded(to.as_str()));
        actors.range::<str, _>(range).count()
    }
}

fn detail(cell: &Cell, children: Vec<Arc<str>>) -> ActorDetail {
    let now = now_ns();
    let since_active_ms = now.saturating_sub(cell.books.active_ns.load(Relaxed)) / 1_000_000;
    let busy = cell.books.busy.load(Relaxed) as usize;
    let handling = busy.checked_sub(1).map(|index| {
        let message = short_name(lock(&cell.labels).get(index).copied().unwrap_or("message"));
        Handling { message, for_ms: since_active_ms }
    });
    let (restart_reasons, last_errors) = {
        let record = lock(&cell.record);
        (record.restart_reasons.iter().cloned().collect(), record.errors.iter().cloned().collect())
    };
    let published = lock(&cell.view).clone();
    ActorDetail {
        summary: summary(cell),
        since_us: cell.since_us,
        lives: cell.life.load(Relaxed),
        idle_ms: if handling.is_some() { 0 } else { since_active_ms },
        handling,
        depth_max: cell.books.depth_max.load(Relaxed).max(cell.depth()),
        inner_depth: cell.gate.inner_depth.load(Relaxed),
        failed: cell.books.failed.load(Relaxed),
        expired: cell.books.expired.load(Relaxed),
        refused: cell.gate.refused.load(Relaxed),
        wait: cell.books.wait.counts().latency(),
        handle: cell.books.handle.counts().latency(),
        restart_reasons,
        last_errors,
        view_at_us: published.as_ref().map(|p| p.at_us),
        view: published.map(|p| p.view.json()),
        breaker: cell.breaker.get().map(|b| b.view()),
        children,
        parent: cell.parent.as_ref().map(|p| Arc::clone(&p.path)),
    }
}

fn type_stats(kind: &'static str, active: usize, depth: u64, t: &Totals) -> TypeStats {
    TypeStats {
        kind,
        active,
        depth,
        handled: t.handled,
        failed: t.failed,
        expired: t.expired,
        refused: t.refused,
        restarts: t.restarts,
        wait: t.wait.latency(),
        handle: t.handle.latency(),
    }
}
