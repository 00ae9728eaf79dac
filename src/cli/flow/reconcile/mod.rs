//! `kiki flow reconcile`: the exchange's bill against the ledger.

mod compare;
mod notices;
mod own;
mod shield;
mod shown;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::super::exit::{CliError, CliResult};
use super::super::files;
use super::super::server_args::ServerArgs;
use super::super::tls_args::TlsArgs;
use super::duration;
use super::report::Bill;
use crate::actors::shield::is_name;
use crate::models::shield::entry::Op;
use crate::models::shield::money::Micros;
use compare::{
    Billed, Book, Comparison, Difference, Impressions, Ledger, Times, Why, compare, impressions,
};
use notices::Heard;
use shield::{Owed, Shield};
use shown::{Done, Shown};

/// How often the ledger is read again while bookings are awaited.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Holds that the server is asked about: what is shown of differences.
const ASKED_MAX: usize = 200;

/// Compare an exchange's bill with the ledger, and book what is missing
///
/// Reads the bill that kiki flow exchange --report wrote and the ledgers of its campaigns, and compares each
/// impression to the micro. What is billed and not booked is booked by calling the notice that did not
/// arrive; where that is refused or the bill has no address, as a spend for its hold. The notice, the end of
/// the hold and the spend are one booking, whichever comes first, and however often this is run. What is
/// booked otherwise than billed is shown, and corrected with --correct. What was sold in another currency than
/// its campaign's is compared in the campaign's, at the rate of the bid. The addresses of notices say which
/// account an impression belongs to. What was booked first before a bill began or after it ended, and is on none,
/// is of other runs: it is counted, and no difference.
///
/// Exits with 0 where the ledger is equal to the bill at the end, with 3 where it is not.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki flow reconcile --report bill.jsonl\n  kiki flow reconcile --report bill.jsonl --dry-run --json\n  kiki flow reconcile --report monday.jsonl --report tuesday.jsonl"
)]
pub struct ReconcileArgs {
    /// A bill, packed with gzip or not; may be given several times
    #[arg(long = "report", value_name = "FILE", required = true)]
    reports: Vec<PathBuf>,

    /// SyncShield's address [default: the configured one, http://127.0.0.1:8081]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Compare the impressions of this account alone, and take those for its own that do not say whose they
    /// are [default: all accounts, and the server's default account]
    #[arg(long, value_name = "ID")]
    account: Option<String>,

    /// Book nothing, only compare
    #[arg(long)]
    dry_run: bool,

    /// Book the difference where the ledger has another price, or the notice was answered and nothing
    /// booked
    #[arg(long, conflicts_with = "dry_run")]
    correct: bool,

    /// The campaigns buy elsewhere, too: bookings that are not on the bill are no differences
    #[arg(long)]
    others: bool,

    /// How long bookings of answered notices are awaited
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait: Duration,

    /// How long a call is tried again while the server is busy or away
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    give_up_after: Duration,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    tls: TlsArgs,
}

/// The bills together.
struct Bills {
    impressions: Impressions,
    times: Times,
    /// All end with their sums.
    whole: bool,
}

fn read(paths: &[PathBuf], account: Option<&str>) -> Result<Bills, CliError> {
    let (mut sold, mut times, mut whole) = (Vec::new(), Times::default(), true);
    for path in paths {
        let bill = Bill::read(BufReader::new(files::open(path)?));
        let bill = bill.map_err(|error| files::named(path, error))?;
        times.add(bill.began.at_us, bill.ended.as_ref().map(|ended| ended.at_us));
        whole &= bill.ended.is_some();
        sold.extend(bill.sold);
    }
    let impressions = impressions(sold.into_iter(), account)
        .map_err(|hold| CliError::usage(format!("hold {hold} is billed twice")))?;
    for Billed { book, .. } in &impressions.billed {
        if !is_name(&book.campaign) {
            return Err(CliError::failed(format!("{:?} is no name of a campaign", book.campaign)));
        }
        if let Some(odd) = book.account.as_ref().filter(|name| !is_name(name)) {
            return Err(CliError::failed(format!("{odd:?} is no name of an account")));
        }
    }
    Ok(Bills { impressions, times, whole })
}

/// The ledgers of the bills' campaigns, read as far as they were when last looked at.
struct Books {
    shield: Shield,
    read_to: BTreeMap<Book, i64>,
    ledgers: BTreeMap<Book, Ledger>,
}

impl Books {
    async fn look(&mut self, bills: &Bills, others: bool) -> Result<Comparison, CliError> {
        for (book, after) in &mut self.read_to {
            let ledger = self.ledgers.entry(book.clone()).or_default();
            *after = self.shield.read(book, *after, ledger).await?;
        }
        Ok(compare(&bills.impressions, &self.ledgers, &bills.times, others))
    }
}

/// Runs the command.
pub async fn run(args: ReconcileArgs) -> CliResult {
    if let Some(name) = args.account.as_ref().filter(|name| !is_name(name)) {
        return Err(CliError::usage(format!("--account {name:?} is no name of an account")));
    }
    let base = args.server.url(args.url.as_deref(), |server| server.shield_addr())?;
    let bills = read(&args.reports, args.account.as_deref())?;
    let billed = &bills.impressions.billed;
    if bills.impressions.of_others > 0 {
        let others = bills.impressions.of_others;
        say(&format!("impressions of other accounts, which are left out: {others}"));
    }
    if !bills.whole {
        say("the bill was cut off: what follows is true of its part only");
    }
    let builder = args.tls.client(&base)?.connect_timeout(Duration::from_secs(5));
    let client = builder.default_headers(args.server.headers()?).build();
    // No key of ours goes to addresses that are in a file.
    let caller = args.tls.client(&base)?.connect_timeout(Duration::from_secs(5)).build();
    let shield = Shield {
        client: client.map_err(CliError::failed)?,
        base,
        give_up_after: args.give_up_after,
    };
    let names: BTreeSet<&Book> = billed.iter().map(|one| &one.book).collect();
    let read_to = names.into_iter().map(|book| (book.clone(), 0)).collect();
    let mut books = Books { shield, read_to, ledgers: BTreeMap::new() };
    let mut found = books.look(&bills, args.others).await?;
    let mut done = Done::default();
    if !args.dry_run && !found.differences.is_empty() {
        let caller = caller.map_err(CliError::failed)?;
        found = book(&args, &bills, &mut books, found, &caller, &mut done).await?;
    }
    for difference in found.differences.iter_mut().take(ASKED_MAX) {
        if let (true, Some(hold)) = (difference.state.is_none(), Op::from_hex(&difference.hold)) {
            difference.state = Some(books.shield.hold(&difference.book(), hold).await?);
        }
    }
    let shown = Shown::of(&found, done, bills.whole);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&shown).map_err(CliError::failed)?)?;
    } else {
        write!(out, "{}", shown.table())?;
    }
    match found.differences.len() {
        0 => Ok(()),
        1 => Err(CliError::found("the ledger differs from the bill in 1 impression")),
        many => {
            Err(CliError::found(format!("the ledger differs from the bill in {many} impressions")))
        }
    }
}

fn say(words: &str) {
    // Standard error is where this would be reported.
    drop(writeln!(std::io::stderr(), "{words}"));
}

/// Books what is missing, and what is to be corrected; then compares again.
async fn book(
    args: &ReconcileArgs,
    bills: &Bills,
    books: &mut Books,
    found: Comparison,
    caller: &reqwest::Client,
    done: &mut Done,
) -> Result<Comparison, CliError> {
    let billed = bills.impressions.billed.iter();
    let by_hold: HashMap<Op, &Billed> = billed.map(|one| (one.hold, one)).collect();
    let missing = found.differences.iter().filter(|one| one.why == Why::Missing);
    let missing = missing.filter_map(|one| Op::from_hex(&one.hold));
    let missing = missing.filter_map(|hold| Some((hold, &by_hold.get(&hold)?.sold)));
    let heard = notices::call(caller, missing, args.give_up_after).await;
    let heard_of = |hold: &str| Op::from_hex(hold).and_then(|hold| heard.get(&hold).copied());
    done.notices = heard.values().filter(|heard| **heard == Heard::Answered).count();

    // An answered notice is kept by the server, and booked when its store is there.
    let begun = Instant::now();
    let mut found = books.look(bills, args.others).await?;
    let awaited =
        |one: &Difference| one.why == Why::Missing && heard_of(&one.hold) == Some(Heard::Answered);
    while found.differences.iter().any(awaited) && begun.elapsed() < args.wait {
        tokio::time::sleep(LOOK_EVERY).await;
        found = books.look(bills, args.others).await?;
    }

    let mut spent = false;
    for one in &found.differences {
        let to_spend = match one.why {
            // What was not answered may have arrived all the same.
            Why::Missing => match heard_of(&one.hold) {
                Some(Heard::Refused | Heard::NoAddress) => true,
                Some(Heard::Answered | Heard::Unanswered) | None => args.correct,
            },
            Why::Differs => args.correct,
            Why::Currency | Why::Unbilled | Why::Nameless => false,
        };
        let Some(hold) = Op::from_hex(&one.hold).filter(|_| to_spend) else { continue };
        // One that is held still books itself.
        let state = books.shield.hold(&one.book(), hold).await?;
        if one.why == Why::Missing && !matches!(&*state, "released" | "expired" | "unknown") {
            continue;
        }
        let owed = owed(one, hold);
        match books.shield.spend(&owed).await? {
            Ok(()) if one.why == Why::Missing => done.spends += 1,
            Ok(()) => done.corrections += 1,
            Err(why) => say(&format!("hold {hold} of {}: {why}", one.campaign)),
        }
        spent = true;
    }
    if spent { books.look(bills, args.others).await } else { Ok(found) }
}

/// The spend that makes the ledger equal to the bill. Of what is missing it is the booking of the hold, which is
/// there once, whoever books it. A correction has a key that names what was there before, so that a second run
/// repeats it rather than adding to it.
fn owed(one: &Difference, hold: Op) -> Owed {
    Owed {
        hold,
        book: one.book(),
        whole: one.why == Why::Missing,
        currency: one.currency.clone(),
        amount: Micros(one.billed_micros.saturating_sub(one.booked_micros)),
        key: format!("exchange-billing-{hold}-{}-{}", one.booked_micros, one.billed_micros),
    }
}
