//! A run as it could have been.

use kiki_chaos::load::{Kind, KindSummary, LoadSummary};
use kiki_chaos::report::{
    Fault, NeverServed, Owned, OwnerChange, Ownership, Phase, Probe, Reading, RunReport, Second,
    Undo,
};
use kiki_chaos::verdict::{Checked, GivenUp, Invariant, Verdict, Violation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub struct Sample {
    pub seed: u64,
    pub seconds: u32,
    pub faults: u32,
    pub verdict: Verdict,
}

/// Quarters, which a file of JSON gives back to the bit.
fn quarters(value: f64) -> f64 {
    (value * 4.0).round() / 4.0
}

const KINDS: [(&str, &str); 8] = [
    ("kill", "signal"),
    ("pause", "signal"),
    ("partition", "namespace"),
    ("latency", "relay"),
    ("database_restart", "process"),
    ("redis_flush", "client"),
    ("slow_loris", "connections"),
    ("clock_jump", "library"),
];
const TARGETS: [&str; 5] = ["node-1", "node-2", "owner of c0", "postgres", "node-3 → node-1"];

fn faults(sample: &Sample, rng: &mut ChaCha8Rng) -> Vec<Fault> {
    let span = f64::from(sample.seconds.max(1));
    let one = |number: u32| {
        let (kind, way) = KINDS[rng.random_range(0..KINDS.len())];
        let began = span * (0.12 + 0.75 * f64::from(number) / f64::from(sample.faults.max(1)));
        let (lasts, undone) = (rng.random_range(0.01..0.07) * span, number % 7 != 5);
        let point = kind == "redis_flush" || kind == "kill";
        Fault {
            number,
            id: "it".to_owned(),
            kind: kind.to_owned(),
            target: TARGETS[rng.random_range(0..TARGETS.len())].to_owned(),
            way: way.to_owned(),
            began_s: (sample.seconds > 0).then_some(quarters(began)),
            ended_s: (sample.seconds > 0 && !point && undone)
                .then_some(quarters((began + lasts).min(span))),
            struck: Some(3),
            undo: match (sample.seconds, point, undone) {
                (0, ..) => Undo::NotDone {
                    why: "network namespaces need the right to make them".to_owned(),
                },
                (_, true, _) => Undo::Nothing,
                (_, _, true) => Undo::Undone,
                _ => Undo::Failed { why: "the relay did not answer".to_owned() },
            },
        }
    };
    (0..sample.faults).map(one).collect()
}

fn series(sample: &Sample, faults: &[Fault], rng: &mut ChaCha8Rng) -> Vec<Second> {
    let one = |second: u32| {
        let at = f64::from(second);
        let struck = faults.iter().any(|f| {
            let from = f.began_s.unwrap_or(f64::MAX);
            at >= from.floor() && at < f.ended_s.unwrap_or(from + 2.0)
        });
        let rate = rng.random_range(150..190u32);
        if !struck {
            let refused = rng.random_range(0..12);
            let p99_ms = quarters(rng.random_range(9.0..22.0));
            return Second {
                done: rate - refused,
                refused,
                p50_ms: quarters(rng.random_range(1.4..2.2)),
                p99_ms,
                ..Second::default()
            };
        }
        let (unavailable, unknown) = (rng.random_range(15..90), rng.random_range(0..14));
        Second {
            done: rate.saturating_sub(unavailable + unknown + 20),
            refused: rng.random_range(0..6),
            unavailable,
            unknown,
            wrong: u32::from(
                sample.verdict == Verdict::InvariantViolated && second.is_multiple_of(9),
            ) * 8,
            p50_ms: quarters(rng.random_range(2.0..9.0)),
            p99_ms: quarters(rng.random_range(300.0..4_000.0)),
        }
    };
    (0..sample.seconds).map(one).collect()
}

fn load(series: &[Second]) -> LoadSummary {
    let sum = |of: fn(&Second) -> u32| series.iter().map(|s| u64::from(of(s))).sum::<u64>();
    let (done, unknown) = (sum(|s| s.done), sum(|s| s.unknown));
    let kind = |kind: Kind, part: u64| {
        let of = KindSummary {
            arrived: done * part / 20,
            not_sent: unknown * part / 30,
            operations: sum(Second::all) * part / 10,
            done: done * part / 10,
            refused: sum(|s| s.refused) * part / 10,
            unavailable: sum(|s| s.unavailable) * part / 10,
            unknown: unknown * part / 10,
            wrong: sum(|s| s.wrong) * part / 10,
            p50_ms: 1.75,
            p99_ms: 420.0,
            ..KindSummary::default()
        };
        (kind, of)
    };
    let kinds =
        [5, 2, 1, 1, 1].into_iter().zip(Kind::ALL).map(|(part, of)| kind(of, part)).collect();
    LoadSummary { seconds: series.len() as f64, kinds, wrong: Vec::new() }
}

fn violations(verdict: Verdict) -> Vec<Violation> {
    if verdict != Verdict::InvariantViolated {
        return Vec::new();
    }
    let one = |invariant, what: &str, at_us, operations| Violation {
        invariant,
        what: what.to_owned(),
        at_us: Some(at_us),
        operations,
    };
    vec![
        one(
            Invariant::Bg2,
            "the spend under key chaos-spend3-17 was acknowledged, and is in the ledger of a0-c2 twice (rows 211 and 214)",
            31_400_000,
            vec![4_711, 4_733],
        ),
        one(
            Invariant::Linear,
            "no order of the answers about person a1-p3 explains that marketing was allowed after its revocation had been answered",
            44_020_000,
            (9_001..9_014).collect(),
        ),
    ]
}

fn phases(seconds: f64) -> Vec<Phase> {
    let parts = [
        ("warm-up", 0.0, 0.08),
        ("first hypothesis", 0.08, 0.1),
        ("method", 0.1, 0.8),
        ("second hypothesis", 0.8, 0.95),
    ];
    let one = |(name, from, to): (&str, f64, f64)| Phase {
        name: name.to_owned(),
        from_s: quarters(from * seconds),
        to_s: Some(quarters(to * seconds)),
    };
    parts.into_iter().filter(|_| seconds > 0.0).map(one).collect()
}

/// Budgets that were node-1's first, and then of whoever took shards.
fn owned(owners: &[OwnerChange]) -> Vec<Owned> {
    let one = |n: usize| {
        let mut by = Vec::new();
        let (mut owner, mut from_s) = ("node-1".to_owned(), 0.0);
        for change in owners.iter().skip(n).step_by(2) {
            let at = change.at_s;
            let before = Ownership { owner: owner.clone(), from_s, to_s: Some(at - 0.5) };
            by.push(before);
            (owner, from_s) = (change.owner.clone(), at);
        }
        by.push(Ownership { owner, from_s, to_s: None });
        let (account, campaign) = ("kc-a0".to_owned(), format!("kc-a0-c{n}"));
        Owned { account, campaign, by }
    };
    (0..owners.len().min(3)).map(one).collect()
}

pub fn run(sample: Sample) -> RunReport {
    let mut rng = ChaCha8Rng::seed_from_u64(sample.seed);
    let faults = faults(&sample, &mut rng);
    let series = series(&sample, &faults, &mut rng);
    let owners = faults.iter().filter_map(|f| f.began_s).flat_map(|at| {
        [(at + 2.0, "node-2", 44), (at + 2.25, "node-3", 41)]
            .map(|(at_s, owner, shards)| OwnerChange { at_s, owner: owner.to_owned(), shards })
    });
    let owners: Vec<OwnerChange> =
        owners.filter(|change| change.at_s < f64::from(sample.seconds)).collect();
    let sum = |of: fn(&Second) -> u32| series.iter().map(|s| u64::from(of(s))).sum::<u64>();
    let violations = violations(sample.verdict);
    let ran = sample.verdict != Verdict::CouldNotRun;
    let reading = |value: &str, held| ran.then(|| Reading { value: value.to_owned(), held });
    let probe = |name: &str, tolerance: &str, before, after| Probe {
        name: name.to_owned(),
        tolerance: tolerance.to_owned(),
        before,
        after,
    };
    let after = sample.verdict != Verdict::HypothesisFailed;
    RunReport {
        version: 1,
        title: "An owner is killed under load, and another takes over".to_owned(),
        description: "A budget has one owner at a time. Where it dies, another takes its shards within the lease, and what was\nacknowledged stays booked once.\n\nWhat is unknown to a client may be booked or not; it is never booked twice.".to_owned(),
        file_sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        program_sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        file: "chaos/experiments/kill-owner.yaml".to_owned(),
        seed: sample.seed,
        started_at: "2026-11-22T21:14:05Z".to_owned(),
        seconds: f64::from(sample.seconds),
        replay: format!("kiki-chaos run chaos/experiments/kill-owner.yaml --seed {}", sample.seed),
        platform: "kiki 0.1.0, 3 nodes, fast leases".to_owned(),
        verdict: sample.verdict,
        interrupted: false,
        why: (!ran).then(|| "the cluster was not ready within 90 s: node-2 found no PostgreSQL".to_owned()),
        hypothesis: vec![
            probe("every node is ready", "3 of 3", reading("3 of 3", true), reading("3 of 3", true)),
            probe("authorisations are answered", "p99 below 250 ms", reading("19 ms", true), reading(if after { "23 ms" } else { "612 ms" }, after)),
            probe("errors of the last 10 s", "at most 1 %", reading("0 %", true), reading("0.20 %", true)),
        ],
        too_little: Vec::new(),
        load: load(&series),
        checked: Checked {
            operations: sum(Second::all),
            done: sum(|s| s.done),
            refused: sum(|s| s.refused),
            unavailable: sum(|s| s.unavailable),
            unknown: sum(|s| s.unknown),
            ledger_rows: sum(|s| s.done) * 2 / 3,
            audit_rows: sum(|s| s.done),
            searched: 36,
            not_searched: u64::from(sample.faults > 20),
            given_up: (sample.faults > 20)
                .then(|| GivenUp { why: "more than 128 calls were in flight at a time".to_owned(), keys: 1 })
                .into_iter()
                .collect(),
            violations_total: violations.len() as u64,
            violations,
            took_ms: 900,
            ..Checked::default()
        },
        phases: phases(f64::from(sample.seconds)),
        owned: owned(&owners),
        owned_more: u64::from(sample.faults > 20) * 3,
        never_served: NeverServed { budgets: u64::from(sample.faults > 20), consents: 0 },
        recovery_ms: faults.iter().filter_map(|f| f.ended_s).map(|_| quarters(rng.random_range(600.0..3_000.0))).collect(),
        notes: vec!["no right to set the clock here: clock_jump was done by a library in front of the process".to_owned()],
        series,
        owners,
        faults,
    }
}
