//! What a creative needs of a place beside its size and length: types of media, protocols, frameworks and
//! languages.

use serde::{Deserialize, Serialize};

use crate::opportunity::{Asks, Codes};

use super::creative::{Creative, FormatKind, Shape, is_mime};
use super::mistake::Mistakes;
use super::native::{self, Has};

/// The largest code that is told apart: higher ones are vendors' own.
const CODE_MAX: u16 = 63;

/// How a creative is made, where its format and markup do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Of a banner that is but one file, its type; of video and audio the format has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Of video and audio, AdCOM list "Creative Subtypes - Audio/Video"; `None`: as the markup says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u16>,
    /// AdCOM list "API Frameworks": it needs one of them; empty: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apis: Vec<u16>,
    /// Of a banner: 1 XHTML text, 2 XHTML, 3 JavaScript, 4 iframe; empty: as the markup says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub banner_types: Vec<u16>,
}

impl Media {
    pub fn is_default(&self) -> bool {
        *self == Media::default()
    }

    pub(super) fn check(&self, path: &str, wrong: &mut Mistakes) {
        let code = |code: &u16| (1..=CODE_MAX).contains(code);
        let at = |field: &str| format!("{path}.{field}");
        let mime = self.mime.as_deref().is_none_or(is_mime);
        wrong.unless(mime, &at("mime"), "is no type of media");
        wrong.unless(self.protocol.as_ref().is_none_or(code), &at("protocol"), "is not 1 to 63");
        let apis = self.apis.len() <= 16 && self.apis.iter().all(code);
        wrong.unless(apis, &at("apis"), "are not at most 16 codes of 1 to 63");
        let types = self.banner_types.len() <= 4 && self.banner_types.iter().all(|it| *it <= 4);
        wrong.unless(
            types && self.banner_types.iter().all(code),
            &at("banner_types"),
            "are not 1 to 4",
        );
    }
}

/// The same, ready to be held against places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Needs {
    kind: FormatKind,
    mime: Option<Box<str>>,
    /// `None`: nobody can tell.
    protocol: Option<u16>,
    apis: Codes,
    banner_types: Codes,
    /// The first part of it: `pt` of `pt-BR`.
    language: Option<Box<str>>,
    /// Of native, what it is made of; nothing where that cannot be told.
    assets: Box<[Has]>,
}

impl Needs {
    pub fn of(creative: &Creative) -> Needs {
        let Creative { media, markup, .. } = creative;
        let kind = creative.format.kind();
        let (mime, protocol) = match &creative.format {
            Shape::Video { mime, .. } | Shape::Audio { mime, .. } => {
                (Some(mime), media.protocol.or_else(|| protocol(markup)))
            }
            Shape::Banner { .. } | Shape::Native {} => (media.mime.as_ref(), None),
        };
        let banner_types = match kind {
            FormatKind::Banner if media.banner_types.is_empty() => banner_types(markup),
            _ => Codes::of(media.banner_types.iter().copied()),
        };
        Needs {
            kind,
            mime: mime.map(|mime| mime.as_str().into()),
            protocol,
            apis: Codes::of(media.apis.iter().copied()),
            banner_types,
            language: creative.language.as_deref().map(|it| primary(it).into()),
            assets: match kind {
                FormatKind::Native => native::read(markup).unwrap_or_default().into(),
                _ => Box::default(),
            },
        }
    }

    /// Whether nobody can tell what protocol a video or an audio is of: it is shown nowhere that lists some.
    pub fn is_unread(&self) -> bool {
        matches!(self.kind, FormatKind::Video | FormatKind::Audio) && self.protocol.is_none()
    }

    /// Whether a slot can show it. What cannot be told is not shown where it is asked for; a framework that
    /// is not named is not there (OpenRTB 2.6, section 3.2.6).
    pub fn met_by(&self, asks: &Asks<'_>) -> bool {
        let native = self.kind == FormatKind::Native;
        let Some(ask) = asks.of(self.kind) else { return self.apis.is_empty() && !native };
        if native && native::assign(&self.assets, &ask.assets).is_none() {
            return false;
        }
        let mime = match &self.mime {
            _ if ask.mimes.is_empty() => true,
            Some(mime) => ask.mimes.iter().any(|it| it.eq_ignore_ascii_case(mime)),
            // Of markup that loads whatever it likes there is no one type.
            None => true,
        };
        let protocol =
            ask.protocols.is_none_or(|listed| self.protocol.is_some_and(|it| listed.has(it)));
        let api = self.apis.is_empty() || self.apis.meets(ask.apis);
        mime && protocol && api && !self.banner_types.meets(ask.types_blocked)
    }

    /// Of a video or an audio, what it is by AdCOM's list "Creative Subtypes - Audio/Video", if it can be told.
    pub fn protocol(&self) -> Option<u16> {
        self.protocol
    }

    /// Of native, what it is made of.
    pub fn assets(&self) -> &[Has] {
        &self.assets
    }

    /// Whether it is of a language that is listed, where one is.
    pub fn speaks(&self, languages: &[&str]) -> bool {
        let spoken = |it: &&str| {
            self.language.as_deref().is_some_and(|ours| ours.eq_ignore_ascii_case(primary(it)))
        };
        languages.is_empty() || languages.iter().any(spoken)
    }
}

fn primary(language: &str) -> &str {
    language.split(['-', '_']).next().unwrap_or(language)
}

/// What the root of a VAST or DAAST document says of its version, and whether it is a wrapper.
fn protocol(markup: &str) -> Option<u16> {
    let (root, rest) = match markup.split_once("<VAST") {
        Some((_, rest)) => ("VAST", rest),
        None => ("DAAST", markup.split_once("<DAAST")?.1),
    };
    let attributes = rest.split('>').next()?;
    let value = attributes.split_once("version")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let version = value.get(1..)?.split(quote).next()?.trim();
    let (inline, wrapper) = match (root, version) {
        ("DAAST", "1.0" | "1") => (9, 10),
        ("VAST", "1.0" | "1") => (1, 4),
        ("VAST", "2.0" | "2" | "2.0.1") => (2, 5),
        ("VAST", "3.0" | "3") => (3, 6),
        ("VAST", "4.0" | "4") => (7, 8),
        ("VAST", "4.1") => (11, 12),
        ("VAST", "4.2") => (13, 14),
        ("VAST", "4.3") => (15, 16),
        _ => return None,
    };
    Some(if rest.contains("<Wrapper") { wrapper } else { inline })
}

/// What kinds of banner (OpenRTB 2.6, list "Banner Ad Types") a markup is.
fn banner_types(markup: &str) -> Codes {
    let markup = markup.to_ascii_lowercase();
    let (script, iframe) = (markup.contains("<script"), markup.contains("<iframe"));
    let other = !script && !iframe;
    Codes::of([(other, 2), (script, 3), (iframe, 4)].into_iter().filter(|it| it.0).map(|it| it.1))
}

#[cfg(test)]
mod tests {
    use crate::opportunity::Ask;

    use super::*;

    fn creative(json: &str) -> Creative {
        serde_json::from_str(json).expect("a creative")
    }

    fn video(markup: &str, media: &str) -> Needs {
        let format = r#"{"video":{"w":640,"h":360,"duration_s":15,"mime":"video/mp4"}}"#;
        let markup = serde_json::to_string(markup).expect("json");
        let json = format!(r#"{{"id":"v","format":{format},"markup":{markup},"media":{media}}}"#);
        Needs::of(&creative(&json))
    }

    fn banner(markup: &str, media: &str, language: &str) -> Needs {
        let markup = serde_json::to_string(markup).expect("json");
        let json = format!(
            r#"{{"id":"b","format":{{"banner":{{"w":300,"h":250}}}},"markup":{markup},"media":{media},
            "language":{language}}}"#
        );
        Needs::of(&creative(&json))
    }

    fn asks(kind: FormatKind, ask: Ask<'static>) -> Asks<'static> {
        let mut asks = Asks::default();
        asks.add(kind, ask);
        asks
    }

    const VAST_3: &str = r#"<?xml version="1.0"?><VAST version="3.0"><Ad><InLine/></Ad></VAST>"#;

    #[test]
    fn a_video_is_shown_where_its_type_protocol_and_framework_are_taken() {
        let of = |mimes: &[&'static str], protocols: Option<&[u16]>, apis: &[u16]| {
            let ask = Ask {
                mimes: mimes.iter().copied().collect(),
                protocols: protocols.map(|codes| Codes::of(codes.iter().copied())),
                apis: Codes::of(apis.iter().copied()),
                ..Ask::default()
            };
            asks(FormatKind::Video, ask)
        };
        let plain = video(VAST_3, "{}");
        assert!(plain.met_by(&of(&["video/webm", "Video/MP4"], Some(&[2, 3]), &[])));
        assert!(plain.met_by(&of(&["video/mp4"], None, &[7])));
        assert!(!plain.met_by(&of(&["video/webm"], Some(&[3]), &[])), "another type");
        assert!(!plain.met_by(&of(&["video/mp4"], Some(&[2, 6]), &[])), "another version");
        assert!(!plain.met_by(&of(&["video/mp4"], Some(&[500]), &[])), "a vendor's own");
        let wrapped = video(&VAST_3.replace("InLine", "Wrapper"), "{}");
        assert!(wrapped.met_by(&of(&[], Some(&[6]), &[])));
        assert!(!wrapped.met_by(&of(&[], Some(&[3]), &[])));
        let unknown = video("<xml/>", "{}");
        assert!(unknown.met_by(&of(&[], None, &[])) && !unknown.met_by(&of(&[], Some(&[3]), &[])));
        let told = video("<xml/>", r#"{"protocol":7,"apis":[2,8]}"#);
        assert!(told.met_by(&of(&[], Some(&[7]), &[1, 2])));
        assert!(!told.met_by(&of(&[], Some(&[7]), &[1])), "a framework that is not there");
        assert!(!told.met_by(&Asks::default()), "nor where none is named");
    }

    #[test]
    fn a_version_is_read_from_the_root_of_the_markup() {
        for (markup, code) in [
            (r#"<VAST version="2.0">"#, Some(2)),
            ("<VAST xmlns:x='y' version = '4.2' ><Ad><Wrapper>", Some(14)),
            (r#"<DAAST version="1.0"/>"#, Some(9)),
            (r#"<VAST version="9.0"/>"#, None),
            (r#"<VAST/><x version="3.0"/>"#, None),
            ("<VAST version=", None),
            ("<VAST version=\u{e4}", None),
            ("", None),
        ] {
            assert_eq!(protocol(markup), code, "{markup}");
        }
    }

    #[test]
    fn a_banner_is_not_shown_where_its_type_is_blocked() {
        let blocking = |codes: &[u16]| {
            let types_blocked = Codes::of(codes.iter().copied());
            asks(FormatKind::Banner, Ask { types_blocked, ..Ask::default() })
        };
        let frame = banner("<IFRAME src=x>", "{}", "null");
        assert!(!frame.met_by(&blocking(&[4])) && frame.met_by(&blocking(&[1, 3])));
        let script = banner("<a><script>", "{}", "null");
        assert!(!script.met_by(&blocking(&[3])) && script.met_by(&blocking(&[4])));
        let image = banner("<a><img></a>", r#"{"mime":"image/png"}"#, "null");
        assert!(image.met_by(&blocking(&[1, 3, 4])) && !image.met_by(&blocking(&[2])));
        let typed = |mime| {
            asks(FormatKind::Banner, Ask { mimes: [mime].into_iter().collect(), ..Ask::default() })
        };
        assert!(image.met_by(&typed("image/png")) && !image.met_by(&typed("image/gif")));
        assert!(script.met_by(&typed("image/gif")), "markup has no one type");
        let said = banner("<script>", r#"{"banner_types":[1]}"#, "null");
        assert!(!said.met_by(&blocking(&[1])) && said.met_by(&blocking(&[3])));
    }

    #[test]
    fn languages_that_are_listed_have_to_be_told() {
        let (german, silent) = (banner("x", "{}", "\"de\""), banner("x", "{}", "null"));
        assert!(silent.speaks(&[]) && german.speaks(&[]));
        for (languages, fits) in [(&["fr", "DE-at"][..], true), (&["fr"], false), (&["de"], true)] {
            assert_eq!(german.speaks(languages), fits, "{languages:?}");
            assert!(!silent.speaks(languages));
        }
    }
}
