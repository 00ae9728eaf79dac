//! `kiki admin events`.

use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::Value;

use super::super::exit::{CliError, CliResult};
use super::client::Admin;
use super::print::{fields, out, time, word};

/// The longest line of the stream, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Follow what happens: restarts, breakers, faults, readiness
///
/// Prints an event a line as it happens, until Ctrl-C. A connection that is lost is made again.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki admin events\n  kiki admin events --count 10 --json"
)]
pub struct EventsArgs {
    /// Stop after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// Runs the command.
pub async fn run(admin: &Admin, args: &EventsArgs) -> CliResult {
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut follower = Follower { admin, last: None };
    tokio::select! {
        result = follower.follow(&mut left) => result,
        Ok(()) = tokio::signal::ctrl_c() => Ok(()),
    }
}

struct Follower<'a> {
    admin: &'a Admin,
    /// The id of the event that was printed last, to go on behind it.
    last: Option<String>,
}

impl Follower<'_> {
    async fn follow(&mut self, left: &mut u64) -> CliResult {
        let mut connected = false;
        while *left > 0 {
            match self.stream(left, &mut connected).await {
                Ok(()) if *left == 0 => break,
                // The first connection tells whether there is a server at all.
                Err(error) if !connected => return Err(error),
                Ok(()) | Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
        Ok(())
    }

    /// Prints events until the connection ends.
    async fn stream(&mut self, left: &mut u64, connected: &mut bool) -> CliResult {
        let mut request = self.admin.request(Method::GET, "/events", &[]);
        request = request.header("accept", "text/event-stream");
        if let Some(last) = &self.last {
            request = request.header("last-event-id", last);
        }
        let response = self.admin.send(request).await?;
        *connected = true;
        let mut bytes = response.bytes_stream();
        let (mut buffer, mut data) = (Vec::new(), String::new());
        while let Some(chunk) = bytes.next().await {
            buffer.extend_from_slice(&chunk.map_err(CliError::failed)?);
            while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches(['\n', '\r']);
                if line.is_empty() && !data.is_empty() {
                    self.show(&std::mem::take(&mut data))?;
                    *left -= 1;
                    if *left == 0 {
                        return Ok(());
                    }
                } else if let Some(value) = line.strip_prefix("data:") {
                    data.push_str(value.strip_prefix(' ').unwrap_or(value));
                } else if let Some(id) = line.strip_prefix("id:") {
                    self.last = Some(id.trim().to_owned());
                }
            }
            if buffer.len() + data.len() > LINE_BYTES_MAX {
                return Err(CliError::failed("an event is larger than 1 MiB"));
            }
        }
        Ok(())
    }

    fn show(&self, data: &str) -> CliResult {
        let event: Value = match serde_json::from_str(data) {
            Ok(event) if !self.admin.json => event,
            _ => return out(&format!("{data}\n")),
        };
        let rest = fields(&event, &["seq", "at_us", "event"]);
        out(&format!("{}  {:<12}  {rest}\n", time(&event["at_us"]), word(&event["event"])))
    }
}
