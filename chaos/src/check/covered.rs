//! BG-1 in the ledger: what was booked within slices stays within the caps that the slices came out of.
//! Spends and late settles may go beyond: they are facts, and stop further grants.

use std::collections::VecDeque;

use super::booked::money;
use super::caps::Caps;
use super::found::Found;
use super::history::History;
use super::ledger::Ledger;
use super::options::Options;
use super::overspend::mixed_accounts;
use super::record::{Row, RowKind};
use super::span::Steps;
use crate::history::AtUs;
use crate::verdict::Invariant::Bg1;

/// Within each budget, by sequence number.
pub fn budgets(history: &History, ledger: &Ledger, caps: &Caps, found: &mut Found) {
    for rows in ledger.budgets() {
        let (mut settled, mut refunded) = (0i128, 0i128);
        for row in rows {
            match row.kind {
                RowKind::Settle => settled += i128::from(row.amount),
                RowKind::Refund => refunded -= i128::from(row.amount),
                RowKind::Late | RowKind::Spend => {}
            }
            let Some(cap) = caps.largest(row.budget) else { break };
            if settled > i128::from(cap) + refunded {
                found.add(Bg1, None, &[], || {
                    let (of, cap) = (history.budget_name(row.budget), money(cap));
                    format!("{of}: settles exceed its largest cap, {cap}, at row {}", row.seq)
                });
                break;
            }
        }
    }
}

/// Within each window of each account, by the wall clocks of who booked; not where a clock was struck.
pub fn windows(history: &History, ledger: &Ledger, options: &Options, found: &mut Found) {
    let (cap, length) = (history.begin.window_cap, history.begin.window_us as i64);
    if cap <= 0 || length == 0 {
        return;
    }
    if history.clocks_were_struck() {
        found.note("a clock was struck: windows were not compared by the ledger's times");
        return;
    }
    let mixed = mixed_accounts(history);
    let mut rows: Vec<&Row> = ledger
        .rows
        .iter()
        .filter(|row| matches!(row.kind, RowKind::Settle | RowKind::Refund))
        .filter(|row| !mixed.contains(&history.account_of(row.budget)))
        .collect();
    rows.sort_by_key(|row| (history.account_of(row.budget), row.at_us));
    let slack = options.wall_slack_us;
    let (length, older) = (length.saturating_sub(slack).max(0), length.saturating_add(2 * slack));
    for account in
        rows.chunk_by(|a, b| history.account_of(a.budget) == history.account_of(b.budget))
    {
        let (mut recent, mut sum) = (VecDeque::new(), 0i128);
        let refunds = account.iter().filter(|row| row.kind == RowKind::Refund);
        let at = |us: i64| us.max(0) as AtUs;
        let refunds =
            Steps::of(refunds.map(|row| (at(row.at_us), -i128::from(row.amount))).collect());
        for row in account.iter().filter(|row| row.kind == RowKind::Settle) {
            recent.push_back((row.at_us, row.amount));
            sum += i128::from(row.amount);
            while let Some((at, amount)) = recent.front().copied()
                && row.at_us.saturating_sub(at) >= length
            {
                sum -= i128::from(amount);
                recent.pop_front();
            }
            // What a refund cancelled was younger than the window, so an older one made no room in it.
            let (from, to) = (row.at_us.saturating_sub(older), row.at_us.saturating_add(slack));
            let made = refunds.before(at(to)) - refunds.before(at(from));
            if sum > i128::from(cap) + made {
                found.add(Bg1, None, &[], || {
                    let name = history.names.text(history.account_of(row.budget));
                    format!(
                        "{name}: settles of one window exceed its cap, {}, at row {} of {}",
                        money(cap),
                        row.seq,
                        history.budget_name(row.budget)
                    )
                });
            }
        }
    }
}
