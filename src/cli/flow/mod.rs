//! `kiki flow`: bidding tried out, with a server and without one.

mod exchange;
mod reconcile;
mod report;
mod simulate;

use std::time::Duration;

use clap::{Args, Subcommand};

use super::exit::{self, CliResult};

/// Try out bidding: pacing on logs, and a simulated exchange that sends auctions to a bidder
///
/// simulate replays a log of auctions through the rules of pacing and pricing, and needs no server.
/// exchange plays an exchange against a running bidder, and writes down what it bills. reconcile compares
/// that bill with the ledger, and books what is missing.
#[derive(Debug, Args)]
pub struct FlowCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Simulate(simulate::SimulateArgs),
    Exchange(exchange::ExchangeArgs),
    Reconcile(reconcile::ReconcileArgs),
}

/// Runs the command.
pub fn run(command: FlowCommand) -> CliResult {
    match command.command {
        Action::Simulate(args) => simulate::run(args),
        Action::Exchange(args) => exit::block_on(exchange::run(args))?,
        Action::Reconcile(args) => exit::block_on(reconcile::run(args))?,
    }
}

/// `250ms`, `60s`, `5m`, `24h` or plain seconds; at most a year.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "expected a time such as 250ms, 60s, 5m or 24h".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let ms = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    let time = number.checked_mul(ms).map(Duration::from_millis);
    time.filter(|time| *time <= Duration::from_secs(365 * 86_400)).ok_or_else(bad)
}

/// A part of one.
fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a part of one, such as 0.05".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_are_read_within_their_bounds() {
        let ms = |text| duration(text).map(|time| time.as_millis());
        assert_eq!((ms("250ms"), ms("2"), ms("5m")), (Ok(250), Ok(2_000), Ok(300_000)));
        assert_eq!(ms("24h"), Ok(86_400_000));
        for bad in ["", "s", "1d", "-1s", "1.5s", "99999999999999999999", "9999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!((share("0"), share("1"), share("0.05")), (Ok(0.0), Ok(1.0), Ok(0.05)));
        for bad in ["", "-0.1", "1.1", "nan", "inf"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
