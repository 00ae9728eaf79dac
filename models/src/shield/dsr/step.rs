//! The steps of each type of request, and what whoever performs them must keep to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// One act of a saga. Each is **idempotent by contract**: performed again, after any part of it was
/// performed before, it ends in the same state and answers `Ok`. All name the person by the inner
/// id, so that they work after the customer's id is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Read every handler's rows and put them, sealed under the person's key, into the request's
    /// staging object; it replaces one from before. Evidence: rows of each table.
    Collect,
    /// Make the package of the staging object and store it, sealed, under the request's id; it
    /// replaces one from before. The staging object stays until `Finish`. Evidence: its name.
    Package,
    /// Revoke every consent, recall every lease, and refuse new data: from here on nobody writes
    /// about the person. Whoever refuses may begin anew and knows it from what is saved
    /// ([`super::request::Request::has_stopped`]).
    StopProcessing,
    /// Count, change nothing. Before erasing, because a second run of that would count less.
    /// Evidence: rows of each table.
    Survey,
    /// Let each handler delete what no law keeps. Needs the key: some rows are found only with it.
    /// Refuses new data from its beginning, like the stop: one that began anew right behind that may
    /// not have found it saved.
    EraseTables,
    /// Write account, person and request into the journal of erasures outside the database and sync
    /// it. A restore from any backup is followed by erasing everybody in it again.
    Journal,
    /// Destroy the person's key and the way from the customer's id to the person. No way back.
    DestroyKey,
    /// Set the processing of the person still under this request's id: others' freezes are theirs.
    Freeze,
    /// End this request's freeze. The person counts as free when no freeze is left.
    Unfreeze,
    /// Write the corrections' values; sealed in the request, opened by whoever performs this.
    Correct,
    /// Revoke the consents that the objection names and refuse those purposes from now on.
    Object,
    /// Revoke the consents that the opt-out names and refuse those purposes from now on.
    OptOut,
    /// Look again that it is so (DELETION: no row that should be gone, no key), else fail; clear
    /// the staging object away.
    Finish,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Package => "package",
            Self::StopProcessing => "stop_processing",
            Self::Survey => "survey",
            Self::EraseTables => "erase_tables",
            Self::Journal => "journal",
            Self::DestroyKey => "destroy_key",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
            Self::Correct => "correct",
            Self::Object => "object",
            Self::OptOut => "opt_out",
            Self::Finish => "finish",
        }
    }
}

/// The steps of a type, in order; `Finish` completes the request.
pub fn plan(kind: Kind) -> &'static [Step] {
    match kind {
        Kind::Access | Kind::Portability => &[Step::Collect, Step::Package, Step::Finish],
        Kind::Deletion => &[
            Step::StopProcessing,
            Step::Survey,
            Step::EraseTables,
            // Before the key: an erasure that a restore would undo must not be made.
            Step::Journal,
            Step::DestroyKey,
            Step::Finish,
        ],
        Kind::Restriction => &[Step::Freeze, Step::Finish],
        Kind::Rectification => &[Step::Correct, Step::Finish],
        Kind::Objection => &[Step::Object, Step::Finish],
        Kind::OptOut => &[Step::OptOut, Step::Finish],
    }
}

/// What erases a person again after a restore from backup, for each entry of the journal: its
/// account, person and request are all that these steps need.
pub const REDO: [Step; 3] = [Step::StopProcessing, Step::EraseTables, Step::DestroyKey];

/// What a step found or made. Names only tables and objects, nothing personal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Rows of each table that were about the person.
    pub rows: BTreeMap<String, u64>,
    /// The name of the stored package.
    pub package: Option<String>,
}

/// Why a step did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is tried again until it works. The text must not have personal data in it.
    #[error("{0}")]
    Retry(String),
    /// Somebody's DELETION has destroyed the person's key meanwhile: there is nobody left to ask
    /// for. Ends every request but a DELETION, whose steps work without.
    #[error("the person was erased")]
    Erased,
}
