use proptest::prelude::*;

use super::command::{Command, Entry, Event, Objection, Reason, Refusal};
use super::compare::{Measure, Tolerance};
use super::state::{BadHistory, HISTORY_MAX, Registry};
use super::version::{Fingerprint, Kind, Rival, Version, VersionId};
use crate::value::metrics::pairs::Pairs;
use crate::value::metrics::scores::Scores;

pub(super) fn scores(gini: f64, decile_mape: f64, bias: f64) -> Scores {
    let any = Scores::of(Pairs::new(&[1.0, 2.0], &[1.0, 2.0]).unwrap());
    Scores { normalised_gini: Some(gini), decile_mape, total_bias: Some(bias), ..any }
}

fn id(n: u8) -> VersionId {
    format!("v{n}").try_into().unwrap()
}

fn reason(text: &str) -> Reason {
    text.to_string().try_into().unwrap()
}

fn print(of: u8) -> Fingerprint {
    format!("{of:02x}").repeat(32).try_into().unwrap()
}

/// Version n on holdout 0.
fn version(n: u8, gini: f64) -> Version {
    Version {
        id: id(n),
        kind: Kind::Blend,
        created_us: 1,
        data: print(1),
        holdout: print(0),
        parameters: print(n),
        scores: scores(gini, 0.1, 0.0),
        rival: None,
    }
}

fn ask(registry: &Registry, command: Command) -> Result<Entry, Refusal> {
    registry.decide(command, reason("ann"), 7, Tolerance::default())
}

fn done(registry: &mut Registry, command: Command) {
    let entry = ask(registry, command).unwrap();
    registry.apply(entry).unwrap();
}

fn roll_back() -> Command {
    Command::RollBack { reason: reason("it was worse after all") }
}

/// Versions with these normalised Ginis, promoted one after the other by force.
fn reigns(ginis: &[f64]) -> Registry {
    let mut registry = Registry::new();
    for (n, gini) in (1..).zip(ginis) {
        done(&mut registry, Command::Register(Box::new(version(n, *gini))));
        done(&mut registry, Command::Challenge(id(n)));
        done(&mut registry, Command::Promote { force: Some(reason("first")) });
    }
    registry
}

fn champion(registry: &Registry) -> Option<VersionId> {
    registry.champion().map(|v| v.id.clone())
}

#[test]
fn the_first_champion_is_compared_with_nobody() {
    let mut registry = Registry::new();
    done(&mut registry, Command::Register(Box::new(version(1, -0.5))));
    assert_eq!(ask(&registry, Command::Promote { force: None }), Err(Refusal::NoChallenger));
    done(&mut registry, Command::Challenge(id(1)));
    done(&mut registry, Command::Promote { force: None });
    assert_eq!((champion(&registry), registry.challenger()), (Some(id(1)), None));
    assert_eq!(ask(&registry, roll_back()), Err(Refusal::NoFormer));
}

#[test]
fn a_challenger_who_is_worse_is_promoted_only_with_a_reason_and_the_reason_is_kept() {
    let mut registry = reigns(&[0.7]);
    done(&mut registry, Command::Register(Box::new(version(2, 0.6))));
    done(&mut registry, Command::Challenge(id(2)));
    let before = registry.clone();
    let refused = ask(&registry, Command::Promote { force: None });
    let Err(Refusal::Objected(Objection::Worse(worse))) = refused else { panic!("{refused:?}") };
    assert_eq!((worse.len(), worse[0].measure), (1, Measure::NormalisedGini));
    assert_eq!((worse[0].champion, worse[0].challenger), (0.7, Some(0.6)));
    assert_eq!(registry, before);
    done(&mut registry, Command::Promote { force: Some(reason("the old data was wrong")) });
    assert_eq!(champion(&registry), Some(id(2)));
    let Some(Event::Promoted { forced: Some(forced), .. }) =
        registry.history().last().map(|e| &e.event)
    else {
        panic!("not forced")
    };
    assert_eq!(forced.reason, reason("the old data was wrong"));
}

#[test]
fn scores_from_another_holdout_say_nothing() {
    let mut registry = reigns(&[0.7]);
    let other = Version { holdout: print(9), ..version(2, 0.9) };
    done(&mut registry, Command::Register(Box::new(other)));
    done(&mut registry, Command::Challenge(id(2)));
    let refused = ask(&registry, Command::Promote { force: None });
    assert_eq!(refused, Err(Refusal::Objected(Objection::OtherHoldout)));
}

#[test]
fn on_another_holdout_the_challenger_is_compared_with_how_the_champion_did_on_that() {
    for (own, rivals, promoted) in [(0.8, id(1), true), (0.5, id(1), false), (0.8, id(7), false)] {
        let mut registry = reigns(&[0.9]);
        let rival = Rival { id: rivals, scores: scores(0.6, 0.1, 0.0) };
        let other = Version { holdout: print(9), rival: Some(rival), ..version(2, own) };
        done(&mut registry, Command::Register(Box::new(other)));
        done(&mut registry, Command::Challenge(id(2)));
        assert_eq!(ask(&registry, Command::Promote { force: None }).is_ok(), promoted, "{own}");
    }
}

#[test]
fn a_force_that_was_not_needed_leaves_no_trace() {
    let mut registry = reigns(&[0.7]);
    done(&mut registry, Command::Register(Box::new(version(2, 0.8))));
    done(&mut registry, Command::Challenge(id(2)));
    let entry = ask(&registry, Command::Promote { force: Some(reason("hurry")) }).unwrap();
    assert!(matches!(entry.event, Event::Promoted { forced: None, .. }));
}

#[test]
fn rolling_back_twice_leads_to_the_champion_before_the_last_two() {
    let mut registry = reigns(&[0.7, 0.8, 0.9]);
    assert_eq!(registry.former(), Some(&id(2)));
    done(&mut registry, roll_back());
    assert_eq!(champion(&registry), Some(id(2)));
    done(&mut registry, roll_back());
    assert_eq!(champion(&registry), Some(id(1)));
    assert_eq!(ask(&registry, roll_back()), Err(Refusal::NoFormer));
    done(&mut registry, Command::Challenge(id(3)));
    done(&mut registry, Command::Promote { force: None });
    assert_eq!(registry.former(), Some(&id(1)), "who was rolled back is not on the way back");
}

#[test]
fn who_becomes_champion_again_challenges_nobody() {
    let mut registry = reigns(&[0.7, 0.8]);
    done(&mut registry, Command::Challenge(id(1)));
    done(&mut registry, roll_back());
    assert_eq!((champion(&registry), registry.challenger()), (Some(id(1)), None));
}

#[test]
fn versions_do_not_change_and_aliases_name_versions() {
    let registry = reigns(&[0.7]);
    let again = Command::Register(Box::new(version(1, 0.99)));
    assert_eq!(ask(&registry, again), Err(Refusal::Exists(id(1))));
    assert_eq!(ask(&registry, Command::Challenge(id(9))), Err(Refusal::Unknown(id(9))));
    assert_eq!(ask(&registry, Command::Challenge(id(1))), Err(Refusal::IsChampion(id(1))));
    assert_eq!(ask(&registry, Command::EndChallenge), Err(Refusal::NoChallenger));
}

#[test]
fn an_entry_that_was_decided_on_another_state_is_refused() {
    let mut registry = reigns(&[0.7, 0.8]);
    done(&mut registry, Command::Register(Box::new(version(3, 0.8))));
    let late = ask(&registry, Command::Challenge(id(3))).unwrap();
    let back = ask(&registry, roll_back()).unwrap();
    registry.apply(back.clone()).unwrap();
    let before = registry.clone();
    assert_eq!(registry.apply(late), Err(BadHistory { seq: back.seq }), "not the next number");
    let seq = back.seq + 1;
    assert_eq!(registry.apply(Entry { seq, ..back }), Err(BadHistory { seq }), "nobody before");
    assert_eq!(registry, before);
}

#[test]
fn a_reason_is_words() {
    for bad in ["", "  ", "a\nb", &"x".repeat(501)] {
        assert!(Reason::try_from(bad.to_string()).is_err(), "{bad:?}");
    }
    assert!(Reason::try_from("ü".repeat(500)).is_ok());
}

#[test]
fn a_full_history_takes_nothing_more() {
    let mut registry = reigns(&[0.7]);
    done(&mut registry, Command::Register(Box::new(version(2, 0.8))));
    while registry.history().len() < HISTORY_MAX {
        let command = match registry.challenger() {
            None => Command::Challenge(id(2)),
            Some(_) => Command::EndChallenge,
        };
        done(&mut registry, command);
    }
    assert_eq!(ask(&registry, roll_back()), Err(Refusal::Full));
}

#[derive(Clone, Debug)]
enum Wish {
    Register(u8, f64, u8),
    Challenge(u8),
    EndChallenge,
    Promote(bool),
    RollBack,
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        (0..8_u8, 0.5..0.9, 0..2_u8)
            .prop_map(|(n, gini, holdout)| Wish::Register(n, gini, holdout)),
        (0..8_u8).prop_map(Wish::Challenge),
        (0..8_u8).prop_map(Wish::Challenge),
        Just(Wish::EndChallenge),
        any::<bool>().prop_map(Wish::Promote),
        any::<bool>().prop_map(Wish::Promote),
        Just(Wish::RollBack),
    ]
}

fn command(wish: &Wish) -> Command {
    match wish {
        Wish::Register(n, gini, holdout) => {
            let version = Version { holdout: print(*holdout), ..version(*n, *gini) };
            Command::Register(Box::new(version))
        }
        Wish::Challenge(n) => Command::Challenge(id(*n)),
        Wish::EndChallenge => Command::EndChallenge,
        Wish::Promote(force) => Command::Promote { force: force.then(|| reason("so be it")) },
        Wish::RollBack => roll_back(),
    }
}

proptest! {
    #[test]
    fn whatever_is_asked_the_invariants_hold(wishes in prop::collection::vec(wish(), 1..120)) {
        let mut registry = Registry::new();
        // Champions as somebody with paper and pencil would keep them.
        let mut reign: Vec<VersionId> = Vec::new();
        for wish in &wishes {
            let (before, challenger) =
                (registry.clone(), registry.challenger().map(|v| v.id.clone()));
            match ask(&registry, command(wish)) {
                Err(_) => prop_assert_eq!(&registry, &before),
                Ok(entry) => {
                    match (&entry.event, wish) {
                        (Event::Promoted { forced, .. }, Wish::Promote(by_force)) => {
                            let (new, old) = (before.challenger().unwrap(), before.champion());
                            let good = old.is_none_or(|old| {
                                old.holdout == new.holdout
                                    && new.scores.normalised_gini.unwrap() + 0.005
                                        >= old.scores.normalised_gini.unwrap()
                            });
                            prop_assert!(good || *by_force, "MR-4");
                            prop_assert_eq!(forced.is_some(), !good);
                            reign.extend(challenger);
                        }
                        (Event::RolledBack { .. }, _) => drop(reign.pop()),
                        _ => {}
                    }
                    registry.apply(entry).unwrap();
                    let kept = &registry.history()[..before.history().len()];
                    prop_assert_eq!(kept, before.history(), "MR-3");
                    prop_assert_eq!(registry.history().len(), kept.len() + 1);
                }
            }
            prop_assert_eq!(registry.champion().map(|v| &v.id), reign.last(), "MR-1, MR-2");
            let versions = before.versions().all(|v| registry.version(&v.id) == Some(v));
            prop_assert!(versions, "versions stay as they are");
        }
        let json = serde_json::to_string(registry.history()).unwrap();
        let stored: Vec<Entry> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(Registry::replay(registry.history().to_vec()), Ok(registry.clone()));
        let back = Registry::replay(stored).unwrap();
        prop_assert_eq!(back.champion().map(|v| &v.id), reign.last());
        prop_assert_eq!(back.challenger().map(|v| &v.id), registry.challenger().map(|v| &v.id));
    }
}
