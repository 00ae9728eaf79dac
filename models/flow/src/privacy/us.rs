//! The privacy laws of the United States: the sections of GPP strings, and the older US privacy string.
//!
//! IAB Tech Lab, "GPP Extension: US National Privacy Technical Specification" (versions 1 and 2), the
//! specifications of the states beside it, and "US Privacy String" (CCPA, version 1). A value takes two
//! bits: 0 does not apply, 1 yes (an opt-out, a notice given, no consent), 2 no.

use super::bits::{Bits, Ends};
use super::detail::{Detail, Findings};

/// Sections 7 to 27 are the national one and those of the states.
pub const FIRST: i64 = 7;
pub const LAST: i64 = 27;

/// Where the values of a section stand, in bits from the start of its core segment.
struct Layout {
    /// Notices of the right to opt out of sale, sharing and targeted advertising.
    notices: &'static [usize],
    opt_outs: &'static [usize],
    /// Consents for known children, and how many there are.
    children: (usize, usize),
    /// The mode of the Multi-State Privacy Agreement, and its value that makes us a mere service provider.
    service: Option<(usize, u32)>,
}

const fn state(sensitive: usize, children: usize, additional: bool) -> Layout {
    let first = 16 + 2 * sensitive;
    let service = first + 2 * children + if additional { 2 } else { 0 } + 4;
    Layout {
        notices: &[8, 10],
        opt_outs: &[12, 14],
        children: (first, children),
        service: Some((service, 1)),
    }
}

/// Utah and Iowa have a notice more before the opt-outs.
const fn noticed() -> Layout {
    Layout { notices: &[8, 10], opt_outs: &[14, 16], children: (34, 1), service: Some((40, 1)) }
}

/// Since 2025 the agreement's fields come first, and one mode stands for both of the older ones.
const fn later(children: usize) -> Layout {
    Layout {
        notices: &[12, 14],
        opt_outs: &[16, 18],
        children: (20, children),
        service: Some((8, 2)),
    }
}

/// `wide`: of the national section, the version that has 16 kinds of sensitive data and three of children
/// instead of 12 and two.
fn layout(section: i64, wide: bool) -> Option<Layout> {
    Some(match section {
        7 => {
            let (sensitive, children) = if wide { (16, 3) } else { (12, 2) };
            let first = 24 + 2 * sensitive;
            Layout {
                notices: &[8, 10, 12],
                opt_outs: &[18, 20, 22],
                children: (first, children),
                service: Some((first + 2 * children + 6, 1)),
            }
        }
        // California
        8 => Layout {
            notices: &[6, 8],
            opt_outs: &[12, 14],
            children: (34, 2),
            service: Some((44, 1)),
        },
        // Virginia, Colorado, Utah, Connecticut
        9 => state(8, 1, false),
        10 => state(7, 1, false),
        11 => noticed(),
        12 => state(8, 3, false),
        // Florida, Montana, Oregon, Texas, Delaware, Iowa
        13 | 14 => state(8, 3, true),
        15 => state(11, 3, true),
        16 => state(8, 1, true),
        17 => state(9, 5, true),
        18 => noticed(),
        // Nebraska, New Hampshire, New Jersey, Tennessee, Minnesota
        19 => state(8, 1, true),
        20 => state(8, 3, true),
        21 => state(10, 5, true),
        22 | 23 => state(8, 1, true),
        // Maryland, Indiana, Kentucky, Rhode Island
        24 => later(0),
        25..=27 => later(1),
        _ => return None,
    })
}

/// What a section of 7 to 27 has against the use of personal data.
pub(super) fn section(id: i64, text: &str) -> Findings {
    read(id, text).unwrap_or(Findings::of(Detail::GppSectionUnreadable))
}

fn read(id: i64, text: &str) -> Result<Findings, Ends> {
    let mut segments = text.split('.');
    let mut core = Bits::new(segments.next().unwrap_or_default());
    let version = if (24..=LAST).contains(&id) && i64::from(core.at(0, 6)?) == id {
        // These may have a header of their own: section, version, and which segments follow.
        let version = core.at(6, 6)?;
        core = Bits::new(segments.next().ok_or(Ends)?);
        version
    } else {
        core.at(0, 6)?
    };
    if version != 1 && (version, id) != (2, 7) {
        return Err(Ends);
    }
    let mut findings = Findings::default();
    let value = |place: usize| match core.at(place, 2)? {
        3 => Err(Ends),
        value => Ok(value),
    };
    for wide in wideness(id, version, &core)? {
        let layout = layout(id, *wide).ok_or(Ends)?;
        for place in layout.opt_outs {
            findings.add_if(value(*place)? == 1, Detail::UsOptOut);
        }
        for place in layout.notices {
            findings.add_if(value(*place)? == 2, Detail::UsNotice);
        }
        for nth in 0..layout.children.1 {
            findings.add_if(value(layout.children.0 + 2 * nth)? != 0, Detail::UsChild);
        }
        if let Some((place, mode)) = layout.service {
            findings.add_if(value(place)? == mode, Detail::UsServiceProvider);
        }
    }
    for segment in segments {
        let mut bits = Bits::new(segment);
        // Type 1: the browser's global privacy control.
        let asked = bits.number(2)? == 1 && bits.bit()?;
        findings.add_if(asked, Detail::UsPrivacyControl);
    }
    Ok(findings)
}

/// Which layouts a section may have. Strings of either version of the national one say version 1: the later
/// one is longer, and has to say whether the agreement covers it, where the earlier one is filled up with
/// zeros. What may be either counts as both.
fn wideness(id: i64, version: u32, core: &Bits<'_>) -> Result<&'static [bool], Ends> {
    const COVERED: usize = 64;
    Ok(match (id, version) {
        (7, 2) => &[true],
        (7, _) if core.len() < COVERED + 6 => &[false],
        (7, _) if core.at(COVERED, 2)? == 0 => &[false, true],
        (7, _) => &[true],
        _ => &[false],
    })
}

/// The US privacy string: a version, then notice given, opted out, and covered by the agreement of 2020.
pub(super) fn privacy(text: &str) -> Findings {
    let known = |c: &u8| matches!(c, b'Y' | b'N' | b'-' | b'y' | b'n');
    let [b'1', notice, opted_out, covered] = text.as_bytes() else {
        return Findings::of(Detail::UsPrivacyUnreadable);
    };
    if ![notice, opted_out, covered].into_iter().all(known) {
        return Findings::of(Detail::UsPrivacyUnreadable);
    }
    let mut findings = Findings::default();
    findings.add_if(opted_out.eq_ignore_ascii_case(&b'Y'), Detail::UsOptOut);
    findings.add_if(notice.eq_ignore_ascii_case(&b'N'), Detail::UsNotice);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sections that the IAB's own encoder writes, in its tests (iabgpp-es, UsNat.test.ts and
    /// UsCa.test.ts).
    #[test]
    fn sections_of_the_iabs_own_encoder_are_read() {
        for (id, text, found) in [
            (7, "BAAAAAAAAABA.QA", vec![]),
            (7, "BAAAAAAAAABA", vec![]),
            (
                7,
                "BVVVkkkkkpFY.YA",
                vec![Detail::UsOptOut, Detail::UsChild, Detail::UsPrivacyControl],
            ),
            (7, "BVVVkkkkkpFY", vec![Detail::UsOptOut, Detail::UsChild]),
            (7, "BVQqAAAACg", vec![]),
            (8, "BAAAAABA.QA", vec![]),
            (8, "BVWSSSVY.YA", vec![Detail::UsOptOut, Detail::UsChild, Detail::UsPrivacyControl]),
            (
                8,
                "BbYbGwXY.YA",
                vec![Detail::UsOptOut, Detail::UsNotice, Detail::UsChild, Detail::UsPrivacyControl],
            ),
            (8, "z", vec![Detail::GppSectionUnreadable]),
            (7, "z", vec![Detail::GppSectionUnreadable]),
        ] {
            assert_eq!(section(id, text).iter().collect::<Vec<Detail>>(), found, "{id} {text}");
        }
    }

    fn written(values: &[(usize, u32)]) -> String {
        let mut zeros = [0_u8; 60];
        zeros[5] = 1;
        for (place, value) in values {
            (zeros[*place], zeros[place + 1]) = ((value >> 1) as u8, (value & 1) as u8);
        }
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let six =
            |chunk: &[u8]| chunk.iter().fold(0_usize, |six, bit| six << 1 | usize::from(*bit));
        zeros.chunks(6).map(|chunk| char::from(LETTERS[six(chunk)])).collect()
    }

    #[test]
    fn in_every_section_an_opt_out_a_missing_notice_and_a_child_are_found_where_they_stand() {
        for id in FIRST..=LAST {
            let found = |values: &[(usize, u32)]| {
                section(id, &written(values)).iter().collect::<Vec<Detail>>()
            };
            let layout = layout(id, false).expect("layout");
            assert_eq!(found(&[]), [], "{id}");
            for place in layout.opt_outs {
                assert_eq!(found(&[(*place, 1)]), [Detail::UsOptOut], "{id}");
                assert_eq!(found(&[(*place, 2)]), [], "{id}: did not opt out");
                assert_eq!(found(&[(*place, 3)]), [Detail::GppSectionUnreadable], "{id}");
            }
            for place in layout.notices {
                assert_eq!(found(&[(*place, 1)]), [], "{id}");
                assert_eq!(found(&[(*place, 2)]), [Detail::UsNotice], "{id}");
            }
            for nth in 0..layout.children.1 {
                assert_eq!(found(&[(layout.children.0 + 2 * nth, 1)]), [Detail::UsChild], "{id}");
            }
            let (place, mode) = layout.service.expect("mode");
            assert_eq!(found(&[(place, mode)]), [Detail::UsServiceProvider], "{id}");
            assert_eq!(found(&[(4, 3)]), [Detail::GppSectionUnreadable], "{id}: another version");
        }
        for unknown in [-1, 0, 1, 5, 6, 28, 1_000] {
            assert_eq!(section(unknown, "BAAAAAAAAA"), Findings::of(Detail::GppSectionUnreadable));
        }
    }

    #[test]
    fn a_national_section_that_is_filled_up_with_zeros_is_still_of_the_first_version() {
        let (child, provider) = (written(&[(48, 1)]), written(&[(58, 1)]));
        for (text, found) in [(child, Detail::UsChild), (provider, Detail::UsServiceProvider)] {
            assert!(section(7, &text).contains(found));
            for zeros in ["A", "AA", "AAAAAA", "AA=="] {
                assert!(section(7, &format!("{text}{zeros}")).contains(found), "{text}{zeros}");
            }
        }
        // Of the second version, what stands there is sensitive data, and says nothing of children.
        let wide = format!("{}BA", written(&[(48, 1)]));
        assert_eq!(section(7, &wide), Findings::NONE);
    }

    #[test]
    fn the_later_sections_may_have_a_header_before_their_values() {
        for id in 24..=LAST {
            let core = written(&[(16, 1)]);
            let letter = char::from(b"YZab"[(id - 24) as usize]);
            for (text, found) in [
                (format!("{letter}BABw.{core}"), Findings::of(Detail::UsOptOut)),
                (format!("{letter}CABw.{core}"), Findings::of(Detail::GppSectionUnreadable)),
                (format!("{letter}BABw"), Findings::of(Detail::GppSectionUnreadable)),
                (core, Findings::of(Detail::UsOptOut)),
            ] {
                assert_eq!(section(id, &text), found, "{id} {text}");
            }
        }
    }

    #[test]
    fn a_us_privacy_string_opts_out_by_its_third_character() {
        for (text, found) in [
            ("1YNN", vec![]),
            ("1YNY", vec![]),
            ("1---", vec![]),
            ("1ynn", vec![]),
            ("1YYN", vec![Detail::UsOptOut]),
            ("1NYN", vec![Detail::UsOptOut, Detail::UsNotice]),
            ("1NNN", vec![Detail::UsNotice]),
            ("2YNN", vec![Detail::UsPrivacyUnreadable]),
            ("1YN", vec![Detail::UsPrivacyUnreadable]),
            ("1YNNN", vec![Detail::UsPrivacyUnreadable]),
            ("1YXN", vec![Detail::UsPrivacyUnreadable]),
            ("", vec![Detail::UsPrivacyUnreadable]),
        ] {
            assert_eq!(privacy(text).iter().collect::<Vec<Detail>>(), found, "{text}");
        }
    }
}
