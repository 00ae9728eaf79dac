//! Faults of services beside the platform.
//!
//! SyncValue is within the nodes: its predictors are struck where they run, as faults of actors. The exchange is the
//! suite's own load, and nodes do not use an object store, so that there is nobody to strike.

use super::actor::{self, Wanted};
use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use crate::experiment::fault::{Fault, Service};

/// Who answers what customers are worth.
const PREDICTORS: &str = "/value/predictor/*";

pub struct Services;

impl Family for Services {
    fn kinds(&self) -> &'static [&'static str] {
        &["service_outage", "service_slow", "service_throttle", "service_wrong_answers"]
    }

    fn needs_lab(&self) -> bool {
        false
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move { actor::prepare(order, &wanted(&order.fault)?, &order.chosen.all) })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move { actor::act(at, &wanted(&at.site.order.fault)?).await })
    }
}

fn wanted(fault: &Fault) -> FaultResult<Wanted> {
    let (service, name, more) = match fault {
        Fault::ServiceOutage { service } => (*service, "error", None),
        Fault::ServiceSlow { service, delay } => {
            (*service, "delay", Some(("delay_ms", delay.as_micros().div_ceil(1000))))
        }
        Fault::ServiceThrottle { service, .. } | Fault::ServiceWrongAnswers { service, .. } => {
            (*service, "", None)
        }
        other => return Err(FaultError::Bad(format!("{} is no fault of services", other.kind()))),
    };
    let not_possible = |why: &str| Err(FaultError::not_possible(fault.kind(), why));
    match service {
        Service::Ltv if name.is_empty() => not_possible(
            "SyncValue is within the nodes, where actors can fail and wait, but neither refuse beyond a rate nor answer wrongly",
        ),
        Service::Ltv => {
            Ok(Wanted { pattern: PREDICTORS.to_owned(), fault: name, share: 1.0, more })
        }
        Service::Exchange => not_possible(
            "the exchange is the suite's own load, which sends notices twice and late by its own settings",
        ),
        Service::ObjectStore => not_possible(
            "nodes keep their files in PostgreSQL and on disk, and use no object store",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_strike_is_refused_with_the_reason() {
        for (fault, why) in [
            (Fault::ServiceOutage { service: Service::Exchange }, "own load"),
            (Fault::ServiceOutage { service: Service::ObjectStore }, "no object store"),
            (Fault::ServiceThrottle { service: Service::Ltv, per_second: 1 }, "beyond a rate"),
            (Fault::ServiceWrongAnswers { service: Service::Ltv, share: 1.0 }, "wrongly"),
        ] {
            let refused = wanted(&fault).err().unwrap();
            assert!(matches!(refused, FaultError::NotPossible { .. }), "{refused}");
            assert!(refused.to_string().contains(why), "{refused}");
        }
        assert_eq!(wanted(&Fault::ServiceOutage { service: Service::Ltv }).unwrap().fault, "error");
    }
}
