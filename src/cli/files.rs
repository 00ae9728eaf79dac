//! Files that are read packed or not, and files that are written whole or not at all.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::exit::CliError;

/// Bytes read at a time.
const CHUNK: usize = 64 * 1_024;

/// An error about a file.
pub fn named(path: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::failed(format!("{}: {error}", path.display()))
}

/// Opens a file, packed with gzip or not.
pub fn open(path: &Path) -> Result<Box<dyn Read>, CliError> {
    let mut file = File::open(path).map_err(|error| named(path, error))?;
    let mut magic = [0; 2];
    let mut got = 0;
    while got < 2 {
        match file.read(&mut magic[got..]).map_err(|error| named(path, error))? {
            0 => break,
            read => got += read,
        }
    }
    let start = io::Cursor::new(magic[..got].to_vec());
    let whole = BufReader::with_capacity(CHUNK, start.chain(file));
    Ok(match magic {
        [0x1f, 0x8b] => Box::new(MultiGzDecoder::new(whole)),
        _ => Box::new(whole),
    })
}

/// Writes a file beside its place and moves it there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, bytes).map_err(|error| named(path, error))?;
    std::fs::rename(&beside, path).map_err(|error| named(path, error))
}
