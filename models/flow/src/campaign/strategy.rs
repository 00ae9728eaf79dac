//! What an impression is worth to a campaign, and the most that it bids.

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::{Micros, UNIT};

use super::mistake::Mistakes;

/// The most that is bid for a thousand impressions, whoever asks: 10,000 units. More is a mistake.
pub const CPM_MAX: Micros = Micros(10_000 * UNIT);
/// Beyond this no return on ad spend is asked for.
pub const ROAS_MAX: f64 = 1_000.0;
/// Micros of the impression's value beyond which nothing is counted.
pub const VALUE_MAX: f64 = 1e15;

/// How a campaign bids. Amounts are in its currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Strategy {
    /// Every impression is worth the same: `cpm / 1000`.
    MaxCpm { cpm: Micros },
    /// An impression is worth what the person is expected to bring: see [`Worth`].
    TargetValue(Worth),
    /// The same, and all impressions together bring at least `roas` times what they cost.
    RoasFloor { roas: f64, worth: Worth },
}

/// The value of an impression from the value of the person who sees it:
///
/// ```text
/// v = LTV · p · e      [micros/impression] = [micros/customer] · [customers/impression] · [1]
/// e = 1 + w · (2 s − 1)
/// ```
///
/// with LTV the person's predicted lifetime value (over the model's horizon) in the campaign's currency, `p`
/// the customers won by one impression, `s` the person's engagement score within 0..=1 (where it is not
/// known, 1/2) and `w` the weight of it, so that `e` is within 1−w..=1+w. The expectation of what an impression
/// brings, as in Zhang, Yuan & Wang, "Optimal Real-Time Bidding for Display Advertising" (KDD 2014), §3, with
/// the conversion's worth in place of the click's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worth {
    /// Customers won by one impression, above 0 and at most 1. Learned rates of the bands go before it.
    pub conversion_rate: f64,
    /// `w`, 0..=1.
    #[serde(default)]
    pub engagement_weight: f64,
    /// The LTV of people of whom none is known; `None`: no bid for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_ltv: Option<Micros>,
    /// The most that is bid for a thousand, whatever they are worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cpm: Option<Micros>,
}

/// What is known of the person.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Known {
    /// In the campaign's currency.
    pub ltv: Option<Micros>,
    /// 0..=1.
    pub engagement: Option<f64>,
    /// Customers per impression as learned for people like this one.
    pub conversion_rate: Option<f64>,
}

impl Worth {
    /// Micros an impression; `None` where the LTV is needed and not known, or where nothing sensible comes
    /// out.
    pub fn value(&self, known: Known) -> Option<f64> {
        let ltv = known.ltv.or(self.unknown_ltv)?;
        let rate = known.conversion_rate.unwrap_or(self.conversion_rate);
        let score = known.engagement.unwrap_or(0.5).clamp(0.0, 1.0);
        let engagement = 1.0 + self.engagement_weight * (2.0 * score - 1.0);
        let value = ltv.0 as f64 * rate * engagement;
        (value.is_finite() && value >= 0.0).then_some(value.min(VALUE_MAX))
    }
}

impl Strategy {
    pub fn name(&self) -> &'static str {
        match self {
            Strategy::MaxCpm { .. } => "max_cpm",
            Strategy::TargetValue { .. } => "target_value",
            Strategy::RoasFloor { .. } => "roas_floor",
        }
    }

    pub fn worth(&self) -> Option<&Worth> {
        match self {
            Strategy::MaxCpm { .. } => None,
            Strategy::TargetValue(worth) | Strategy::RoasFloor { worth, .. } => Some(worth),
        }
    }

    /// Micros an impression.
    pub fn value(&self, known: Known) -> Option<f64> {
        match self {
            Strategy::MaxCpm { cpm } => Some(cpm.0 as f64 / 1_000.0),
            _ => self.worth()?.value(known),
        }
    }

    /// The return that is asked for: value over spend.
    pub fn roas(&self) -> Option<f64> {
        match self {
            Strategy::RoasFloor { roas, .. } => Some(*roas),
            _ => None,
        }
    }

    /// The most that is bid for a thousand.
    pub fn cpm_max(&self) -> Micros {
        match self {
            Strategy::MaxCpm { cpm } => *cpm,
            Strategy::TargetValue(worth) | Strategy::RoasFloor { worth, .. } => {
                worth.max_cpm.unwrap_or(CPM_MAX).min(CPM_MAX)
            }
        }
    }

    pub(super) fn check(&self, wrong: &mut Mistakes) {
        let path = format!("strategy.{}", self.name());
        let cpm = |cpm: Micros| Micros::ZERO < cpm && cpm <= CPM_MAX;
        let cpm_why = "is not above 0 and at most 10000";
        if let Strategy::MaxCpm { cpm: most } = self {
            wrong.unless(cpm(*most), &format!("{path}.cpm"), cpm_why);
        }
        if let Strategy::RoasFloor { roas, .. } = self {
            let fits = *roas > 0.0 && *roas <= ROAS_MAX;
            wrong.unless(fits, &format!("{path}.roas"), "is not above 0 and at most 1000");
        }
        let Some(worth) = self.worth() else { return };
        let path = match self {
            Strategy::RoasFloor { .. } => format!("{path}.worth"),
            _ => path,
        };
        let rate = worth.conversion_rate;
        let why = "is not above 0 and at most 1";
        wrong.unless(rate > 0.0 && rate <= 1.0, &format!("{path}.conversion_rate"), why);
        let weight = (0.0..=1.0).contains(&worth.engagement_weight);
        wrong.unless(weight, &format!("{path}.engagement_weight"), "is not within 0 to 1");
        let ltv = worth.unknown_ltv.is_none_or(|ltv| Micros::ZERO <= ltv && ltv <= LTV_MAX);
        wrong.unless(ltv, &format!("{path}.unknown_ltv"), "is not within 0 to one billion");
        wrong.unless(worth.max_cpm.is_none_or(cpm), &format!("{path}.max_cpm"), cpm_why);
    }
}

/// The largest LTV that is looked at.
pub const LTV_MAX: Micros = Micros(kiki_models::shield::money::AMOUNT_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    const WORTH: Worth =
        Worth { conversion_rate: 0.002, engagement_weight: 0.5, unknown_ltv: None, max_cpm: None };

    #[test]
    fn value_is_ltv_times_rate_times_engagement() {
        let ltv = Some(Micros(500 * UNIT));
        let value = |engagement| WORTH.value(Known { ltv, engagement, conversion_rate: None });
        // 500 units × 0.002 = 1 unit an impression
        assert_eq!(value(None), Some(1_000_000.0));
        assert_eq!(value(Some(1.0)), Some(1_500_000.0));
        assert_eq!(value(Some(0.0)), Some(500_000.0));
        assert_eq!(value(Some(f64::NAN)), None);
        let learned = Known { ltv, engagement: None, conversion_rate: Some(0.01) };
        assert_eq!(WORTH.value(learned), Some(5_000_000.0));
    }

    #[test]
    fn without_ltv_nothing_is_worth_anything_unless_the_campaign_says_what() {
        assert_eq!(WORTH.value(Known::default()), None);
        let bold = Worth { unknown_ltv: Some(Micros(UNIT)), ..WORTH };
        assert_eq!(bold.value(Known::default()), Some(2_000.0));
        assert_eq!(Strategy::MaxCpm { cpm: Micros(UNIT) }.value(Known::default()), Some(1_000.0));
    }
}
