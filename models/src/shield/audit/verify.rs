//! Verification of a log as a fold: the caller feeds stored heads and blocks, and gets a [`Report`].
//!
//! What can be known: heads in the store prove that nothing was changed by somebody without the
//! signing key. Somebody with the key can write another log with fresh heads; only heads that were
//! exported before show that. That the beginning is gone is retention where the key has signed for
//! it, and a deletion otherwise. Records after the last head are not signed for by anybody: how many
//! these are is in the report.

use std::collections::{BTreeMap, VecDeque};

use super::block::Block;
use super::head::{BadSignature, Keys, SignedHead};
use super::heads::authenticate;
use super::merkle::{Frontier, Hash, leaf_hash};
use super::month::Month;
use super::record::{Brief, Outcome};
use super::report::{FINDINGS_MAX, Finding, Origin, Report};

/// How much later than a month's end its last records may have come into the log: after an outage
/// over a month's end they are read from the ledger. Clocks of two machines differ by less.
const LATE_US: i64 = 3 * 86_400_000_000;

/// The head that the next one must name.
#[derive(Clone, Copy, Debug)]
struct Link {
    hash: Hash,
    size: u64,
    at_us: i64,
}

/// An exported head that the log is held against.
#[derive(Clone, Copy, Debug)]
struct Mark {
    size: u64,
    root: Hash,
    /// The head must be among the stored ones.
    wanted: bool,
    agreed: bool,
}

/// The state of a verification. Feed [`Verifier::heads`] ahead of the blocks that reach them (all at
/// once, or in pages), [`Verifier::block`] in the order of the store, then [`Verifier::finish`].
#[derive(Debug)]
pub struct Verifier {
    account: String,
    keys: Keys,
    frontier: Frontier,
    first: u64,
    /// The number and first record of the block to come; after retention any number will do.
    next: (Option<u64>, u64),
    month: Option<Month>,
    /// The kept head from which on the log is there, until it was met among the stored ones.
    start: Option<Link>,
    last: Link,
    /// Size and root of stored heads that the blocks have not reached.
    pending: VecDeque<(u64, Hash)>,
    exported: Vec<Mark>,
    exported_at: usize,
    /// Place in `exported` by the head's hash.
    places: BTreeMap<Hash, usize>,
    /// The next size at which a head is to be compared.
    stop: u64,
    /// Sizes of the last stored and the last exported head that agreed.
    good: (u64, u64),
    /// A stored and an exported head did not agree: then none after it will.
    differs: (bool, bool),
    /// Only months that ended before this moment may be dropped.
    over_us: i64,
    report: Report,
}

impl Verifier {
    /// A verification of one account's log. `start` is the kept head, with its frontier and its cut, of
    /// the last month that retention dropped; `exported` are heads from outside, in any order (those of other
    /// accounts are passed over).
    pub fn new(
        account: &str,
        start: Option<&SignedHead>,
        exported: Vec<SignedHead>,
        keys: Keys,
    ) -> Verifier {
        let origin = Link { hash: Hash::ZERO, size: 0, at_us: i64::MIN };
        let report = Report {
            account: account.to_owned(),
            first: 0,
            dropped: None,
            records: 0,
            blocks: 0,
            heads: 0,
            exported: 0,
            exported_before_first: 0,
            size: 0,
            root: Hash::ZERO,
            unsigned: 0,
            findings: Vec::new(),
            findings_total: 0,
            verified: false,
        };
        let mut verifier = Verifier {
            account: account.to_owned(),
            keys,
            frontier: Frontier::new(),
            first: 0,
            next: (Some(0), 0),
            month: None,
            start: None,
            last: origin,
            pending: VecDeque::new(),
            exported: Vec::new(),
            exported_at: 0,
            places: BTreeMap::new(),
            stop: 0,
            good: (0, 0),
            differs: (false, false),
            over_us: i64::MAX,
            report,
        };
        if let Some(start) = start {
            verifier.start_at(start);
        }
        verifier.take_exported(exported);
        verifier.compare();
        verifier
    }

    /// Records of this time (micros since the epoch) and later had to be kept.
    pub fn kept_since(&mut self, since_us: i64) {
        self.over_us = self.over_us.min(since_us.saturating_add(LATE_US));
    }

    /// Takes stored heads in the order in which they were signed. Those before the kept head of the
    /// start may be among them.
    pub fn heads(&mut self, page: &[SignedHead]) {
        let words = authenticate(page, &self.keys);
        for (head, (hash, word)) in page.iter().zip(words) {
            self.head(head, hash, word);
        }
        self.compare();
    }

    /// Takes the next block.
    pub fn block(&mut self, block: &Block) {
        self.report.blocks += 1;
        let (number, first) = self.next;
        if number.is_some_and(|number| number != block.number) || first != block.first {
            self.found(Finding::BlockOrder {
                expected: number.unwrap_or(block.number),
                expected_first: first,
                found: block.number,
                first: block.first,
            });
        }
        self.next = (Some(block.number.saturating_add(1)), block.end());
        let mut facts = Facts::default();
        let mut count = 0;
        for line in block.lines() {
            match Brief::parse(line) {
                Ok(brief) => facts.add(&brief),
                Err(_) => {
                    let record = block.first.saturating_add(count);
                    self.found(Finding::Malformed { block: block.number, record });
                }
            }
            self.frontier.push(leaf_hash(line.as_bytes()));
            count += 1;
            if self.frontier.size() == self.stop {
                self.compare();
            }
        }
        self.report.records += count;
        let (number, first) = (block.number, block.first);
        if count != u64::from(block.count) {
            let stated = block.count;
            self.found(Finding::LineCount { block: number, first, stated, found: count });
        }
        if !facts.are_those_of(block, self.month, self.first > 0) {
            self.found(Finding::BlockFacts { block: number, first });
        }
        self.month = self.month.max(Some(block.month));
    }

    /// The end: size and root are those that the store says of the log.
    pub fn finish(mut self, stated: u64, stated_root: Hash) -> Report {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        self.truncated(Origin::Stored, size, self.pending.iter().map(|head| head.0).collect());
        let beyond = self.exported.get(self.exported_at..).unwrap_or_default();
        self.truncated(Origin::Exported, size, beyond.iter().map(|mark| mark.size).collect());
        if let Some(month) = self.report.dropped.filter(|month| month.end_us() > self.over_us) {
            self.found(Finding::DroppedEarly { size: self.first, month });
        }
        // What was rewritten or cut off is said already.
        let gone = || self.exported.iter().filter(|mark| mark.wanted && mark.agreed);
        if let Some(mark) = gone().next() {
            let (size, heads) = (mark.size, gone().count() as u64);
            self.found(Finding::HeadGone { size, heads });
        }
        if (size, root) != (stated, stated_root) {
            self.found(Finding::LogRow { size, stated });
        }
        Report {
            first: self.first,
            size,
            root,
            unsigned: size.saturating_sub(self.good.0),
            verified: self.report.findings_total == 0,
            ..self.report
        }
    }

    fn start_at(&mut self, start: &SignedHead) {
        let (size, hash) = (start.head.size, start.hash());
        let frontier = start.frontier.as_ref();
        match frontier.filter(|f| f.size() == size && f.root() == start.head.root) {
            Some(frontier) => self.frontier = frontier.clone(),
            None => self.found(Finding::BadStart { size }),
        }
        if start.head.account != self.account {
            self.found(Finding::ForeignHead { size, account: start.head.account.clone() });
        }
        if let Err(why) = start.verify(&self.keys) {
            self.unsigned(Origin::Stored, start, why);
        }
        match &start.cut {
            None => self.found(Finding::DroppedWithoutCut { size }),
            Some(cut) if cut.verify(&hash, &self.keys).is_ok() => {
                self.report.dropped = Some(cut.month);
                self.over_us = cut.at_us;
            }
            Some(_) => self.found(Finding::BadCut { size }),
        }
        self.first = self.frontier.size();
        self.next = (if self.first > 0 { None } else { Some(0) }, self.first);
        self.good = (self.first, self.first);
        self.last = Link { hash, size, at_us: start.head.at_us };
        self.start = Some(self.last);
    }

    fn take_exported(&mut self, mut heads: Vec<SignedHead>) {
        heads.retain(|head| head.head.account == self.account);
        heads.sort_by_key(|head| (head.head.size, head.head.at_us));
        let words = authenticate(&heads, &self.keys);
        let dropped = self.report.dropped;
        let over_us = dropped.map_or(i64::MAX, |month| month.end_us().saturating_add(LATE_US));
        let mut younger = 0;
        for (signed, (hash, word)) in heads.iter().zip(words) {
            let (size, root) = (signed.head.size, signed.head.root);
            match word {
                Err(why) => self.unsigned(Origin::Exported, signed, why),
                Ok(()) if size < self.first => {
                    self.report.exported_before_first += 1;
                    younger += u64::from(signed.head.at_us >= over_us);
                }
                Ok(()) if self.places.contains_key(&hash) => (),
                Ok(()) => {
                    self.places.insert(hash, self.exported.len());
                    let wanted = self.start.is_none_or(|start| signed.head.at_us > start.at_us);
                    self.exported.push(Mark { size, root, wanted, agreed: false });
                    self.report.exported += 1;
                }
            }
        }
        if let Some(month) = dropped.filter(|_| younger > 0) {
            self.found(Finding::DroppedYounger { size: self.first, month, heads: younger });
        }
    }

    fn head(&mut self, signed: &SignedHead, hash: Hash, word: Result<(), BadSignature>) {
        self.report.heads += 1;
        let head = &signed.head;
        if head.account != self.account {
            let account = head.account.clone();
            return self.found(Finding::ForeignHead { size: head.size, account });
        }
        // What nobody signed says nothing, and the chain goes on without it.
        if let Err(why) = word {
            return self.unsigned(Origin::Stored, signed, why);
        }
        if let Some(mark) = self.places.get(&hash).and_then(|at| self.exported.get_mut(*at)) {
            mark.wanted = false;
        }
        let link = Link { hash, size: head.size, at_us: head.at_us };
        if let Some(start) = self.start {
            if link.hash == start.hash {
                self.start = None;
                return;
            }
            if link.size <= start.size && link.at_us <= start.at_us {
                return;
            }
            self.start = None;
        }
        let (last, after) = (self.last, self.last.size);
        let back = link.size < last.size || link.at_us < last.at_us || link.hash == last.hash;
        // A head that comes after the blocks that it should be held against is as good as none.
        if back || link.size < self.frontier.size() {
            return self.found(Finding::HeadReplayed { size: link.size, after });
        }
        if head.prev != last.hash {
            self.found(Finding::HeadChain { size: link.size, after });
        }
        self.last = link;
        self.pending.push_back((link.size, head.root));
    }

    /// Holds the tree as it is now against the heads of this size.
    fn compare(&mut self) {
        let size = self.frontier.size();
        let (pending, exported) = (self.pending.front(), self.exported.get(self.exported_at));
        let due = pending.is_some_and(|head| head.0 <= size)
            || exported.is_some_and(|mark| mark.size <= size);
        let root = if due { self.frontier.root() } else { Hash::ZERO };
        while let Some((_, signed)) = self.pending.pop_front_if(|head| head.0 <= size) {
            if signed == root {
                self.good.0 = size;
            } else if !self.differs.0 {
                self.differs.0 = true;
                self.found(Finding::RootDiffers { size, after: self.good.0 });
            }
        }
        while let Some(mark) = self.exported.get_mut(self.exported_at)
            && mark.size <= size
        {
            self.exported_at += 1;
            mark.agreed = mark.root == root;
            if mark.agreed {
                self.good.1 = size;
            } else if !self.differs.1 {
                self.differs.1 = true;
                self.found(Finding::Rewritten { size, after: self.good.1 });
            }
        }
        let stored = self.pending.front().map_or(u64::MAX, |head| head.0);
        let exported = self.exported.get(self.exported_at).map_or(u64::MAX, |mark| mark.size);
        self.stop = stored.min(exported);
    }

    fn truncated(&mut self, origin: Origin, size: u64, beyond: Vec<u64>) {
        if let Some(reached) = beyond.iter().copied().max() {
            let heads = beyond.len() as u64;
            self.found(Finding::Truncated { origin, size, reached, heads });
        }
    }

    fn unsigned(&mut self, origin: Origin, signed: &SignedHead, why: BadSignature) {
        let (size, key_id) = (signed.head.size, signed.key_id.clone());
        self.found(match why {
            BadSignature::UnknownKey => Finding::UnknownKey { origin, size, key_id },
            BadSignature::Signature => Finding::BadSignature { origin, size },
        });
    }

    fn found(&mut self, finding: Finding) {
        self.report.findings_total += 1;
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding);
        }
    }
}

/// What a block's row must say of its lines. The tree does not cover it: it is worked out again.
#[derive(Default)]
struct Facts<'a> {
    times: Option<(i64, i64)>,
    counts: BTreeMap<(&'a str, Outcome), u64>,
    persons: Vec<&'a str>,
}

impl<'a> Facts<'a> {
    fn add(&mut self, brief: &Brief<'a>) {
        let (from, to) = self.times.unwrap_or((brief.at_us, brief.at_us));
        self.times = Some((from.min(brief.at_us), to.max(brief.at_us)));
        let count = self.counts.entry((brief.event, brief.outcome)).or_default();
        *count = count.saturating_add(brief.count);
        self.persons.extend(brief.person);
    }

    /// The month of the block before is not known where retention has dropped it.
    fn are_those_of(mut self, block: &Block, before: Option<Month>, dropped: bool) -> bool {
        self.persons.sort_unstable();
        self.persons.dedup();
        let latest = self.times.and_then(|(_, to)| Month::of(to).ok());
        let month = match before {
            None if dropped => latest <= Some(block.month),
            before => before.max(latest) == Some(block.month),
        };
        let counts = self.counts.into_iter().map(|((event, outcome), n)| (event, outcome, n));
        month
            && self.times == Some((block.at_from, block.at_to))
            && counts.eq(block.summary.iter().map(|(event, o, n)| (event.as_str(), o, n)))
            && self.persons.into_iter().eq(block.persons.iter().map(String::as_str))
    }
}
