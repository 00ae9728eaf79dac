//! Reading a budget from the store: at a start, after a doubt, and for an account's window.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::far::Home;
use super::message::{Found, Loaded};
use super::names::BudgetName;
use super::rows;
use super::shared::{Shared, now};
use crate::actors::kernel::Fault;
use crate::clock;
use crate::models::cluster::node::Incarnation;
use crate::models::shield::budget::{Budget, Core};
use crate::models::shield::day::DaySpan;
use crate::models::shield::effect::Note;
use crate::models::shield::entry::{HolderId, Now, Op, SliceId};
use crate::models::shield::hold::settle_op;
use crate::models::shield::money::{Currency, Micros, Rate};
use crate::models::shield::slice::Slice;
use crate::models::shield::terms::{Terms, WindowCap};
use crate::models::shield::window::{Past, Window};
use crate::store::{AccountRow, BudgetRow, EntryRow, Loaded as LoadedBudget, SliceRow, WindowRows};

/// Wall clocks are trusted to this: rows of another boot that are older than two windows and this
/// are certainly out of the window.
const CLOCK_DOUBT_US: i64 = 3_600_000_000;
/// Rows of a window that are read one by one. With more, the window counts as full.
const WINDOW_ROWS_MAX: u32 = 500_000;

/// The stored form of an account's own terms.
#[derive(serde::Serialize, serde::Deserialize, Default)]
pub struct AccountTerms {
    /// `None`: the cap of the configuration.
    pub window_cap: Option<Micros>,
}

/// Longest wait for what a budget's last life has written.
const LAST_LIFE_MAX: Duration = Duration::from_secs(15);

/// Reads a budget whole. `None`: there is no such campaign, or no such account. `unclean`: its last
/// life did not end in order, and what it wrote may still be on its way. `me`: the purse that was here before.
pub async fn load(
    shared: Arc<Shared>,
    name: BudgetName,
    unclean: bool,
    me: Option<HolderId>,
) -> Result<Option<Box<Loaded>>, Fault> {
    if unclean && timeout(LAST_LIFE_MAX, shared.committer.barrier()).await.is_err() {
        return Err(Fault::new("what the last life wrote is still on its way"));
    }
    let Some(account) = shared.store.account(&name.account).await? else { return Ok(None) };
    let account_currency: Currency =
        account.currency.parse().map_err(|_| Fault::new("stored currency is not understood"))?;
    let stored = shared.store.load_budget(&name.account, &name.budget).await?;
    let budget = match (&stored, name.is_account()) {
        (None, false) => return Ok(None),
        (None, true) => Budget {
            core: account_core(&shared, &account, account_currency)?,
            window: Window::default(),
        },
        (Some(loaded), _) => {
            revive(&shared, &name, Some(&account), &loaded.budget, &loaded.slices, me).await?
        }
    };
    let rate = match name.is_account() {
        true => Some(Rate::ONE),
        false => rate(&shared, &name.account, budget.core.terms.currency, account_currency).await?,
    };
    let holders = match &stored {
        Some(loaded) => holders(&loaded.slices),
        None => HashMap::new(),
    };
    let stored = stored.is_some();
    Ok(Some(Box::new(Loaded { budget, account_currency, rate, holders, stored })))
}

/// The purses that hold slices of a budget, with their nodes and the keys of their actors: whoever loads the budget
/// can recall from them.
fn holders(slices: &[SliceRow]) -> HashMap<HolderId, Home> {
    let parts = slices.iter().filter_map(|row| rows::holder_parts(&row.holder));
    parts.map(|(node, holder, key)| (holder, Home { node, key: key.to_owned() })).collect()
}

/// The state behind a doubt, as it was read again; `me` is the purse that lives on through it.
pub async fn revived(
    shared: &Arc<Shared>,
    name: &BudgetName,
    loaded: &LoadedBudget,
    me: HolderId,
) -> Result<Budget, Fault> {
    let account = shared.store.account(&name.account).await?;
    revive(shared, name, account.as_ref(), &loaded.budget, &loaded.slices, Some(me)).await
}

/// Builds the state from rows. `me` is the purse that lives on through a reload: its slices stay open.
pub async fn revive(
    shared: &Arc<Shared>,
    name: &BudgetName,
    account: Option<&AccountRow>,
    row: &BudgetRow,
    slices: &[SliceRow],
    me: Option<HolderId>,
) -> Result<Budget, Fault> {
    let mut core = rows::core_of(row)?;
    if let Some(account) = account.filter(|_| name.is_account()) {
        let terms = account_terms(shared, account, core.terms.currency)?;
        core.terms = Arc::new(terms);
    }
    let seen = now();
    for row in slices {
        let mut slice = rows::slice_of(row, seen)?;
        let (incarnation, holder, _) = rows::holder_parts(&row.holder)
            .ok_or_else(|| Fault::new("stored holder is not understood"))?;
        // A campaign's own purse is the one that loads. One of a process that is not known to have ended may serve
        // from its slice to the end.
        let over = match incarnation == shared.incarnation {
            true => !name.is_account() && me.is_none_or(|me| me != holder),
            false => shared.placement.has_ended(Incarnation(incarnation)),
        };
        slice.sealed |= over;
        slice.drained |= over;
        core.slices.insert(slice.id, slice);
    }
    let window = match core.terms.window {
        Some(cap) => {
            let rows = window_rows(shared, name, cap).await?;
            note(&mut core.slices, &rows.rows)?;
            rebuilt(shared, name, cap, &rows)?
        }
        None => Window::default(),
    };
    Ok(Budget { core, window })
}

fn account_core(shared: &Shared, row: &AccountRow, currency: Currency) -> Result<Core, Fault> {
    let mut core = Core::new(account_terms(shared, row, currency)?);
    core.stopped = row.stopped != 0;
    Ok(core)
}

fn account_terms(shared: &Shared, row: &AccountRow, currency: Currency) -> Result<Terms, Fault> {
    let own: AccountTerms = serde_json::from_str(&row.terms)?;
    let amount = own.window_cap.unwrap_or(shared.terms.window.amount);
    let cap = WindowCap { amount, length_us: shared.terms.window.length_us };
    Ok(Terms::account(currency, Some(cap)))
}

/// The account's rows of two lengths of its window: a refund cancels what was unexpired at its time.
async fn window_rows(
    shared: &Shared,
    name: &BudgetName,
    cap: WindowCap,
) -> Result<WindowRows, Fault> {
    let (since_at, since_mono) = since(now(), 2 * cap.length_us);
    let of_boot = (clock::boot_id(), since_mono);
    Ok(shared.store.window(&name.account, since_at, of_boot, WINDOW_ROWS_MAX).await?)
}

/// What is `length_us` old now, by the wall clock (with room for its doubt) and the monotonic one.
fn since(now: Now, length_us: i64) -> (i64, i64) {
    (now.wall_us - length_us - CLOCK_DOUBT_US, now.mono_us - length_us)
}

/// Tells the slices of a window what was booked from each, as far as the rows go back.
fn note(slices: &mut BTreeMap<SliceId, Slice>, rows: &[EntryRow]) -> Result<(), Fault> {
    for slice in slices.values_mut() {
        slice.noted = Micros::ZERO;
    }
    for row in rows {
        let slice = rows::window_slice_of(row)?.and_then(|id| slices.get_mut(&id));
        if let Some(slice) = slice {
            slice.noted += Micros(row.window_amount);
        }
    }
    Ok(())
}

/// What a campaign's new authority must tell its account of: see [`Window::to_retell`].
pub async fn retell(
    shared: &Arc<Shared>,
    name: &BudgetName,
    window_length_us: i64,
) -> Result<Vec<Note>, Fault> {
    let (since_at, since_mono) = since(now(), window_length_us);
    let of_boot = (clock::boot_id(), since_mono);
    let read = shared
        .store
        .budget_window(&name.account, &name.budget, since_at, of_boot, WINDOW_ROWS_MAX)
        .await?;
    // Of too many rows these are the newest, and what the account may not have heard of is new.
    let at = now();
    let mut slices = HashMap::with_capacity(read.rows.len());
    let mut past = Vec::with_capacity(read.rows.len());
    for row in &read.rows {
        let booked = rows::past_of(row, at)?;
        slices.insert(booked.op, rows::window_slice_of(row)?);
        past.push(booked);
    }
    let told = Window::to_retell(&past, window_length_us);
    let note = |(op, amount)| Note { slice: slices.get(&op).copied().flatten(), op, amount };
    Ok(told.into_iter().map(note).collect())
}

fn rebuilt(
    shared: &Shared,
    name: &BudgetName,
    cap: WindowCap,
    read: &WindowRows,
) -> Result<Window, Fault> {
    let now = now();
    let mut past: Vec<Past> =
        read.rows.iter().map(|r| rows::past_of(r, now)).collect::<Result<_, _>>()?;
    // Oldest first, by the clock that decides.
    past.sort_by_key(|p| std::cmp::Reverse(p.age_us.unwrap_or(0)));
    if read.cut {
        // Too many rows to weigh: as good as full, until the newest of them has left.
        let op = Op::of(&["window", "cut", &name.account]);
        past.push(Past { age_us: None, amount: cap.amount, op });
    }
    let limits = &shared.terms.limits;
    Ok(Window::rebuild(now.mono_us, cap.length_us, &past, limits))
}

/// What one unit of `currency` is in the account's, by the newest rate that is not of the future.
pub async fn rate(
    shared: &Arc<Shared>,
    account: &str,
    currency: Currency,
    account_currency: Currency,
) -> Result<Option<Rate>, Fault> {
    if currency == account_currency {
        return Ok(Some(Rate::ONE));
    }
    let today = DaySpan::at("UTC", clock::wall_us()).day.0.to_string();
    let rates = shared.store.rates(account).await?;
    let newest = rates
        .into_iter()
        .filter(|r| r.currency == currency.as_str() && r.day <= today)
        .max_by(|a, b| a.day.cmp(&b.day));
    Ok(newest.map(|r| Rate(r.rate_e9)))
}

/// What ledger and journal know of a hold.
pub async fn find_hold(shared: Arc<Shared>, account: Arc<str>, hold: Op) -> Result<Found, Fault> {
    let entry = shared.store.entry(&account, &settle_op(hold).to_string()).await?;
    let journaled = shared.store.hold(&account, &hold.to_string()).await?;
    Ok(Found {
        entry: entry.as_ref().map(rows::entry_of).transpose()?,
        journaled: journaled.as_ref().map(rows::hold_of).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::entry::Day;

    fn slice(id: u64) -> (SliceId, Slice) {
        let slice = Slice {
            id: SliceId(id),
            holder: HolderId(1),
            quota: Micros(100),
            settled: Micros::ZERO,
            noted: Micros(9),
            missed: Micros::ZERO,
            since_seq: 0,
            day: Day(20_260_101),
            seen_us: 0,
            ttl_us: 1,
            sealed: false,
            drained: false,
        };
        (slice.id, slice)
    }

    fn row(window_slice: Option<&str>, window_amount: i64) -> EntryRow {
        EntryRow {
            account: "acme".into(),
            budget: "camp".into(),
            seq: 1,
            op: String::new(),
            kind: "settle".into(),
            amount: 1,
            currency: "USD".into(),
            at: 0,
            mono_us: 0,
            boot: String::new(),
            hold: None,
            slice: Some("00000000000000a1".into()),
            day: "20260101".into(),
            window_amount,
            body_hash: "00".into(),
            memo: None,
            window_slice: window_slice.map(str::to_owned),
        }
    }

    #[test]
    fn a_slice_of_the_window_knows_what_the_ledger_booked_from_it() {
        let mut slices = BTreeMap::from([slice(0xa1), slice(0xa2)]);
        let (first, gone) = (Some("00000000000000a1"), Some("00000000000000ff"));
        let rows = [row(first, 5), row(None, 70), row(first, 7), row(gone, 30)];
        note(&mut slices, &rows).expect("rows");
        let noted: Vec<Micros> = slices.values().map(|s| s.noted).collect();
        assert_eq!(noted, [Micros(12), Micros::ZERO]);
        assert!(note(&mut slices, &[row(Some("no slice"), 1)]).is_err());
    }
}
