//! Campaigns, and how they bid.

use super::section::section;
use super::setting::{Millis, Ratio, Seconds};

section! {
    /// Campaigns, and how they bid.
    Flow "flow" {
        /// The seat that bids for campaigns which name none.
        seat: String;
        /// The base of the URLs that outcomes are told to; empty: the address that is listened on.
        notice_base_url: String;
        /// Our id in the Global Vendor List; 0: none.
        tcf_vendor_id: u16 ["0" "65535"];
        /// Whether a request has to name all of its sellers.
        require_complete_chain: bool;
        /// Changes within this time reach auctions together.
        index_every_ms: Millis ["1" "60000"];
        /// Time for an answer where the exchange names none.
        tmax_ms: Millis ["1" "60000"];
        /// Taken off the exchange's time for the way back.
        tmax_margin_ms: Millis ["0" "1000"];
        /// Requests of exchanges worked on at once.
        bids_max: usize ["1" "1000000"];
        /// How long money is held for a bid.
        hold_ttl_s: Seconds ["0.1" "86400"];
        /// How long a predicted value is kept.
        ltv_cache_ttl_s: Seconds ["0.001" "86400"];
        /// Persons whose values are kept in memory.
        ltv_cache_max: usize ["0" "10000000"];
        /// Time that a prediction may take.
        ltv_timeout_ms: Millis ["1" "60000"];
        /// Pairs of person and campaign that are counted.
        frequency_pairs: usize ["8" "100000000"];
        /// Share of requests of which it is kept why campaigns did not win.
        sample_ratio: Ratio ["0" "1"];
        /// Days that decisions and their counts are kept.
        decision_retention_days: u32 ["1" "36500"];
        /// Decisions that wait in memory to be stored; more wait in a file.
        journal_max: usize ["1" "10000000"];
    }
}
