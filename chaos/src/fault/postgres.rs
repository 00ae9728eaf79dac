//! PostgreSQL that stops, stands still, or ends its connections.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::Left;
use super::repeat::Repeat;
use super::{process, system};
use crate::experiment::fault::Fault;
use crate::lab::{Lab, ProcessId};

pub const NAME: &str = "db";
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Postgres;

impl Family for Postgres {
    fn kinds(&self) -> &'static [&'static str] {
        &["postgres_stop", "postgres_restart", "postgres_pause", "postgres_kill_connections"]
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            let names = vec![NAME.to_owned()];
            let ids = process::ids(order, &names)?;
            let left = match &order.fault {
                Fault::PostgresPause {} => vec![Left::Stopped { ids: with_children(&ids) }],
                // Whoever lost a connection makes another one.
                Fault::PostgresKillConnections { .. } => Vec::new(),
                _ => vec![Left::Dead { name: NAME.to_owned() }],
            };
            Ok(Prepared { target: NAME.to_owned(), way: "signal".into(), struck: names, left })
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            let lab = order.ground.lab(order.fault.kind())?;
            match &order.fault {
                Fault::PostgresPause {} => pause(at).await?,
                Fault::PostgresKillConnections { every } => {
                    let at = at.clone();
                    at.clone().site.repeat(Repeat::every((*every).into(), move || {
                        let at = at.clone();
                        async move {
                            match end_connections(&at) {
                                Ok(ended) => at.site.struck(ended),
                                Err(error) => at.trouble(error),
                            }
                        }
                    }));
                }
                Fault::PostgresRestart {} => {
                    lab.restart(NAME).await?;
                    at.site.struck(1);
                }
                _ => {
                    lab.stop(NAME).await?;
                    at.site.struck(1);
                }
            }
            Ok(())
        })
    }
}

fn with_children(ids: &[ProcessId]) -> Vec<ProcessId> {
    ids.iter().flat_map(|id| [*id].into_iter().chain(system::children(*id))).collect()
}

/// First who starts the others, so that no more come, and then all that there are.
async fn pause(at: &At) -> FaultResult<()> {
    let first = process::recorded(at).first().copied();
    let first = first.ok_or_else(|| FaultError::Bad("PostgreSQL does not run".to_owned()))?;
    process::stop(&[first]).await?;
    let all = with_children(&[first]);
    at.site.leaves(|left| *left = vec![Left::Stopped { ids: all.clone() }])?;
    process::stop(&all).await?;
    at.site.struck(all.len() as u64);
    Ok(())
}

/// Whether PostgreSQL lets people in. Its own file says so, too, while it is about to end over a failure, so that it is
/// asked: it wants a password from whoever may come in, and says to others why they may not.
///
/// # Errors
/// On loopback: there is no port left for a proxy.
pub async fn answers(lab: &Lab) -> FaultResult<bool> {
    let url = lab.database()?;
    let address = url.split_once('@').and_then(|(_, rest)| rest.split_once('/'));
    let address = address.map(|(address, _)| address.to_owned()).unwrap_or_default();
    let asked = async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(&hello("kiki", "postgres")).await?;
        stream.read_u8().await
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    Ok(matches!(answer, Ok(Ok(b'R'))))
}

/// The first message of a client: its length, the version 3.0 of the protocol, and who comes.
fn hello(user: &str, database: &str) -> Vec<u8> {
    let names = format!("user\0{user}\0database\0{database}\0\0");
    let length = u32::try_from(names.len() + 8).unwrap_or_default();
    [&length.to_be_bytes()[..], &[0, 3, 0, 0], names.as_bytes()].concat()
}

/// As `pg_terminate_backend` does it. It asks nobody for a connection, so that it is done whatever else is wrong.
fn end_connections(at: &At) -> FaultResult<u64> {
    let kind = at.site.order.fault.kind();
    let lab = at.ground().lab(kind)?;
    let server = at.ground().process(kind, NAME)?;
    let backends = system::children(server.id).into_iter().filter(|id| is_of_a_node(*id, lab));
    let backends: Vec<ProcessId> = backends.collect();
    process::signal(&backends, Signal::TERM)?;
    Ok(backends.len() as u64)
}

fn is_of_a_node(id: ProcessId, lab: &Lab) -> bool {
    // One that is over serves nobody.
    let title = fs::read_to_string(format!("/proc/{}/cmdline", id.pid)).unwrap_or_default();
    let client = client(&title);
    client.is_some_and(|client| {
        lab.nodes().iter().any(|node| lab.network().bind(node.host).to_string() == client)
    })
}

/// Whom a process of PostgreSQL serves: "postgres: kiki postgres 198.18.0.11(40022) idle".
fn client(title: &str) -> Option<&str> {
    let words = title.strip_prefix("postgres: ")?.split(' ');
    words
        .filter_map(|word| word.trim_end_matches('\0').strip_suffix(')')?.split_once('('))
        .find_map(|(host, port)| port.parse::<u16>().is_ok().then_some(host))
}

#[cfg(test)]
mod tests {
    use super::{client, hello};

    #[test]
    fn only_processes_that_serve_somebody_have_a_client() {
        let title = "postgres: kiki postgres 198.18.0.11(40022) idle in transaction\0\0";
        assert_eq!(client(title), Some("198.18.0.11"));
        assert_eq!(client("postgres: kiki postgres 127.0.0.1(1)"), Some("127.0.0.1"));
        for other in ["postgres: checkpointer ", "postgres: walwriter", "sh -c a(1)", ""] {
            assert_eq!(client(other), None, "{other}");
        }
    }

    #[test]
    fn a_client_says_who_it_is() {
        let said = hello("a", "b");
        assert_eq!(said, b"\0\0\0\x1b\0\x03\0\0user\0a\0database\0b\0\0");
    }
}
