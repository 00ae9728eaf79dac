//! Limits of the actors.

use super::section::section;
use super::setting::{Millis, Seconds};

section! {
    /// Limits of the actors.
    Kernel "kernel" {
        /// Messages that wait for a service's actor; more are refused.
        mailbox_capacity: usize ["1" "1000000"];
        /// Messages that wait for an entity's actor (a budget, a campaign); more are refused.
        entity_mailbox_capacity: usize ["1" "1000000"];
        /// Idle time after which an entity's actor stops until its next message.
        passivate_after_s: Seconds ["0.01" "86400"];
        /// Actors of people, and of customers, that stay that long; of more, those idle longest stop.
        resident_max: usize ["1" "10000000"];
        /// Shortest time between two views that an actor publishes.
        view_interval_ms: Millis ["1" "60000"];
    }
}
