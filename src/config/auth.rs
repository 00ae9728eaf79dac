//! Who may call.

use super::section::section;

section! {
    /// Who may call.
    Auth "auth" {
        /// Allows listening beyond this machine without authentication.
        allow_open: bool;
    }
}
