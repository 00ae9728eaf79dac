//! Faults of services beside the platform.
//!
//! SyncValue is within the nodes: its predictors are struck where they run, as faults of actors. The exchange is the
//! suite's own load, which does to itself what is ordered. Nodes do not use an object store, so that there is nobody to
//! strike.

use super::actor::{self, Wanted};
use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left;
use crate::experiment::fault::{Fault, Service};
use crate::load::Trouble;

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
        Box::pin(async move {
            match wanted(&order.fault)? {
                By::Rules(rules) => actor::prepare(order, &rules, &order.chosen.all),
                // It goes with the suite: nothing can be left of it.
                By::Load(_) => Ok(Prepared {
                    target: "the exchange".to_owned(),
                    way: "the load itself".to_owned(),
                    struck: vec!["exchange".to_owned()],
                    left: Vec::new(),
                }),
            }
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            match wanted(&order.fault)? {
                By::Rules(rules) => actor::act(at, &rules).await,
                By::Load(trouble) => {
                    order.ground.venue.begin(order.number, trouble);
                    Ok(())
                }
            }
        })
    }

    fn undo<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            if let Some(struck) = order.ground.venue.end(order.number) {
                at.site.struck(struck);
            }
            left::take_away(at).await
        })
    }
}

/// Who does it.
enum By {
    /// Nodes, to their predictors.
    Rules(Wanted),
    /// The load, to its exchange.
    Load(Trouble),
}

fn wanted(fault: &Fault) -> FaultResult<By> {
    let ltv = |fault, share, more| {
        Ok(By::Rules(Wanted { pattern: PREDICTORS.to_owned(), fault, share, more }))
    };
    let exchange = |trouble| Ok(By::Load(trouble));
    let service = match fault {
        Fault::ServiceOutage { service }
        | Fault::ServiceSlow { service, .. }
        | Fault::ServiceThrottle { service, .. }
        | Fault::ServiceWrongAnswers { service, .. } => *service,
        other => return Err(FaultError::Bad(format!("{} is no fault of services", other.kind()))),
    };
    match (service, fault) {
        (Service::Ltv, Fault::ServiceSlow { delay, .. }) => {
            ltv("delay", 1.0, Some(("delay_ms", delay.as_micros().div_ceil(1000))))
        }
        (Service::Ltv, Fault::ServiceThrottle { per_second, .. }) => {
            ltv("throttle", 1.0, Some(("per_second", u64::from(*per_second))))
        }
        (Service::Ltv, Fault::ServiceWrongAnswers { share, .. }) => ltv("corrupt", *share, None),
        (Service::Ltv, _) => ltv("error", 1.0, None),
        (Service::Exchange, Fault::ServiceSlow { delay, .. }) => {
            exchange(Trouble::Slow((*delay).into()))
        }
        (Service::Exchange, Fault::ServiceThrottle { per_second, .. }) => {
            exchange(Trouble::Throttled { per_second: *per_second })
        }
        (Service::Exchange, Fault::ServiceWrongAnswers { share, .. }) => {
            exchange(Trouble::Nonsense { share: *share })
        }
        (Service::Exchange, _) => exchange(Trouble::Away),
        (Service::ObjectStore, _) => Err(FaultError::not_possible(
            fault.kind(),
            "nodes keep their files in PostgreSQL and on disk, and use no object store",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::experiment::units::Period;

    #[test]
    fn a_service_that_nobody_uses_is_refused_with_the_reason() {
        let outage = Fault::ServiceOutage { service: Service::ObjectStore };
        let refused = wanted(&outage).err().unwrap();
        assert!(matches!(refused, FaultError::NotPossible { .. }), "{refused}");
        assert!(refused.to_string().contains("no object store"), "{refused}");
        assert!(wanted(&Fault::RedisFlush {}).is_err());
    }

    #[test]
    fn each_fault_is_done_by_who_can() {
        let second = Period::micros(1_000_000);
        let of = |service| {
            [
                Fault::ServiceOutage { service },
                Fault::ServiceSlow { service, delay: second },
                Fault::ServiceThrottle { service, per_second: 5 },
                Fault::ServiceWrongAnswers { service, share: 0.5 },
            ]
        };
        let rule = |fault: &Fault| match wanted(fault) {
            Ok(By::Rules(it)) => (it.fault, it.share, it.more),
            _ => panic!("{fault:?} is not done by nodes"),
        };
        assert_eq!(
            of(Service::Ltv).each_ref().map(rule),
            [
                ("error", 1.0, None),
                ("delay", 1.0, Some(("delay_ms", 1_000))),
                ("throttle", 1.0, Some(("per_second", 5))),
                ("corrupt", 0.5, None),
            ]
        );
        let trouble = |fault: &Fault| match wanted(fault) {
            Ok(By::Load(trouble)) => trouble,
            _ => panic!("{fault:?} is not done by the load"),
        };
        assert_eq!(
            of(Service::Exchange).each_ref().map(trouble),
            [
                Trouble::Away,
                Trouble::Slow(Duration::from_secs(1)),
                Trouble::Throttled { per_second: 5 },
                Trouble::Nonsense { share: 0.5 },
            ]
        );
    }
}
