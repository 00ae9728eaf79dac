//! The only door to the clocks. Rules take time by argument; shells read it here.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Wall-clock time in microseconds since 1970-01-01 UTC. It may jump: use it for what people and
/// ledgers read, never to decide whether an interval has passed.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    }
}

/// Microseconds since this machine booted, counting the time it was suspended. Never jumps, and
/// means the same to every process of one boot (see [`boot_id`]).
pub fn mono_us() -> i64 {
    let t = clock_gettime(ClockId::Boottime);
    t.tv_sec * 1_000_000 + t.tv_nsec / 1_000
}

/// Names the boot that [`mono_us`] counts from: two readings may be compared only under one id.
/// Where the kernel does not tell it, every process counts as a boot of its own.
pub fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|id| id.trim().replace('-', "").chars().take(16).collect())
            .unwrap_or_else(|_| format!("{:x}-{:x}", std::process::id(), wall_us()))
    })
}
