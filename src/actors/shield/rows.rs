//! Between the rules' types and the store's rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::names::BudgetName;
use crate::actors::kernel::Fault;
use crate::clock;
use crate::models::shield::budget::Core;
use crate::models::shield::effect::Batch;
use crate::models::shield::entry::{Day, Entry, HolderId, Kind, Now, Op, SliceId};
use crate::models::shield::hold::{Hold, HoldState};
use crate::models::shield::money::Micros;
use crate::models::shield::slice::Slice;
use crate::models::shield::terms::{Status, Terms};
use crate::models::shield::window::Past;
use crate::store::{BudgetPut, BudgetRow, EntryRow, HoldRow, OutboxRow, SliceRow, Write};

/// The rest of a budget's state, beside its totals.
#[derive(Serialize, Deserialize, Default)]
struct Rest {
    days: BTreeMap<i32, i64>,
    raised: Vec<u8>,
    stopped: bool,
}

/// A row that this version does not understand: a defect or a newer writer, never ignored.
fn foreign(what: &str, value: &str) -> Fault {
    Fault::new(format!("stored {what} {value:?} is not understood"))
}

pub fn core_of(row: &BudgetRow) -> Result<Core, Fault> {
    let terms: Terms = serde_json::from_str(&row.terms)?;
    let rest: Rest = serde_json::from_str(&row.state)?;
    Ok(Core {
        terms: Arc::new(terms),
        status: Status::parse(&row.status).ok_or_else(|| foreign("status", &row.status))?,
        stopped: rest.stopped,
        version: row.version,
        seq: row.seq,
        funded: Micros(row.funded),
        refunded: Micros(row.refunded),
        settled: Micros(row.settled),
        facts: Micros(row.facts),
        late: Micros(row.late),
        days: rest.days.into_iter().map(|(d, a)| (Day(d), Micros(a))).collect(),
        raised: rest.raised,
        slices: BTreeMap::new(),
    })
}

/// A holder as its row names it: process, purse and the key of the purse's actor.
pub fn holder_text(incarnation: u64, holder: HolderId, key: &str) -> String {
    format!("{incarnation:016x}/{holder}/{key}")
}

/// The parts of [`holder_text`].
pub fn holder_parts(text: &str) -> Option<(u64, HolderId, &str)> {
    let (incarnation, rest) = text.split_once('/')?;
    let (holder, key) = rest.split_once('/')?;
    let hex = |t: &str| u64::from_str_radix(t, 16).ok();
    Some((hex(incarnation)?, HolderId(hex(holder)?), key))
}

pub fn slice_of(row: &SliceRow, seen: Now) -> Result<Slice, Fault> {
    let id = u64::from_str_radix(&row.slice, 16).map_err(|_| foreign("slice", &row.slice))?;
    let (_, holder, _) = holder_parts(&row.holder).ok_or_else(|| foreign("holder", &row.holder))?;
    Ok(Slice {
        id: SliceId(id),
        holder,
        quota: Micros(row.quota),
        settled: Micros(row.settled),
        noted: Micros::ZERO,
        missed: Micros::ZERO,
        since_seq: row.since_seq,
        day: Day(row.day.parse().map_err(|_| foreign("day", &row.day))?),
        seen_us: seen.mono_us,
        ttl_us: row.ttl_us,
        sealed: row.sealed != 0,
        drained: row.sealed != 0,
    })
}

pub fn entry_of(row: &EntryRow) -> Result<Entry, Fault> {
    let hex = |t: &str| Op::from_hex(t).ok_or_else(|| foreign("operation", t));
    Ok(Entry {
        seq: row.seq,
        op: hex(&row.op)?,
        kind: Kind::parse(&row.kind).ok_or_else(|| foreign("kind", &row.kind))?,
        amount: Micros(row.amount),
        currency: row.currency.parse().map_err(|_| foreign("currency", &row.currency))?,
        window_amount: Micros(row.window_amount),
        at: Now { mono_us: row.mono_us, wall_us: row.at },
        day: Day(row.day.parse().map_err(|_| foreign("day", &row.day))?),
        hold: row.hold.as_deref().map(hex).transpose()?,
        slice: row.slice.as_deref().and_then(|s| u64::from_str_radix(s, 16).ok()).map(SliceId),
        window_slice: window_slice_of(row)?,
        body: body_of(&row.body_hash)?,
        memo: row.memo.clone(),
    })
}

/// The slice of the account's window that covered what the row books, if one did.
pub fn window_slice_of(row: &EntryRow) -> Result<Option<SliceId>, Fault> {
    let Some(text) = &row.window_slice else { return Ok(None) };
    let id = u64::from_str_radix(text, 16).map_err(|_| foreign("window slice", text))?;
    Ok(Some(SliceId(id)))
}

pub fn body_of(text: &str) -> Result<u64, Fault> {
    u64::from_str_radix(text, 16).map_err(|_| foreign("body hash", text))
}

pub fn past_of(row: &EntryRow, now: Now) -> Result<Past, Fault> {
    Ok(Past {
        age_us: (row.boot == clock::boot_id()).then_some(now.mono_us - row.mono_us),
        amount: Micros(row.window_amount),
        op: Op::from_hex(&row.op).ok_or_else(|| foreign("operation", &row.op))?,
    })
}

/// A batch as the store takes it. `holders` names the holder of each slice put.
pub fn write_of(
    name: &BudgetName,
    shard: i64,
    epoch: i64,
    batch: &Batch,
    keep_terms: bool,
    holders: impl Fn(HolderId) -> String,
) -> Result<Write, Fault> {
    let (account, budget) = (name.account.to_string(), name.budget.to_string());
    let core = &batch.core;
    let rest = Rest {
        days: core.days.iter().map(|(d, a)| (d.0, a.0)).collect(),
        raised: core.raised.clone(),
        stopped: core.stopped,
    };
    let row = BudgetRow {
        account: account.clone(),
        budget: budget.clone(),
        shard,
        terms: if keep_terms { String::new() } else { serde_json::to_string(&*core.terms)? },
        status: core.status.as_str().to_owned(),
        funded: core.funded.0,
        refunded: core.refunded.0,
        settled: core.settled.0,
        facts: core.facts.0,
        late: core.late.0,
        seq: core.seq,
        state: serde_json::to_string(&rest)?,
        version: core.version,
        created_at: batch.now.wall_us,
        updated_at: batch.now.wall_us,
    };
    Ok(Write {
        shard,
        epoch,
        check_ops: batch.check_ops,
        entries: batch.entries.iter().map(|e| entry_row(name, e)).collect(),
        budget_row: Some(BudgetPut { expected_version: batch.expected_version, row, keep_terms }),
        slices_put: batch
            .slices_put
            .iter()
            .map(|s| slice_row(name, s, batch.now, holders(s.holder)))
            .collect(),
        slice_settles: batch.slice_settles.iter().map(|(s, a)| (s.to_string(), a.0)).collect(),
        slices_gone: batch.slices_gone.iter().map(SliceId::to_string).collect(),
        outbox: batch
            .events
            .iter()
            .map(|event| OutboxRow {
                account: account.clone(),
                id: uuid::Uuid::now_v7().simple().to_string(),
                kind: event.kind().to_owned(),
                subject: budget.clone(),
                payload: event.payload().to_string(),
                created_at: batch.now.wall_us,
                delivered_at: None,
            })
            .collect(),
        account,
        budget,
        ..Write::default()
    })
}

pub fn entry_row(name: &BudgetName, e: &Entry) -> EntryRow {
    EntryRow {
        account: name.account.to_string(),
        budget: name.budget.to_string(),
        seq: e.seq,
        op: e.op.to_string(),
        kind: e.kind.as_str().to_owned(),
        amount: e.amount.0,
        currency: e.currency.to_string(),
        at: e.at.wall_us,
        mono_us: e.at.mono_us,
        boot: clock::boot_id().to_owned(),
        hold: e.hold.map(|h| h.to_string()),
        slice: e.slice.map(|s| s.to_string()),
        day: e.day.0.to_string(),
        window_amount: e.window_amount.0,
        body_hash: format!("{:016x}", e.body),
        memo: e.memo.clone(),
        window_slice: e.window_slice.map(|s| s.to_string()),
    }
}

fn slice_row(name: &BudgetName, s: &Slice, now: Now, holder: String) -> SliceRow {
    SliceRow {
        account: name.account.to_string(),
        budget: name.budget.to_string(),
        slice: s.id.to_string(),
        holder,
        quota: s.quota.0,
        settled: s.settled.0,
        day: s.day.0.to_string(),
        sealed: i64::from(s.sealed),
        taken_at: now.wall_us,
        mono_us: now.mono_us,
        boot: clock::boot_id().to_owned(),
        ttl_us: s.ttl_us,
        since_seq: s.since_seq,
    }
}

pub fn hold_row(name: &BudgetName, h: &Hold, now: Now) -> HoldRow {
    let (state, settled) = match h.state {
        HoldState::Open | HoldState::Settling(_) | HoldState::Won(_) => ("open", Micros::ZERO),
        HoldState::Settled(amount) => ("settled", amount),
        HoldState::Released => ("released", Micros::ZERO),
        HoldState::Expired => ("expired", Micros::ZERO),
    };
    HoldRow {
        account: name.account.to_string(),
        hold: h.id.to_string(),
        budget: name.budget.to_string(),
        slice: h.slice.to_string(),
        window_slice: Some(h.window_slice.to_string()),
        amount: h.amount.0,
        day: h.day.0.to_string(),
        state: state.to_owned(),
        settled_amount: settled.0,
        expires_at: h.expires_wall_us,
        body_hash: format!("{:016x}", h.body),
        memo: None,
        created_at: now.wall_us,
        updated_at: now.wall_us,
    }
}

/// A journaled hold. Its monotonic expiry is not known any more: it has no part in any decision.
pub fn hold_of(row: &HoldRow) -> Result<Hold, Fault> {
    let slice = |t: &str| u64::from_str_radix(t, 16).map(SliceId).map_err(|_| foreign("slice", t));
    Ok(Hold {
        id: Op::from_hex(&row.hold).ok_or_else(|| foreign("hold", &row.hold))?,
        amount: Micros(row.amount),
        window_amount: Micros(row.amount),
        expires_us: 0,
        expires_wall_us: row.expires_at,
        slice: slice(&row.slice)?,
        window_slice: slice(row.window_slice.as_deref().unwrap_or("0"))?,
        day: Day(row.day.parse().map_err(|_| foreign("day", &row.day))?),
        state: match row.state.as_str() {
            "settled" => HoldState::Settled(Micros(row.settled_amount)),
            "released" => HoldState::Released,
            "expired" => HoldState::Expired,
            _ => HoldState::Open,
        },
        body: body_of(&row.body_hash)?,
    })
}
