//! Secrets of the installation: configured, or made once and kept in the data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rand::Rng;

use super::keys::Config;
use crate::models::shield::seal::MasterKey;

/// Name of the generated secret in the data directory.
pub const TOKEN_SECRET_FILE: &str = "token.secret";
/// Name of the generated master key in the data directory.
pub const MASTER_KEY_FILE: &str = "master.key";

/// The configured secret, or the one in the data directory, which is made (mode 0600) where there
/// is none. Processes that share the directory agree on it whoever comes first.
///
/// # Errors
/// The file cannot be read or made, others may read it, or it is too short.
pub fn token_secret(config: &Config) -> io::Result<Vec<u8>> {
    let configured = config.shield.token_secret.expose();
    if !configured.is_empty() {
        return Ok(configured.as_bytes().to_vec());
    }
    kept(&config.store.data_dir.join(TOKEN_SECRET_FILE))
}

/// The configured master key, under which people's keys and the keyring are sealed, or the one in
/// the data directory, which is made as [`token_secret`] is, unless the store is `sealed` already:
/// a new key could open nothing of it.
///
/// # Errors
/// Those of [`token_secret`], a text that is no key of 32 bytes, and none for a store that is sealed.
pub fn master_key(config: &Config, sealed: bool) -> io::Result<MasterKey> {
    let configured = config.shield.master_key.expose();
    let (text, from) = if configured.is_empty() {
        let path = config.store.data_dir.join(MASTER_KEY_FILE);
        if sealed && !path.try_exists()? {
            return Err(io::Error::other(format!(
                "this store was sealed with a master key, which is not here: copy {MASTER_KEY_FILE} \
                 (and {TOKEN_SECRET_FILE}) of the former data directory to {}, or set KIKI_MASTER_KEY",
                config.store.data_dir.display()
            )));
        }
        let text = String::from_utf8(kept(&path)?).map_err(io::Error::other)?;
        (text, path.display().to_string())
    } else {
        (configured.to_owned(), "shield.master_key".to_owned())
    };
    MasterKey::from_text(&text).map_err(|why| io::Error::other(format!("{from}: {why}")))
}

/// The secret in this file, which is made where there is none.
fn kept(path: &Path) -> io::Result<Vec<u8>> {
    match fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path)?,
        Err(error) => return Err(error),
    }
    let named = |what: String| io::Error::other(format!("{}: {what}", path.display()));
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(named(format!("mode is {mode:o}, so others may read it: chmod 600 it")));
    }
    let secret = fs::read_to_string(path)?.trim().to_owned();
    match secret.len() {
        0..32 => Err(named("is too short to be a secret: remove it to make a new one".to_owned())),
        _ => Ok(secret.into_bytes()),
    }
}

/// Writes a new secret beside its place and links it there, so that nobody ever reads half of it
/// and the first of several processes wins.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // The name is its own: neither a thread nor a process beside this one writes the same draft.
    let draft = path.with_extension(format!("{}.draft", uuid::Uuid::now_v7().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
