//! `kiki cluster certs`: certificates with which nodes prove themselves to each other.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rcgen::KeyPair;
use rustls::pki_types::ServerName;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::super::exit::{CliError, CliResult, block_on};
use super::super::files::named;
use super::apart::{self, folder};
use super::authority::{self, Authority, CA};
use super::private;
use crate::actors::shield::view::rfc3339;
use crate::models::cluster::node::is_node_name;

/// How often it is looked whether a certificate ends soon.
const LOOK: Duration = Duration::from_secs(3_600);
const DAY_US: i64 = 86_400_000_000;
/// Beside the authority's key: when --stay has last found everything well.
const WELL: &str = "renewed";

/// Make a certificate authority and the certificates of nodes
///
/// For development and for closed networks: whoever has DIR/ca.key can make a node of the cluster.
/// Keep it where no node runs. Makes the authority (ca.pem, ca.key, good for ten years) unless it is
/// there, then NAME.pem and NAME.key for every --node, all readable by their owner alone. A
/// certificate that is there stays as it is, unless --renew is given: then the node's key and the
/// authority stay, and the certificate is made anew. A running node reads it by itself. With
/// --authority the authority and its key are kept in a folder of their own, and DIR has what nodes
/// need. With --stay it looks every hour, and renews what has less than a third of --days left; each
/// time that all is well it writes when into the file "renewed" beside the authority, whose age shows
/// whether renewals work.
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

/// What was said of those that are well, and what is wrong with the others.
#[derive(Debug, Default)]
struct Round {
    said: String,
    wrong: Vec<String>,
}

/// Runs the command.
pub fn run(args: &CertsArgs) -> CliResult {
    if args.stay {
        // What an earlier run has found well says nothing of this one.
        private::remove(&well_file(args))?;
    }
    let Round { said, wrong } = make(args)?;
    io::stdout().write_all(said.as_bytes())?;
    match (args.stay, wrong.is_empty()) {
        (true, _) => {
            complain(&wrong);
            block_on(stay(args))?
        }
        (false, true) => Ok(()),
        (false, false) => Err(CliError::failed(wrong.join("\n"))),
    }
}

/// Makes what is not there. One node's files that are wrong keep no other node from its own.
fn make(args: &CertsArgs) -> Result<Round, CliError> {
    let dir = std::path::absolute(&args.dir).map_err(|error| named(&args.dir, error))?;
    let (authority, mut said) = apart::authority(&dir, args.authority.as_deref())?;
    let ca_file = dir.join(CA);
    let (mut lines, mut wrong) = (String::new(), Vec::new());
    for node in &args.nodes {
        match issue(&authority, &dir, node, args.days, args.renew) {
            Ok(issued) => {
                said += &told(&issued);
                lines += &format!("\nThe configuration of {}:\n", node.name);
                lines += &settings(&ca_file, node, &issued);
            }
            Err(error) => wrong.push(error.message),
        }
    }
    Ok(Round { said: said + &lines, wrong })
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

/// Renews what ends soon, until it is told to stop.
async fn stay(args: &CertsArgs) -> CliResult {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let Round { said, mut wrong } = renew_soon(args)
            .unwrap_or_else(|error| Round { wrong: vec![error.message], ..Round::default() });
        // Certificates are renewed also where nobody reads any more what is said of them.
        let _ = io::stdout().write_all(said.as_bytes());
        if wrong.is_empty()
            && let Err(error) = mark_well(args)
        {
            wrong.push(error.message);
        }
        // There is a third of their time left to mend it.
        complain(&wrong);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

fn complain(wrong: &[String]) {
    for what in wrong {
        // Standard error is where it would be told that this cannot be told.
        let _ = writeln!(io::stderr(), "{what}");
    }
}

/// Says when everything was well, to whoever looks at the file's age.
fn mark_well(args: &CertsArgs) -> Result<(), CliError> {
    private::put(&well_file(args), &format!("{}\n", rfc3339(crate::clock::wall_us())))
}

fn well_file(args: &CertsArgs) -> PathBuf {
    args.authority.as_ref().unwrap_or(&args.dir).join(WELL)
}

/// Makes those certificates anew that have less than a third of their days left, and says which.
fn renew_soon(args: &CertsArgs) -> Result<Round, CliError> {
    let dir = std::path::absolute(&args.dir).map_err(|error| named(&args.dir, error))?;
    let (authority, _) = apart::authority(&dir, args.authority.as_deref())?;
    let soon_us = crate::clock::wall_us().saturating_add(i64::from(args.days) * DAY_US / 3);
    let mut round = Round::default();
    for node in &args.nodes {
        match issue_before(&authority, &dir, node, args.days, soon_us) {
            Ok(issued) if issued.is_new => round.said += &told(&issued),
            Ok(_) => {}
            Err(error) => round.wrong.push(error.message),
        }
    }
    Ok(round)
}

/// A node's certificate, made where there is none or where its end comes sooner than that.
fn issue_before(
    authority: &Authority,
    dir: &Path,
    node: &NodeNames,
    days: u16,
    soon_us: i64,
) -> Result<Issued, CliError> {
    let issued = issue(authority, dir, node, days, false)?;
    match issued.ends_us < soon_us {
        true => issue(authority, dir, node, days, true),
        false => Ok(issued),
    }
}

/// The certificates of these nodes, made where they are not there or where less than a month of them is left.
pub fn provide(dir: &Path, names: &[String], days: u16) -> Result<(), CliError> {
    const SOON_US: i64 = 30 * DAY_US;
    folder(dir)?;
    let authority = Authority::open_or_make(dir)?;
    let soon_us = crate::clock::wall_us().saturating_add(SOON_US);
    for name in names {
        let node = NodeNames { name: name.clone(), hosts: Vec::new() };
        issue_before(&authority, dir, &node, days, soon_us)?;
    }
    Ok(())
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
        true => private::renew(&cert_file, &pem)?,
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
    fn what_ends_soon_is_renewed_with_the_key_that_it_has_and_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        make(&args(dir, &["a"], false)).unwrap();
        let (first, key) = (text(dir, "a.pem"), text(dir, "a.key"));
        assert_eq!(renew_soon(&args(dir, &["a"], false)).unwrap().said, "");
        // 30 days are less than a third of 100.
        let longer = CertsArgs { days: 100, ..args(dir, &["a"], false) };
        let Round { said, .. } = renew_soon(&longer).unwrap();
        assert!(said.starts_with("wrote ") && said.contains("a.pem, kept "), "{said}");
        assert_eq!(text(dir, "a.key"), key);
        assert_ne!(text(dir, "a.pem"), first);
        assert_eq!(renew_soon(&longer).unwrap().said, "");
    }

    #[test]
    fn what_is_wrong_with_one_node_keeps_no_other_from_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        std::fs::write(dir.join("a.pem"), "garbage").unwrap();
        let nodes = args(dir, &["a", "b"], false);
        let said = run(&nodes).unwrap_err().message;
        assert!(said.contains("a.key: is missing") && !said.contains("b."), "{said}");
        let first = text(dir, "b.pem");
        let longer = CertsArgs { days: 100, ..nodes };
        let round = renew_soon(&longer).unwrap();
        assert!(round.said.contains("b.pem, kept "), "{}", round.said);
        assert!(round.wrong.len() == 1 && round.wrong[0].contains("a.key"), "{:?}", round.wrong);
        assert_ne!(text(dir, "b.pem"), first);
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
