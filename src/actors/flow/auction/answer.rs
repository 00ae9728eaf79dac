//! What a bid request is answered with.

use std::fmt::Display;

use super::office::Office;
use crate::clock;
use crate::models::flow::openrtb::{Fault, Malformed, Request, response};
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::scratch::Refused;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// HTTP 200 with this body.
    Bids(Vec<u8>),
    /// HTTP 204.
    NoBid(Reason),
    /// No bid on a test: HTTP 200 with this body, which says why.
    Explained(Reason, Vec<u8>),
    /// HTTP 400 with an empty body.
    Malformed(Malformed),
}

impl Answer {
    /// To a request that was not read.
    pub(super) fn unread(why: Malformed) -> Answer {
        why.no_bid().map_or(Answer::Malformed(why), Answer::NoBid)
    }
}

/// A request without a bid.
#[derive(Debug)]
pub(super) struct Missed {
    pub reason: Reason,
    /// Of a test that campaigns were looked at for.
    pub refused: Option<Box<Refused>>,
}

impl From<Reason> for Missed {
    fn from(reason: Reason) -> Missed {
        Missed { reason, refused: None }
    }
}

impl Missed {
    /// Who tries a test is told why: it concerns nobody's money.
    pub fn answer(self, request: &Request<'_>) -> Answer {
        let Missed { reason, refused } = self;
        if !request.is_test() {
            return Answer::NoBid(reason);
        }
        let (refused, mut body) = (refused.unwrap_or_default(), Vec::with_capacity(512));
        response::explained(&request.id, reason, refused.each(), &mut body);
        Answer::Explained(reason, body)
    }
}

impl Office {
    /// Counts what is no bid request, and now and then says what is wrong with it.
    pub fn malformed(&self, fault: Fault, why: &dyn Display, exchange: &str) {
        if let Some(many) = self.counts.malformed(fault, clock::mono_us()) {
            let fault = fault.name();
            tracing::warn!(
                fault,
                exchange,
                many,
                "a request is no bid request: {why} ({many} since the line before)"
            );
        }
    }

    /// Counts a request that was not read.
    pub(super) fn unread(&self, why: Malformed, exchange: &str) -> Answer {
        let answer = Answer::unread(why);
        match &answer {
            Answer::NoBid(reason) => self.counts.no_bid(*reason),
            _ => self.malformed(why.fault(), &why, exchange),
        }
        answer
    }
}
