//! Files for their owner alone, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::Rng;
use zeroize::Zeroizing;

use super::super::exit::CliError;
use super::super::files::named;

/// Bytes of the largest file that is read here.
const BYTES_MAX: u64 = 1 << 20;

/// Writes a file, or writes it anew: a reader sees the old one or the new one.
pub fn put(path: &Path, text: &str) -> Result<(), CliError> {
    beside(path, text, |draft| fs::rename(draft, path)).map_err(|error| named(path, error))
}

/// Writes a file that is not there yet.
///
/// # Errors
/// It is there, or it cannot be written.
pub fn put_new(path: &Path, text: &str) -> Result<(), CliError> {
    let linked = beside(path, text, |draft| {
        fs::hard_link(draft, path)?;
        fs::remove_file(draft)
    });
    linked.map_err(|error| named(path, error))
}

/// The secret in this file, which is made where there is none: 32 bytes in hex.
pub fn secret(path: &Path) -> Result<Zeroizing<String>, CliError> {
    if let Some(text) = read(path)? {
        return Ok(Zeroizing::new(text.trim().to_owned()));
    }
    let mut bytes = Zeroizing::new([0_u8; 32]);
    rand::rng().fill_bytes(bytes.as_mut());
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = Zeroizing::new(text);
    put_new(path, &text)?;
    Ok(text)
}

/// What a file says; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<Zeroizing<String>>, CliError> {
    let mut text = Zeroizing::new(String::new());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(path, error)),
    };
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(|error| named(path, error))?;
    Ok(Some(text))
}

/// Writes a draft beside the file's place, which nobody else can read at any moment, and has it moved there.
fn beside(path: &Path, text: &str, place: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.draft", uuid::Uuid::now_v7().simple()));
    let draft = Path::new(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| place(draft));
    if placed.is_err() && draft.exists() {
        fs::remove_file(draft)?;
    }
    placed?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_its_owner_s_alone_and_a_new_one_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        put_new(&path, "one").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(put_new(&path, "two").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        put(&path, "three").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap(), mode(&path)), ("three".to_owned(), 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a draft is left");
    }

    #[test]
    fn a_secret_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = secret(&path).unwrap();
        assert_eq!((made.len(), mode(&path)), (64, 0o600));
        assert_eq!(secret(&path).unwrap(), made);
    }
}
