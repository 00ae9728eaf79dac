//! Lists of actors, in pages.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

use super::cell::{Cell, State};
use super::registry::Registry;
use super::sync::read;

/// The most actors in one page.
pub const PAGE_LIMIT_MAX: usize = 1_000;
const PAGE_LIMIT: usize = 100;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    #[default]
    Path,
    /// Fullest mailboxes first.
    Depth,
    /// Most restarts first.
    Restarts,
}

/// Which actors to list.
#[derive(Clone, Debug, Default)]
pub struct ActorQuery {
    /// Only paths that begin with this.
    pub prefix: Option<String>,
    /// Only actors of this type.
    pub kind: Option<String>,
    pub sort: Sort,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Actors per page, 1 to 1,000 (100).
    pub limit: Option<usize>,
}

/// One line of a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActorSummary {
    #[schema(value_type = String)]
    pub path: Arc<str>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub state: State,
    /// Messages that wait.
    pub depth: u32,
    /// Messages that may wait.
    pub capacity: u32,
    pub handled: u64,
    pub restarts: u64,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActorPage {
    pub actors: Vec<ActorSummary>,
    /// The cursor of the next page; absent on the last. Sorted by a number that changes between
    /// pages, an actor may appear twice or not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// All actors and supervisors of this process, whatever the filter.
    pub total: usize,
}

#[derive(PartialEq, Eq)]
struct Rank(u64, Arc<str>);

/// Larger ranks come later: low numbers, then high paths.
impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.cmp(&self.0).then_with(|| self.1.cmp(&other.1))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ActorQuery {
    /// Whether the cursor may have come from a page of this order.
    pub fn cursor_fits(&self) -> bool {
        self.cursor.as_deref().is_none_or(|cursor| parse_cursor(cursor, self.sort).is_some())
    }
}

impl Registry {
    /// One page of actors. A cursor that does not fit begins at the first page.
    pub fn actors(&self, query: &ActorQuery) -> ActorPage {
        let limit = query.limit.unwrap_or(PAGE_LIMIT).clamp(1, PAGE_LIMIT_MAX);
        let cursor = query.cursor.as_deref().and_then(|cursor| parse_cursor(cursor, query.sort));
        let (mut cells, total) = match query.sort {
            Sort::Path => self.by_path(query, cursor.map(|rank| rank.1), limit + 1),
            sort => self.by_rank(query, sort, cursor, limit + 1),
        };
        let more = cells.len() > limit;
        cells.truncate(limit);
        let next = cells.last().filter(|_| more).map(|(rank, cell)| match query.sort {
            Sort::Path => cell.path.to_string(),
            _ => format!("{rank}:{}", cell.path),
        });
        ActorPage { actors: cells.iter().map(|(_, cell)| summary(cell)).collect(), next, total }
    }

    fn by_path(
        &self,
        query: &ActorQuery,
        after: Option<Arc<str>>,
        limit: usize,
    ) -> (Vec<(u64, Arc<Cell>)>, usize) {
        let actors = read(&self.kernel.actors);
        let prefix = query.prefix.as_deref().unwrap_or("");
        let from: Bound<&str> = match after.as_deref() {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        // The keys are read anyway here; a cursor of another prefix finds nothing.
        let cells = actors
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(path, _)| path.starts_with(prefix))
            .filter(|(_, cell)| of_kind(query, cell))
            .take(limit)
            .map(|(_, cell)| (0, Arc::clone(cell)))
            .collect();
        (cells, actors.len())
    }

    /// Keeps only the page while looking at all: no sort of everything, no copy of everything.
    fn by_rank(
        &self,
        query: &ActorQuery,
        sort: Sort,
        after: Option<Rank>,
        limit: usize,
    ) -> (Vec<(u64, Arc<Cell>)>, usize) {
        let actors = read(&self.kernel.actors);
        let prefix = query.prefix.as_deref().unwrap_or("");
        let mut heap: BinaryHeap<Rank> = BinaryHeap::with_capacity(limit + 1);
        // An end found once spares a look at every path, each a miss of the cache.
        let end = after_all(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        for (path, cell) in actors.range::<str, _>((Bound::Included(prefix), end)) {
            if !of_kind(query, cell) {
                continue;
            }
            let number = match sort {
                Sort::Restarts => cell.restarts.load(Relaxed),
                _ => u64::from(cell.depth()),
            };
            let full = heap.len() == limit;
            if full && heap.peek().is_some_and(|worst| worst.0 >= number) {
                continue;
            }
            let rank = Rank(number, Arc::clone(path));
            if after.as_ref().is_some_and(|after| rank <= *after) {
                continue;
            }
            heap.push(rank);
            if heap.len() > limit {
                heap.pop();
            }
        }
        let ranked = heap.into_sorted_vec();
        let cells = ranked
            .into_iter()
            .filter_map(|Rank(n, path)| Some((n, Arc::clone(actors.get(&path)?))));
        (cells.collect(), actors.len())
    }
}

/// The first string after all that begin with this prefix.
fn after_all(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

fn of_kind(query: &ActorQuery, cell: &Cell) -> bool {
    query.kind.as_deref().is_none_or(|kind| kind == cell.kind)
}

/// `None` for what no page gave out.
fn parse_cursor(cursor: &str, sort: Sort) -> Option<Rank> {
    let (number, path) = match sort {
        Sort::Path => (0, cursor),
        _ => cursor.split_once(':').and_then(|(n, path)| Some((n.parse().ok()?, path)))?,
    };
    path.starts_with('/').then(|| Rank(number, path.into()))
}

pub(super) fn summary(cell: &Cell) -> ActorSummary {
    ActorSummary {
        path: Arc::clone(&cell.path),
        kind: cell.kind,
        state: cell.state(),
        depth: cell.depth(),
        capacity: cell.policy.mailbox,
        handled: cell.books.handled.load(Relaxed),
        restarts: cell.restarts.load(Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_comes_after_all_that_begin_with_it() {
        assert_eq!(after_all("/s/e/").as_deref(), Some("/s/e0"));
        assert_eq!(after_all("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(after_all("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_all(""), None);
    }

    #[test]
    fn ranks_put_high_numbers_first_and_then_low_paths() {
        let mut ranks = [Rank(1, "/a".into()), Rank(2, "/b".into()), Rank(2, "/a".into())];
        ranks.sort();
        assert!(ranks.iter().map(|r| (r.0, &*r.1)).eq([(2, "/a"), (2, "/b"), (1, "/a")]));
    }

    #[test]
    fn a_cursor_is_one_of_its_order() {
        assert!(parse_cursor("/a", Sort::Path).is_some());
        assert!(parse_cursor("3:/a", Sort::Depth).is_some());
        for (cursor, sort) in
            [("a", Sort::Path), ("/a", Sort::Depth), ("x:/a", Sort::Depth), ("3:a", Sort::Restarts)]
        {
            assert!(parse_cursor(cursor, sort).is_none(), "{cursor}");
        }
    }
}
