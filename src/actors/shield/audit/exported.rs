//! Files of signed heads that were kept outside, read line by line.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::models::shield::audit::head::{HEAD_LINE_BYTES_MAX, SignedHead};
use crate::models::shield::audit::heads::{BadHeads, HeadsFile};

/// Bad lines that are named; beyond that they are only counted.
const BAD_MAX: usize = 100;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Exported {
    /// Whose heads are in it.
    pub accounts: BTreeSet<String>,
    /// Lines that are none, the first of them.
    pub bad: Vec<BadHeads>,
    pub bad_total: u64,
}

/// Looks a whole file through. A last line that was cut off, as in a copy of a file that was written
/// to, is passed over.
///
/// # Errors
/// The file cannot be read.
pub fn look_through(path: &Path) -> io::Result<Exported> {
    let mut found = Exported::default();
    let mut line = 0;
    each_line(path, |text, whole| {
        line += 1;
        match SignedHead::parse(text) {
            _ if text.is_empty() => {}
            Ok(head) => {
                if !found.accounts.contains(&head.head.account) {
                    found.accounts.insert(head.head.account);
                }
            }
            Err(_) if !whole => {}
            Err(why) => {
                found.bad_total += 1;
                if found.bad.len() < BAD_MAX {
                    found.bad.push(BadHeads::Line { line, why });
                }
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// The heads of an account. Lines that are none are passed over: [`look_through`] names them.
///
/// # Errors
/// The file cannot be read, or has too many heads of this account.
pub fn heads_of(path: &Path, account: &str) -> io::Result<Vec<SignedHead>> {
    let mut heads = HeadsFile::new(account);
    each_line(path, |text, _| match heads.line(text) {
        Err(many @ BadHeads::TooMany { .. }) => Err(io::Error::other(many)),
        Ok(()) | Err(BadHeads::Line { .. }) => Ok(()),
    })?;
    Ok(heads.into_heads())
}

/// Gives each line, and whether it has its end. One that is too long is given short of its end, which
/// no head is, too.
fn each_line(path: &Path, mut each: impl FnMut(&str, bool) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    let most = HEAD_LINE_BYTES_MAX as u64 + 2;
    loop {
        bytes.clear();
        let read = Read::take(&mut file, most).read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            return Ok(());
        }
        let mut whole = bytes.last() == Some(&b'\n');
        if !whole && read == most {
            file.skip_until(b'\n')?;
            whole = true;
        }
        each(String::from_utf8_lossy(&bytes).trim(), whole)?;
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::models::shield::audit::head::TreeHead;
    use crate::models::shield::audit::merkle::Hash;

    fn line(account: &str, size: u64) -> String {
        let (account, root, prev) = (account.to_owned(), Hash::ZERO, Hash::ZERO);
        let head = TreeHead { account, size, root, at_us: size as i64, prev };
        head.sign(&SigningKey::from_bytes(&[7; 32])).line().expect("a line")
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_the_others_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("heads.jsonl");
        let (one, two, three) = (line("a", 1), line("b", 2), line("a", 3));
        let long = "x".repeat(3 * HEAD_LINE_BYTES_MAX);
        let glued = format!("{}{two}", &one[..40]);
        let text = format!("{one}\n{glued}\n\n{long}\r\n{two}\n{three}\n");
        let mut bytes = text.into_bytes();
        bytes.extend(b"\xff\xfe\n");
        bytes.extend(&line("c", 4).as_bytes()[..60]);
        std::fs::write(&path, bytes).expect("written");
        let found = look_through(&path).expect("read");
        assert_eq!(found.accounts.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
        let lines = |bad: &BadHeads| match bad {
            BadHeads::Line { line, .. } | BadHeads::TooMany { line } => *line,
        };
        assert_eq!(found.bad.iter().map(lines).collect::<Vec<_>>(), [2, 4, 7]);
        assert_eq!(found.bad_total, 3);
        let sizes = |account| {
            let heads = heads_of(&path, account).expect("read");
            heads.iter().map(|head| head.head.size).collect::<Vec<_>>()
        };
        assert_eq!(sizes("a"), [1, 3]);
        assert_eq!(sizes("b"), [2]);
        assert!(sizes("c").is_empty());
        assert!(look_through(&dir.path().join("none")).is_err());
    }
}
