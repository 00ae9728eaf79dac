//! A bid request, as it came.

use smallvec::SmallVec;

use crate::privacy::signals::Signals;

use super::chain::Chain;
use super::imp::{IMPRESSIONS_MAX, Imp};
use super::malformed::Malformed;
use super::object::object;
use super::person::{Device, Geo, User};
use super::regs::{Regs, Source};
use super::shape;
use super::supply::{App, Dooh, Site};
use super::value::{Code, Few, Flag, Int, List, Text, Texts, told};

/// How much of a body is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub body_bytes: usize,
    /// Levels of nesting, at most 64.
    pub depth: usize,
    /// At most 1,024.
    pub impressions: usize,
    /// Elements of an array, members of an object.
    pub list: usize,
    pub text_bytes: usize,
    /// Of ids that are written into answers and addresses: the request's, an impression's, a deal's.
    pub id_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 1 << 20,
            depth: 32,
            impressions: 64,
            list: 4_096,
            text_bytes: 32 << 10,
            id_bytes: 128,
        }
    }
}

object! {
    /// A bid request. Every field that decides something is read; all else is passed over.
    pub struct Request<'a> {
        pub id: Text<'a>,
        pub imp: List<[Imp<'a>; 1], IMPRESSIONS_MAX>,
        pub site: Option<Site<'a>>,
        pub app: Option<App<'a>>,
        pub dooh: Option<Dooh<'a>>,
        pub device: Option<Device<'a>>,
        pub user: Option<User<'a>>,
        pub test: Option<Flag>,
        /// 1 first price, 2 second price plus, from 500 on the exchange's own.
        pub at: Option<Code>,
        /// Milliseconds until the exchange has its answer, with the way there and back.
        pub tmax: Option<Int>,
        pub wseat: Texts<'a>,
        pub bseat: Texts<'a>,
        pub cur: Texts<'a>,
        pub bcat: Texts<'a>,
        pub badv: Texts<'a>,
        pub bapp: Texts<'a>,
        pub acat: Texts<'a>,
        /// Of `bcat` and `acat`: AdCOM list "Category Taxonomies".
        pub cattax: Option<Code>,
        pub wlang: Few<'a>,
        pub wlangb: Few<'a>,
        pub source: Option<Source<'a>>,
        pub regs: Option<Regs<'a>>,
    }
}

impl<'a> Request<'a> {
    /// Reads a body. The time it takes grows with its length alone; whatever the bytes are, it does not
    /// panic.
    ///
    /// # Errors
    /// [`Malformed`]: to be answered with 400 and an empty body, unless it is only [too long](Malformed::no_bid).
    pub fn parse(body: &'a [u8], limits: &Limits) -> Result<Request<'a>, Malformed> {
        let whole = |why: Malformed| match why.no_bid() {
            // What is behind the end of what was looked at may be anything.
            Some(_) => shape::json(body).err().unwrap_or(why),
            None => why,
        };
        Request::bounded(body, limits).map_err(whole)
    }

    fn bounded(body: &'a [u8], limits: &Limits) -> Result<Request<'a>, Malformed> {
        if body.len() > limits.body_bytes {
            return Err(Malformed::TooLarge(limits.body_bytes));
        }
        shape::check(body, limits)?;
        let text = std::str::from_utf8(body).map_err(|_| Malformed::NotUtf8)?;
        let mut request: Request<'a> =
            serde_json::from_str(text).map_err(|error| Malformed::of(&error))?;
        request.check(limits)?;
        request.settle();
        Ok(request)
    }

    fn check(&self, limits: &Limits) -> Result<(), Malformed> {
        if self.id.is_empty() {
            return Err(Malformed::Missing("id"));
        }
        if self.id.len() > limits.id_bytes {
            return Err(Malformed::Long("id", limits.id_bytes));
        }
        if self.imp.is_empty() {
            return Err(Malformed::Missing("imp"));
        }
        if self.imp.len() > limits.impressions {
            return Err(Malformed::Impressions(limits.impressions));
        }
        for imp in self.imp.iter() {
            imp.check(limits.id_bytes)?;
        }
        let mut ids: SmallVec<[&str; 8]> = self.imp.iter().map(|imp| &*imp.id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair.first() == pair.get(1)) {
            return Err(Malformed::ImpressionTwice);
        }
        let channels = [self.site.is_some(), self.app.is_some(), self.dooh.is_some()];
        if channels.into_iter().filter(|told| *told).count() > 1 {
            return Err(Malformed::Channels);
        }
        if self.at.is_some_and(|at| !matches!(at.0, 1 | 2 | 500..)) {
            return Err(Malformed::Invalid("at"));
        }
        if self.tmax.is_some_and(|tmax| tmax.0 < 0) {
            return Err(Malformed::Invalid("tmax"));
        }
        Ok(())
    }

    fn settle(&mut self) {
        if let Some(site) = &mut self.site {
            site.settle();
        }
        if let Some(geo) = self.device.as_mut().and_then(|device| device.geo.as_mut()) {
            geo.settle();
        }
        if let Some(geo) = self.user.as_mut().and_then(|user| user.geo.as_mut()) {
            geo.settle();
        }
    }

    /// Whether it is a test: nothing of it is billed.
    pub fn is_test(&self) -> bool {
        self.test.is_some_and(|test| test.0)
    }

    /// Milliseconds that the exchange waits; `None` where it does not say (0 says nothing either).
    pub fn tmax_ms(&self) -> Option<u32> {
        let tmax = self.tmax.filter(|tmax| tmax.0 > 0)?;
        Some(u32::try_from(tmax.0).unwrap_or(u32::MAX))
    }

    /// What is said about the sellers on the way, here or where 2.5 had it.
    pub fn chain(&self) -> Chain {
        let source = self.source.as_ref();
        let chain = source.and_then(|s| s.schain.as_ref());
        Chain::of(chain.or_else(|| source?.ext.as_ref()?.schain.as_ref()))
    }

    /// What is said about consent, here or where 2.5 had it. A regulation that one place says applies
    /// does apply.
    pub fn signals(&self) -> Signals<'_> {
        let (regs, user) = (self.regs.as_ref(), self.user.as_ref());
        let ext = regs.and_then(|regs| regs.ext.as_ref());
        let flag = |flag: Option<Flag>| flag.map(|flag| flag.0);
        let (here, there) = (flag(regs.and_then(|r| r.gdpr)), flag(ext.and_then(|e| e.gdpr)));
        let sections = regs.map(|r| &*r.gpp_sid).filter(|list| !list.is_empty());
        let sections = sections.or_else(|| ext.map(|e| &*e.gpp_sid)).unwrap_or_default();
        Signals {
            gdpr: if here == Some(true) || there == Some(true) {
                Some(true)
            } else {
                here.or(there)
            },
            consent: user
                .and_then(|user| told(&user.consent))
                .or_else(|| told(&user?.ext.as_ref()?.consent)),
            gpp: regs.and_then(|regs| told(&regs.gpp)).or_else(|| told(&ext?.gpp)),
            gpp_sections: sections.iter().map(|section| section.0).collect(),
            us_privacy: regs
                .and_then(|regs| told(&regs.us_privacy))
                .or_else(|| told(&ext?.us_privacy)),
            coppa: flag(regs.and_then(|regs| regs.coppa)) == Some(true),
            limited: self.device.as_ref().is_some_and(Device::is_limited),
            privacy_control: [regs.and_then(|regs| regs.gpc), ext.and_then(|ext| ext.gpc)]
                .into_iter()
                .any(|asked| flag(asked) == Some(true)),
            // One that nobody knows is told as well: it might be any.
            country: self.country().or_else(|| self.geos().find_map(|geo| told(&geo.country))),
        }
    }

    /// ISO 3166-1 alpha-3, upper case: of the device, else of the person.
    pub(super) fn country(&self) -> Option<&str> {
        self.geos().find_map(|geo| told(&geo.country).filter(|code| is_alpha_3(code)))
    }

    fn geos(&self) -> impl Iterator<Item = &Geo<'a>> {
        let device = self.device.as_ref().and_then(|device| device.geo.as_ref());
        let user = self.user.as_ref().and_then(|user| user.geo.as_ref());
        device.into_iter().chain(user)
    }
}

fn is_alpha_3(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())
}
