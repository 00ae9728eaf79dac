//! Caps, holds and slices of budgets.

use super::secret::Secret;
use super::section::section;
use super::setting::{Millis, Seconds};
use crate::models::shield::limits::Limits;
use crate::models::shield::money::{Currency, Micros};

section! {
    /// Caps, holds and slices of budgets.
    Shield "shield" {
        /// Most that an account may spend in any trailing window.
        window_cap: Micros ["0" "1000000000"], "MAX_BURST_BUDGET";
        /// Length of the window.
        window_seconds: Seconds ["1" "86400"], "WINDOW_SECONDS";
        /// How long a hold stands when the caller names no time.
        hold_ttl_s: Seconds ["0.001" "86400"];
        /// The longest time that a caller may ask for.
        hold_ttl_max_s: Seconds ["0.001" "86400"];
        /// How long a slice serves before it is renewed.
        slice_ttl_s: Seconds ["0.1" "600"];
        /// Taken off a slice's time for what the clocks and the network may lose.
        slice_margin_ms: Millis ["0" "60000"];
        /// Waited beyond the last moment of a lost slice or hold before its money returns.
        grace_s: Seconds ["0" "600"];
        /// Most open holds of one budget.
        holds_max: usize ["1" "10000000"];
        /// Currency of accounts and of calls that name none.
        default_currency: Currency;
        /// Account of calls that name none.
        default_account: String;
        /// Signs the tokens of holds; empty to generate one in the data directory.
        token_secret: Secret, "KIKI_TOKEN_SECRET";
        /// Seals people's keys and the keyring; empty to generate one in the data directory.
        master_key: Secret, "KIKI_MASTER_KEY";
    }
}

impl Shield {
    /// The limits of the money rules; what no key sets has the rules' own default.
    pub fn limits(&self) -> Limits {
        Limits {
            slice_ttl_us: self.slice_ttl_s.micros(),
            slice_margin_us: self.slice_margin_ms.micros(),
            hold_ttl_max_us: self.hold_ttl_max_s.micros(),
            grace_us: self.grace_s.micros(),
            holds_max: self.holds_max,
            ..Limits::default()
        }
    }
}
