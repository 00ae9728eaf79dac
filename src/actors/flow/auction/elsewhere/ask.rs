//! The node that an exchange has asked asks the others.

use std::time::Duration;

use futures_util::future::join_all;

use super::wire::{Answer, BID, Head, Offered, Verdict, WITHDRAW, question};
use crate::actors::cluster::links::LinkError;
use crate::actors::flow::auction::Office;
use crate::actors::flow::auction::bid::Call;
use crate::clock;
use crate::models::cluster::node::Incarnation;
use crate::models::flow::reason::Reason;
use crate::models::shield::money::Currency;

/// They are waited for this part of the time that is left, and no longer than so many microseconds.
const PART: i64 = 3;
const PATIENCE_MAX_US: i64 = 50_000;
/// In less nobody answers.
const PATIENCE_MIN_US: i64 = 1_000;

/// A node that was asked, and what is known of its bids.
struct Asked {
    node: Incarnation,
    /// It may have bids of which nothing is known.
    silent: bool,
    ends: Vec<(usize, Option<Reason>)>,
}

/// Bids of other nodes for a request, whose money they hold. Dropped before [`Elsewhere::go`], they are told that
/// nothing of it is bid.
pub(in crate::actors::flow::auction) struct Elsewhere<'a> {
    office: &'a Office,
    id: u64,
    question: Vec<u8>,
    patience: Duration,
    /// Impressions of the request.
    slots: usize,
    asked: Vec<Asked>,
    /// Those that are bid, and whose.
    bids: Vec<Offered>,
    of: Vec<Incarnation>,
    /// Recalls of grants before it was asked for.
    recalls: u64,
    /// Why nobody hears of them, where that is so.
    pub why: Reason,
}

/// What the others have said.
#[derive(Default)]
pub(in crate::actors::flow::auction) struct Heard {
    /// Each with whose it is, and the currency that its score is in.
    pub offers: Vec<(Incarnation, Currency, Offered)>,
    /// That came nearest to a bid, of nodes without one.
    pub reason: Option<Reason>,
    pub refused: Vec<(Reason, u32)>,
}

impl Heard {
    fn add(&mut self, node: Incarnation, answer: Answer, slots: usize) {
        self.reason = self.reason.max(answer.reason);
        self.refused.extend(answer.refused);
        let Some(common) = answer.common else { return };
        let offers = answer.offers.into_iter();
        let known = offers.filter(|it| it.slot < slots && it.score.is_finite());
        self.offers.extend(known.map(|it| (node, common, it)));
    }

    /// What bids are compared in where this node has none: whoever answered, the first of them by name says so.
    pub fn common(&self) -> Option<Currency> {
        self.offers.first().map(|(_, common, _)| *common)
    }
}

impl Office {
    /// To be asked of the others for a request of an exchange; `None`: there is nobody, or no time.
    pub(in crate::actors::flow::auction) fn elsewhere(
        &self,
        call: &Call<'_>,
        slots: usize,
    ) -> Option<Elsewhere<'_>> {
        let nodes = self.others.asked()?;
        let body = call.body?;
        let left_us = call.until_us.saturating_sub(clock::mono_us());
        let patience_us = (left_us / PART).min(PATIENCE_MAX_US);
        if patience_us < PATIENCE_MIN_US {
            return None;
        }
        let id = self.others.next_id();
        // A quarter of it is for the way there and back.
        let bid_us = patience_us - patience_us / 4;
        let head = Head { id, exchange: call.exchange.to_owned(), bid_us, left_us };
        Some(Elsewhere {
            office: self,
            id,
            question: question(&head, body)?,
            patience: Duration::from_micros(patience_us.unsigned_abs()),
            slots,
            asked: nodes
                .iter()
                .map(|node| Asked { node: *node, silent: true, ends: Vec::new() })
                .collect(),
            bids: Vec::new(),
            of: Vec::new(),
            recalls: self.ltv.recalls(),
            why: Reason::Deadline,
        })
    }
}

impl Elsewhere<'_> {
    /// Asks all at a time. Who does not answer in time is left out.
    pub async fn heard(&mut self) -> Heard {
        let links = self.office.shield.placement().links();
        let (question, patience) = (std::mem::take(&mut self.question), self.patience);
        let asks = self.asked.iter().map(|asked| {
            let (node, question) = (asked.node, question.clone());
            async move { links.ask(node, BID, question, patience).await }
        });
        let answers = join_all(asks).await;
        let mut heard = Heard::default();
        for (asked, answer) in self.asked.iter_mut().zip(answers) {
            let read = |bytes: Vec<u8>| {
                serde_json::from_slice::<Answer>(&bytes).map_err(|error| {
                    tracing::warn!(%error, node = %asked.node, "bids of another node cannot be read");
                    LinkError::Silent
                })
            };
            match answer.and_then(read) {
                Ok(answer) => {
                    asked.silent = false;
                    heard.add(asked.node, answer, self.slots);
                }
                Err(error) => {
                    asked.silent = !error.is_untouched();
                    tracing::debug!(%error, node = %asked.node, "no bids of node {}", asked.node);
                }
            }
        }
        heard
    }

    /// What was decided of all that was heard, in its order.
    pub fn take(&mut self, heard: Heard, ends: &[Option<Reason>]) {
        for ((node, _, offered), end) in heard.offers.into_iter().zip(ends) {
            self.end(node, offered.slot, *end);
            if end.is_none() {
                self.bids.push(offered);
                self.of.push(node);
            }
        }
    }

    fn end(&mut self, node: Incarnation, slot: usize, end: Option<Reason>) {
        let Some(asked) = self.asked.iter_mut().find(|asked| asked.node == node) else { return };
        match asked.ends.iter_mut().find(|(of, _)| *of == slot) {
            Some(known) => known.1 = end,
            None => asked.ends.push((slot, end)),
        }
    }

    /// Those that are bid.
    pub fn bids(&self) -> &[Offered] {
        &self.bids
    }

    /// CO-1: takes out what was decided by grants that were recalled since it was asked for; how many.
    pub fn drop_revoked(&mut self) -> u32 {
        let (office, recalls) = (self.office, self.recalls);
        let stands = |it: &Offered| {
            it.granted == 0
                || (office.shield.serves() && !office.ltv.recalled_since(it.granted, recalls))
        };
        let mut many = 0;
        while let Some(at) = self.bids.iter().position(|bid| !stands(bid)) {
            let (bid, node) = (self.bids.remove(at), self.of.remove(at));
            self.end(node, bid.slot, Some(Reason::Consent));
            many += 1;
        }
        many
    }

    /// The answer leaves: each hears what of its bids is in it.
    pub fn go(mut self) {
        self.tell(Reason::Outbid);
        self.asked.clear();
    }

    fn tell(&mut self, otherwise: Reason) {
        let links = self.office.shield.placement().links();
        for asked in &mut self.asked {
            if !asked.silent && asked.ends.is_empty() {
                continue;
            }
            let otherwise = if asked.silent { Reason::Deadline } else { otherwise };
            let verdict = Verdict { id: self.id, ends: std::mem::take(&mut asked.ends), otherwise };
            let told = serde_json::to_vec(&verdict).map_err(|_| LinkError::Away);
            if let Err(error) = told.and_then(|body| links.tell(asked.node, WITHDRAW, body)) {
                // Its holds end by their time.
                tracing::debug!(%error, node = %asked.node, "node {} hears not what is bid", asked.node);
            }
        }
    }
}

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        // All that is known of them is that none is bid.
        for asked in &mut self.asked {
            asked.ends.iter_mut().for_each(|(_, end)| *end = end.or(Some(self.why)));
        }
        self.tell(self.why);
    }
}
