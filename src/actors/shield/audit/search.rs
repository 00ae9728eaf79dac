//! Reading a log: search, newest first, and proofs.

use super::verify::{VerifyError, block, start_frontier};
use crate::models::shield::audit::merkle::{Hash, Node, leaf_hash};
use crate::models::shield::audit::proof::{Gathered, Plan, plan_consistency, plan_inclusion};
use crate::models::shield::audit::record::{Outcome, Record};
use crate::models::shield::audit::summary::Summary;
use crate::store::{AuditBlockRow, Store};

/// Hits of one answer at most.
pub const RESULTS_MAX: usize = 1_000;
/// Blocks that one answer looks into at most: then it says where to go on.
const BLOCKS_MAX: usize = 1_024;
const PAGE: u32 = 16;

/// What to look for. Nothing set finds everything.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Wall micros, the first inclusive, the last exclusive.
    pub from_us: Option<i64>,
    pub to_us: Option<i64>,
    /// An event, or the beginning of some with a `*` behind: `budget.*`.
    pub event: Option<String>,
    pub actor: Option<String>,
    pub subject: Option<String>,
    pub person: Option<String>,
    pub outcome: Option<Outcome>,
    /// Only records before this index.
    pub before: Option<i64>,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub index: i64,
    /// The record's line, as it was hashed.
    pub line: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub hits: Vec<Hit>,
    /// There may be more before this index.
    pub next: Option<i64>,
}

impl Query {
    fn event_fits(&self, event: &str) -> bool {
        match self.event.as_deref() {
            None => true,
            Some(wanted) => match wanted.strip_suffix('*') {
                Some(begin) => event.starts_with(begin),
                None => event == wanted,
            },
        }
    }

    fn fits(&self, record: &Record) -> bool {
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        self.from_us.is_none_or(|from| record.at_us >= from)
            && self.to_us.is_none_or(|to| record.at_us < to)
            && self.event_fits(record.event.as_str())
            && same(&self.actor, Some(&record.actor))
            && same(&self.subject, record.subject.as_deref())
            && same(&self.person, record.person.as_deref())
            && self.outcome.is_none_or(|outcome| record.outcome == outcome)
    }

    /// Whether a block can hold what is looked for.
    fn may_hold(&self, row: &AuditBlockRow) -> bool {
        let in_time = self.from_us.is_none_or(|from| row.at_to >= from)
            && self.to_us.is_none_or(|to| row.at_from < to);
        in_time
            && match serde_json::from_str::<Summary>(&row.summary) {
                Ok(summary) => summary.iter().any(|(event, outcome, _)| {
                    self.event_fits(event.as_str()) && self.outcome.is_none_or(|o| o == outcome)
                }),
                // tampered with: look into it
                Err(_) => true,
            }
    }
}

/// Searches a log, newest first.
pub async fn search(store: &Store, account: &str, query: &Query) -> Result<Found, VerifyError> {
    let limit = query.limit.clamp(1, RESULTS_MAX);
    let mut found = Found::default();
    let mut looked = 0;
    let mut before = match query.before {
        None => i64::MAX,
        Some(index) => match store.audit_block_of(account, index.saturating_sub(1)).await? {
            Some(row) => row.block + 1,
            None if index > 0 => i64::MAX,
            None => return Ok(found),
        },
    };
    loop {
        let rows = page(store, account, query, before).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        before = last.block;
        for row in &rows {
            looked += 1;
            // times of blocks may overlap a little where a clock was set back, so months decide
            if query.may_hold(row) && look_into(row, query, limit, &mut found) {
                return Ok(found);
            }
        }
        let over = query.from_us.is_some_and(|from| last.at_to < from - CLOCK_SLACK_US);
        if over {
            return Ok(found);
        }
        if looked >= BLOCKS_MAX {
            found.next = Some(last.first);
            return Ok(found);
        }
    }
}

/// How far a wall clock may have been set back without a search missing records.
const CLOCK_SLACK_US: i64 = 86_400_000_000;

/// Adds a block's hits, newest first. Whether there are enough.
fn look_into(row: &AuditBlockRow, query: &Query, limit: usize, found: &mut Found) -> bool {
    let lines: Vec<(i64, &str)> = (row.first..).zip(row.lines.split('\n')).collect();
    for (index, line) in lines.into_iter().rev() {
        if query.before.is_some_and(|before| index >= before) {
            continue;
        }
        let Ok(record) = Record::parse(line) else { continue };
        if !query.fits(&record) {
            continue;
        }
        if found.hits.len() == limit {
            found.next = Some(index + 1);
            return true;
        }
        found.hits.push(Hit { index, line: line.to_owned() });
    }
    false
}

/// The next blocks to look into, newest first.
async fn page(
    store: &Store,
    account: &str,
    query: &Query,
    before: i64,
) -> Result<Vec<AuditBlockRow>, VerifyError> {
    let Some(person) = &query.person else {
        return Ok(store.audit_blocks_back(account, before, PAGE).await?);
    };
    let mut rows = Vec::new();
    for number in store.audit_person_blocks(account, person, before, PAGE).await? {
        rows.extend(store.audit_blocks(account, number, 1).await?);
    }
    Ok(rows)
}

/// What a plan needs, read from the store.
async fn gathered(store: &Store, account: &str, plan: &Plan) -> Result<Gathered, VerifyError> {
    let mut gathered = Gathered::new();
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    if let Some(frontier) = start_frontier(store, account).await? {
        gathered.frontier(&frontier);
    }
    for read in plan.reads() {
        if read.level == 0 {
            let mut index = signed(read.from);
            while index < signed(read.to) {
                let Some(row) = store.audit_block_of(account, index).await? else { break };
                index = row.first.saturating_add(row.count);
                let block = block(row)?;
                gathered.run(0, block.first, block.leaves());
            }
            continue;
        }
        let run = (signed(read.from), signed(read.to));
        for row in store.audit_nodes(account, i64::from(read.level), run).await? {
            let unreadable = |why: String| VerifyError::Unreadable {
                what: format!("node {} of level {}", row.idx, row.level),
                why,
            };
            let hash: Hash = row.hash.parse().map_err(|_| unreadable("no hash".to_owned()))?;
            let index = u64::try_from(row.idx).map_err(|e| unreadable(e.to_string()))?;
            gathered.insert(Node { level: read.level, index, hash });
        }
    }
    Ok(gathered)
}

/// The record of an index, and its path to the root of the first `size` records. `None`: there is
/// none, or retention has dropped it.
pub async fn prove_inclusion(
    store: &Store,
    account: &str,
    index: u64,
    size: u64,
) -> Result<Option<(String, Hash, Vec<Hash>)>, VerifyError> {
    let Ok(plan) = plan_inclusion(index, size) else { return Ok(None) };
    let at = i64::try_from(index).unwrap_or(i64::MAX);
    let Some(row) = store.audit_block_of(account, at).await? else { return Ok(None) };
    let nth = usize::try_from(at - row.first).unwrap_or(usize::MAX);
    let Some(line) = row.lines.split('\n').nth(nth) else { return Ok(None) };
    let gathered = gathered(store, account, &plan).await?;
    let path = plan
        .path(&gathered)
        .map_err(|e| VerifyError::Unreadable { what: "the tree".to_owned(), why: e.to_string() })?;
    Ok(Some((line.to_owned(), leaf_hash(line.as_bytes()), path)))
}

/// The path that shows that the first `to` records begin with the first `from`.
pub async fn prove_consistency(
    store: &Store,
    account: &str,
    from: u64,
    to: u64,
) -> Result<Option<Vec<Hash>>, VerifyError> {
    let Ok(plan) = plan_consistency(from, to) else { return Ok(None) };
    let gathered = gathered(store, account, &plan).await?;
    // a size from before what retention kept has no path any more
    Ok(plan.path(&gathered).ok())
}
