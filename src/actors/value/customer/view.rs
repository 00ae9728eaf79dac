//! A customer as operators see one.

use serde::Serialize;

/// How much there is, and nothing of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CustomerView {
    pub known: bool,
    pub purchases: usize,
    pub days: usize,
    pub version: i64,
}
