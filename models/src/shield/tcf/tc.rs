//! A decoded TC string.

use super::bits::Bits;
use super::core::Core;
use super::error::{Fault, Segment, TcfError};
use super::sets::{Numbers, Vendors};

/// Bytes of the longest TC string that is looked at.
pub const STRING_BYTES_MAX: usize = 16 * 1_024;
/// The policy version of TCF v2.3, which made the disclosed vendors mandatory.
pub const POLICY_VERSION_2_3: u8 = 5;
/// 2026-03-01T00:00:00Z: a string from then on is void without the disclosed vendors, whatever policy
/// version it names (IAB Europe, transition to TCF v2.3: the last day without was 28 February).
pub const DISCLOSED_FROM_US: i64 = 1_772_323_200_000_000;

/// What a publisher decided about a purpose of some vendors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestrictionType {
    /// 0
    NotAllowed,
    /// 1
    RequireConsent,
    /// 2
    RequireLegitimateInterest,
    /// 3: not to be used.
    Undefined,
}

/// One publisher restriction. The ranges stay ranges: there may be thousands of restrictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    pub purpose: u8,
    pub kind: RestrictionType,
    /// First and last vendor id of each range, in the string's order.
    pub vendors: Vec<(u16, u16)>,
}

impl Restriction {
    pub fn covers(&self, vendor: u16) -> bool {
        self.vendors.iter().any(|(start, end)| (*start..=*end).contains(&vendor))
    }
}

/// The publisher's own purposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublisherTc {
    pub purposes_consent: Numbers,
    pub purposes_li_transparency: Numbers,
    pub custom_purposes_consent: Numbers,
    pub custom_purposes_li_transparency: Numbers,
}

/// A TC string, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tc {
    pub core: Core,
    /// Vendors that the person was shown. None: a string from before TCF v2.3.
    pub disclosed: Option<Vendors>,
    /// Out-of-band vendors; no longer in use.
    pub allowed: Option<Vendors>,
    pub publisher: Option<PublisherTc>,
}

impl Tc {
    /// Decodes a string. The segments after the core may come in any order; those of an unknown type
    /// are passed over, as the IAB's own decoders do.
    pub fn parse(text: &str) -> Result<Tc, TcfError> {
        let error = |segment, field, fault| Err(TcfError { segment, field, fault });
        if text.len() > STRING_BYTES_MAX {
            return error(Segment::Core, "string", Fault::TooLong);
        }
        let mut parts = text.split('.');
        let core = Core::read(&mut Bits::decode(parts.next().unwrap_or(""), Segment::Core)?)?;
        let mut tc = Tc { core, disclosed: None, allowed: None, publisher: None };
        for part in parts {
            let mut bits = Bits::decode(part, Segment::Unknown)?;
            let twice = match bits.number("SegmentType", 3)? {
                1 => {
                    bits.segment = Segment::DisclosedVendors;
                    tc.disclosed.replace(bits.vendors("DisclosedVendors")?).is_some()
                }
                2 => {
                    bits.segment = Segment::AllowedVendors;
                    tc.allowed.replace(bits.vendors("AllowedVendors")?).is_some()
                }
                3 => {
                    bits.segment = Segment::PublisherTc;
                    tc.publisher.replace(PublisherTc::read(&mut bits)?).is_some()
                }
                _ => false,
            };
            if twice {
                return error(bits.segment, "SegmentType", Fault::Twice);
            }
        }
        if tc.disclosed.is_none() && tc.core.must_disclose() {
            return error(Segment::DisclosedVendors, "DisclosedVendors", Fault::Missing);
        }
        Ok(tc)
    }
}

impl PublisherTc {
    fn read(bits: &mut Bits) -> Result<PublisherTc, TcfError> {
        let purposes_consent = bits.numbers("PubPurposesConsent", 24)?;
        let purposes_li_transparency = bits.numbers("PubPurposesLITransparency", 24)?;
        let custom = usize::from(bits.small("NumCustomPurposes", 6)?);
        Ok(PublisherTc {
            purposes_consent,
            purposes_li_transparency,
            custom_purposes_consent: bits.numbers("CustomPurposesConsent", custom)?,
            custom_purposes_li_transparency: bits
                .numbers("CustomPurposesLITransparency", custom)?,
        })
    }
}
