//! What may be done with a request, by what it says about consent: bid at all, and use personal data.
//!
//! In doubt the stricter reading holds: what cannot be read, is not known here or contradicts itself
//! counts as a no. GDPR without the consent that every bid needs leaves no bid; everything else leaves a
//! contextual one.

mod bits;
pub mod detail;
pub mod gdpr;
pub mod gpp;
pub mod signals;
#[cfg(test)]
mod tests;
mod us;

use kiki_models::shield::tcf::sets::Numbers;

use crate::reason::Reason;

use self::detail::{Detail, Findings};
use self::gdpr::purposes;
use self::gpp::Gpp;
use self::signals::Signals;

/// When the GDPR is taken to apply where a request does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsaid {
    Applies,
    /// In the European Economic Area and the United Kingdom, where the country's code is none, and where there
    /// is a TC string but no country.
    #[default]
    ByCountry,
    DoesNotApply,
}

/// What this installation needs and has declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its id in the IAB's Global Vendor List. Without one there is no bid where the GDPR applies.
    pub vendor: Option<u16>,
    /// Purposes of the TCF that every bid needs.
    pub basic: Numbers,
    /// Purposes that the use of personal data needs beside them.
    pub personal: Numbers,
    /// Purposes for which a legitimate interest is declared.
    pub interests: Numbers,
    pub unsaid: Unsaid,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            vendor: None,
            // Store and access, limited data to select, measure, develop.
            basic: purposes(&[1, 2, 7, 10]),
            // Create and use profiles for personalised advertising.
            personal: purposes(&[3, 4]),
            interests: Numbers::from_bits(0),
            unsaid: Unsaid::default(),
        }
    }
}

/// What may be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permits {
    /// May anything be bid, if only by context?
    pub bid: Result<(), Reason>,
    /// May personal data be used: ids, audiences, caps per person, the town?
    pub personal: bool,
    /// Directed at children: only campaigns that are meant for it.
    pub coppa: bool,
    /// Why not.
    pub findings: Findings,
}

impl Permits {
    pub fn of(signals: &Signals<'_>, terms: &Terms) -> Permits {
        let mut findings = Findings::default();
        findings.add_if(signals.coppa, Detail::Coppa);
        findings.add_if(signals.limited, Detail::Limited);
        findings.add_if(signals.privacy_control, Detail::UsPrivacyControl);
        if let Some(text) = signals.us_privacy {
            findings.add(us::privacy(text));
        }
        let gpp = match signals.gpp.map(Gpp::parse) {
            Some(Ok(gpp)) => gpp,
            Some(Err(_)) => {
                findings.add(Findings::of(Detail::GppUnreadable));
                Gpp::default()
            }
            None => Gpp::default(),
        };
        // Sections in force; where that is not told, all there are.
        let named = &signals.gpp_sections;
        let told = !named.is_empty() && !named.contains(&0);
        let mut europe = false;
        let mut seen = 0_u64;
        let mut section = |id: i64| {
            // A list may name one a thousand times.
            let bit = u32::try_from(id).ok().and_then(|id| 1_u64.checked_shl(id)).unwrap_or(0);
            let again = seen & bit != 0;
            seen |= bit;
            if again {
                return;
            }
            match id {
                -1 => {}
                // 1 is what the first version of the TCF had: nothing reads it any more.
                1 | 2 => europe = true,
                6 => match gpp.section(id) {
                    Some(text) => findings.add(us::privacy(text)),
                    None => findings.add(Findings::of(Detail::GppSectionMissing)),
                },
                us::FIRST..=us::LAST => match gpp.section(id) {
                    Some(text) => findings.add(us::section(id, text)),
                    None => findings.add(Findings::of(Detail::GppSectionMissing)),
                },
                _ => findings.add(Findings::of(Detail::GppSectionUnknown)),
            }
        };
        match told {
            true => named.iter().copied().for_each(&mut section),
            false => gpp.ids().for_each(&mut section),
        }
        let applies = match signals.gdpr {
            // Where two signals contradict each other, the one that protects counts.
            Some(applies) => applies || (europe && told),
            None => europe || unsaid(signals, terms),
        };
        if applies {
            let section = gpp.section(2);
            findings.add(gdpr::read(signals.consent.or(section), terms));
            // Two strings that are not the same: both have to allow it.
            if europe
                && signals.consent.is_some()
                && section.is_some()
                && signals.consent != section
            {
                findings.add(gdpr::read(section, terms));
            }
        }
        let refused = findings.iter().any(|detail| detail.refuses().is_some());
        Permits {
            bid: if refused { Err(Reason::Consent) } else { Ok(()) },
            personal: findings.is_empty(),
            coppa: signals.coppa,
            findings,
        }
    }
}

impl Permits {
    /// Why nothing may be bid, in words; empty where something may be.
    pub fn why(&self) -> String {
        let words: Vec<&str> = self.findings.iter().filter_map(Detail::refuses).collect();
        words.join("; ")
    }
}

fn unsaid(signals: &Signals<'_>, terms: &Terms) -> bool {
    match terms.unsaid {
        Unsaid::Applies => true,
        Unsaid::DoesNotApply => false,
        Unsaid::ByCountry => match signals.country {
            Some(country) => gdpr::may_be_there(country),
            None => signals.consent.is_some(),
        },
    }
}
