//! A log as its actor has it in memory: what is durable, and what waits to become so.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use ed25519_dalek::SigningKey;

use super::{AppendError, Appended};
use crate::actors::kernel::{Fault, Reply};
use crate::models::shield::audit::block::{Block, Builder};
use crate::models::shield::audit::head::{SignedHead, TreeHead};
use crate::models::shield::audit::merkle::{Frontier, Hash, Node};
use crate::models::shield::audit::month::Month;
use crate::models::shield::audit::record::{Brief, RecordError};
use crate::store::{
    AuditBlockRow, AuditCursorRow, AuditHeadRow, AuditLogRow, AuditNodeRow, AuditPersonRow, Gone,
    Put,
};

/// Budgets whose place in the ledger is kept in memory.
const CURSORS_MAX: usize = 100_000;
/// Blocks of one flight at most, besides the open one: eight megabytes.
pub const FLIGHT_BLOCKS_MAX: usize = 64;
/// Pending rows that are remembered after they have landed: who read them before may still tell.
const LANDED_MAX: usize = 4_096;

/// What is durable.
#[derive(Clone)]
pub struct Durable {
    pub frontier: Frontier,
    /// Number of the next block.
    pub blocks: u64,
    pub month: Option<Month>,
    pub version: i64,
    /// The newest signed head.
    pub head: Option<SignedHead>,
}

impl Durable {
    /// The log of an account that has none.
    pub fn new() -> Durable {
        Durable { frontier: Frontier::new(), blocks: 0, month: None, version: 0, head: None }
    }

    pub fn signed_size(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.head.size)
    }

    /// Signs what there is. `None`: it is signed already, and the month does not end.
    fn sign(
        &mut self,
        account: &str,
        (key, now_us): (&SigningKey, i64),
        month_ends: bool,
    ) -> Result<Option<AuditHeadRow>, Fault> {
        let size = self.frontier.size();
        let known = self.head.take_if(|head| head.head.size == size);
        let fresh = known.is_none();
        let mut head = match known {
            Some(head) => head,
            None => {
                let before = self.head.as_ref();
                // the heads of a log are in the order of their times, whatever the clock does
                let at_us = before.map_or(now_us, |b| now_us.max(b.head.at_us + 1));
                let prev = before.map_or(Hash::ZERO, SignedHead::hash);
                let root = self.frontier.root();
                TreeHead { account: account.to_owned(), size, root, at_us, prev }.sign(key)
            }
        };
        let ends = month_ends && head.frontier.is_none();
        if ends {
            head = head.with_frontier(self.frontier.clone())?;
        }
        let row = AuditHeadRow {
            account: account.to_owned(),
            size: signed(size),
            at: head.head.at_us,
            head: head.line()?,
            kept: i64::from(head.frontier.is_some()),
        };
        self.head = Some(head);
        Ok((fresh || ends).then_some(row))
    }
}

/// What goes into the store together, and the log after it.
pub struct Flight {
    pub puts: Vec<Put>,
    pub gone: Vec<Gone>,
    pub after: Durable,
    pub replies: Vec<Reply<Result<Appended, AppendError>>>,
    pub ids: Vec<String>,
    pub records: u64,
}

/// What becomes durable together with the lines that came before it.
#[derive(Default)]
struct Along {
    /// Up to which row these ledgers are in the log then.
    touched: BTreeMap<Arc<str>, i64>,
    /// Pending rows that go then.
    ids: Vec<String>,
    waiting: Vec<Reply<Result<Appended, AppendError>>>,
}

impl Along {
    fn add(&mut self, later: Along) {
        self.touched.extend(later.touched);
        self.ids.extend(later.ids);
        self.waiting.extend(later.waiting);
    }
}

pub struct Live {
    pub durable: Durable,
    builder: Builder,
    /// Blocks that wait, with what belongs to them.
    closed: VecDeque<(Block, Along)>,
    /// What belongs to the open block.
    along: Along,
    /// Up to which row each ledger is in this log or in what waits.
    cursors: HashMap<Arc<str>, i64>,
    /// The ledgers whose rows are in flight.
    aloft: BTreeSet<Arc<str>>,
    /// Pending rows that are in what waits, in flight, or have landed lately.
    taken: BTreeSet<String>,
    /// Of these, those that have landed, oldest first.
    lately: VecDeque<String>,
    pub sign: bool,
    pub close_month: bool,
    pub flying: bool,
}

impl Live {
    pub fn new(durable: Durable) -> Live {
        let builder = Builder::new(durable.blocks, durable.frontier.size(), durable.month);
        Live {
            durable,
            builder,
            closed: VecDeque::new(),
            along: Along::default(),
            cursors: HashMap::new(),
            aloft: BTreeSet::new(),
            taken: BTreeSet::new(),
            lately: VecDeque::new(),
            sign: false,
            close_month: false,
            flying: false,
        }
    }

    /// Adds a line.
    pub fn push(&mut self, line: &str) -> Result<(), RecordError> {
        self.push_known(line, &Brief::parse(line)?)
    }

    /// Adds a line that was just made of what its brief says.
    pub fn push_known(&mut self, line: &str, brief: &Brief<'_>) -> Result<(), RecordError> {
        if let Some(block) = self.builder.push(line, brief)? {
            // all that came before this line is in that block or before it
            self.closed.push_back((block, std::mem::take(&mut self.along)));
        }
        Ok(())
    }

    /// Adds a record that was written with what it tells of. One that is there already is left out.
    pub fn push_pending(&mut self, id: String, line: &str) -> Result<(), RecordError> {
        if !self.taken.insert(id.clone()) {
            return Ok(());
        }
        let pushed = self.push(line);
        // what is no record must not come back for ever: it goes all the same
        self.along.ids.push(id);
        pushed
    }

    /// Answers when all that was pushed before is durable.
    pub fn wait(&mut self, reply: Reply<Result<Appended, AppendError>>) {
        self.along.waiting.push(reply);
    }

    /// So much waits that what can wait elsewhere should.
    pub fn is_full(&self) -> bool {
        self.closed.len() >= FLIGHT_BLOCKS_MAX
    }

    pub fn cursor(&self, budget: &str) -> Option<i64> {
        self.cursors.get(budget).copied()
    }

    /// The ledger of this budget is in the log up to `seq`; `fresh`: with the next flight.
    pub fn moved(&mut self, budget: &Arc<str>, seq: i64, fresh: bool) {
        if self.cursors.len() >= CURSORS_MAX && !self.cursors.contains_key(budget) {
            // those that wait to be written must be known until they are
            let (closed, along, aloft) = (&self.closed, &self.along, &self.aloft);
            self.cursors.retain(|name, _| {
                aloft.contains(name)
                    || along.touched.contains_key(name)
                    || closed.iter().any(|(_, along)| along.touched.contains_key(name))
            });
        }
        self.cursors.insert(Arc::clone(budget), seq);
        if fresh {
            self.along.touched.insert(Arc::clone(budget), seq);
        }
    }

    pub fn has_work(&self) -> bool {
        !self.closed.is_empty()
            || self.builder.pending() > 0
            || !self.along.ids.is_empty()
            || (self.sign && self.durable.frontier.size() > self.durable.signed_size())
            || self.close_month
    }

    pub fn is_idle(&self) -> bool {
        !self.flying && !self.has_work() && self.along.waiting.is_empty()
    }

    /// Takes what waits, as one flight; what is too much for it waits for the next.
    pub fn take(
        &mut self,
        account: &str,
        (key, now_us): (&SigningKey, i64),
    ) -> Result<Option<Flight>, Fault> {
        if self.flying || !self.has_work() {
            // whoever waits for what is durable already has its answer
            if !self.flying {
                for reply in self.along.waiting.drain(..) {
                    reply.send(Ok(Appended { size: self.durable.frontier.size() }));
                }
            }
            return Ok(None);
        }
        let last = !self.is_full();
        let (blocks, along) = self.load(last);
        let mut after = self.durable.clone();
        let mut puts = Vec::new();
        let mut records = 0;
        for block in blocks {
            if after.month.is_some_and(|month| month != block.month) {
                puts.extend(after.sign(account, (key, now_us), true)?.map(Put::from));
            }
            after.month = Some(block.month);
            after.blocks = block.number + 1;
            records += u64::from(block.count);
            for leaf in block.leaves() {
                after.frontier.push_with(leaf, |node| puts.push(node_row(account, node).into()));
            }
            put_block(account, &block, &mut puts)?;
        }
        if records > 0 {
            after.version += 1;
            puts.push(log_row(account, &after)?.into());
        }
        // a log's first records are signed with their first flight: a machine that is lost within
        // the first minute leaves a head outside too
        let sign = self.sign || after.head.is_none();
        // who wants it signed wants all of it signed
        self.sign &= !last;
        let close_month = last && std::mem::take(&mut self.close_month);
        let unsigned = after.frontier.size() > after.signed_size();
        if (sign && unsigned) || (close_month && after.frontier.size() > 0) {
            puts.extend(after.sign(account, (key, now_us), close_month)?.map(Put::from));
        }
        for (budget, seq) in along.touched {
            let row =
                AuditCursorRow { account: account.to_owned(), budget: budget.to_string(), seq };
            puts.push(row.into());
            self.aloft.insert(budget);
        }
        let ids = along.ids;
        let gone = ids.iter().map(|id| Gone::AuditPending { id: id.clone() }).collect();
        self.flying = true;
        Ok(Some(Flight { puts, gone, after, replies: along.waiting, ids, records }))
    }

    /// The blocks of the next flight, and what goes with them; `last`: the open one, too.
    fn load(&mut self, last: bool) -> (Vec<Block>, Along) {
        let (mut blocks, mut along) = (Vec::new(), Along::default());
        let most = self.closed.len().min(FLIGHT_BLOCKS_MAX);
        for (block, with) in self.closed.drain(..most) {
            blocks.push(block);
            along.add(with);
        }
        if last {
            blocks.extend(self.builder.take());
            along.add(std::mem::take(&mut self.along));
        }
        (blocks, along)
    }

    /// A flight is durable.
    pub fn landed(&mut self, flight: Flight) {
        let size = flight.after.frontier.size();
        self.durable = flight.after;
        self.flying = false;
        self.aloft.clear();
        self.lately.extend(flight.ids);
        while self.lately.len() > LANDED_MAX
            && let Some(old) = self.lately.pop_front()
        {
            self.taken.remove(&old);
        }
        for reply in flight.replies {
            reply.send(Ok(Appended { size }));
        }
    }
}

fn put_block(account: &str, block: &Block, puts: &mut Vec<Put>) -> Result<(), Fault> {
    let number = signed(block.number);
    for person in &block.persons {
        let (account, person) = (account.to_owned(), person.clone());
        puts.push(AuditPersonRow { account, person, block: number }.into());
    }
    let row = AuditBlockRow {
        account: account.to_owned(),
        block: number,
        first: signed(block.first),
        count: i64::from(block.count),
        month: block.month.to_string(),
        at_from: block.at_from,
        at_to: block.at_to,
        lines: block.lines.clone(),
        summary: serde_json::to_string(&block.summary)?,
    };
    puts.push(row.into());
    Ok(())
}

fn node_row(account: &str, node: Node) -> AuditNodeRow {
    AuditNodeRow {
        account: account.to_owned(),
        level: i64::from(node.level),
        idx: signed(node.index),
        hash: node.hash.to_string(),
    }
}

fn log_row(account: &str, log: &Durable) -> Result<AuditLogRow, Fault> {
    Ok(AuditLogRow {
        account: account.to_owned(),
        size: signed(log.frontier.size()),
        root: log.frontier.root().to_string(),
        frontier: serde_json::to_string(&log.frontier)?,
        blocks: signed(log.blocks),
        version: log.version,
    })
}

fn signed(n: u64) -> i64 {
    // a log ends at 2^53 records
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::audit::block::BLOCK_LINES_MAX;
    use crate::models::shield::audit::month::time_text;

    const AT_US: i64 = 1_795_239_660_000_000;

    fn line(n: usize) -> String {
        let at = time_text(AT_US + n as i64).expect("a time");
        format!("{{\"at\":\"{at}\",\"event\":\"a.b\",\"actor\":\"system\",\"outcome\":\"ok\"}}")
    }

    fn take(live: &mut Live) -> Flight {
        let key = SigningKey::from_bytes(&[7; 32]);
        live.take("a", (&key, AT_US)).expect("no fault").expect("a flight")
    }

    fn blocks(flight: &Flight) -> usize {
        flight.puts.iter().filter(|put| matches!(put, Put::AuditBlock(_))).count()
    }

    /// Up to which row of its ledger a flight brings a log.
    fn cursor(flight: &Flight) -> Option<i64> {
        let of = |put: &Put| match put {
            Put::AuditCursor(row) => Some(row.seq),
            _ => None,
        };
        flight.puts.iter().find_map(of)
    }

    #[test]
    fn a_pending_row_that_is_told_of_again_after_it_has_landed_is_not_logged_again() {
        let mut live = Live::new(Durable::new());
        let told = |live: &mut Live, id: usize| {
            live.push_pending(format!("{id:05}"), &line(id)).expect("a record");
        };
        told(&mut live, 0);
        told(&mut live, 0);
        let flight = take(&mut live);
        assert_eq!((flight.records, flight.gone.len()), (1, 1));
        // read before it was durable, told while it flies and afterwards
        told(&mut live, 0);
        live.landed(flight);
        told(&mut live, 0);
        assert!(live.is_idle());
        // what is remembered is bounded
        for id in 1..=LANDED_MAX {
            told(&mut live, id);
        }
        let flight = take(&mut live);
        live.landed(flight);
        assert_eq!((live.taken.len(), live.lately.len()), (LANDED_MAX, LANDED_MAX));
    }

    #[test]
    fn a_flight_is_bounded_and_says_of_ledgers_and_rows_what_is_in_it_and_no_more() {
        let mut live = Live::new(Durable::new());
        let budget: Arc<str> = "camp".into();
        let lines = (FLIGHT_BLOCKS_MAX + 2) * BLOCK_LINES_MAX as usize + 10;
        for n in 1..=lines {
            live.push(&line(n)).expect("a record");
            live.moved(&budget, n as i64, true);
        }
        live.push_pending("last".to_owned(), &line(lines + 1)).expect("a record");
        live.wait(Reply::detached());
        live.sign = true;
        assert!(live.is_full());
        let in_first = (FLIGHT_BLOCKS_MAX * BLOCK_LINES_MAX as usize) as u64;
        let first = take(&mut live);
        assert_eq!((blocks(&first), first.records), (FLIGHT_BLOCKS_MAX, in_first));
        assert_eq!(cursor(&first), Some(in_first as i64));
        assert!(first.gone.is_empty() && first.replies.is_empty() && !live.is_full());
        assert_eq!(first.after.signed_size(), in_first);
        live.landed(first);
        let second = take(&mut live);
        assert_eq!((blocks(&second), cursor(&second)), (3, Some(lines as i64)));
        assert_eq!((second.gone.len(), second.replies.len()), (1, 1));
        assert_eq!(second.after.signed_size(), lines as u64 + 1);
        live.landed(second);
        assert!(live.is_idle() && live.durable.frontier.size() == lines as u64 + 1);
    }
}
