//! `kiki cluster certs`: certificates with which nodes prove themselves to each other.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rcgen::KeyPair;
use rustls::pki_types::ServerName;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::super::exit::{CliError, CliResult, block_on};
use super::super::files::named;
use super::authority::{self, Authority, CA, CA_KEY};
use super::private;
use crate::actors::shield::view::rfc3339;
use crate::models::cluster::node::is_node_name;

/// How often it is looked whether a certificate ends soon.
const LOOK: Duration = Duration::from_secs(3_600);
const DAY_US: i64 = 86_400_000_000;

/// Make a certificate authority and the certificates of nodes
///
/// For development and for closed networks: whoever has DIR/ca.key can make a node of the cluster.
/// Keep it where no node runs. Makes the authority (ca.pem, ca.key, good for ten years) unless it is
/// there, then NAME.pem and NAME.key for every --node, all readable by their owner alone. A
/// certificate that is there stays as it is, unless --renew is given: then the node's key and the
/// authority stay, and the certificate is made anew. A running node reads it by itself. With
/// --authority the authority and its key are kept in a folder of their own, and DIR has what nodes
/// need. With --stay it looks every hour, and renews what has less than a third of --days left.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki cluster certs --dir certs --node node-1 --node node-2 --node node-3\n  kiki cluster certs --dir certs --node node-1=kiki-1.internal,10.0.0.5 --days 90\n  kiki cluster certs --dir certs --node node-1 --renew\n  kiki cluster certs --dir certs --authority ca --node node-1 --node node-2 --days 90 --stay"
)]
pub struct CertsArgs {
    /// The folder of the certificates, and of the authority; it is made where there is none
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// The folder of the authority and its key, where that is another one; a key that is in --dir is moved there
    #[arg(long, value_name = "DIR")]
    authority: Option<PathBuf>,

    /// A node's name, alone or with the hosts that the certificate names too, as in node-1=kiki-1,10.0.0.5 (repeatable)
    #[arg(long = "node", value_name = "NAME", value_parser = NodeNames::parse)]
    nodes: Vec<NodeNames>,

    /// Days that certificates of nodes are good
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,

    /// Make certificates anew that are there already, for the hosts that are named now
    #[arg(long)]
    renew: bool,

    /// Do not end: look every hour, and renew what has less than a third of its days left
    #[arg(long)]
    stay: bool,
}

/// The names in one node's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeNames {
    pub name: String,
    pub hosts: Vec<String>,
}

impl NodeNames {
    fn parse(text: &str) -> Result<NodeNames, String> {
        let (name, hosts) = text.split_once('=').unwrap_or((text, ""));
        if !is_node_name(name) {
            return Err(
                "expected a name of 1 to 63 of a-z, 0-9 and \"-\", which is neither first nor last"
                    .to_owned(),
            );
        }
        if name == "ca" {
            return Err("ca.pem is the authority's: call the node something else".to_owned());
        }
        let hosts: Vec<String> = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect();
        match hosts.iter().find(|host| ServerName::try_from(host.as_str()).is_err()) {
            Some(host) => Err(format!("{host}: expected the name or the address of a host")),
            None => Ok(NodeNames { name: name.to_owned(), hosts }),
        }
    }
}

/// What became of one node's files.
struct Issued {
    cert_file: PathBuf,
    key_file: PathBuf,
    /// Whether the certificate is new, and whether the key is.
    is_new: bool,
    is_new_key: bool,
    ends_us: i64,
}

/// Runs the command.
pub fn run(args: &CertsArgs) -> CliResult {
    let said = make(args)?;
    io::stdout().write_all(said.as_bytes())?;
    match args.stay {
        true => block_on(stay(args))?,
        false => Ok(()),
    }
}

/// Makes what is not there, and says what was written.
fn make(args: &CertsArgs) -> Result<String, CliError> {
    let dir = std::path::absolute(&args.dir).map_err(|error| named(&args.dir, error))?;
    folder(&dir)?;
    let (authority, mut out) = authority(args, &dir)?;
    let ca_file = dir.join(CA);
    let mut lines = String::new();
    for node in &args.nodes {
        let issued = issue(&authority, &dir, node, args.days, args.renew)?;
        out += &told(&issued);
        lines += &format!("\nThe configuration of {}:\n", node.name);
        lines += &settings(&ca_file, node, &issued);
    }
    Ok(out + &lines)
}

/// What was written, and what was not.
fn told(issued: &Issued) -> String {
    let (cert, key) = (issued.cert_file.display(), issued.key_file.display());
    let until = rfc3339(issued.ends_us);
    match (issued.is_new, issued.is_new_key) {
        (true, true) => format!("wrote {cert} and {key}: good until {until}\n"),
        (true, false) => format!("wrote {cert}, kept {key}: good until {until}\n"),
        (false, _) => format!("kept {cert}: good until {until} (--renew makes a new one)\n"),
    }
}

/// The authority, with its certificate in the folder of nodes too, and what was written of it.
fn authority(args: &CertsArgs, dir: &Path) -> Result<(Authority, String), CliError> {
    let mut out = String::new();
    let own = match &args.authority {
        Some(own) => std::path::absolute(own).map_err(|error| named(own, error))?,
        None => dir.to_owned(),
    };
    if own != dir {
        folder(&own)?;
        out += &move_apart(dir, &own)?;
    }
    let authority = Authority::open_or_make(&own)?;
    let (ca, key) = (authority.ca_file.display(), authority.key_file.display());
    out += &match (authority.is_new, authority.is_new_key) {
        (true, true) => format!("wrote {ca} and {key}: an authority of its own\n"),
        (true, false) => format!("wrote {ca}, kept {key}\n"),
        (false, _) => format!("kept {ca}\n"),
    };
    if own != dir {
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
    fs::remove_file(&from).map_err(|error| named(&from, error))?;
    Ok(format!("moved {} to {}\n", from.display(), to.display()))
}

/// Renews what ends soon, until it is told to stop.
async fn stay(args: &CertsArgs) -> CliResult {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        match renew_soon(args) {
            Ok(said) => io::stdout().write_all(said.as_bytes())?,
            // There is a third of their time left to mend it.
            Err(error) => writeln!(io::stderr(), "{}", error.message)?,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

/// Makes those certificates anew that have less than a third of their days left, and says which.
fn renew_soon(args: &CertsArgs) -> Result<String, CliError> {
    let dir = std::path::absolute(&args.dir).map_err(|error| named(&args.dir, error))?;
    let (authority, _) = authority(args, &dir)?;
    let soon_us = crate::clock::wall_us().saturating_add(i64::from(args.days) * DAY_US / 3);
    let mut said = String::new();
    for node in &args.nodes {
        let issued = issue(&authority, &dir, node, args.days, false)?;
        let issued = match issued.ends_us < soon_us {
            true => issue(&authority, &dir, node, args.days, true)?,
            false => issued,
        };
        if issued.is_new {
            said += &told(&issued);
        }
    }
    Ok(said)
}

/// The certificates of these nodes, made where they are not there or where less than a month of them is left.
pub fn provide(dir: &Path, names: &[String], days: u16) -> Result<(), CliError> {
    const SOON_US: i64 = 30 * DAY_US;
    folder(dir)?;
    let authority = Authority::open_or_make(dir)?;
    for name in names {
        let node = NodeNames { name: name.clone(), hosts: Vec::new() };
        let issued = issue(&authority, dir, &node, days, false)?;
        if issued.ends_us < crate::clock::wall_us().saturating_add(SOON_US) {
            issue(&authority, dir, &node, days, true)?;
        }
    }
    Ok(())
}

fn folder(dir: &Path) -> Result<(), CliError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| named(dir, error))
}

/// Makes a node's certificate, unless it is there and is to stay.
fn issue(
    authority: &Authority,
    dir: &Path,
    node: &NodeNames,
    days: u16,
    renew: bool,
) -> Result<Issued, CliError> {
    let cert_file = dir.join(format!("{}.pem", node.name));
    let key_file = dir.join(format!("{}.key", node.name));
    let ends =
        |pem: &str| authority::ends_us(pem).ok_or_else(|| named(&cert_file, "is no certificate"));
    let own = private::read(&key_file)?;
    let there = private::read(&cert_file)?;
    if let Some(pem) = there.as_ref().filter(|_| !renew) {
        if own.is_none() {
            return Err(named(&key_file, "is missing: --renew makes it and its certificate"));
        }
        let ends_us = ends(pem)?;
        return Ok(Issued { cert_file, key_file, is_new: false, is_new_key: false, ends_us });
    }
    // One file changes and not two: whoever reads them meanwhile has a pair that fits.
    let (key, is_new_key) = match own {
        Some(text) => (KeyPair::from_pem(&text).map_err(|e| named(&key_file, e))?, false),
        None => (KeyPair::generate().map_err(CliError::failed)?, true),
    };
    let pem = authority.issue(&node.name, &node.hosts, &key, days)?;
    if is_new_key {
        private::put_new(&key_file, &Zeroizing::new(key.serialize_pem()))?;
    }
    match there.is_some() {
        true => private::put(&cert_file, &pem)?,
        false => private::put_new(&cert_file, &pem)?,
    }
    let ends_us = ends(&pem)?;
    Ok(Issued { cert_file, key_file, is_new: true, is_new_key, ends_us })
}

/// The lines of a configuration that use these files.
fn settings(ca_file: &Path, node: &NodeNames, issued: &Issued) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let path = |path: &Path| quoted(&path.to_string_lossy());
    format!(
        "[cluster]\nnode = {}\nca_file = {}\ncert_file = {}\nkey_file = {}\n",
        quoted(&node.name),
        path(ca_file),
        path(&issued.cert_file),
        path(&issued.key_file)
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::api::tls::x509;

    fn args(dir: &Path, nodes: &[&str], renew: bool) -> CertsArgs {
        let nodes = nodes.iter().map(|text| NodeNames::parse(text).unwrap()).collect();
        CertsArgs { dir: dir.to_owned(), authority: None, nodes, days: 30, renew, stay: false }
    }

    fn text(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn names_of_nodes_are_read_with_their_hosts() {
        let read = NodeNames::parse("node-1=kiki-1.internal, 10.0.0.5,::1").unwrap();
        assert_eq!(read.name, "node-1");
        assert_eq!(read.hosts, ["kiki-1.internal", "10.0.0.5", "::1"]);
        assert_eq!(NodeNames::parse("b").unwrap().hosts, Vec::<String>::new());
        for bad in ["", "-a", "Node", "a.b", "../a", "ca", "a=b/c", "a=b c", "=b"] {
            assert!(NodeNames::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn certificates_name_their_node_and_are_never_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("certs");
        run(&args(&dir, &["node-1=kiki-1", "node-2"], false)).unwrap();
        for name in ["ca.pem", "ca.key", "node-1.pem", "node-1.key", "node-2.pem", "node-2.key"] {
            let mode = std::fs::metadata(dir.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let first = text(&dir, "node-1.pem");
        let der = CertificateDer::from_pem_slice(first.as_bytes()).unwrap();
        let facts = x509::read(&der).unwrap();
        assert_eq!(facts.common_name.as_deref(), Some("node-1"));
        assert_eq!(facts.dns_names, ["node-1", "kiki-1"]);
        let days = (facts.not_after_us - crate::clock::wall_us()) / 86_400_000_000;
        assert!((29..=30).contains(&days), "{days}");

        let (ca, key) = (text(&dir, "ca.pem"), text(&dir, "node-1.key"));
        run(&args(&dir, &["node-1", "node-3"], false)).unwrap();
        assert_eq!(text(&dir, "node-1.pem"), first);
        run(&args(&dir, &["node-1"], true)).unwrap();
        assert_ne!(text(&dir, "node-1.pem"), first);
        assert_eq!((text(&dir, "ca.pem"), text(&dir, "node-1.key")), (ca, key));
    }

    #[test]
    fn the_authority_s_key_is_kept_apart_from_what_nodes_read() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, own) = (folder.path().join("certs"), folder.path().join("ca"));
        run(&args(&dir, &["a"], false)).unwrap();
        let (key, first) = (text(&dir, CA_KEY), text(&dir, "a.pem"));
        // An installation that had it in one folder goes on with its authority.
        let apart = CertsArgs { authority: Some(own.clone()), ..args(&dir, &["a", "b"], false) };
        let said = make(&apart).unwrap();
        assert!(said.starts_with("moved "), "{said}");
        assert!(!dir.join(CA_KEY).exists());
        assert_eq!((text(&own, CA_KEY), text(&own, CA)), (key, text(&dir, CA)));
        assert_eq!(text(&dir, "a.pem"), first);
        let said = make(&apart).unwrap();
        assert!(said.lines().take(3).all(|line| line.starts_with("kept ")), "{said}");
        // A new one makes the same from nothing.
        let new = folder.path().join("new");
        let new = CertsArgs { dir: new.clone(), authority: Some(new.join("ca")), ..apart };
        make(&new).unwrap();
        assert!(new.dir.join(CA).exists() && !new.dir.join(CA_KEY).exists());
    }

    #[test]
    fn what_ends_soon_is_renewed_with_the_key_that_it_has_and_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        make(&args(dir, &["a"], false)).unwrap();
        let (first, key) = (text(dir, "a.pem"), text(dir, "a.key"));
        assert_eq!(renew_soon(&args(dir, &["a"], false)).unwrap(), "");
        // 30 days are less than a third of 100.
        let longer = CertsArgs { days: 100, ..args(dir, &["a"], false) };
        let said = renew_soon(&longer).unwrap();
        assert!(said.starts_with("wrote ") && said.contains("a.pem, kept "), "{said}");
        assert_eq!(text(dir, "a.key"), key);
        assert_ne!(text(dir, "a.pem"), first);
        assert_eq!(renew_soon(&longer).unwrap(), "");
    }

    #[test]
    fn a_certificate_without_its_key_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        run(&args(dir, &["a"], false)).unwrap();
        std::fs::remove_file(dir.join("a.key")).unwrap();
        let refused = run(&args(dir, &["a"], false)).unwrap_err();
        assert!(refused.message.contains("a.key: is missing"), "{}", refused.message);
        run(&args(dir, &["a"], true)).unwrap();
        run(&args(dir, &["a"], false)).unwrap();
    }

    #[test]
    fn the_printed_lines_are_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let authority = Authority::open_or_make(dir).unwrap();
        let node = NodeNames::parse("node-1").unwrap();
        let issued = issue(&authority, dir, &node, 30, false).unwrap();
        let file = dir.join("kiki.toml");
        let database = "[store]\ndatabase_url = \"postgres://kiki@localhost/kiki\"\n";
        std::fs::write(&file, settings(&authority.ca_file, &node, &issued) + database).unwrap();
        let loaded = crate::config::Loader::new().file(Some(&file)).load().unwrap();
        assert_eq!(loaded.config.cluster.node, "node-1");
        assert_eq!(loaded.config.cluster.cert_file, dir.join("node-1.pem"));
    }
}
