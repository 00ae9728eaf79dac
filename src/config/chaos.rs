//! Faults on purpose.

use super::section::section;

section! {
    /// Faults on purpose.
    Chaos "chaos" {
        /// Whether the admin API accepts fault rules.
        enabled: bool;
    }
}
