//! PostgreSQL that stops or falls silent, through a proxy that the test holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiki::models::breaker::BreakerState;
use kiki::store::{
    Backend, Committer, CommitterTerms, Outcome, Reloaded, Store, StoreConfig, Write,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::{ACCOUNT, Db, budget_row, hurried, own, put, write};

#[derive(Clone, Copy, PartialEq)]
enum Line {
    Up,
    /// Connections stay, nothing passes.
    Silent,
    /// Connections are cut and refused.
    Down,
}

struct Proxy {
    line: Arc<watch::Sender<Line>>,
    config: StoreConfig,
}

/// The store's address with its host and port replaced by the proxy's.
async fn proxied(db: &Db) -> Proxy {
    let Backend::Postgres { url, .. } = &db.config.backend else { panic!("not postgresql") };
    let after_scheme = url.split_once("://").expect("an address").1;
    let authority = after_scheme.split(['/', '?']).next().expect("an authority");
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned();
    let target = if host.contains(':') { host.clone() } else { format!("{host}:5432") };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let config = StoreConfig::postgres(url.replacen(&host, &address, 1));
    let line = Arc::new(watch::channel(Line::Up).0);
    let watched = Arc::clone(&line);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if *watched.borrow() == Line::Down {
                continue;
            }
            let (target, line) = (target.clone(), watched.subscribe());
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(target).await else { return };
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                tokio::join!(
                    pass(client_read, server_write, line.clone()),
                    pass(server_read, client_write, line)
                );
            });
        }
    });
    Proxy { line, config: hurried(&config) }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            down = line.wait_for(|line| *line == Line::Down) => {
                drop(down);
                return;
            }
        };
        let Ok(count @ 1..) = read else { return };
        if line.wait_for(|line| *line != Line::Silent).await.is_err() {
            return;
        }
        if *line.borrow() == Line::Down || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn make(epoch: i64, version: i64) -> Write {
    Write { budget_row: put(version, budget_row("b")), ..write("b", epoch) }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    assert!(began.elapsed() < limit, "it took {:?}", began.elapsed());
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_waited_for_no_longer_than_the_limits() {
    let Some(db) = Db::postgres().await else { return };
    let proxy = proxied(&db).await;
    let store = Store::open(proxy.config.clone()).await.expect("the store opens");
    let epoch = own(&store).await;
    assert_eq!(store.commit(vec![make(epoch, 0)]).await, vec![Outcome::Committed]);

    proxy.line.send_replace(Line::Silent);
    let limit = Duration::from_secs(4);
    let outcomes = within(limit, store.commit(vec![make(epoch, 1)])).await;
    // a connection that the silence caught on its way back to the pool is not there to be lent
    let Outcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(error.is_transient(), "{error}");
    let read = within(limit, store.load_budget(ACCOUNT, "b")).await;
    assert!(read.expect_err("no answer").is_transient());
    let reload = within(limit, store.reload_budget(ACCOUNT, "b", 7, epoch)).await;
    assert!(reload.expect_err("no answer").is_transient());

    proxy.line.send_replace(Line::Up);
    assert_eq!(store.commit(vec![make(epoch, 1)]).await, vec![Outcome::Committed]);
    within(limit, store.close()).await;
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_opens_the_breaker_and_its_return_closes_it() {
    let Some(db) = Db::postgres().await else { return };
    let proxy = proxied(&db).await;
    let store = Store::open(proxy.config.clone()).await.expect("the store opens");
    let epoch = own(&store).await;
    let (committer, driver) = Committer::new(store.clone(), CommitterTerms::default());
    let driver = tokio::spawn(driver.run());
    let limit = Duration::from_secs(3);

    proxy.line.send_replace(Line::Down);
    let began = Instant::now();
    let refused = loop {
        match committer.submit(make(epoch, 0)) {
            Ok(outcome) => {
                let outcome = within(limit, outcome).await.expect("an outcome");
                assert!(matches!(outcome, Outcome::Failed(_) | Outcome::Unknown(_)), "{outcome:?}");
            }
            Err(refused) => break refused,
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    };
    assert!((50..=2_000).contains(&refused.retry_after_ms), "{refused:?}");

    proxy.line.send_replace(Line::Up);
    let began = Instant::now();
    while committer.view().breaker.state != BreakerState::Closed {
        assert!(began.elapsed() < Duration::from_secs(5), "the probes find it again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let reloaded = store.reload_budget(ACCOUNT, "b", 7, epoch).await;
    assert_eq!(reloaded, Ok(Reloaded::Current(None)), "nothing of it was written");
    let outcome = committer.submit(make(epoch, 0)).expect("taken").await;
    assert_eq!(outcome, Ok(Outcome::Committed));
    committer.close();
    driver.await.expect("it ends");
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_rested_over_a_restart_of_the_server_cost_no_error() {
    let Some(db) = Db::postgres().await else { return };
    let proxy = proxied(&db).await;
    let store = Store::open(proxy.config.clone()).await.expect("the store opens");
    let epoch = own(&store).await;
    let reads = (store.budget(ACCOUNT, "b"), store.account(ACCOUNT), store.shards());
    let (_, _, shards) = tokio::join!(reads.0, reads.1, reads.2);
    assert_eq!(shards.expect("a read").len(), 768);
    proxy.line.send_replace(Line::Down);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    proxy.line.send_replace(Line::Up);
    assert_eq!(store.budget(ACCOUNT, "b").await, Ok(None));
    assert_eq!(store.commit(vec![make(epoch, 0)]).await, vec![Outcome::Committed]);
    db.drop().await;
}
