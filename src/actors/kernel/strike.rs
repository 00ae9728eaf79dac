//! Carries out the faults that strike a message.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::control::Control;
use super::faults::{FaultKind, Injected, Rule};

pub(super) enum Struck {
    /// The message is handled, perhaps with a fault inside.
    Handle(Option<Injected>),
    Lost,
    /// An order ended the wait.
    Interrupted,
}

pub(super) fn duplicates(rules: &[Arc<Rule>]) -> bool {
    rules.iter().any(|rule| rule.spec.kind == FaultKind::Duplicate)
}

/// The number that a message is spoiled by, where a rule wants it spoiled.
pub(super) fn spoils(rules: &[Arc<Rule>]) -> Option<u64> {
    rules.iter().find(|rule| rule.spec.kind == FaultKind::Corrupt).map(|rule| rule.draw())
}

pub(super) async fn carry_out(control: &Control, rules: Vec<Arc<Rule>>) -> Struck {
    let mut injected = None;
    for rule in rules {
        match rule.spec.kind {
            FaultKind::Panic => injected = Some(Injected::Panic),
            FaultKind::Error => injected = Some(Injected::Error),
            FaultKind::Delay { delay_ms } => {
                wait(control, tokio::time::sleep(Duration::from_millis(delay_ms))).await;
            }
            FaultKind::Hang => wait(control, rule.end()).await,
            FaultKind::Drop => return Struck::Lost,
            FaultKind::Duplicate
            | FaultKind::Corrupt
            | FaultKind::Flood { .. }
            | FaultKind::Throttle { .. } => {}
        }
        if control.interrupted() {
            return Struck::Interrupted;
        }
    }
    Struck::Handle(injected)
}

async fn wait(control: &Control, until: impl Future<Output = ()>) {
    let interrupted = poll_fn(|cx| {
        control.listen(cx);
        if control.interrupted() { Poll::Ready(()) } else { Poll::Pending }
    });
    tokio::select! {
        () = until => {}
        () = interrupted => {}
    }
}
