use proptest::prelude::*;

use crate::openrtb::sample::consent::{Choices, Ranges, Restriction, gpp_string, tc_string};

use super::*;

const OURS: u16 = 755;
const ALL: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

fn terms() -> Terms {
    Terms { vendor: Some(OURS), ..Terms::default() }
}

fn granting(purposes: &'static [u8]) -> Choices<'static> {
    Choices { purposes, vendors: &[(OURS, OURS)], ..Choices::default() }
}

type Found = (bool, bool, Vec<Detail>);

/// Whether there may be a bid, whether personal data may be used, and why not.
fn found(signals: &Signals<'_>, terms: &Terms) -> Found {
    let permits = Permits::of(signals, terms);
    assert_eq!(permits.bid.is_err(), permits.bid == Err(Reason::Consent));
    assert!(permits.bid.is_ok() || !permits.personal);
    (permits.bid.is_ok(), permits.personal, permits.findings.iter().collect())
}

fn europe<'a>(text: &'a str) -> Signals<'a> {
    Signals { gdpr: Some(true), consent: Some(text), ..Signals::default() }
}

#[test]
fn where_no_law_is_named_everything_is_allowed() {
    assert_eq!(found(&Signals::default(), &terms()), (true, true, vec![]));
    assert_eq!(found(&Signals::default(), &Terms::default()), (true, true, vec![]));
}

#[test]
fn under_the_gdpr_a_bid_needs_the_basic_purposes_and_personal_data_two_more() {
    use Detail::{GdprPersonal, GdprPurpose};
    for (purposes, bid, personal, why) in [
        (ALL, true, true, vec![]),
        (&[1, 2, 3, 4, 7, 10][..], true, true, vec![]),
        (&[1, 2, 7, 10], true, false, vec![GdprPersonal]),
        (&[1, 2, 3, 7, 10], true, false, vec![GdprPersonal]),
        (&[2, 3, 4, 7, 10], false, false, vec![GdprPurpose]),
        (&[1, 3, 4, 7, 10], false, false, vec![GdprPurpose]),
        (&[1, 2, 3, 4, 10], false, false, vec![GdprPurpose]),
        (&[1, 2, 3, 4, 7], false, false, vec![GdprPurpose]),
        (&[], false, false, vec![GdprPurpose]),
    ] {
        let text = tc_string(&granting(purposes));
        assert_eq!(found(&europe(&text), &terms()), (bid, personal, why), "{purposes:?}");
    }
    let text = tc_string(&granting(&[2]));
    let lax = Terms { basic: purposes(&[2]), personal: purposes(&[]), ..terms() };
    assert_eq!(found(&europe(&text), &lax), (true, true, vec![]), "by terms");
}

#[test]
fn the_vendor_must_be_named_disclosed_and_consented_to() {
    let text = tc_string(&granting(ALL));
    let unset = Terms::default();
    assert_eq!(found(&europe(&text), &unset), (false, false, vec![Detail::GdprVendorUnset]));
    let why = Permits::of(&europe(&text), &unset).why();
    assert_eq!(why, "the GDPR applies, and flow.tcf_vendor_id is not set");
    let hidden = Choices { disclosed: Some(&[(1, 754), (756, 900)]), ..granting(ALL) };
    let old =
        Choices { disclosed: None, policy: 4, created_us: 1_700_000_000_000_000, ..granting(ALL) };
    let refused = Choices { vendors: &[(1, 754)], ..granting(ALL) };
    for (choices, why) in [
        (hidden, Detail::GdprVendorUndisclosed),
        (old, Detail::GdprVendorUndisclosed),
        (refused, Detail::GdprPurpose),
    ] {
        let text = tc_string(&choices);
        assert_eq!(found(&europe(&text), &terms()), (false, false, vec![why]));
    }
}

#[test]
fn a_legitimate_interest_counts_where_it_is_declared_and_never_for_profiles() {
    let choices = Choices {
        purposes: &[1, 3, 4],
        interests: &[1, 2, 3, 4, 7, 10],
        vendor_interests: &[(OURS, OURS)],
        ..granting(&[])
    };
    let text = tc_string(&choices);
    assert_eq!(found(&europe(&text), &terms()), (false, false, vec![Detail::GdprPurpose]));
    let declared = Terms { interests: purposes(&[1, 2, 3, 4, 7, 10]), ..terms() };
    assert_eq!(found(&europe(&text), &declared), (true, true, vec![]));
    let text = tc_string(&Choices { purposes: &[1], ..choices });
    assert_eq!(found(&europe(&text), &declared), (true, false, vec![Detail::GdprPersonal]));
    let text = tc_string(&Choices { purposes: &[3, 4], ..choices });
    assert_eq!(found(&europe(&text), &declared), (false, false, vec![Detail::GdprPurpose]));
    let text = tc_string(&Choices { vendor_interests: &[(1, 3)], ..choices });
    assert_eq!(found(&europe(&text), &declared), (false, false, vec![Detail::GdprPurpose]));
}

#[test]
fn a_publisher_may_forbid_a_purpose_or_one_of_the_two_ways_to_it() {
    let declared = Terms { interests: purposes(&[2]), ..terms() };
    let both = Choices { interests: &[2], vendor_interests: &[(OURS, OURS)], ..granting(ALL) };
    let only_interest = Choices { purposes: &[1, 3, 4, 7, 10], ..both };
    let us: Ranges<'_> = &[(1, 3), (700, 800)];
    let others: Ranges<'_> = &[(1, 754), (756, 800)];
    for (choices, kind, vendors, bid) in [
        (both, 0, us, false),
        (both, 1, us, true),
        (both, 2, us, true),
        (both, 3, us, false),
        (both, 0, others, true),
        (only_interest, 1, us, false),
        (only_interest, 2, us, true),
        (granting(ALL), 2, us, false),
        (granting(ALL), 1, us, true),
    ] {
        let restrictions: &[Restriction<'_>] = &[(2, kind, vendors)];
        let text = tc_string(&Choices { restrictions, ..choices });
        assert_eq!(found(&europe(&text), &declared).0, bid, "{kind} {vendors:?}");
    }
}

#[test]
fn consent_that_is_missing_or_unreadable_leaves_no_bid_under_the_gdpr() {
    let missing = Signals { gdpr: Some(true), ..Signals::default() };
    assert_eq!(found(&missing, &terms()), (false, false, vec![Detail::GdprConsentMissing]));
    for text in ["C", "!", "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "CO.!"] {
        let why = vec![Detail::GdprConsentUnreadable];
        assert_eq!(found(&europe(text), &terms()), (false, false, why), "{text}");
    }
    let elsewhere = Signals { gdpr: Some(false), consent: Some("!"), ..Signals::default() };
    assert_eq!(found(&elsewhere, &terms()), (true, true, vec![]));
}

#[test]
fn where_nobody_says_whether_the_gdpr_applies_the_country_does() {
    let text = tc_string(&granting(ALL));
    for (country, consent, unsaid, bid) in [
        (Some("DEU"), None, Unsaid::ByCountry, false),
        (Some("GBR"), None, Unsaid::ByCountry, false),
        (Some("ISL"), Some(&*text), Unsaid::ByCountry, true),
        (Some("ALA"), None, Unsaid::ByCountry, false),
        (Some("MAF"), None, Unsaid::ByCountry, false),
        (Some("EU"), None, Unsaid::ByCountry, false),
        (Some("GERMANY"), None, Unsaid::ByCountry, false),
        (Some("GERMANY"), Some(&*text), Unsaid::ByCountry, true),
        (Some("USA"), None, Unsaid::ByCountry, true),
        (Some("USA"), Some("!"), Unsaid::ByCountry, true),
        (None, Some("!"), Unsaid::ByCountry, false),
        (None, None, Unsaid::ByCountry, true),
        (Some("USA"), None, Unsaid::Applies, false),
        (Some("DEU"), None, Unsaid::DoesNotApply, true),
    ] {
        let signals = Signals { country, consent, ..Signals::default() };
        let terms = Terms { unsaid, ..terms() };
        assert_eq!(found(&signals, &terms).0, bid, "{country:?} {unsaid:?}");
    }
}

#[test]
fn a_gpp_string_counts_by_the_sections_that_are_in_force() {
    use Detail::*;
    let tc = tc_string(&granting(ALL));
    let basic = tc_string(&granting(&[1, 2, 7, 10]));
    let (out, stayed) = ("BUUAAACA", "BUoAAACA");
    let both = gpp_string(&[(2, &tc), (8, out)]);
    let cases: [(String, &[i64], Found); 20] = [
        (gpp_string(&[(7, "BVQqAAAAAg")]), &[1], (false, false, vec![GdprConsentMissing])),
        (gpp_string(&[(2, &tc)]), &[2], (true, true, vec![])),
        (gpp_string(&[(2, &basic)]), &[2], (true, false, vec![GdprPersonal])),
        (gpp_string(&[(2, "CO")]), &[2], (false, false, vec![GdprConsentUnreadable])),
        (gpp_string(&[(6, "1YNN")]), &[2], (false, false, vec![GdprConsentMissing])),
        (gpp_string(&[(6, "1YNN")]), &[6], (true, true, vec![])),
        (gpp_string(&[(6, "1YYN")]), &[6], (true, false, vec![UsOptOut])),
        (gpp_string(&[(6, "1YYN")]), &[], (true, false, vec![UsOptOut])),
        (gpp_string(&[(7, "BVQVAAAAAg")]), &[7], (true, false, vec![UsOptOut])),
        (gpp_string(&[(7, "BVQqAAAAAg")]), &[7], (true, true, vec![])),
        (gpp_string(&[(7, "BVQqAAAAAg.YA")]), &[7], (true, false, vec![UsPrivacyControl])),
        (gpp_string(&[(8, stayed)]), &[8], (true, true, vec![])),
        (both.clone(), &[2], (true, true, vec![])),
        (both.clone(), &[8], (true, false, vec![UsOptOut])),
        (both.clone(), &[-1], (true, true, vec![])),
        (both.clone(), &[0], (true, false, vec![UsOptOut])),
        (gpp_string(&[(8, stayed)]), &[9], (true, false, vec![GppSectionMissing])),
        (gpp_string(&[(5, "CP")]), &[5], (true, false, vec![GppSectionUnknown])),
        (gpp_string(&[(28, "x")]), &[28], (true, false, vec![GppSectionUnknown])),
        ("DBAB".into(), &[7], (true, false, vec![GppUnreadable, GppSectionMissing])),
    ];
    for (text, sections, expected) in cases {
        let signals = Signals {
            gpp: Some(&text),
            gpp_sections: sections.iter().copied().collect(),
            ..Signals::default()
        };
        assert_eq!(found(&signals, &terms()), expected, "{text} {sections:?}");
    }
    let signals = Signals {
        gdpr: Some(false),
        gpp: Some(&both),
        gpp_sections: [2].into_iter().collect(),
        ..Signals::default()
    };
    let strict = Terms { basic: purposes(&[24]), ..terms() };
    assert!(!found(&signals, &strict).0, "that the section is in force counts more than the flag");
}

#[test]
fn a_section_that_is_named_a_thousand_times_is_read_once() {
    let section = format!("BVQqAAAAAg{}", ".QA".repeat(5_000));
    let gpp = gpp_string(&[(7, &section)]);
    let gpp_sections = std::iter::repeat_n(7, 4_096).collect();
    let signals = Signals { gpp: Some(&gpp), gpp_sections, ..Signals::default() };
    let begun = std::time::Instant::now();
    assert_eq!(found(&signals, &terms()), (true, true, vec![]));
    assert!(begun.elapsed().as_millis() < 100, "{:?}", begun.elapsed());
}

#[test]
fn two_consents_that_differ_have_to_allow_it_both() {
    let (all, basic) = (tc_string(&granting(ALL)), tc_string(&granting(&[1, 2, 7, 10])));
    let none = tc_string(&granting(&[]));
    let strings = [&*all, &*basic, &*none];
    for (at, consent) in strings.iter().enumerate() {
        for (of, section) in strings.iter().enumerate() {
            let gpp = gpp_string(&[(2, section)]);
            for sections in [&[2][..], &[]] {
                let gpp_sections = sections.iter().copied().collect();
                let signals = Signals { gpp: Some(&gpp), gpp_sections, ..europe(consent) };
                let (bid, personal, _) = found(&signals, &terms());
                assert_eq!((bid, personal), (at.max(of) < 2, at.max(of) == 0), "{at} {of}");
            }
        }
    }
}

#[test]
fn children_and_people_who_limit_tracking_get_bids_by_context_alone() {
    for (signals, why) in [
        (Signals { coppa: true, ..Signals::default() }, Detail::Coppa),
        (Signals { limited: true, ..Signals::default() }, Detail::Limited),
        (Signals { privacy_control: true, ..Signals::default() }, Detail::UsPrivacyControl),
        (Signals { us_privacy: Some("1YYN"), ..Signals::default() }, Detail::UsOptOut),
        (Signals { us_privacy: Some("x"), ..Signals::default() }, Detail::UsPrivacyUnreadable),
    ] {
        assert_eq!(found(&signals, &terms()), (true, false, vec![why]));
        assert_eq!(Permits::of(&signals, &terms()).coppa, signals.coppa);
    }
}

#[test]
fn every_detail_has_a_name_of_its_own() {
    let mut names: Vec<&str> = Detail::ALL.iter().map(|detail| detail.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Detail::ALL.len());
    let mut all = Findings::NONE;
    Detail::ALL.iter().for_each(|detail| all.add(Findings::of(*detail)));
    assert!(all.iter().eq(Detail::ALL.iter().copied()));
}

proptest! {
    #[test]
    fn a_further_signal_never_permits_more(
        gdpr in prop::option::of(any::<bool>()),
        consent in prop::option::of("[A-Za-z0-9._-]{0,60}"),
        gpp in prop::option::of("DB[A-Za-z0-9_-]{2,8}(~[A-Za-z0-9.-]{0,12}){0,3}"),
        sections in prop::collection::vec(-2_i64..30, 0..4),
        us_privacy in prop::option::of("[12][YN-]{3}"),
        coppa in any::<bool>(),
        limited in any::<bool>(),
    ) {
        let signals = Signals {
            gdpr, consent: consent.as_deref(), gpp: gpp.as_deref(),
            gpp_sections: sections.into_iter().collect(),
            us_privacy: us_privacy.as_deref(), coppa, limited, privacy_control: false, country: None,
        };
        let permits = Permits::of(&signals, &terms());
        prop_assert!(permits.bid.is_ok() || !permits.personal);
        for more in [
            Signals { coppa: true, ..signals.clone() },
            Signals { limited: true, ..signals.clone() },
            Signals { privacy_control: true, ..signals.clone() },
            Signals { us_privacy: Some("1YYN"), ..signals.clone() },
        ] {
            let stricter = Permits::of(&more, &terms());
            prop_assert!(!stricter.personal);
            prop_assert_eq!(stricter.bid, permits.bid);
        }
    }
}
