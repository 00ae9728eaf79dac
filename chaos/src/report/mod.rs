//! What is left of a run for people and for machines: `report.json`, `junit.xml`, one page of HTML, a few lines for a
//! terminal, and `docs/CHAOS.md` of many runs.

mod catalogue;
mod format;
mod junit;
mod model;
mod page;
mod series;
mod terminal;

use std::path::Path;

pub use catalogue::{Mutant, catalogue};
pub use junit::junit;
pub use model::{
    Fault, INTERRUPTED, NeverServed, Owned, Ownership, Phase, Probe, Reading, RunReport, Undo,
};
pub use page::page;
pub use series::{OwnerChange, Second, Seen, SeriesError, seen};
pub use terminal::summary;

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("{0} cannot be written: {1}")]
    File(String, std::io::Error),
    #[error("the report is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the report is no JUnit: {0}")]
    Junit(#[from] quick_junit::SerializeError),
}

/// Writes `report.json`, `junit.xml` and `report.html` into the folder of a run.
///
/// # Errors
/// A file cannot be written.
pub fn write(report: &RunReport, dir: &Path) -> Result<(), ReportError> {
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(|e| ReportError::File(path.display().to_string(), e))
    };
    put("report.json", &serde_json::to_vec_pretty(report)?)?;
    put("junit.xml", junit(std::slice::from_ref(report))?.as_bytes())?;
    put("report.html", page(report).as_bytes())
}
