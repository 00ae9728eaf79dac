//! Probes, faults and expectations in words, for the report.

use serde::Serialize;
use serde_json::Value;

use crate::experiment::bound::{Bound, Compare, Range};
use crate::experiment::fault::Fault;
use crate::experiment::pick::{By, Nodes, Word};
use crate::experiment::probe::{Probe, Question};

/// A number without decimals that say nothing.
pub fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub fn bound(bound: &Bound) -> String {
    match bound {
        Bound::Equals(it) => number(*it),
        Bound::AtLeast(it) => format!("at least {}", number(*it)),
        Bound::AtMost(it) => format!("at most {}", number(*it)),
        Bound::Between(Range { least, most }) => {
            format!("{} to {}", number(*least), number(*most))
        }
    }
}

fn compare(compare: &Compare) -> String {
    match compare {
        Compare::Equals(it) => it.to_string(),
        Compare::Not(it) => format!("not {it}"),
        Compare::AtLeast(it) => bound(&Bound::AtLeast(*it)),
        Compare::AtMost(it) => bound(&Bound::AtMost(*it)),
        Compare::Between(it) => bound(&Bound::Between(*it)),
        Compare::Exists(true) => "there".to_owned(),
        Compare::Exists(false) => "not there".to_owned(),
    }
}

pub fn nodes(nodes: &Nodes) -> String {
    match nodes {
        Nodes::Word(Word::All) => "all nodes".to_owned(),
        Nodes::Word(Word::Any) => "a node".to_owned(),
        Nodes::Name(name) => name.clone(),
        Nodes::By(By::Names(names)) => names.join(", "),
        Nodes::By(By::Count(count)) => format!("{count} nodes"),
        Nodes::By(By::Percent(percent)) => format!("{} % of the nodes", number(*percent)),
        Nodes::By(By::OwnerOf(key)) => format!("the owner of {} of {}", key.campaign, key.account),
        Nodes::By(By::NotOwnerOf(key)) => {
            format!("another than the owner of {} of {}", key.campaign, key.account)
        }
        Nodes::By(By::Role(role)) => format!("nodes of {}", role.name()),
    }
}

/// What a value of the schema is called in files: `p99_ms`.
fn called(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.as_ref().and_then(Value::as_str).unwrap_or("?").to_owned()
}

/// A probe: what is asked, and what is good.
pub fn probe(probe: &Probe) -> (String, String) {
    let (name, good) = match &probe.question {
        Question::Http { service, path, status, body, latency, .. } => {
            let body = body.as_ref();
            let body = body.map(|it| format!(", {} {}", it.pointer, compare(&it.tolerance)));
            let latency = latency.map(|it| format!(" within {it}"));
            let good =
                format!("{status}{}{}", body.unwrap_or_default(), latency.unwrap_or_default());
            (format!("{} {path}", called(service)), good)
        }
        Question::Metric { name, labels, tolerance, .. } => {
            let labels: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let labels =
                if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            (format!("metric {name}{labels}"), bound(tolerance))
        }
        Question::Ledger { query, tolerance } => {
            (format!("budgets by {}", called(query)), format!("{} wrong", bound(tolerance)))
        }
        Question::Load { measure, of, over, tolerance } => {
            let of = of.map(|it| format!(" of {}", called(&it))).unwrap_or_default();
            (format!("{}{of} over {over}", called(measure)), bound(tolerance))
        }
        Question::Process { state, tolerance, .. } => (
            format!("processes {}", called(state)),
            tolerance.as_ref().map_or("all".to_owned(), bound),
        ),
    };
    let within = probe.within.map(|it| format!(", within {it}")).unwrap_or_default();
    let holds = probe.holds_for.map(|it| format!(", for {it}")).unwrap_or_default();
    let whom = super::ask::nodes_of(&probe.question).filter(|it| **it != Nodes::all());
    let whom = whom.map(|it| format!(" of {}", nodes(it))).unwrap_or_default();
    (format!("{name}{whom}"), format!("{good}{within}{holds}"))
}

/// Whom a fault is about, as its file says it.
pub fn target(fault: &Fault) -> String {
    let mut fault = fault.clone();
    let named: Vec<String> = fault.nodes_mut().into_iter().map(|(_, it)| nodes(it)).collect();
    match named.is_empty() {
        true => fault.kind().split('_').next().unwrap_or_default().to_owned(),
        false => named.join(" and "),
    }
}
