//! One key at several nodes: services on one store, of which one node owns everything, and another takes its place.

use std::collections::BTreeMap;
use std::time::Duration;

use kiki::actors::shield::message::{Authorised, HoldFate};
use kiki::actors::shield::{BudgetName, Shield, ShieldError, now};
use kiki::actors::value::Value;
use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use kiki::models::cluster::node::NodeRow;
use kiki::models::cluster::roster::{Roster, ShardRow};
use kiki::models::cluster::shard::Shard;
use kiki::models::shield::ask::Order;
use kiki::models::shield::entry::Op;
use kiki::models::shield::hold::{Hold, HoldState, UNKEYED};
use kiki::models::shield::money::Micros;
use kiki::models::shield::purse::HoldAnswer;
use kiki::models::shield::seal::MasterKey;
use kiki::models::shield::terms::Terms;
use kiki::store::{CommitterView, SHARDS, Store, StoreConfig};
use tempfile::TempDir;

use super::support::{Node, Office};

const BODY: u64 = 77;
const OTHER_BODY: u64 = 78;

/// A node with its services.
struct Server {
    node: Node,
    shield: Shield,
    value: Value,
    _dir: TempDir,
}

impl Server {
    async fn start(
        office: &Office,
        (name, life): (&str, u64),
        store: &Store,
        epochs: &BTreeMap<i64, i64>,
    ) -> Server {
        let dir = tempfile::tempdir().expect("a folder");
        let loader = Loader::new().flag("store.data_dir", dir.path().display(), "--set");
        let config = loader.flag("shield.window_cap", "1000000", "--set").load();
        let config = config.expect("a configuration").config;
        let node = Node::owning(office.sign(name, name), life, epochs).await.expect("links");
        let shield = Shield::start_on(
            &node.registry,
            store.clone(),
            kiki::cli::up::terms(&config),
            MasterKey::new([7; 32]).expect("a key"),
            config.store.committer(),
            Duration::from_secs(5),
            node.placement.clone(),
        );
        let shield = shield.await.expect("syncshield starts");
        let terms = kiki::cli::up::value_terms(&config);
        let value = Value::start(&node.registry, shield.clone(), terms, Redis::default()).await;
        Server { node, shield, value: value.expect("syncvalue starts"), _dir: dir }
    }

    async fn check(&self, key: u128, body: u64, amount: i64) -> Result<Authorised, ShieldError> {
        let (name, amount) = (campaign(), Micros(amount));
        self.shield.authorise(&name, (Op(key), body), amount, None, None, None).await
    }

    /// Writes that its store has committed.
    async fn writes(&self) -> u64 {
        // What is shown is so old at most.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let view = self.node.registry.view::<CommitterView>("/shield/committer");
        view.expect("it stands").committed_total
    }

    async fn end(self) {
        self.value.drain(Duration::from_secs(5)).await;
        self.shield.drain(Duration::from_secs(5)).await;
        self.node.end().await;
    }
}

fn campaign() -> BudgetName {
    BudgetName::campaign("default", "camp")
}

/// Tells these nodes of each other, and that the first of them owns all shards.
async fn meet(servers: &[&Server], epochs: &BTreeMap<i64, i64>) {
    let rows: Vec<NodeRow> = servers.iter().map(|server| server.node.row.clone()).collect();
    let shard = |(shard, epoch): (&i64, &i64)| ShardRow {
        shard: Shard(u16::try_from(*shard).expect("a shard")),
        owner: Some(rows[0].incarnation),
        epoch: *epoch,
        heir: None,
        since_us: 0,
    };
    let shards: Vec<ShardRow> = epochs.iter().map(shard).collect();
    for server in servers {
        let roster = Roster { now_us: 1, nodes: rows.clone(), shards: shards.clone() };
        server.node.placement.show(roster);
    }
    for server in servers {
        for row in rows.iter().filter(|row| row.incarnation != server.node.id()) {
            server.node.up(row).await;
        }
    }
}

async fn epochs(store: &Store, life: u64) -> BTreeMap<i64, i64> {
    let shards: Vec<i64> = (0..SHARDS).collect();
    store.acquire(&shards, &life.to_string()).await.expect("shards")
}

fn held(answer: Result<Authorised, ShieldError>) -> (Hold, bool) {
    match answer.expect("an answer").answer {
        HoldAnswer::Held { hold, replayed } => (hold, replayed),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_is_one_hold_at_all_nodes_also_when_another_owner_comes() {
    let (office, dir) = (Office::open(), tempfile::tempdir().expect("a folder"));
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let first = epochs(&store, 1).await;
    let a = Server::start(&office, ("a", 1), &store, &first).await;
    let none = BTreeMap::new();
    let b = Server::start(&office, ("b", 2), &store, &none).await;
    meet(&[&a, &b], &first).await;
    let terms = Terms::campaign("USD".parse().expect("a currency"), Micros(1_000));
    a.shield.order(&campaign(), Op(1), 9, Order::Allocate(terms)).await.expect("allocated");

    // At both at once, many times.
    let asked = (0..20).map(|n| if n % 2 == 0 { &a } else { &b }.check(10, BODY, 600));
    let answers = futures_util::future::join_all(asked).await;
    let answers: Vec<(Hold, bool)> = answers.into_iter().map(held).collect();
    assert_eq!(answers.iter().filter(|(_, replayed)| !replayed).count(), 1);
    let (hold, _) = answers[0].clone();
    for (other, _) in &answers {
        assert_eq!((other.id, other.expires_wall_us), (hold.id, hold.expires_wall_us));
    }
    let seen = a.shield.budget(&campaign()).await.expect("a budget");
    assert_eq!(seen.held, Micros(600), "it counts once");
    // The same key with another body is told apart at the other node, too.
    for server in [&a, &b] {
        let other = server.check(10, OTHER_BODY, 1).await.expect("an answer").answer;
        assert_eq!(other, HoldAnswer::Mismatch);
    }
    // Nothing more of it is left than the rest, wherever it is asked for.
    let refused = b.check(11, BODY, 600).await.expect("an answer").answer;
    assert!(matches!(refused, HoldAnswer::Refused(_)), "{refused:?}");

    // What was released may be asked for anew under its key, and is another hold then.
    let (released, _) = held(b.check(12, BODY, 100).await);
    let fate = b.shield.release(&campaign(), released.id).await.expect("an answer");
    assert!(matches!(fate, HoldFate::Answer(HoldAnswer::Released(_))), "{fate:?}");
    let (anew, replayed) = held(b.check(12, OTHER_BODY, 50).await);
    assert!(!replayed && anew.expires_wall_us > released.expires_wall_us);
    // What has no key is granted from the node's own slice.
    let (bid, _) = held(b.check(13, UNKEYED, 10).await);
    assert_eq!(bid.amount, Micros(10));

    // Another one takes the owner's place, which does not know of it and is asked for more.
    let second = epochs(&store, 3).await;
    let c = Server::start(&office, ("c", 3), &store, &second).await;
    let until_us = Some(now().mono_us + 500_000);
    let late = (Op(20), BODY);
    let late = a.shield.authorise(&campaign(), late, Micros(1), None, None, until_us).await;
    let late = late.map(|it| it.answer);
    let told = matches!(late, Ok(HoldAnswer::Held { .. }));
    assert!(!told, "of a hold that is not in the journal: {late:?}");
    a.end().await;
    meet(&[&c, &b], &second).await;
    for server in [&b, &c, &b] {
        let (again, replayed) = held(server.check(10, BODY, 600).await);
        assert!(replayed);
        assert_eq!(
            (again.id, again.amount, again.expires_wall_us),
            (hold.id, hold.amount, hold.expires_wall_us)
        );
        let other = server.check(10, OTHER_BODY, 1).await.expect("an answer").answer;
        assert_eq!(other, HoldAnswer::Mismatch);
        let (again, replayed) = held(server.check(12, OTHER_BODY, 50).await);
        assert_eq!((again.expires_wall_us, replayed), (anew.expires_wall_us, true));
    }
    let seen = c.shield.budget(&campaign()).await.expect("a budget");
    assert_eq!(seen.held, Micros::ZERO, "no second hold beside what the first owner had set aside");
    // It settles once, wherever.
    let fate = b.shield.settle(&campaign(), hold.id, Micros(600), Some(hold.clone())).await;
    assert!(matches!(fate, Ok(HoldFate::Booked { .. })), "{fate:?}");
    let (settled, replayed) = held(b.check(10, BODY, 600).await);
    assert_eq!((settled.id, replayed), (hold.id, true));
    let seen = c.shield.budget(&campaign()).await.expect("a budget");
    assert_eq!((seen.allocation.spent, seen.held), (Micros(600), Micros::ZERO));
    b.end().await;
    c.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_at_once_are_proven_by_few_writes_and_each_of_them_once() {
    let (office, dir) = (Office::open(), tempfile::tempdir().expect("a folder"));
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let own = epochs(&store, 1).await;
    let a = Server::start(&office, ("a", 1), &store, &own).await;
    let none = BTreeMap::new();
    let b = Server::start(&office, ("b", 2), &store, &none).await;
    meet(&[&a, &b], &own).await;
    let terms = Terms::campaign("USD".parse().expect("a currency"), Micros(1_000_000));
    a.shield.order(&campaign(), Op(1), 9, Order::Allocate(terms)).await.expect("allocated");
    held(a.check(99, BODY, 100).await);
    let ask_all = async || {
        let asked = (0..400).map(|n| if n % 2 == 0 { &a } else { &b }.check(100 + n, BODY, 10));
        let answers = futures_util::future::join_all(asked).await;
        answers.into_iter().map(held).collect::<Vec<(Hold, bool)>>()
    };
    let before = a.writes().await;
    let first = ask_all().await;
    assert!(first.iter().all(|(_, replayed)| !replayed));
    let after = a.writes().await;
    assert!(after - before < 100, "{} writes for 400 keys", after - before);
    for (hold, _) in &first {
        let row = store.hold("default", &hold.id.to_string()).await.expect("it is read");
        assert!(row.is_some(), "told of before it was written");
    }
    // What is proven is so for as long as it stands.
    let again = ask_all().await;
    assert!(again.iter().all(|(_, replayed)| *replayed));
    assert!(again.iter().zip(&first).all(|((one, _), (two, _))| one == two));
    let replayed = a.writes().await - after;
    assert!(replayed < 20, "{replayed} writes for nothing new");
    b.end().await;
    a.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_an_owner_left_behind_is_let_go_for_its_key_too() {
    let (office, dir) = (Office::open(), tempfile::tempdir().expect("a folder"));
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let first = epochs(&store, 1).await;
    let a = Server::start(&office, ("a", 1), &store, &first).await;
    let none = BTreeMap::new();
    let b = Server::start(&office, ("b", 2), &store, &none).await;
    meet(&[&a, &b], &first).await;
    let terms = Terms::campaign("USD".parse().expect("a currency"), Micros(1_000_000));
    a.shield.order(&campaign(), Op(1), 9, Order::Allocate(terms)).await.expect("allocated");
    let keys = [30, 31];
    let mut holds = Vec::new();
    for key in keys {
        holds.push(held(b.check(key, BODY, 10).await).0);
    }
    let second = epochs(&store, 3).await;
    let c = Server::start(&office, ("c", 3), &store, &second).await;
    a.end().await;
    meet(&[&c, &b], &second).await;
    // At one that is not the owner, and at the owner: nobody's purse has it any more.
    for ((key, hold), at) in keys.into_iter().zip(&holds).zip([&b, &c]) {
        for _ in 0..2 {
            let fate = at.shield.release(&campaign(), hold.id).await.expect("an answer");
            let HoldFate::Over(over) = fate else { panic!("{fate:?}") };
            assert_eq!(over.state, HoldState::Released);
        }
        for server in [&c, &b] {
            let (anew, _) = held(server.check(key, OTHER_BODY, 20).await);
            assert_eq!((anew.amount, anew.id), (Micros(20), hold.id), "another hold");
        }
    }
    let seen = c.shield.budget(&campaign()).await.expect("a budget");
    assert_eq!(seen.held, Micros(40));
    b.end().await;
    c.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_an_import_is_one_requests_at_all_nodes() {
    let (office, dir) = (Office::open(), tempfile::tempdir().expect("a folder"));
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let own = epochs(&store, 1).await;
    let a = Server::start(&office, ("a", 1), &store, &own).await;
    let none = BTreeMap::new();
    let b = Server::start(&office, ("b", 2), &store, &none).await;
    meet(&[&a, &b], &own).await;
    let claim = async |server: &Server| server.value.claim_import("default", "k").await;
    for (first, second) in [(&a, &b), (&b, &a), (&b, &b)] {
        let mine = claim(first).await.expect("an answer").expect("it is free");
        assert!(claim(second).await.expect("an answer").is_none(), "another's");
        drop(mine);
        // The home hears of it in a moment.
        let began = std::time::Instant::now();
        while claim(second).await.expect("an answer").is_none() {
            assert!(began.elapsed() < Duration::from_secs(2), "it is not let go");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let began = std::time::Instant::now();
        while claim(first).await.expect("an answer").is_none() {
            assert!(began.elapsed() < Duration::from_secs(2), "it is not let go");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // A caller who goes away while the home is asked gives it up.
    for (gone, next) in [(&b, &a), (&a, &b)] {
        let asking = gone.value.claim_import("default", "gone");
        drop(tokio::time::timeout(Duration::ZERO, asking).await);
        let began = std::time::Instant::now();
        while next.value.claim_import("default", "gone").await.expect("an answer").is_none() {
            assert!(began.elapsed() < Duration::from_secs(2), "it is not let go");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Who lost it to another takes nothing more, whichever node it came to.
    let mine = claim(&b).await.expect("an answer").expect("it is free");
    let before = mine.claim().clone();
    drop(mine);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _theirs = claim(&a).await.expect("an answer").expect("it is free");
    for server in [&a, &b] {
        let of = vec![("ann".to_owned(), Vec::new()), ("bob".to_owned(), vec![purchase()])];
        let done = server.value.import_all("default", of, Some(&before)).await;
        assert!(done[1].is_err(), "{done:?}");
    }
    a.end().await;
    b.end().await;
}

fn purchase() -> kiki::actors::value::customer::NewPurchase {
    kiki::actors::value::customer::NewPurchase {
        id: kiki::actors::value::customer::PurchaseId(1),
        reference: None,
        day: kiki::models::value::log::day::Day::new(19_000).expect("a day"),
        amount: 1,
        currency: None,
    }
}
