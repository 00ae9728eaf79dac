//! The rows of people, their decisions and their requests. `person` is a random id that means
//! nobody once the mapping in [`PersonRow`] is erased. Sealed texts open with the person's key.

use crate::store::record::record;

record! {
    /// Who a person id stands for, and the person's wrapped key.
    pub struct PersonRow in "person" key ["account", "person"] {
        pub account: String,
        pub person: String,
        /// Keyed hash of the customer id; unique in the account while not erased.
        pub lookup: String,
        /// The customer id, sealed; empty once erased.
        pub customer: String,
        /// The person's key, wrapped with the installation's; empty once erased.
        pub wrapped_key: String,
        /// Number of the newest change in `consent`.
        pub seq: i64,
        pub created_at: i64,
        pub erased_at: Option<i64>,
        /// Counts the writes of this row, from 1.
        pub version: i64,
    }
}

record! {
    /// One change of what a person allows: the history, dense per person from 1.
    pub struct ConsentRow in "consent" key ["account", "person", "seq"] {
        pub account: String,
        pub person: String,
        pub seq: i64,
        pub at: i64,
        /// JSON of the change.
        pub change: String,
        /// What was shown to the person, if it was told.
        pub sealed: Option<String>,
    }
}

record! {
    /// Something that the platform was told about a person.
    pub struct AttributeRow in "attribute" key ["account", "person", "name"] {
        pub account: String,
        pub person: String,
        pub name: String,
        pub sealed: String,
        pub updated_at: i64,
    }
}

record! {
    /// A data-subject request and how far it is.
    pub struct DsrRow in "dsr" key ["account", "dsr"] {
        pub account: String,
        pub dsr: String,
        pub person: String,
        /// ACCESS, DELETION, …
        pub kind: String,
        pub status: String,
        pub due_at: i64,
        /// JSON: the request, with the steps done.
        pub state: String,
        /// Personal details of the request, sealed.
        pub sealed: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
        pub version: i64,
    }
}

record! {
    /// A part of the package that answers a request, sealed.
    pub struct DsrPackageRow in "dsr_package" key ["account", "dsr", "part"] {
        pub account: String,
        pub dsr: String,
        pub part: i64,
        pub person: String,
        pub sealed: String,
        pub created_at: i64,
    }
}
