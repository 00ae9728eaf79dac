//! Customer lifetime value: the margin on what is to be spent, less what waiting for it costs.

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::gamma_gamma::{GammaGamma, Spender};
use super::history::{BadHistory, History, Horizon};
use super::model::CountModel;
use super::spend::Spend;

/// Most periods of one value: a century of weeks.
pub const PERIODS_MAX: f64 = 5_200.0;

/// What a later unit of money is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discount {
    /// As much.
    None,
    /// `(1 + rate)^-k` at the end of the k-th period, in which it comes.
    PerPeriod(f64),
    /// `e^(-rate t)` at the time `t`, in units of time; spread evenly within a period.
    Continuous(f64),
}

/// How a lifetime value is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TermsJson")]
pub struct Terms {
    horizon: Horizon,
    period: f64,
    discount: Discount,
    margin: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermsJson {
    horizon: f64,
    period: f64,
    discount: Discount,
    margin: f64,
}

/// Terms that are none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadTerms {
    #[error(transparent)]
    Horizon(#[from] BadHistory),
    #[error("a period of {0} is not above 0, or the horizon has more than 5200 of them")]
    Period(f64),
    #[error("a rate of {0} is not between 0 and 100")]
    Rate(f64),
    #[error("a margin of {0} is not between 0 and 1")]
    Margin(f64),
}

impl TryFrom<TermsJson> for Terms {
    type Error = BadTerms;

    fn try_from(json: TermsJson) -> Result<Terms, BadTerms> {
        Terms::new(Horizon::new(json.horizon)?, json.period, json.discount, json.margin)
    }
}

impl Terms {
    /// `period` in units of time; `margin` is the part of the spend that is kept, from 0 to 1.
    pub fn new(
        horizon: Horizon,
        period: f64,
        discount: Discount,
        margin: f64,
    ) -> Result<Terms, BadTerms> {
        // Neither holds for NaN.
        let fits = period > 0.0 && horizon.time() / period <= PERIODS_MAX;
        if !fits {
            return Err(BadTerms::Period(period));
        }
        if let Discount::PerPeriod(rate) | Discount::Continuous(rate) = discount
            && !(0.0..=100.0).contains(&rate)
        {
            return Err(BadTerms::Rate(rate));
        }
        if !(0.0..=1.0).contains(&margin) {
            return Err(BadTerms::Margin(margin));
        }
        Ok(Terms { horizon, period, discount, margin })
    }

    /// Worth now of a unit that comes between two times of one period.
    fn factor(&self, from: f64, to: f64) -> f64 {
        match self.discount {
            Discount::None => 1.0,
            Discount::PerPeriod(rate) => (-(to / self.period).ceil() * rate.ln_1p()).exp(),
            Discount::Continuous(rate) => {
                let spread = rate * (to - from);
                let within = if spread < 1e-9 { 1.0 } else { -(-spread).exp_m1() / spread };
                (-rate * from).exp() * within
            }
        }
    }
}

/// What a customer is worth within the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worth {
    /// Expected purchases.
    pub purchases: f64,
    /// The same, each by what it is worth now.
    pub discounted: f64,
    /// Expected spend per purchase, in units of the currency.
    pub spend: f64,
    /// `margin · discounted · spend`, in units of the currency.
    pub value: f64,
}

/// Expected purchases, each by what it is worth now: the sum of the increments of
/// [`CountModel::expected`] over the periods (Fader, Hardie & Lee 2005, "RFM and CLV").
/// Not more than `expected` over the horizon, and equal to it without a discount.
pub fn discounted<M: CountModel>(model: &M, of: &History, terms: &Terms) -> f64 {
    let expected = |time: f64| Horizon::new(time).map_or(0.0, |ahead| model.expected(of, ahead));
    if terms.discount == Discount::None {
        return model.expected(of, terms.horizon);
    }
    let (end, mut from, mut before, mut sum) = (terms.horizon.time(), 0.0, 0.0, 0.0);
    let mut k = 1.0;
    while from < end {
        let to = (k * terms.period).min(end);
        let until = expected(to).max(before);
        sum += (until - before) * terms.factor(from, to);
        (from, before, k) = (to, until, k + 1.0);
    }
    sum
}

/// The expected value. None where the mean spend is infinite ([`GammaGamma::mean`]).
pub fn worth<M: CountModel>(
    model: &M,
    amounts: &GammaGamma,
    of: &History,
    spender: Option<&Spender>,
    terms: &Terms,
) -> Option<Worth> {
    let spend = amounts.mean(spender)?;
    let discounted = discounted(model, of, terms);
    let purchases = model.expected(of, terms.horizon);
    Some(Worth { purchases, discounted, spend, value: terms.margin * discounted * spend })
}

/// The values between which the truth lies with a probability of `coverage`, half of the rest to either
/// side, given the parameters. The spend's own interval ([`Spend`]), times the margin and the mean
/// discount of this customer's purchases: when in the horizon they come is taken at its mean.
pub fn interval<M: CountModel>(
    model: &M,
    amounts: &GammaGamma,
    of: &History,
    spender: Option<&Spender>,
    terms: &Terms,
    coverage: f64,
) -> (f64, f64) {
    let counts = Counts { model, of: *of, ahead: terms.horizon };
    let (low, high) = Spend::new(&counts, amounts, spender).interval(coverage);
    let purchases = model.expected(of, terms.horizon);
    let now = if purchases > 0.0 { discounted(model, of, terms) / purchases } else { 1.0 };
    let scale = terms.margin * now.clamp(0.0, 1.0);
    (low * scale, high * scale)
}
