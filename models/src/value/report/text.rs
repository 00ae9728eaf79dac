//! Numbers and names as a page shows them.

/// Text within HTML and its attributes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// With so many decimals and thousands apart: `-12,345.6`.
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    // What rounds to nothing has no sign.
    if value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('−');
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A value on an axis that goes up to `most` in steps of `step`: as many decimals as the step has, and from a
/// million on in millions and so forth, so that labels stay short.
pub fn scaled(value: f64, most: f64, step: f64) -> String {
    let scales = [(1e12, " tn"), (1e9, " bn"), (1e6, " m")];
    let (unit, name) =
        scales.into_iter().find(|(unit, _)| most >= *unit && most < 1e18).unwrap_or((1.0, ""));
    if most >= 1e18 {
        return format!("{value:.1e}");
    }
    // A step of 0.2 is a little less than that in binary.
    let decimals = (-((step / unit * 1.000_001).log10().floor())).clamp(0.0, 6.0) as usize;
    let name = if value == 0.0 { "" } else { name };
    format!("{}{name}", number(value / unit, if value == 0.0 { 0 } else { decimals }))
}

/// A share as `97.5%`, with its sign where `signed`.
pub fn percent(share: f64, signed: bool) -> String {
    let sign = if signed && share > 0.0005 { "+" } else { "" };
    format!("{sign}{}%", number(share * 100.0, 1))
}

/// What may be missing.
pub fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!(number(2_500_315.634, 2), "2,500,315.63");
        assert_eq!((number(-0.001, 2), number(-1_000.0, 0)), ("0.00".into(), "−1,000".into()));
        assert_eq!((percent(0.05, true), percent(-0.2, true)), ("+5.0%".into(), "−20.0%".into()));
    }

    #[test]
    fn labels_of_an_axis_are_short_and_say_their_scale() {
        let all = |most: f64, step: f64, value: f64| scaled(value, most, step);
        assert_eq!(all(0.8, 0.2, 0.4), "0.4");
        assert_eq!(all(100_000.0, 20_000.0, 60_000.0), "60,000");
        assert_eq!(all(2_500_000.0, 500_000.0, 1_500_000.0), "1.5 m");
        assert_eq!(all(1e10, 2e9, 4e9), "4 bn");
        assert_eq!((all(2e6, 5e5, 0.0), all(1e300, 2e299, 2e299)), ("0".into(), "2.0e299".into()));
    }

    #[test]
    fn no_name_becomes_markup() {
        assert_eq!(escaped("<b>&\"'\u{7}"), "&lt;b&gt;&amp;&quot;&#39; ");
    }
}
