//! Faults of the network between hosts of a lab. Several may strike the same way: all of them hold there.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::{Left, Undoing};
use super::repeat::Repeat;
use super::shelf::Shelf;
use crate::experiment::fault::Fault;
use crate::experiment::pick::{End, Link};
use crate::experiment::strikes::Struck;
use crate::lab::{Bandwidth, Counts, HostName, Lab, Rule};

/// What may wait for a narrow line: what it takes in this time, as in the buffer of a router.
const QUEUE_MS: u64 = 200;
const QUEUE_BYTES: std::ops::RangeInclusive<u64> = 16_000..=4_000_000;
/// A blow must last until the next packet of each connection, and be over before the next blow.
const BLOW: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_millis(500);
const LATENCY_MAX: Duration = Duration::from_secs(60);

/// What holds from one host to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    pub from: HostName,
    pub to: HostName,
    pub rule: Rule,
}

pub struct Network;

impl Family for Network {
    fn kinds(&self) -> &'static [&'static str] {
        &[
            "partition",
            "loss",
            "latency",
            "duplicate_packets",
            "bandwidth",
            "reset",
            "postgres_slow",
        ]
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            let lab = order.ground.lab(order.fault.kind())?;
            let rule = rule(&order.fault)?;
            rule.check().map_err(FaultError::Bad)?;
            let (from, to, both) = ends(order, lab)?;
            let mut ways = Vec::new();
            let mut add = |from: HostName, to: HostName| {
                let way = Way { from, to, rule };
                // Between all nodes and all nodes, each way is once.
                if from != to && !ways.contains(&way) {
                    ways.push(way);
                }
            };
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))) {
                add(from, to);
                if both {
                    add(to, from);
                }
            }
            if ways.is_empty() {
                return Err(FaultError::Bad("no way leads from one host to another".to_owned()));
            }
            let said = |hosts: &[HostName]| {
                hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            };
            let arrow = if both { "<->" } else { "->" };
            let mut struck: Vec<HostName> = from.iter().chain(&to).copied().collect();
            struck.sort();
            struck.dedup();
            Ok(Prepared {
                target: format!("{} {arrow} {}", said(&from), said(&to)),
                way: lab.network().what().to_owned(),
                struck: struck.iter().map(ToString::to_string).collect(),
                left: vec![Left::Ways { ways }],
            })
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            let lab = order.ground.lab(order.fault.kind())?;
            let ways = ways(&at.site.record().left);
            at.site.before.store(counted(lab, &ways), Relaxed);
            lay(&at.shelf, lab, &ways)?;
            if let Fault::Reset { every, .. } = &order.fault {
                let every = Duration::from(*every);
                let blow = (every / 2).clamp(*BLOW.start(), *BLOW.end());
                let at = at.clone();
                at.clone().site.repeat(Repeat::every(every.saturating_sub(blow), move || {
                    let at = at.clone();
                    async move {
                        strike(&at, false);
                        tokio::time::sleep(blow).await;
                        strike(&at, true);
                    }
                }));
            }
            Ok(())
        })
    }
}

/// Connections are reset, or left alone for a while.
fn strike(at: &At, rests: bool) {
    at.site.rests.store(rests, Relaxed);
    let ways = ways(&at.site.record().left);
    let laid = at.ground().lab("reset").and_then(|lab| lay(&at.shelf, lab, &ways));
    if let Err(error) = laid {
        at.trouble(error);
    }
}

/// Takes a fault's rules away. How many packets it struck.
///
/// # Errors
/// What other faults go on doing there cannot be had.
pub fn open(ways: &[Way], on: &Undoing<'_>) -> FaultResult<u64> {
    // Without its suite there is no network any more.
    let Some((at, lab)) = on.at.and_then(|at| Some((at, at.ground().lab.as_ref()?))) else {
        return Ok(0);
    };
    let struck = counted(lab, ways).saturating_sub(at.site.before.load(Relaxed));
    lay(&at.shelf, lab, ways)?;
    Ok(struck)
}

/// On each of these ways, all faults that are open hold together, but for those that rest or end.
fn lay(shelf: &Shelf, lab: &Lab, ways: &[Way]) -> FaultResult<()> {
    // Under this lock nobody lays something else.
    let open = shelf.open();
    let holding = open.values().filter(|it| !it.rests.load(Relaxed) && !it.ends.load(Relaxed));
    let all: Vec<Way> = holding.flat_map(|it| self::ways(&it.record().left)).collect();
    for way in ways {
        let here = all.iter().filter(|it| (it.from, it.to) == (way.from, way.to));
        let rule = here.fold(Rule::default(), |rule, it| both(rule, it.rule));
        lab.network().set(way.from, way.to, rule)?;
    }
    Ok(())
}

fn ways(left: &[Left]) -> Vec<Way> {
    let ways = left.iter().filter_map(|it| match it {
        Left::Ways { ways } => Some(ways.clone()),
        _ => None,
    });
    ways.flatten().collect()
}

/// Two rules at once.
fn both(one: Rule, other: Rule) -> Rule {
    let either = |one: f64, other: f64| 1.0 - (1.0 - one) * (1.0 - other);
    let latency = (one.latency + other.latency).min(LATENCY_MAX);
    let narrow = [one.bandwidth, other.bandwidth].into_iter().flatten();
    Rule {
        partition: one.partition || other.partition,
        reset: one.reset || other.reset,
        drop: either(one.drop, other.drop),
        duplicate: either(one.duplicate, other.duplicate),
        latency,
        jitter: (one.jitter + other.jitter).min(latency),
        bandwidth: narrow.min_by_key(|it| it.bits_per_s),
    }
}

/// What the rules of these ways have done to packets so far.
fn counted(lab: &Lab, ways: &[Way]) -> u64 {
    let counts = lab.network().counts();
    let of = |way: &Way| {
        counts.get(&(way.from, way.to)).map(|it| struck(&way.rule, it)).unwrap_or_default()
    };
    ways.iter().map(of).sum()
}

fn struck(rule: &Rule, counts: &Counts) -> u64 {
    match () {
        () if rule.partition => counts.partitioned,
        () if rule.reset => counts.reset,
        () if rule.drop > 0.0 => counts.dropped,
        () if rule.duplicate > 0.0 => counts.duplicated,
        () => counts.delayed + counts.overflowed,
    }
}

fn rule(fault: &Fault) -> FaultResult<Rule> {
    Ok(match fault {
        Fault::Partition { .. } => Rule::partition(),
        Fault::Reset { .. } => Rule::reset(),
        Fault::Loss { percent, .. } => Rule::lossy(percent / 100.0),
        Fault::DuplicatePackets { percent, .. } => {
            Rule { duplicate: percent / 100.0, ..Rule::default() }
        }
        Fault::Latency { delay, jitter, .. } => Rule::slow((*delay).into(), (*jitter).into()),
        Fault::PostgresSlow { delay } => Rule::slow((*delay).into(), Duration::ZERO),
        Fault::Bandwidth { rate, .. } => {
            let bits_per_s = rate.bits_per_second();
            let queue = (bits_per_s / 8).saturating_mul(QUEUE_MS) / 1000;
            let queue = queue.clamp(*QUEUE_BYTES.start(), *QUEUE_BYTES.end());
            let queue_bytes = u32::try_from(queue).unwrap_or(u32::MAX);
            Rule { bandwidth: Some(Bandwidth { bits_per_s, queue_bytes }), ..Rule::default() }
        }
        other => {
            return Err(FaultError::Bad(format!("{} is no fault of the network", other.kind())));
        }
    })
}

/// The hosts at both ends, and whether it is both ways.
fn ends(order: &Order, lab: &Lab) -> FaultResult<(Vec<HostName>, Vec<HostName>, bool)> {
    let nodes: Vec<HostName> = lab.nodes().iter().map(|node| node.host).collect();
    let (places, [from, to], is_both) = match order.fault.struck() {
        // Everything between the nodes and PostgreSQL.
        Struck::Postgres => return Ok((nodes, vec![HostName::Database], true)),
        Struck::Link(Link::Link { from, to }) => {
            (["target.link.from.node", "target.link.to.node"], [from, to], false)
        }
        Struck::Link(Link::Between { one, other }) => {
            (["target.between.one.node", "target.between.other.node"], [one, other], true)
        }
        _ => {
            let kind = order.fault.kind();
            return Err(FaultError::Bad(format!("{kind} is no fault of the network")));
        }
    };
    let named = |end: &End, place: &str| -> FaultResult<Option<Vec<HostName>>> {
        Ok(Some(match end {
            End::OtherNodes => return Ok(None),
            End::Database => vec![HostName::Database],
            End::Redis => vec![HostName::Redis],
            End::Balancer => vec![HostName::Balancer],
            End::Clients => vec![HostName::Suite],
            End::Node(_) => {
                let names = order.chosen.at(place)?.iter();
                let hosts = names.map(|name| order.ground.host(order.fault.kind(), name));
                hosts.collect::<FaultResult<_>>()?
            }
        }))
    };
    let (from, to) = (named(from, places[0])?, named(to, places[1])?);
    let but = |others: &Option<Vec<HostName>>| {
        let others = others.as_deref().unwrap_or_default();
        nodes.iter().copied().filter(|host| !others.contains(host)).collect::<Vec<_>>()
    };
    let (from, to) =
        (from.clone().unwrap_or_else(|| but(&to)), to.clone().unwrap_or_else(|| but(&from)));
    Ok((from, to, is_both))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_faults_of_one_way_hold_together() {
        let ms = Duration::from_millis;
        let slow = Rule::slow(ms(40_000), ms(10));
        let rule = both(both(slow, slow), Rule::lossy(0.5));
        assert_eq!((rule.latency, rule.jitter), (LATENCY_MAX, ms(20)));
        assert_eq!(both(rule, Rule::lossy(0.5)).drop, 0.75);
        let narrow = both(Rule::narrow(9_000, 2_000), Rule::narrow(8_000, 3_000));
        assert_eq!(narrow.bandwidth.unwrap().bits_per_s, 8_000);
        assert!(both(Rule::partition(), rule).partition && both(rule, Rule::reset()).reset);
        assert_eq!(both(rule, Rule::default()), rule);
        assert_eq!(rule.check(), Ok(()));
    }
}
