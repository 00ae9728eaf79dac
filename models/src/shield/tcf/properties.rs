//! What holds for every string, and for every value that is encoded.

use proptest::prelude::*;

use super::core::Core;
use super::encode::{base64url, blank, encode};
use super::error::Fault;
use super::mapping::consents;
use super::sets::{Numbers, Vendors};
use super::tc::{PublisherTc, Restriction, RestrictionType, STRING_BYTES_MAX, Tc};

fn vendors() -> impl Strategy<Value = Vendors> {
    prop::collection::vec((1_u16..=1_500, 0_u16..40), 0..20).prop_map(|runs| {
        let mut vendors = Vendors::default();
        runs.iter().for_each(|(start, more)| vendors.insert_range(*start, start + more));
        vendors
    })
}

fn restriction() -> impl Strategy<Value = Restriction> {
    let kind = prop::sample::select(vec![
        RestrictionType::NotAllowed,
        RestrictionType::RequireConsent,
        RestrictionType::RequireLegitimateInterest,
        RestrictionType::Undefined,
    ]);
    let ranges = prop::collection::vec((1_u16..=60_000, 0_u16..3), 0..6);
    (0_u8..64, kind, ranges).prop_map(|(purpose, kind, ranges)| Restriction {
        purpose,
        kind,
        vendors: ranges.into_iter().map(|(start, more)| (start, start + more)).collect(),
    })
}

fn letters() -> impl Strategy<Value = [u8; 2]> {
    [b'A'..=b'Z', b'A'..=b'Z']
}

prop_compose! {
    fn core()(
        times in [0_i64..1 << 36, 0_i64..1 << 36],
        small in [0_u16..1 << 12, 0_u16..1 << 12, 0_u16..1 << 12],
        (consent_screen, policy_version) in (0_u8..64, 0_u8..64),
        flags in any::<[bool; 3]>(),
        (consent_language, publisher_country) in (letters(), letters()),
        sets in (0_u64..1 << 12, 0_u64..1 << 24, 0_u64..1 << 24),
        (vendor_consents, vendor_legitimate_interests) in (vendors(), vendors()),
        restrictions in prop::collection::vec(restriction(), 0..8),
    ) -> Core {
        Core {
            created_us: times[0] * 100_000,
            last_updated_us: times[1] * 100_000,
            cmp_id: small[0],
            cmp_version: small[1],
            consent_screen,
            consent_language,
            vendor_list_version: small[2],
            policy_version,
            is_service_specific: flags[0],
            use_non_standard_texts: flags[1],
            special_feature_opt_ins: Numbers::from_bits(sets.0),
            purposes_consent: Numbers::from_bits(sets.1),
            purposes_li_transparency: Numbers::from_bits(sets.2),
            purpose_one_treatment: flags[2],
            publisher_country,
            vendor_consents,
            vendor_legitimate_interests,
            restrictions,
        }
    }
}

/// Four sets of 24, 24, `custom` and `custom` numbers.
fn publisher(custom: u8, bits: [u64; 4]) -> PublisherTc {
    let within = |bits: u64, count: u8| Numbers::from_bits(bits & ((1 << count) - 1));
    PublisherTc {
        purposes_consent: within(bits[0], 24),
        purposes_li_transparency: within(bits[1], 24),
        custom_purposes_consent: within(bits[2], custom),
        custom_purposes_li_transparency: within(bits[3], custom),
    }
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded_again(
        core in core(),
        (disclosed, allowed) in (vendors(), prop::option::of(vendors())),
        (custom, bits) in (0_u8..64, any::<[u64; 4]>()),
        (by_ranges, has_publisher) in any::<(bool, bool)>(),
    ) {
        let publisher = has_publisher.then(|| publisher(custom, bits));
        let tc = Tc { core, disclosed: Some(disclosed), allowed, publisher };
        let text = encode(&tc, by_ranges, custom);
        prop_assert_eq!(Tc::parse(&text), Ok(tc));
        // Cut anywhere it is either an error or a shorter string, and never a panic.
        for end in 0..text.len() {
            let _ = Tc::parse(&text[..end]);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", letters in "C[A-Za-z0-9_.=-]{0,300}") {
        let _ = Tc::parse(&text);
        if let Ok(tc) = Tc::parse(&letters) {
            prop_assert_eq!(consents(&tc, Some(1)).len(), 5);
        }
    }

    #[test]
    fn no_change_of_a_good_string_makes_it_panic(
        core in core(),
        at in any::<prop::sample::Index>(),
        letter in "[A-Za-z0-9_.=-]",
    ) {
        let mut text = encode(&Tc { core, disclosed: Some(Vendors::default()), ..blank() }, true, 0);
        let at = at.index(text.len());
        text.replace_range(at..=at, &letter);
        if let Ok(tc) = Tc::parse(&text) {
            prop_assert!(consents(&tc, None).len() == 5);
        }
    }
}

#[test]
fn a_string_beyond_the_limit_is_not_looked_at_and_one_at_the_limit_is_bounded_work() {
    let error = Tc::parse(&"C".repeat(STRING_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.fault, Fault::TooLong);
    // As many ranges over all vendors as fit: the most work that a string can make.
    let all = format!("1{:016b}{:016b}", 1, u16::MAX).repeat(2_900);
    let segment = base64url(&format!("001{:016b}1{:012b}{all}", u16::MAX, 2_900));
    let text = format!("{}.{segment}", encode(&blank(), false, 0));
    assert!(text.len() <= STRING_BYTES_MAX, "{}", text.len());
    assert_eq!(Tc::parse(&text).unwrap().disclosed.map(|d| d.len()), Some(65_535));
}
