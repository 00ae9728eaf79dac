//! Who sees it, on what, and where. Coordinates and addresses on the network are not read at all.

use super::object::object;
use super::value::{Code, Flag, Int, List, Text};

object! {
    pub struct Device<'a> {
        pub geo: Option<Geo<'a>>,
        pub dnt: Option<Flag>,
        pub lmt: Option<Flag>,
        pub devicetype: Option<Code>,
        pub os: Option<Text<'a>>,
        pub language: Option<Text<'a>>,
        pub langb: Option<Text<'a>>,
        /// The device's id for advertising.
        pub ifa: Option<Text<'a>>,
    }
}

object! {
    pub struct Geo<'a> {
        pub country: Option<Text<'a>>,
        pub region: Option<Text<'a>>,
        pub city: Option<Text<'a>>,
        pub zip: Option<Text<'a>>,
        pub utcoffset: Option<Int>,
    }
}

object! {
    pub struct User<'a> {
        /// The exchange's id of the person.
        pub id: Option<Text<'a>>,
        /// Ours, as the exchange keeps it.
        pub buyeruid: Option<Text<'a>>,
        pub geo: Option<Geo<'a>>,
        pub consent: Option<Text<'a>>,
        pub eids: List<[Eid<'a>; 2]>,
        pub ext: Option<UserExt<'a>>,
    }
}

object! {
    /// Where 2.5 had it.
    pub struct UserExt<'a> {
        pub consent: Option<Text<'a>>,
        pub eids: List<[Eid<'a>; 1]>,
    }
}

object! {
    /// Ids of the person from one source.
    pub struct Eid<'a> {
        pub source: Option<Text<'a>>,
        pub uids: List<[Uid<'a>; 1]>,
    }
}

object! {
    pub struct Uid<'a> {
        pub id: Option<Text<'a>>,
        pub atype: Option<Code>,
    }
}

impl Geo<'_> {
    /// Country codes in upper case.
    pub(super) fn settle(&mut self) {
        if let Some(country) = &mut self.country {
            country.upper();
        }
    }
}
