//! Files of one JSON text a line, read within bounds.

use std::io::{BufRead, Read};

use serde::de::DeserializeOwned;

use super::error::CheckError;

/// Longer lines are none of ours.
const LINE_MAX: u64 = 1 << 20;

/// Whether a file ended as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Whole,
    /// The last line was cut off, and is left out.
    Cut,
}

/// Calls `each` with every line's number and value. Empty lines are errors, too: nothing of ours writes them.
pub fn each<T: DeserializeOwned>(
    file: &str,
    mut input: impl BufRead,
    allow_cut_off: bool,
    mut each: impl FnMut(u64, T) -> Result<(), String>,
) -> Result<Ended, CheckError> {
    let mut bytes = Vec::new();
    let mut line = 0;
    loop {
        line += 1;
        bytes.clear();
        let error = |why: String| CheckError::Line { file: file.to_owned(), line, why };
        let read = input.by_ref().take(LINE_MAX + 1).read_until(b'\n', &mut bytes);
        read.map_err(|source| CheckError::Read { file: file.to_owned(), source })?;
        if bytes.is_empty() {
            return Ok(Ended::Whole);
        }
        let ended = bytes.pop_if(|last| *last == b'\n').is_some();
        if bytes.len() as u64 > LINE_MAX {
            return Err(error(format!("longer than {LINE_MAX} bytes, which is the most")));
        }
        match serde_json::from_slice(&bytes) {
            Ok(value) => each(line, value).map_err(error)?,
            Err(_) if !ended && allow_cut_off => return Ok(Ended::Cut),
            Err(why) if !ended => {
                return Err(error(format!(
                    "the last line is cut off, as after a kill: {why}; --cut-off leaves it out"
                )));
            }
            Err(why) => return Err(error(why.to_string())),
        }
    }
}
