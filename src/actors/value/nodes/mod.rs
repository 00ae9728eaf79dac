//! SyncValue on several nodes. Everything of an account is in one shard, and only the node that has it runs the
//! account's registry and its customers, which alone write. The others answer questions, too:
//!
//! - purchases they read from the store for each question, and keep an answer for [`KEPT_US`] at most;
//! - who answers they read from the store once a second (`follow.rs`), so that a promotion is seen by all of them
//!   within two seconds;
//! - imports, forecasts to be compared and samples of inputs they send to the account's home.
//!
//! They are told of what is new (`forget.rs`, `follow.rs`). That a message is lost costs the time above, and no more.

pub mod claims;
pub mod follow;
pub mod forecasts;
pub mod forget;
pub mod import;
pub mod reads;
pub mod samples;
mod tenant;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use tenant::Leaving;

use super::shared::{Shared, home_of};
use crate::actors::cluster::links::LinkError;
use crate::models::cluster::member::Route;
use crate::models::cluster::node::Incarnation;
use crate::models::cluster::shard::Shard;

/// Answers about customers who are at home elsewhere are kept for so long, beside being told of what is new.
pub const KEPT_US: i64 = 2_000_000;
/// An account that is on its way from one node to another is there within this.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// A node that an account has left may be asked once more before this one hears of it.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What a node does about accounts that are at home elsewhere.
#[derive(Default)]
pub struct Elsewhere {
    pub following: follow::Following,
    pub forgotten: forget::Forgotten,
    pub reads: reads::Reads,
    pub claims: claims::Claims,
}

/// Answers what other nodes ask and tell.
pub fn listen(shared: &Arc<Shared>) {
    answer(shared, import::KIND, import::asked);
    answer(shared, import::KEEP, import::asked_to_keep);
    answer(shared, claims::KIND, claims::asked);
    answer(shared, forget::KIND, forget::told);
    answer(shared, follow::KIND, follow::told);
    answer(shared, samples::KIND, samples::told);
    answer(shared, forecasts::KIND, forecasts::asked);
}

fn answer<Q, A, F>(
    shared: &Arc<Shared>,
    kind: &'static str,
    by: impl Fn(Arc<Shared>, Q) -> F + Send + Sync + 'static,
) where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    F: Future<Output = Result<A, LinkError>> + Send + 'static,
{
    let of = Arc::downgrade(shared);
    shared.placement().links().answer_with(kind, move |_from, question: Q| {
        let work = of.upgrade().map(|shared| by(shared, question));
        async move {
            let ending = || LinkError::Refused("the service is ending".to_owned());
            work.ok_or_else(ending)?.await
        }
    });
}

/// The account is not at home here, or not any more.
fn not_here() -> LinkError {
    LinkError::Refused("the account is not at home here".to_owned())
}

/// Tells all other nodes, as far as they can be reached at this moment.
fn tell_others<T: Serialize + ?Sized>(shared: &Shared, kind: &'static str, what: &T) {
    for other in shared.placement().others() {
        tell(shared, other, kind, what);
    }
}

fn tell<T: Serialize + ?Sized>(shared: &Shared, to: Incarnation, kind: &'static str, what: &T) {
    let told = serde_json::to_vec(what)
        .map_err(|error| LinkError::NotUnderstood(error.to_string()))
        .and_then(|body| shared.placement().links().tell(to, kind, body));
    if let Err(error) = told {
        tracing::debug!(%error, kind, node = %to, "another node is not told");
    }
}

/// What came of asking an account's home.
enum Asked<A> {
    /// It is here meanwhile.
    Here,
    Answered(A),
}

/// Asks the node that has a shard. One that does not have it any more, or cannot be reached, is looked for anew.
///
/// # Errors
/// It did not answer, or nobody has the shard.
async fn ask_home<Q: Serialize, A: DeserializeOwned>(
    shared: &Shared,
    home: Shard,
    (kind, question): (&'static str, &Q),
    patience: Duration,
) -> Result<Asked<A>, LinkError> {
    let placement = shared.placement();
    let until = tokio::time::Instant::now() + ON_ITS_WAY;
    loop {
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        let node = match placement.whereabouts(home, left).await {
            Route::Here(_) => return Ok(Asked::Here),
            Route::There(node) => node,
            Route::Nobody => return Err(LinkError::Away),
        };
        match placement.links().ask_for(node, kind, question, patience).await {
            Ok(answer) => return Ok(Asked::Answered(answer)),
            Err(LinkError::Away | LinkError::Full | LinkError::Refused(_))
                if tokio::time::Instant::now() + ASK_AGAIN < until =>
            {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Where accounts are at home, each looked up once.
#[derive(Default)]
pub struct Homes(HashMap<String, Shard>);

impl Homes {
    pub fn of(&mut self, account: &str) -> Shard {
        if let Some(home) = self.0.get(account) {
            return *home;
        }
        let home = home_of(account);
        self.0.insert(account.to_owned(), home);
        home
    }
}
