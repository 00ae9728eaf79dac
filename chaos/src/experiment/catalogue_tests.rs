//! Every file of the catalogue, the page of reference, and that a seed says everything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::checks::Expectation;
use super::page::{EXAMPLE, page};
use super::pick::{By, Nodes, Role};
use super::plan::{Act, Inventory, Member, plan};
use super::rows::rows;
use super::step::Step;
use super::target::Target;
use super::timeline::moments;
use super::{Experiment, validate};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")
}

/// By the file's name without its ending.
fn catalogue() -> Vec<(String, Experiment)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        let stem = name.strip_suffix(".yaml").expect("only experiments").to_owned();
        let text = std::fs::read_to_string(entry.path()).expect("a text");
        let told = |found: Vec<super::Problem>| {
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let experiment = validate(&text, &name).map_err(told);
        all.push((stem, experiment.unwrap_or_else(|problems| panic!("\n{problems}"))));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn nodes(count: u8) -> Inventory {
    let roles = vec![Role::Shield, Role::Flow, Role::Value];
    let member = |n| Member { name: format!("node-{n}"), roles: roles.clone() };
    Inventory { nodes: (1..=count).map(member).collect() }
}

fn lab_of(experiment: &Experiment) -> Inventory {
    match &experiment.target {
        Target::Lab(lab) => nodes(lab.nodes),
        Target::Urls(_) => panic!("the catalogue is for labs"),
    }
}

#[test]
fn every_experiment_of_the_catalogue_is_good_and_planned_by_any_seed() {
    let all = catalogue();
    assert!(all.len() >= 22, "{}", all.len());
    let titles: BTreeSet<&str> = all.iter().map(|(_, it)| it.title.as_str()).collect();
    assert_eq!(titles.len(), all.len(), "two have the same title");
    for (name, experiment) in &all {
        assert!(super::pattern::fits("^[a-z][a-z0-9-]{9,99}$", name), "{name}");
        let steps = experiment.method.iter().filter(|step| !matches!(step, Step::Wait(_)));
        let steps = steps.count();
        for seed in 0..100 {
            let plan = plan(experiment, seed, &lab_of(experiment)).expect(name);
            assert_eq!(plan.steps.len() + plan.left_out.len(), steps, "{name}, seed {seed}");
            assert!(plan.ends <= experiment.load.duration, "{name}, seed {seed}");
            assert!(plan.steps.is_sorted_by_key(|step| step.at), "{name}, seed {seed}");
        }
        // A fault that struck nothing has to be noticed.
        assert!(!experiment.checks.expect.is_empty(), "{name}");
        assert!(experiment.load.minimum.per_second > 0.0, "{name}");
    }
    let short: Vec<_> =
        all.iter().filter(|(_, it)| it.tags.iter().any(|tag| tag == "short")).collect();
    assert!((5..=6).contains(&short.len()), "{}", short.len());
    for (name, experiment) in short {
        assert!(experiment.load.duration.as_micros() <= 25_000_000, "{name} is not short");
    }
}

#[test]
fn every_fault_of_the_catalogue_is_expected_to_have_struck_something() {
    for (name, experiment) in catalogue() {
        let method = &experiment.method;
        let of_method = method
            .iter()
            .zip(moments(method))
            .filter_map(|(step, moment)| matches!(step, Step::Fault(_)).then_some(moment.id));
        let of_clients = (1..=experiment.load.hostile.len()).map(|n| format!("hostile-{n}"));
        for id in of_method.chain(of_clients) {
            let of_this =
                |it: &Expectation| matches!(it, Expectation::Struck { fault, .. } if *fault == id);
            assert!(experiment.checks.expect.iter().any(of_this), "{name}: {id}");
        }
        if method.iter().any(|step| matches!(step, Step::Order(_))) {
            let changed = |it: &Expectation| matches!(it, Expectation::OwnerChanged { .. });
            assert!(experiment.checks.expect.iter().any(changed), "{name}: who owned what");
        }
    }
}

#[test]
fn rows_say_what_an_experiment_is() {
    let all = catalogue();
    let rows = rows(all.iter().map(|(name, it)| (name.as_str(), it)));
    assert_eq!(rows.len(), all.len());
    assert!(rows.is_sorted_by_key(|row| row.name.clone()));
    let by = |name: &str| rows.iter().find(|row| row.name == name).expect("there");
    let killed = by("the-owner-is-killed-in-the-middle-of-an-authorisation");
    assert_eq!(killed.faults, ["kill"]);
    assert!(rows.iter().all(|row| !row.needs.is_empty() && !row.title.is_empty()));
    assert!(by("slow-clients-hold-connections-open").faults.contains(&"slow_loris"));
}

#[test]
fn the_page_of_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/chaos-experiments.md");
    let now = page();
    if std::env::var_os("KIKI_BLESS").is_some() {
        std::fs::write(&path, &now).expect("written");
    }
    let was = std::fs::read_to_string(&path).expect("the page");
    assert_eq!(now, was, "docs/chaos-experiments.md; KIKI_BLESS=1 writes it anew");
}

#[test]
fn the_page_names_every_kind_of_fault_and_every_member() {
    let page = page();
    for word in ["actor_flood", "fsync_error", "rolling_restart", "owner_changed", "slow_loris"] {
        assert!(page.contains(&format!("### `kind: {word}`")), "{word}");
    }
    for word in ["`per_second`", "`tight_share`", "`not_owner_of`", "10ms to 10m"] {
        assert!(page.contains(word), "{word}");
    }
    let without: Vec<&str> = page.lines().filter(|line| line.ends_with("|  |")).collect();
    assert!(without.is_empty(), "members without a meaning:\n{}", without.join("\n"));
}

#[test]
fn a_node_that_is_not_there_is_no_plan() {
    let text = EXAMPLE.replace("{owner_of: {account: account-1, campaign: campaign-1}}", "node-3");
    let experiment = validate(&text, "x").expect("good");
    let error = plan(&experiment, 1, &nodes(2)).expect_err("there is none");
    assert_eq!(
        error.to_string(),
        "step owner-killed: there is no node node-3; there are node-1, node-2"
    );
}

#[test]
fn the_owner_is_found_at_the_moment_of_the_step() {
    let experiment = validate(EXAMPLE, "x").expect("good");
    let plan = plan(&experiment, 1, &nodes(3)).expect("a plan");
    let Act::Fault(fault) = &plan.steps[0].act else { panic!("a fault") };
    let mut fault = fault.clone();
    let all = ["node-1", "node-2", "node-3"].map(str::to_owned);
    let nodes = fault.nodes_mut();
    let owner = |draw| nodes[0].1.at_the_moment("node-2", &all, draw);
    assert_eq!(owner(1), Some(vec!["node-2".to_owned()]));
    let key = nodes[0].1.asks_owner().expect("asked").clone();
    let other = Nodes::By(By::NotOwnerOf(key));
    let drawn: BTreeSet<_> =
        (0..64).filter_map(|draw| other.at_the_moment("node-2", &all, draw)).collect();
    let expected = [vec!["node-1".to_owned()], vec!["node-3".to_owned()]];
    assert_eq!(drawn, BTreeSet::from(expected));
    assert_eq!(Nodes::all().at_the_moment("node-2", &all, 1), None);
}

#[test]
fn seeds_choose_differently_and_a_step_more_at_the_end_changes_no_other_draw() {
    let any = EXAMPLE.replace("{owner_of: {account: account-1, campaign: campaign-1}}", "any");
    let step =
        "  - fault: {kind: redis_flush, start: 16s, jitter: 1s, duration: 1s}\nchecks:\n  expect:";
    let more = any.replace("checks:\n  expect:", step);
    let (any, more) = (validate(&any, "x").expect("good"), validate(&more, "x").expect("good"));
    assert_eq!(more.method.len(), any.method.len() + 1);
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let plain = plan(&any, seed, &nodes(3)).expect("a plan");
        let with_more = plan(&more, seed, &nodes(3)).expect("a plan");
        assert_eq!(plain.steps[0], with_more.steps[0]);
        seen.insert(format!("{:?}", plain.steps[0].act));
    }
    assert_eq!(seen.len(), 3, "each of three nodes is chosen by some seed");
}

proptest! {
    #[test]
    fn the_same_seed_makes_the_same_plan_however_nodes_are_listed(
        seed: u64, which in 0_usize..22, turn in 0_usize..7,
    ) {
        let all = catalogue();
        let (_, experiment) = &all[which];
        let inventory = lab_of(experiment);
        let mut turned = inventory.clone();
        let by = turn % turned.nodes.len();
        turned.nodes.rotate_left(by);
        let one = plan(experiment, seed, &inventory);
        prop_assert_eq!(&one, &plan(experiment, seed, &turned));
        let one = one.expect("a plan");
        let text = serde_json::to_string(&one).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<super::Plan>(&text).expect("a plan"), one);
    }

    /// `percent` and `count` choose so many, and only who is there.
    #[test]
    fn as_many_are_chosen_as_are_asked_for(seed: u64, count in 1_u8..=7, percent in 1_u8..=100) {
        let choose = |nodes_text: String| {
            let text = EXAMPLE
                .replace("{owner_of: {account: account-1, campaign: campaign-1}}", &nodes_text)
                .replace("nodes: 3", "nodes: 7");
            let experiment = validate(&text, "x").expect("good");
            let plan = plan(&experiment, seed, &nodes(7)).expect("a plan");
            let Act::Fault(mut fault) = plan.steps[0].act.clone() else { panic!("a fault") };
            let Nodes::By(By::Names(names)) = fault.nodes_mut()[0].1.clone() else {
                panic!("names")
            };
            names
        };
        let chosen: BTreeSet<String> = choose(format!("{{count: {count}}}")).into_iter().collect();
        prop_assert_eq!(chosen.len(), usize::from(count));
        let chosen: BTreeSet<String> =
            choose(format!("{{percent: {percent}}}")).into_iter().collect();
        prop_assert_eq!(chosen.len(), (usize::from(percent) * 7).div_ceil(100));
        prop_assert!(chosen.iter().all(|name| nodes(7).nodes.iter().any(|it| it.name == *name)));
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_a_chance_is_kept_about_so_often(seed: u64) {
        let text = EXAMPLE
            .replace("duration: 8s", "duration: 8s\n      probability: 0.5")
            .replace("fault: owner-killed", "fault: owner-killed, tolerance: {at_least: 0}");
        let experiment = validate(&text, "x").expect("good");
        let plans = (0..200).map(|n| plan(&experiment, seed ^ n, &nodes(3)).expect("a plan"));
        let mut happened = 0;
        for plan in plans {
            let fault = plan.steps.iter().find(|step| step.id == "owner-killed");
            happened += usize::from(fault.is_some());
            if let Some(step) = fault {
                prop_assert!((5_000_000..=5_500_000).contains(&step.at.as_micros()));
                prop_assert_eq!(step.until.as_micros() - step.at.as_micros(), 8_000_000);
            }
        }
        // Of 200 with a chance of one half: nine standard deviations to either side.
        prop_assert!((36..=164).contains(&happened), "{}", happened);
    }
}
