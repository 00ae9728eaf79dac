//! Blocks: the rows in which records are stored, up to 512 lines each and never over a month's end.

use std::collections::BTreeSet;

use super::merkle::{Hash, leaf_hash};
use super::month::{BadTime, Month};
use super::record::{Brief, Event, RecordError, bounded};
use super::summary::Summary;

/// Lines in the largest block.
pub const BLOCK_LINES_MAX: u32 = 512;
/// Bytes of the lines of the largest block, line feeds between them included.
pub const BLOCK_BYTES_MAX: usize = 128 * 1024;

/// A row of the log. Blocks of a log are dense: `number` counts from 0, `first` is the leaf index of
/// its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub number: u64,
    pub first: u64,
    pub count: u32,
    /// The month by which it is kept; never before the month of the block before it.
    pub month: Month,
    /// Earliest time in it, micros since the epoch.
    pub at_from: i64,
    /// Latest time in it, micros since the epoch.
    pub at_to: i64,
    /// The lines, joined by line feeds.
    pub lines: String,
    pub summary: Summary,
    /// Persons named in it.
    pub persons: BTreeSet<String>,
}

impl Block {
    /// Its lines, as they were hashed.
    pub fn lines(&self) -> std::str::Split<'_, char> {
        self.lines.split('\n')
    }

    /// Their leaf hashes, in order.
    pub fn leaves(&self) -> impl Iterator<Item = Hash> {
        self.lines().map(|line| leaf_hash(line.as_bytes()))
    }

    /// The leaf index after its last line.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// Gathers lines into blocks.
///
/// A record whose time lies before the month that the log has reached (the clock was set back) is
/// kept with that month: months of blocks never go back, so whole months can be dropped from the
/// front. Such a record is kept longer than it must be, never shorter.
#[derive(Clone, Debug)]
pub struct Builder {
    number: u64,
    first: u64,
    month: Option<Month>,
    month_end_us: i64,
    open: Option<Block>,
}

impl Builder {
    /// A builder whose next block has this number and this first leaf; `month` is that of the block
    /// before it.
    pub fn new(number: u64, first: u64, month: Option<Month>) -> Builder {
        let month_end_us = month.map_or(i64::MIN, Month::end_us);
        Builder { number, first, month, month_end_us, open: None }
    }

    /// Adds a line with what its brief says. When it does not fit into the open block, that one is
    /// closed and returned, and the line begins the next.
    ///
    /// Refused, and nothing changed: a line too long or of two lines, a time that has no month, an
    /// event that is none.
    pub fn push(&mut self, line: &str, brief: &Brief<'_>) -> Result<Option<Block>, RecordError> {
        bounded(line)?;
        let event = Event::new(brief.event.to_owned())?;
        let later = brief.at_us >= self.month_end_us;
        let month = if later { Some(Month::of(brief.at_us)?) } else { self.month };
        let month = month.ok_or(BadTime)?;
        let closed = if later || !self.fits(line) { self.take() } else { None };
        if later {
            self.month = Some(month);
            self.month_end_us = month.end_us();
        }
        let block = self.open.get_or_insert_with(|| Block {
            number: self.number,
            first: self.first,
            count: 0,
            month,
            at_from: brief.at_us,
            at_to: brief.at_us,
            lines: String::new(),
            summary: Summary::new(),
            persons: BTreeSet::new(),
        });
        if block.count > 0 {
            block.lines.push('\n');
        }
        block.lines.push_str(line);
        block.count += 1;
        block.at_from = block.at_from.min(brief.at_us);
        block.at_to = block.at_to.max(brief.at_us);
        block.summary.count(&event, brief.outcome, brief.count);
        if let Some(person) = brief.person
            && !block.persons.contains(person)
        {
            block.persons.insert(person.to_owned());
        }
        Ok(closed)
    }

    /// Closes the open block, if there is one.
    pub fn take(&mut self) -> Option<Block> {
        let block = self.open.take()?;
        self.number = block.number + 1;
        self.first = block.end();
        Some(block)
    }

    /// Lines in the open block.
    pub fn pending(&self) -> u32 {
        self.open.as_ref().map_or(0, |block| block.count)
    }

    /// Is there an open block that takes no other line? (Its month may end before that.)
    pub fn is_full(&self) -> bool {
        self.open.as_ref().is_some_and(|block| block.count >= BLOCK_LINES_MAX)
    }

    /// Must the open block be closed because its month is over at `now_us`?
    pub fn month_is_over(&self, now_us: i64) -> bool {
        self.open.is_some() && now_us >= self.month_end_us
    }

    fn fits(&self, line: &str) -> bool {
        self.open.as_ref().is_none_or(|block| {
            let bytes = block.lines.len() + 1 + line.len();
            block.count < BLOCK_LINES_MAX && bytes <= BLOCK_BYTES_MAX
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::month::time_parse;
    use super::super::record::{LINE_BYTES_MAX, Outcome};
    use super::*;

    fn brief(at: &str, person: Option<&'static str>) -> Brief<'static> {
        Brief {
            at_us: time_parse(at).unwrap(),
            event: "consent.granted",
            outcome: Outcome::Ok,
            person,
            count: 2,
        }
    }

    const NOVEMBER: &str = "2026-11-30T23:59:59.999999Z";
    const DECEMBER: &str = "2026-12-01T00:00:00.000000Z";

    #[test]
    fn a_block_is_closed_by_its_lines_its_bytes_and_the_end_of_its_month() {
        let mut builder = Builder::new(7, 1_000, None);
        let push = |builder: &mut Builder, line: &str, at| {
            builder.push(line, &brief(at, Some("p1"))).unwrap()
        };
        for i in 0..BLOCK_LINES_MAX {
            assert!(!builder.is_full());
            assert_eq!(push(&mut builder, &format!("line {i}"), NOVEMBER), None);
        }
        assert!(builder.is_full());
        let block = push(&mut builder, "next", NOVEMBER).unwrap();
        assert_eq!((block.number, block.first, block.count), (7, 1_000, 512));
        assert!(block.lines().eq((0..512).map(|i| format!("line {i}"))));
        assert_eq!(block.leaves().nth(1), Some(leaf_hash(b"line 1")));
        assert_eq!(block.summary.get("consent.granted", Outcome::Ok), 1_024);
        assert_eq!(block.persons.iter().collect::<Vec<_>>(), ["p1"]);

        builder.take();

        let long = "x".repeat(LINE_BYTES_MAX - 1);
        for _ in 0..8 {
            assert_eq!(push(&mut builder, &long, NOVEMBER), None);
        }
        let block = push(&mut builder, "yz", NOVEMBER).unwrap();
        assert_eq!((block.number, block.first, block.count), (9, 1_513, 8));
        assert_eq!(block.lines.len(), BLOCK_BYTES_MAX - 1);

        assert!(!builder.month_is_over(block.at_to));
        assert!(builder.month_is_over(block.at_to + 1));
        let block = push(&mut builder, "december", DECEMBER).unwrap();
        assert_eq!((block.number, block.first, block.count), (10, 1_521, 1));
        assert_eq!((block.month.to_string().as_str(), block.lines.as_str()), ("2026-11", "yz"));
        let block = builder.take().unwrap();
        assert_eq!(block.month.to_string(), "2026-12");
        assert_eq!((builder.take(), builder.pending()), (None, 0));
    }

    #[test]
    fn a_record_from_before_the_month_that_was_reached_stays_with_that_month() {
        let mut builder = Builder::new(0, 0, "2026-12".parse().ok());
        assert_eq!(builder.push("late", &brief(NOVEMBER, None)).unwrap(), None);
        assert_eq!(builder.push("on time", &brief(DECEMBER, None)).unwrap(), None);
        let block = builder.take().unwrap();
        assert_eq!((block.month.to_string().as_str(), block.count), ("2026-12", 2));
        assert_eq!(block.at_to - block.at_from, 1);
    }

    #[test]
    fn a_time_or_an_event_out_of_range_is_refused_and_changes_nothing() {
        let mut builder = Builder::new(0, 0, None);
        let good = brief(NOVEMBER, None);
        assert!(builder.push("x", &Brief { at_us: -1, ..good }).is_err());
        assert!(builder.push("x", &Brief { at_us: i64::MAX, ..good }).is_err());
        assert!(builder.push("x", &Brief { event: "", ..good }).is_err());
        assert!(builder.push("x\ny", &good).is_err());
        assert!(builder.push(&"x".repeat(LINE_BYTES_MAX + 1), &good).is_err());
        assert_eq!(builder.take(), None);
    }
}
