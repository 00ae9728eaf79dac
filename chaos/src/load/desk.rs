//! Where clients send operations: each is written down before it is sent and when it was told, counted, and read by the
//! documented API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answers;
use super::http::{Http, Request};
use super::journal::{Closed, Journal};
use super::kind::Kind;
use super::live::Live;
use super::random::Stream;
use super::venue::Venue;
use crate::history::{Answer, IN_PROGRESS, Op, Outcome};

#[derive(Clone)]
pub struct Desk {
    pub http: Http,
    pub journal: Journal,
    pub live: Arc<Live>,
    /// What is wrong with the exchange.
    pub venue: Arc<Venue>,
    /// As in [`super::Urls::spread`].
    pub spread: bool,
}

/// What a client was told.
pub struct Told {
    pub outcome: Outcome,
    pub body: Vec<u8>,
}

impl Told {
    pub fn done(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Done { answer, .. } => Some(answer),
            _ => None,
        }
    }
}

/// How an operation is sent again under its key: drawn before it is sent, so that no answer changes what is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Again {
    /// The wait before each try, and whether it goes to another address.
    tries: Vec<(Duration, bool)>,
    /// Also where nothing was done: a settle that was refused for now is still owed.
    pub owed: bool,
}

impl Again {
    pub fn draw(stream: &mut Stream, tries: u32, elsewhere: f64) -> Again {
        let wait = |n: u32| Duration::from_millis(100 << n.min(4));
        let tries =
            (0..tries).map(|n| (wait(n) + stream.within(wait(n)), stream.chance(elsewhere)));
        Again { tries: tries.collect(), owed: false }
    }

    pub fn owed(mut self) -> Again {
        self.owed = true;
        self
    }

    fn wants(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Unknown { .. } => true,
            Outcome::Unavailable { .. } => self.owed,
            // What became of the other one is not known yet: whoever owes it asks again.
            Outcome::Refused { reason, .. } if &**reason == IN_PROGRESS => self.owed,
            Outcome::Done { .. } | Outcome::Refused { .. } | Outcome::Wrong { .. } => false,
        }
    }
}

impl Desk {
    /// Sends one operation.
    ///
    /// # Errors
    /// The history cannot be written any more.
    pub async fn call(
        &self,
        client: u32,
        via: &str,
        op: Op,
        request: &Request,
    ) -> Result<Told, Closed> {
        let kind = Kind::of(&op);
        let id = self.journal.invoke(client, via, op.clone()).await?;
        let began = Instant::now();
        let told = self.http.send(via, request).await;
        let took = began.elapsed();
        let outcome = answers::outcome(&op, &told);
        self.live.ended(kind, &outcome, took);
        self.journal.complete(id, outcome.clone()).await?;
        Ok(Told { outcome, body: told.map(|reply| reply.body).unwrap_or_default() })
    }

    /// The address that a client begins with.
    pub fn first<'a>(&self, client: u32, addresses: &'a [String]) -> &'a str {
        addresses.get(self.own(client, addresses)).map_or("", String::as_str)
    }

    fn own(&self, client: u32, addresses: &[String]) -> usize {
        if self.spread { client as usize % addresses.len().max(1) } else { 0 }
    }

    /// Sends it, and again under the same key while nobody knows what became of it. Each try is an operation of its
    /// own in the history.
    ///
    /// # Errors
    /// The history cannot be written any more.
    pub async fn insist(
        &self,
        client: u32,
        addresses: &[String],
        op: &Op,
        request: &Request,
        again: &Again,
    ) -> Result<Told, Closed> {
        let own = self.own(client, addresses);
        let address = |n: usize| {
            let at = (own + n) % addresses.len().max(1);
            addresses.get(at).map_or("", String::as_str)
        };
        let mut told = self.call(client, address(0), op.clone(), request).await?;
        for (n, (wait, elsewhere)) in again.tries.iter().enumerate() {
            if !again.wants(&told.outcome) {
                break;
            }
            tokio::time::sleep(*wait).await;
            let at =
                if *elsewhere && addresses.len() > 1 { 1 + n % (addresses.len() - 1) } else { 0 };
            told = self.call(client, address(at), op.clone(), request).await?;
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_asked_again_while_the_same_is_being_worked_on() {
        let bare = Again { tries: Vec::new(), owed: false };
        let refused = |reason: &str| Outcome::Refused { status: 409, reason: reason.into() };
        assert!(bare.clone().owed().wants(&refused(IN_PROGRESS)));
        assert!(!bare.wants(&refused(IN_PROGRESS)));
        assert!(!bare.owed().wants(&refused("hold_over")));
    }
}
