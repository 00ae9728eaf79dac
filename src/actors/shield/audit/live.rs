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

pub struct Live {
    pub durable: Durable,
    builder: Builder,
    closed: VecDeque<Block>,
    /// Up to which row each ledger is in this log or in what waits.
    cursors: HashMap<Arc<str>, i64>,
    touched: BTreeMap<Arc<str>, i64>,
    /// Pending rows that are in what waits or in flight.
    taken: BTreeSet<String>,
    ids: Vec<String>,
    pub waiting: Vec<Reply<Result<Appended, AppendError>>>,
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
            cursors: HashMap::new(),
            touched: BTreeMap::new(),
            taken: BTreeSet::new(),
            ids: Vec::new(),
            waiting: Vec::new(),
            sign: false,
            close_month: false,
            flying: false,
        }
    }

    /// Adds a line.
    pub fn push(&mut self, line: &str) -> Result<(), RecordError> {
        let brief = Brief::parse(line)?;
        self.closed.extend(self.builder.push(line, &brief)?);
        Ok(())
    }

    /// Adds a record that was written with what it tells of. One that is there already is left out.
    pub fn push_pending(&mut self, id: String, line: &str) -> Result<(), RecordError> {
        if self.taken.insert(id.clone()) {
            // what is no record must not come back for ever: it goes with the next flight
            self.ids.push(id);
            self.push(line)?;
        }
        Ok(())
    }

    pub fn cursor(&self, budget: &str) -> Option<i64> {
        self.cursors.get(budget).copied()
    }

    /// The ledger of this budget is in the log up to `seq`; `fresh`: with the next flight.
    pub fn moved(&mut self, budget: &Arc<str>, seq: i64, fresh: bool) {
        if self.cursors.len() >= CURSORS_MAX && !self.cursors.contains_key(budget) {
            // those that wait to be written must be known until they are
            let touched = &self.touched;
            self.cursors.retain(|name, _| touched.contains_key(name));
        }
        self.cursors.insert(Arc::clone(budget), seq);
        if fresh {
            self.touched.insert(Arc::clone(budget), seq);
        }
    }

    pub fn has_work(&self) -> bool {
        !self.closed.is_empty()
            || self.builder.pending() > 0
            || !self.ids.is_empty()
            || (self.sign && self.durable.frontier.size() > self.durable.signed_size())
            || self.close_month
    }

    pub fn is_idle(&self) -> bool {
        !self.flying && !self.has_work() && self.waiting.is_empty()
    }

    /// Takes all that waits, as one flight.
    pub fn take(
        &mut self,
        account: &str,
        (key, now_us): (&SigningKey, i64),
    ) -> Result<Option<Flight>, Fault> {
        if self.flying || !self.has_work() {
            // whoever waits for what is durable already has its answer
            if !self.flying {
                for reply in self.waiting.drain(..) {
                    reply.send(Ok(Appended { size: self.durable.frontier.size() }));
                }
            }
            return Ok(None);
        }
        self.closed.extend(self.builder.take());
        let mut after = self.durable.clone();
        let mut puts = Vec::new();
        let mut records = 0;
        for block in self.closed.drain(..) {
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
        let sign = std::mem::take(&mut self.sign);
        let close_month = std::mem::take(&mut self.close_month);
        let unsigned = after.frontier.size() > after.signed_size();
        if (sign && unsigned) || (close_month && after.frontier.size() > 0) {
            puts.extend(after.sign(account, (key, now_us), close_month)?.map(Put::from));
        }
        for (budget, seq) in std::mem::take(&mut self.touched) {
            let budget = budget.to_string();
            puts.push(AuditCursorRow { account: account.to_owned(), budget, seq }.into());
        }
        let ids = std::mem::take(&mut self.ids);
        let gone = ids.iter().map(|id| Gone::AuditPending { id: id.clone() }).collect();
        let replies = std::mem::take(&mut self.waiting);
        self.flying = true;
        Ok(Some(Flight { puts, gone, after, replies, ids, records }))
    }

    /// A flight is durable.
    pub fn landed(&mut self, flight: Flight) {
        let size = flight.after.frontier.size();
        self.durable = flight.after;
        self.flying = false;
        for id in &flight.ids {
            self.taken.remove(id);
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
