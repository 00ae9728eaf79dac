//! Something that is on or off: a consent of a person, a budget that is open.

use super::super::history::History;
use super::super::logical::Asked;
use super::super::operation::{NEVER, What};
use super::search::{Call, Model};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    Off,
    On,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Set(bool),
    Saw(bool),
}

impl Model for Flag {
    type State = Flag;
    type Action = Act;

    fn step(state: Flag, act: Act) -> Option<Flag> {
        let (Act::Set(on) | Act::Saw(on)) = act;
        let then = if on { Flag::On } else { Flag::Off };
        let fits = matches!(act, Act::Set(_)) || state == then;
        fits.then_some(then)
    }

    fn looks(act: Act) -> bool {
        matches!(act, Act::Saw(_))
    }
}

/// The calls of each consent, personal bids among those that saw it. A node may answer from memory for a while, so what it says may have been true a
/// little earlier; but not before a revocation that was acknowledged when it was asked.
pub fn consents(history: &History, stale_us: u64) -> Vec<Vec<Call<Act>>> {
    let mut all = vec![Vec::new(); history.flags.len()];
    let mut revoked: Vec<Vec<u64>> = vec![Vec::new(); history.flags.len()];
    for op in &history.operations {
        if let What::Revoke { flag } = op.what
            && op.is_done()
        {
            revoked[flag as usize].push(op.complete);
        }
    }
    revoked.iter_mut().for_each(|list| list.sort_unstable());
    for op in &history.operations {
        let (flag, first, act) = match op.what {
            What::Grant { flag } => (flag, op.invoke, Act::Set(true)),
            What::Revoke { flag } => (flag, op.invoke, Act::Set(false)),
            What::MayUse { flag } | What::Bid { flag: Some(flag), .. } => {
                let Some(allowed) = op.told().and_then(|told| told.allowed) else { continue };
                let list = &revoked[flag as usize];
                let before = list.partition_point(|acked| *acked < op.invoke);
                let revoked = before.checked_sub(1).map(|last| list[last] + 1);
                let earliest = revoked.filter(|_| allowed).unwrap_or_default();
                (flag, op.invoke.saturating_sub(stale_us).max(earliest), Act::Saw(allowed))
            }
            _ => continue,
        };
        if op.may_have_happened() {
            let (acked, id) = (op.certain_from(), op.id);
            all[flag as usize].push(Call { first, acked, action: act, id });
        }
    }
    all
}

/// Pauses, what opens a budget again, and grants, which only an open one makes. By budget; those that nobody
/// paused have none.
pub fn pauses(history: &History, asked: &Asked) -> Vec<Vec<Call<Act>>> {
    let mut all = vec![Vec::new(); history.budgets.len()];
    let mut paused = vec![false; history.budgets.len()];
    for op in history.operations.iter().filter(|op| op.may_have_happened()) {
        let (budget, on) = match op.what {
            What::Pause { budget } => (budget, false),
            What::Resume { budget } | What::SetCap { budget, .. } => (budget, true),
            _ => continue,
        };
        paused[budget as usize] |= !on;
        let (acked, id) = (op.certain_from(), op.id);
        all[budget as usize].push(Call { first: op.invoke, acked, action: Act::Set(on), id });
    }
    for (calls, paused) in all.iter_mut().zip(&paused) {
        if !paused {
            calls.clear();
        }
    }
    for grant in asked.grants.list.iter().filter(|grant| grant.is_acked()) {
        if paused[grant.budget as usize] {
            let id = asked.grants.attempts(grant, history).next().map_or(0, |op| op.id);
            let (first, acked) = (grant.first, grant.acked);
            debug_assert_ne!(acked, NEVER);
            all[grant.budget as usize].push(Call { first, acked, action: Act::Saw(true), id });
        }
    }
    all
}
