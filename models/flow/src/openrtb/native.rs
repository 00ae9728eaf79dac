//! What a native place asks for: a request of its own within the request (IAB Tech Lab, "OpenRTB Dynamic Native Ads
//! API Specification", versions 1.1 and 1.2).

use serde::Deserialize;

use crate::campaign::native::{ASSETS_MAX, Asset, Wanted};

use super::object::object;
use super::value::{Flag, Int, List};

object! {
    /// With or without `native` around it.
    pub struct Outer {
        pub native: Option<Inner>,
        pub assets: List<[AssetAsked; 4], ASSETS_MAX>,
    }
}

object! {
    pub struct Inner {
        pub assets: List<[AssetAsked; 4], ASSETS_MAX>,
    }
}

object! {
    pub struct AssetAsked {
        pub id: Int,
        pub required: Option<Flag>,
        pub title: Option<Title>,
        pub img: Option<Image>,
        pub data: Option<Data>,
    }
}

object! {
    pub struct Title {
        pub len: Option<Int>,
    }
}

// Of these two a field's name is none in Rust.

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Image {
    #[serde(rename = "type")]
    pub kind: Option<Int>,
    pub w: Option<Int>,
    pub h: Option<Int>,
    pub wmin: Option<Int>,
    pub hmin: Option<Int>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Data {
    #[serde(rename = "type")]
    pub kind: Option<Int>,
    pub len: Option<Int>,
}

/// What is asked for by `imp.native.request`, which is JSON or a text of it. Nothing, where it cannot be read or asks
/// for more than [`ASSETS_MAX`]: no creative fits there.
pub(super) fn wanted(json: &str) -> Vec<Wanted> {
    let read = |text: &str| serde_json::from_str::<Outer>(text).ok();
    let outer = match json.starts_with('"') {
        true => text(json).and_then(|text| read(&text)),
        false => read(json),
    };
    let Some(outer) = outer else { return Vec::new() };
    let assets = outer.native.map_or(outer.assets, |inner| inner.assets);
    assets.iter().map(one).collect()
}

/// What a text of JSON says, in one allocation where it has no escapes but those that JSON in it needs.
fn text(json: &str) -> Option<String> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(rest.len());
    while let Some((plain, after)) = rest.split_once('\\') {
        text.push_str(plain);
        let escaped = after.chars().next()?;
        text.push(match escaped {
            '"' | '\\' | '/' => escaped,
            'n' | 'r' | 't' => ' ',
            _ => return serde_json::from_str(json).ok(),
        });
        rest = after.get(1..)?;
    }
    text.push_str(rest);
    Some(text)
}

fn one(asked: &AssetAsked) -> Wanted {
    // What no number of 16 bits holds is beyond any asset: as a bound from above it binds nobody.
    let most = |of: Option<Int>| of.map_or(0, |it| u16::try_from(it.0.max(0)).unwrap_or(u16::MAX));
    let asset = match (&asked.title, &asked.img, &asked.data) {
        (Some(title), None, None) => Asset::Title { len: most(title.len) },
        (None, Some(img), None) => Asset::Image {
            kind: most(img.kind),
            w: most(img.w),
            h: most(img.h),
            wmin: most(img.wmin),
            hmin: most(img.hmin),
        },
        (None, None, Some(data)) => Asset::Data { kind: most(data.kind), len: most(data.len) },
        _ => Asset::Other,
    };
    Wanted { id: asked.id.0, required: asked.required.is_some_and(|it| it.0), asset }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_request_is_read_as_text_or_as_an_object_with_or_without_its_name() {
        let bare = r#"{"ver":"1.2","assets":[{"id":7,"required":1,"title":{"len":90}},
            {"id":8,"img":{"type":3,"wmin":1200,"hmin":627,"mimes":["image/webp"]}},
            {"id":9,"required":"0","data":{"type":2,"len":140}},{"id":10,"required":1,"video":{"mimes":[]}}]}"#;
        let expected = [
            Wanted { id: 7, required: true, asset: Asset::Title { len: 90 } },
            Wanted {
                id: 8,
                required: false,
                asset: Asset::Image { kind: 3, w: 0, h: 0, wmin: 1_200, hmin: 627 },
            },
            Wanted { id: 9, required: false, asset: Asset::Data { kind: 2, len: 140 } },
            Wanted { id: 10, required: true, asset: Asset::Other },
        ];
        let wrapped = format!(r#"{{"native":{bare}}}"#);
        for request in [bare.to_owned(), wrapped] {
            assert_eq!(wanted(&request), expected);
            let text = serde_json::to_string(&request).expect("json");
            assert_eq!(wanted(&text), expected, "as a text");
        }
        let title = [Wanted { id: 1, required: false, asset: Asset::Title { len: 9 } }];
        for odd in [
            r#""{\"assets\":\n[{\"id\":1,\t\"title\":{\"len\":9,\"ext\":\"a\\\\b\/c\"}}]}""#,
            r#""\u007b\"assets\":[{\"id\":1,\"title\":{\"len\":9,\"ext\":\"\ud83d\ude00\"}}]}""#,
        ] {
            assert_eq!(wanted(odd), title, "{odd}");
        }
        for nothing in ["{}", "[]", "\"\"", "\"{\"", "\"", "1", "null", r#"{"assets":{}}"#] {
            assert_eq!(wanted(nothing), [], "{nothing}");
        }
        let many = format!(r#"{{"assets":[{}]}}"#, vec![r#"{"id":1}"#; 33].join(","));
        assert_eq!(wanted(&many), []);
    }
}
