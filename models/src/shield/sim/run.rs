//! Runs of the simulation: the rules as they are, and the rules with a bug planted in them.

use super::world::{SECOND, Verdict, World};
use crate::shield::limits::Bug;

/// Steps of one run before its faults end.
const STEPS_RUN: u64 = 20_000;
/// How often the offline checker looks at the rows.
const VERIFY_EVERY_STEPS: u64 = 2_000;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}

/// What a run came to.
#[derive(Debug, Default)]
struct Outcome {
    steps: u64,
    grants: u64,
    rows: u64,
    late: u64,
}

fn walk(world: &mut World, verifies: bool, outcome: &mut Outcome) -> Verdict {
    let seed_store = &world.store;
    world.check.begin(seed_store);
    world.check.trace = std::env::var_os("KIKI_SIM_TRACE").is_some();
    while world.steps < STEPS_RUN {
        world.step()?;
        if verifies
            && world.steps.is_multiple_of(VERIFY_EVERY_STEPS)
            && let Some(violation) = super::offline::verify(&world.store).violations.first()
        {
            return Err(format!("{violation} (as kiki ledger verify says)"));
        }
    }
    world.calm_down();
    let calm = world.t + 60 * SECOND;
    let mut probed = false;
    let mut again = 0;
    while world.t < calm {
        world.step()?;
        if !probed && world.t > calm - 30 * SECOND {
            probed = true;
            world.quiet = true;
            world.probe();
        }
        if probed && world.t > again {
            again = world.t + SECOND;
            world.probe_again();
        }
    }
    outcome.steps += world.steps;
    outcome.grants += world.check.grants;
    outcome.rows += world.check.rows;
    outcome.late += world.check.late;
    match world.clients.probes.len() {
        0 => {}
        n => return Err(format!("LV: {n} spends were not answered in the calm")),
    }
    match world.check.notices_open() {
        0 => {}
        n => return Err(format!("BG-2: {n} acknowledged notices were never booked")),
    }
    match world.check.unbooked_acked(&world.clients.acked) {
        0 => Ok(()),
        n => Err(format!("BG-2: {n} acknowledged operations are not in the ledger")),
    }
}

fn run(seed: u64, bug: Option<Bug>, outcome: &mut Outcome) -> Result<(), String> {
    let mut world = World::new(seed, bug);
    // the table of planted bugs says what the simulation itself finds
    walk(&mut world, bug.is_none(), outcome)
        .map_err(|what| format!("{what} (step {}, t {} ms)", world.steps, world.t / 1_000))
}

#[test]
fn a_million_steps_of_faults_break_no_invariant() {
    let mut outcome = Outcome::default();
    let seeds: Box<dyn Iterator<Item = u64>> = match env("KIKI_SIM_SEED") {
        Some(seed) => Box::new(std::iter::once(seed)),
        None => Box::new(1..),
    };
    let steps = env("KIKI_SIM_STEPS").unwrap_or(1_000_000);
    for seed in seeds {
        if let Err(what) = run(seed, None, &mut outcome) {
            panic!("{what}\nreplay it: KIKI_SIM_SEED={seed} cargo test --lib a_million_steps");
        }
        if outcome.steps >= steps {
            break;
        }
    }
    println!("{outcome:?}");
    // A quiet run proves nothing.
    assert!(outcome.grants * 250 > outcome.steps, "too few grants: {outcome:?}");
    assert!(outcome.rows * 150 > outcome.steps, "too few bookings: {outcome:?}");
    assert!(outcome.late > 0, "nothing was ever late: {outcome:?}");
}

/// The planted bugs, the rule that each breaks, and what it does.
const PLANTED: [(Bug, &str, &str); 18] = [
    (Bug::SliceSurvivesItsHolder, "1", "a restarted holder goes on with the slice that it finds"),
    (Bug::SettleBeyondSlice, "1", "a settle does not look at what its slice has left"),
    (Bug::ReclaimAtTtl, "2", "capacity of a slice comes back at its ttl, while holds are open"),
    (Bug::ServeByWallClock, "2", "the holder measures the life of its slice by the wall clock"),
    (Bug::UnknownMeansFailed, "3", "an unknown commit is taken for a failed one"),
    (Bug::EpochIgnored, "4", "a write is not checked against the epoch of its shard"),
    (Bug::ForeignWriter, "5", "a node books in a budget that it does not own"),
    (Bug::WonHoldExpires, "6", "a hold with a win notice expires like any other"),
    (Bug::NoticeAckedInMemory, "6", "a notice is acknowledged before it is durable"),
    (Bug::RefundBelowZero, "7", "a refund is worth more than what the window holds"),
    (Bug::RestartClearsWindow, "8", "a restart forgets what the window held"),
    (Bug::HoldsOutsideWindow, "8", "open holds do not count in the window"),
    (Bug::SettleOnToday, "9", "a hold settles on the day of the settle"),
    (Bug::SliceCrossesMidnight, "9", "a slice outlives its day"),
    (Bug::NoMargin, "lease", "a node serves to the very end of its lease"),
    (Bug::LeaseFromTheAnswer, "lease", "a node counts its lease from the answer to its renewal"),
    (Bug::RenewalRevives, "lease", "a renewal extends a lease that is over"),
    (
        Bug::OldIncarnationWrites,
        "owner",
        "a node that comes back goes on with the epochs of its last life",
    ),
];

#[test]
fn every_planted_bug_is_found_and_the_table_in_docs_says_how() {
    let mut table = String::from(
        "# Planted bugs\n\nGenerated by `cargo test --lib every_planted_bug`; `KIKI_BLESS=1` writes it anew. Each numbered money\n\
         rule is broken on purpose, behind a switch that exists only in tests, and the simulation must notice.\n\n\
         | rule | planted bug | found by | in runs |\n|---|---|---|---|\n",
    );
    let mut missed = Vec::new();
    for (bug, rule, what) in PLANTED {
        let found = (1..=1_000u64).find_map(|seed| {
            let failure = run(seed, Some(bug), &mut Outcome::default()).err()?;
            Some((seed, failure))
        });
        match found {
            Some((runs, failure)) => {
                let id = failure.split(':').next().unwrap_or_default();
                println!("{bug:?}: {failure} after {runs} runs");
                table.push_str(&format!("| {rule} | {what} | {id} | {runs} |\n"));
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "the simulation is blind to {missed:?}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/planted-bugs.md");
    if std::env::var_os("KIKI_BLESS").is_some() {
        std::fs::write(path, &table).expect("docs can be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(written, table, "docs/planted-bugs.md is out of date: run with KIKI_BLESS=1");
}
