//! Published test vectors: strings with the fields that the IAB's own decoders read from them.
//!
//! "iabtcf-java" is github.com/InteractiveAdvertisingBureau/iabtcf-java, folder
//! iabtcf-decoder/src/test/java/com/iabtcf/decoder; "iabtcf-es" is
//! github.com/InteractiveAdvertisingBureau/iabtcf-es, folder modules/core/test. "the specification" is
//! "IAB Tech Lab - Consent string and vendor list formats v2.md" in
//! github.com/InteractiveAdvertisingBureau/GDPR-Transparency-and-Consent-Framework.

use super::encode::base64url;
use super::error::{Fault, Segment, TcfError};
use super::sets::{Numbers, Vendors};
use super::tc::{Restriction, RestrictionType, Tc};

const JAVA_CORE: &str = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA";
const JAVA_BIT_FIELDS: &str =
    "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA";

fn parse(text: &str) -> Tc {
    Tc::parse(text).unwrap()
}

fn fault(text: &str) -> (Segment, &'static str, Fault) {
    let TcfError { segment, field, fault } = Tc::parse(text).unwrap_err();
    (segment, field, fault)
}

fn list(set: Numbers) -> Vec<u8> {
    set.iter().collect()
}

fn ids(vendors: &Vendors) -> Vec<u16> {
    vendors.iter().collect()
}

/// 2020-01-26T17:01:00Z and the like, from days since the epoch.
fn at(days: i64, seconds: i64, deciseconds: i64) -> i64 {
    ((days * 86_400 + seconds) * 10 + deciseconds) * 100_000
}

/// iabtcf-java, TCStringV2Test.testCanConstructTCModelFromBase64String
#[test]
fn java_reads_every_field_of_the_core() {
    let core = parse(JAVA_CORE).core;
    assert_eq!(core.created_us, at(18_287, 17 * 3_600 + 60, 0), "2020-01-26T17:01:00Z");
    assert_eq!(core.last_updated_us, at(18_660, 17 * 3_600 + 60, 0), "2021-02-02T17:01:00Z");
    assert_eq!((core.cmp_id, core.cmp_version, core.consent_screen), (675, 2, 1));
    assert_eq!((core.vendor_list_version, core.policy_version), (15, 2));
    assert_eq!((&core.consent_language, &core.publisher_country), (b"EN", b"AA"));
    assert!(!core.is_service_specific && !core.use_non_standard_texts);
    assert!(core.purpose_one_treatment);
    assert_eq!(list(core.special_feature_opt_ins), [1]);
    assert_eq!(list(core.purposes_consent), [2, 10]);
    assert_eq!(list(core.purposes_li_transparency), [2, 9]);
}

/// iabtcf-java, TCStringV2Test.testConstructConsentsFromBitFields
#[test]
fn java_reads_vendors_from_bit_fields() {
    let core = parse(JAVA_BIT_FIELDS).core;
    assert_eq!(list(core.purposes_consent), [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(ids(&core.vendor_consents), [23, 37, 47, 48, 53, 65, 98]);
    assert_eq!(ids(&core.vendor_legitimate_interests), [37, 47, 48, 53, 65, 98, 129]);
}

/// iabtcf-java, TCStringV2Test.testCanParseDisclosedAndAllowedVendors
#[test]
fn java_reads_disclosed_and_allowed_vendors() {
    let tc = parse(&format!("{JAVA_BIT_FIELDS}.IBAgAAAgAIAwgAgAAAAEAAAACA.QAagAQAgAIAwgA"));
    assert_eq!(ids(&tc.allowed.unwrap()), [12, 23, 37, 47, 48, 53]);
    assert_eq!(ids(&tc.disclosed.unwrap()), [23, 37, 47, 48, 53, 65, 98, 129]);
}

/// iabtcf-java, TCStringV2Test.testCanParseAllParts
#[test]
fn java_reads_all_four_segments_and_lets_padding_through() {
    let parts = "IBAgAAAgAIAwgAgAAAAEAAAACA.QAagAQAgAIAwgA.cAAAAAAAITg=";
    let tc = parse(&format!("{JAVA_BIT_FIELDS}.{parts}"));
    assert_eq!(tc.publisher.unwrap().purposes_consent.iter().count(), 1);
    assert!(tc.disclosed.is_some() && tc.allowed.is_some());
}

/// iabtcf-java, TCStringV2Test.testCanParseRangeEncodedVendorLegitimateInterests
#[test]
fn java_reads_legitimate_interests_from_a_range() {
    let tc = parse("COv__-wOv__-wC2AAAENAPCgAAAAAAAAAAAAA_wAQA_gEBABAEAAAA");
    assert_eq!(ids(&tc.core.vendor_legitimate_interests), [128]);
}

/// iabtcf-java, TCStringV2Test.testPublisherRestrictions
#[test]
fn java_reads_publisher_restrictions() {
    let bits = [
        "0000100011101011100",
        "1000000000000001010",
        "0000001110101110010",
        "0000000000000101000",
        "0000110011111000000",
        "0000000000000000100",
        "0011010000000011110",
        "0001000000000000000",
        "0000000000000000000",
        "0000000000000000000",
        "0000000000000000000",
        "0000000000000000000",
        "0000000000000000000",
        "000000000011",
        "000001",
        "01",
        "000000000000",
        "000010",
        "00",
        "000000000000",
        "000011",
        "10",
        "000000000000",
        "0",
    ];
    let expected = [
        (1, RestrictionType::RequireConsent),
        (2, RestrictionType::NotAllowed),
        (3, RestrictionType::RequireLegitimateInterest),
    ]
    .map(|(purpose, kind)| Restriction { purpose, kind, vendors: vec![] });
    assert_eq!(parse(&base64url(&bits.concat())).core.restrictions, expected);
}

/// iabtcf-java, TCStringV2Test.testPublisherPurposes
#[test]
fn java_reads_the_publishers_purposes() {
    let bits = [
        "011",
        "100000000000000000000000",
        "000000000000000000000001",
        "000010",
        "01",
        "11",
        "000",
    ];
    let publisher = parse(&format!("{JAVA_CORE}.{}", base64url(&bits.concat()))).publisher.unwrap();
    assert_eq!(list(publisher.purposes_consent), [1]);
    assert_eq!(list(publisher.purposes_li_transparency), [24]);
    assert_eq!(list(publisher.custom_purposes_consent), [2]);
    assert_eq!(list(publisher.custom_purposes_li_transparency), [1, 2]);
}

/// iabtcf-java, TCStringV2Test.testDefaultSegmentType
#[test]
fn java_passes_over_a_segment_of_no_type() {
    let tc = parse(&format!("{JAVA_CORE}.AA=="));
    assert_eq!((tc.disclosed, tc.allowed, tc.publisher), (None, None, None));
}

/// iabtcf-java, TCStringV2Test.testRange
#[test]
fn java_reads_one_vendor_and_two_from_ranges() {
    let two = "COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAYFfAV-BVkAGBVYFWAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw";
    let one = "COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAQFfgUbABAUaAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw";
    assert_eq!(ids(&parse(two).core.vendor_consents), [702, 703]);
    assert_eq!(ids(&parse(one).core.vendor_consents), [703]);
}

/// iabtcf-java, TCStringV2Test.testPurposesConsent
#[test]
fn java_reads_purposes() {
    let tc = parse("COwxsONOwxsONKpAAAENAdCAAMAAAAAAAAAAAAAAAAAA");
    assert!(tc.core.purposes_consent.contains_all(&[1, 2]));
}

/// iabtcf-java, TCStringDecoderTest: shouldFailIfANonSupportedVersionIsPassed, testReadBeyondBuffer
/// (version 1 is read there and refused here).
#[test]
fn java_refuses_another_version_and_a_string_that_ends() {
    assert_eq!(fault("DQ=="), (Segment::Core, "Version", Fault::Version(3)));
    assert_eq!(fault("Bg"), (Segment::Core, "Version", Fault::Version(1)));
    assert_eq!(fault("Cg"), (Segment::Core, "Created", Fault::Ends));
}

/// The specification's example of a string in a URL; its fields as
/// github.com/MobileFuse/php-tcf2-decoder prints them in its README.
#[test]
fn the_example_of_the_specification_is_read() {
    let tc = parse(
        "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw",
    );
    let core = tc.core;
    assert_eq!(core.created_us, 1_582_243_059_300_000);
    assert_eq!(core.last_updated_us, core.created_us);
    assert_eq!((core.cmp_id, core.cmp_version, core.consent_screen), (27, 0, 0));
    assert_eq!((core.vendor_list_version, core.policy_version), (15, 2));
    assert_eq!(list(core.purposes_consent), [1, 2, 3]);
    assert_eq!(ids(&core.vendor_consents), [2, 6, 8]);
    assert_eq!(ids(&core.vendor_legitimate_interests), [2, 6, 8]);
    assert!(core.restrictions.is_empty());
}

/// The specification's example of three segments, TCF v2.3 ("TC String Format").
#[test]
fn the_example_of_tcf_2_3_has_its_disclosed_vendors() {
    let text = "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA";
    let tc = parse(text);
    assert_eq!(tc.core.cmp_id, 880);
    assert!(tc.core.is_service_specific && tc.publisher.is_some());
    assert!(!tc.disclosed.unwrap().is_empty());
}

/// iabtcf-es, ReportedIssues.test.ts, issue 142: the bit field is shorter than its highest id says.
#[test]
fn es_refuses_a_bit_field_that_is_too_short() {
    let text = "CLSYjTaOngnCIAOABBENAXCMAGOAABBAAA7IA5n-m7fP6_3fbqVv6E__PoA5Aqff3aJx8tv_1967rfnQEQoAIAAQCrwkAEABAcACABIMACAAuApEVABABUSABgBCAVSAtIoACACIArYQAHACgAFgAVwBJgDcAI7AWgMAAgBiKgAgBMgFfKQAQBRkQAQA4AFiBAAoA-AEVAJlAVgAtYcACAJcAr4eABAK8OgBgFzAOmAqwgABAWyA.IFukWSQh";
    assert_eq!(fault(text), (Segment::DisclosedVendors, "DisclosedVendors", Fault::Ends));
}

/// iabtcf-es, ReportedIssues.test.ts, issue 156: the string says that it is of version 1.
#[test]
fn es_sees_version_1() {
    let text = "BOhwdphOxFC7tAHABBFRC--AAAAuhr_7__7-_9_-_f__9uj3Or_v_f__32ccL59v_h_7v-_7fi_20nV4u_1vft9yfk1-5ctDztp507iakivXmqdeb9v_nz3_5pxP78k89r7337Ew_v8_v-b7BCON_YxEiA";
    assert_eq!(fault(text), (Segment::Core, "Version", Fault::Version(1)));
}

/// iabtcf-es, ReportedIssues.test.ts, issue 201: a vendor comes in several ranges of a restriction.
#[test]
fn es_reads_the_vendors_of_a_restriction() {
    let text = "CO4VGswO4VGswAfZCBDEAzCsAP_AAH_AAAigGUNf_X9fb2vj-_599_t0eY1f9_63t-wzjheMs-8NyZ-X_J4Wv2MyvB34JqQKGRgkunLBAQdtHGncTQgBwIlViTLMY02MjzNKJrJEilsbe2dYGH9vn8XT_ZKZ70-_v__7v3___33_5Ayhr_6_r7e18f3_Pvv9ujzGr_v_W9v2GccLxln3huTPy_5PC1-xmV4O_BNSBQyMEl05YICDto407iaEAOBEqsSZZjGmxkeZpRNZIkUtjb2zrAw_t8_i6f7JTPen39___d-___--__ICgKAOAAcAA4AFAAjgB6AEYALcGACAW0AtoJAHAAOAAcACgARwA9ACMAFuFABALaAW0GgDgAHAAOABQAI4AegBGAC3DgAgFtALaEQBwADgAHAAoAEcAPQAjABbiQAQC2gFtCoA4ABwADgAUACOAHoARgAtxYAIBbQC2hkAcAA4ABwAKABHAD0AIwAW40AEAtoBbQ6AOAAcAA4AFAAjgB6AEYALceACAW0AtohAHAAOAAcACgARwA9ACMAFuRABALaAW0SgDgAHAAOABQAI4AegBGAC3JgAgFtALaKQBwADgAHAAoAEcAPQAjABblQAQC2gFtA";
    let restrictions = parse(text).core.restrictions;
    let first = &restrictions[0];
    assert_eq!((first.purpose, first.kind), (1, RestrictionType::RequireConsent));
    let covered: Vec<u16> = (1..=1_000).filter(|v| first.covers(*v)).collect();
    assert_eq!(covered, [7, 20, 71, 122, 140, 183]);
}

#[test]
fn a_string_that_tcf_2_3_makes_void_is_refused() {
    use super::encode::{blank, encode};
    use super::tc::{DISCLOSED_FROM_US, POLICY_VERSION_2_3};
    let missing = (Segment::DisclosedVendors, "DisclosedVendors", Fault::Missing);
    let mut tc = blank();
    tc.core.policy_version = POLICY_VERSION_2_3;
    assert_eq!(fault(&encode(&tc, false, 0)), missing);
    tc.core.policy_version -= 1;
    tc.core.created_us = DISCLOSED_FROM_US;
    assert_eq!(fault(&encode(&tc, false, 0)), missing);
    tc.core.created_us -= 100_000;
    assert_eq!(parse(&encode(&tc, false, 0)), tc, "a string from before stays good");
}

#[test]
fn an_error_says_the_segment_and_the_field_and_repeats_nothing() {
    let said = |text: &str| Tc::parse(text).unwrap_err().to_string();
    assert_eq!(said(""), "tc string, core segment: Version ends too early");
    assert_eq!(
        said("C*"),
        "tc string, core segment: encoding has a character that base64url does not have"
    );
    let twice = format!("{JAVA_CORE}.YAAAAAAAAAA.YAAAAAAAAAA");
    assert_eq!(said(&twice), "tc string, publisher tc segment: SegmentType comes twice");
    let backwards = format!("001{:016b}1{:012b}1{:016b}{:016b}", 9, 1, 5, 4);
    assert_eq!(
        said(&format!("{JAVA_CORE}.{}", base64url(&backwards))),
        "tc string, disclosed vendors segment: DisclosedVendors has the range 5 to 4, within 1 to 9"
    );
}
