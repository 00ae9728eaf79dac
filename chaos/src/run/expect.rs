//! What has to have happened during a run, so that a fault which struck nothing is noticed.

use super::field::Field;
use super::{ask, words};
use crate::check::{History, stats};
use crate::experiment::bound::Bound;
use crate::experiment::checks::Expectation;
use crate::report;

/// Looks at every expectation; what is not met is written down as a failure of the hypothesis. `shards`: of budgets
/// that expectations name, in their order.
pub fn look(field: &Field, history: Option<&History>, shards: &[Option<u16>]) {
    for (expected, shard) in field.experiment.checks.expect.iter().zip(shards) {
        let (name, tolerance, (value, held)) = one(field, history, *shard, expected);
        let name = format!("expected: {name}");
        if !held {
            field.failed(format!("{name} was {value}, and has to be {tolerance}"));
        }
        let after = Some(report::Reading { value, held });
        field.told().hypothesis.push(report::Probe { name, tolerance, before: None, after });
    }
}

type Told = (String, String, (String, bool));

fn one(
    field: &Field,
    history: Option<&History>,
    shard: Option<u16>,
    expected: &Expectation,
) -> Told {
    let number = |name: String, tolerance: &Bound, value: f64| {
        (name, words::bound(tolerance), (words::number(value), tolerance.admits(value)))
    };
    match expected {
        Expectation::Struck { fault, tolerance } => {
            let struck = field.told().struck.get(fault).copied().unwrap_or_default();
            number(format!("struck by {fault}"), tolerance, struck)
        }
        Expectation::Restarts { actor, tolerance } => {
            number(format!("restarts of {actor}"), tolerance, field.meters.restarts(actor))
        }
        Expectation::OwnerChanged { budget, tolerance } => {
            let name = format!("new owners of {} of {}", budget.campaign, budget.account);
            match (history, shard) {
                (Some(history), Some(shard)) => {
                    let all = stats::handovers(history);
                    let count = all.iter().filter(|it| it.shard == shard).count();
                    number(name, tolerance, count as f64)
                }
                _ => (name, words::bound(tolerance), ("not known".to_owned(), false)),
            }
        }
        Expectation::BreakerOpened { actor, tolerance, closed_at_the_end } => {
            let (opened, open) = field.meters.opened(actor);
            let name = format!("breakers opened at {actor}");
            let (name, bound, (value, held)) = number(name, tolerance, opened);
            match *closed_at_the_end && !open.is_empty() {
                true => {
                    (name, bound, (format!("{value}, and not closed: {}", open.join(", ")), false))
                }
                false => (name, bound, (value, held)),
            }
        }
        Expectation::Ended { node, tolerance } => {
            let nodes = field.cluster.named(node);
            let told = field.told();
            let count = told.ended.iter().filter(|it| nodes.contains(&it.name)).count();
            drop(told);
            number(format!("ends of {}", words::nodes(node)), tolerance, count as f64)
        }
        Expectation::Increase { metric, labels, node, combine, tolerance } => {
            let nodes = field.cluster.named(node);
            let values: Vec<Option<f64>> =
                nodes.iter().map(|node| field.meters.increase(node, metric, labels)).collect();
            let told = ask::combined(metric, &values, *combine, tolerance);
            let told = told.unwrap_or_else(|why| (why, false));
            (format!("increase of {metric}"), words::bound(tolerance), told)
        }
        Expectation::Outcomes { of, outcome, tolerance } => {
            let tally = field.tally();
            let (count, first) = (tally.outcomes(*of, *outcome), tally.first(*of, *outcome));
            drop(tally);
            let of = of.map(|it| format!("{it:?} ")).unwrap_or_default();
            let name = format!("{of}operations {outcome:?}").to_lowercase();
            let (name, bound, (value, held)) = number(name, tolerance, count as f64);
            match first.filter(|_| !held) {
                Some(it) => {
                    let at = it.at_us as f64 / 1e6;
                    (
                        name,
                        bound,
                        (format!("{value} (first: operation {} at {at:.1} s)", it.id), held),
                    )
                }
                None => (name, bound, (value, held)),
            }
        }
    }
}
