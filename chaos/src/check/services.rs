//! SV-1 and what the services count themselves; answers that no documentation allows.

use super::found::Found;
use super::history::History;
use super::operation::End;
use crate::history::{AtEnd, Death};
use crate::verdict::Invariant::{self, Api, Sv1};

pub fn check(end: &AtEnd, found: &mut Found) {
    for Death { name, at_us } in &end.died {
        found.add(Sv1, *at_us, &[], || format!("{name} ended, and nobody had ordered that"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_nobody_ordered_has_its_time_where_the_file_has_one() {
        let text = r#"{"budgets":[],"audits":[],"died":["node-1",{"name":"node-2","at_us":7}],"restarts":[],"violations_counted":[]}"#;
        let end: AtEnd =
            serde_json::from_str(text).expect("of an earlier version, and of this one");
        let mut found = Found::default();
        check(&end, &mut found);
        let told: Vec<_> =
            found.into_violations().into_iter().map(|it| (it.at_us, it.what)).collect();
        let sentence = |name: &str| format!("{name} ended, and nobody had ordered that");
        assert_eq!(told, [(None, sentence("node-1")), (Some(7), sentence("node-2"))]);
        let text = serde_json::to_string(&end).expect("JSON");
        assert_eq!(serde_json::from_str::<AtEnd>(&text).expect("it reads back"), end);
    }
}
