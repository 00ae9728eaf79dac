//! Imports with a key. One key is one request, whichever node it comes to: the account's home says whose it is, before
//! anything is taken, and takes nothing under a key that is another request's. What it knows of that is in its memory:
//! a request claims its key again as it goes on, so that a new home knows it soon, and whoever comes first there has
//! it. Which answer is kept, the store decides (`import::keep`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{Asked, ask_home, not_here};
use crate::actors::cluster::links::LinkError;
use crate::actors::value::service::{Result, ValueError};
use crate::actors::value::shared::{Shared, home_of};
use crate::clock;

pub const KIND: &str = "value.claim_import";
/// A claim of which nothing is heard ends after this: its node has gone.
const KEPT_US: i64 = 10_000_000;
/// How often a request that goes on says so.
const AGAIN: Duration = Duration::from_secs(2);
/// Claims that a home keeps.
const CLAIMS_MAX: usize = 16_384;
/// A home keeps as many as it may.
const FULL: ValueError = ValueError::Overloaded { retry_after_ms: 1_000 };

/// One request's claim of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub account: String,
    /// The key, as it is stored.
    pub import: String,
    /// Which of the requests with it.
    request: u64,
}

#[derive(Serialize, Deserialize)]
pub struct Question {
    claim: Claim,
    /// The request has come to its end.
    ended: bool,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Yours,
    Anothers,
    Full,
}

impl Said {
    /// Whether the request may go on.
    pub fn allowed(self) -> Result<()> {
        match self {
            Said::Yours => Ok(()),
            Said::Anothers => Err(ValueError::Claimed),
            Said::Full => Err(FULL),
        }
    }
}

/// Claims of the accounts that are at home here.
#[derive(Default)]
pub struct Claims(Mutex<HashMap<(String, String), Kept>>);

struct Kept {
    request: u64,
    until_us: i64,
    /// The request has ended: a claim of it that was overtaken on its way counts no more.
    ended: bool,
}

impl Claims {
    /// Whether the key is this request's, from here on or still.
    pub fn claim(&self, claim: &Claim) -> Said {
        self.claim_at(claim, clock::mono_us())
    }

    fn claim_at(&self, claim: &Claim, now_us: i64) -> Said {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (claim.account.clone(), claim.import.clone());
        let kept =
            Kept { request: claim.request, until_us: now_us.saturating_add(KEPT_US), ended: false };
        match all.get_mut(&key) {
            // Of one that has ended nobody waits for the answer; any other may have the key.
            Some(known)
                if known.ended == (known.request == claim.request) && known.until_us > now_us =>
            {
                return Said::Anothers;
            }
            Some(known) => {
                *known = kept;
                return Said::Yours;
            }
            None => {}
        }
        if all.len() >= CLAIMS_MAX {
            all.retain(|_, kept| kept.until_us > now_us && !kept.ended);
            if all.len() >= CLAIMS_MAX {
                return Said::Full;
            }
        }
        all.insert(key, kept);
        Said::Yours
    }

    fn end(&self, claim: &Claim) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (claim.account.clone(), claim.import.clone());
        if all.get(&key).is_some_and(|kept| kept.request == claim.request) {
            all.remove(&key);
        }
    }

    /// The same of a request of another node, whose claim may come after it.
    fn ended_at(&self, claim: &Claim, now_us: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until_us = now_us.saturating_add(KEPT_US);
        let key = (claim.account.clone(), claim.import.clone());
        let room = all.len() < CLAIMS_MAX;
        match all.get_mut(&key) {
            Some(kept) if kept.request == claim.request => {
                (kept.ended, kept.until_us) = (true, until_us);
            }
            Some(_) => {}
            None if room => {
                all.insert(key, Kept { request: claim.request, until_us, ended: true });
            }
            None => {}
        }
    }

    fn hear(&self, question: &Question) -> Said {
        if question.ended {
            self.ended_at(&question.claim, clock::mono_us());
            return Said::Yours;
        }
        self.claim(&question.claim)
    }
}

/// A key that is this request's, until it is dropped.
pub struct Claimed {
    claim: Claim,
    shared: Arc<Shared>,
    /// Says that the request goes on.
    again: Option<JoinHandle<()>>,
    /// The home has said that the key is not this request's.
    refused: bool,
}

impl Claimed {
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    fn go_on(&mut self) {
        let (of, own) = (Arc::downgrade(&self.shared), self.claim.clone());
        self.again = Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(AGAIN).await;
                let Some(shared) = of.upgrade() else { return };
                // What another request has meanwhile, the home refuses to take for this one.
                if let Err(error) = say(&shared, own.clone(), false).await {
                    tracing::debug!(%error, "the home of an import does not hear that it goes on");
                }
            }
        }));
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if let Some(again) = &self.again {
            again.abort();
        }
        if self.refused {
            return;
        }
        let (shared, claim) = (Arc::clone(&self.shared), self.claim.clone());
        if shared.is_here(home_of(&claim.account)) {
            return shared.elsewhere.claims.end(&claim);
        }
        tokio::spawn(async move {
            // A home that does not hear of it lets it go by itself.
            if let Err(error) = say(&shared, claim, true).await {
                tracing::debug!(%error, "the key of an import is let go by its time");
            }
        });
    }
}

/// Claims a key for a request. `None`: another request with it is being worked on.
pub async fn claim(shared: &Arc<Shared>, account: &str, import: &str) -> Result<Option<Claimed>> {
    let claim =
        Claim { account: account.to_owned(), import: import.to_owned(), request: rand::random() };
    // From here on: a home whose answer is lost, or comes when nobody waits any more, is told that it has ended.
    let shared = Arc::clone(shared);
    let mut claimed = Claimed { claim, shared, again: None, refused: false };
    let said = say(&claimed.shared, claimed.claim.clone(), false).await?;
    claimed.refused = said != Said::Yours;
    match said {
        Said::Yours => claimed.go_on(),
        Said::Anothers => return Ok(None),
        Said::Full => return Err(FULL),
    }
    Ok(Some(claimed))
}

async fn say(shared: &Shared, claim: Claim, ended: bool) -> Result<Said> {
    let home = home_of(&claim.account);
    let question = Question { claim, ended };
    if shared.is_here(home) {
        return Ok(shared.elsewhere.claims.hear(&question));
    }
    match ask_home(shared, home, (KIND, &question), shared.terms.call_patience).await {
        Ok(Asked::Answered(said)) => Ok(said),
        Ok(Asked::Here) => Ok(shared.elsewhere.claims.hear(&question)),
        // A home of the release before this one keeps no claims.
        Err(LinkError::NotUnderstood(_)) => Ok(Said::Yours),
        Err(error) => {
            tracing::warn!(%error, "the home of an import is not reached: {error}");
            Err(ValueError::Unavailable)
        }
    }
}

/// Another node claims a key of an account that is at home here.
pub async fn asked(
    shared: Arc<Shared>,
    question: Question,
) -> std::result::Result<Said, LinkError> {
    if !shared.is_here(home_of(&question.claim.account)) {
        return Err(not_here());
    }
    Ok(shared.elsewhere.claims.hear(&question))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(import: &str, request: u64) -> Claim {
        Claim { account: "acme".into(), import: import.into(), request }
    }

    #[test]
    fn a_key_is_one_requests_until_that_ends_or_is_not_heard_of() {
        let claims = Claims::default();
        let (one, two) = (request("k", 1), request("k", 2));
        assert_eq!(claims.claim_at(&one, 0), Said::Yours);
        assert_eq!(claims.claim_at(&two, 1), Said::Anothers);
        assert_eq!(claims.claim_at(&request("other", 2), 1), Said::Yours);
        // It goes on.
        assert_eq!(claims.claim_at(&one, KEPT_US - 1), Said::Yours);
        assert_eq!(claims.claim_at(&two, KEPT_US + 1), Said::Anothers);
        // Who has no claim ends none.
        claims.end(&two);
        assert_eq!(claims.claim_at(&two, KEPT_US + 1), Said::Anothers);
        claims.end(&one);
        assert_eq!(claims.claim_at(&two, KEPT_US + 1), Said::Yours);
        assert_eq!(claims.claim_at(&one, KEPT_US + 2), Said::Anothers);
        // Its node has gone.
        assert_eq!(claims.claim_at(&one, 3 * KEPT_US), Said::Yours);
        assert_eq!(claims.claim_at(&two, 3 * KEPT_US), Said::Anothers);
    }

    #[test]
    fn a_claim_that_comes_after_its_end_is_none() {
        let claims = Claims::default();
        let (one, two) = (request("k", 1), request("k", 2));
        claims.ended_at(&one, 0);
        assert_eq!(claims.claim_at(&one, 1), Said::Anothers);
        assert_eq!(claims.claim_at(&two, 2), Said::Yours);
        assert_eq!(claims.claim_at(&one, 3), Said::Anothers);
        claims.ended_at(&one, 4);
        assert_eq!(
            claims.claim_at(&request("k", 3), 5),
            Said::Anothers,
            "who has no claim ends none"
        );
        claims.ended_at(&two, 6);
        assert_eq!(claims.claim_at(&one, 7), Said::Yours);
        // What has ended makes room.
        for n in 0..CLAIMS_MAX {
            claims.ended_at(&request(&n.to_string(), 1), 8);
        }
        assert_eq!(claims.claim_at(&request("more", 1), 9), Said::Yours);
    }

    #[test]
    fn claims_are_bounded_and_those_that_are_over_make_room() {
        let claims = Claims::default();
        for n in 0..CLAIMS_MAX {
            assert_eq!(claims.claim_at(&request(&n.to_string(), 1), 0), Said::Yours);
        }
        let full = claims.claim_at(&request("more", 1), 1);
        assert_eq!(full, Said::Full);
        assert!(matches!(full.allowed(), Err(ValueError::Overloaded { .. })), "it is nobody's");
        assert!(matches!(Said::Anothers.allowed(), Err(ValueError::Claimed)));
        assert_eq!(claims.claim_at(&request("more", 1), KEPT_US), Said::Yours);
        assert_eq!(claims.0.lock().expect("claims").len(), 1);
    }
}
