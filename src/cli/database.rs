//! A look at the embedded database's file before it is opened: the driver would try a file that is
//! something else until its time is over, and then call the store unavailable.

use std::io::Read;

use super::exit::CliError;
use crate::store::{Backend, SQLITE_FILE, StoreConfig};

/// What every file of SQLite begins with. An empty one is a database without tables.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Refuses a file that is no database. One that is not there is another's concern.
///
/// # Errors
/// The file cannot be read, or begins with something else.
pub fn must_be_one(config: &StoreConfig) -> Result<(), CliError> {
    let Backend::Sqlite { dir } = &config.backend else { return Ok(()) };
    let path = dir.join(SQLITE_FILE);
    if !path.is_file() {
        return Ok(());
    }
    let failed = |error| CliError::failed(format!("{}: {error}", path.display()));
    let mut head = Vec::with_capacity(MAGIC.len());
    let file = std::fs::File::open(&path).map_err(failed)?;
    file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(failed)?;
    match head.is_empty() || head == MAGIC {
        true => Ok(()),
        false => Err(CliError::failed(format!("{} is not a database", path.display()))),
    }
}
