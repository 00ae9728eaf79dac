//! Why personal data may not be used, or nothing may be bid: a closed set, counted by its names.

macro_rules! details {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What a request's signals have against a bid or against the use of personal data.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Detail { $($(#[$doc])* $name,)+ }

        impl Detail {
            pub const ALL: &[Detail] = &[$(Detail::$name,)+];

            pub fn name(self) -> &'static str {
                match self { $(Detail::$name => $text,)+ }
            }
        }
    };
}

details! {
    /// Directed at children.
    Coppa = "coppa",
    /// The device limits tracking.
    Limited = "limited",

    // the GDPR: these leave no bid
    /// This installation has no id in the Global Vendor List, so nobody could have consented.
    GdprVendorUnset = "gdpr_vendor_unset",
    GdprConsentMissing = "gdpr_consent_missing",
    GdprConsentUnreadable = "gdpr_consent_unreadable",
    /// The person was not shown this vendor.
    GdprVendorUndisclosed = "gdpr_vendor_undisclosed",
    /// A purpose that every bid needs was not granted.
    GdprPurpose = "gdpr_purpose",
    /// A purpose of personalised advertising was not granted: a bid without personal data is left.
    GdprPersonal = "gdpr_personal",

    // GPP and the United States: these leave a bid without personal data
    GppUnreadable = "gpp_unreadable",
    /// A section is in force and not in the string.
    GppSectionMissing = "gpp_section_missing",
    /// A section that is not known here.
    GppSectionUnknown = "gpp_section_unknown",
    GppSectionUnreadable = "gpp_section_unreadable",
    /// Opted out of sale, sharing or targeted advertising.
    UsOptOut = "us_opt_out",
    /// The person was not told that there is an opt-out.
    UsNotice = "us_notice",
    /// Known to be a child.
    UsChild = "us_child",
    /// The publisher lets data be used on its own behalf alone.
    UsServiceProvider = "us_service_provider",
    /// The browser's global privacy control.
    UsPrivacyControl = "us_privacy_control",
    UsPrivacyUnreadable = "us_privacy_unreadable",
}

impl Detail {
    /// Of those that leave no bid: why, in words.
    pub fn refuses(self) -> Option<&'static str> {
        match self {
            Detail::GdprVendorUnset => Some("the GDPR applies, and flow.tcf_vendor_id is not set"),
            Detail::GdprConsentMissing => Some("the GDPR applies, and there is no TC string"),
            Detail::GdprConsentUnreadable => {
                Some("the GDPR applies, and the TC string cannot be read")
            }
            Detail::GdprVendorUndisclosed => {
                Some("the TC string does not say that flow.tcf_vendor_id was disclosed")
            }
            Detail::GdprPurpose => {
                Some("the TC string does not grant a purpose that every bid needs")
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings(u32);

const _: () = assert!(Detail::ALL.len() <= 32);

impl Findings {
    pub const NONE: Findings = Findings(0);

    pub const fn of(detail: Detail) -> Findings {
        Findings(1 << detail as u8)
    }

    pub fn add(&mut self, other: Findings) {
        self.0 |= other.0;
    }

    pub fn add_if(&mut self, found: bool, detail: Detail) {
        if found {
            self.add(Findings::of(detail));
        }
    }

    pub fn contains(self, detail: Detail) -> bool {
        self.0 & Findings::of(detail).0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Detail> {
        Detail::ALL.iter().copied().filter(move |detail| self.contains(*detail))
    }
}
