//! How much of each caller is let through.

use super::section::section;
use crate::access::{LimitTerms, LimiterTerms};
use crate::models::access::Quota;

const SECOND_US: i64 = 1_000_000;

section! {
    /// How much of each caller is let through, where callers have to say who they are.
    Limits "limits" {
        /// Requests per second of each key and each user; 0 for no limit.
        key_per_second: u32 ["0" "1000000"];
        /// Requests of a key or a user at once.
        key_burst: u32 ["1" "1000000"];
        /// Requests per second of each address without a key; 0 for no limit.
        address_per_second: u32 ["0" "1000000"];
        /// Requests of an address at once.
        address_burst: u32 ["1" "1000000"];
        /// Proofs of an address per minute that are not good; 0 for no limit.
        failures_per_minute: u32 ["0" "1000000"];
    }
}

impl Limits {
    /// The rates; `None` where all of them are off.
    pub fn terms(&self) -> Option<LimitTerms> {
        let Limits { key_burst, address_burst, failures_per_minute: failures, .. } = *self;
        let (keys, addresses) = (self.key_per_second, self.address_per_second);
        let terms = LimitTerms {
            rates: LimiterTerms {
                identity: Quota::new("identity", keys, SECOND_US, key_burst),
                address: Quota::new("address", addresses, SECOND_US, address_burst),
                failures: Quota::new("failures", failures, 60 * SECOND_US, failures),
                ..LimiterTerms::default()
            },
            identities: keys > 0,
            addresses: addresses > 0,
            failures: failures > 0,
        };
        (terms.identities || terms.addresses || terms.failures).then_some(terms)
    }
}
