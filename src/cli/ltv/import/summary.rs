//! What an import did, counted.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::super::format::grouped;
use super::super::log::Rejects;
use super::super::shown;
use super::send::Sent;

/// Lines that are named.
const NAMED_MAX: usize = 20;

/// Counts of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// Purchases in the file, and lines that are none.
    pub rows: u64,
    pub malformed: Rejects,
    pub currency: Option<String>,
    pub imported: u64,
    pub known: u64,
    /// Rows that the server did not take, and some of them by line.
    pub rejected: u64,
    pub rejects: Vec<(u64, String)>,
    pub elapsed: Duration,
}

impl Summary {
    pub fn add(&mut self, sent: Sent) {
        self.imported += sent.imported;
        self.known += sent.known;
        self.rejected += sent.rejected;
        self.rejects.extend(sent.rejects);
        // The first lines of the file, whatever was answered first.
        self.rejects.sort();
        self.rejects.truncate(NAMED_MAX);
    }

    /// Rows without an answer: they may be there or not.
    pub fn unanswered(&self) -> u64 {
        self.rows.saturating_sub(self.imported + self.known + self.rejected)
    }

    /// Whether every purchase of the file is there.
    pub fn complete(&self) -> bool {
        self.rejected == 0 && self.unanswered() == 0
    }

    fn named(&self) -> impl Iterator<Item = (u64, &str)> {
        self.rejects.iter().map(|(line, reason)| (*line, reason.as_str()))
    }

    pub fn json(&self) -> Value {
        let rejects = self.named().map(|(line, reason)| json!({"line": line, "reason": reason}));
        json!({
            "rows": self.rows,
            "currency": self.currency,
            "malformed": self.malformed.count,
            "malformed_lines": self.malformed.lines,
            "imported": self.imported,
            "duplicates": self.known,
            "rejected": self.rejected,
            "rejects": rejects.collect::<Vec<Value>>(),
            "unanswered": self.unanswered(),
            "complete": self.complete(),
            "seconds": self.elapsed.as_secs_f64(),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let number = |n: u64| grouped(&n.to_string());
        let mut out = format!(
            "purchases   {}\nimported    {}\nduplicates  {}\nrejected    {}\n",
            number(self.rows),
            number(self.imported),
            number(self.known),
            number(self.rejected)
        );
        for (line, reason) in self.named() {
            out += &format!("  line {line} {}\n", shown::printable(reason));
        }
        if self.rejected > self.rejects.len() as u64 {
            out += "  …\n";
        }
        if self.malformed.count > 0 {
            out += &format!("malformed   {}\n", number(self.malformed.count));
        }
        if self.unanswered() > 0 {
            out += &format!("unanswered  {}\n", number(self.unanswered()));
        }
        let seconds = self.elapsed.as_secs_f64();
        let answered = self.rows - self.unanswered();
        let rate = if seconds > 0.0 { answered as f64 / seconds } else { 0.0 };
        out += &format!("time        {seconds:.1} s, {} rows/s\n", grouped(&format!("{rate:.0}")));
        out
    }
}
