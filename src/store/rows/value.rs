//! The rows of purchases, models and forecasts. Amounts are micros, days count from 1970-01-01,
//! probabilities are millionths.

use crate::store::record::record;

record! {
    /// What a customer bought, added up.
    pub struct LtvCustomerRow in "ltv_customer" key ["account", "person"] {
        pub account: String,
        pub person: String,
        pub purchases: i64,
        pub total: i64,
        /// Of all purchases.
        pub currency: String,
        pub first_day: i64,
        pub last_day: i64,
        pub updated_at: i64,
        /// Counts the writes of this row, from 1.
        pub version: i64,
    }
}

record! {
    /// One purchase. It never changes.
    pub struct LtvPurchaseRow in "ltv_purchase" key ["account", "person", "purchase"] {
        pub account: String,
        pub person: String,
        /// 32 hexadecimal digits: what makes an import idempotent.
        pub purchase: String,
        /// The caller's own id of it.
        pub reference: Option<String>,
        pub day: i64,
        pub amount: i64,
        pub currency: String,
        pub created_at: i64,
    }
}

record! {
    /// The answer to an import, by the hash of its Idempotency-Key.
    pub struct LtvImportRow in "ltv_import" key ["account", "import"] {
        pub account: String,
        pub import: String,
        pub body_hash: String,
        pub answer: String,
        pub created_at: i64,
    }
}

record! {
    /// A fitted model; its bytes are in its parts.
    pub struct LtvModelRow in "ltv_model" key ["account", "model"] {
        pub account: String,
        pub model: String,
        pub kind: String,
        pub horizon_days: i64,
        /// SHA-256 of the bytes.
        pub fingerprint: String,
        pub parts: i64,
        /// JSON: how it was fitted and scored.
        pub report: String,
        pub created_at: i64,
    }
}

record! {
    /// A part of a model's bytes, in base64.
    pub struct LtvModelPartRow in "ltv_model_part" key ["account", "model", "part"] {
        pub account: String,
        pub model: String,
        /// From 0.
        pub part: i64,
        pub bytes: String,
    }
}

record! {
    /// A line of a registry's history.
    pub struct LtvRegistryRow in "ltv_registry" key ["account", "seq"] {
        pub account: String,
        /// Dense from 1.
        pub seq: i64,
        pub at: i64,
        /// JSON.
        pub entry: String,
    }
}

record! {
    /// A comparison of the challenger with the champion on customers.
    pub struct LtvExperimentRow in "ltv_experiment" key ["account", "experiment"] {
        pub account: String,
        /// Also the salt by which customers are dealt.
        pub experiment: String,
        /// The version that challenges.
        pub challenger: String,
        /// Customers whom the challenger answers, in millionths.
        pub share: i64,
        /// 1: the challenger forecasts for the others too, and nobody is told.
        pub shadow: i64,
        pub started_by: String,
        pub started_at: i64,
        pub ended_at: Option<i64>,
        pub version: i64,
    }
}

record! {
    /// A forecast that waits for what comes true, and then has it.
    pub struct LtvForecastRow in "ltv_forecast" key ["account", "person", "model", "period"] {
        pub account: String,
        pub person: String,
        pub model: String,
        /// Of a customer and a version one is kept for each of these: weeks since 1970-01-01.
        pub period: i64,
        /// It is about the days after this one, up to and with the due one.
        pub made_day: i64,
        pub due_day: i64,
        /// champion, challenger or shadow.
        pub arm: String,
        pub value: i64,
        pub lower_value: i64,
        pub upper_value: i64,
        pub p_active: i64,
        /// What was spent.
        pub actual: Option<i64>,
        pub created_at: i64,
        pub closed_at: Option<i64>,
    }
}

record! {
    /// The watch over one input, or the error, of one model.
    pub struct LtvDriftRow in "ltv_drift" key ["account", "model", "feature"] {
        pub account: String,
        pub model: String,
        pub feature: String,
        /// JSON: the detectors.
        pub state: String,
        /// JSON: what they found.
        pub report: String,
        pub updated_at: i64,
    }
}
