//! The readable copy of the audit trail.

use std::path::{Path, PathBuf};

use super::section::section;
use crate::config::Seconds;

section! {
    /// The readable copy of the audit trail.
    Audit "audit" {
        /// Folder of the copy; empty for the data directory.
        dir: PathBuf, "AUDIT_DIR";
        /// Days that records are kept.
        retention_days: u32 ["1" "36500"], "RETENTION_DAYS";
        /// How often every log is verified, seconds.
        verify_every_s: Seconds ["1" "2592000"], "AUDIT_VERIFY_EVERY_S";
    }
}

impl Audit {
    /// The folder, which is the data directory where none was named.
    pub fn dir_or<'a>(&'a self, data_dir: &'a Path) -> &'a Path {
        if self.dir.as_os_str().is_empty() { data_dir } else { &self.dir }
    }
}
