//! Who sees it, on what, and where. Coordinates and addresses on the network are not read at all.

use std::borrow::Cow;

use crate::campaign::country::Country;

use super::object::object;
use super::value::{Code, Flag, Int, Loose, Text};

object! {
    pub struct Device<'a> {
        pub geo: Option<Geo<'a>>,
        pub dnt: Option<Flag>,
        pub lmt: Option<Flag>,
        pub devicetype: Loose<Code>,
        pub os: Option<Text<'a>>,
        pub language: Option<Text<'a>>,
        pub langb: Option<Text<'a>>,
        /// The device's id for advertising.
        pub ifa: Option<Text<'a>>,
        pub ext: Option<DeviceExt>,
    }
}

object! {
    pub struct DeviceExt {
        /// Apple's App Tracking Transparency: 0 not asked yet, 1 restricted, 2 denied, 3 authorised.
        pub atts: Option<Code>,
    }
}

impl Device<'_> {
    /// Whether it limits tracking, or asks not to be tracked.
    pub(super) fn is_limited(&self) -> bool {
        let set = |flag: Option<Flag>| flag.is_some_and(|flag| flag.0);
        let atts = self.ext.as_ref().and_then(|ext| ext.atts);
        set(self.lmt) || set(self.dnt) || atts.is_some_and(|atts| atts.0 < 3)
    }
}

object! {
    pub struct Geo<'a> {
        pub country: Option<Text<'a>>,
        pub region: Option<Text<'a>>,
        pub city: Option<Text<'a>>,
        pub zip: Option<Text<'a>>,
        pub utcoffset: Loose<Int>,
    }
}

object! {
    /// Other ids (`eids`) tell nobody apart here: they are passed over.
    pub struct User<'a> {
        /// The exchange's id of the person.
        pub id: Option<Text<'a>>,
        /// Ours, as the exchange keeps it.
        pub buyeruid: Option<Text<'a>>,
        pub geo: Option<Geo<'a>>,
        pub consent: Option<Text<'a>>,
        pub ext: Option<UserExt<'a>>,
    }
}

object! {
    /// Where 2.5 had it.
    pub struct UserExt<'a> {
        pub consent: Option<Text<'a>>,
    }
}

impl Geo<'_> {
    /// Country codes in upper case and of three letters: many exchanges send two.
    pub(super) fn settle(&mut self) {
        let Some(country) = &mut self.country else { return };
        country.upper();
        let known = match &*country.0 {
            // What the two countries call themselves, and ISO 3166-1 keeps free for them.
            "UK" => Some("GBR"),
            "EL" => Some("GRC"),
            code => Country::of_alpha_2(code).map(Country::alpha_3),
        };
        if let Some(known) = known {
            country.0 = Cow::Borrowed(known);
        }
    }
}
