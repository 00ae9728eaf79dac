//! What a request says about consent, whatever protocol it came by.

use smallvec::SmallVec;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals<'a> {
    /// Does the GDPR apply? `None`: not told.
    pub gdpr: Option<bool>,
    /// A TC string.
    pub consent: Option<&'a str>,
    /// A GPP string.
    pub gpp: Option<&'a str>,
    /// Sections of it that are in force; -1: none is, 0: not known which.
    pub gpp_sections: SmallVec<[i64; 4]>,
    /// A US privacy string.
    pub us_privacy: Option<&'a str>,
    pub coppa: bool,
    /// The device limits tracking, or asks not to be tracked.
    pub limited: bool,
    /// The browser's global privacy control is on.
    pub privacy_control: bool,
    /// ISO 3166-1 alpha-3, upper case; what is none might be any country.
    pub country: Option<&'a str>,
}
