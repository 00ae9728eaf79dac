//! What a replay did, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::super::format::{dollars, grouped, microseconds};
use super::client::Outcome;

/// Counts of a run.
#[derive(Debug, Default)]
pub struct Summary {
    pub lines: usize,
    pub booked: usize,
    pub replayed: usize,
    /// Reasons, each with how many lines it refused and the first of them.
    pub refused: BTreeMap<String, (usize, usize)>,
    /// Sent without an answer: booked or not, running again will tell.
    pub unanswered: usize,
    /// Everything in the ledger from this log, in micros.
    pub total_micros: i64,
    pub elapsed: Duration,
    took_us: Vec<u32>,
}

impl Summary {
    /// Nothing counted yet, of a log of `lines` purchases.
    pub fn of(lines: usize) -> Self {
        Self { lines, ..Self::default() }
    }

    /// Counts one line's outcome.
    pub fn count(&mut self, line: usize, micros: i64, outcome: &Outcome) {
        match outcome {
            Outcome::Booked { replayed, took } => {
                *if *replayed { &mut self.replayed } else { &mut self.booked } += 1;
                self.total_micros = self.total_micros.saturating_add(micros);
                self.took_us.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
            }
            Outcome::Refused(reason) => self.refuse(reason, line),
            Outcome::Unknown { reason, .. } => self.refuse(reason, line),
            Outcome::GivenUp(_) | Outcome::Stopped => self.unanswered += 1,
        }
    }

    fn refuse(&mut self, reason: &str, line: usize) {
        let (count, first) = self.refused.entry(reason.to_owned()).or_insert((0, line));
        *count += 1;
        *first = line.min(*first);
    }

    /// The first line that was refused, with the reason.
    pub fn first_refusal(&self) -> Option<(usize, &str)> {
        let refusals = self.refused.iter().map(|(reason, (_, first))| (*first, reason.as_str()));
        refusals.min()
    }

    /// True where every line of the log is in the ledger.
    pub fn complete(&self) -> bool {
        self.booked + self.replayed == self.lines
    }

    fn percentile(&self, sorted: &[u32], share: f64) -> String {
        let at = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
        sorted.get(at).map_or("-".to_owned(), |&us| microseconds(u64::from(us)))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: usize| grouped(&n.to_string());
        let refused: usize = self.refused.values().map(|(count, _)| count).sum();
        let answered = self.booked + self.replayed + refused;
        let unsent = self.lines.saturating_sub(answered + self.unanswered);
        writeln!(f, "lines       {}", number(self.lines))?;
        writeln!(f, "booked      {}", number(self.booked))?;
        writeln!(f, "replayed    {}", number(self.replayed))?;
        writeln!(f, "refused     {}", number(refused))?;
        for (reason, (count, first)) in &self.refused {
            writeln!(f, "  {} × {reason} (first on line {first})", number(*count))?;
        }
        if self.unanswered > 0 {
            writeln!(f, "unanswered  {}", number(self.unanswered))?;
        }
        if unsent > 0 {
            writeln!(f, "not sent    {}", number(unsent))?;
        }
        writeln!(f, "total       {}", dollars(self.total_micros))?;
        let seconds = self.elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { answered as f64 / seconds } else { 0.0 };
        writeln!(f, "time        {seconds:.1} s, {} lines/s", grouped(&format!("{rate:.0}")))?;
        let mut sorted = self.took_us.clone();
        sorted.sort_unstable();
        let (p50, p99) = (self.percentile(&sorted, 0.50), self.percentile(&sorted, 0.99));
        write!(f, "latency     p50 {p50}, p99 {p99}")
    }
}
