//! From a request to the neutral picture that the rules see.

use smallvec::SmallVec;

use kiki_models::shield::money::{Currency, Micros};

use crate::campaign::creative::FormatKind;
use crate::campaign::taxonomy::Taxonomy;
use crate::opportunity::{
    Allowed, Ask, Asks, Auction, Blocked, Category, Codes, Deal, Device, DeviceKind, Floor, Format,
    Geo, IdKind, PriceType, Slot, Supply, User,
};
use crate::privacy::Permits;
use crate::reason::Reason;

use super::imp::{self, Imp};
use super::native;
use super::person;
use super::regs::Regs;
use super::request::Request;
use super::supply::advertiser;
use super::value::{Code, Cpm, Small, Text, told};

impl<'a> Request<'a> {
    /// The picture of this request at wall time `at_us` (microseconds since 1970 UTC). Where personal data
    /// may not be used, the person's key, town and postcode are left out.
    ///
    /// # Errors
    /// [`Reason::Consent`] where there may be no bid at all, [`Reason::Currency`] where no known currency
    /// is taken, [`Reason::UnsupportedFormat`] for an auction or formats that are not known,
    /// [`Reason::NoRate`] where every floor is in an unknown currency.
    pub fn auction(&self, at_us: i64, permits: &Permits) -> Result<Auction<'_>, Reason> {
        permits.bid?;
        let price = match self.at {
            Some(Code(1)) => PriceType::First,
            None | Some(Code(2)) => PriceType::Second,
            // An exchange's own way to find a price: what is paid is not known.
            Some(_) => return Err(Reason::UnsupportedFormat),
        };
        let mut currencies: SmallVec<[Currency; 2]> = SmallVec::new();
        for code in self.cur.iter() {
            if let Ok(currency) = code.parse()
                && !currencies.contains(&currency)
            {
                currencies.push(currency);
            }
        }
        if self.cur.is_empty() {
            currencies.push(Currency::USD);
        }
        if currencies.is_empty() {
            return Err(Reason::Currency);
        }
        let mut slots = SmallVec::new();
        let mut missed = Reason::UnsupportedFormat;
        for imp in self.imp.iter() {
            match slot(imp) {
                Ok(slot) => slots.push(slot),
                Err(reason) => missed = reason,
            }
        }
        if slots.is_empty() {
            return Err(missed);
        }
        let (supply, categories) = self.supply();
        Ok(Auction {
            id: &self.id,
            at_us,
            price,
            test: self.is_test(),
            supply,
            categories,
            geo: self.geo(permits.personal),
            device: self.device(),
            user: permits.personal.then(|| self.person()).flatten(),
            personal: permits.personal,
            coppa: permits.coppa,
            transparency: self.regs.as_ref().map(Regs::transparency).unwrap_or_default(),
            blocked: Blocked {
                categories: texts(&self.bcat),
                advertisers: domains(&self.badv),
                apps: texts(&self.bapp),
            },
            allowed: Allowed {
                categories: texts(&self.acat),
                languages: self
                    .wlang
                    .iter()
                    .chain(self.wlangb.iter())
                    .filter_map(Text::some)
                    .collect(),
                taxonomy: taxonomy(self.cattax),
            },
            seats: texts(&self.wseat),
            seats_blocked: texts(&self.bseat),
            currencies,
            slots,
        })
    }

    /// Where it is, and what of: each list of categories in the taxonomy that its object tells.
    fn supply<'r>(&'r self) -> (Supply<'r>, SmallVec<[Category<'r>; 8]>) {
        let mut categories: SmallVec<[Category<'r>; 8]> = SmallVec::new();
        let mut add = |list: &'r [Text<'a>], cattax: Option<Code>| {
            let said = taxonomy(cattax);
            let each = list.iter().filter_map(Text::some);
            categories.extend(each.map(|code| Category { code, taxonomy: said.of_code(code) }));
        };
        let content;
        let supply = if let Some(site) = &self.site {
            for list in [&site.cat, &site.sectioncat, &site.pagecat] {
                add(list, site.cattax);
            }
            content = site.content.as_ref();
            Supply::Site { domain: told(&site.domain) }
        } else if let Some(app) = &self.app {
            for list in [&app.cat, &app.sectioncat, &app.pagecat] {
                add(list, app.cattax);
            }
            content = app.content.as_ref();
            Supply::App { bundle: told(&app.bundle) }
        } else if let Some(dooh) = &self.dooh {
            content = dooh.content.as_ref();
            Supply::Dooh { id: told(&dooh.id) }
        } else {
            return (Supply::Unknown, categories);
        };
        if let Some(content) = content {
            add(&content.cat, content.cattax);
        }
        (supply, categories)
    }

    /// The device's place, field by field the person's where it says nothing.
    fn geo<'r>(&'r self, exact: bool) -> Geo<'r> {
        let device = self.device.as_ref().and_then(|device| device.geo.as_ref());
        let user = self.user.as_ref().and_then(|user| user.geo.as_ref());
        type Field<'r, 'a> = fn(&'r person::Geo<'a>) -> Option<&'r str>;
        let first = |field: Field<'r, 'a>| device.and_then(field).or_else(|| user.and_then(field));
        // A town is personal data under COPPA (16 CFR 312.2), a postcode tells households apart.
        let fine = |field: Field<'r, 'a>| if exact { first(field) } else { None };
        let offset = device.and_then(|geo| geo.utcoffset.0).or_else(|| user?.utcoffset.0);
        Geo {
            country: self.country(),
            region: first(|geo| told(&geo.region)),
            city: fine(|geo| told(&geo.city)),
            zip: fine(|geo| told(&geo.zip)),
            utc_offset_min: offset
                .and_then(|minutes| i16::try_from(minutes.0).ok())
                .filter(|minutes| minutes.unsigned_abs() <= 14 * 60),
        }
    }

    fn device(&self) -> Device<'_> {
        let Some(device) = &self.device else { return Device::default() };
        Device {
            // AdCOM 1.0, list "Device Types".
            kind: match device.devicetype.0.map_or(0, |kind| kind.0) {
                1 => DeviceKind::Mobile,
                2 => DeviceKind::Desktop,
                3 => DeviceKind::Tv,
                4 => DeviceKind::Phone,
                5 => DeviceKind::Tablet,
                6 => DeviceKind::Connected,
                7 => DeviceKind::SetTopBox,
                8 => DeviceKind::OutOfHome,
                _ => DeviceKind::Unknown,
            },
            os: told(&device.os),
            language: told(&device.language).or_else(|| told(&device.langb)),
        }
    }

    fn person(&self) -> Option<User<'_>> {
        let user = self.user.as_ref();
        if let Some(key) = user.and_then(|user| told(&user.buyeruid)) {
            return Some(User { key, kind: IdKind::Buyer });
        }
        let ifa = || {
            // A device that hides its id sends zeros.
            let ifa = told(&self.device.as_ref()?.ifa)?;
            ifa.bytes().any(|b| !matches!(b, b'0' | b'-')).then_some(ifa)
        };
        let of = |kind: IdKind| move |key| User { key, kind };
        let own = user.and_then(|user| told(&user.id)).map(of(IdKind::Exchange));
        own.or_else(|| ifa().map(of(IdKind::Device)))
    }
}

/// The taxonomy of an object's categories, the first where none is told.
fn taxonomy(cattax: Option<Code>) -> Taxonomy {
    cattax.map_or(Taxonomy::FIRST, |code| Taxonomy::of(code.0))
}

fn texts<'r, A: smallvec::Array<Item = &'r str>>(list: &'r [Text<'_>]) -> SmallVec<A> {
    list.iter().filter_map(Text::some).collect()
}

fn domains<'r, A: smallvec::Array<Item = &'r str>>(list: &'r [Text<'_>]) -> SmallVec<A> {
    list.iter().map(|entry| advertiser(entry)).filter(|domain| !domain.is_empty()).collect()
}

fn slot<'r>(imp: &'r Imp<'_>) -> Result<Slot<'r>, Reason> {
    // Billed as several impressions, and how many is only told with the win: no hold would cover it.
    if imp.qty.as_ref().is_some_and(|qty| !qty.is_one()) {
        return Err(Reason::UnsupportedFormat);
    }
    let formats = formats(imp);
    if formats.is_empty() {
        return Err(Reason::UnsupportedFormat);
    }
    let set = |flag: Option<super::value::Flag>| flag.is_some_and(|flag| flag.0);
    let pmp = imp.pmp.as_ref();
    Ok(Slot {
        id: &imp.id,
        formats,
        floor: floor(imp.bidfloor, &imp.bidfloorcur)?,
        deals: pmp.iter().flat_map(|pmp| pmp.deals.iter()).filter_map(deal).collect(),
        private: pmp.is_some_and(|pmp| set(pmp.private_auction)),
        secure: set(imp.secure),
        asks: asks(imp),
        expires_s: imp.exp.and_then(|exp| u32::try_from(exp.0).ok()),
    })
}

/// `None`: nothing is too little. A floor in a currency that nobody knows cannot be met.
fn floor(cpm: Option<Cpm>, currency: &Option<Text<'_>>) -> Result<Option<Floor>, Reason> {
    let Some(Cpm(cpm)) = cpm.filter(|cpm| cpm.0 > Micros::ZERO) else { return Ok(None) };
    let currency = match told(currency) {
        None => Currency::USD,
        Some(code) => code.parse().map_err(|_| Reason::NoRate)?,
    };
    Ok(Some(Floor { cpm, currency }))
}

/// A deal whose floor or kind of price is not known is none that could be bid on.
fn deal<'r>(deal: &'r imp::Deal<'_>) -> Option<Deal<'r>> {
    let (floor, fixed) = (floor(deal.bidfloor, &deal.bidfloorcur).ok()?, deal.at == Some(Code(3)));
    if fixed && floor.is_none() {
        return None;
    }
    Some(Deal {
        id: &deal.id,
        floor,
        fixed,
        price: match deal.at {
            None => None,
            Some(Code(1)) => Some(PriceType::First),
            Some(Code(2)) => Some(PriceType::Second),
            // The floor is the agreed price: what is bid is paid.
            Some(Code(3)) => Some(PriceType::First),
            Some(_) => return None,
        },
        seats: texts(&deal.wseat),
        advertisers: domains(&deal.wadomain),
    })
}

/// What creatives of each kind need.
fn asks<'r>(imp: &'r Imp<'_>) -> Asks<'r> {
    let codes = |list: &[Code]| Codes::of(list.iter().map(|code| code.0));
    let attributes =
        |list: &[Code]| list.iter().map(|code| code.0).filter(|code| *code != 0).collect();
    let mut asks = Asks::default();
    if let Some(banner) = &imp.banner {
        let ask = Ask {
            mimes: texts(&banner.mimes),
            protocols: None,
            apis: codes(&banner.api),
            types_blocked: codes(&banner.btype),
            attributes_blocked: attributes(&banner.battr),
            assets: Vec::new(),
        };
        asks.add(FormatKind::Banner, ask);
    }
    let sound = |mimes: &'r [Text<'_>], protocols: &[Code], api: &[Code], battr: &[Code]| Ask {
        mimes: texts(mimes),
        protocols: (!protocols.is_empty()).then(|| codes(protocols)),
        apis: codes(api),
        types_blocked: Codes::default(),
        attributes_blocked: attributes(battr),
        assets: Vec::new(),
    };
    if let Some(video) = &imp.video {
        let protocols = match &video.protocol {
            Some(protocol) if video.protocols.is_empty() => std::slice::from_ref(protocol),
            _ => &video.protocols[..],
        };
        let ask = sound(&video.mimes, protocols, &video.api, &video.battr);
        asks.add(FormatKind::Video, ask);
    }
    if let Some(audio) = &imp.audio {
        let ask = sound(&audio.mimes, &audio.protocols, &audio.api, &audio.battr);
        asks.add(FormatKind::Audio, ask);
    }
    if let Some(native) = &imp.native {
        let (apis, attributes_blocked) = (codes(&native.api), attributes(&native.battr));
        let assets = native.request.given().map(native::wanted).unwrap_or_default();
        let ask = Ask { apis, attributes_blocked, assets, ..Ask::default() };
        asks.add(FormatKind::Native, ask);
    }
    asks
}

fn formats(imp: &Imp<'_>) -> SmallVec<[Format; 4]> {
    let mut formats = SmallVec::new();
    let side = |side: Option<Small>| side.map_or(0, |side| side.0);
    if let Some(banner) = &imp.banner {
        // A ratio is no size that a creative could be held against.
        let exact = banner.format.iter().filter(|size| size.w.is_some() && size.h.is_some());
        formats.extend(exact.map(|size| Format::Banner { w: side(size.w), h: side(size.h) }));
        if banner.format.is_empty() || (formats.is_empty() && banner.w.is_some()) {
            formats.push(Format::Banner { w: side(banner.w), h: side(banner.h) });
        }
    }
    // 2: only beside or over what is watched, which no creative here is.
    if let Some(video) = imp.video.as_ref().filter(|video| video.linearity != Some(Code(2))) {
        let (w, h) = (side(video.w), side(video.h));
        let spans = spans(video.minduration, video.maxduration, &video.rqddurs, video.poddur);
        formats.extend(spans.map(|(min_s, max_s)| Format::Video { w, h, min_s, max_s }));
    }
    if let Some(audio) = &imp.audio {
        let spans = spans(audio.minduration, audio.maxduration, &audio.rqddurs, audio.poddur);
        formats.extend(spans.map(|(min_s, max_s)| Format::Audio { min_s, max_s }));
    }
    if imp.native.is_some() {
        formats.push(Format::Native);
    }
    formats
}

/// Least and most seconds: each exact duration, or the span, which ends with the pod or nowhere.
fn spans(
    min: Option<Small>,
    max: Option<Small>,
    exact: &[Small],
    pod: Option<Small>,
) -> impl Iterator<Item = (u16, u16)> {
    let most = max.or(pod).map_or(u16::MAX, |most| most.0);
    let span = exact.is_empty().then_some((min.map_or(0, |min| min.0), most));
    exact.iter().map(|seconds| (seconds.0, seconds.0)).chain(span)
}
