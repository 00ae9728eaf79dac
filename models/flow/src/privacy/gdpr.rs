//! The GDPR, by the IAB's Transparency & Consent Framework (up to 2.3).

use kiki_models::shield::tcf::sets::Numbers;
use kiki_models::shield::tcf::tc::{RestrictionType, Tc};

use crate::campaign::country::Country;

use super::Terms;
use super::detail::{Detail, Findings};

/// Purposes that legitimate interest never grants (TCF policies since 2.2).
const BY_CONSENT: Numbers = purposes(&[1, 3, 4, 5, 6]);

/// The European Economic Area with the regions of Finland, France and Portugal that are part of it, and the
/// United Kingdom: ISO 3166-1 alpha-3.
const COUNTRIES: &str = "ALA AUT BEL BGR CYP CZE DEU DNK ESP EST FIN FRA GBR GLP GRC GUF HRV HUN IRL ISL \
ITA LIE LTU LUX LVA MAF MLT MTQ MYT NLD NOR POL PRT REU ROU SVK SVN SWE";

/// A set of purposes, 1 to 24.
pub const fn purposes(numbers: &[u8]) -> Numbers {
    let (mut bits, mut at) = (0_u64, 0);
    while at < numbers.len() {
        bits |= 1 << (numbers[at] - 1);
        at += 1;
    }
    Numbers::from_bits(bits)
}

/// Whether a country is one of them, or might be: a code that nobody knows.
pub(super) fn may_be_there(country: &str) -> bool {
    Country::of_alpha_3(country).is_none() || COUNTRIES.split(' ').any(|known| known == country)
}

/// What a TC string, or its absence, has against a bid.
pub(super) fn read(text: Option<&str>, terms: &Terms) -> Findings {
    let Some(vendor) = terms.vendor else { return Findings::of(Detail::GdprVendorUnset) };
    let Some(text) = text else { return Findings::of(Detail::GdprConsentMissing) };
    let Ok(tc) = Tc::parse(text) else { return Findings::of(Detail::GdprConsentUnreadable) };
    // Before TCF 2.3 nobody said who was shown: that grants nothing here, as for consent elsewhere.
    if !tc.disclosed.as_ref().is_some_and(|shown| shown.contains(vendor)) {
        return Findings::of(Detail::GdprVendorUndisclosed);
    }
    let all = |wanted: Numbers| wanted.iter().all(|purpose| granted(&tc, vendor, purpose, terms));
    let mut findings = Findings::default();
    if !all(terms.basic) {
        findings.add(Findings::of(Detail::GdprPurpose));
    } else if !all(terms.personal) {
        findings.add(Findings::of(Detail::GdprPersonal));
    }
    findings
}

/// By consent, or by a legitimate interest that this vendor has declared and nobody objected to; the
/// publisher may forbid the purpose or one of the two ways.
fn granted(tc: &Tc, vendor: u16, purpose: u8, terms: &Terms) -> bool {
    let core = &tc.core;
    let mut consent =
        core.purposes_consent.contains(purpose) && core.vendor_consents.contains(vendor);
    let mut interest = terms.interests.contains(purpose)
        && !BY_CONSENT.contains(purpose)
        && core.purposes_li_transparency.contains(purpose)
        && core.vendor_legitimate_interests.contains(vendor);
    for restriction in &core.restrictions {
        if restriction.purpose != purpose || !restriction.covers(vendor) {
            continue;
        }
        match restriction.kind {
            RestrictionType::RequireConsent => interest = false,
            RestrictionType::RequireLegitimateInterest => consent = false,
            RestrictionType::NotAllowed | RestrictionType::Undefined => return false,
        }
    }
    consent || interest
}
