//! The closed lists of consent: its five types and the six legal bases; and the bounded names that
//! come from outside.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a person can say yes or no to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Messages that advertise.
    Marketing,
    /// Measuring what the person did and what came of it.
    Analytics,
    /// Choosing the person as somebody to show an advertisement to.
    Targeting,
    /// Deriving traits, scores and segments of the person.
    Profiling,
    /// Handing the person's data to somebody else.
    DataSharing,
}

impl Kind {
    pub const ALL: [Kind; 5] =
        [Kind::Marketing, Kind::Analytics, Kind::Targeting, Kind::Profiling, Kind::DataSharing];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Marketing => "marketing",
            Kind::Analytics => "analytics",
            Kind::Targeting => "targeting",
            Kind::Profiling => "profiling",
            Kind::DataSharing => "data_sharing",
        }
    }

    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.as_str() == text)
    }

    /// Its place in [`Kind::ALL`].
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// A set of [`Kind`]s in one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KindSet(u8);

impl KindSet {
    pub const EMPTY: KindSet = KindSet(0);
    pub const ALL: KindSet = KindSet::of(&Kind::ALL);
    /// What an objection to direct marketing covers: profiling that serves it too (GDPR Art. 21(2)).
    pub const DIRECT_MARKETING: KindSet =
        KindSet::of(&[Kind::Marketing, Kind::Targeting, Kind::Profiling]);
    /// What an opt-out of sale, sharing and targeted advertising covers (CCPA §1798.120 and the like).
    pub const OPT_OUT: KindSet =
        KindSet::of(&[Kind::Marketing, Kind::Targeting, Kind::DataSharing]);

    pub const fn of(kinds: &[Kind]) -> KindSet {
        let (mut bits, mut i) = (0, 0);
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u8;
            i += 1;
        }
        KindSet(bits)
    }

    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    pub fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }

    pub fn remove(&mut self, kind: Kind) {
        self.0 &= !(1 << kind as u8);
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |k| self.contains(*k))
    }

    /// Bit n is `Kind::ALL[n]`; what is kept of it in a row or a frame.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Bits that mean no kind are dropped.
    pub fn from_bits(bits: u8) -> KindSet {
        KindSet(bits & KindSet::ALL.0)
    }
}

impl FromIterator<Kind> for KindSet {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> KindSet {
        let mut set = KindSet::EMPTY;
        kinds.into_iter().for_each(|k| set.insert(k));
        set
    }
}

/// Why processing is lawful: GDPR Art. 6(1), (a) to (f).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegalBasis {
    #[default]
    Consent,
    Contract,
    LegalObligation,
    VitalInterests,
    PublicTask,
    LegitimateInterests,
}

impl LegalBasis {
    pub const ALL: [LegalBasis; 6] = [
        LegalBasis::Consent,
        LegalBasis::Contract,
        LegalBasis::LegalObligation,
        LegalBasis::VitalInterests,
        LegalBasis::PublicTask,
        LegalBasis::LegitimateInterests,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            LegalBasis::Consent => "consent",
            LegalBasis::Contract => "contract",
            LegalBasis::LegalObligation => "legal_obligation",
            LegalBasis::VitalInterests => "vital_interests",
            LegalBasis::PublicTask => "public_task",
            LegalBasis::LegitimateInterests => "legitimate_interests",
        }
    }

    pub fn parse(text: &str) -> Option<LegalBasis> {
        LegalBasis::ALL.into_iter().find(|b| b.as_str() == text)
    }
}

/// Bytes of the longest [`Label`].
pub const LABEL_BYTES_MAX: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {LABEL_BYTES_MAX} bytes without control characters")]
pub struct BadLabel;

/// A free name from outside, bounded and printable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(Arc<str>);

impl Label {
    /// White space at both ends is cut off.
    pub fn new(text: &str) -> Result<Label, BadLabel> {
        let text = text.trim();
        if text.is_empty() || text.len() > LABEL_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(BadLabel);
        }
        Ok(Label(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = BadLabel;

    fn try_from(text: String) -> Result<Label, BadLabel> {
        Label::new(&text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> String {
        label.0.as_ref().to_owned()
    }
}

/// Where a decision was made: "web_form", "tcf", "call_centre".
pub type Source = Label;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_basis_is_read_back_from_its_name_and_nothing_else_is() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for basis in LegalBasis::ALL {
            assert_eq!(LegalBasis::parse(basis.as_str()), Some(basis));
            assert_eq!(serde_json::to_value(basis).unwrap(), basis.as_str());
        }
        assert_eq!((Kind::parse("Marketing"), LegalBasis::parse("")), (None, None));
    }

    #[test]
    fn a_set_holds_what_was_put_into_it_and_survives_its_bits() {
        for bits in 0..=255 {
            let set = KindSet::from_bits(bits);
            assert_eq!(set.iter().collect::<KindSet>(), set);
            assert_eq!(set.bits(), bits & 0b1_1111);
            assert_eq!(set.is_empty(), set.iter().count() == 0);
        }
        let mut set = KindSet::OPT_OUT;
        set.remove(Kind::Targeting);
        assert!(set.iter().eq([Kind::Marketing, Kind::DataSharing]));
    }

    #[test]
    fn a_label_is_short_and_printable() {
        assert_eq!(Label::new(" web form ").unwrap().as_str(), "web form");
        for bad in ["", " ", "a\nb", "a\u{0}", &"x".repeat(LABEL_BYTES_MAX + 1)] {
            assert_eq!(Label::new(bad), Err(BadLabel), "{bad:?}");
            assert!(serde_json::from_value::<Label>(bad.into()).is_err());
        }
    }
}
