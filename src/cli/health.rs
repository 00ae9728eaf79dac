//! `kiki health`: whether a node is alive, for whoever watches over it.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::exit::{CliError, CliResult};
use super::server_args::ServerArgs;
use super::tls_args::{TlsArgs, cause};
use crate::config::Server;

/// Time for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ask a node whether it is alive, or ready
///
/// Asks GET /health on the node's health port and prints one line. Exit code 0 if it answers, 1 if it
/// does not: the health check of a container that has no curl. A node that answers is alive, whatever
/// it says about its services; with --ready, GET /ready is asked, and 0 is a node that can serve.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki health\n  kiki health --ready --config /etc/kiki/kiki.toml\n  kiki health --url http://10.0.0.5:8080"
)]
pub struct HealthArgs {
    /// The health port's address [default: the configured one]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Ask whether it can serve, not only whether it is alive
    #[arg(long)]
    ready: bool,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    tls: TlsArgs,
}

/// Runs the command.
pub async fn run(args: HealthArgs) -> CliResult {
    let base = args.server.url(args.url.as_deref(), Server::health_addr)?;
    let url = format!("{base}/{}", if args.ready { "ready" } else { "health" });
    let client = args.tls.client(&base)?.timeout(PATIENCE).build().map_err(CliError::failed)?;
    let request = client.get(&url).headers(args.server.headers()?);
    let response = request.send().await;
    let response = response
        .map_err(|error| CliError::failed(format!("{url}: no answer: {}", cause(&error))))?;
    let status = response.status();
    let body = response.bytes().await;
    let body =
        body.map_err(|error| CliError::failed(format!("{url}: no answer: {}", cause(&error))))?;
    let said = words(&body);
    match status.is_success() {
        true => writeln!(io::stdout(), "{url}: {} {said}", status.as_u16())?,
        false => return Err(CliError::failed(format!("{url}: {} {said}", status.as_u16()))),
    }
    Ok(())
}

/// What an answer says, in a word or two.
fn words(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let status = answer["status"].as_str().or_else(|| answer["detail"].as_str());
    let ready = answer["ready"].as_bool().map(|ready| if ready { "ready" } else { "not ready" });
    let said = status.or(ready).unwrap_or("with an answer that is not KIKI's");
    said.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_said_in_a_word() {
        assert_eq!(words(br#"{"status":"degraded","services":{}}"#), "degraded");
        assert_eq!(words(br#"{"ready":false}"#), "not ready");
        assert_eq!(words(br#"{"status":503,"detail":"too\nmuch"}"#), "toomuch");
        assert_eq!(words(b"<html>"), "with an answer that is not KIKI's");
    }
}
