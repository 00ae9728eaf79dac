//! CO-1: after a revocation is answered, nobody is told that the consent is there. A revocation is answered when
//! every answer that nodes may have in memory was recalled or has run out, so there is no grace. Nor is anybody told so
//! who never gave it: people are those of the run alone.

use super::found::Found;
use super::history::History;
use super::operation::What;
use super::switch::Switch;
use crate::verdict::Invariant::Co1;

pub fn check(history: &History, found: &mut Found) {
    let switches = Switch::of_consents(history);
    for op in &history.operations {
        let (What::MayUse { flag } | What::Bid { flag: Some(flag), .. }) = op.what else {
            continue;
        };
        if op.told().and_then(|told| told.allowed) != Some(true) {
            continue;
        }
        let off = switches.get(flag as usize);
        if off.is_some_and(|off| off.never_on(op.complete)) {
            found.add(Co1, Some(op.complete), &[op.id], || {
                let (kind, name) = (op.what.kind(), history.flag_name(flag));
                format!("{name}: a {kind} was allowed, and nobody had given that consent")
            });
            continue;
        }
        if let Some(revoke) = off.and_then(|off| off.surely_off(op.invoke, op.complete)) {
            found.add(Co1, Some(op.complete), &[revoke, op.id], || {
                let (kind, name) = (op.what.kind(), history.flag_name(flag));
                format!("{name}: a {kind} was allowed after the revocation was acknowledged")
            });
        }
    }
}
