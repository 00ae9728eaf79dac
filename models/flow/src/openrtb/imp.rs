//! An impression: what may be shown, from what price on, to whom it is kept.

use kiki_models::shield::money::{Micros, UNIT};

use super::malformed::Malformed;
use super::object::object;
use super::value::{Code, Codes, Cpm, Few, Flag, Int, List, Raw, Small, Text, Texts};

/// Deals of one impression.
const DEALS_MAX: usize = 256;
/// Impressions that are read before they are counted against [`super::Limits::impressions`].
pub(super) const IMPRESSIONS_MAX: usize = 1_024;

object! {
    pub struct Imp<'a> {
        pub id: Text<'a>,
        pub banner: Option<Banner<'a>>,
        pub video: Option<Video<'a>>,
        pub audio: Option<Audio<'a>>,
        pub native: Option<Native<'a>>,
        pub pmp: Option<Pmp<'a>>,
        pub bidfloor: Option<Cpm>,
        pub bidfloorcur: Option<Text<'a>>,
        pub secure: Option<Flag>,
        pub qty: Option<Qty>,
        /// Seconds between auction and impression that the exchange allows for.
        pub exp: Option<Int>,
    }
}

object! {
    /// How many impressions one of these is billed as, such as the people before a screen in public.
    pub struct Qty {
        /// In millionths.
        pub multiplier: Option<Cpm>,
    }
}

impl Qty {
    /// Whether it is billed as one impression, as far as is told.
    pub(super) fn is_one(&self) -> bool {
        self.multiplier.is_none_or(|times| times.0 == Micros(UNIT))
    }
}

object! {
    pub struct Banner<'a> {
        pub format: List<[Size; 4]>,
        pub w: Option<Small>,
        pub h: Option<Small>,
        pub mimes: Few<'a>,
        pub btype: Codes,
        pub battr: Codes,
        pub api: Codes,
    }
}

object! {
    /// An exact size, or a ratio of one (which has neither `w` nor `h`).
    pub struct Size {
        pub w: Option<Small>,
        pub h: Option<Small>,
    }
}

object! {
    pub struct Video<'a> {
        pub mimes: Few<'a>,
        pub minduration: Option<Small>,
        pub maxduration: Option<Small>,
        /// Exact durations; instead of the two.
        pub rqddurs: List<[Small; 4]>,
        /// The whole pod's, which no ad in it exceeds.
        pub poddur: Option<Small>,
        pub protocols: Codes,
        /// Instead of the list, before 2.3.
        pub protocol: Option<Code>,
        pub w: Option<Small>,
        pub h: Option<Small>,
        pub linearity: Option<Code>,
        pub battr: Codes,
        pub api: Codes,
    }
}

object! {
    pub struct Audio<'a> {
        pub mimes: Few<'a>,
        pub minduration: Option<Small>,
        pub maxduration: Option<Small>,
        pub rqddurs: List<[Small; 4]>,
        pub poddur: Option<Small>,
        pub protocols: Codes,
        pub battr: Codes,
        pub api: Codes,
    }
}

object! {
    pub struct Native<'a> {
        /// A text of JSON by the Native Ads specification, or that JSON itself.
        pub request: Raw<'a>,
        pub battr: Codes,
        pub api: Codes,
    }
}

object! {
    pub struct Pmp<'a> {
        pub private_auction: Option<Flag>,
        pub deals: List<[Deal<'a>; 1], DEALS_MAX>,
    }
}

object! {
    pub struct Deal<'a> {
        pub id: Text<'a>,
        pub bidfloor: Option<Cpm>,
        pub bidfloorcur: Option<Text<'a>>,
        /// 1 first price, 2 second price plus, 3 the floor is the agreed price.
        pub at: Option<Code>,
        pub wseat: Texts<'a>,
        pub wadomain: Texts<'a>,
    }
}

impl Imp<'_> {
    /// What the specification requires of an impression.
    pub(super) fn check(&self, id_bytes: usize) -> Result<(), Malformed> {
        if self.id.is_empty() {
            return Err(Malformed::Missing("imp.id"));
        }
        if self.id.len() > id_bytes {
            return Err(Malformed::Long("imp.id", id_bytes));
        }
        if self.banner.is_none()
            && self.video.is_none()
            && self.audio.is_none()
            && self.native.is_none()
        {
            return Err(Malformed::Missing("imp.banner, video, audio or native"));
        }
        if self.video.as_ref().is_some_and(|video| video.mimes.is_empty()) {
            return Err(Malformed::Missing("imp.video.mimes"));
        }
        if self.audio.as_ref().is_some_and(|audio| audio.mimes.is_empty()) {
            return Err(Malformed::Missing("imp.audio.mimes"));
        }
        if self.native.as_ref().is_some_and(|native| native.request.given().is_none()) {
            return Err(Malformed::Missing("imp.native.request"));
        }
        if self.exp.is_some_and(|exp| u32::try_from(exp.0).is_err()) {
            return Err(Malformed::Invalid("imp.exp"));
        }
        for deal in self.pmp.iter().flat_map(|pmp| pmp.deals.iter()) {
            if deal.id.is_empty() {
                return Err(Malformed::Missing("imp.pmp.deals.id"));
            }
            if deal.id.len() > id_bytes {
                return Err(Malformed::Long("imp.pmp.deals.id", id_bytes));
            }
        }
        Ok(())
    }
}
