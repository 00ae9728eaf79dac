//! What is shown while a run goes on: a table that is drawn over on a terminal, lines elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::super::format::{grouped, microseconds};
use super::tally::Tally;
use crate::models::shield::money::Micros;

/// Lines of a log are this far apart.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Campaigns that are shown.
const CAMPAIGNS_SHOWN: usize = 5;

/// Shows a run on standard error.
pub struct Screen {
    bar: Option<ProgressBar>,
    lasts: Duration,
    line_at: Duration,
    before: Before,
}

/// What was counted when it was last shown.
#[derive(Clone, Debug, Default)]
struct Before {
    at: Duration,
    auctions: u64,
    wins: u64,
}

impl Screen {
    pub fn new(lasts: Duration) -> Screen {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg}");
            let bar = ProgressBar::new_spinner();
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Screen { bar, lasts, line_at: LINE_EVERY, before: Before::default() }
    }

    /// Draws what was counted until now.
    pub fn show(&mut self, tally: &Tally, at: Duration) {
        match &self.bar {
            Some(bar) => bar.set_message(table(tally, &self.before, at, self.lasts)),
            None if at >= self.line_at => {
                self.line_at = at + LINE_EVERY;
                self.say(&line(tally, &self.before, at));
            }
            None => return,
        }
        let Tally { auctions, wins, .. } = *tally;
        self.before = Before { at, auctions, wins };
    }

    /// A word beside the table, or a line.
    pub fn say(&self, words: &str) {
        match &self.bar {
            Some(bar) => bar.println(words),
            // Standard error is where this would be reported.
            None => drop(writeln!(std::io::stderr(), "{words}")),
        }
    }

    /// Takes the table away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn count(number: u64) -> String {
    grouped(&number.to_string())
}

fn per_s(now: u64, before: u64, seconds: f64) -> String {
    let rate = if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 };
    grouped(&format!("{rate:.0}"))
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1}%", part as f64 / whole as f64 * 100.0) }
}

/// `USD 1.50, EUR 0.20`.
pub fn spent(tally: &Tally) -> String {
    let of = tally
        .spend
        .iter()
        .map(|(currency, micros)| format!("{currency} {}", grouped(&Micros(*micros).display_2())));
    let all: Vec<String> = of.collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

/// How evenly the money goes.
pub fn paced(tally: &Tally) -> String {
    match tally.unpaced() {
        Some(off) => format!("{:.1}% off the traffic", off * 100.0),
        None => "-".to_owned(),
    }
}

/// The curves of traffic and spending over the run.
pub fn curves(tally: &Tally) -> [(&'static str, String); 2] {
    [
        ("traffic", curve(tally.traffic.iter().map(|n| *n as f64))),
        ("spending", curve(tally.spending.iter().map(|n| *n as f64))),
    ]
}

/// What did not go as it should, of the requests.
fn failures(tally: &Tally) -> String {
    let mut out = format!(
        "timeouts {}   unreachable {}   malformed {}   skipped {}",
        count(tally.timeouts),
        count(tally.unreachable),
        count(tally.malformed),
        count(tally.skipped)
    );
    for (status, times) in &tally.statuses {
        // Writing to a string cannot fail.
        let _ = write!(out, "   status {status} × {}", count(*times));
    }
    out
}

fn line(tally: &Tally, before: &Before, at: Duration) -> String {
    let seconds = (at.saturating_sub(before.at)).as_secs_f64();
    let latency = tally.latency();
    format!(
        "{:.0} s: {} requests, {}/s, {} bids, {} sold, spent {}, pacing {}, p50 {}, p99 {}, {}",
        at.as_secs_f64(),
        count(tally.auctions),
        per_s(tally.auctions, before.auctions, seconds),
        count(tally.bids),
        count(tally.wins),
        spent(tally),
        paced(tally),
        microseconds(latency.p50_us),
        microseconds(latency.p99_us),
        failures(tally).replace("   ", ", "),
    )
}

fn table(tally: &Tally, before: &Before, at: Duration, lasts: Duration) -> String {
    let seconds = at.saturating_sub(before.at).as_secs_f64();
    let latency = tally.latency();
    let shown = |us| microseconds(us);
    let mut rows = vec![
        ("time", format!("{:.0} of {:.0} s", at.as_secs_f64(), lasts.as_secs_f64())),
        (
            "requests",
            format!(
                "{}   {}/s",
                count(tally.auctions),
                per_s(tally.auctions, before.auctions, seconds)
            ),
        ),
        (
            "answers",
            format!(
                "bids {}   none {}   {}",
                percent(tally.with_bids, tally.auctions),
                percent(tally.no_bids, tally.auctions),
                failures(tally)
            ),
        ),
        (
            "latency",
            format!(
                "p50 {}   p90 {}   p99 {}   max {}",
                shown(latency.p50_us),
                shown(latency.p90_us),
                shown(latency.p99_us),
                shown(latency.max_us)
            ),
        ),
        (
            "sold",
            format!(
                "{}   {}/s   {} of the bids   {} of the impressions",
                count(tally.wins),
                per_s(tally.wins, before.wins, seconds),
                percent(tally.wins, tally.bids),
                percent(tally.wins, tally.impressions)
            ),
        ),
        ("spent", spent(tally)),
    ];
    for (kind, of) in &tally.notices {
        let mut text = format!(
            "answered {}   calls {}   late {}   twice {}   lost {}",
            count(of.answered),
            count(of.calls),
            count(of.late),
            count(of.duplicated),
            count(of.lost)
        );
        if of.refused + of.unanswered > 0 {
            let (refused, unanswered) = (count(of.refused), count(of.unanswered));
            let _ = write!(text, "   refused {refused}   unanswered {unanswered}");
        }
        rows.push((*kind, text));
    }
    rows.push(("pacing", paced(tally)));
    rows.extend(curves(tally));
    let mut out = String::new();
    for (name, text) in rows {
        let _ = writeln!(out, "{name:<10}{text}");
    }
    for (currency, of) in &tally.campaigns {
        let mut best: Vec<_> = of.iter().collect();
        best.sort_by_key(|(name, bought)| (std::cmp::Reverse(bought.spend_micros), *name));
        for (name, bought) in best.into_iter().take(CAMPAIGNS_SHOWN) {
            // What a bidder calls its campaigns is not to move the cursor.
            let name: String = name.chars().filter(|c| !c.is_control()).collect();
            let spend = grouped(&Micros(bought.spend_micros).display_2());
            let _ = writeln!(
                out,
                "  {name:<32} {currency} {spend:>16}  {} sold",
                count(bought.impressions)
            );
        }
    }
    out
}

/// A curve of bars, the highest as high as a line.
fn curve(values: impl Iterator<Item = f64> + Clone) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.clone().fold(0.0, f64::max);
    let bar = |value: f64| {
        let height = if most > 0.0 { (value / most * 8.0).ceil() as usize } else { 0 };
        height.checked_sub(1).and_then(|at| BARS.get(at)).copied().unwrap_or(' ')
    };
    values.map(bar).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::sold;
    use super::*;

    #[test]
    fn the_table_has_rates_latencies_spend_and_the_curves_of_a_run() {
        let mut tally = Tally::default();
        for nth in 0..10 {
            tally.auction(1, nth / 5);
        }
        tally.reply(super::super::tally::Reply::Bids, Duration::from_millis(3));
        tally.bids = 2;
        tally.sold(&sold(1, "camp\u{1b}[2J", 1_500_000), 1);
        let before = Before { at: Duration::from_secs(1), auctions: 4, wins: 0 };
        let shown = table(&tally, &before, Duration::from_secs(3), Duration::from_secs(60));
        for part in ["10   3/s", "p99 3.0 ms", "50.0% of the bids", "USD 1.50", "██", " █\n"]
        {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown}");
        let said = line(&tally, &before, Duration::from_secs(3));
        assert!(said.contains("10 requests, 3/s"), "{said}");
        // All of it in one slot of two that had as many requests.
        for shown in [shown, said] {
            assert!(shown.contains("100.0% off the traffic"), "{shown}");
        }
        assert_eq!(paced(&Tally::default()), "-");
    }

    #[test]
    fn a_curve_without_anything_is_empty() {
        assert_eq!(curve([0.0, 0.0].into_iter()), "");
        assert_eq!(curve([0.0, 1.0, 8.0].into_iter()), " ▁█");
    }
}
