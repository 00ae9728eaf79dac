//! Files for their owner alone, written whole or not at all.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use rand::Rng;
use zeroize::Zeroizing;

use super::super::exit::CliError;
use super::super::files::named;

/// Bytes of the largest file that is read here.
const BYTES_MAX: u64 = 1 << 20;

/// Writes a file, or writes it anew: a reader sees the old one or the new one.
pub fn put(path: &Path, text: &str) -> Result<(), CliError> {
    beside(path, text, None, |draft| fs::rename(draft, path)).map_err(|error| named(path, error))
}

/// Writes a file anew for those who can read the old one: its owner, group and mode stay.
///
/// # Errors
/// There is none, or what is new cannot be given to them: then the old one stays.
pub fn renew(path: &Path, text: &str) -> Result<(), CliError> {
    let old = fs::metadata(path).map_err(|error| named(path, error))?;
    beside(path, text, Some(&old), |draft| fs::rename(draft, path)).map_err(|error| {
        let (uid, gid) = (old.uid(), old.gid());
        named(path, format!("the old one stays, for user {uid} and group {gid}: {error}"))
    })
}

/// Removes a file, where there is one.
pub fn remove(path: &Path) -> Result<(), CliError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, error)),
        _ => Ok(()),
    }
}

/// Writes a file that is not there yet.
///
/// # Errors
/// It is there, or it cannot be written.
pub fn put_new(path: &Path, text: &str) -> Result<(), CliError> {
    let linked = beside(path, text, None, |draft| {
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

/// Writes a draft beside the file's place, which nobody else can read at any moment but those whom it is given to, as
/// `like`, and has it moved there.
fn beside(
    path: &Path,
    text: &str,
    like: Option<&Metadata>,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.draft", uuid::Uuid::now_v7().simple()));
    let draft = Path::new(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let given = written.and_then(|()| like.map_or(Ok(()), |like| give(&file, like)));
    let placed = given.and_then(|()| place(draft));
    if placed.is_err() && draft.exists() {
        fs::remove_file(draft)?;
    }
    placed?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Gives a file the owner, the group and the mode of another one.
fn give(file: &File, like: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        fchown(file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(like.mode() & 0o777))
}

#[cfg(test)]
mod tests {
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
    fn whoever_can_read_a_file_can_read_it_when_it_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        assert!(renew(&path, "one").is_err(), "there is none");
        put_new(&path, "one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            std::os::unix::fs::chown(&path, Some(65_534), Some(65_533)).unwrap();
        }
        let before = fs::metadata(&path).unwrap();
        renew(&path, "two").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap(), mode(&path)), ("two".to_owned(), 0o640));
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_eq!(is_root, after.gid() == 65_533);
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
