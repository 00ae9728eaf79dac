use super::super::super::facts::Verification;
use super::super::super::sample;
use super::*;

const HOSTILE: &str =
    "</title></style><script>alert(1)</script><img src=x onerror='a()'>\"&\u{202e}\0";

/// Every text that comes from outside, hostile.
fn hostile() -> Report {
    let mut f = sample::troubled();
    f.account = HOSTILE.into();
    f.events.insert((HOSTILE.into(), super::super::super::facts::EventOutcome::Ok), 1);
    f.denied.insert(HOSTILE.into(), 1);
    f.consent.insert(HOSTILE.into(), Default::default());
    f.requests.by_kind.insert(HOSTILE.into(), Default::default());
    let status = [(HOSTILE.to_owned(), 1)];
    f.requests.by_status.insert(HOSTILE.into(), status.into());
    f.audit.verification = Verification::NotDone { why: HOSTILE.into() };
    let mut period = sample::period();
    period.label = HOSTILE.into();
    Report::of(period, f, sample::NOW_US)
}

/// The names of all tags in the order of the page.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|t| t.split([' ', '>', '\n']).next().unwrap_or("")).collect()
}

#[test]
fn hostile_texts_stay_texts() {
    let page = html(&hostile());
    for bad in ["<script", "<img", "onerror='", "\u{202e}", "\0", "\"&"] {
        assert!(!page.contains(bad), "{bad:?}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(page.matches("</title>").count(), 1);
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(page.matches("alert(1)").count(), 14, "each is shown, none is lost");
}

#[test]
fn escaping_leaves_harmless_text_as_it_is() {
    assert_eq!(escaped("Café – 日本 · 1,000"), "Café – 日本 · 1,000");
    assert_eq!(escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
}

#[test]
fn the_page_is_whole_without_scripts_and_fetches_nothing() {
    for r in [sample::report(), Report::of(sample::period(), sample::idle(), sample::NOW_US)] {
        let page = html(&r);
        for bad in ["<script", "<link", "<img", "http:", "https:", "url(", "@import", "javascript:"]
        {
            assert!(!page.contains(bad), "{bad}");
        }
        let mut open = Vec::new();
        for tag in tags(&page) {
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "closed in order"),
                None if ["!DOCTYPE", "meta"].contains(&tag) => {}
                None => open.push(tag),
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }
}

#[test]
fn a_reader_without_eyes_finds_language_headings_captions_and_scopes() {
    let page = html(&sample::report());
    assert!(page.contains("<html lang=\"en\">"));
    assert_eq!(page.matches("<h1>").count(), 1);
    let tables = page.matches("<table").count();
    assert_eq!(tables, 13);
    assert_eq!(page.matches("<caption>").count(), tables);
    assert_eq!(page.matches("<th>").count(), 0, "every heading has its scope");
    let rows = page.matches("<tbody>").count();
    assert!(page.matches("scope=\"row\"").count() > rows);
    // Severity is a word, not only a colour.
    assert!(page.contains("<span class=\"badge high\">high</span>"));
}

#[test]
fn findings_come_before_everything_else() {
    let page = html(&sample::report());
    let at = |t: &str| page.find(t).unwrap();
    assert!(at("id=\"findings\"") < at("id=\"frameworks\""));
    assert!(at("id=\"frameworks\"") < at("id=\"figures\""));
    let clean = Report::of(sample::period(), sample::clean(), sample::NOW_US);
    assert!(html(&clean).contains("No finding follows from the figures of this report."));
}

#[test]
fn a_period_that_still_runs_is_marked() {
    let mut r = sample::report();
    assert!(!html(&r).contains("figures may grow"));
    r.complete = false;
    assert!(html(&r).contains("figures may grow"));
}

/// Relative luminance (WCAG 2.2) of `#rrggbb`.
fn luminance(hex: &str) -> f64 {
    let n = u32::from_str_radix(hex, 16).unwrap();
    let part = |shift: u32| {
        let c = f64::from((n >> shift) & 0xff) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn every_colour_of_text_stands_out_from_every_ground() {
    let colour = |name: &str| {
        let (_, rest) = STYLE.split_once(&format!("--{name}: #")).unwrap();
        &rest[..6]
    };
    assert!(contrast("000000", "ffffff") > 20.9);
    let texts = ["ink", "quiet", "critical", "high", "medium", "notice", "good"];
    for text in texts {
        for ground in ["ffffff", colour("ground"), colour("tint")] {
            let c = contrast(colour(text), ground);
            assert!(c >= 4.5, "{text} on {ground}: {c:.2}");
        }
    }
    // No colour is set aside of the list.
    let (_, rules) = STYLE.split_once('}').unwrap();
    for hex in rules.split('#').skip(1).map(|t| t.get(..3).unwrap_or("")) {
        assert!(hex == "fff" || !hex.chars().all(|c| c.is_ascii_hexdigit()), "#{hex}");
    }
}
