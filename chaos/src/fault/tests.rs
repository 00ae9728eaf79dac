//! What holds for every family, with families of the tests' own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::family::{Doing, Prepared};
use super::left::Left;
use super::*;
use crate::experiment::fault::Service;
use crate::experiment::pick::{Actors, Nodes, Process};
use crate::lab::ProcessId;

mod labs;

/// What a family of a test does.
type Act = fn(&Path) -> FaultResult<()>;

/// Leaves a file, after it was seen that the record tells of it.
struct Leaves(Act);

static GOOD: Leaves = Leaves(|file| {
    fs::write(file, "x").unwrap();
    Ok(())
});
static FAILS: Leaves = Leaves(|file| {
    fs::write(file, "x").unwrap();
    Err(FaultError::Bad("in the middle".to_owned()))
});
/// What it leaves cannot be removed as a file.
static STAYS: Leaves = Leaves(|file| {
    fs::create_dir(file).unwrap();
    Err(FaultError::Bad("in the middle".to_owned()))
});
static PANICS: Leaves = Leaves(|file| {
    fs::write(file, "x").unwrap();
    panic!("on purpose")
});

impl Family for Leaves {
    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    fn needs_lab(&self) -> bool {
        false
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        let file = file(&order.ground.folder, order.number);
        assert!(!file.exists());
        let (target, way) = ("a file".to_owned(), "a file".to_owned());
        let left = vec![Left::Fill { file }];
        Box::pin(async { Ok(Prepared { target, way, struck: Vec::new(), left }) })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async {
            let folder = &at.ground().folder;
            let written = record::all(folder).unwrap();
            let own = written.iter().find(|it| it.number == at.site.order.number).unwrap();
            let file = file(folder, own.number);
            assert_eq!(own.left, [Left::Fill { file: file.clone() }]);
            self.0(&file)
        })
    }
}

fn file(folder: &Path, number: u32) -> PathBuf {
    // Each in a folder of its own: two faults cannot fill one.
    let own = folder.join(number.to_string());
    fs::create_dir_all(&own).unwrap();
    own.join("left")
}

fn faults(folder: &Path) -> Faults {
    let admins = vec![("node-1".to_owned(), "http://127.0.0.1:9".to_owned())];
    let ground =
        Ground { lab: None, admins, token: None, folder: folder.to_owned(), venue: Arc::default() };
    Faults::new(ground).unwrap()
}

fn order(faults: &Faults, number: u32, ttl: Duration) -> Order {
    let (fault, chosen) = (Fault::RedisFlush {}, Chosen::default());
    Order { number, fault, chosen, ttl, ground: faults.ground.clone() }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_exchange_is_away_until_its_fault_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let faults = faults(folder.path());
    let (venue, away) =
        (faults.ground.venue.clone(), Fault::ServiceOutage { service: Service::Exchange });
    let injected = faults.inject(1, &away, &Chosen::default(), LONG).await.unwrap();
    assert_eq!((&*injected.target, &*injected.way), ("the exchange", "the load itself"));
    assert!(!venue.auction().await);
    faults.undo(1).await.unwrap();
    assert!(venue.auction().await);
    assert_eq!(faults.struck(1), Some(1));
    // Its time to live ends it, too.
    faults.inject(2, &away, &Chosen::default(), Duration::from_millis(50)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), venue.notice()).await.unwrap();
    assert!(venue.auction().await);
}

#[tokio::test]
async fn what_is_written_down_goes_with_the_fault_however_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let faults = faults(folder.path());
    let left = |number| file(folder.path(), number).exists();
    let recorded = || record::all(folder.path()).unwrap().len();

    faults.begin(&GOOD, order(&faults, 1, LONG)).await.unwrap();
    assert_eq!((left(1), recorded(), faults.open().len()), (true, 1, 1));
    faults.undo(1).await.unwrap();
    faults.undo(1).await.unwrap();
    assert_eq!((left(1), recorded(), faults.open().len()), (false, 0, 0));
    assert!(faults.begin(&GOOD, order(&faults, 1, LONG)).await.is_err(), "its number is known");

    let failed = faults.begin(&FAILS, order(&faults, 2, LONG)).await.unwrap_err().to_string();
    assert_eq!(failed, "in the middle");
    assert_eq!((left(2), recorded(), faults.open().len()), (false, 0, 0));

    let failed = faults.begin(&STAYS, order(&faults, 3, LONG)).await.unwrap_err().to_string();
    assert!(failed.starts_with("in the middle; and it is not undone: "), "{failed}");
    assert_eq!((left(3), recorded(), faults.open().len()), (true, 1, 1));
    let refused = Faults::new(Ground {
        lab: None,
        admins: Vec::new(),
        token: None,
        folder: folder.path().to_owned(),
        venue: Arc::default(),
    });
    assert!(refused.err().unwrap().to_string().contains("kiki-chaos heal"));

    faults.begin(&GOOD, order(&faults, 4, LONG)).await.unwrap();
    let all = faults.undo_all().await;
    assert!(matches!(all[..], [(4, Ok(())), (3, Err(_))]), "{all:?}");
    fs::remove_dir(file(folder.path(), 3)).unwrap();
    faults.undo(3).await.unwrap();
    assert_eq!((recorded(), faults.open().len()), (0, 0));

    let broke = faults.begin(&PANICS, order(&faults, 5, LONG)).await.unwrap_err().to_string();
    assert!(broke.contains("fault 5 (redis_flush) broke"), "{broke}");
    assert_eq!((left(5), recorded(), faults.open().len()), (false, 0, 0));
    assert_eq!((faults.struck(5), faults.struck(6)), (Some(0), None));
}

#[tokio::test]
async fn a_fault_that_nobody_undoes_ends_with_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let faults = faults(folder.path());
    faults.begin(&GOOD, order(&faults, 1, Duration::from_millis(200))).await.unwrap();
    assert!(file(folder.path(), 1).exists());
    let over = || faults.open().is_empty();
    assert!(system::until(Duration::from_secs(10), over).await);
    assert!(!file(folder.path(), 1).exists() && record::all(folder.path()).unwrap().is_empty());

    // One that went wrong and could not be undone, too.
    let short = Duration::from_millis(500);
    faults.begin(&STAYS, order(&faults, 2, short)).await.unwrap_err();
    assert_eq!(faults.open().len(), 1);
    fs::remove_dir(file(folder.path(), 2)).unwrap();
    assert!(system::until(Duration::from_secs(10), || faults.open().is_empty()).await);
}

#[tokio::test]
async fn one_who_gives_up_waiting_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let faults = faults(folder.path());
    let begun = faults.begin(&GOOD, order(&faults, 1, LONG));
    // Long enough to begin, and no time to be told of the end.
    let given_up = tokio::time::timeout(Duration::ZERO, begun).await;
    faults.undo_all().await.into_iter().for_each(|(_, it)| it.unwrap());
    assert!(given_up.is_err() || given_up.unwrap().is_ok());
    assert!(record::all(folder.path()).unwrap().is_empty() && !file(folder.path(), 1).exists());
}

/// A process that stands still.
struct Stops(ProcessId);

impl Family for Stops {
    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    fn needs_lab(&self) -> bool {
        false
    }

    fn prepare<'a>(&'a self, _: &'a Order) -> Doing<'a, Prepared> {
        let (target, way) = ("a process".to_owned(), "signal".to_owned());
        let left = vec![Left::Stopped { ids: vec![self.0] }];
        Box::pin(async { Ok(Prepared { target, way, struck: Vec::new(), left }) })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async { process::stop(&process::recorded(at)).await })
    }
}

#[tokio::test]
async fn a_suite_that_ends_in_disorder_lets_everybody_go_and_heal_does_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let id = ProcessId::of(child.id()).unwrap();
    let family: &'static Stops = Box::leak(Box::new(Stops(id)));
    let patience = Duration::from_secs(5);

    // Two hold it: it goes on with the second.
    let first = faults(folder.path());
    first.begin(family, order(&first, 1, LONG)).await.unwrap();
    first.begin(family, order(&first, 2, LONG)).await.unwrap();
    first.undo(1).await.unwrap();
    assert!(system::is_stopped(id));
    drop(first);
    assert!(system::until(patience, || !system::is_stopped(id)).await);
    assert_eq!(record::all(folder.path()).unwrap().len(), 1);

    id.signal(Signal::STOP).unwrap();
    assert!(system::until(patience, || system::is_stopped(id)).await);
    let healed = heal(folder.path(), None).await.unwrap().healed;
    assert_eq!(healed.iter().map(|it| it.number).collect::<Vec<_>>(), [2]);
    assert!(!system::is_stopped(id));
    assert_eq!(heal(folder.path(), None).await.unwrap().healed, []);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_run_that_goes_on_is_not_healed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let mut record = Record::new(1, "kill", "node-1", LONG, Vec::new()).unwrap();
    record.suite = ProcessId::of(child.id()).unwrap();
    record.write(folder.path()).unwrap();
    let refused = heal(folder.path(), None).await.unwrap_err().to_string();
    assert!(refused.contains("still runs"), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(heal(folder.path(), None).await.unwrap().healed.len(), 1);
}

#[tokio::test]
async fn a_record_that_nobody_can_read_keeps_no_other_fault_from_being_undone() {
    let folder = tempfile::tempdir().unwrap();
    let fill = file(folder.path(), 3);
    fs::write(&fill, "x").unwrap();
    let left = vec![Left::Fill { file: fill.clone() }];
    Record::new(3, "disk_full", "node-1", LONG, left).unwrap().write(folder.path()).unwrap();
    for damaged in ["002.json", "004.json"] {
        fs::write(folder.path().join("undo").join(damaged), "{").unwrap();
    }
    let healing = heal(folder.path(), None).await.unwrap();
    assert_eq!(healing.healed.iter().map(|it| it.number).collect::<Vec<_>>(), [3]);
    assert!(!fill.exists());
    let mut errors: Vec<String> = healing.errors.iter().map(ToString::to_string).collect();
    errors.sort();
    assert!(errors.len() == 2 && errors[0].contains("002.json"), "{errors:?}");
    // They stay, and are told again.
    assert_eq!(heal(folder.path(), None).await.unwrap().errors.len(), 2);
    assert_eq!(left_in(folder.path()).len(), 2);
}

/// An admin API that lists no rule, and says nothing to whoever has no token.
async fn admin_with_token(token: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let wanted = format!("bearer {token}");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            let knows = String::from_utf8_lossy(&asked).to_lowercase().contains(&wanted);
            let (status, body) =
                if knows { ("200 OK", "{\"faults\":[]}") } else { ("401 Unauthorized", "{}") };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn rules_of_a_cluster_that_asks_who_calls_are_healed_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let rules = super::admin::Rules {
        node: "node-1".to_owned(),
        url: admin_with_token("secret").await,
        process: None,
        pattern: "/shield/**".to_owned(),
        fault: "panic".to_owned(),
        seed: 7,
    };
    let record = Record::new(1, "actor_panic", "node-1", LONG, vec![Left::Rules(rules)]).unwrap();
    record.write(folder.path()).unwrap();
    let without = heal(folder.path(), None).await.unwrap();
    assert!(without.healed.is_empty() && without.errors.len() == 1, "{without:?}");
    let with = heal(folder.path(), Some("secret".to_owned())).await.unwrap();
    assert!(with.healed.len() == 1 && with.errors.is_empty(), "{with:?}");
}

#[tokio::test]
async fn of_somebodys_own_cluster_only_actors_are_struck() {
    let folder = tempfile::tempdir().unwrap();
    let faults = faults(folder.path());
    let all = ["node-1".to_owned()];
    let name = || Nodes::Name("node-1".to_owned());
    let owners = std::collections::BTreeMap::new();
    let kill = Fault::Kill { target: Process::Node(name()) };
    let chosen = Chosen::at_the_moment(&kill, &owners, &all, 7).unwrap();
    let refused = faults.inject(1, &kill, &chosen, LONG).await.unwrap_err();
    assert!(matches!(refused, FaultError::NotPossible { .. }), "{refused}");
    assert!(refused.to_string().contains("user's own cluster"), "{refused}");
    let too_long = Duration::from_secs(3601);
    assert!(faults.inject(1, &kill, &chosen, too_long).await.is_err());

    // Nobody is there: it fails, and as nobody can say whether the rule is set, it stays open.
    let target = Actors { actor: "/shield/**".to_owned(), node: name() };
    let hang = Fault::ActorHang { target, share: 1.0 };
    let short = Duration::from_millis(300);
    let failed = faults.inject(2, &hang, &chosen, short).await.unwrap_err().to_string();
    assert!(failed.contains("is not reached") && failed.contains("not undone"), "{failed}");
    assert_eq!(faults.open()[0].struck, ["/shield/**"]);
    tokio::time::sleep(short).await;
    faults.undo(2).await.unwrap();
    assert!(faults.open().is_empty(), "its time is over at any node");
}
