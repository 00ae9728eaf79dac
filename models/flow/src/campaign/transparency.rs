//! Whom an ad is for, who pays, and what of a person it was chosen by: what the Digital Services Act (EU 2022/2065,
//! article 26) has shown beside it (IAB Tech Lab, "DSA Transparency" for OpenRTB).

use serde::{Deserialize, Serialize};

use super::mistake::Mistakes;
use super::name::is_domain;
use crate::opportunity::{Disclosure, Need, Rendering};

/// Characters of a name that is shown.
const NAME_CHARS_MAX: usize = 100;
/// User parameters: 1 profiling, 2 basic advertising, 3 precise location.
const PARAMS: std::ops::RangeInclusive<u8> = 1..=3;

/// What a campaign tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transparency {
    /// On whose behalf it is shown.
    pub behalf: String,
    /// Who pays for it; `None`: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<String>,
    /// What of a person its targeting uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<u8>,
    /// Of who uses it; `None`: the advertiser's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Its creatives show all of this themselves.
    #[serde(default)]
    pub rendered: bool,
}

/// What a bid says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whom it is for, who pays and by what it was chosen is among it.
    pub names: bool,
    /// The ad shows it.
    pub renders: bool,
}

impl Transparency {
    pub(super) fn check(&self, wrong: &mut Mistakes) {
        let name = |text: &str| {
            (1..=NAME_CHARS_MAX).contains(&text.chars().count())
                && !text.chars().any(char::is_control)
                && !text.trim().is_empty()
        };
        let why = "is not 1 to 100 characters";
        wrong.unless(name(&self.behalf), "transparency.behalf", why);
        wrong.unless(self.paid.as_deref().is_none_or(name), "transparency.paid", why);
        let known = |at: usize, param: &u8| {
            PARAMS.contains(param) && !self.params.iter().take(at).any(|other| other == param)
        };
        let params = self.params.iter().enumerate().all(|(at, param)| known(at, param));
        wrong.unless(params, "transparency.params", "are not among 1, 2 and 3, each once");
        let domain = self.domain.as_deref().is_none_or(is_domain);
        wrong.unless(domain, "transparency.domain", "is not a domain in lower case");
    }

    /// Who pays.
    pub fn paid(&self) -> &str {
        self.paid.as_deref().unwrap_or(&self.behalf)
    }
}

/// What a bid says where this is asked; `None`: nothing. `rendered`: the ad shows it itself; `None`: the campaign
/// tells nothing.
pub fn told(rendered: Option<bool>, wanted: Disclosure) -> Option<Told> {
    let rendered = rendered?;
    let renders = match wanted.rendering {
        // Nobody would show it.
        Rendering::Never if !rendered => return None,
        Rendering::Never => true,
        Rendering::Open => rendered,
        // Both of us would.
        Rendering::Always => false,
    };
    let asked = wanted.need != Need::None;
    asked.then_some(Told { names: wanted.data || !renders, renders })
}

/// Whether a campaign can be shown where this is asked.
pub fn admits(rendered: Option<bool>, wanted: Disclosure) -> bool {
    wanted.need != Need::Needed || told(rendered, wanted).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::definition::Definition;
    use super::super::patch::merge;
    use super::super::tests::SMALL;
    use super::*;

    const NEEDS: [Need; 3] = [Need::None, Need::Welcome, Need::Needed];
    const RENDERINGS: [Rendering; 3] = [Rendering::Never, Rendering::Open, Rendering::Always];

    fn each() -> impl Iterator<Item = Disclosure> {
        NEEDS.into_iter().flat_map(|need| {
            RENDERINGS.into_iter().flat_map(move |rendering| {
                [true, false].map(|data| Disclosure { need, rendering, data })
            })
        })
    }

    #[test]
    fn where_it_is_needed_only_who_tells_it_is_shown_and_elsewhere_everybody() {
        for wanted in each() {
            let needed = wanted.need == Need::Needed;
            assert_eq!(admits(None, wanted), !needed, "{wanted:?}");
            assert!(admits(Some(true), wanted), "{wanted:?}");
            let nobody = needed && wanted.rendering == Rendering::Never;
            assert_eq!(admits(Some(false), wanted), !nobody, "{wanted:?}");
        }
    }

    #[test]
    fn it_is_told_where_it_is_asked_and_one_of_both_shows_it() {
        for wanted in each() {
            for rendered in [None, Some(false), Some(true)] {
                let Some(told) = told(rendered, wanted) else {
                    let asked = wanted.need != Need::None && rendered.is_some();
                    let nobody = wanted.rendering == Rendering::Never && rendered != Some(true);
                    assert!(!asked || nobody, "{wanted:?} {rendered:?}");
                    continue;
                };
                assert!(wanted.need != Need::None && rendered.is_some());
                match wanted.rendering {
                    Rendering::Never => assert!(told.renders),
                    Rendering::Open => assert_eq!(Some(told.renders), rendered),
                    Rendering::Always => assert!(!told.renders),
                }
                // Whoever is to show it has to be told it.
                assert!(told.names || (told.renders && !wanted.data));
            }
        }
    }

    #[test]
    fn a_definition_may_tell_it_and_every_bound_is_checked() {
        let read = |patch: &str| Definition::read(&merge(SMALL, patch).expect("merged"));
        let it = read(r#"{"transparency": {"behalf": "Acme", "params": [1, 3]}}"#);
        let it = it.expect("a definition").transparency.expect("told");
        assert_eq!((it.paid(), it.rendered, &it.params[..]), ("Acme", false, &[1, 3][..]));
        let long = "x".repeat(101);
        for (field, value) in [
            ("behalf", "\"\"".to_owned()),
            ("behalf", format!("{long:?}")),
            ("paid", format!("{long:?}")),
            ("params", "[4]".to_owned()),
            ("params", "[1, 1]".to_owned()),
            ("domain", "\"Acme\"".to_owned()),
            ("colour", "1".to_owned()),
        ] {
            let patch = match field {
                "behalf" => format!(r#"{{"transparency": {{"behalf": {value}}}}}"#),
                _ => format!(r#"{{"transparency": {{"behalf": "Acme", "{field}": {value}}}}}"#),
            };
            let wrong = read(&patch).expect_err("a mistake");
            assert!(wrong.names(&format!("transparency.{field}")), "{patch}: {wrong}");
        }
        let wrong = read(r#"{"transparency": {"paid": "Acme"}}"#).expect_err("a mistake");
        assert!(wrong.names("transparency.behalf"), "{wrong}");
    }
}
