//! When steps begin and end, and what they are called.

use super::step::Step;
use super::units::Period;

/// A step on the clock of the method, before anything is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// As it is named, or by its kind and number: `fault-1`.
    pub id: String,
    pub from: Period,
    /// The latest that it may last.
    pub until: Period,
}

/// The moments of all steps, in their order. A wait has the time that it takes.
pub fn moments(method: &[Step]) -> Vec<Moment> {
    let (mut faults, mut probes, mut orders, mut waits) = (0, 0, 0, 0);
    let mut cursor = Period::ZERO;
    let mut moments = Vec::with_capacity(method.len());
    for step in method {
        let (id, from, until) = match step {
            Step::Fault(it) => {
                let from = it.start.unwrap_or(cursor);
                let until = from.plus(it.jitter).plus(it.duration);
                (named(it.id.as_ref(), "fault", &mut faults), from, until)
            }
            Step::Wait(it) => {
                let from = cursor;
                cursor = cursor.plus(*it);
                (named(None, "wait", &mut waits), from, cursor)
            }
            Step::Probe(it) => {
                let from = it.start.unwrap_or(cursor);
                let within = it.probe.within.unwrap_or_default();
                let until = from.plus(within).plus(it.probe.holds_for.unwrap_or_default());
                (named(it.id.as_ref(), "probe", &mut probes), from, until)
            }
            Step::Order(it) => {
                let from = it.start.unwrap_or(cursor);
                (named(it.id.as_ref(), "order", &mut orders), from, from.plus(it.within))
            }
        };
        moments.push(Moment { id, from, until });
    }
    moments
}

fn named(id: Option<&String>, kind: &str, count: &mut usize) -> String {
    *count += 1;
    id.cloned().unwrap_or_else(|| format!("{kind}-{count}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_move_what_names_no_start_and_nothing_else() {
        let method = r#"[
            {"wait": "2s"},
            {"fault": {"kind": "redis_flush", "duration": "1s"}},
            {"order": {"kind": "clear_faults", "start": "500ms", "within": "1s"}},
            {"wait": "1500ms"},
            {"probe": {"kind": "ledger", "query": "dense", "within": "2s", "holds_for": "1s"}},
            {"fault": {"kind": "redis_stop", "jitter": "250ms", "duration": "1s"}}
        ]"#;
        let method: Vec<Step> = serde_json::from_str(method).expect("steps");
        let told: Vec<String> = moments(&method)
            .iter()
            .map(|it| format!("{} {} {}", it.id, it.from, it.until))
            .collect();
        assert_eq!(
            told,
            [
                "wait-1 0s 2s",
                "fault-1 2s 3s",
                "order-1 500ms 1500ms",
                "wait-2 2s 3500ms",
                "probe-1 3500ms 6500ms",
                "fault-2 3500ms 4750ms",
            ]
        );
    }
}
