//! Native ads: what a creative has, what a place asks for, and which goes where (IAB Tech Lab, "OpenRTB Dynamic
//! Native Ads API Specification", version 1.2).

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::openrtb::json::Json;
use crate::openrtb::value::Text;

/// Assets of one creative, and of one place: as many as a word of 32 bits tells apart.
pub const ASSETS_MAX: usize = 32;
/// Addresses of one asset have so many bytes at most.
const URL_BYTES_MAX: usize = 2_048;

/// One asset of a creative, as far as places ask about it. What is not told is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Has {
    Title {
        chars: u16,
    },
    /// Pixels; `kind` of the list "Image Asset Types": 1 icon, 3 main.
    Image {
        kind: u16,
        w: u16,
        h: u16,
    },
    /// `kind` of the list "Data Asset Types".
    Data {
        kind: u16,
        chars: u16,
    },
}

/// One asset that a place asks for, by the place's id of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub id: i64,
    pub required: bool,
    pub asset: Asset,
}

/// What it is to be. 0: any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asset {
    /// Characters at most.
    Title { len: u16 },
    /// Pixels, exactly or at least.
    Image { kind: u16, w: u16, h: u16, wmin: u16, hmin: u16 },
    /// Characters at most.
    Data { kind: u16, len: u16 },
    /// Such as a video: no creative here has one.
    Other,
}

impl Asset {
    /// How much of what is asked for an asset uses up; `None`: it is none of these. Of several the one that leaves
    /// least is taken, so that others are left for those who ask for less.
    fn holds(self, has: Has) -> Option<u32> {
        let within = |chars: u16, len: u16| len == 0 || chars <= len;
        match (self, has) {
            (Asset::Title { len }, Has::Title { chars }) if within(chars, len) => {
                Some(u32::from(u16::MAX - chars))
            }
            (Asset::Data { kind, len }, Has::Data { kind: is, chars })
                if kind == is && kind != 0 && within(chars, len) =>
            {
                Some(u32::from(u16::MAX - chars))
            }
            (
                Asset::Image { kind, w, h, wmin, hmin },
                Has::Image { kind: is, w: has_w, h: has_h },
            ) => {
                let side = |asked: u16, least: u16, has: u16| match (asked, least) {
                    (_, 1..) => least <= has,
                    (0, 0) => true,
                    (asked, 0) => asked == has,
                };
                let of_kind = kind == 0 || is == 0 || kind == is;
                let fits = of_kind && side(w, wmin, has_w) && side(h, hmin, has_h);
                // One that says its kind is for those who ask for it.
                let told = u32::from(kind != 0 && is == 0) << 31;
                fits.then_some(told | (u32::from(has_w) + u32::from(has_h)))
            }
            _ => None,
        }
    }
}

/// Which asset goes where: places in `wanted` and `has`, in the order of `wanted`. `None`: one that is required is
/// not there, or none at all.
pub fn assign(has: &[Has], wanted: &[Wanted]) -> Option<SmallVec<[(usize, usize); 8]>> {
    let mut found: SmallVec<[(usize, usize); 8]> = SmallVec::new();
    // A bit for each of `has` that is given away.
    let mut used = 0_u32;
    for required in [true, false] {
        for (at, it) in wanted.iter().enumerate().filter(|(_, it)| it.required == required) {
            let free = (0..).zip(has).take(ASSETS_MAX).filter(|(n, _)| used >> n & 1 == 0);
            let best = free.filter_map(|(n, of)| Some((it.asset.holds(*of)?, n))).min();
            match best {
                Some((_, n)) => {
                    used |= 1 << n;
                    found.push((at, n as usize));
                }
                None if required => return None,
                None => {}
            }
        }
    }
    found.sort_unstable();
    (!found.is_empty()).then_some(found)
}

/// The object of a markup that has the assets, with or without `native` around it.
fn inner(markup: &Value) -> Option<&Map<String, Value>> {
    markup.get("native").unwrap_or(markup).as_object()
}

fn number(of: &Value, name: &str) -> u16 {
    of.get(name).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()).unwrap_or(0)
}

fn chars(text: &str) -> u16 {
    u16::try_from(text.chars().count()).unwrap_or(u16::MAX)
}

/// One asset of a markup, or what is wrong with it.
fn asset(of: &Value, at: usize) -> Result<Has, String> {
    let kinds =
        ["title", "img", "data", "video"].map(|name| of.get(name).filter(|it| !it.is_null()));
    let text = |of: &Value, kind: &str, name: &str| {
        let text = of.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.map(chars).ok_or_else(|| format!("assets[{at}].{kind}.{name} is no text"))
    };
    match kinds {
        [Some(title), None, None, None] => Ok(Has::Title { chars: text(title, "title", "text")? }),
        [None, Some(img), None, None] => {
            if !img.get("url").is_some_and(is_url) {
                return Err(format!("assets[{at}].img.url is no web address"));
            }
            let [w, h] = ["w", "h"].map(|name| number(img, name));
            Ok(Has::Image { kind: number(img, "type"), w, h })
        }
        [None, None, Some(data), None] => {
            let chars = text(data, "data", "value")?;
            Ok(Has::Data { kind: number(data, "type"), chars })
        }
        _ => Err(format!("assets[{at}] is not one of title, img and data")),
    }
}

fn is_url(of: &Value) -> bool {
    let scheme = |text: &str| ["https://", "http://"].iter().any(|it| text.starts_with(it));
    of.as_str().is_some_and(|text| scheme(text) && text.len() <= URL_BYTES_MAX)
}

/// The assets of a creative's markup.
///
/// # Errors
/// What is wrong with it, after "is ".
pub fn read(markup: &str) -> Result<Vec<Has>, String> {
    let markup: Value = serde_json::from_str(markup).map_err(|_| "not JSON".to_owned())?;
    let bad = |why: String| format!("no native answer: {why}");
    let native = inner(&markup).ok_or_else(|| bad("it is no object".to_owned()))?;
    let link = native.get("link").and_then(|link| link.get("url"));
    if !link.is_some_and(is_url) {
        return Err(bad("link.url is no web address".to_owned()));
    }
    let assets = native.get("assets").and_then(Value::as_array);
    let assets = assets.filter(|all| (1..=ASSETS_MAX).contains(&all.len()));
    let assets = assets.ok_or_else(|| bad(format!("assets are not 1 to {ASSETS_MAX}")))?;
    let all: Result<Vec<Has>, String> =
        assets.iter().enumerate().map(|(at, it)| asset(it, at)).collect();
    all.map_err(bad)
}

/// The answer to a place: the markup with those of its assets that are asked for, by the place's ids. `has`: as
/// [`read`] found them. `None`: it does not fit there.
pub fn answer(markup: &str, has: &[Has], wanted: &[Wanted]) -> Option<String> {
    let found = assign(has, wanted)?;
    let mut out = Vec::with_capacity(markup.len() + 64);
    let mut json = Json::new(&mut out);
    let outer = Members::read(markup)?;
    let assets = |json: &mut Json<'_>, native: &Members<'_>| {
        let all: Vec<&RawValue> = serde_json::from_str(native.last("assets")?).ok()?;
        native.write(json, "assets", |json| {
            json.open(b'[');
            for (at, n) in &found {
                let id = wanted.get(*at)?.id;
                let asset = Members::read(all.get(*n)?.get())?;
                asset.write(json, "id", |json| {
                    json.raw(&id.to_string());
                    Some(())
                })?;
            }
            json.close(b']');
            Some(())
        })
    };
    match outer.last("native") {
        None => assets(&mut json, &outer)?,
        Some(inner) => {
            let inner = Members::read(inner)?;
            outer.write(&mut json, "native", |json| assets(json, &inner))?;
        }
    }
    String::from_utf8(out).ok()
}

/// The members of an object, as they are written.
struct Members<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'a> Members<'a> {
    fn read(json: &'a str) -> Option<Members<'a>> {
        serde_json::from_str(json).ok()
    }

    /// Of several of one name, the last one counts.
    fn last(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(other, _)| &**other == name).map(|(_, value)| value.get())
    }

    /// Writes the object with another value of one member.
    fn write(
        &self,
        json: &mut Json<'_>,
        name: &str,
        value: impl FnOnce(&mut Json<'_>) -> Option<()>,
    ) -> Option<()> {
        json.open(b'{');
        for (other, kept) in self.0.iter().filter(|(other, _)| &**other != name) {
            json.key(other).raw(kept.get());
        }
        value(json.key(name))?;
        json.close(b'}');
        Some(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Each<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Each<'a> {
            type Value = Members<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'a>, M::Error> {
                let mut all = Vec::with_capacity(8);
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }
        d.deserialize_map(Each(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLE: Asset = Asset::Title { len: 25 };
    const ICON: Asset = Asset::Image { kind: 1, w: 0, h: 0, wmin: 50, hmin: 50 };
    const MAIN: Asset = Asset::Image { kind: 3, w: 0, h: 0, wmin: 1_200, hmin: 627 };

    fn wanted(all: &[(bool, Asset)]) -> Vec<Wanted> {
        let of = |(id, (required, asset)): (i64, &(bool, Asset))| Wanted {
            id: 100 + id,
            required: *required,
            asset: *asset,
        };
        (0..).zip(all).map(of).collect()
    }

    fn markup() -> String {
        serde_json::json!({"native": {"ver": "1.2", "link": {"url": "https://shop.example"}, "assets": [
            {"id": 1, "title": {"text": "Boots that last for all your life"}},
            {"id": 2, "title": {"text": "Boots that last"}},
            {"id": 3, "img": {"type": 3, "url": "https://cdn.example/m.webp", "w": 1_200, "h": 627}},
            {"id": 4, "img": {"type": 1, "url": "https://cdn.example/i.webp", "w": 80, "h": 80}},
            {"id": 5, "data": {"type": 2, "value": "For snow, \u{e4}nd rain"}},
        ], "imptrackers": ["https://t.example/${AUCTION_ID}"]}})
        .to_string()
    }

    fn answered(all: &[(bool, Asset)]) -> Option<Vec<(i64, String)>> {
        let text = answer(&markup(), &read(&markup()).expect("assets"), &wanted(all))?;
        let answer: Value = serde_json::from_str(&text).expect("json");
        assert_eq!(answer["native"]["link"]["url"], "https://shop.example");
        assert!(text.contains("${AUCTION_ID}"), "macros are the exchange's");
        let assets = answer["native"]["assets"].as_array().expect("assets").clone();
        let of = |it: &Value| {
            let of = ["/title/text", "/img/url", "/data/value"];
            let told = of.iter().find_map(|path| it.pointer(path)?.as_str());
            (it["id"].as_i64().expect("an id"), told.expect("an asset").to_owned())
        };
        Some(assets.iter().map(of).collect())
    }

    #[test]
    fn a_place_gets_what_it_asks_for_by_its_own_ids_and_nothing_else() {
        let all =
            answered(&[(true, MAIN), (true, TITLE), (false, Asset::Data { kind: 1, len: 0 })]);
        let expected = [(100, "https://cdn.example/m.webp"), (101, "Boots that last")];
        assert_eq!(all, Some(expected.map(|(id, told)| (id, told.to_owned())).to_vec()));
        let long = Asset::Title { len: 90 };
        let two = answered(&[(true, long), (true, TITLE)]).expect("both");
        assert_eq!(two[0].1, "Boots that last for all your life");
        assert_eq!(two[1].1, "Boots that last", "each once, and the longest that fits");
        let icon = answered(&[(true, ICON)]).expect("an icon");
        assert_eq!(icon[0].1, "https://cdn.example/i.webp");
        let any = Asset::Image { kind: 0, w: 80, h: 80, wmin: 0, hmin: 0 };
        assert!(answered(&[(true, any)]).is_some());
        assert!(
            answered(&[(true, Asset::Data { kind: 2, len: 18 })]).is_some(),
            "characters count"
        );
    }

    #[test]
    fn an_answer_keeps_the_form_that_it_was_written_in() {
        let bare = r#"{"ver":"1.2","link":{"url":"https://a.example"},"a\"b":[1.50],"assets":[{"title":{"text":"x"},"id":1}]}"#;
        let has = read(bare).expect("assets");
        let answered = answer(bare, &has, &wanted(&[(true, TITLE)]));
        let expected = r#"{"ver":"1.2","link":{"url":"https://a.example"},"a\"b":[1.50],"assets":[{"title":{"text":"x"},"id":100}]}"#;
        assert_eq!(answered.as_deref(), Some(expected));
    }

    #[test]
    fn what_lacks_something_that_is_required_does_not_fit() {
        for missing in [
            Asset::Title { len: 10 },
            Asset::Image { kind: 3, w: 300, h: 250, wmin: 0, hmin: 0 },
            Asset::Image { kind: 1, w: 0, h: 0, wmin: 100, hmin: 0 },
            Asset::Data { kind: 2, len: 10 },
            Asset::Data { kind: 1, len: 0 },
            Asset::Other,
        ] {
            assert_eq!(answered(&[(true, TITLE), (true, missing)]), None, "{missing:?}");
            assert_eq!(answered(&[(true, TITLE), (false, missing)]).map(|all| all.len()), Some(1));
            assert_eq!(answered(&[(false, missing)]), None, "an ad of nothing");
        }
        assert_eq!(answered(&[]), None);
        assert_eq!(answered(&[(true, MAIN), (true, MAIN)]), None, "each once");
    }

    #[test]
    fn a_markup_has_a_link_and_assets_that_can_be_told() {
        let link = r#""link":{"url":"https://a.example"}"#;
        let title = r#"{"title":{"text":"x"}}"#;
        assert_eq!(read(&markup()).map(|all| all.len()), Ok(5));
        let bare = format!(r#"{{{link},"assets":[{title}]}}"#);
        assert_eq!(read(&bare), Ok(vec![Has::Title { chars: 1 }]));
        for (markup, why) in [
            ("<a>".to_owned(), "not JSON"),
            ("[]".to_owned(), "no native answer: it is no object"),
            ("{}".to_owned(), "no native answer: link.url is no web address"),
            (format!("{{{link}}}"), "no native answer: assets are not 1 to 32"),
            (format!(r#"{{{link},"assets":[]}}"#), "no native answer: assets are not 1 to 32"),
            (
                format!(r#"{{{link},"assets":[{}]}}"#, vec![title; 33].join(",")),
                "no native answer: assets are not 1 to 32",
            ),
            (
                format!(r#"{{{link},"assets":[{title},{{"id":1}}]}}"#),
                "no native answer: assets[1] is not one of title, img and data",
            ),
            (
                format!(r#"{{{link},"assets":[{{"title":{{"text":1}}}}]}}"#),
                "no native answer: assets[0].title.text is no text",
            ),
            (
                format!(r#"{{{link},"assets":[{{"img":{{"url":"ftp://x"}}}}]}}"#),
                "no native answer: assets[0].img.url is no web address",
            ),
            (
                format!(r#"{{{link},"assets":[{{"video":{{"vasttag":"<VAST/>"}}}}]}}"#),
                "no native answer: assets[0] is not one of title, img and data",
            ),
        ] {
            assert_eq!(read(&markup), Err(why.to_owned()), "{markup}");
        }
        assert!(read(&"[".repeat(60_000)).is_err());
    }
}
