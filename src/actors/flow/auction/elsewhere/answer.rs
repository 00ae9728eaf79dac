//! A node that another one asks.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::wire::{Answer, BID, Head, RUNNING, Verdict, WITHDRAW, read};
use crate::actors::cluster::links::LinkError;
use crate::actors::flow::auction::Office;
use crate::actors::flow::auction::bid::Call;
use crate::clock;
use crate::models::cluster::node::Incarnation;
use crate::models::flow::openrtb::Request;
use crate::models::flow::reason::Reason;

/// How much longer than the exchange the verdict is waited for. After that the bids are taken to be made: whoever
/// asked may have told of them, and their money is held until their time is over.
const GRACE: Duration = Duration::from_millis(500);

/// Whoever waits for a verdict, until it does not.
struct Waits<'a>(&'a Office, (Incarnation, u64));

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.others.waits_no_more(self.1);
    }
}

fn micros(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

impl Office {
    /// From now on other nodes are answered.
    pub fn answers(self: &Arc<Office>) {
        let links = self.shield.placement().links();
        let of = Arc::downgrade(self);
        links.answer(
            BID,
            Arc::new(move |from: Incarnation, body: Vec<u8>| {
                let answer = bids(Weak::clone(&of), from, body);
                Box::pin(answer) as BoxFuture<'static, Result<Vec<u8>, LinkError>>
            }),
        );
        let of = Arc::downgrade(self);
        links.answer_with(WITHDRAW, move |from, verdict: Verdict| {
            if let Some(office) = of.upgrade() {
                office.others.verdict(from, verdict);
            }
            std::future::ready(Ok(()))
        });
        let of = Arc::downgrade(self);
        links.answer_with(RUNNING, move |from, runs: usize| {
            if let Some(office) = of.upgrade() {
                office.others.heard(from, runs);
            }
            std::future::ready(Ok(()))
        });
    }

    /// Bids on a request that another node was asked, and waits for what becomes of it. `tell`: the answer.
    async fn bid_for(
        self: Arc<Office>,
        from: Incarnation,
        question: Vec<u8>,
        tell: oneshot::Sender<Result<Answer, LinkError>>,
    ) {
        let began_us = clock::mono_us();
        let (head, body) = match read(&question) {
            Ok(read) => read,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let Head { id, exchange, bid_us, left_us } = head;
        let Some(verdict) = self.others.waits((from, id), self.terms.running_max) else {
            return drop(tell.send(Err(LinkError::Refused("too many bids wait".to_owned()))));
        };
        let _waits = Waits(&self, (from, id));
        // Whoever asks has read it.
        let request = match Request::parse(body, &self.terms.limits) {
            Ok(request) => request,
            Err(error) => return drop(tell.send(Err(LinkError::NotUnderstood(error.to_string())))),
        };
        let until_us = began_us.saturating_add(bid_us);
        let call = Call { exchange: &exchange, began_us, until_us, body: None };
        let mut ready = match self.readied(&request, &call).await {
            Ok(ready) => ready,
            Err(missed) => {
                let refused = missed.refused.map(|refused| refused.each().collect());
                let refused = refused.unwrap_or_default();
                let reason = Some(missed.reason);
                return drop(tell.send(Ok(Answer { reason, refused, ..Answer::default() })));
            }
        };
        let Ok(offers) = self.offers(&ready) else {
            ready.why = Reason::Creative;
            let reason = Some(Reason::Creative);
            return drop(tell.send(Ok(Answer { reason, ..Answer::default() })));
        };
        let answer = Answer { common: ready.common, offers, ..Answer::default() };
        // Where nobody waits for it any more, it is given back.
        if tell.send(Ok(answer)).is_err() || ready.auction.test {
            return;
        }
        let patience = micros(left_us) + GRACE;
        if let Ok(Ok(verdict)) = tokio::time::timeout(patience, verdict).await {
            let refused = ready.part(|_, won| verdict.of(won.slot));
            self.counts.refused(&refused);
        }
        ready.go();
    }
}

async fn bids(of: Weak<Office>, from: Incarnation, body: Vec<u8>) -> Result<Vec<u8>, LinkError> {
    let ends = || LinkError::Refused("the node ends".to_owned());
    let office = of.upgrade().ok_or_else(ends)?;
    let (tell, told) = oneshot::channel();
    // It goes on when this has answered.
    tokio::spawn(office.bid_for(from, body, tell));
    let answer = told.await.map_err(|_| ends())??;
    serde_json::to_vec(&answer).map_err(|_| LinkError::Silent)
}
