//! Whom a campaign is for.

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::Micros;

use super::mistake::Mistakes;
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
    /// Customers of a cohort: see [`Cohort`].
    Cohort { name: String },
}

/// The month of a customer's first purchase, in UTC. Written `cohort_jan_2026`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cohort {
    year: i16,
    /// From 1.
    month: i8,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl Cohort {
    /// `None`: there is no such month, or it is before 1900 or after 2199.
    pub fn new(year: i16, month: i8) -> Option<Cohort> {
        let fits = (1900..=2199).contains(&year) && (1..=12).contains(&month);
        fits.then_some(Cohort { year, month })
    }

    /// The cohort of who bought first on this day.
    pub fn of(date: jiff::civil::Date) -> Option<Cohort> {
        Cohort::new(date.year(), date.month())
    }

    pub fn parse(name: &str) -> Option<Cohort> {
        let (month, year) = name.strip_prefix("cohort_")?.split_once('_')?;
        let month = MONTHS.iter().position(|known| *known == month)?;
        let digits = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
        let year = year.parse().ok().filter(|_| digits)?;
        Cohort::new(year, i8::try_from(month + 1).ok()?)
    }
}

impl std::fmt::Display for Cohort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let month = usize::try_from(self.month - 1).ok().and_then(|at| MONTHS.get(at));
        write!(f, "cohort_{}_{}", month.unwrap_or(&"-"), self.year)
    }
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

    /// The cohort that it is for.
    pub fn cohort(&self) -> Option<Cohort> {
        match self {
            Audience::Cohort { name } => Cohort::parse(name),
            Audience::Everybody | Audience::Ltv { .. } => None,
        }
    }

    /// `ltv`: in the campaign's currency; `cohort`: that which the person is in.
    pub fn holds(&self, ltv: Option<Micros>, cohort: Option<Cohort>) -> bool {
        match self {
            Audience::Everybody => true,
            Audience::Ltv { bands, unknown } => match ltv {
                Some(ltv) => bands.iter().any(|band| band.holds(ltv)),
                None => *unknown,
            },
            // A name that is none is nobody's.
            Audience::Cohort { name } => Cohort::parse(name).is_some_and(|it| cohort == Some(it)),
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
                let why = "is not cohort_<month>_<year>, the month of the first purchase: cohort_jan_2026";
                let known = Cohort::parse(name).is_some();
                wrong.unless(known, &format!("{path}.cohort.name"), why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cohort_is_a_month_and_no_other_name_is_one() {
        for name in ["cohort_jan_2026", "cohort_dec_1999", "cohort_may_1900"] {
            let cohort = Cohort::parse(name).expect(name);
            assert_eq!(cohort.to_string(), name);
            let holds = |it| Audience::Cohort { name: name.to_owned() }.holds(None, it);
            assert!(holds(Some(cohort)) && !holds(None) && !holds(Cohort::new(2026, 2)));
        }
        for name in [
            "",
            "new",
            "cohort_jan",
            "cohort_Jan_2026",
            "cohort_jan_26",
            "cohort_jan_+026",
            "cohort_13_2026",
            "cohort_jan_2200",
            "cohort_jan_2026_",
        ] {
            assert_eq!(Cohort::parse(name), None, "{name}");
            let mut wrong = Mistakes::default();
            Audience::Cohort { name: name.to_owned() }.check("targeting.audience", &mut wrong);
            assert!(!wrong.is_empty(), "{name}");
        }
        assert_eq!(Cohort::of(jiff::civil::date(2026, 1, 31)), Cohort::parse("cohort_jan_2026"));
    }
}
