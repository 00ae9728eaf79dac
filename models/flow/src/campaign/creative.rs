//! What is shown.

use serde::{Deserialize, Serialize};

use super::media::Media;
use super::mistake::Mistakes;
use super::name::{is_domain, is_name, is_token};
use super::native;
use super::taxonomy;

pub const CREATIVES_MAX: usize = 100;
/// Bytes of one creative's markup.
pub const MARKUP_BYTES_MAX: usize = 64 << 10;
/// Pixels of an edge.
pub const EDGE_MAX: u16 = 10_000;
/// Seconds of a video or an audio: six hours.
pub const DURATION_MAX: u16 = 21_600;
/// Bytes of the address of a preview.
const URL_BYTES_MAX: usize = 2_048;
/// Entries of one of a creative's short lists.
const LIST_MAX: usize = 32;

/// One creative. Its markup may hold the macros of OpenRTB (`${AUCTION_PRICE}` and its like), which the
/// exchange puts in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Creative {
    /// Unique within the campaign; exchanges review creatives by it and the campaign's name.
    pub id: String,
    pub format: Shape,
    /// What the bid carries (`adm`): HTML, VAST or the JSON of a native answer.
    pub markup: String,
    /// Domains of who advertises; empty: the campaign's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advertiser_domains: Vec<String>,
    /// Categories of what is advertised; empty: the campaign's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Their taxonomy, where they do not begin with `IAB`; `None`: the campaign's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cattax: Option<u16>,
    /// AdCOM list "Creative Attributes".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<u16>,
    /// ISO 639-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// A picture of it, for those who review creatives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_url: Option<String>,
    #[serde(default, skip_serializing_if = "Media::is_default")]
    pub media: Media,
    /// Loads everything by HTTPS.
    #[serde(default = "yes")]
    pub secure: bool,
}

fn yes() -> bool {
    true
}

/// Format and size of a creative. Pixels are device-independent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    Banner {
        w: u16,
        h: u16,
    },
    /// A player scales it, so its size binds nobody.
    Video {
        w: u16,
        h: u16,
        duration_s: u16,
        mime: String,
    },
    Audio {
        duration_s: u16,
        mime: String,
    },
    Native {},
}

/// The kinds of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatKind {
    Banner,
    Video,
    Audio,
    Native,
}

impl FormatKind {
    pub const ALL: [FormatKind; 4] =
        [FormatKind::Banner, FormatKind::Video, FormatKind::Audio, FormatKind::Native];
}

impl Shape {
    pub fn kind(&self) -> FormatKind {
        match self {
            Shape::Banner { .. } => FormatKind::Banner,
            Shape::Video { .. } => FormatKind::Video,
            Shape::Audio { .. } => FormatKind::Audio,
            Shape::Native {} => FormatKind::Native,
        }
    }

    /// Width and height of what has them.
    pub fn size(&self) -> Option<(u16, u16)> {
        match self {
            Shape::Banner { w, h } | Shape::Video { w, h, .. } => Some((*w, *h)),
            Shape::Audio { .. } | Shape::Native {} => None,
        }
    }

    pub fn mime(&self) -> Option<&str> {
        match self {
            Shape::Video { mime, .. } | Shape::Audio { mime, .. } => Some(mime),
            Shape::Banner { .. } | Shape::Native {} => None,
        }
    }
}

impl Creative {
    /// `cattax`: the campaign's.
    pub(super) fn check(&self, path: &str, cattax: Option<u16>, wrong: &mut Mistakes) {
        let at = |field: &str| format!("{path}.{field}");
        wrong.unless(is_name(&self.id), &at("id"), "is not 1 to 128 letters, digits, _, - and .");
        let bytes = (1..=MARKUP_BYTES_MAX).contains(&self.markup.len());
        wrong.unless(bytes, &at("markup"), "is not 1 to 65536 bytes");
        if let (Shape::Native {}, Err(why)) = (&self.format, native::read(&self.markup)) {
            wrong.add(at("markup"), format!("is {why}"));
        }
        let edge = |edge: u16| (1..=EDGE_MAX).contains(&edge);
        if let Some((w, h)) = self.format.size() {
            wrong.unless(edge(w) && edge(h), &at("format"), "has an edge that is not 1 to 10000");
        }
        if let Shape::Video { duration_s, .. } | Shape::Audio { duration_s, .. } = self.format {
            let fits = (1..=DURATION_MAX).contains(&duration_s);
            wrong.unless(fits, &at("format"), "has a duration_s that is not 1 to 21600");
        }
        if let Some(mime) = self.format.mime() {
            wrong.unless(is_mime(mime), &at("format"), "has a mime that is no type of media");
        }
        let domains = &self.advertiser_domains;
        let fits = domains.len() <= LIST_MAX && domains.iter().all(|domain| is_domain(domain));
        wrong.unless(fits, &at("advertiser_domains"), "are not at most 32 domains in lower case");
        let listed = (&*self.categories, &*at("categories"), LIST_MAX);
        taxonomy::check(listed, self.cattax.or(cattax), wrong);
        taxonomy::check_number(self.cattax, &at("cattax"), wrong);
        let fits = self.attributes.len() <= LIST_MAX;
        wrong.unless(fits, &at("attributes"), "are more than 32");
        self.media.check(&at("media"), wrong);
        let preview = self.preview_url.as_deref().is_none_or(is_preview);
        let why = "is not https:// or http://, and at most 2048 printable characters";
        wrong.unless(preview, &at("preview_url"), why);
        let language = self.language.as_deref().is_none_or(is_language);
        wrong.unless(language, &at("language"), "is not two or three lower-case letters");
    }
}

fn is_preview(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    is_token(url, URL_BYTES_MAX) && host.is_some_and(|host| !host.is_empty())
}

/// An ISO 639 code: two or three letters, lower case.
pub(super) fn is_language(text: &str) -> bool {
    matches!(text.len(), 2 | 3) && text.bytes().all(|b| b.is_ascii_lowercase())
}

pub(super) fn is_mime(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.len() <= 127 && text.split_once('/').is_some_and(|(kind, sub)| part(kind) && part(sub))
}
