//! What a request's step asks of a person's actor, and what it gives.

use std::collections::BTreeMap;

use crate::models::shield::consent::kind::KindSet;
use crate::models::shield::dsr::package::Section;

/// A step, as far as it is the person's actor's to perform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Revoke everything and refuse new data until the erasure.
    StopProcessing {
        dsr: String,
    },
    /// Delete what no law keeps.
    EraseTables,
    /// Destroy the key and the way from the customer id.
    DestroyKey {
        /// The request that had done so before a backup brought the person back.
        again: Option<String>,
    },
    /// How many rows each table has.
    Survey,
    /// Everything that is held; `portable` leaves out what the person did not give or cause.
    Collect {
        portable: bool,
    },
    Freeze {
        dsr: String,
    },
    Unfreeze {
        dsr: String,
    },
    /// Sealed corrections, as the request has them.
    Correct {
        sealed: String,
    },
    Object {
        dsr: String,
        kinds: KindSet,
    },
    OptOut {
        dsr: String,
        kinds: KindSet,
    },
    /// Whether nothing is left that should be gone.
    Gone,
    /// Seals a text of a request under the person's key.
    Seal {
        purpose: &'static str,
        plain: String,
    },
}

/// What a step gave.
#[derive(Clone, Debug)]
pub enum Done {
    Nothing,
    Rows(BTreeMap<String, u64>),
    Sections(Vec<Section>),
    Sealed(String),
}
