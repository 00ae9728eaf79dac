//! Several requests that are answered together.
//!
//! One after the other: who is in several of them (the places of one page) is not shown more than the caps
//! allow, and the last money of a budget is promised once. The nearest time limit counts for all, as no
//! answer leaves before the last one; nor is any bid told of before: who hangs up until then leaves nothing
//! held.

use std::time::Duration;

use super::answer::Answer;
use super::bid::Call;
use super::office::Office;
use super::ready::Ready;
use crate::clock;
use crate::models::flow::openrtb::{Malformed, Request};
use crate::models::flow::reason::Reason;

/// Bodies of this many bytes take so long to read that others have their turn in between.
const LARGE_BYTES: usize = 64 << 10;

/// How a batch is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTerms {
    /// All of them bid, or none does.
    pub atomic: bool,
    /// Bytes that the answers may have together.
    pub answers_max: usize,
}

type Read<'b> = Result<Request<'b>, Malformed>;

impl Office {
    /// Answers bid requests of an exchange in their order; `began_us` and `tmax` as of one. Of an atomic batch in which one
    /// cannot bid, the others are answered with [`Reason::Withheld`], and nothing is left of their bids: no
    /// hold, and no count or record but of that reason.
    pub async fn bid_batch(
        &self,
        bodies: &[impl AsRef<[u8]>],
        exchange: &str,
        terms: BatchTerms,
        (began_us, tmax): (i64, Option<Duration>),
    ) -> Vec<Answer> {
        let mut all: Vec<Read<'_>> = Vec::with_capacity(bodies.len());
        for body in bodies {
            let body = body.as_ref();
            self.counts.request();
            let read = Request::parse(body, &self.terms.limits);
            if let Err(why) = &read {
                self.keep_unread(body, *why, began_us);
            }
            all.push(read);
            if body.len() >= LARGE_BYTES {
                tokio::task::yield_now().await;
            }
        }
        let times = all.iter().flatten().map(|it| self.until_us(it, began_us, tmax));
        let until_us = times.min().unwrap_or(began_us);
        let call = |body| Call { exchange, began_us, until_us, body: Some(body) };
        let calls: Vec<Call<'_>> = bodies.iter().map(|body| call(body.as_ref())).collect();
        let answers = match terms.atomic {
            true => self.all_or_none(&all, terms, &calls).await,
            false => self.each(&all, terms, &calls).await,
        };
        for answer in &answers {
            match answer {
                Answer::NoBid(reason) => self.counts.no_bid(*reason),
                Answer::Malformed(why) => self.malformed(why.fault(), why, exchange),
                Answer::Explained(reason, _) => self.counts.no_bid(*reason),
                Answer::Bids(_) => {}
            }
        }
        answers
    }

    async fn each(&self, all: &[Read<'_>], terms: BatchTerms, calls: &[Call<'_>]) -> Vec<Answer> {
        let mut answers: Vec<Result<Ready<'_>, Answer>> = Vec::with_capacity(all.len());
        let mut room = terms.answers_max;
        for (read, call) in all.iter().zip(calls) {
            let request = match read {
                Ok(request) => request,
                Err(malformed) => {
                    answers.push(Err(Answer::unread(*malformed)));
                    continue;
                }
            };
            let ready = self.readied(request, call).await;
            let fits = ready.map_err(|missed| missed.reason).and_then(|mut ready| {
                if clock::mono_us() >= call.until_us {
                    return Err(Reason::Deadline);
                }
                let Some(left) = room.checked_sub(ready.bytes.len()) else {
                    ready.why = Reason::Overloaded;
                    return Err(Reason::Overloaded);
                };
                room = left;
                Ok(ready)
            });
            answers.push(fits.map_err(Answer::NoBid));
        }
        // Nothing is waited for from here on: all that were ready in time go.
        let told = |one: Result<Ready<'_>, Answer>| match one {
            Ok(ready) => Answer::Bids(ready.go()),
            Err(answer) => answer,
        };
        answers.into_iter().map(told).collect()
    }

    async fn all_or_none(
        &self,
        all: &[Read<'_>],
        terms: BatchTerms,
        calls: &[Call<'_>],
    ) -> Vec<Answer> {
        let mut ready = match self.all_ready(all, calls).await {
            Ok(ready) => ready,
            Err(missed) => {
                let none =
                    |(at, (read, call)): (usize, (&Read<'_>, &Call<'_>))| match (read, missed) {
                        (Err(malformed), _) => Answer::unread(*malformed),
                        (Ok(_), Some((of, reason))) if of == at => Answer::NoBid(reason),
                        (Ok(request), _) => {
                            // Those before it were asked: each of their bids says that it was withheld.
                            if missed.is_none_or(|(of, _)| of < at) {
                                self.keep_unlooked(request, Reason::Withheld, call);
                            }
                            Answer::NoBid(Reason::Withheld)
                        }
                    };
                return all.iter().zip(calls).enumerate().map(none).collect();
            }
        };
        let bytes: usize = ready.iter().map(|ready| ready.bytes.len()).sum();
        let none = |reason| all.iter().map(|_| Answer::NoBid(reason)).collect();
        let is_late = |call: &Call<'_>| clock::mono_us() >= call.until_us;
        if calls.first().is_some_and(is_late) {
            return none(Reason::Deadline);
        }
        if bytes > terms.answers_max {
            ready.iter_mut().for_each(|ready| ready.why = Reason::Overloaded);
            return none(Reason::Overloaded);
        }
        // Nothing is waited for from here on: all of them go.
        ready.into_iter().map(|ready| Answer::Bids(ready.go())).collect()
    }

    /// All of them with their bids, or which one has none, if it can be read. What was held meanwhile is
    /// given back.
    async fn all_ready<'a>(
        &'a self,
        all: &'a [Read<'_>],
        calls: &[Call<'_>],
    ) -> Result<Vec<Ready<'a>>, Option<(usize, Reason)>> {
        // Before any money is held.
        if all.iter().any(Result::is_err) {
            return Err(None);
        }
        let mut ready = Vec::with_capacity(all.len());
        for (at, (request, call)) in all.iter().flatten().zip(calls).enumerate() {
            match self.readied(request, call).await {
                Ok(one) => ready.push(one),
                Err(missed) => {
                    ready.iter_mut().for_each(|one: &mut Ready<'_>| one.why = Reason::Withheld);
                    return Err(Some((at, missed.reason)));
                }
            }
        }
        Ok(ready)
    }
}
