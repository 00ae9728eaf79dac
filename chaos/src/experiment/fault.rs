//! What can be made to go wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pick::{Actors, Disk, Link, OfNodes, Process};
use super::units::{Bandwidth, Period, Shift, Size};

/// One fault. A new family adds its kinds here, says in `needs.rs` what they need, and has a file in `src/fault/`
/// that does and undoes them: the compiler names every other place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// SIGKILL. The process is started again when the fault is over.
    Kill { target: Process },
    /// SIGSTOP, and SIGCONT when the fault is over.
    Pause { target: Process },
    /// SIGKILL and a start again and again, with this time between.
    RestartLoop {
        target: Process,
        /// From one to the next.
        #[schemars(extend("x-least" = "500ms", "x-most" = "60s"))]
        every: Period,
    },
    /// No more memory than this: what goes beyond it is killed, and started again when the fault is over.
    MemoryLimit {
        target: Process,
        /// The most.
        #[schemars(extend("x-least" = "16MiB", "x-most" = "64GiB"))]
        limit: Size,
    },
    /// No more open files and sockets than this.
    DescriptorLimit {
        target: Process,
        /// The most.
        #[schemars(range(min = 16, max = 1_000_000))]
        limit: u32,
    },

    /// Nothing passes.
    Partition { target: Link },
    /// So many packets of a hundred are lost.
    Loss {
        target: Link,
        /// How many of a hundred.
        #[schemars(range(min = 0.1, max = 100))]
        percent: f64,
    },
    /// Packets arrive later.
    Latency {
        target: Link,
        /// How much later.
        #[schemars(extend("x-least" = "1ms", "x-most" = "30s"))]
        delay: Period,
        /// More or less than that by up to so much, drawn for each packet.
        #[serde(default)]
        #[schemars(extend("x-most" = "30s"))]
        jitter: Period,
    },
    /// So many packets of a hundred arrive twice.
    DuplicatePackets {
        target: Link,
        /// How many of a hundred.
        #[schemars(range(min = 0.1, max = 100))]
        percent: f64,
    },
    /// No more passes than this.
    Bandwidth {
        target: Link,
        /// Bits a second.
        #[schemars(extend("x-least" = "8Kbit", "x-most" = "10Gbit"))]
        rate: Bandwidth,
    },
    /// Connections are reset, again and again, with this time between.
    Reset {
        target: Link,
        /// From one to the next.
        #[schemars(extend("x-least" = "100ms", "x-most" = "60s"))]
        every: Period,
    },

    /// The wall clock jumps, and goes on from there; it jumps back when the fault is over.
    Clock {
        target: OfNodes,
        /// How far: forwards, or with a minus backwards.
        #[schemars(extend("x-least" = "1ms", "x-most" = "1440m"))]
        jump: Shift,
        /// Seconds that its clock counts in a second.
        #[serde(default = "one")]
        #[schemars(range(min = 0.5, max = 2))]
        rate: f64,
    },

    /// No room is left. PostgreSQL that ends over it is started again when the fault is over.
    DiskFull { target: Disk },
    /// Nothing can be written.
    DiskReadOnly { target: Disk },
    /// `fsync` fails with EIO. PostgreSQL ends over it, as it has to, and is started again when the fault is over.
    FsyncError {
        target: Disk,
        /// Of how many calls one fails: 1 is each.
        #[serde(default = "each")]
        #[schemars(range(min = 1, max = 10_000))]
        every: u32,
    },
    /// `fsync` takes longer.
    DiskSlow {
        target: Disk,
        /// How much later.
        #[schemars(extend("x-least" = "1ms", "x-most" = "10s"))]
        delay: Period,
    },

    /// PostgreSQL is stopped, and started again when the fault is over.
    PostgresStop {},
    /// PostgreSQL is stopped and started at once; the fault ends when it takes connections.
    PostgresRestart {},
    /// All processes of PostgreSQL stand still.
    PostgresPause {},
    /// Everything between the nodes and PostgreSQL takes longer.
    PostgresSlow {
        /// How much later.
        #[schemars(extend("x-least" = "1ms", "x-most" = "10s"))]
        delay: Period,
    },
    /// The connections of the nodes to PostgreSQL are ended by it, again and again, with this time between.
    PostgresKillConnections {
        /// From one to the next.
        #[schemars(extend("x-least" = "100ms", "x-most" = "60s"))]
        every: Period,
    },

    /// Redis is stopped, and started again when the fault is over.
    RedisStop {},
    /// Redis is stopped and started at once, empty.
    RedisRestart {},
    /// Redis stands still.
    RedisPause {},
    /// Redis forgets all.
    RedisFlush {},

    /// A service beside the platform does not answer, or fails where it is within it.
    ServiceOutage { service: Service },
    /// It answers later.
    ServiceSlow {
        service: Service,
        /// How much later.
        #[schemars(extend("x-least" = "1ms", "x-most" = "60s"))]
        delay: Period,
    },
    /// It answers no more than so many requests a second, and refuses the rest.
    ServiceThrottle {
        service: Service,
        /// Requests that it answers.
        #[schemars(range(min = 1, max = 1_000_000))]
        per_second: u32,
    },
    /// It answers what makes no sense.
    ServiceWrongAnswers {
        service: Service,
        /// Which part of its answers.
        #[serde(default = "one")]
        #[schemars(range(min = 0.001, max = 1))]
        share: f64,
    },

    /// The handler panics.
    ActorPanic {
        target: Actors,
        /// The chance that a message is struck.
        #[serde(default = "one")]
        #[schemars(range(min = 0.001, max = 1))]
        share: f64,
    },
    /// The handler fails.
    ActorError {
        target: Actors,
        /// The chance that a message is struck.
        #[serde(default = "one")]
        #[schemars(range(min = 0.001, max = 1))]
        share: f64,
    },
    /// The handler does not begin before the fault is over.
    ActorHang {
        target: Actors,
        /// The chance that a message is struck.
        #[serde(default = "one")]
        #[schemars(range(min = 0.001, max = 1))]
        share: f64,
    },
    /// The handler begins later.
    ActorDelay {
        target: Actors,
        /// How much later.
        #[schemars(extend("x-least" = "1ms", "x-most" = "600s"))]
        delay: Period,
        /// The chance that a message is struck.
        #[serde(default = "one")]
        #[schemars(range(min = 0.001, max = 1))]
        share: f64,
    },
    /// The message is lost.
    ActorDrop {
        target: Actors,
        /// The chance that a message is struck.
        #[serde(default = "one")]
        #[schemars(range(min = 0.001, max = 1))]
        share: f64,
    },
    /// The message is handled twice, where its actor can copy it.
    ActorDuplicate {
        target: Actors,
        /// The chance that a message is struck.
        #[serde(default = "one")]
        #[schemars(range(min = 0.001, max = 1))]
        share: f64,
    },
    /// The mailbox is filled with noise.
    ActorFlood {
        target: Actors,
        /// Noise a second for each actor.
        #[schemars(range(min = 1, max = 1_000_000))]
        per_second: u32,
    },
}

/// A service that the platform stands on beside its databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Forecasts of customer lifetime value (SyncValue).
    Ltv,
    /// The exchange that holds auctions: the load's own. Away it holds none, and tells what it owes afterwards;
    /// what it says wrongly are requests and notices that make no sense, before the right ones.
    Exchange,
    /// Where files go.
    ObjectStore,
}

fn one() -> f64 {
    1.0
}

fn each() -> u32 {
    1
}
