//! One task for what would otherwise cost each actor a timer: trailing views, idle entities,
//! expired asks, the ends of faults and their floods.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::cell::Cell;
use super::expiry;
use super::faults::FaultKind;
use super::kernel::Kernel;
use super::sync::{lock, read};
use super::time::now_ns;

/// While asks wait for answers, and otherwise.
const TICK_BUSY: Duration = Duration::from_millis(5);
const TICK: Duration = Duration::from_millis(20);
/// Views that are behind are published this often.
const VIEWS_EVERY_NS: u64 = 100_000_000;

pub(super) async fn run(kernel: Weak<Kernel>) {
    let mut viewed = now_ns();
    let (mut last, mut busy) = (now_ns(), false);
    loop {
        tokio::time::sleep(if busy { TICK_BUSY } else { TICK }).await;
        let Some(kernel) = kernel.upgrade() else { return };
        let now = now_ns();
        busy = expiry::sweep(now);
        if kernel.faults.any() {
            flood(&kernel, now.saturating_sub(last));
            kernel.faults.expire(&kernel.events, now);
        }
        if now.saturating_sub(viewed) >= VIEWS_EVERY_NS {
            viewed = now;
            publish_views(&kernel);
        }
        sweep(&kernel, now);
        last = now;
    }
}

fn publish_views(kernel: &Kernel) {
    let behind = std::mem::take(&mut *lock(&kernel.behind));
    for port in behind.iter().filter_map(|cell| cell.port.get()) {
        port.publish();
    }
}

fn sweep(kernel: &Kernel, now: u64) {
    let sweeps = {
        let mut sweeps = lock(&kernel.sweeps);
        sweeps.retain(|sweep| sweep.strong_count() > 0);
        sweeps.clone()
    };
    for sweep in sweeps.iter().filter_map(Weak::upgrade) {
        sweep.sweep(now);
    }
}

fn flood(kernel: &Kernel, since_ns: u64) {
    for rule in kernel.faults.rules() {
        let FaultKind::Flood { per_second } = rule.spec.kind else { continue };
        let letters = (u64::from(per_second).saturating_mul(since_ns) / 1_000_000_000).max(1);
        let struck: Vec<Arc<Cell>> = read(&kernel.actors)
            .values()
            .filter(|cell| rule.matches(&cell.path))
            .cloned()
            .collect();
        for cell in struck {
            let Some(port) = cell.port.get() else { continue };
            let taken = (0..letters).take_while(|_| cell.admit().is_ok()).map(|_| {
                if !port.noise() {
                    cell.unsend();
                }
            });
            rule.hits.fetch_add(taken.count() as u64, Relaxed);
        }
    }
}
