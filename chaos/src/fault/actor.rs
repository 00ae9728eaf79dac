//! Faults of actors: nodes are told of them, and do them themselves.

use super::admin::Rules;
use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::Left;
use crate::experiment::fault::Fault;

pub struct Actors;

/// A rule as the admin API takes it.
pub struct Wanted {
    pub pattern: String,
    pub fault: &'static str,
    pub share: f64,
    /// What its kind needs besides.
    pub more: Option<(&'static str, u64)>,
}

impl Family for Actors {
    fn kinds(&self) -> &'static [&'static str] {
        &[
            "actor_panic",
            "actor_error",
            "actor_hang",
            "actor_delay",
            "actor_drop",
            "actor_duplicate",
            "actor_flood",
        ]
    }

    fn needs_lab(&self) -> bool {
        false
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            let nodes = order.chosen.at("target.node")?;
            prepare(order, &wanted(&order.fault)?, nodes)
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move { act(at, &wanted(&at.site.order.fault)?).await })
    }
}

/// What is left of a rule at these nodes.
///
/// # Errors
/// The admin API of one is not known.
pub fn prepare(order: &Order, wanted: &Wanted, nodes: &[String]) -> FaultResult<Prepared> {
    let ground = &order.ground;
    let left = nodes.iter().map(|node| {
        let process = ground.lab.as_ref().and_then(|lab| lab.process(node)).map(|it| it.id);
        Ok(Left::Rules(Rules {
            node: node.clone(),
            url: ground.admin(node)?.to_owned(),
            process,
            pattern: wanted.pattern.clone(),
            fault: wanted.fault.to_owned(),
            seed: order.chosen.draw,
        }))
    });
    Ok(Prepared {
        target: format!("{} at {}", wanted.pattern, nodes.join(", ")),
        way: "admin api".to_owned(),
        struck: vec![wanted.pattern.clone()],
        left: left.collect::<FaultResult<_>>()?,
    })
}

/// Sets the rule at all nodes.
///
/// # Errors
/// A node refuses it, or is not reached.
pub async fn act(at: &At, wanted: &Wanted) -> FaultResult<()> {
    let record = at.site.record();
    let rules = record.left.iter().filter_map(|left| match left {
        Left::Rules(rules) => Some(rules),
        _ => None,
    });
    let ttl = at.site.order.ttl;
    let set = rules.map(|it| at.admin.set(it, wanted.share, ttl, wanted.more));
    futures_util::future::try_join_all(set).await.map(drop)
}

fn wanted(fault: &Fault) -> FaultResult<Wanted> {
    let (target, name, share, more) = match fault {
        Fault::ActorPanic { target, share } => (target, "panic", *share, None),
        Fault::ActorError { target, share } => (target, "error", *share, None),
        Fault::ActorHang { target, share } => (target, "hang", *share, None),
        Fault::ActorDelay { target, delay, share } => {
            (target, "delay", *share, Some(("delay_ms", delay.as_micros().div_ceil(1000))))
        }
        Fault::ActorDrop { target, share } => (target, "drop", *share, None),
        Fault::ActorDuplicate { target, share } => (target, "duplicate", *share, None),
        Fault::ActorFlood { target, per_second } => {
            (target, "flood", 1.0, Some(("per_second", u64::from(*per_second))))
        }
        other => return Err(FaultError::Bad(format!("{} is no fault of actors", other.kind()))),
    };
    Ok(Wanted { pattern: target.actor.clone(), fault: name, share, more })
}
