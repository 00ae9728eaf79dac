//! Where events are sent, and how patiently.

use super::section::section;
use super::setting::{Millis, Seconds};
use crate::models::access::retry::Schedule;

section! {
    /// Webhooks.
    Webhooks "webhooks" {
        /// Whether receivers may be on this machine and in private networks.
        allow_private: bool;
        /// Time of one attempt.
        timeout_ms: Millis ["100" "60000"];
        /// The shortest pause before another attempt.
        retry_min_s: Seconds ["0.01" "3600"];
        /// The longest pause.
        retry_max_s: Seconds ["0.01" "86400"];
        /// After that long a delivery is dead.
        give_up_s: Seconds ["0.1" "2592000"];
    }
}

impl Webhooks {
    /// When attempts are made.
    pub fn schedule(&self) -> Schedule {
        let delay_min_us = self.retry_min_s.micros();
        Schedule {
            delay_min_us,
            delay_max_us: self.retry_max_s.micros().max(delay_min_us),
            give_up_us: self.give_up_s.micros(),
        }
    }
}
