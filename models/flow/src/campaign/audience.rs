//! Whom a campaign is for.

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::Micros;

use super::mistake::Mistakes;
use super::name::is_name;
use super::strategy::LTV_MAX;

/// Bands of one audience.
pub const BANDS_MAX: usize = 16;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Audience {
    #[default]
    Everybody,
    /// People whose predicted lifetime value is within one of the bands.
    Ltv {
        bands: Vec<Band>,
        /// Whether people of whom no LTV is known belong to it.
        #[serde(default)]
        unknown: bool,
    },
    /// People of a named cohort.
    Cohort { name: String },
}

/// `at_least ≤ LTV < below`, in the campaign's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    pub at_least: Micros,
    /// `None`: no upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Micros>,
}

impl Band {
    pub fn holds(&self, ltv: Micros) -> bool {
        self.at_least <= ltv && self.below.is_none_or(|below| ltv < below)
    }
}

impl Audience {
    pub fn is_everybody(&self) -> bool {
        *self == Audience::Everybody
    }

    /// `ltv`: in the campaign's currency; `cohorts`: those that the person is in.
    pub fn holds(&self, ltv: Option<Micros>, mut in_cohort: impl FnMut(&str) -> bool) -> bool {
        match self {
            Audience::Everybody => true,
            Audience::Ltv { bands, unknown } => match ltv {
                Some(ltv) => bands.iter().any(|band| band.holds(ltv)),
                None => *unknown,
            },
            Audience::Cohort { name } => in_cohort(name),
        }
    }

    pub(super) fn check(&self, path: &str, wrong: &mut Mistakes) {
        match self {
            Audience::Everybody => {}
            Audience::Ltv { bands, .. } => {
                let fits = (1..=BANDS_MAX).contains(&bands.len());
                wrong.unless(fits, &format!("{path}.ltv.bands"), "are not 1 to 16");
                for (i, band) in bands.iter().enumerate().take(BANDS_MAX) {
                    let most = band.below.unwrap_or(LTV_MAX);
                    let fits =
                        Micros::ZERO <= band.at_least && band.at_least < most && most <= LTV_MAX;
                    let why = "is not 0 ≤ at_least < below ≤ one billion";
                    wrong.unless(fits, &format!("{path}.ltv.bands[{i}]"), why);
                }
            }
            Audience::Cohort { name } => {
                let why = "is not 1 to 128 letters, digits, _, - and .";
                wrong.unless(is_name(name), &format!("{path}.cohort.name"), why);
            }
        }
    }
}
