//! What a run tells of nodes besides what they say at the end: their lives before, and their silence.

use super::field::Field;
use super::meters::Meters;
use crate::history::{AtEnd, Restarts};
use crate::lab::Died;
use crate::load::VIOLATIONS;
use crate::verdict::{Checked, Invariant};

/// A node that is down when somebody ends the run has told nobody what it still owes: what it had acknowledged comes when
/// it starts again, for which nobody waits now. That is no violation. Given back is what people have to know of it.
pub fn unread(down: &[String], checked: &mut Checked) -> Option<String> {
    if down.is_empty() {
        return None;
    }
    checked.leave_unjudged(&[Invariant::Bg2, Invariant::Sv1]);
    Some(format!(
        "the run was interrupted while {} did not run: what it had acknowledged may still be in its spool, so BG-2 and SV-1 were not judged",
        down.join(", ")
    ))
}

/// A cluster that the suite did not make has counted before the run, too: what it had counted by then is nobody's fault
/// here. What is left is what cannot be read; [`all_lives`] adds what grew.
pub fn since_the_begin(end: &mut AtEnd) {
    end.restarts.clear();
    end.violations_counted.retain(|(_, count)| count.is_nan());
}

/// A node that ended takes with it what it had counted: what was seen of it meanwhile counts, too.
pub fn all_lives(meters: &Meters, end: &mut AtEnd) {
    for (node, series, grown) in meters.grown(&VIOLATIONS) {
        let name = format!("{node} {series}");
        match end.violations_counted.iter_mut().find(|(known, _)| *known == name) {
            // What is no number stays none.
            Some((_, count)) if *count < grown => *count = grown,
            Some(_) => {}
            None => end.violations_counted.push((name, grown)),
        }
    }
    for (node, path, grown) in meters.restarted() {
        let restarts = grown.round() as u64;
        let known = end.restarts.iter_mut().find(|it| *it.node == *node && *it.path == *path);
        match known {
            Some(known) => known.restarts = known.restarts.max(restarts),
            None => end.restarts.push(Restarts {
                node: node.into(),
                path: path.into(),
                restarts,
                struck: false,
            }),
        }
    }
}

/// Why the run says nothing: nodes that live and do not tell what they counted. Of those that have ended, a note.
pub fn silent(field: &Field, died: &[Died], untold: Vec<(String, String)>) -> Vec<String> {
    let lab = field.cluster.lab.as_ref();
    let has_ended = |node: &str| {
        let process = lab.and_then(|lab| lab.process(node));
        process.is_some_and(|it| !it.alive && died.iter().any(|one| one.id == it.id))
    };
    let (ended, silent): (Vec<_>, Vec<_>) =
        untold.into_iter().partition(|(node, _)| has_ended(node));
    field.told().notes.extend(ended.into_iter().map(|(_, what)| what));
    silent.into_iter().map(|(_, what)| what).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_node_owes_that_is_down_at_an_interrupt_is_no_violation() {
        let all = [Invariant::Bg1, Invariant::Bg2, Invariant::Sv1];
        let counts = all.map(|it| (it, 2)).into();
        let mut checked = Checked { counts, violations_total: 6, ..Checked::default() };
        assert_eq!((unread(&[], &mut checked), checked.violations_total), (None, 6));
        let why = unread(&["node-2".to_owned()], &mut checked);
        assert_eq!(checked.violations_total, 2, "what is left is proven all the same");
        assert_eq!(checked.not_judged, [Invariant::Bg2, Invariant::Sv1]);
        assert!(why.is_some_and(|why| why.contains("node-2")));
    }

    #[test]
    fn what_a_cluster_had_counted_before_the_run_is_not_charged_to_it() {
        let meters = Meters::new(VIOLATIONS.map(str::to_owned).into());
        for (old, new) in [(3, 0), (3, 2)] {
            let list =
                json!([{"path": "/old", "restarts": old}, {"path": "/new", "restarts": new}]);
            meters.told_actors("a", &json!({"actors": list}));
            let text = format!("shield_audit_unverified_logs {old}\n");
            meters.told_metrics("a", &text);
        }
        let read = |path: &str, restarts| Restarts {
            node: "a".into(),
            path: path.into(),
            restarts,
            struck: false,
        };
        let unread = ("a shield_invariant_violations_total".to_owned(), f64::NAN);
        let mut end = AtEnd {
            violations_counted: vec![("a shield_audit_unverified_logs".to_owned(), 3.0), unread],
            restarts: vec![read("/old", 3), read("/new", 2)],
            ..AtEnd::default()
        };
        since_the_begin(&mut end);
        all_lives(&meters, &mut end);
        assert_eq!(end.restarts, [read("/new", 2)]);
        let [(name, count)] = &end.violations_counted[..] else { panic!("{end:?}") };
        assert!(name.contains("invariant_violations") && count.is_nan());
    }

    #[test]
    fn what_a_life_counted_is_told_after_it_has_ended() {
        let broken = |n| format!("shield_invariant_violations_total{{invariant=\"BG-{n}\"}}");
        let meters = Meters::new(VIOLATIONS.map(str::to_owned).into());
        for values in [[0, 1, 5], [1, 0, 5], [0, 0, 5]] {
            let lines = values.iter().zip(1..).map(|(v, n)| format!("{} {v}\n", broken(n)));
            meters.told_metrics("node-1", &lines.collect::<String>());
        }
        for restarts in [3, 5, 1] {
            let list = json!([{"path": "/a", "restarts": restarts}, {"path": "/b", "restarts": 2}]);
            meters.told_actors("node-1", &json!({"actors": list}));
        }
        let known = |path: &str| Restarts {
            node: "node-1".into(),
            path: path.into(),
            restarts: 1,
            struck: false,
        };
        let counted = vec![(format!("node-1 {}", broken(2)), f64::NAN)];
        let mut end =
            AtEnd { violations_counted: counted, restarts: vec![known("/a")], ..AtEnd::default() };
        all_lives(&meters, &mut end);
        assert_eq!(end.restarts, [Restarts { restarts: 3, ..known("/a") }]);
        let text = serde_json::to_string(&end).unwrap();
        let read: AtEnd = serde_json::from_str(&text).unwrap();
        let [(second, nan), (first, one)] = &read.violations_counted[..] else { panic!("{text}") };
        assert!(second.ends_with(&broken(2)) && nan.is_nan());
        assert_eq!((first, *one), (&format!("node-1 {}", broken(1)), 1.0));
    }
}
