//! What this host allows: each thing is tried for real, in namespaces and folders that go with the trial, and what
//! is not there is named with what gives it and with what the suite does instead.

mod table;
mod trials;

use std::path::Path;

use serde::Serialize;

pub use self::table::table;

/// Whether one thing can be done here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    pub name: &'static str,
    pub possible: bool,
    /// Why not, as the system says it; empty where it is possible.
    pub missing: String,
    /// The Debian package that gives it, where one does.
    pub package: Option<&'static str>,
    /// What experiments that want it get instead.
    pub instead: &'static str,
}

/// Tries everything. `binary` is the platform's program, where there is one to try things with.
///
/// # Errors
/// There is no folder for the trials.
pub async fn probe(binary: Option<&Path>) -> std::io::Result<Vec<Capability>> {
    let folder = std::env::temp_dir().join(format!("kiki-chaos-probe-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let rows = trials::all(&folder, binary).await;
    std::fs::remove_dir_all(&folder)?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_trial_says_yes_or_why_not_and_leaves_nothing() {
        let links = || std::fs::read_dir("/sys/class/net").unwrap().count();
        let before = links();
        let rows = probe(None).await.unwrap();
        assert!(rows.len() >= 16, "{}", rows.len());
        for row in &rows {
            assert_eq!(row.possible, row.missing.is_empty(), "{row:?}");
            assert!(!row.instead.is_empty() && !row.missing.contains('\n'), "{row:?}");
        }
        let root = rows.iter().find(|row| row.name == "root").unwrap();
        assert_eq!(root.possible, rustix::process::geteuid().is_root());
        assert_eq!(links(), before);
        let folder = std::env::temp_dir().join(format!("kiki-chaos-probe-{}", std::process::id()));
        assert!(!folder.exists());
    }
}
