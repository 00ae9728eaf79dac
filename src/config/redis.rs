//! The optional Redis. Correctness never depends on it.

use super::address::HostPort;
use super::secret::Secret;
use super::section::section;
use super::setting::Millis;

section! {
    /// The optional Redis. Correctness never depends on it.
    Redis "redis" {
        /// `host:port`; empty for local memory.
        addr: HostPort, "REDIS_ADDR";
        /// Its password, if it wants one.
        password: Secret, "REDIS_PASSWORD";
        /// Its database number.
        db: u16 ["0" "255"], "REDIS_DB";
        /// Connections kept.
        pool_size: usize ["1" "256"], "REDIS_POOL_SIZE";
        /// Time that connecting may take.
        connect_timeout_ms: Millis ["10" "60000"];
        /// Time that a command may take.
        command_timeout_ms: Millis ["1" "60000"];
    }
}
