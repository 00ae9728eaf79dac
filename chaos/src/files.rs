//! Files that somebody names: regular ones alone, because a device or a pipe may never end, and never more of them than
//! is good.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Opens a file that is a regular one.
///
/// # Errors
/// It is none, or cannot be opened.
pub fn open(path: &Path) -> Result<File> {
    // It is looked at before it is opened: to open a pipe is to wait for somebody who writes to it.
    match std::fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(Error::new(ErrorKind::InvalidInput, "is no regular file")),
    }
}

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// It is longer, or no regular file, or cannot be read.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>> {
    let too_long = || {
        Error::new(ErrorKind::FileTooLarge, format!("is longer than the {max} bytes that are read"))
    };
    let file = open(path)?;
    if file.metadata()?.len() > max {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    // It may have grown since, or be one that does not know its length.
    file.take(max + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max {
        true => Err(too_long()),
        false => Ok(bytes),
    }
}

/// The same of a file that has to be text.
///
/// # Errors
/// As of [`read`], or it is no UTF-8.
pub fn read_text(path: &Path, max: u64) -> Result<String> {
    let no_text = |_| Error::new(ErrorKind::InvalidData, "is no text in UTF-8");
    String::from_utf8(read(path, max)?).map_err(no_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_and_a_pipe_are_refused_and_nothing_is_read_beyond_the_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        for path in [Path::new("/dev/zero"), &pipe, folder.path()] {
            let refused = read(path, 10).expect_err("it is no file").to_string();
            assert_eq!(refused, "is no regular file", "{}", path.display());
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "0123456789").expect("it is written");
        assert_eq!(read_text(&file, 10).expect("it is short"), "0123456789");
        let refused = read(&file, 9).expect_err("it is long").to_string();
        assert_eq!(refused, "is longer than the 9 bytes that are read");
        // Its length is told as 0.
        assert!(read(Path::new("/proc/self/environ"), 1).is_err());
        std::fs::write(&file, [0xff]).expect("it is written");
        assert_eq!(read_text(&file, 9).expect_err("no text").to_string(), "is no text in UTF-8");
    }
}
