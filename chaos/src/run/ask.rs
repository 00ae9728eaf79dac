//! Probes: what is asked, of whom, and whether the answer is good.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::field::Field;
use super::meters::{fits, sample};
use super::words;
use crate::experiment::bound::Bound;
use crate::experiment::pick::{Nodes, Process};
use crate::experiment::probe::{At, Combine, Listener, Measure, Probe, Question, Reading, State};
use crate::load::Request;
use crate::report;

/// From one question to the next.
const AGAIN: Duration = Duration::from_millis(100);
/// Who answers later than this does not hold up a condition that ends the run.
const LATE: Duration = Duration::from_secs(2);

/// Whose answers a question needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Of everybody: who is silent is not well.
    All,
    /// Of those who answer: nodes are away when a condition that ends the run is needed most.
    Answering,
}

/// Asks until the answer is good, as long as the probe allows; then for as long as it has to stay good.
pub async fn ask(field: &Field, probe: &Probe) -> report::Reading {
    let until = Instant::now() + Duration::from(probe.within.unwrap_or_default());
    let mut told = once(field, &probe.question).await;
    while !told.held && Instant::now() < until {
        tokio::time::sleep(AGAIN).await;
        told = once(field, &probe.question).await;
    }
    if let (true, Some(holds)) = (told.held, probe.holds_for) {
        let until = Instant::now() + Duration::from(holds);
        while told.held && Instant::now() < until {
            tokio::time::sleep(AGAIN).await;
            told = once(field, &probe.question).await;
        }
    }
    told
}

/// Asks once. What cannot be asked is not good, and says why.
async fn once(field: &Field, question: &Question) -> report::Reading {
    match answer(field, question, Of::All).await {
        Ok((value, held)) => report::Reading { value, held },
        Err(why) => report::Reading { value: why, held: false },
    }
}

/// Asks for a condition that ends the run, of those who answer.
///
/// # Errors
/// Nobody answers.
pub async fn condition(field: &Field, question: &Question) -> Result<report::Reading, String> {
    let (value, held) = answer(field, question, Of::Answering).await?;
    Ok(report::Reading { value, held })
}

/// Waits for an answer, and not for long where others answer, too.
pub async fn in_time<T>(
    of: Of,
    asked: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match of {
        Of::All => asked.await,
        Of::Answering => tokio::time::timeout(LATE, asked)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", LATE.as_secs()))),
    }
}

/// The answers that count: all of them, or those that there are, and at least one.
///
/// # Errors
/// One that counts is missing.
pub fn counted<T>(of: Of, told: Vec<Result<T, String>>) -> Result<Vec<T>, String> {
    if of == Of::All {
        return told.into_iter().collect();
    }
    let (mut answers, mut silent) = (Vec::new(), None);
    for one in told {
        match one {
            Ok(answer) => answers.push(answer),
            Err(why) => silent = Some(why),
        }
    }
    match silent {
        Some(why) if answers.is_empty() => Err(why),
        _ => Ok(answers),
    }
}

async fn answer(field: &Field, question: &Question, of: Of) -> Result<(String, bool), String> {
    match question {
        Question::Http { at, service, path, status, body, latency } => {
            let urls = match at {
                At::Balancer => vec![field.cluster.balancer(*service)?],
                At::Node(nodes) => {
                    let names = field.cluster.named(nodes);
                    names
                        .iter()
                        .map(|name| field.cluster.listener(name, *service))
                        .collect::<Result<_, _>>()?
                }
            };
            // What is not as it should be, of an answer.
            let asked = urls.iter().map(|url| async move {
                let began = Instant::now();
                let reply = field.cluster.send(url, &Request::get(path.clone())).await?;
                if reply.status != *status {
                    return Ok(Some(format!("{url}{path}: {}", reply.status)));
                }
                if let Some(body) = body {
                    let json: Option<Value> = serde_json::from_slice(&reply.body).ok();
                    let value = json.as_ref().and_then(|json| json.pointer(&body.pointer));
                    if !body.tolerance.admits(value) {
                        let value = value.map_or("nothing".to_owned(), Value::to_string);
                        return Ok(Some(format!("{url}{path}: {} is {value}", body.pointer)));
                    }
                }
                let took = began.elapsed();
                let late = latency.is_some_and(|most| took > Duration::from(most));
                Ok(late.then(|| format!("{url}{path}: after {} ms", took.as_millis())))
            });
            let told = counted(of, futures_util::future::join_all(asked).await)?;
            Ok(match told.into_iter().flatten().next() {
                Some(wrong) => (wrong, false),
                None => (status.to_string(), true),
            })
        }
        Question::Metric { name, labels, node, combine, reading, tolerance } => {
            let nodes = field.cluster.named(node);
            let asked = nodes.iter().map(|node| async move {
                match reading {
                    Reading::Increase => Ok(field.meters.increase(node, name, labels)),
                    Reading::Value => {
                        let now = in_time(of, value(field, node, name, labels)).await;
                        // Of who is away, what it said last.
                        let last = || field.meters.last(node, name, labels);
                        now.or_else(|why| match of {
                            Of::All => Err(why),
                            Of::Answering => last().map(Some).ok_or(why),
                        })
                    }
                }
            });
            let told = counted(of, futures_util::future::join_all(asked).await)?;
            combined(name, &told, *combine, tolerance)
        }
        Question::Ledger { query, tolerance } => {
            let bad = super::ledgers::wrong(field, *query, of).await?;
            let held = tolerance.admits(bad.len() as f64);
            let first = bad.first().map(|it| format!(": {it}")).unwrap_or_default();
            Ok((format!("{}{first}", bad.len()), held))
        }
        Question::Load { measure, of: kind, over, tolerance } => {
            let (now, over) = (field.clock.now_us(), over.as_micros());
            let tally = field.tally();
            let ended = tally.last(now, over, *kind);
            let told = match ended.measure(*measure, over as f64 / 1e6) {
                Some(value) => Some(value),
                // Who hangs ends nothing: that is no reason to go on.
                None if of == Of::Answering && is_failing(*measure) => {
                    (tally.stands(now.saturating_sub(over), *kind) > 0).then_some(1.0)
                }
                None => None,
            };
            Ok(match told {
                Some(value) => (words::number(value), tolerance.admits(value)),
                None => ("nothing ended".to_owned(), false),
            })
        }
        Question::Process { target, state, tolerance } => {
            process(field, target, *state, tolerance).await
        }
    }
}

/// Whether it is the part of operations that comes to nothing.
fn is_failing(measure: Measure) -> bool {
    matches!(measure, Measure::ErrorRatio | Measure::UnknownRatio)
}

/// What a metric reads now. `None`: the node has no such series, and none is to be expected there.
async fn value(
    field: &Field,
    node: &str,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Option<f64>, String> {
    let url = field.cluster.admin(node)?;
    let reply = field.cluster.send(url, &Request::get("/metrics".to_owned())).await?;
    if reply.status != 200 {
        return Err(format!("{node} answers {} to a question about metrics", reply.status));
    }
    let text = String::from_utf8_lossy(&reply.body);
    let all = text.lines().filter_map(sample);
    let own = all.filter(|(series, _)| fits(series, name, labels)).map(|(_, value)| value);
    let told = own.reduce(|sum, value| sum + value);
    Ok(told.or_else(|| field.meters.may_be_absent(name, labels).then_some(0.0)))
}

/// One value of those of several nodes, and whether it is good.
///
/// # Errors
/// There is nothing that could be good: no node has such a series, or one of those that each have to be good.
pub fn combined(
    name: &str,
    told: &[Option<f64>],
    combine: Combine,
    tolerance: &Bound,
) -> Result<(String, bool), String> {
    let values: Vec<f64> = told.iter().copied().flatten().collect();
    if values.is_empty() || combine == Combine::Each && values.len() < told.len() {
        return Err(format!("no such series: {name}"));
    }
    let fold = |start: f64, of: fn(f64, f64) -> f64| values.iter().copied().fold(start, of);
    let value = match combine {
        Combine::Sum => values.iter().sum(),
        Combine::Max => fold(f64::NEG_INFINITY, f64::max),
        Combine::Min => fold(f64::INFINITY, f64::min),
        Combine::Each => {
            let text: Vec<String> = values.iter().map(|it| words::number(*it)).collect();
            return Ok((text.join(", "), values.iter().all(|it| tolerance.admits(*it))));
        }
    };
    Ok((words::number(value), tolerance.admits(value)))
}

async fn process(
    field: &Field,
    target: &Process,
    state: State,
    tolerance: &Option<Bound>,
) -> Result<(String, bool), String> {
    let lab = field.cluster.lab.as_ref().ok_or("only processes of a lab can be looked at")?;
    let names = match target {
        Process::Balancer => vec!["lb".to_owned()],
        Process::Node(nodes) => field.cluster.named(nodes),
    };
    let mut count = 0;
    for name in &names {
        let known = lab.process(name).ok_or_else(|| format!("there is no process {name}"))?;
        let alive = known.alive;
        count += usize::from(match state {
            State::Alive => alive,
            State::Dead => !alive,
            State::Ready => {
                let url = match target {
                    Process::Balancer => field.cluster.balancer(Listener::Health)?,
                    Process::Node(_) => field.cluster.listener(name, Listener::Health)?,
                };
                let reply = field.cluster.send(&url, &Request::get("/ready".to_owned())).await;
                alive && reply.is_ok_and(|reply| reply.status == 200)
            }
        });
    }
    let held = match tolerance {
        Some(bound) => bound.admits(count as f64),
        None => count == names.len(),
    };
    Ok((format!("{count} of {}", names.len()), held))
}

/// Whose nodes a question names, for words.
pub fn nodes_of(question: &Question) -> Option<&Nodes> {
    match question {
        Question::Http { at: At::Node(nodes), .. }
        | Question::Metric { node: nodes, .. }
        | Question::Process { target: Process::Node(nodes), .. } => Some(nodes),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
