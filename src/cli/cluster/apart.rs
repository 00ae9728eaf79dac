//! An authority whose key is in a folder of its own: nodes read only its certificate.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use super::super::exit::CliError;
use super::super::files::named;
use super::authority::{Authority, CA, CA_KEY};
use super::private;

/// The authority, with its certificate in the folder of nodes too, and what was written of it. Folders are made where
/// there are none.
///
/// # Errors
/// A file cannot be read or written, or those of the two folders are not of the same authority.
pub fn authority(dir: &Path, own: Option<&Path>) -> Result<(Authority, String), CliError> {
    let mut out = String::new();
    folder(dir)?;
    let own = match own {
        Some(own) => std::path::absolute(own).map_err(|error| named(own, error))?,
        None => dir.to_owned(),
    };
    folder(&own)?;
    // Two paths may lead to one folder: over a link, or where it is mounted twice.
    let is_apart = !is_same(&opened(dir)?, &opened(&own)?);
    if is_apart {
        out += &move_apart(dir, &own)?;
        is_not_of_another(dir, &own)?;
    }
    let authority = Authority::open_or_make(&own)?;
    let (ca, key) = (authority.ca_file.display(), authority.key_file.display());
    out += &match (authority.is_new, authority.is_new_key) {
        (true, true) => format!("wrote {ca} and {key}: an authority of its own\n"),
        (true, false) => format!("wrote {ca}, kept {key}\n"),
        (false, _) => format!("kept {ca}\n"),
    };
    if is_apart {
        let ca_file = dir.join(CA);
        match private::read(&ca_file)? {
            // It may have another one beside it, while one takes the place of the other.
            Some(pem) if pem.contains(authority.pem.trim()) => {}
            Some(_) => {
                let why = format!("is of another authority than {ca}: bring that one back there");
                return Err(named(&ca_file, why));
            }
            None => {
                private::put_new(&ca_file, &authority.pem)?;
                out += &format!("wrote {}\n", ca_file.display());
            }
        }
    }
    Ok((authority, out))
}

/// Makes a folder for its owner alone, where there is none.
pub fn folder(dir: &Path) -> Result<(), CliError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| named(dir, error))
}

/// Takes the authority's key out of the folder that nodes read, where an earlier run has put it.
fn move_apart(dir: &Path, own: &Path) -> Result<String, CliError> {
    let (from, to) = (dir.join(CA_KEY), own.join(CA_KEY));
    let Some(key) = private::read(&from)? else { return Ok(String::new()) };
    match private::read(&to)? {
        None => {
            if let Some(pem) = private::read(&dir.join(CA))?
                && private::read(&own.join(CA))?.is_none()
            {
                private::put_new(&own.join(CA), &pem)?;
            }
            private::put_new(&to, &key)?;
        }
        Some(there) if *there == *key => {}
        Some(_) => return Err(named(&from, format!("is another key than {}", to.display()))),
    }
    // One may be a link to the other, and then there is only one key.
    if is_same(&opened(&from)?, &opened(&to)?) {
        let why = format!("is the same file as {}: put a copy there, not a link", to.display());
        return Err(named(&from, why));
    }
    fs::remove_file(&from).map_err(|error| named(&from, error))?;
    Ok(format!("moved {} to {}\n", from.display(), to.display()))
}

/// What nodes trust already was not made by an authority that is not there: a new one would be none that they trust.
fn is_not_of_another(dir: &Path, own: &Path) -> Result<(), CliError> {
    let (trusted, key) = (dir.join(CA), own.join(CA_KEY));
    let is_missing = private::read(&own.join(CA))?.is_none() && private::read(&key)?.is_none();
    if is_missing && private::read(&trusted)?.is_some() {
        let why = format!(
            "is missing, and nodes trust its authority by {}: bring the key back, or take that file away for an \
             authority of its own",
            trusted.display()
        );
        return Err(named(&key, why));
    }
    Ok(())
}

fn opened(path: &Path) -> Result<Metadata, CliError> {
    let open = || -> io::Result<Metadata> { File::open(path)?.metadata() };
    open().map_err(|error| named(path, error))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn text(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn the_authority_s_key_is_kept_apart_from_what_nodes_read() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, own) = (folder.path().join("certs"), folder.path().join("ca"));
        authority(&dir, None).unwrap();
        let (key, pem) = (text(&dir, CA_KEY), text(&dir, CA));
        // An installation that had it in one folder goes on with its authority.
        let (_, said) = authority(&dir, Some(&own)).unwrap();
        assert!(said.starts_with("moved "), "{said}");
        assert!(!dir.join(CA_KEY).exists());
        assert_eq!((text(&own, CA_KEY), text(&own, CA), text(&dir, CA)), (key, pem.clone(), pem));
        let (_, said) = authority(&dir, Some(&own)).unwrap();
        assert!(said.lines().all(|line| line.starts_with("kept ")), "{said}");
        // A new one makes the same from nothing.
        let new = folder.path().join("new");
        authority(&new, Some(&new.join("ca"))).unwrap();
        assert!(new.join(CA).exists() && !new.join(CA_KEY).exists());
    }

    #[test]
    fn a_key_stays_where_both_paths_lead_to_the_same_folder_or_file() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("certs");
        authority(&dir, None).unwrap();
        let key = text(&dir, CA_KEY);
        let link = folder.path().join("link");
        symlink(&dir, &link).unwrap();
        for same in [link.clone(), dir.join("../certs"), dir.join("."), dir.clone()] {
            let (_, said) = authority(&dir, Some(&same)).unwrap();
            assert!(said.lines().all(|line| line.starts_with("kept ")), "{said}");
            authority(&same, Some(&dir)).unwrap();
            assert_eq!(text(&dir, CA_KEY), key, "{}", same.display());
        }
        let own = folder.path().join("ca");
        fs::create_dir(&own).unwrap();
        let joins: [fn(&Path, &Path) -> io::Result<()>; 2] =
            [|from, to| symlink(from, to), |from, to| fs::hard_link(from, to)];
        for join in joins {
            join(&dir.join(CA_KEY), &own.join(CA_KEY)).unwrap();
            let refused = authority(&dir, Some(&own)).map(drop).unwrap_err();
            assert!(refused.message.contains("is the same file as"), "{}", refused.message);
            assert_eq!(text(&dir, CA_KEY), key);
            fs::remove_file(own.join(CA_KEY)).unwrap();
        }
    }

    #[test]
    fn no_new_authority_is_made_beside_one_that_nodes_trust() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, own) = (folder.path().join("certs"), folder.path().join("ca"));
        authority(&dir, Some(&own)).unwrap();
        let kept = folder.path().join("kept");
        fs::rename(&own, &kept).unwrap();
        let refused = authority(&dir, Some(&own)).map(drop).unwrap_err();
        assert!(refused.message.contains("ca.key: is missing"), "{}", refused.message);
        assert!(fs::read_dir(&own).unwrap().next().is_none(), "something was made");
        fs::remove_dir(&own).unwrap();
        fs::rename(&kept, &own).unwrap();
        authority(&dir, Some(&own)).unwrap();
    }
}
