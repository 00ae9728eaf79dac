//! SV-1 and what the services count themselves; answers that no documentation allows.

use super::found::Found;
use super::history::History;
use super::operation::End;
use crate::history::AtEnd;
use crate::verdict::Invariant::{self, Api, Sv1};

pub fn check(end: &AtEnd, found: &mut Found) {
    for name in &end.died {
        found.add(Sv1, None, &[], || format!("{name} ended, and nobody had ordered that"));
    }
    for actor in end.restarts.iter().filter(|actor| actor.restarts > 0 && !actor.struck) {
        found.add(Sv1, None, &[], || {
            let (times, path, node) = (actor.restarts, &actor.path, &actor.node);
            format!("{path} at {node} restarted {times} times, and no fault struck it")
        });
    }
    for (metric, count) in &end.violations_counted {
        // NaN counts as broken, too: a metric that cannot be read proves nothing.
        if *count == 0.0 {
            continue;
        }
        let named = Invariant::ALL.into_iter().find(|one| metric.contains(one.code()));
        found.add(named.unwrap_or(Sv1), None, &[], || {
            format!("the service counts broken invariants itself: {metric} is {count}")
        });
    }
}

pub fn answers(history: &History, found: &mut Found) {
    for op in &history.operations {
        if let End::Wrong { status, what } = op.end {
            found.add(Api, Some(op.complete), &[op.id], || {
                let what = history.names.text(what);
                format!("{} was answered {status}, which nothing allows: {what}", op.what.kind())
            });
        }
    }
}
