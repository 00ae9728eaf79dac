//! The rows of who may call, of secrets, and of what needs a second pair of eyes.

use crate::store::record::record;

record! {
    /// An API key. Its secret is not kept, only a hash.
    pub struct ApiKeyRow in "api_key" key ["account", "key"] {
        /// Always `*`: its scopes say for which accounts it speaks.
        pub account: String,
        /// The part that is shown.
        pub key: String,
        pub name: String,
        pub hash: String,
        pub role: String,
        /// JSON.
        pub scopes: String,
        pub created_by: String,
        pub created_at: i64,
        pub expires_at: Option<i64>,
        pub revoked_at: Option<i64>,
        pub version: i64,
    }
}

record! {
    /// A secret of the installation, sealed under the master key. The newest of a purpose counts.
    pub struct KeyringRow in "keyring" key ["account", "purpose", "key"] {
        pub account: String,
        pub purpose: String,
        pub key: String,
        pub sealed: String,
        /// The public half, if there is one.
        pub public: String,
        pub created_at: i64,
    }
}

record! {
    /// A manual correction of a ledger, which a second person approves.
    pub struct CorrectionRow in "correction" key ["account", "correction"] {
        pub account: String,
        pub correction: String,
        pub budget: String,
        pub amount: i64,
        pub currency: String,
        pub reason: String,
        /// proposed, approved, refused or booked.
        pub status: String,
        pub proposed_by: String,
        pub proposed_at: i64,
        pub decided_by: Option<String>,
        pub decided_at: Option<i64>,
        /// Why it was refused.
        pub refusal: Option<String>,
        /// The ledger row's number, once it is booked.
        pub seq: Option<i64>,
        pub version: i64,
    }
}

record! {
    /// Where events are sent.
    pub struct WebhookRow in "webhook" key ["account", "webhook"] {
        pub account: String,
        pub webhook: String,
        pub url: String,
        /// JSON: patterns of events.
        pub events: String,
        /// JSON of the live secrets, sealed under the master key.
        pub sealed: String,
        pub created_at: i64,
        pub updated_at: i64,
        pub disabled: i64,
        pub version: i64,
    }
}

record! {
    /// An event on its way to a webhook.
    pub struct DeliveryRow in "delivery" key ["account", "webhook", "event"] {
        pub account: String,
        pub webhook: String,
        pub event: String,
        pub body: String,
        /// waiting, delivered or dead.
        pub status: String,
        pub attempts: i64,
        pub next_at: i64,
        pub last_error: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
    }
}
