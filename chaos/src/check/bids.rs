//! What bids may hold of budgets: an exchange is told of a hold with its bid, a client of a budget is not.

use super::history::History;
use super::operation::What;
use super::span::Steps;
use crate::history::AtUs;

/// What bids hold of one budget at most.
#[derive(Debug, Default)]
struct One {
    told: Steps,
    bids: bool,
}

#[derive(Debug)]
pub struct Bids {
    budgets: Vec<One>,
    /// From when on some bid may hold money that nobody was told of.
    untold: Option<AtUs>,
}

impl Bids {
    pub fn of(history: &History) -> Bids {
        let mut told: Vec<Vec<(AtUs, i128)>> = vec![Vec::new(); history.budgets.len()];
        let mut bidding = vec![false; history.budgets.len()];
        let mut untold: Option<AtUs> = None;
        for op in &history.operations {
            match op.what {
                What::Bid { .. } => {
                    let answer = op.told().and_then(|told| told.budget.zip(told.amount));
                    match answer {
                        Some((budget, amount)) => {
                            bidding[budget as usize] = true;
                            told[budget as usize].push((op.invoke, i128::from(amount)));
                        }
                        // Also one that says that there is no bid: the hold may be there, and the time was over.
                        None => untold = Some(untold.map_or(op.invoke, |at| at.min(op.invoke))),
                    }
                }
                What::Billing { budget, .. } => bidding[budget as usize] = true,
                _ => {}
            }
        }
        match &history.audit {
            Some(audit) => audit.bidding.iter().for_each(|budget| bidding[*budget as usize] = true),
            // Without a log nobody knows which of them bid.
            None if untold.is_some() => bidding.fill(true),
            None => {}
        }
        let budgets = told.into_iter().zip(bidding);
        let budgets = budgets.map(|(told, bids)| One { told: Steps::of(told), bids }).collect();
        Bids { budgets, untold }
    }

    /// The most that bids hold of a budget that began before `to`; nothing: nobody knows.
    pub fn held(&self, budget: u32, to: AtUs) -> Option<i128> {
        let Some(one) = self.budgets.get(budget as usize).filter(|one| one.bids) else {
            return Some(0);
        };
        let known = self.untold.is_none_or(|at| at >= to);
        known.then(|| one.told.before(to))
    }
}
