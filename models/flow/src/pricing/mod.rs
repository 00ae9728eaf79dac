//! What to bid, given what an impression is worth, how scarce the budget is and how often bids win.

mod curve;
mod grid;
mod learner;
#[cfg(test)]
mod tests;

use crate::pacing::Multipliers;
use crate::reason::Reason;

pub use curve::WinCurve;
pub use learner::{Outcome, WinLearner};

/// What is asked for a price. Amounts are micros of the campaign's currency for one impression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// What the impression is worth, in money (or in any unit, where the multipliers are learned).
    pub value: f64,
    /// Whether a win pays its own bid; else it pays the best of the others.
    pub first_price: bool,
    /// The least that is taken; 0 where there is none.
    pub floor: f64,
    /// The most that may be bid: the campaign's own limit, and what the budget has left.
    pub max_bid: Option<f64>,
}

/// A price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Priced {
    /// What to bid.
    pub bid: f64,
    /// What the impression is worth once the budget and the ROAS floor are weighed: the most that a bid may
    /// be. In a second-price auction it is the bid.
    pub worth: f64,
    /// Probability to win at this bid; `None`: nothing is known of prices.
    pub win: Option<f64>,
    /// Expected worth less expected cost: what a campaign's own choices are compared by. Those of several
    /// campaigns are by [`rank`].
    pub surplus: f64,
}

/// Where nothing is known of prices: the share of the worth that is bid where a win pays its bid. The best
/// answer to a price that is uniform up to the worth.
const SHADE_PRIOR: f64 = 0.5;

/// ln of how far a first-price bid goes beside the best one, either way. Wins and losses at one bid tell the
/// curve at that bid and not its slope: without bids beside it, an estimate that has a kink there would keep
/// it. What this costs is of second order, as the surplus is flat at its maximum.
const EXPLORE: f64 = 0.15;

/// −1 to 1, evenly spread, by the worth: the same for the same question, another one for each of the
/// multiplier's moves (the finaliser of SplitMix64, Steele, Lea and Flood 2014).
fn spread(worth: f64) -> f64 {
    let mut z = worth.to_bits().wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let unit = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
    2.0 * unit - 1.0
}

/// What bids of several campaigns on one impression are ranked by, for a worth of at least the floor: the root of
/// the best expected surplus where the price is uniform, `max (w − b) b` where a win pays its bid and
/// `∫₀ᵗ (w − max(p, floor)) dp` up to the top t where it pays the price, in the unit of the worth.
///
/// No learned curve has a say. They bid on the same impression, so one G holds for all of them, and for any G
/// `max (w − b) G(b)` rises with w (the envelope theorem: its slope is G at the best bid, and not below 0): who
/// values it more gains more, whatever prices are. Each one's own estimate of G would only set the luck of
/// its outcomes against that of others, and who is outbid has no outcomes to mend his by. The price stands
/// in for G where bids differ in more than their worth: in what they may bid, or as a deal has a price of its own.
pub fn rank(worth: f64, quote: &Quote) -> f64 {
    let floor = quote.floor.max(0.0);
    let top = worth.min(quote.max_bid.unwrap_or(f64::INFINITY)).max(floor);
    let gain = if quote.first_price {
        let bid = (worth / 2.0).clamp(floor, top);
        (worth - bid) * bid
    } else {
        worth * top - (top * top + floor * floor) / 2.0
    };
    gain.max(0.0).sqrt()
}

/// What an impression is worth once the budget and the ROAS floor are weighed, as [`price`] has it: it may be no number
/// where the multipliers are none.
pub fn worth(value: f64, multipliers: &Multipliers) -> f64 {
    let Multipliers { mu, lambda, .. } = *multipliers;
    value * (1.0 + lambda) / (mu + lambda)
}

/// Prices an impression.
///
/// The worth is `w = value (1 + λ) / (μ + λ)`: with λ = 0 the bid of a budgeted bidder in the dual
/// (Balseiro, Lu and Mirrokni, "The best of many worlds: dual mirror descent for online allocation
/// problems", 2020, §2: value over the price of money); with μ ≥ 1 nothing is bid above its value; with λ as
/// the ROAS floor has it (Feng, Padmanabhan and Wang, "Online bidding algorithms for return-on-spend
/// constrained advertisers", 2022, algorithm 1).
///
/// Second price: `b = w`, which is truthful. First price: `b = argmax (w − b) G(b)`, the same as
/// `argmax (v − b) G(b) − λ b G(b)` with `w = v / (1 + λ)` but for a factor (Balseiro et al. 2021,
/// "Contextual standard auctions with budgets", §3; shading by a win curve as Pan et al., "Bid shading by
/// win-rate estimation and surplus maximization", 2020).
///
/// Both stay within `floor` and `max_bid`. Refuses with [`Reason::BelowFloor`] where the worth is less than
/// the floor, and with [`Reason::PriceBounds`] where there is no bid above 0 or `max_bid` is below the
/// floor. Never not a number, whatever comes in.
pub fn price(quote: &Quote, multipliers: &Multipliers, curve: &WinCurve) -> Result<Priced, Reason> {
    let Multipliers { mu, lambda, .. } = *multipliers;
    let worth = worth(quote.value, multipliers);
    let floor = if quote.floor.is_nan() { f64::INFINITY } else { quote.floor.max(0.0) };
    let most = quote.max_bid.unwrap_or(f64::INFINITY);
    // `is_finite` also refuses what a multiplier of 0 or one that is none leads to.
    // The scale of a curve is that of a value above 0.
    let sound = worth.is_finite() && worth > 0.0 && mu + lambda > 0.0 && quote.value > 0.0;
    if !sound || most.is_nan() {
        return Err(Reason::PriceBounds);
    }
    if worth < floor {
        return Err(Reason::BelowFloor);
    }
    if most < floor || most <= 0.0 {
        return Err(Reason::PriceBounds);
    }
    let top = worth.min(most);
    if quote.first_price {
        let scale = curve.scale(quote.value);
        let shaded = curve.shade(worth / scale, floor / scale, top / scale).map(|b| b * scale);
        let explored = shaded.unwrap_or(worth * SHADE_PRIOR) * (EXPLORE * spread(worth)).exp();
        let bid = explored.clamp(floor, top);
        if bid <= 0.0 {
            return Err(Reason::PriceBounds);
        }
        let win = curve.win(bid, quote.value);
        // Without a curve: the price is uniform up to the worth, as the shading has it.
        let surplus = (worth - bid) * win.unwrap_or(bid / worth);
        return Ok(Priced { bid, worth, win, surplus });
    }
    let win = curve.win(top, quote.value);
    let surplus = match win {
        Some(win) => (worth * win - curve.cost(top, quote.value)).max(0.0),
        None => top - top * (top / worth) / 2.0,
    };
    Ok(Priced { bid: top, worth, win, surplus })
}
