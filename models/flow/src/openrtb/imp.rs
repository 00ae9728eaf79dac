//! An impression: what may be shown, from what price on, to whom it is kept.

use super::malformed::Malformed;
use super::object::object;
use super::value::{Code, Codes, Cpm, Flag, Int, List, Small, Text, Texts};

object! {
    pub struct Imp<'a> {
        pub id: Text<'a>,
        pub banner: Option<Banner>,
        pub video: Option<Video<'a>>,
        pub audio: Option<Audio<'a>>,
        pub native: Option<Native<'a>>,
        pub pmp: Option<Pmp<'a>>,
        pub instl: Option<Flag>,
        pub tagid: Option<Text<'a>>,
        pub bidfloor: Option<Cpm>,
        pub bidfloorcur: Option<Text<'a>>,
        pub secure: Option<Flag>,
        pub rwdd: Option<Flag>,
        /// Seconds between auction and impression that the exchange allows for.
        pub exp: Option<Int>,
    }
}

object! {
    pub struct Banner {
        pub format: List<[Size; 4]>,
        pub w: Option<Small>,
        pub h: Option<Small>,
        pub btype: Codes,
        pub battr: Codes,
        pub api: Codes,
        pub pos: Option<Code>,
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
        pub mimes: Texts<'a>,
        pub minduration: Option<Small>,
        pub maxduration: Option<Small>,
        /// Exact durations; instead of the two.
        pub rqddurs: List<[Small; 4]>,
        /// The whole pod's, which no ad in it exceeds.
        pub poddur: Option<Small>,
        pub protocols: Codes,
        pub w: Option<Small>,
        pub h: Option<Small>,
        pub startdelay: Option<Int>,
        pub placement: Option<Code>,
        pub plcmt: Option<Code>,
        pub linearity: Option<Code>,
        pub skip: Option<Flag>,
        pub battr: Codes,
        pub api: Codes,
    }
}

object! {
    pub struct Audio<'a> {
        pub mimes: Texts<'a>,
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
        /// JSON of its own, by the Native Ads specification.
        pub request: Text<'a>,
        pub ver: Option<Text<'a>>,
        pub battr: Codes,
        pub api: Codes,
    }
}

object! {
    pub struct Pmp<'a> {
        pub private_auction: Option<Flag>,
        pub deals: List<[Deal<'a>; 1]>,
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
        if self.native.as_ref().is_some_and(|native| native.request.is_empty()) {
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
