//! What a reader is told who wrote something wrong.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::page::EXAMPLE;
use super::step::Step;
use super::target::Need;
use super::{Problem, validate};

fn problems(text: &str) -> Vec<Problem> {
    validate(text, "x.yaml").expect_err("something is wrong")
}

/// The example with one line (without its indentation) replaced, and the problems of that.
fn with(line: &str, other: &str) -> Vec<String> {
    assert_eq!(EXAMPLE.matches(line).count(), 1, "{line}");
    problems(&EXAMPLE.replace(line, other)).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn says(found: &[String], parts: &[&str]) {
    let fits = |text: &&String| parts.iter().all(|part| text.contains(part));
    assert!(found.iter().any(|it| fits(&it)), "{parts:?} in {found:#?}");
}

#[test]
fn the_example_is_an_experiment_and_its_needs_are_found() {
    let experiment = validate(EXAMPLE, "example.yaml").expect("good");
    assert_eq!(experiment.needs(), BTreeSet::from([Need::Postgres]));
    let Some(Step::Fault(fault)) = experiment.method.first() else { panic!("a fault") };
    assert_eq!(fault.fault.kind(), "kill");
    assert_eq!(fault.jitter.as_micros(), 500_000);
    assert_eq!(experiment.load.rates.total(), 200.0 * 1.95 + 70.0);
}

#[test]
fn what_is_read_is_the_same_when_it_is_written_and_read_again() {
    let experiment = validate(EXAMPLE, "example.yaml").expect("good");
    let written = serde_json::to_string_pretty(&experiment).expect("JSON");
    // JSON is YAML.
    assert_eq!(validate(&written, "example.json"), Ok(experiment));
}

#[test]
fn an_unknown_member_is_told_with_its_place_and_what_was_meant() {
    let found = with("      jitter: 500ms", "      jiter: 500ms");
    says(
        &found,
        &["x.yaml:27:7: method[0].fault.jiter: is not known here", "did you mean jitter?"],
    );
    says(&found, &["allowed are", "duration", "probability", "target"]);
    assert_eq!(found.len(), 1);
    says(&with("tags: [short]", "tag: [short]"), &["x.yaml:5:1: tag:", "did you mean tags?"]);
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = EXAMPLE
        .replace("nodes: 3", "nodes: 30")
        .replace("duration: 20s", "duration: 20")
        .replace("kind: kill", "kind: killl")
        .replace("query: sums", "query: sumz")
        .replace("measure: done_per_second", "measure: 7");
    let found = problems(&text);
    let paths: Vec<&str> = found.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "target.lab.nodes",
            "load.duration",
            "hypothesis[1].query",
            "method[0].fault.kind",
            "method[1].probe.measure"
        ]
    );
    assert!(found.iter().all(|it| it.line > 0 && it.column > 0));
    assert!(found.is_sorted_by_key(|it| (it.line, it.column)));
    let what: Vec<&str> = found.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(what[0], "30 is not within 1 and 7");
    assert_eq!(what[1], "the number 20 is not a time such as 5s or 200ms");
    assert!(what[2].contains("did you mean sums?"), "{}", what[2]);
    assert!(what[3].contains("did you mean kill?") && what[3].contains("restart_loop"));
}

#[test]
fn bounds_are_told() {
    says(&with("duration: 8s", "duration: 11m"), &["11m is not within 10ms and 10m"]);
    says(&with("duration: 8s", "duration: 8 s"), &["one of us, ms, s, m"]);
    says(&with("spend: 50", "spend: -1"), &["load.rates.spend", "-1 is not within 0 and 10000"]);
    says(&with("id: owner-killed", "id: Owner"), &["does not fit"]);
    says(&with("title: The owner", "title: {}\n#"), &["a map is not a text"]);
    let missing = with("      duration: 8s\n", "");
    says(&missing, &["method[0].fault: duration is missing"]);
}

#[test]
fn choices_say_what_may_be_chosen() {
    let target = "{node: {owner_of: {account: account-1, campaign: campaign-1}}}";
    let of = |other: &str| {
        assert!(EXAMPLE.contains(target));
        let text = EXAMPLE.replace(target, other);
        problems(&text).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    says(&of("{nod: any}"), &["target.nod: is not known here (did you mean node?)"]);
    says(&of("{node: {percnt: 3}}"), &["exactly one of names, count, percent"]);
    says(&of("balancers"), &["did you mean balancer?", "or a map with one of node"]);
    says(&of("{node: {percent: 101}}"), &["101 is not within 1 and 100"]);
    says(&of("{node: {percent: 0}}"), &["0 is not within 1 and 100"]);
    says(&of("{node: {percent: 3, count: 1}}"), &["more than one of them"]);
    says(&of("{node: node-4}"), &["nodes of the lab are node-1 to node-3"]);
    says(&of("{node: {count: 4}}"), &["4 nodes of 3"]);
    says(&of("{node: {names: [node-1, node-1]}}"), &["names[1]", "twice"]);
    says(
        &of("{node: {owner_of: {account: account-3, campaign: campaign-7}}}"),
        &["account-1 to account-2"],
    );
    says(&of("{node: 5}"), &["method[0].fault.target.node", "any, all", "percent"]);
    says(
        &of("{node: Node 2}"),
        &["any, all; or a text (One node by its name", "or a map with one"],
    );
}

#[test]
fn parameters_of_faults_are_held_to_the_bounds_of_the_admin_api() {
    let kill = "      kind: kill\n      target: {node: {owner_of: {account: account-1, campaign: campaign-1}}}";
    let of = |other: &str| with(kill, &format!("      {other}"));
    let flood = "kind: actor_flood\n      target: {actor: /shield/budget/*}\n      per_second: ";
    says(&of(&format!("{flood}0")), &["0 is not within 1 and 1000000"]);
    says(&of(&format!("{flood}5\n      share: 1")), &["share: is not known here"]);
    says(&of("kind: actor_panic\n      target: {actor: shield}"), &["shield", "does not fit"]);
    says(&of("kind: actor_panic\n      target: {actor: /shield//x}"), &["segment", "empty"]);
    says(
        &of("kind: actor_delay\n      target: {actor: /shield/**}\n      delay: 601s"),
        &["601s is not within 1ms and 600s"],
    );
    says(&of("kind: actor_panic\n      target: {actor: /a}\n      share: 1.5"), &["1.5 is not"]);
}

#[test]
fn what_does_not_go_together_is_told() {
    says(&with("duration: 20s", "duration: 12s"), &["lasts until 13500ms", "load ends at 12s"]);
    says(&with("settle: 0.75", "settle: 0.9"), &["load.rates.authorise", "not 1 or less"]);
    says(&with("per_second: 150", "per_second: 900"), &["load.minimum", "is never done"]);
    for none in ["minimum: {per_second: 0}", "minimum: {of: {spend: 5}}", ""] {
        says(&with("minimum: {per_second: 150}", none), &["load.minimum", "is not above 0"]);
    }
    let minimum = "minimum: {per_second: 150, of: {bid: 5}}";
    says(&with("minimum: {per_second: 150}", minimum), &["load.minimum.of.bid", "0 that are sent"]);
    says(&with("fault: owner-killed", "fault: owner-kild"), &["there are owner-killed"]);
    let owner = "{owner_of: {account: account-1, campaign: campaign-1}}";
    let process =
        format!("  - {{kind: process, target: {{node: {owner}}}, state: alive}}\nmethod:");
    says(&with("method:", &process), &["hypothesis[3].target.node", "said by name"]);
    let metric = format!(
        "  - {{kind: metric, name: cluster_shards_owned, node: {owner}, tolerance: {{at_most: 0}}}}\nmethod:"
    );
    says(&with("method:", &metric), &["hypothesis[3].node", "said by name"]);
    for kind in ["ended", "increase, metric: cluster_shards_taken_total"] {
        let expect = format!("expect:\n    - {{kind: {kind}, node: {owner}}}");
        says(&with("expect:", &expect), &["checks.expect[0].node", "said by name"]);
    }
    says(&with("measure: error_ratio", "measure: error_ratio, of: bid"), &["no such operations"]);
    let twice = "- probe:\n      id: owner-killed";
    says(&with("- probe:", twice), &["is the name of method[0] already"]);
    let lab = "nodes: 3\n    settings: {store.database_url: x, nonsense: 1, shield.window_cap: 5}";
    let found = with("nodes: 3", lab);
    says(&found, &["store.database_url is set by the lab"]);
    says(&found, &["nonsense is not section.key"]);
    says(&found, &["load.budgets.window_cap"]);
    let none = "checks:\n  invariants: []\n  linearizability: {search: false}\n#";
    let text: String = EXAMPLE.split("checks:").next().expect("some").to_owned() + none;
    assert!(problems(&text)[0].what.contains("nothing is checked"));
    says(
        &with("tolerance: {at_most: 0.01}", "tolerance: {between: {least: 2, most: 1}}"),
        &["nothing is from 2 to 1"],
    );
}

#[test]
fn what_can_never_be_so_is_told() {
    for bound in
        ["{at_least: 1.01}", "{equals: 2}", "{at_most: -0.1}", "{between: {least: 2, most: 3}}"]
    {
        let found = with("tolerance: {at_most: 0.01}", &format!("tolerance: {bound}"));
        says(&found, &["tolerance", "can never be met"]);
    }
    says(
        &with("duration: 8s", "duration: 8s\n      probability: 0.5"),
        &["checks.expect[0].fault", "does not happen with every seed"],
    );
    let kill = "      kind: kill\n      target: {node: {owner_of: {account: account-1, campaign: campaign-1}}}";
    let cut = |one: &str, other: &str| {
        let link = format!("{{between: {{one: {one}, other: {other}}}}}");
        let text = EXAMPLE.replace(kill, &format!("      kind: partition\n      target: {link}"));
        validate(&text, "x.yaml")
            .map(drop)
            .map_err(|all| all.iter().map(ToString::to_string).collect())
    };
    let owner = "{node: {owner_of: {account: account-1, campaign: campaign-1}}}";
    for (one, other, why) in [
        ("{node: all}", "other_nodes", "no other nodes than all"),
        ("other_nodes", "{node: all}", "no other nodes than all"),
        ("{node: node-1}", "{node: node-1}", "the same node"),
        (owner, owner, "the same node"),
    ] {
        let found: Vec<String> = cut(one, other).expect_err("nothing is between them");
        says(&found, &["method[0].fault.target", why]);
    }
    for (one, other) in [("{node: all}", "{node: all}"), (owner, "other_nodes")] {
        assert_eq!(cut(one, other), Ok(()), "{one} and {other}");
    }
}

#[test]
fn a_hypothesis_without_probes_is_none() {
    let begin = EXAMPLE.find("hypothesis:").expect("there");
    let end = EXAMPLE.find("method:").expect("there");
    let text = format!("{}hypothesis: []\n{}", &EXAMPLE[..begin], &EXAMPLE[end..]);
    assert_eq!(
        problems(&text)[0].to_string(),
        "x.yaml:17:13: hypothesis: has 0 entries, not within 1 and 32"
    );
}

#[test]
fn a_cluster_that_runs_is_struck_through_its_admin_api_alone() {
    let lab = "  lab:\n    nodes: 3\n    leases: fast\n";
    let urls =
        "  urls: {shield: 'http://h:1', admin: ['http://h:2', ftp://x.test], token_env: T}\n";
    says(&with(lab, urls), &["target.urls.admin[1]", "does not begin with http"]);
    let urls = "  urls: {shield: 'http://h:1', admin: ['http://h:2'], token_env: T}\n";
    says(&with(lab, urls), &["method[0].fault.kind", "kill needs a lab"]);
}

#[test]
fn two_faults_of_a_kind_do_not_strike_the_same_at_the_same_time() {
    let second = "method:\n  - fault: {kind: redis_stop, start: 1s, duration: 5s}\n  - fault: {kind: redis_stop, start: START, duration: 5s}";
    let at = |start: &str| EXAMPLE.replace("method:", &second.replace("START", start));
    let found: Vec<String> = problems(&at("3s")).iter().map(ToString::to_string).collect();
    says(&found, &["method[1].fault: the same is struck by fault-1 at the same time"]);
    assert!(validate(&at("6s"), "x").is_ok());
}

#[test]
fn links_that_cannot_be_are_told() {
    let kill = "      kind: kill\n      target: {node: {owner_of: {account: account-1, campaign: campaign-1}}}";
    let of = |from: &str, to: &str| {
        let fault = "      kind: partition\n      target: {link: {from: FROM, to: TO}}";
        with(kill, &fault.replace("FROM", from).replace("TO", to))
    };
    says(&of("database", "database"), &["both ends are the same"]);
    says(&of("database", "redis"), &["one end has to be a node"]);
    says(&of("other_nodes", "database"), &["where the other end names nodes"]);
    says(&of("other_nodes", "other_nodes"), &["than which?"]);
    says(&of("databas", "redis"), &["did you mean database?"]);
}

#[test]
fn what_is_no_yaml_has_a_place_too() {
    let found = problems("title: [");
    assert_eq!(found.len(), 1);
    assert!(found[0].line > 0, "{}", found[0]);
    for (text, says) in [
        ("", "is not an experiment"),
        ("just words", "is not an experiment"),
        ("a: 1\na: 2\n", "duplicate"),
        ("a: &x 1\n<<: *x\n", "merge"),
        ("!odd {a: 1}", "tag"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("a: *x\n", "alias"),
        ("a: &x [*x]\n", "alias"),
        ("a: !!binary x\n", "tag !!binary"),
        ("? [a]\n: b\n", "is read here"),
        ("a: .nan\n", ".nan is no number"),
        ("a: [1\n", "is no yaml"),
        ("a: \"x\n", "is no yaml"),
        ("a: b: c\n", "is no yaml"),
    ] {
        let found = problems(text);
        assert!(found[0].what.to_lowercase().contains(says), "{text:?}: {}", found[0]);
    }
    let many = format!("a: [{}]", "1,".repeat(21_000));
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    for (text, says) in [(many, "at most 20000 values"), (deep, "more than 24 deep")] {
        let found = problems(&text);
        assert!(found[0].what.contains(says), "{}", found[0]);
    }
    let long = "#".repeat(300_000);
    assert!(problems(&long)[0].what.contains("at most 262144"));
    let deep = "[".repeat(2_000);
    assert!(!problems(&deep).is_empty());
    let bomb = "a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e]\n";
    assert!(!problems(bomb).is_empty());
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,200}") {
        prop_assert!(validate(&text, "x").is_err());
    }

    /// A line of a good file that is lost or swapped with another: good or told, never a panic.
    #[test]
    fn no_damage_to_a_file_breaks_the_reader(
        lost in 0_usize..45, cut in 0_usize..80, word in "[a-z0-9:{}\\[\\], -]{0,12}",
    ) {
        let mut lines: Vec<String> = EXAMPLE.lines().map(str::to_owned).collect();
        let at = lost % lines.len();
        let line = &mut lines[at];
        let cut = cut.min(line.len());
        line.truncate(cut);
        line.push_str(&word);
        if let Err(found) = validate(&lines.join("\n"), "x") {
            prop_assert!(!found.is_empty());
        }
    }
}
