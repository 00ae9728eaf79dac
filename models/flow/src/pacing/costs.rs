//! What auctions cost by time of day.

use serde::{Deserialize, Serialize};

use crate::traffic::{Curve, DAY_US, Told};

/// What a day's evidence of a slot weighs when the same slot of the next day comes.
const DAY_KEPT: f64 = 0.7;
/// How far the first wave over the day goes before it is seen: standard deviation of ln.
const FIRST: f64 = 0.2;
/// How far a slot is off a smooth curve, beyond what chance does: variance of ln.
const ROUGH: f64 = 0.003;
/// Variance of ln of what wins cost together, times their number.
const PER_WIN: f64 = 2.0;
/// Wins of a slot that speak as loud as the curve.
const OWN_WINS: f64 = 400.0;
/// A slot's weight is within this factor of 1.
const REACH: f64 = 4.0;
/// ln of bids that far from the day's mean tell half as much: what they would have cost at the mean is by a power law.
const FAR: f64 = 0.3;
/// ln of bids stays within these.
const LN_MAX: f64 = 100.0;
/// Sums stay below this.
const SUM_MAX: f64 = 1e30;

/// What an auction costs by time of day at the same bid for a unit of value, over the mean of the day. Where prices or values
/// go with the hour, the multiplier that buys most stays while spending goes up and down; so an auction counts
/// for as many as its hour costs, where auctions are counted and forecast.
///
/// Of each slot of the day it keeps what its auctions cost, and at what bids; recent days weigh more. A slot is a
/// mean of its own figure and of the curve of all slots ([`Curve`]), by its wins. In the first day all weigh 1: bids
/// that look for the market would pass for the market's day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Costs {
    slots: Vec<Slot>,
    /// Number of the slot since 1970 that was the first, and of the one that is under way.
    span: Option<(i64, i64)>,
    weights: Vec<f64>,
}

/// It is stored as its four numbers in this order: a campaign has a hundred of them, and names would be the most of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 4]", into = "[f64; 4]")]
struct Slot {
    spend: f64,
    wins: f64,
    auctions: f64,
    /// Sum over the auctions of ln of what was bid for a unit of value.
    ln_per_value: f64,
}

impl From<[f64; 4]> for Slot {
    fn from([spend, wins, auctions, ln_per_value]: [f64; 4]) -> Slot {
        Slot { spend, wins, auctions, ln_per_value }
    }
}

impl From<Slot> for [f64; 4] {
    fn from(Slot { spend, wins, auctions, ln_per_value }: Slot) -> [f64; 4] {
        [spend, wins, auctions, ln_per_value]
    }
}

impl Costs {
    fn place(&self, at_us: i64) -> usize {
        let slots = self.weights.len().max(1) as i64;
        at_us.div_euclid((DAY_US / slots).max(1)).rem_euclid(slots) as usize
    }

    /// Of each slot of the day; none: all weigh 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// What an auction of this time counts for.
    pub fn weight(&self, at_us: i64) -> f64 {
        self.weights.get(self.place(at_us)).copied().unwrap_or(1.0)
    }

    /// Time has come to `at_us`, of a day of so many slots; ε as of now. Whether the weights are others.
    pub fn advance(&mut self, at_us: i64, slots: u16, elasticity: f64) -> bool {
        let slots = usize::from(slots.max(1));
        if self.weights.len() != slots {
            *self = Costs {
                slots: vec![Slot::default(); slots],
                weights: vec![1.0; slots],
                span: None,
            };
        }
        let slot = at_us.div_euclid(DAY_US / slots as i64);
        let (first, last) = self.span.unwrap_or((slot, i64::MIN));
        if slot == last {
            return false;
        }
        // A clock that was set back begins a first day.
        let first = if slot < last { slot } else { first };
        self.span = Some((first, slot));
        let place = self.place(at_us);
        let Slot { spend, wins, auctions, ln_per_value } = &mut self.slots[place];
        for sum in [spend, wins, auctions, ln_per_value] {
            *sum *= DAY_KEPT;
        }
        let whole = slot.saturating_sub(first) >= slots as i64;
        if slots > 1 && whole {
            self.draw(elasticity);
        }
        slots > 1 && whole
    }

    /// Auctions of this time were bid on at `ln_per_value`.
    pub fn met(&mut self, at_us: i64, auctions: f64, ln_per_value: f64) {
        let place = self.place(at_us);
        if let Some(slot) = self.slots.get_mut(place) {
            let ln = ln_per_value.clamp(-LN_MAX, LN_MAX) * auctions;
            slot.auctions = (slot.auctions + auctions).min(SUM_MAX);
            slot.ln_per_value = (slot.ln_per_value + ln).clamp(-SUM_MAX, SUM_MAX);
        }
    }

    /// One of them was won, and cost this much.
    pub fn won(&mut self, at_us: i64, spend: f64) {
        let place = self.place(at_us);
        if let Some(slot) = self.slots.get_mut(place).filter(|_| spend > 0.0) {
            slot.spend = (slot.spend + spend).min(SUM_MAX);
            slot.wins += 1.0;
        }
    }

    fn draw(&mut self, elasticity: f64) {
        let count = self.slots.len() as f64;
        let part = |place: usize| (place as f64 + 0.5) / count;
        let auctions: f64 = self.slots.iter().map(|slot| slot.auctions).sum();
        let ln: f64 = self.slots.iter().map(|slot| slot.ln_per_value).sum();
        if auctions <= 0.0 || !ln.is_finite() {
            return;
        }
        let mean = ln / auctions;
        // ln of what an auction costs at the mean bid, and by how many wins that is said.
        let told = |slot: &Slot| {
            let gap = slot.ln_per_value / slot.auctions - mean;
            let ln = (slot.spend / slot.auctions).ln() - elasticity * gap;
            let wins = slot.wins / (1.0 + (gap / FAR).powi(2));
            (ln.is_finite() && wins > 0.0).then_some((ln, wins))
        };
        let all = self.slots.iter().enumerate();
        let curve = Curve::of(
            all.filter_map(|(place, slot)| {
                let (ln, wins) = told(slot)?;
                Some(Told { part: part(place), ln, variance: PER_WIN / wins + ROUGH })
            }),
            FIRST,
        );
        let most = REACH.ln();
        let raw = |(place, slot): (usize, &Slot)| {
            let smooth = curve.ln_at(part(place));
            let ln = told(slot).map_or(smooth, |(ln, wins)| {
                let own = wins / (wins + OWN_WINS);
                own * (ln - curve.level()) + (1.0 - own) * smooth
            });
            ln.clamp(-most, most).exp()
        };
        let raw: Vec<f64> = self.slots.iter().enumerate().map(raw).collect();
        // Auctions so far weigh as many as they are, so that what was counted before stands.
        let weighed: f64 = self.slots.iter().zip(&raw).map(|(slot, raw)| slot.auctions * raw).sum();
        let scale = if weighed > 0.0 { auctions / weighed } else { 1.0 };
        let most = REACH * REACH;
        self.weights = raw.iter().map(|raw| (raw * scale).clamp(1.0 / most, most)).collect();
    }

    pub fn is_sound(&self) -> bool {
        let most = REACH * REACH;
        let sound = |slot: &Slot| {
            let sums = [slot.spend, slot.wins, slot.auctions, slot.ln_per_value.abs()];
            sums.iter().all(|sum| (0.0..=SUM_MAX).contains(sum))
        };
        self.slots.len() <= usize::from(crate::traffic::SLOTS_MAX)
            && self.slots.len() == self.weights.len()
            && self.slots.iter().all(sound)
            && self.weights.iter().all(|weight| (1.0 / most..=most).contains(weight))
    }
}
