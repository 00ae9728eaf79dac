//! The core segment of a TC string.

use super::bits::Bits;
use super::error::{Fault, TcfError};
use super::sets::{Numbers, Vendors};
use super::tc::{DISCLOSED_FROM_US, POLICY_VERSION_2_3, Restriction, RestrictionType};

/// The core segment, in the specification's order. Times are wall microseconds since the epoch, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    pub created_us: i64,
    pub last_updated_us: i64,
    pub cmp_id: u16,
    pub cmp_version: u16,
    pub consent_screen: u8,
    /// ISO 639-1, upper case.
    pub consent_language: [u8; 2],
    pub vendor_list_version: u16,
    pub policy_version: u8,
    pub is_service_specific: bool,
    pub use_non_standard_texts: bool,
    /// 12 of them.
    pub special_feature_opt_ins: Numbers,
    /// 24 of them.
    pub purposes_consent: Numbers,
    pub purposes_li_transparency: Numbers,
    /// Purpose 1 was not asked for, as the publisher's country wants it.
    pub purpose_one_treatment: bool,
    /// ISO 3166-1 alpha-2; "AA" where it is not known.
    pub publisher_country: [u8; 2],
    pub vendor_consents: Vendors,
    pub vendor_legitimate_interests: Vendors,
    pub restrictions: Vec<Restriction>,
}

impl Core {
    pub(super) fn read(bits: &mut Bits) -> Result<Core, TcfError> {
        match bits.number("Version", 6)? {
            2 => {}
            other => return Err(bits.error("Version", Fault::Version(other))),
        }
        Ok(Core {
            created_us: deciseconds(bits, "Created")?,
            last_updated_us: deciseconds(bits, "LastUpdated")?,
            cmp_id: bits.small("CmpId", 12)?,
            cmp_version: bits.small("CmpVersion", 12)?,
            consent_screen: bits.small("ConsentScreen", 6)? as u8,
            consent_language: bits.letters("ConsentLanguage")?,
            vendor_list_version: bits.small("VendorListVersion", 12)?,
            policy_version: bits.small("TcfPolicyVersion", 6)? as u8,
            is_service_specific: bits.flag("IsServiceSpecific")?,
            use_non_standard_texts: bits.flag("UseNonStandardTexts")?,
            special_feature_opt_ins: bits.numbers("SpecialFeatureOptIns", 12)?,
            purposes_consent: bits.numbers("PurposesConsent", 24)?,
            purposes_li_transparency: bits.numbers("PurposesLITransparency", 24)?,
            purpose_one_treatment: bits.flag("PurposeOneTreatment")?,
            publisher_country: bits.letters("PublisherCC")?,
            vendor_consents: bits.vendors("VendorConsents")?,
            vendor_legitimate_interests: bits.vendors("VendorLegitimateInterests")?,
            restrictions: restrictions(bits)?,
        })
    }

    /// Is the disclosed vendors segment mandatory?
    pub(super) fn must_disclose(&self) -> bool {
        self.policy_version >= POLICY_VERSION_2_3 || self.created_us >= DISCLOSED_FROM_US
    }
}

/// 36 bits of tenths of a second.
fn deciseconds(bits: &mut Bits, field: &'static str) -> Result<i64, TcfError> {
    Ok(bits.number(field, 36)? as i64 * 100_000)
}

fn restrictions(bits: &mut Bits) -> Result<Vec<Restriction>, TcfError> {
    let count = bits.number("NumPubRestrictions", 12)?;
    // Not with room for `count`: a few characters may claim 4,095.
    let mut restrictions = Vec::new();
    for _ in 0..count {
        let purpose = bits.small("PurposeId", 6)? as u8;
        let kind = match bits.number("RestrictionType", 2)? {
            0 => RestrictionType::NotAllowed,
            1 => RestrictionType::RequireConsent,
            2 => RestrictionType::RequireLegitimateInterest,
            _ => RestrictionType::Undefined,
        };
        let mut vendors = Vec::new();
        bits.ranges("PubRestrictionEntry", u16::MAX, |start, end| vendors.push((start, end)))?;
        restrictions.push(Restriction { purpose, kind, vendors });
    }
    Ok(restrictions)
}
