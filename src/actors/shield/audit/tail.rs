//! Files of lines that are only added to. A crash or a full disk may cut the last line off: nobody was
//! told that it is there, and what is added next must not be glued to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes looked at in one go for the end of the last whole line.
const WINDOW: u64 = 64 * 1024;

/// Adds whole lines, durably. Gives the length of the file then.
pub fn add_lines(path: &Path, text: &str) -> io::Result<u64> {
    let fresh = !path.exists();
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let len = file.metadata()?.len();
    let whole = whole_lines(&mut file, len)?;
    if whole < len {
        file.set_len(whole)?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if fresh && let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        sync_dir(dir)?;
    }
    Ok(whole + text.len() as u64)
}

/// Makes new, renamed and removed names of a folder durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Bytes up to the end of the last line that has one.
fn whole_lines(file: &mut File, len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut window = Vec::new();
    while end > 0 {
        let from = end.saturating_sub(WINDOW);
        file.seek(SeekFrom::Start(from))?;
        window.clear();
        Read::take(&mut *file, end - from).read_to_end(&mut window)?;
        if let Some(at) = window.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_is_taken_away_before_the_next_line_wherever_it_was_cut() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lines");
        let read = || std::fs::read_to_string(&path).expect("text");
        let long = "x".repeat(3 * WINDOW as usize);
        assert_eq!(add_lines(&path, "one\ntwo\n").expect("added"), 8);
        for torn in ["t", "three", &long] {
            std::fs::write(&path, format!("one\ntwo\n{torn}")).expect("torn");
            assert_eq!(add_lines(&path, "four\n").expect("added"), 13);
            assert_eq!(read(), "one\ntwo\nfour\n");
        }
        std::fs::write(&path, &long).expect("torn");
        assert_eq!(add_lines(&path, "five\n").expect("added"), 5);
        assert_eq!(read(), "five\n");
    }
}
