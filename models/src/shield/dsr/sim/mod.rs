//! Crashes at every point of every saga, against a small world of tables, key and journal.

mod driver;
mod world;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::driver::{Bug, Driver, Fate, Schedule};
use super::kind::Kind;
use super::saga::Saga;
use super::step::{Step, plan};

/// Each fate at each point, alone: how many runs.
fn each_point(saga: Saga, bug: Bug, kind: Kind) -> Result<u32, String> {
    let mut runs = 0;
    for fate in Fate::BAD {
        for at in 0.. {
            let mut driver = Driver::new(saga, bug, kind, Schedule::At(vec![(at, fate)]));
            driver.run().map_err(|wrong| format!("{kind:?}, {fate:?} at {at}: {wrong}"))?;
            runs += 1;
            if driver.points() <= at {
                break;
            }
        }
    }
    Ok(runs)
}

/// Two fates at any two points.
fn each_pair(saga: Saga, bug: Bug, kind: Kind) -> Result<u32, String> {
    let mut runs = 0;
    for (first, second) in Fate::BAD.iter().flat_map(|f| Fate::BAD.map(|s| (*f, s))) {
        for at in 0.. {
            let mut ended = false;
            for later in at + 1.. {
                let fates = Schedule::At(vec![(at, first), (later, second)]);
                let mut driver = Driver::new(saga, bug, kind, fates);
                let told = |wrong| format!("{kind:?}, {first:?} {at}, {second:?} {later}: {wrong}");
                driver.run().map_err(told)?;
                runs += 1;
                if driver.points() <= later {
                    ended = driver.points() <= at;
                    break;
                }
            }
            if ended {
                break;
            }
        }
    }
    Ok(runs)
}

/// Many fates, and decisions of people at any moment.
fn seeded(saga: Saga, bug: Bug, seed: u64) -> Result<(), String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let kind = Kind::ALL[rng.random_range(0..Kind::ALL.len())];
    let mut driver = Driver::new(saga, bug, kind, Schedule::Random(Box::new(rng)));
    driver.run().map_err(|wrong| format!("{kind:?}, seed {seed}: {wrong}"))
}

/// The first thing that any of the searches finds.
fn search(saga: Saga, bug: Bug) -> Result<(), String> {
    Kind::ALL.into_iter().try_for_each(|kind| each_point(saga, bug, kind).map(drop))?;
    (0..3_000).try_for_each(|seed| seeded(saga, bug, seed))
}

#[test]
fn killed_at_any_point_each_kind_ends_right() {
    for kind in Kind::ALL {
        let runs = each_point(Saga::new(), Bug::None, kind).expect("ends right");
        assert!(runs >= 45, "{kind:?}: {runs} runs");
    }
}

#[test]
fn killed_at_any_two_points_a_deletion_ends_right() {
    let runs = each_pair(Saga::new(), Bug::None, Kind::Deletion).expect("ends right");
    assert!(runs > 4_000, "{runs} runs");
}

#[test]
fn killed_at_random_with_decisions_in_between_each_ends_right() {
    for seed in 0..5_000 {
        seeded(Saga::new(), Bug::None, seed).expect("ends right");
    }
}

/// The plan of deletions with two steps changed about.
macro_rules! planted {
    ($($step:ident),*) => {
        Saga::planted(|kind| match kind {
            Kind::Deletion => &[$(Step::$step),*],
            _ => plan(kind),
        })
    };
}

#[test]
fn planted_orders_of_steps_are_found() {
    for (saga, found) in [
        (
            planted!(StopProcessing, Survey, Journal, DestroyKey, EraseTables, Finish),
            "rows are left that only the key could find",
        ),
        (
            planted!(StopProcessing, Survey, EraseTables, DestroyKey, Journal, Finish),
            "a restore from backup would undo the erasure",
        ),
        (
            planted!(StopProcessing, Survey, EraseTables, Journal, Finish, DestroyKey),
            "completed is saved and it is not so",
        ),
        (
            planted!(Survey, EraseTables, StopProcessing, Journal, DestroyKey, Finish),
            "erased while it could still be written",
        ),
        (
            planted!(StopProcessing, EraseTables, Survey, Journal, DestroyKey, Finish),
            "the outcome does not say what was erased",
        ),
    ] {
        let wrong = search(saga, Bug::None).expect_err("found");
        assert!(wrong.contains(found), "{found}: {wrong}");
    }
}

#[test]
fn planted_faults_of_the_loop_around_are_found() {
    for (bug, found) in [
        (Bug::BooksBeforeItActs, "completed is saved and it is not so"),
        (Bug::ActsBeforeItIsMarked, "rejected or cancelled, and it has acted"),
        (Bug::ForgetsEvents, "not every event was told"),
        (Bug::TellsBeforeItIsSaved, "told of what is not saved"),
        (Bug::ForgetsTheStop, "erased while it could still be written"),
    ] {
        let wrong = search(Saga::new(), bug).expect_err("found");
        assert!(wrong.contains(found), "{bug:?}: {wrong}");
    }
}
