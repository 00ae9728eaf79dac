//! The register of a cluster: SQL beside the plain functions that it repeats.

use kiki::models::cluster::member::Release;
use kiki::models::cluster::node::{Incarnation, Role, Roles};
use kiki::models::cluster::register::{Joined, Joining, Register};
use kiki::models::cluster::roster::Roster;
use kiki::models::cluster::shard::Shard;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::{Db, on_every_store};

on_every_store!(
    the_register_in_sql_is_the_one_of_the_rules,
    of_many_that_claim_the_same_shards_at_once_each_shard_has_one_owner,
    of_two_lives_of_one_node_that_join_at_once_one_does,
    a_write_of_an_owner_that_has_let_go_is_refused,
);

const HOUR: i64 = 3_600_000_000;

fn joining(incarnation: u64, name: u64, before: Option<u64>) -> Joining {
    Joining {
        incarnation: Incarnation(incarnation),
        name: format!("node-{name}"),
        address: format!("10.0.0.{name}:7400"),
        roles: Roles::ALL,
        version: "0.1.0".to_owned(),
        before: before.map(Incarnation),
    }
}

/// What has to be the same, whatever clocks say.
fn told(roster: &Roster) -> (Vec<String>, Vec<String>) {
    let nodes = roster.nodes.iter().map(|node| {
        let (overdue, draining) = (node.is_overdue(roster.now_us), node.draining);
        let (incarnation, name, address) = (node.incarnation, &node.name, &node.address);
        let (roles, version) = (node.roles, &node.version);
        format!("{incarnation} {name} {address} {roles} {version} {overdue} {draining}")
    });
    let shards = roster
        .shards
        .iter()
        .map(|row| format!("{} {} {:?} {:?}", row.shard, row.epoch, row.owner, row.heir));
    (nodes.collect(), shards.collect())
}

async fn the_register_in_sql_is_the_one_of_the_rules(db: &Db) {
    let store = db.open().await;
    let mut dice = StdRng::seed_from_u64(11);
    let mut plain = Register::new(Shard::all(Roles::ALL));
    let (mut lives, mut at) = (vec![0u64], 0);
    let (mut buried, mut taken, mut refused) = (0, 0, 0);
    for step in 0..600 {
        at += 1;
        // Of those that began last, mostly: of the others few live.
        let living: Vec<u64> = plain.roster(at).nodes.iter().map(|it| it.incarnation.0).collect();
        let life = match dice.random_range(0..4) {
            0 => lives[dice.random_range(0..lives.len())],
            _ if living.is_empty() => 0,
            _ => living[dice.random_range(0..living.len())],
        };
        let me = Incarnation(life);
        // A lease of no time is over at once.
        let lease_us = if dice.random_range(0..5) > 0 { 0 } else { HOUR };
        match dice.random_range(0..100) {
            0..20 => {
                let again = dice.random_range(0..4) == 0;
                let next = lives.len() as u64;
                let incarnation = if again { life } else { next };
                let before = (dice.random_range(0..2) == 0).then_some(life);
                let who = joining(incarnation, dice.random_range(0..8), before);
                if !again {
                    lives.push(next);
                }
                let (joined, roster) = store.join(&who, lease_us).await.expect("an answer");
                let expected = plain.join(&who, lease_us, at);
                let kind = |joined: &Joined| matches!(joined, Joined::Taken { .. });
                assert_eq!(kind(&joined), kind(&expected), "{step}: {who:?}");
                if !kind(&joined) {
                    assert_eq!(joined, expected, "{step}: {who:?}");
                }
                refused += usize::from(kind(&joined));
                assert_eq!(told(&roster), told(&plain.roster(at)), "{step}: {who:?}");
            }
            20..40 => {
                let draining = dice.random_range(0..4) == 0;
                let renewed = store.renew(me, draining, lease_us).await.expect("an answer");
                assert_eq!(renewed.is_some(), plain.renew(me, draining, lease_us, at), "{step}");
                if let Some(roster) = renewed {
                    assert_eq!(told(&roster), told(&plain.roster(at)), "{step}");
                }
            }
            40..55 => {
                let done = store.bury(me).await.expect("an answer");
                assert_eq!(done, plain.bury(me, at), "{step}");
                buried += usize::from(done);
            }
            55..58 => {
                store.leave(me).await.expect("an answer");
                plain.leave(me);
            }
            58..80 => {
                let roster = plain.roster(at);
                let some = dice.random_range(1..60);
                let wanted: Vec<(Shard, i64)> = (0..some)
                    .map(|_| {
                        let row = &roster.shards[dice.random_range(0..roster.shards.len())];
                        (row.shard, row.epoch - i64::from(dice.random_range(0..9) == 0))
                    })
                    .collect::<std::collections::BTreeMap<_, _>>()
                    .into_iter()
                    .collect();
                let mut expected = plain.claim(me, &wanted, at);
                expected.sort_unstable();
                let done = store.claim(me, &wanted).await.expect("an answer");
                assert_eq!(done, expected, "{step}");
                taken += done.len();
            }
            80..95 => {
                let roster = plain.roster(at);
                let mine = roster.shards.iter().filter(|row| row.owner == Some(me));
                let mut let_go: Vec<Release> = mine
                    .map(|row| Release {
                        shard: row.shard,
                        epoch: row.epoch - i64::from(dice.random_range(0..9) == 0),
                        heir: (dice.random_range(0..2) == 0).then_some(Incarnation(1)),
                    })
                    .collect();
                let_go.truncate(dice.random_range(0..20));
                store.release(me, &let_go).await.expect("an answer");
                for Release { shard, epoch, heir } in let_go {
                    plain.release(me, (shard, epoch), heir, at);
                }
            }
            _ => {
                let roster = store.roster().await.expect("a roster");
                assert_eq!(told(&roster), told(&plain.roster(at)), "{step}");
            }
        }
        at += 1;
    }
    assert!(buried > 5 && taken > 500 && refused > 5, "{buried} {taken} {refused}");
}

async fn of_many_that_claim_the_same_shards_at_once_each_shard_has_one_owner(db: &Db) {
    let store = db.open().await;
    let all: Vec<(Shard, i64)> = Shard::all(Roles::ALL).map(|shard| (shard, 0)).collect();
    let mut claims = Vec::new();
    for n in 1..=6 {
        store.join(&joining(n, n, None), HOUR).await.expect("joined");
        let (store, mut wanted) = (db.open().await, all.clone());
        if n % 2 == 0 {
            wanted.reverse();
        }
        claims.push(tokio::spawn(async move { store.claim(Incarnation(n), &wanted).await }));
    }
    let mut taken = Vec::new();
    for claim in claims {
        taken.extend(claim.await.expect("no panic").expect("an answer"));
    }
    taken.sort_unstable();
    let expected: Vec<(Shard, i64)> = all.iter().map(|(shard, _)| (*shard, 1)).collect();
    assert_eq!(taken, expected);
}

async fn of_two_lives_of_one_node_that_join_at_once_one_does(db: &Db) {
    for round in 0..10 {
        let (a, b) = (db.open().await, db.open().await);
        let (one, two) = (joining(2 * round + 1, round, None), joining(2 * round + 2, round, None));
        let (x, y) = tokio::join!(a.join(&one, HOUR), b.join(&two, HOUR));
        let done = [x, y].into_iter().filter(|it| matches!(it, Ok((Joined::Done, _)))).count();
        assert_eq!(done, 1, "round {round}");
        let named = format!("node-{round}");
        let roster = a.roster().await.expect("a roster");
        assert_eq!(roster.nodes.iter().filter(|node| node.name == named).count(), 1);
    }
}

async fn a_write_of_an_owner_that_has_let_go_is_refused(db: &Db) {
    let store = db.open().await;
    let me = Incarnation(1);
    store.join(&joining(1, 1, None), HOUR).await.expect("joined");
    let shard = Shard::of(Role::Shield, 7);
    let taken = store.claim(me, &[(shard, 0)]).await.expect("claimed");
    assert_eq!(taken, [(shard, 1)]);
    assert_eq!(store.fence(7, 1).await, Ok(true));
    store.release(me, &[Release { shard, epoch: 1, heir: None }]).await.expect("let go");
    assert_eq!(store.fence(7, 1).await, Ok(false));
    let row = store.roster().await.expect("a roster").shard(shard).cloned().expect("a row");
    assert_eq!((row.owner, row.epoch, row.heir), (None, 2, None));
    assert!(row.since_us > 0);
}
