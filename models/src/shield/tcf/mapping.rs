//! What a TC string grants of the platform's five consent types.
//!
//! Purposes by number, with their names in the TCF policies (version 4 and later):
//!
//! | type | purposes | because |
//! |---|---|---|
//! | marketing | 1, 2 | use limited data to select advertising |
//! | analytics | 1, 7, 8, 9 | measure advertising performance; measure content performance; understand audiences through statistics or combinations of data from different sources |
//! | targeting | 1, 3, 4 | create profiles for personalised advertising; use profiles to select personalised advertising |
//! | profiling | 1, 3, 5 | create profiles for personalised advertising; create profiles to personalise content |
//! | data_sharing | 1, 2, and a vendor | no purpose is about sharing: a TC string allows a named vendor to receive data, so without one there is nobody to share with |
//!
//! Purpose 1 (store and/or access information on a device) is asked for everywhere: what a TC string
//! speaks of is read from a device, and without it nothing may be. Where a publisher's country does not
//! ask for it (purpose one treatment) it has no consent here either. Legitimate interests grant nothing.
//!
//! With a vendor, the vendor needs consent too, must have been disclosed, and no publisher restriction
//! may forbid one of the purposes to it or move it to legitimate interests.

use super::tc::{RestrictionType, Tc};
use crate::shield::consent::kind::Kind;

/// Purposes that all need consent for a type to be granted.
pub const PURPOSES: [(Kind, &[u8]); 5] = [
    (Kind::Marketing, &[1, 2]),
    (Kind::Analytics, &[1, 7, 8, 9]),
    (Kind::Targeting, &[1, 3, 4]),
    (Kind::Profiling, &[1, 3, 5]),
    (Kind::DataSharing, &[1, 2]),
];

/// Each type, and whether the string grants it; `vendor` is this installation's id in the Global Vendor
/// List, if it has one. A string without disclosed vendors, as it was before TCF v2.3, grants a vendor
/// nothing.
pub fn consents(tc: &Tc, vendor: Option<u16>) -> Vec<(Kind, bool)> {
    let known = vendor.is_none_or(|v| {
        tc.core.vendor_consents.contains(v) && tc.disclosed.as_ref().is_some_and(|d| d.contains(v))
    });
    let granted = |(kind, purposes): (Kind, &[u8])| {
        let granted = known
            && (kind != Kind::DataSharing || vendor.is_some())
            && tc.core.purposes_consent.contains_all(purposes)
            && vendor.is_none_or(|v| !restricted(tc, v, purposes));
        (kind, granted)
    };
    PURPOSES.into_iter().map(granted).collect()
}

fn restricted(tc: &Tc, vendor: u16, purposes: &[u8]) -> bool {
    tc.core.restrictions.iter().any(|r| {
        r.kind != RestrictionType::RequireConsent
            && purposes.contains(&r.purpose)
            && r.covers(vendor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shield::tcf::encode::blank;
    use crate::shield::tcf::sets::{Numbers, Vendors};
    use crate::shield::tcf::tc::Restriction;

    const OURS: u16 = 755;

    fn with_purposes(purposes: &[u8]) -> Tc {
        let mut tc = blank();
        let bits = purposes.iter().map(|p| 1 << (p - 1)).sum();
        tc.core.purposes_consent = Numbers::from_bits(bits);
        tc.core.vendor_consents.insert_range(OURS, OURS);
        let mut disclosed = Vendors::default();
        disclosed.insert_range(OURS, OURS);
        tc.disclosed = Some(disclosed);
        tc
    }

    fn granted(tc: &Tc, vendor: Option<u16>) -> Vec<Kind> {
        consents(tc, vendor).into_iter().filter(|(_, yes)| *yes).map(|(kind, _)| kind).collect()
    }

    #[test]
    fn a_type_is_granted_when_all_its_purposes_are_and_not_when_one_is_missing() {
        for (kind, purposes) in PURPOSES {
            assert!(granted(&with_purposes(purposes), Some(OURS)).contains(&kind));
            for missing in purposes {
                let others: Vec<u8> = (1..=24).filter(|p| p != missing).collect();
                assert!(!granted(&with_purposes(&others), Some(OURS)).contains(&kind));
            }
        }
        assert_eq!(granted(&with_purposes(&[2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), Some(OURS)), []);
    }

    #[test]
    fn data_is_shared_with_nobody_when_no_vendor_is_named() {
        let all: Vec<u8> = (1..=24).collect();
        assert_eq!(granted(&with_purposes(&all), Some(OURS)), Kind::ALL);
        assert_eq!(granted(&with_purposes(&all), None), Kind::ALL[..4]);
    }

    #[test]
    fn a_vendor_needs_consent_and_to_have_been_disclosed() {
        let all: Vec<u8> = (1..=24).collect();
        let mut tc = with_purposes(&all);
        assert_eq!(granted(&tc, Some(OURS + 1)), []);
        tc.core.vendor_consents.insert_range(OURS + 1, OURS + 1);
        assert_eq!(granted(&tc, Some(OURS + 1)), [], "it was not disclosed");
        tc.disclosed = None;
        assert_eq!(granted(&tc, Some(OURS)), [], "nobody was");
        tc.core.vendor_legitimate_interests.insert_range(9, 9);
        tc.core.purposes_li_transparency = Numbers::from_bits(u64::MAX);
        assert_eq!(granted(&tc, Some(9)), [], "legitimate interests grant nothing");
    }

    #[test]
    fn what_a_publisher_forbids_a_vendor_is_not_granted_to_it() {
        let all: Vec<u8> = (1..=24).collect();
        for (kind, left) in [
            (RestrictionType::NotAllowed, 3),
            (RestrictionType::RequireLegitimateInterest, 3),
            (RestrictionType::Undefined, 3),
            (RestrictionType::RequireConsent, 5),
        ] {
            let mut tc = with_purposes(&all);
            // Purpose 2 is marketing's and data sharing's.
            let vendors = vec![(1, 5), (700, 800)];
            tc.core.restrictions = vec![Restriction { purpose: 2, kind, vendors }];
            assert_eq!(granted(&tc, Some(OURS)).len(), left, "{kind:?}");
            tc.core.restrictions[0].vendors = vec![(1, 754), (756, 800)];
            assert_eq!(granted(&tc, Some(OURS)).len(), 5, "others are meant");
        }
    }
}
