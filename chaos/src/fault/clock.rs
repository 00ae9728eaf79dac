//! Wall clocks of nodes that are wrong.

use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::{Left, Undoing};
use crate::experiment::fault::Fault;
use crate::lab::clock::Clock;

pub struct Clocks;

impl Family for Clocks {
    fn kinds(&self) -> &'static [&'static str] {
        &["clock"]
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            let names = order.chosen.at("target.node")?.to_vec();
            for name in &names {
                clock(order, name)?;
            }
            let left = names.iter().map(|name| Left::Clock { name: name.clone() }).collect();
            let way = "a clock of its own".to_owned();
            Ok(Prepared { target: names.join(", "), way, struck: names, left })
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            let Fault::Clock { jump, rate, .. } = &order.fault else { return Ok(()) };
            for name in &at.site.injected.struck {
                let clock = clock(order, name)?;
                clock.offset(jump.as_micros() / 1000)?;
                let faster = millionths(*rate);
                if faster != 0 {
                    clock.drift(faster)?;
                }
                at.site.struck(1);
            }
            Ok(())
        })
    }
}

/// How much faster than others, in millionths.
#[allow(clippy::cast_possible_truncation)]
fn millionths(rate: f64) -> i64 {
    ((rate - 1.0) * 1e6).round() as i64
}

fn clock(order: &Order, name: &str) -> FaultResult<Clock> {
    let process = order.ground.process("clock", name)?;
    process.clock.ok_or_else(|| FaultError::NotPossible {
        what: format!("a wrong clock of {name}"),
        missing: "the lab was opened without clocks of their own, which need a C compiler".into(),
        package: Some("gcc"),
    })
}

/// The clock is right again, and is seen to be. Without a lab, it ended with its process.
///
/// # Errors
/// It cannot be set.
pub fn right(name: &str, on: &Undoing<'_>) -> FaultResult<()> {
    let Some(at) = on.at else { return Ok(()) };
    let clock = clock(&at.site.order, name)?;
    clock.offset(0)?;
    match clock.is_off_by()? {
        -1..=1 => Ok(()),
        ms => Err(FaultError::Bad(format!("the clock of {name} is still {ms} ms off"))),
    }
}

#[cfg(test)]
mod tests {
    use super::millionths;

    #[test]
    fn a_rate_is_told_in_millionths() {
        assert_eq!([1.0, 1.5, 0.5, 1.000_1].map(millionths), [0, 500_000, -500_000, 100]);
    }
}
