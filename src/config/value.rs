//! Forecasts of value, and how they are served.

use super::section::section;
use super::setting::{Millis, Seconds};

section! {
    /// Forecasts of value, and how they are served.
    Value "value" {
        /// Days that a forecast is about where the caller names none.
        horizon_days: u32 ["1" "3653"];
        /// Actors that answer.
        predictors: usize ["1" "64"];
        /// Questions that are answered together at most.
        batch_max: usize ["1" "1024"];
        /// How long a question may wait for others.
        batch_wait_ms: Millis ["0" "1000"];
        /// How long a model may take before the rule of thumb answers.
        predict_timeout_ms: Millis ["1" "60000"];
        /// Customers whose answers are kept in memory.
        cache_max: usize ["0" "10000000"];
        /// How long an answer is kept.
        cache_ttl_s: Seconds ["0.001" "86400"];
        /// Days that a forecast which is due waits for purchases that are told of late.
        outcome_grace_days: u32 ["0" "365"];
        /// Largest body of an import in CSV, in bytes.
        import_limit_bytes: usize ["1024" "10737418240"];
        /// Time that an import may take.
        import_timeout_s: Seconds ["1" "86400"];
        /// Questions of one gRPC stream that are worked on at a time.
        stream_in_flight: usize ["1" "1024"];
    }
}
