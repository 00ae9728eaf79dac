//! After the load: what is read of the platform, what the checker says of it, and the verdict.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use super::crew::Ended;
use super::field::{Field, Told};
use super::meters::glob;
use super::stage::Played;
use super::stop::Stop;
use super::{Options, Subject, aftermath, expect, guard};
use crate::check::{self, History, Key, stats};
use crate::experiment::checks::{Checks, Expectation};
use crate::history::{AtEnd, Death};
use crate::load::{LoadSpec, LoadSummary, Patience};
use crate::report::{self, INTERRUPTED, NeverServed, RunReport, Undo};
use crate::verdict::{Checked, Invariant, Verdict};

/// A hold ends so long after its time at the latest.
const AFTER_HOLDS: Duration = Duration::from_secs(6);
/// For the answer to one question.
const ANSWERS: Duration = Duration::from_secs(60);
/// Whoever has pressed Ctrl-C does not wait for holds.
const IN_HASTE: Patience =
    Patience { holds: Duration::from_millis(500), answers: Duration::from_secs(10) };
/// Budgets whose owners are looked for, and those of them that are shown.
const BUDGETS_MAX: usize = 64;
const SHOWN_MAX: usize = 12;

/// The report of a run that has not begun.
pub fn empty(subject: &Subject, seed: u64, options: &Options) -> RunReport {
    let mut replay = format!("kiki-chaos run {} --seed {seed}", subject.file);
    if let Some(against) = &options.against {
        for (word, list) in
            [("--against", &against.shield), ("--flow", &against.flow), ("--admin", &against.admin)]
        {
            list.iter().for_each(|url| replay += &format!(" {word} {url}"));
        }
        replay += &against.token_argument();
    }
    RunReport {
        version: 1,
        title: subject.experiment.title.clone(),
        description: subject.experiment.description.clone(),
        file_sha256: subject.sha256.clone(),
        program_sha256: String::new(),
        file: subject.file.clone(),
        seed,
        started_at: jiff::Timestamp::now().to_string(),
        seconds: 0.0,
        replay,
        platform: String::new(),
        verdict: Verdict::Held,
        interrupted: false,
        why: None,
        hypothesis: Vec::new(),
        faults: Vec::new(),
        load: LoadSummary::default(),
        too_little: Vec::new(),
        checked: Checked::default(),
        series: Vec::new(),
        owners: Vec::new(),
        phases: Vec::new(),
        owned: Vec::new(),
        owned_more: 0,
        recovery_ms: Vec::new(),
        never_served: NeverServed::default(),
        notes: Vec::new(),
    }
}

/// Reads, checks and decides.
///
/// # Errors
/// The run says nothing: why.
#[allow(clippy::too_many_arguments)]
pub async fn finish(
    subject: &Subject,
    spec: &LoadSpec,
    folder: &Path,
    cluster: &Arc<Cluster>,
    stop: &Stop,
    played: Played,
    summary: LoadSummary,
    ended: Ended,
    report: &mut RunReport,
) -> Result<(), String> {
    let Ended { told, field, broke } = ended;
    let unexpected = {
        // Ends are judged by the field, which was emptied for the report.
        field.told().ended.clone_from(&told.ended);
        guard::unexpected(&field)
    };
    *field.told() = told;
    field.progress.phase("reading ledgers and audit logs", None);
    let in_haste = stop.is_asked();
    let patience = match in_haste {
        true => IN_HASTE,
        false => Patience { holds: spec.hold + AFTER_HOLDS, answers: ANSWERS },
    };
    let collected = crate::load::collect(spec, &cluster.urls, folder, patience, unexpected).await;
    // Since the stage was left nobody has looked who ended.
    let died = guard::look(&field);
    let mut silent = Vec::new();
    match collected {
        Ok(mut collected) => {
            collected.end.died = guard::unexpected(&field);
            if field.cluster.lab.is_none() {
                // What was counted since the load ended belongs to the run, too.
                field.meters.look(&field.cluster).await;
                aftermath::since_the_begin(&mut collected.end);
            }
            aftermath::all_lives(&field.meters, &mut collected.end);
            silent = aftermath::silent(&field, &died, collected.untold);
            if !collected.holds_ended && !in_haste {
                field.note(format!("holds had not all ended: {} micros were held", collected.held));
            }
            mark_struck(&field, folder, collected.end)?;
        }
        Err(error) => {
            field.failed(format!("after the run: {error}"));
            for Death { name, .. } in guard::unexpected(&field) {
                field.failed(format!("{name} ended, and nobody had ordered that"));
            }
        }
    }
    field.progress.phase("checking", None);
    let checks = &subject.experiment.checks;
    let history = checked(checks, folder, in_haste, report);
    if in_haste && let Some(why) = aftermath::unread(&guard::down(&field), &mut report.checked) {
        field.note(why);
    }
    match history {
        Ok(history) => {
            let mut shards = Vec::new();
            for it in &checks.expect {
                shards.push(shard(&field, it).await);
            }
            if !played.interrupted {
                expect::look(&field, Some(&history), &shards);
            }
            (report.recovery_ms, report.never_served) = recoveries(&history, &field.told());
            owned(&field, &history, report).await;
        }
        Err(why) => field.failed(format!("the history was not checked: {why}")),
    }
    too_little(&field, report);
    if let Some(lab) = &cluster.lab {
        let trouble = lab.network().trouble();
        if !trouble.is_empty() {
            let why = format!("the lab's network broke: {}", trouble.join("; "));
            report.worsen(Verdict::CouldNotRun, why);
        }
    }
    let trouble = field.faults.trouble();
    if !trouble.is_empty() {
        let why = format!("faults went wrong while they went on: {}", trouble.join("; "));
        report.worsen(Verdict::CouldNotRun, why);
    }
    report.load = summary;
    match report::seen(&folder.join("history.jsonl")) {
        Ok(seen) => (report.series, report.owners) = (seen.seconds, seen.owners),
        Err(error) => report.notes.push(error.to_string()),
    }
    let told = std::mem::take(&mut *field.told());
    field.progress.end();
    let broken: Vec<String> = broke.into_iter().chain(silent).collect();
    let broke = (!broken.is_empty()).then(|| broken.join("; "));
    decide(told, played, broke, report);
    Ok(())
}

/// Actors that restarted because a fault of the run struck them are marked, so that nobody is blamed for them.
fn mark_struck(field: &Field, folder: &Path, mut end: AtEnd) -> Result<(), String> {
    let told = field.told();
    let expected = field.experiment.checks.expect.iter().filter_map(|it| match it {
        Expectation::Restarts { actor, .. } => Some(actor.clone()),
        _ => None,
    });
    let patterns: BTreeSet<String> = told.patterns.iter().cloned().chain(expected).collect();
    for one in &mut end.restarts {
        one.struck = patterns.iter().any(|it| glob(it, &one.path));
    }
    let file = folder.join("end.json");
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let text = serde_json::to_vec(&end).map_err(|error| failed(error.into()))?;
    std::fs::write(&file, text).map_err(failed)
}

/// Checks the files, and leaves out what the experiment does not ask for.
fn checked(
    checks: &Checks,
    folder: &Path,
    in_haste: bool,
    report: &mut RunReport,
) -> Result<History, String> {
    let mut options = check::Options { allow_cut_off: in_haste, ..check::Options::default() };
    match checks.linearizability.search {
        true => options.search_time = checks.linearizability.within.into(),
        false => options.search_states_total = 0,
    }
    let history = check::read_folder(folder, &options).map_err(|error| error.to_string())?;
    let mut checked = check::history(&history, &options);
    let asked = |it: Invariant| match it {
        Invariant::Linear => checks.linearizability.search,
        it => checks.invariants.is_empty() || checks.invariants.contains(&it),
    };
    checked.keep(asked);
    report.checked = checked;
    Ok(history)
}

async fn shard(field: &Field, expected: &Expectation) -> Option<u16> {
    let Expectation::OwnerChanged { budget, .. } = expected else { return None };
    let (account, campaign) = field.budget(budget).ok()?;
    field.cluster.owner(&account, &campaign).await.ok().map(|(shard, _)| shard)
}

/// From the end of each fault, or the death that it was, until everybody who failed was served again; and who never was.
fn recoveries(history: &History, told: &Told) -> (Vec<f64>, NeverServed) {
    let all = stats::faults(history);
    let (mut times, mut never) = (Vec::new(), BTreeSet::new());
    for fault in told.faults.iter().filter(|it| matches!(it.undo, Undo::Undone)) {
        let Some((began, ended)) = all.get(&fault.number).copied() else { continue };
        let at = if fault.kind == "kill" { Some(began) } else { ended };
        let Some(at) = at else { continue };
        let recovery = stats::recovery(history, began, at);
        times.extend(recovery.keys_us.map(|us| us as f64 / 1e3));
        never.extend(recovery.never);
    }
    let budgets = never.iter().filter(|key| matches!(key, Key::Budget(_))).count();
    let consents = (never.len() - budgets) as u64;
    (times, NeverServed { budgets: budgets as u64, consents })
}

/// Who owned the budgets that moved. Where a budget is, only a node can say.
async fn owned(field: &Field, history: &History, report: &mut RunReport) {
    for budget in history.begin.budgets.iter().take(BUDGETS_MAX) {
        let (account, campaign) = (&budget.account, &budget.campaign);
        let shard = match field.cluster.owner(account, campaign).await {
            Ok((shard, _)) => shard,
            Err(why) => {
                field.note(format!("who owned which budget is not shown: {why}"));
                return;
            }
        };
        let seconds = |us: u64| us as f64 / 1e6;
        let by: Vec<report::Ownership> = stats::owned(history, shard)
            .into_iter()
            .map(|(owner, from, to)| report::Ownership {
                owner,
                from_s: seconds(from),
                to_s: to.map(seconds),
            })
            .collect();
        let moved = by.windows(2).any(|pair| pair[0].owner != pair[1].owner);
        if moved && report.owned.len() < SHOWN_MAX {
            let (account, campaign) = (account.to_string(), campaign.to_string());
            report.owned.push(report::Owned { account, campaign, by });
        } else {
            report.owned_more += u64::from(moved);
        }
    }
}

/// What the experiment asks for at least, by what was done while its load was sent.
fn too_little(field: &Field, report: &mut RunReport) {
    let load = &field.experiment.load;
    let seconds = Duration::from(load.duration).as_secs_f64();
    let tally = field.tally();
    let kinds = load.minimum.of.iter().map(|(kind, least)| (Some(*kind), *least));
    for (kind, least) in [(None, load.minimum.per_second)].into_iter().chain(kinds) {
        let was = tally.done_between(kind) as f64 / seconds;
        if was < least {
            let of = kind.map_or("all kinds".to_owned(), |kind| format!("{kind:?}").to_lowercase());
            report.too_little.push(format!(
                "{was:.1} operations a second of {of} were done, at least {least} are needed"
            ));
        }
    }
}

/// The verdict: the worst that is known. What is proven stays proven, and what else went wrong is told beside it.
fn decide(told: Told, played: Played, broke: Option<String>, report: &mut RunReport) {
    report.hypothesis = told.hypothesis;
    report.faults = told.faults;
    report.faults.sort_by_key(|it| it.number);
    report.phases = told.phases;
    report.notes.extend(told.notes);
    report.notes.extend(told.failed.iter().skip(1).cloned());
    report.interrupted = played.interrupted;
    let violated = report.checked.violations_total > 0;
    let not_undone: Vec<String> = report
        .faults
        .iter()
        .filter(|it| matches!(it.undo, Undo::Failed { .. }))
        .map(|it| format!("fault {} was not undone: {}", it.number, it.kind))
        .collect();
    if let Some(first) = told.failed.into_iter().next() {
        report.worsen(Verdict::HypothesisFailed, first);
    }
    if let Some(first) = report.too_little.first().cloned() {
        report.worsen(Verdict::HypothesisFailed, first);
    }
    if violated {
        let first = report.checked.violations.first();
        let why = first.map(|it| format!("{}: {}", it.invariant.code(), it.what));
        report.worsen(Verdict::InvariantViolated, why.unwrap_or_default());
    }
    for why in not_undone.into_iter().chain(played.not_done).chain(broke) {
        report.worsen(Verdict::CouldNotRun, why);
    }
    if played.interrupted {
        report.worsen(Verdict::CouldNotRun, INTERRUPTED.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::run::Against;
    use crate::verdict::Violation;

    fn report() -> RunReport {
        report_of(None)
    }

    fn report_of(against: Option<Against>) -> RunReport {
        let text = crate::cli::catalogue::FILES[0].1;
        let experiment = crate::experiment::validate(text, "x").expect("it is good");
        let subject = Subject {
            name: "x".to_owned(),
            file: "x.yaml".to_owned(),
            sha256: String::new(),
            experiment,
        };
        let options = Options {
            binary: None,
            against,
            reports: "r".into(),
            keep: false,
            quiet: true,
            environment: BTreeMap::new(),
        };
        empty(&subject, 7, &options)
    }

    fn decided(told: Told, played: Played, violated: bool) -> (Verdict, Option<String>) {
        let report = told_of(told, played, None, report(), violated);
        (report.verdict, report.why)
    }

    fn told_of(
        told: Told,
        played: Played,
        broke: Option<String>,
        mut report: RunReport,
        violated: bool,
    ) -> RunReport {
        if violated {
            let what = "twice".to_owned();
            let one =
                Violation { invariant: Invariant::Bg2, what, at_us: None, operations: vec![] };
            report.checked.violations.push(one);
            report.checked.violations_total = 1;
        }
        decide(told, played, broke, &mut report);
        report
    }

    #[test]
    fn a_run_has_the_worst_verdict_that_is_proven_and_says_why() {
        let failed = || Told { failed: vec!["slow".to_owned()], ..Told::default() };
        let not_done = || Played { not_done: vec!["no strace".to_owned()], interrupted: false };
        assert_eq!(decided(Told::default(), Played::default(), false), (Verdict::Held, None));
        let why = |text: &str| Some(text.to_owned());
        assert_eq!(
            decided(failed(), Played::default(), false),
            (Verdict::HypothesisFailed, why("slow"))
        );
        assert_eq!(decided(failed(), not_done(), false), (Verdict::CouldNotRun, why("no strace")));
        let interrupted = Played { not_done: Vec::new(), interrupted: true };
        assert_eq!(decided(Told::default(), interrupted, false).0, Verdict::CouldNotRun);
        // A violation stays one, also where a fault could not be done or somebody pressed Ctrl-C.
        assert_eq!(
            decided(failed(), not_done(), true),
            (Verdict::InvariantViolated, why("BG-2: twice"))
        );
    }

    #[test]
    fn a_violation_hides_nothing_else_that_went_wrong_and_nothing_else_hides_it() {
        let fault = report::Fault {
            number: 3,
            id: "it".to_owned(),
            kind: "pause".to_owned(),
            target: "node-1".to_owned(),
            way: "signal".to_owned(),
            began_s: Some(1.0),
            ended_s: None,
            struck: Some(3),
            undo: Undo::Failed { why: "gone".to_owned() },
        };
        let told = Told { failed: vec!["slow".to_owned()], faults: vec![fault], ..Told::default() };
        let played = Played { not_done: vec!["no strace".to_owned()], interrupted: true };
        let mut before = report();
        before.too_little.push("too little".to_owned());
        before.worsen(Verdict::CouldNotRun, "the lab's network broke".to_owned());
        let report = told_of(told, played, Some("the load broke".to_owned()), before, true);
        assert!(report.cut_short().is_some());
        let told = crate::report::summary(&report);
        let at = |what: &str| told.find(what).unwrap_or(usize::MAX);
        assert!(at("It was interrupted") < at("BG-2: twice"), "{told}");
        let page = crate::report::page(&report);
        assert!(page.find("It was interrupted") < page.find("BG-2: twice"), "{page}");
        assert_eq!(report.verdict, Verdict::InvariantViolated);
        assert_eq!(report.why.as_deref(), Some("BG-2: twice"));
        assert_eq!(
            report.notes,
            [
                "slow",
                "the lab's network broke",
                "fault 3 was not undone: pause",
                "no strace",
                "the load broke",
                "it was interrupted"
            ]
        );
    }

    #[test]
    fn the_report_tells_how_to_do_it_again() {
        assert_eq!(report().replay, "kiki-chaos run x.yaml --seed 7");
        let url = |port: u16| vec![format!("http://h:{port}")];
        let against = Against {
            shield: url(1),
            flow: Vec::new(),
            value: Vec::new(),
            admin: url(2),
            token: Some("secret".to_owned()),
            token_env: Some("KEY".to_owned()),
        };
        assert_eq!(
            report_of(Some(against)).replay,
            "kiki-chaos run x.yaml --seed 7 --against http://h:1 --admin http://h:2 --token-env KEY"
        );
    }
}
