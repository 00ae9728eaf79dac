//! Definitions and the life of a campaign.

use proptest::prelude::*;

use kiki_models::shield::money::{Micros, UNIT};

use super::definition::Definition;
use super::patch::merge;
use super::state::{Allocation, Campaign, Cause, Change, Command, Effect, Refusal, Status};
use super::taxonomy::Taxonomy;

pub(crate) const FULL: &str = r#"{
  "id": "camp_001", "account": "acme", "name": "Winter boots", "platforms": ["openrtb", "meta"],
  "advertiser_domain": "acme.example", "advertiser_app": "com.acme.shop", "categories": ["IAB18"],
  "seat": "s1", "currency": "EUR", "budget": {"amount": 1000.50, "daily": 100},
  "strategy": {"target_value": {"conversion_rate": 0.002, "engagement_weight": 0.5, "unknown_ltv": 12.5, "max_cpm": 9.99}},
  "schedule": {"time_zone": "Europe/Berlin", "starts": "2026-11-21T00:00:00+01:00", "ends": "2026-12-24T18:00:00+01:00"},
  "targeting": {
    "geo": {"include": {"countries": ["DE", "AUT"], "cities": [{"country": "FR", "city": "Paris"}]},
            "exclude": {"regions": [{"country": "DE", "region": "BY"}]}},
    "device": {"kinds": ["phone", "tablet"], "systems": ["ios"], "languages": ["de"]},
    "inventory": {"sites": {"allow": ["news.example"], "deny": ["bad.news.example"]}, "apps": {"allow": ["com.game"]}},
    "categories": {"include": ["IAB12"], "exclude": ["IAB25", "IAB26-1"]},
    "formats": ["banner", "video"], "sizes": [{"w": 300, "h": 250}, {"w": 640, "h": 360}],
    "hours": {"clock": "person", "parts": [{"days": ["mon", "fri"], "from": "22:00", "until": "02:00"}]},
    "audience": {"ltv": {"bands": [{"at_least": 100, "below": 500.25}, {"at_least": 1000}], "unknown": true}},
    "deals": {"ids": ["deal-7"], "only": false}
  },
  "frequency": {"caps": [{"impressions": 3, "period_s": 86400}], "unknown_person": true},
  "per_request": 2,
  "consent": {"personal": true, "purposes": ["targeting"], "children": false},
  "transparency": {"behalf": "Acme Ltd", "paid": "Agency", "params": [1, 2], "domain": "acme.example", "rendered": true},
  "creatives": [
    {"id": "cr1", "format": {"banner": {"w": 300, "h": 250}}, "markup": "<a href=\"x\">${AUCTION_PRICE}</a>"},
    {"id": "cr2", "format": {"video": {"w": 640, "h": 360, "duration_s": 15, "mime": "video/mp4"}},
     "markup": "<VAST/>", "advertiser_domains": ["shop.acme.example"], "categories": ["IAB18-1"],
     "attributes": [6], "language": "de", "preview_url": "https://cdn.example/cr2.png", "secure": false}
  ]
}"#;

pub(crate) const SMALL: &str = r#"{"id": "c", "name": "C", "advertiser_domain": "acme.example",
  "currency": "USD", "budget": {"amount": 10}, "strategy": {"max_cpm": {"cpm": 2}},
  "creatives": [{"id": "a", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"}]}"#;

fn small() -> Definition {
    Definition::read(SMALL).expect("a definition")
}

fn patched(patch: &str) -> Definition {
    Definition::read(&merge(SMALL, patch).expect("merged")).expect("a definition")
}

/// The fields that are named when `patch` is put on the small definition.
fn wrong(patch: &str) -> Vec<String> {
    match Definition::read(&merge(SMALL, patch).expect("merged")) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.all().iter().map(|mistake| mistake.field.clone()).collect(),
    }
}

#[test]
fn a_full_definition_reads_and_writes_itself() {
    let full = Definition::read(FULL).expect("a definition");
    let text = serde_json::to_string(&full).expect("json");
    assert_eq!(Definition::read(&text), Ok(full.clone()));
    assert_eq!(serde_json::from_str::<Definition>(&text).expect("stored"), full);
    assert_eq!(full.budget.map(|b| b.amount), Some(Micros(1_000_500_000)));
    assert_eq!(full.strategy.cpm_max(), Micros(9_990_000));
    let again = serde_json::to_string(&Definition::read(&text).expect("read")).expect("json");
    assert_eq!(text, again, "the text of a definition is stable");
}

#[test]
fn all_mistakes_are_named_at_once_each_by_its_field() {
    let bad = r#"{"id": "a/b", "account": "", "name": " ", "advertiser_domain": "Acme", "currency": "usd",
      "budget": {"amount": 10.0000001}, "strategy": {"max_cpm": {"cpm": 0}}, "color": 1,
      "schedule": {"time_zone": "Mars/Olympus"}, "per_request": 0,
      "targeting": {"geo": {"include": {"countries": ["XX"]}}, "device": {"kinds": ["toaster"]}, "moon": 1,
        "inventory": {"sites": {"allow": ["ok.example", "No"]}}, "hours": {"parts": [{"from": "25:00", "until": "1"}]},
        "audience": {"ltv": {"bands": []}}, "deals": {"only": true}},
      "frequency": {"caps": [{"impressions": 0, "period_s": 0}]},
      "creatives": [{"id": "a"}, {"id": "b", "format": {"banner": {"w": 0, "h": 1}}, "markup": ""}]}"#;
    let mistakes = Definition::read(bad).expect_err("mistakes");
    let fields: Vec<&str> = mistakes.all().iter().map(|it| it.field.as_str()).collect();
    let mut all = [
        "currency",
        "budget.amount",
        "targeting.geo.include.countries[0]",
        "targeting.device.kinds[0]",
        "targeting.moon",
        "creatives[0].format",
        "color",
        "id",
        "account",
        "name",
        "advertiser_domain",
        "strategy.max_cpm.cpm",
        "schedule.time_zone",
        "targeting.inventory.sites.allow[1]",
        "targeting.deals.ids",
        "targeting.hours.parts[0].from",
        "targeting.hours.parts[0].until",
        "targeting.audience.ltv.bands",
        "frequency.caps[0].impressions",
        "frequency.caps[0].period_s",
        "per_request",
        "creatives[0].markup",
        "creatives[0].format",
    ];
    let mut fields = fields;
    fields.sort_unstable();
    all.sort_unstable();
    assert_eq!(fields, all, "{mistakes}");
}

#[test]
fn missing_fields_are_named_and_the_rest_is_still_checked() {
    let mistakes = Definition::read(r#"{"per_request": 99}"#).expect_err("mistakes");
    for field in ["id", "name", "advertiser_domain", "currency", "strategy", "per_request"] {
        assert!(mistakes.names(field), "{field}: {mistakes}");
    }
    assert_eq!(mistakes.all().len(), 6, "{mistakes}");
}

#[test]
fn every_bound_is_checked() {
    for (patch, field) in [
        (r#"{"strategy": {"max_cpm": {"cpm": 10000.000001}}}"#, "strategy.max_cpm.cpm"),
        (r#"{"budget": {"amount": 0}}"#, "budget.amount"),
        (r#"{"budget": {"daily": 11}}"#, "budget.daily"),
        (r#"{"platforms": []}"#, "platforms"),
        (r#"{"seat": ""}"#, "seat"),
        (
            r#"{"creatives": [{"id": "a", "format": {"banner": {"w": 1, "h": 1}}, "markup": "x", "preview_url": "ftp://x"}]}"#,
            "creatives[0].preview_url",
        ),
        (r#"{"categories": ["IAB 1"]}"#, "categories[0]"),
        (r#"{"categories": ["IAB1", "483"]}"#, "categories[1]"),
        (r#"{"categories": ["483"], "cattax": 1}"#, "categories[0]"),
        (r#"{"categories": ["483"], "cattax": 64}"#, "cattax"),
        (
            r#"{"targeting": {"categories": {"exclude": ["483"]}}}"#,
            "targeting.categories.exclude[0]",
        ),
        (
            r#"{"frequency": {"caps": [{"impressions": 101, "period_s": 1}]}}"#,
            "frequency.caps[0].impressions",
        ),
        (
            r#"{"frequency": {"caps": [{"impressions": 1, "period_s": 7776001}]}}"#,
            "frequency.caps[0].period_s",
        ),
        (r#"{"per_request": 65}"#, "per_request"),
        (r#"{"per_request": 1.5}"#, "per_request"),
        (r#"{"consent": {"purposes": ["world_peace"]}}"#, "consent.purposes[0]"),
        (r#"{"targeting": {"sizes": [{"w": 0, "h": 1}]}}"#, "targeting.sizes[0]"),
        (r#"{"targeting": {"device": {"systems": ["iOS"]}}}"#, "targeting.device.systems[0]"),
        (
            r#"{"targeting": {"geo": {"include": {"regions": [{"country": "US", "region": "CALIFORNIA"}]}}}}"#,
            "targeting.geo.include.regions[0].region",
        ),
        (
            r#"{"targeting": {"audience": {"ltv": {"bands": [{"at_least": 5, "below": 5}]}}}}"#,
            "targeting.audience.ltv.bands[0]",
        ),
        (
            r#"{"schedule": {"starts": "2026-01-02T00:00:00Z", "ends": "2026-01-01T00:00:00Z"}}"#,
            "schedule.ends",
        ),
    ] {
        assert_eq!(wrong(patch), [field], "{patch}");
    }
    let worth = r#"{"strategy": {"max_cpm": null, "roas_floor": {"roas": 0, "worth": {"conversion_rate": 2}}}}"#;
    let path = "strategy.roas_floor";
    assert_eq!(wrong(worth), [format!("{path}.roas"), format!("{path}.worth.conversion_rate")]);
    let twice = SMALL.replace(
        "\"creatives\": [",
        "\"creatives\": [{\"id\": \"a\", \"format\": {\"native\": {}}, \"markup\": \"y\"}, ",
    );
    let mistakes = Definition::read(&twice).expect_err("twice");
    assert!(mistakes.names("creatives[1].id"), "{mistakes}");
    let sites = serde_json::json!({"targeting": {"inventory": {"sites": {"allow": vec!["a.example"; 10_001]}}}});
    assert_eq!(wrong(&sites.to_string()), ["targeting.inventory.sites.allow"]);
}

#[test]
fn what_is_stored_reads_although_it_could_not_be_written_any_more() {
    let old =
        SMALL.replace(r#""currency""#, r#""categories": ["IAB18", "483"], "currency""#).replace(
            r#"{"banner": {"w": 300, "h": 250}}, "markup": "x""#,
            r#"{"native": {}}, "markup": "x""#,
        );
    let mistakes = Definition::read(&old).expect_err("it is told what is missing");
    assert!(mistakes.names("categories[1]") && mistakes.names("creatives[0].markup"), "{mistakes}");
    let stored: Definition = serde_json::from_str(&old).expect("stored");
    let sold = stored.sold(&stored.creatives[0]);
    assert!(sold.taxonomies().has(Taxonomy::FIRST) && !sold.taxonomies().has(Taxonomy::of(6)));
}

#[test]
fn documents_that_are_no_definition_are_refused_without_a_panic() {
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let lists = format!("{{\"creatives\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let twice = r#"{"id": "a", "id": "b"}"#.to_owned();
    let huge = " ".repeat(3 << 20);
    let many =
        format!("{{{}}}", (0..5_000).map(|i| format!("\"{i}\":1")).collect::<Vec<_>>().join(","));
    for bad in ["", "1", "[]", "null", "{", &deep, &lists, &twice, &huge, &many] {
        let mistakes = Definition::read(bad).expect_err("refused");
        assert!((1..=super::mistake::MISTAKES_MAX).contains(&mistakes.all().len()));
    }
}

const HOUR: i64 = 3_600_000_000;

fn step(campaign: &Campaign, command: Command, now_us: i64) -> (Campaign, Vec<Effect>) {
    let (next, effects) = campaign.apply(command, None, now_us).expect("applied");
    (next.expect("still there"), effects.to_vec())
}

fn scheduled() -> (Campaign, i64, i64) {
    // 2026-11-21 00:00 and 2026-11-22 00:00 UTC
    let (starts, ends) = (1_795_219_200_000_000, 1_795_305_600_000_000);
    let definition = patched(
        r#"{"schedule": {"starts": "2026-11-21T00:00:00Z", "ends": "2026-11-22T00:00:00Z"}}"#,
    );
    (Campaign::create(definition, starts - 10 * HOUR).expect("created").0, starts, ends)
}

#[test]
fn an_activation_allocates_first_and_publishes_when_the_schedule_begins() {
    let (draft, starts, ends) = scheduled();
    let (active, effects) = step(&draft, Command::Activate, starts - HOUR);
    let allocation = Allocation {
        currency: "USD".parse().expect("code"),
        amount: Micros(10 * UNIT),
        daily: None,
        time_zone: "UTC".into(),
        starts_us: Some(starts),
        ends_us: Some(ends),
    };
    assert_eq!(
        effects,
        [
            Effect::Record(Change::Activated),
            Effect::OpenBudget(allocation),
            Effect::Withdraw,
            Effect::Wake { at_us: starts }
        ]
    );
    assert!(!active.runs(starts - 1) && active.runs(starts) && !active.runs(ends));
    let (same, effects) = step(&active, Command::Tick, starts);
    assert_eq!(effects, [Effect::Publish, Effect::Wake { at_us: ends }]);
    assert_eq!(same, active);
    let (ended, effects) = step(&active, Command::Tick, ends);
    let all = [Effect::Record(Change::Ended), Effect::Withdraw, Effect::EndBudget];
    assert_eq!(effects, all);
    assert_eq!((ended.status, ended.ended), (Status::Ended, Some(Cause::Schedule)));
    assert_eq!(draft.apply(Command::Activate, None, ends), Err(Refusal::Over));
}

#[test]
fn a_pause_withdraws_and_a_resume_does_not_allocate_again() {
    let draft = Campaign::create(small(), 0).expect("created").0;
    assert_eq!(draft.apply(Command::Pause, None, 1), Err(Refusal::Status(Status::Draft)));
    let (active, _) = step(&draft, Command::Activate, 1);
    let (paused, effects) = step(&active, Command::Pause, 2);
    assert_eq!(effects, [Effect::Record(Change::Paused), Effect::Withdraw, Effect::PauseBudget]);
    let (again, effects) = step(&paused, Command::Activate, 3);
    let resumed = [Effect::Record(Change::Activated), Effect::ResumeBudget, Effect::Publish];
    assert_eq!(effects, resumed);
    assert_eq!((again.version, again.revision, again.activated_us), (1, 4, Some(1)));
    let (same, effects) = step(&again, Command::Activate, 4);
    assert_eq!(
        (same, effects),
        (again, vec![Effect::ResumeBudget]),
        "its budget alone may be paused"
    );
}

#[test]
fn a_resume_goes_on_after_a_pause_and_starts_nothing() {
    let draft = Campaign::create(small(), 0).expect("created").0;
    assert_eq!(draft.apply(Command::Resume, None, 1), Err(Refusal::Status(Status::Draft)));
    let (active, _) = step(&draft, Command::Activate, 1);
    let (paused, _) = step(&active, Command::Pause, 2);
    assert_eq!(step(&paused, Command::Resume, 3), step(&paused, Command::Activate, 3));
    assert_eq!(step(&active, Command::Resume, 3), step(&active, Command::Activate, 3));
}

#[test]
fn whoever_is_refused_is_told_what_to_do() {
    for (refusal, help) in [
        (Refusal::Status(Status::Draft), "start it first"),
        (Refusal::Status(Status::Active), "end it instead"),
        (Refusal::Status(Status::Paused), "end it instead"),
        (Refusal::Status(Status::Ended), "another campaign"),
        (Refusal::Over, "schedule.ends"),
    ] {
        assert!(refusal.help().contains(help), "{refusal}: {}", refusal.help());
    }
}

#[test]
fn another_budget_is_paused_where_the_one_before_was() {
    let draft = Campaign::create(small(), 0).expect("created").0;
    let (active, _) = step(&draft, Command::Activate, 1);
    let (paused, _) = step(&active, Command::Pause, 2);
    let richer = patched(r#"{"budget":{"amount":77}}"#);
    for begun in [active, paused] {
        let (edited, effects) = step(&begun, Command::Edit(Box::new(richer.clone())), 3);
        let amended = edited.allocation().map(Effect::AmendBudget).expect("a budget");
        assert!(effects.contains(&amended), "{effects:?}");
        // Whether it is open is not the edit's to say.
        let opens = [Effect::PauseBudget, Effect::ResumeBudget];
        assert!(!effects.iter().any(|it| opens.contains(it)), "{effects:?}");
    }
}

#[test]
fn an_ended_campaign_stays_ended() {
    let draft = Campaign::create(small(), 0).expect("created").0;
    let (ended, _) = step(&draft, Command::End, 1);
    for command in [
        Command::Activate,
        Command::Resume,
        Command::Pause,
        Command::Edit(Box::new(patched(r#"{"name":"D"}"#))),
        Command::Delete,
    ] {
        assert_eq!(ended.apply(command, None, 2), Err(Refusal::Status(Status::Ended)));
    }
    assert_eq!(step(&ended, Command::Tick, 2), (ended.clone(), Vec::new()));
    assert_eq!(step(&ended, Command::End, 2), (ended.clone(), Vec::new()));
}

#[test]
fn an_edit_makes_a_version_and_amends_the_budget_only_where_money_changes() {
    let draft = Campaign::create(small(), 0).expect("created").0;
    let (active, _) = step(&draft, Command::Activate, 1);
    let edit = |patch: &str| Command::Edit(Box::new(patched(patch)));
    let (same, effects) = step(&active, edit("{}"), 2);
    assert_eq!((same.version, effects.len()), (1, 0), "no change, no version");
    let (named, effects) = step(&active, edit(r#"{"name":"D"}"#), 2);
    assert_eq!((named.version, named.revision), (2, 3));
    assert_eq!(effects, [Effect::Record(Change::Edited), Effect::Publish]);
    let (_, effects) = step(&active, edit(r#"{"budget":{"amount":20}}"#), 2);
    assert!(matches!(&effects[1], Effect::AmendBudget(to) if to.amount == Micros(20 * UNIT)));
    assert_eq!(active.definition.name, "C", "the version before is as it was");
}

#[test]
fn what_money_and_reviews_rest_on_cannot_be_edited_once_activated() {
    let draft = Campaign::create(small(), 0).expect("created").0;
    let (active, _) = step(&draft, Command::Activate, 1);
    for (patch, field) in [
        (r#"{"id":"d"}"#, "id"),
        (r#"{"account":"other"}"#, "account"),
        (r#"{"currency":"EUR"}"#, "currency"),
        (r#"{"schedule":{"time_zone":"Asia/Tokyo"}}"#, "schedule.time_zone"),
        (r#"{"schedule":{"starts":"2027-01-01T00:00:00Z"}}"#, "schedule.starts"),
        (r#"{"schedule":{"ends":"1970-01-01T00:00:00Z"}}"#, "schedule.ends"),
        (
            r#"{"creatives":[{"id":"a","format":{"banner":{"w":300,"h":250}},"markup":"y"}]}"#,
            "creatives[0]",
        ),
    ] {
        let command = Command::Edit(Box::new(patched(patch)));
        let Err(Refusal::Locked(mistakes)) = active.apply(command.clone(), None, 2) else {
            panic!("{patch} is locked");
        };
        assert_eq!((mistakes.all().len(), mistakes.names(field)), (1, true), "{mistakes}");
        let free = draft.apply(command, None, 2).is_ok();
        assert_eq!(free, !matches!(field, "id" | "account"), "{patch} of a draft");
    }
    let without = Command::Edit(Box::new(patched(r#"{"budget":null}"#)));
    assert!(matches!(active.apply(without, None, 2), Err(Refusal::Invalid(_))));
}

#[test]
fn a_creative_that_was_taken_out_comes_back_as_it_was_or_not_at_all() {
    let edit = |markup: &[(&str, &str)]| {
        let format = r#""format":{"banner":{"w":300,"h":250}}"#;
        let one = |(id, it): &(&str, &str)| format!(r#"{{"id":"{id}",{format},"markup":"{it}"}}"#);
        let all: Vec<String> = markup.iter().map(one).collect();
        Command::Edit(Box::new(patched(&format!(r#"{{"creatives":[{}]}}"#, all.join(",")))))
    };
    let draft = Campaign::create(small(), 0).expect("created").0;
    // Nobody has seen what a draft had.
    let (draft, _) = step(&draft, edit(&[("b", "x")]), 1);
    assert!(draft.retired.is_empty());
    let (active, _) = step(&draft, Command::Activate, 1);
    let (without, _) = step(&active, edit(&[("a", "y")]), 2);
    assert_eq!(without.retired.keys().collect::<Vec<_>>(), ["b"]);
    let Err(Refusal::Locked(mistakes)) = without.apply(edit(&[("a", "y"), ("b", "z")]), None, 3)
    else {
        panic!("it is another creative");
    };
    assert!(mistakes.names("creatives[1]"), "{mistakes}");
    let (back, _) = step(&without, edit(&[("b", "x")]), 3);
    assert_eq!(back.retired.keys().collect::<Vec<_>>(), ["a"]);
    let text = serde_json::to_string(&back).expect("json");
    assert_eq!(serde_json::from_str::<Campaign>(&text).expect("a campaign"), back);
}

#[test]
fn a_draft_is_not_activated_before_it_is_whole_and_only_drafts_are_deleted() {
    let definition = patched(r#"{"budget": null, "creatives": null}"#);
    let draft = Campaign::create(definition, 0).expect("created").0;
    let Err(Refusal::Invalid(mistakes)) = draft.apply(Command::Activate, None, 1) else {
        panic!("it is not whole");
    };
    assert!(mistakes.names("budget") && mistakes.names("creatives"));
    let (gone, effects) = draft.apply(Command::Delete, None, 1).expect("deleted");
    assert_eq!((gone, effects.len()), (None, 2));
    assert_eq!(draft.apply(Command::Delete, Some(7), 1), Err(Refusal::Stale(1)));
}

fn commands() -> impl Strategy<Value = Vec<(u8, i64)>> {
    proptest::collection::vec((0_u8..7, 0_i64..20), 1..30)
}

proptest! {
    /// Whatever comes: versions and revisions only grow, an end is for ever, and what auctions see is what
    /// was published last.
    #[test]
    fn the_life_of_a_campaign_keeps_its_rules(commands in commands()) {
        let (mut it, starts, ends) = scheduled();
        let (mut now, mut visible, mut wake) = (starts - 10 * HOUR, false, None::<i64>);
        for (command, hours) in commands {
            let until = now + hours * HOUR;
            // The shell wakes it when it asked for that.
            while let Some(at) = wake.filter(|at| *at <= until) {
                wake = None;
                let (next, effects) = it.apply(Command::Tick, None, at.max(now)).expect("a tick");
                it = next.expect("there");
                see(&effects, &mut visible, &mut wake);
            }
            now = until;
            let command = match command {
                0 => Command::Activate,
                1 => Command::Pause,
                2 if hours == 7 => Command::End,
                3 => Command::Edit(Box::new({
                    let mut definition = (*it.definition).clone();
                    definition.name = format!("at {now}");
                    definition
                })),
                _ => Command::Tick,
            };
            let Ok((next, effects)) = it.apply(command, None, now) else { continue };
            let next = next.expect("there");
            let changed = next != it;
            prop_assert_eq!(changed, effects.iter().any(|e| matches!(e, Effect::Record(_))));
            prop_assert_eq!(next.revision, it.revision + u64::from(changed));
            let edited = next.definition != it.definition;
            prop_assert_eq!(next.version, it.version + u32::from(edited));
            prop_assert!(it.status != Status::Ended || !changed);
            prop_assert!(next.status != Status::Draft || it.status == Status::Draft);
            it = next;
            see(&effects, &mut visible, &mut wake);
            prop_assert_eq!(visible, it.runs(now), "at {} of {}..{}", now, starts, ends);
        }
    }
}

fn see(effects: &[Effect], visible: &mut bool, wake: &mut Option<i64>) {
    for effect in effects {
        match effect {
            Effect::Publish => *visible = true,
            Effect::Withdraw => *visible = false,
            Effect::Wake { at_us } => *wake = Some(*at_us),
            _ => {}
        }
    }
}
