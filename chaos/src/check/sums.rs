//! BG-4: what the service says of a budget at the end agrees with its ledger and with itself.

use super::booked::money;
use super::caps::Caps;
use super::found::Found;
use super::history::History;
use super::ledger::Ledger;
use super::operation::NEVER;
use crate::history::{AtEnd, Micros};
use crate::verdict::Invariant::Bg4;

#[derive(Clone, Copy, Default)]
struct Sum {
    spent: i128,
    refunded: i128,
    rows: i64,
}

pub fn check(history: &History, ledger: &Ledger, end: &AtEnd, caps: &Caps, found: &mut Found) {
    let mut sums = vec![Sum::default(); history.budgets.len()];
    for row in ledger.rows {
        let sum = &mut sums[row.budget as usize];
        sum.spent += i128::from(row.amount);
        sum.refunded += i128::from((-row.amount).max(0));
        sum.rows += 1;
    }
    let mut seen = vec![false; history.budgets.len()];
    for at in &end.budgets {
        let budget = history.find_budget(&at.account, &at.campaign);
        let sum = budget.and_then(|budget| sums.get(budget as usize)).copied().unwrap_or_default();
        let mut wrong = |what: String| {
            found.add(Bg4, None, &[], || format!("{} of {}: {what}", at.campaign, at.account));
        };
        let mut same = |name: &str, said: Micros, want: i128| {
            if i128::from(said) != want {
                let want = Micros::try_from(want).map_or_else(|_| want.to_string(), money);
                wrong(format!("{name} is {}, and should be {want}", money(said)));
            }
        };
        same("spent", at.spent, sum.spent);
        same("refunded", at.refunded, sum.refunded);
        // `spent` is what was booked less refunds. Escrow that nothing holds may still be authorised, so it
        // is a part of what remains.
        let parts = [at.remaining, at.held, at.spent].map(i128::from);
        same("budget", at.budget, parts.iter().sum());
        if at.ledger_seq != sum.rows {
            wrong(format!("ledger_seq is {}, and {} rows are there", at.ledger_seq, sum.rows));
        }
        if at.held < 0 || at.escrow < 0 {
            wrong(format!("held {} or escrow {} is below 0", money(at.held), money(at.escrow)));
        }
        let Some(budget) = budget else { continue };
        seen[budget as usize] = true;
        if caps.knows(budget) && !caps.possible(budget, NEVER, NEVER).any(|cap| cap == at.budget) {
            wrong(format!("budget is {}, which nobody set", money(at.budget)));
        }
    }
    for (budget, sum) in sums.iter().enumerate() {
        if sum.rows > 0 && !seen[budget] {
            let name = history.budget_name(budget as u32);
            found.note(format!("end.json says nothing of {name}: its sums were not compared"));
        }
    }
}
