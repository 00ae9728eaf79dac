//! What a history looks like by the second, and when shards changed hands.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::history::{AtUs, Line, Outcome};
use crate::load::Times;

/// Operations that ended within one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    pub done: u32,
    pub refused: u32,
    pub unavailable: u32,
    pub unknown: u32,
    pub wrong: u32,
    /// 0 where nothing ended.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Second {
    pub fn all(&self) -> u32 {
        self.done + self.refused + self.unavailable + self.unknown + self.wrong
    }
}

/// So many shards came to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnerChange {
    pub at_s: f64,
    pub owner: String,
    pub shards: u32,
}

/// What can be drawn of a history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub seconds: Vec<Second>,
    pub owners: Vec<OwnerChange>,
    /// Operations that began and never ended.
    pub open: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    #[error("{0} cannot be read: {1}")]
    File(String, std::io::Error),
    #[error("{file}, line {line}: {why}")]
    Line { file: String, line: usize, why: serde_json::Error },
}

/// A day: a longer history is none of ours.
const SECONDS_MAX: usize = 86_400;
/// Changes within so much time are one.
const TOGETHER_US: AtUs = 500_000;

/// Reads `history.jsonl`, line by line.
///
/// # Errors
/// It cannot be read, or has a line that is none.
pub fn seen(path: &Path) -> Result<Seen, SeriesError> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|e| SeriesError::File(name.clone(), e))?;
    let mut reading = Reading::default();
    for (at, text) in BufReader::new(file).lines().enumerate() {
        let text = text.map_err(|e| SeriesError::File(name.clone(), e))?;
        let line = serde_json::from_str(&text).map_err(|why| SeriesError::Line {
            file: name.clone(),
            line: at + 1,
            why,
        })?;
        reading.line(line);
    }
    Ok(reading.end())
}

#[derive(Default)]
struct Reading {
    begun: HashMap<u64, AtUs>,
    seconds: Vec<(Second, Times)>,
    /// Owner and epoch of each shard, as the newest sight of it says.
    shards: HashMap<u16, (Box<str>, i64)>,
    changes: Vec<(AtUs, OwnerChange)>,
}

impl Reading {
    fn line(&mut self, line: Line) {
        match line {
            Line::Invoke { id, at_us, .. } => {
                self.begun.insert(id, at_us);
            }
            Line::Complete { id, at_us, outcome } => {
                if let Some(from) = self.begun.remove(&id) {
                    self.ended(at_us, at_us.saturating_sub(from), &outcome);
                }
            }
            Line::Owner { at_us, shard, owner, epoch, .. } => {
                self.owner(at_us, shard, owner, epoch)
            }
            Line::Begin(_) | Line::Fault { .. } | Line::End { .. } => {}
        }
    }

    fn ended(&mut self, at_us: AtUs, took_us: u64, outcome: &Outcome) {
        let second = usize::try_from(at_us / 1_000_000).unwrap_or(SECONDS_MAX).min(SECONDS_MAX - 1);
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, Default::default);
        }
        let (counts, times) = &mut self.seconds[second];
        *match outcome {
            Outcome::Done { .. } => &mut counts.done,
            Outcome::Refused { .. } => &mut counts.refused,
            Outcome::Unavailable { .. } => &mut counts.unavailable,
            Outcome::Unknown { .. } => &mut counts.unknown,
            Outcome::Wrong { .. } => &mut counts.wrong,
        } += 1;
        times.add(Duration::from_micros(took_us));
    }

    /// Several nodes see the same change: the first sight of a later epoch counts.
    fn owner(&mut self, at_us: AtUs, shard: u16, owner: Box<str>, epoch: i64) {
        let known = self.shards.get(&shard);
        let is_news = known.is_some_and(|(was, of)| epoch > *of && *was != owner);
        if known.is_none_or(|(_, of)| epoch > *of) {
            self.shards.insert(shard, (owner.clone(), epoch));
        }
        if !is_news || owner.is_empty() {
            return;
        }
        let fits = |(from, change): &&mut (AtUs, OwnerChange)| {
            change.owner == *owner && at_us.saturating_sub(*from) < TOGETHER_US
        };
        match self.changes.iter_mut().rev().take(8).find(fits) {
            Some((_, change)) => change.shards += 1,
            None => {
                let at_s = at_us as f64 / 1e6;
                self.changes.push((at_us, OwnerChange { at_s, owner: owner.into(), shards: 1 }));
            }
        }
    }

    fn end(self) -> Seen {
        let with_times = |(counts, times): (Second, Times)| Second {
            p50_ms: times.quantile_ms(0.5),
            p99_ms: times.quantile_ms(0.99),
            ..counts
        };
        Seen {
            seconds: self.seconds.into_iter().map(with_times).collect(),
            owners: self.changes.into_iter().map(|(_, change)| change).collect(),
            open: self.begun.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Answer, Op};

    #[test]
    fn a_history_is_counted_by_the_second_in_which_things_ended() {
        let mut reading = Reading::default();
        let op = || Op::Pause { account: "a".into(), campaign: "c".into() };
        for (id, from) in [(1, 900_000), (2, 2_000_000), (3, 2_100_000)] {
            reading.line(Line::Invoke { id, at_us: from, client: 1, via: "".into(), op: op() });
        }
        let done = Outcome::Done { status: 200, answer: Answer::default() };
        reading.line(Line::Complete { id: 1, at_us: 1_100_000, outcome: done });
        reading.line(Line::Complete {
            id: 2,
            at_us: 2_001_000,
            outcome: Outcome::Unknown { why: "".into() },
        });
        let seen = reading.end();
        assert_eq!(seen.open, 1);
        assert_eq!(seen.seconds.iter().map(Second::all).collect::<Vec<_>>(), [0, 1, 1]);
        assert_eq!((seen.seconds[1].done, seen.seconds[2].unknown), (1, 1));
        assert!((200.0..220.0).contains(&seen.seconds[1].p99_ms) && seen.seconds[0].p99_ms == 0.0);
    }

    #[test]
    fn a_change_of_hands_is_seen_once_and_those_at_a_time_are_one() {
        let mut reading = Reading::default();
        let mut see = |at_us, by: &str, shard, owner: &str, epoch| {
            reading.line(Line::Owner {
                at_us,
                seen_by: by.into(),
                shard,
                owner: owner.into(),
                epoch,
            });
        };
        for shard in 0..4 {
            see(0, "n1", shard, "n1", 1);
            see(10, "n2", shard, "n1", 1);
        }
        for shard in 0..3 {
            see(5_000_000, "n1", shard, "", 1);
            see(5_400_000, "n2", shard, "n2", 2);
            see(5_500_000, "n1", shard, "n2", 2);
        }
        see(9_000_000, "n1", 3, "n2", 2);
        let want = |at_s, shards| OwnerChange { at_s, owner: "n2".to_owned(), shards };
        assert_eq!(reading.end().owners, [want(5.4, 3), want(9.0, 1)]);
    }
}
