//! Clients, one file a kind. What one does is drawn before anything of it is sent, so what it is told changes only how
//! far it gets, never what comes next.

mod admin;
mod budget;
mod customer;
mod exchange;
mod spend;

use std::sync::Arc;

pub use admin::Admin;
pub use budget::Budgets;
pub use customer::Customers;
pub use exchange::Exchanges;
pub use spend::Spends;

use super::desk::{Again, Desk};
use super::journal::Closed;
use super::kind::Kind;
use super::names::Names;
use super::random::{Stream, Zipf};
use super::spec::LoadSpec;
use super::urls::Urls;

/// What all clients of a run have.
pub struct Common {
    pub spec: LoadSpec,
    pub names: Names,
    pub urls: Urls,
    pub desk: Desk,
    /// Pairs of account and campaign, those that are hot first.
    pub campaigns: Vec<(Box<str>, Box<str>)>,
    pub hot: Zipf,
}

impl Common {
    pub fn new(spec: LoadSpec, urls: Urls, desk: Desk) -> Common {
        let names = Names::of(&spec);
        let campaigns = names.campaigns();
        let hot = Zipf::new(campaigns.len(), spec.zipf);
        Common { spec, names, urls, desk, campaigns, hot }
    }

    fn campaign(&self, stream: &mut Stream) -> (Box<str>, Box<str>) {
        self.campaigns[self.hot.draw(stream)].clone()
    }

    fn again(&self, stream: &mut Stream) -> Again {
        Again::draw(stream, self.spec.retries, self.spec.elsewhere)
    }

    /// Of one arrival of one client; the same in every run of this tag.
    fn key(&self, kind: Kind, client: u32, n: u64, what: &str) -> Box<str> {
        format!("{}-{}{client}-{n}{what}", self.spec.tag, kind.as_str()).into()
    }
}

/// A number for a client that no other client of the run has.
pub fn number(kind: Kind, client: u32) -> u32 {
    kind as u32 * 1_000 + client
}

/// A second copy of what must count once: never, at the same time, or afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twice {
    No,
    Meanwhile,
    After,
}

impl Twice {
    fn draw(stream: &mut Stream, part: f64) -> Twice {
        let (twice, meanwhile) = (stream.chance(part), stream.chance(0.5));
        match (twice, meanwhile) {
            (false, _) => Twice::No,
            (true, true) => Twice::Meanwhile,
            (true, false) => Twice::After,
        }
    }

    /// Sends it once or twice. What the first was told.
    async fn send<T, F: Future<Output = Result<T, Closed>>>(
        self,
        send: impl Fn() -> F,
    ) -> Result<T, Closed> {
        match self {
            Twice::No => send().await,
            Twice::Meanwhile => {
                let (first, second) = futures_util::future::join(send(), send()).await;
                second.and(first)
            }
            Twice::After => {
                let first = send().await?;
                send().await.map(|_| first)
            }
        }
    }
}

/// A kind of clients: what is drawn for an arrival, and how it is played.
pub trait Play: Send + Sync + 'static {
    const KIND: Kind;
    /// Whether a client does one thing at a time. What arrives meanwhile is counted as not sent.
    const ALONE: bool = false;
    type Plan: Send + 'static;

    fn draw(&self, client: u32, n: u64, stream: &mut Stream) -> Self::Plan;

    fn play(
        self: Arc<Self>,
        client: u32,
        plan: Self::Plan,
    ) -> impl Future<Output = Result<(), Closed>> + Send;
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::http::Http;
    use crate::load::journal::{Clock, Journal};
    use crate::load::live::Live;

    async fn common(dir: &std::path::Path) -> Arc<Common> {
        let begin = crate::history::Begin {
            version: 1,
            title: "t".to_owned(),
            seed: 1,
            started_at: String::new(),
            window_cap: 1,
            window_us: 1,
            hold_us: 1,
            budgets: Vec::new(),
        };
        let (journal, _writing) =
            Journal::begin(&dir.join("h"), begin, Clock::start()).await.expect("a journal");
        let second = Duration::from_secs(1);
        let http = Http::new(&Urls::default(), second, second).expect("a client");
        let (live, venue) = (Arc::new(Live::new()), Arc::default());
        let desk = Desk { http, journal, live, venue, spread: false };
        Arc::new(Common::new(LoadSpec::default(), Urls::default(), desk))
    }

    fn drawn<P: Play>(play: &P, seed: u64, client: u32) -> Vec<String>
    where
        P::Plan: std::fmt::Debug,
    {
        let mut stream = Stream::of(seed, P::KIND, client);
        (0..200).map(|n| format!("{:?}", play.draw(client, n, &mut stream))).collect()
    }

    fn is_of_seed_and_client<P: Play>(play: P)
    where
        P::Plan: std::fmt::Debug,
    {
        let one = drawn(&play, 1, 1);
        assert_eq!(one, drawn(&play, 1, 1));
        assert_ne!(one, drawn(&play, 2, 1));
        assert_ne!(one, drawn(&play, 1, 2));
    }

    #[tokio::test]
    async fn what_a_client_does_is_a_function_of_seed_and_client() {
        let dir = tempfile::tempdir().expect("a folder");
        let common = common(dir.path()).await;
        is_of_seed_and_client(Budgets(Arc::clone(&common)));
        is_of_seed_and_client(Spends(Arc::clone(&common)));
        is_of_seed_and_client(Exchanges(Arc::clone(&common)));
        is_of_seed_and_client(Customers(Arc::clone(&common)));
        is_of_seed_and_client(Admin(common));
    }

    #[test]
    fn numbers_of_clients_do_not_meet() {
        let all = Kind::ALL
            .into_iter()
            .flat_map(|k| (0..crate::load::spec::CLIENTS_MAX).map(move |c| number(k, c)));
        let all: Vec<_> = all.collect();
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
    }
}
