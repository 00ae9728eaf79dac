use proptest::prelude::*;

use super::*;

fn origin(version: &str) -> Origin {
    Origin {
        source: Label::new("web_form").unwrap(),
        version: Some(Label::new(version).unwrap()),
        proof: Some(Label::new("5f70bf18").unwrap()),
        shown_bytes: 0,
    }
}

/// A restriction or its end, by the request of this name.
fn by(request: &str) -> Origin {
    Origin { source: Label::new(request).unwrap(), ..origin("v1") }
}

fn opt_out(kinds: KindSet) -> Command {
    Command::OptOut { kinds, origin: origin("v1") }
}

fn grant(kind: Kind, legal_basis: LegalBasis, version: &str) -> Command {
    Command::Grant { kind, legal_basis, origin: origin(version) }
}

fn yes(kind: Kind) -> Command {
    grant(kind, LegalBasis::Consent, "v1")
}

fn revoke(kind: Kind) -> Command {
    Command::Revoke { kind, origin: origin("v1") }
}

/// Decides, applies, and says how many changes it made.
fn does(consents: &mut Consents, command: &Command, at: i64) -> usize {
    let changes = consents.decide(command, at).unwrap();
    changes.iter().for_each(|c| consents.apply(c).unwrap());
    changes.len()
}

#[test]
fn nothing_is_allowed_before_it_is_granted_nor_after_it_is_revoked() {
    let mut c = Consents::default();
    for kind in Kind::ALL {
        assert_eq!(c.allows(kind), Verdict::Denied(Reason::NoConsent));
        assert_eq!(c.standing(kind).status, Status::Unknown);
    }
    does(&mut c, &yes(Kind::Marketing), 10);
    assert_eq!(c.allows(Kind::Marketing), Verdict::Allowed);
    assert_eq!(c.allows(Kind::Targeting), Verdict::Denied(Reason::NoConsent), "and only that");
    does(&mut c, &revoke(Kind::Marketing), 20);
    assert_eq!(c.allows(Kind::Marketing), Verdict::Denied(Reason::Revoked));
    let s = c.standing(Kind::Marketing);
    assert_eq!((s.granted_at, s.revoked_at), (Some(10), Some(20)));
    does(&mut c, &yes(Kind::Marketing), 30);
    let s = c.standing(Kind::Marketing);
    assert_eq!((s.granted_at, s.revoked_at, s.status), (Some(30), None, Status::Granted));
    assert_eq!(s.legal_basis, Some(LegalBasis::Consent));
    assert_eq!(s.proof.as_ref().map(Label::as_str), Some("5f70bf18"));
}

#[test]
fn the_same_grant_again_is_a_replay_and_one_with_another_version_is_a_change() {
    let mut c = Consents::default();
    assert_eq!(does(&mut c, &yes(Kind::Analytics), 1), 1);
    assert_eq!(does(&mut c, &yes(Kind::Analytics), 2), 0);
    assert_eq!(c.standing(Kind::Analytics).granted_at, Some(1));
    assert_eq!(does(&mut c, &grant(Kind::Analytics, LegalBasis::Consent, "v2"), 3), 1);
    assert_eq!(does(&mut c, &grant(Kind::Analytics, LegalBasis::Contract, "v2"), 4), 1);
    assert_eq!(c.standing(Kind::Analytics).granted_at, Some(4));
}

#[test]
fn a_no_to_what_was_never_granted_is_recorded_once() {
    let mut c = Consents::default();
    assert_eq!(does(&mut c, &revoke(Kind::Profiling), 7), 1);
    assert_eq!(c.allows(Kind::Profiling), Verdict::Denied(Reason::Revoked));
    assert_eq!(c.standing(Kind::Profiling).granted_at, None);
    assert_eq!(does(&mut c, &revoke(Kind::Profiling), 8), 0);
}

#[test]
fn while_restricted_nothing_is_allowed_and_nothing_can_be_granted_but_all_can_be_refused() {
    let mut c = Consents::default();
    does(&mut c, &yes(Kind::Marketing), 1);
    does(&mut c, &yes(Kind::Analytics), 1);
    assert_eq!(does(&mut c, &Command::Restrict { origin: origin("v1") }, 2), 1);
    assert_eq!(does(&mut c, &Command::Restrict { origin: origin("v1") }, 3), 0);
    assert_eq!(c.allows(Kind::Marketing), Verdict::Denied(Reason::Restricted));
    assert_eq!(c.decide(&yes(Kind::Targeting), 4), Err(Refusal::Restricted));
    assert_eq!(does(&mut c, &revoke(Kind::Analytics), 5), 1);
    assert_eq!(does(&mut c, &Command::Lift { origin: origin("v1") }, 6), 1);
    assert_eq!(does(&mut c, &Command::Lift { origin: origin("v1") }, 7), 0);
    assert_eq!(c.allows(Kind::Marketing), Verdict::Allowed, "it stood all the time");
    assert_eq!(c.allows(Kind::Analytics), Verdict::Denied(Reason::Revoked));
}

#[test]
fn an_objection_beats_legitimate_interests_and_only_consent_lifts_it_for_one_kind() {
    let mut c = Consents::default();
    let interests = |kind| grant(kind, LegalBasis::LegitimateInterests, "v1");
    does(&mut c, &interests(Kind::Marketing), 1);
    does(&mut c, &interests(Kind::Analytics), 1);
    let object = Command::Object { kinds: KindSet::DIRECT_MARKETING, origin: origin("v1") };
    assert_eq!(does(&mut c, &object, 2), 3);
    assert_eq!(does(&mut c, &object, 3), 0);
    assert_eq!(c.allows(Kind::Marketing), Verdict::Denied(Reason::Objected));
    assert_eq!(c.allows(Kind::Analytics), Verdict::Allowed, "it was no part of the objection");
    assert_eq!(c.decide(&interests(Kind::Marketing), 4), Err(Refusal::Objected));
    assert_eq!(does(&mut c, &yes(Kind::Marketing), 5), 1);
    assert_eq!(c.allows(Kind::Marketing), Verdict::Allowed);
    assert_eq!(c.allows(Kind::Targeting), Verdict::Denied(Reason::Objected));
}

#[test]
fn an_opt_out_revokes_three_kinds_and_later_grants_of_the_person_count_again() {
    let mut c = Consents::default();
    Kind::ALL.iter().for_each(|k| assert_eq!(does(&mut c, &yes(*k), 1), 1));
    let opt_out = opt_out(KindSet::OPT_OUT);
    assert_eq!(does(&mut c, &opt_out, 2), 3);
    assert_eq!(does(&mut c, &opt_out, 3), 0);
    assert!(c.opted_out());
    assert_eq!(c.allowed(), KindSet::of(&[Kind::Analytics, Kind::Profiling]));
    assert_eq!(c.allows(Kind::DataSharing), Verdict::Denied(Reason::OptedOut));
    assert_eq!(c.standing(Kind::DataSharing).revoked_at, Some(2));
    let contract = grant(Kind::DataSharing, LegalBasis::Contract, "v1");
    assert_eq!(c.decide(&contract, 4), Err(Refusal::OptedOut));
    does(&mut c, &yes(Kind::DataSharing), 5);
    assert_eq!(c.allows(Kind::DataSharing), Verdict::Allowed);
    assert!(c.opted_out(), "the other two still are");
    assert_eq!(does(&mut c, &opt_out, 6), 1, "and it can be opted out of again");
}

#[test]
fn an_opt_out_takes_the_kinds_that_it_names_and_no_other() {
    let mut c = Consents::default();
    Kind::ALL.iter().for_each(|k| assert_eq!(does(&mut c, &yes(*k), 1), 1));
    assert_eq!(does(&mut c, &opt_out(KindSet::of(&[Kind::Profiling])), 2), 1);
    assert_eq!(c.allows(Kind::Profiling), Verdict::Denied(Reason::OptedOut));
    assert_eq!(c.allowed().iter().count(), 4);
    assert_eq!(does(&mut c, &opt_out(KindSet::ALL), 3), 4);
    assert!(c.allowed().is_empty());
}

#[test]
fn restrictions_of_two_end_each_by_itself() {
    let mut c = Consents::default();
    does(&mut c, &yes(Kind::Marketing), 1);
    let (restrict, lift) = (
        |request: &str| Command::Restrict { origin: by(request) },
        |request: &str| Command::Lift { origin: by(request) },
    );
    for request in ["dsr:a", "dsr:b"] {
        assert_eq!(does(&mut c, &restrict(request), 2), 1);
        assert_eq!(does(&mut c, &restrict(request), 3), 0, "the same again");
    }
    assert_eq!(does(&mut c, &lift("dsr:a"), 4), 1);
    assert_eq!(does(&mut c, &lift("dsr:a"), 5), 0);
    assert_eq!(c.allows(Kind::Marketing), Verdict::Denied(Reason::Restricted), "b's stands");
    assert_eq!(does(&mut c, &lift("dsr:c"), 6), 0, "it restricts nobody");
    assert_eq!(does(&mut c, &lift("dsr:b"), 7), 1);
    assert_eq!(c.allows(Kind::Marketing), Verdict::Allowed);
}

#[test]
fn one_end_of_an_old_history_ends_all_that_it_has() {
    let mut c = Consents::default();
    does(&mut c, &Command::Restrict { origin: by("dsr:a") }, 1);
    let restricted = c.decide(&Command::Restrict { origin: by("dsr:b") }, 2).unwrap().remove(0);
    c.apply(&Change { action: Action::Lifted, ..restricted }).unwrap();
    assert!(!c.restricted());
}

#[test]
fn a_full_history_takes_no_grant_and_every_withdrawal() {
    let mut c = Consents::default();
    for at in 0..CHANGES_MAX {
        // each time with another version, so that each is a change
        does(&mut c, &grant(Kind::ALL[at as usize % 5], LegalBasis::Consent, &at.to_string()), 1);
    }
    assert_eq!(c.seq(), CHANGES_MAX);
    let refused = grant(Kind::Marketing, LegalBasis::Consent, "new");
    assert_eq!(c.decide(&refused, 2), Err(Refusal::Full));
    let last = grant(Kind::DataSharing, LegalBasis::Consent, &(CHANGES_MAX - 1).to_string());
    assert_eq!(c.decide(&last, 2), Ok(vec![]), "what is so already is answered");
    assert_eq!(does(&mut c, &revoke(Kind::Marketing), 3), 1);
    assert_eq!(does(&mut c, &opt_out(KindSet::ALL), 4), 5);
    let object = Command::Object { kinds: KindSet::ALL, origin: origin("v1") };
    assert_eq!(does(&mut c, &object, 5), 5);
    assert_eq!(does(&mut c, &Command::Restrict { origin: by("dsr:a") }, 6), 1);
    assert_eq!(does(&mut c, &Command::Lift { origin: by("dsr:a") }, 7), 1);
    for kind in Kind::ALL {
        assert_eq!(does(&mut c, &revoke(kind), 8), 0, "withdrawn already");
    }
}

#[test]
fn texts_beyond_the_bound_are_refused_with_their_grant_and_left_out_of_a_no() {
    let mut c = Consents::default();
    let shown = |bytes: u64| Origin { shown_bytes: bytes as u32, ..origin("v1") };
    let yes = |kind, bytes| Command::Grant {
        kind,
        legal_basis: LegalBasis::Consent,
        origin: shown(bytes),
    };
    does(&mut c, &yes(Kind::Marketing, SHOWN_BYTES_MAX - 10), 1);
    assert_eq!(c.decide(&yes(Kind::Analytics, 11), 2), Err(Refusal::Full));
    assert_eq!(does(&mut c, &yes(Kind::Analytics, 10), 3), 1);
    let no = Command::Revoke { kind: Kind::Marketing, origin: shown(11) };
    let changes = c.decide(&no, 4).unwrap();
    assert_eq!((changes.len(), changes[0].shown_bytes), (1, 0));
    assert_eq!(does(&mut c, &yes(Kind::Targeting, 0), 5), 1, "one without a text");
    // a change of before texts were counted, and one without a text, are written alike
    let line = serde_json::to_string(&changes[0]).unwrap();
    assert!(!line.contains("shown_bytes"));
    assert_eq!(serde_json::from_str::<Change>(&line).unwrap(), changes[0]);
}

#[test]
fn a_history_with_a_gap_or_without_a_kind_is_refused_and_changes_nothing() {
    let mut c = Consents::default();
    let change = c.decide(&yes(Kind::Marketing), 1).unwrap().remove(0);
    let second = Change { seq: 2, ..change.clone() };
    assert_eq!(c.apply(&second), Err(BadHistory::Gap { last: 0, found: 2 }));
    let of_nothing = Change { kind: None, ..change.clone() };
    let no_kind = BadHistory::NoKind { seq: 1, action: Action::Granted };
    assert_eq!(c.apply(&of_nothing), Err(no_kind));
    assert_eq!(c, Consents::default());
    assert_eq!(c.apply(&change), Ok(()));
    assert_eq!(c.apply(&change), Err(BadHistory::Gap { last: 1, found: 1 }), "twice");
}

#[test]
fn names_of_actions_are_read_back() {
    for action in Action::ALL {
        assert_eq!(Action::parse(action.as_str()), Some(action));
        assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
    }
    assert_eq!(Action::parse("grant"), None);
}

fn commands() -> impl Strategy<Value = Command> {
    let kind = || prop::sample::select(&Kind::ALL[..]);
    let version = || prop::sample::select(vec!["v1", "v2"]);
    let request = || prop::sample::select(vec!["dsr:a", "dsr:b"]);
    prop_oneof![
        (kind(), prop::sample::select(&LegalBasis::ALL[..]), version())
            .prop_map(|(k, b, v)| grant(k, b, v)),
        (kind(), version()).prop_map(|(kind, v)| Command::Revoke { kind, origin: origin(v) }),
        any::<u8>().prop_map(|bits| Command::Object {
            kinds: KindSet::from_bits(bits),
            origin: origin("v1")
        }),
        any::<u8>().prop_map(|bits| opt_out(KindSet::from_bits(bits))),
        request().prop_map(|request| Command::Restrict { origin: by(request) }),
        request().prop_map(|request| Command::Lift { origin: by(request) }),
    ]
}

proptest! {
    #[test]
    fn the_history_rebuilds_the_state_and_the_last_word_counts(
        commands in prop::collection::vec(commands(), 0..60)
    ) {
        let mut c = Consents::default();
        let mut history: Vec<Change> = Vec::new();
        let mut restricting: BTreeSet<Source> = BTreeSet::new();
        for (at, command) in commands.iter().enumerate() {
            let before = c.allowed();
            let Ok(changes) = c.decide(command, at as i64) else { continue };
            for change in &changes {
                let line = serde_json::to_string(change).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Change>(&line).unwrap(), change);
                c.apply(change).unwrap();
            }
            prop_assert_eq!(c.decide(command, 99), Ok(vec![]), "said again it is a replay");
            // Only what says so takes anything away: the caches rely on it.
            let lost = before.iter().any(|k| !c.allowed().contains(k));
            prop_assert!(!lost || changes.iter().any(|ch| ch.action.takes_away()));
            match command {
                Command::Grant { kind, .. } => prop_assert_eq!(c.allows(*kind), Verdict::Allowed),
                Command::Revoke { kind, .. } => prop_assert_ne!(c.allows(*kind), Verdict::Allowed),
                Command::Object { kinds, .. } => {
                    prop_assert!(kinds.iter().all(|k| c.allows(k) != Verdict::Allowed));
                }
                Command::OptOut { kinds, .. } => {
                    prop_assert!(kinds.iter().all(|k| !c.allowed().contains(k)));
                }
                Command::Restrict { origin } => {
                    restricting.insert(origin.source.clone());
                    prop_assert!(c.allowed().is_empty());
                }
                Command::Lift { origin } => drop(restricting.remove(&origin.source)),
            }
            prop_assert_eq!(c.restricted(), !restricting.is_empty());
            history.extend(changes);
        }
        prop_assert!(history.iter().map(|ch| ch.seq).eq(1..=c.seq()));
        prop_assert_eq!(Consents::from_history(&history), Ok(c));
    }
}
