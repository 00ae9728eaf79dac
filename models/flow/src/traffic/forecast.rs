//! The forecast and what it is learned from.

use serde::{Deserialize, Serialize};

use super::DAY_US;
use super::curve::{Curve, Told};

/// Slots of a day at most: one each five minutes.
pub const SLOTS_MAX: u16 = 288;
/// What a day's evidence of a slot weighs when the same slot of the next day comes.
const DAY_KEPT: f64 = 0.7;
/// Evidence from which on a slot speaks for itself, in days; with less, the mean of all slots speaks as well.
const OWN_DAYS: f64 = 0.5;
/// What the evidence of today's level keeps of itself each day; it fades slot by slot.
const LEVEL_KEPT: f64 = 0.001;
/// Weight of "today is as the days before were", in auctions.
const LEVEL_PRIOR: f64 = 50.0;
/// Today's level against the days before: no more than this, either way.
const LEVEL_MAX: f64 = 20.0;
/// Days without an auction that are taken in. A longer gap is one that nobody watched, or a clock that leapt:
/// nothing is learned from it.
const GAP_DAYS: i64 = 7;
/// How far the first wave of a day goes before it is seen, as the standard deviation of ln traffic.
const WAVE: f64 = 0.6;
/// How far a slot is off a smooth curve, beyond what chance does to its count: variance of ln traffic.
const ROUGH: f64 = 0.01;
/// What the curve says of a slot is within this factor of the level.
const REACH: f64 = 5.0;
/// Auctions of a slot and of a forecast at most, whatever was counted in however short a time: far beyond what
/// there is, and sums of it stay numbers that can be stored.
const AUCTIONS_MAX: f64 = 1e24;

/// What is known of traffic before any is seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// Auctions a day.
    pub per_day: f64,
    /// How many days of counts it weighs as much as.
    pub days: f64,
}

/// Auctions by time of day. A day has a fixed number of slots; of each slot the mean count over the days is
/// kept, recent days weighing more (by 0.7 a day), and over all of them the level at which the last hours
/// were against these means: a trend from day to day, or a day unlike the others, shows in it. It is a
/// Gamma–Poisson mean of counts over expectations, shrunk to 1.
///
/// A slot that was never seen is taken to be as a periodic curve of what was has it; before anything is seen, the
/// [`Prior`] speaks, and without one there is no forecast. Times are microseconds of the clock whose days
/// count (the campaign's time zone, by the caller). Bounded: three numbers a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ForecastJson", into = "ForecastJson")]
pub struct Forecast {
    prior: Option<Prior>,
    /// Of each slot of the day: mean count in a whole slot, and its evidence in days.
    mean: Vec<f64>,
    days: Vec<f64>,
    /// Counts and the slots that they were made in, over all time, fading by day.
    total: f64,
    slots: f64,
    /// The last hours: counts, and what the means had said.
    seen: f64,
    expected: f64,
    current: Option<Current>,
    /// Of each slot, traffic over its level by the curve of what was seen; none where every slot speaks for itself.
    /// It follows from the rest.
    curve: Vec<f64>,
}

/// The slot that is being counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Current {
    /// Number of the slot since 1970.
    slot: i64,
    /// From when on it is counted, and until when: the first one is seen in part.
    from_us: i64,
    to_us: i64,
    count: f64,
}

impl Forecast {
    /// `slots`: of a day, 1 to [`SLOTS_MAX`]; what is beyond is taken as the bound.
    pub fn new(slots: u16, prior: Option<Prior>) -> Forecast {
        let slots = usize::from(slots.clamp(1, SLOTS_MAX));
        let sound = |p: &Prior| {
            (0.0..1e15).contains(&p.per_day) && (0.0..1e6).contains(&p.days) && p.days > 0.0
        };
        Forecast {
            prior: prior.filter(sound),
            mean: vec![0.0; slots],
            days: vec![0.0; slots],
            total: 0.0,
            slots: 0.0,
            seen: 0.0,
            expected: 0.0,
            current: None,
            curve: Vec::new(),
        }
    }

    fn slot_us(&self) -> i64 {
        DAY_US / self.mean.len() as i64
    }

    /// The slot's place in the day.
    fn place(&self, slot: i64) -> usize {
        slot.rem_euclid(self.mean.len() as i64) as usize
    }

    /// Counts `auctions` at `at_us`. Times that go back, by up to a day, count in the slot that is open.
    pub fn seen(&mut self, at_us: i64, auctions: u64) {
        self.advance(at_us);
        if let Some(current) = &mut self.current {
            current.count += auctions as f64;
        }
    }

    /// Closes the slots that are over at `at_us`; those without an auction count as 0.
    pub fn advance(&mut self, at_us: i64) {
        let slot_us = self.slot_us();
        let slot = at_us.div_euclid(slot_us);
        let Some(mut current) = self.current else {
            self.current = Some(Current { slot, from_us: at_us, to_us: at_us, count: 0.0 });
            return;
        };
        if slot.saturating_add(self.mean.len() as i64) < current.slot {
            // Set back by more than a day: the slot that is open is in a time that is yet to come.
            return self.set_back(at_us);
        }
        if slot <= current.slot {
            current.to_us = current.to_us.max(at_us);
            self.current = Some(current);
            return;
        }
        let ends = current.slot.saturating_add(1).saturating_mul(slot_us);
        let covered = ends.saturating_sub(current.from_us) as f64 / slot_us as f64;
        self.close(current.slot, current.count, covered);
        let gap = GAP_DAYS * self.mean.len() as i64;
        let from = current.slot.saturating_add(1);
        let from = if slot.saturating_sub(from) > gap { slot } else { from };
        for empty in from..slot {
            self.close(empty, 0.0, 1.0);
        }
        self.draw();
        let from_us = slot.saturating_mul(slot_us);
        self.current = Some(Current { slot, from_us, to_us: at_us, count: 0.0 });
    }

    /// The clock was set back to `at_us`: what was learned stands, and the slot that is open begins anew.
    pub fn set_back(&mut self, at_us: i64) {
        let slot = at_us.div_euclid(self.slot_us());
        self.current = Some(Current { slot, from_us: at_us, to_us: at_us, count: 0.0 });
    }

    /// Nobody watched from the last time until `at_us`: what is known stands, and the time between says
    /// nothing.
    pub fn resume(&mut self, at_us: i64) {
        let slot_us = self.slot_us();
        let slot = at_us.div_euclid(slot_us);
        let Some(mut current) = self.current else { return };
        if slot <= current.slot {
            let gap = at_us.saturating_sub(current.to_us).max(0);
            current.from_us = current.from_us.saturating_add(gap);
            current.to_us = current.to_us.saturating_add(gap);
            self.current = Some(current);
            return;
        }
        let watched = current.to_us.saturating_sub(current.from_us).max(0);
        self.close(current.slot, current.count, watched as f64 / slot_us as f64);
        self.draw();
        self.current = Some(Current { slot, from_us: at_us, to_us: at_us, count: 0.0 });
    }

    /// Takes in a slot's count, of which `covered` (0 to 1) was watched.
    fn close(&mut self, slot: i64, count: f64, covered: f64) {
        let covered = covered.clamp(0.0, 1.0);
        if covered <= 0.0 {
            return;
        }
        let all = self.mean_of_all().map(|all| all * self.scale());
        let said = all.map(|all| self.whole(slot, all));
        let per_slot = 1.0 / self.mean.len() as f64;
        let place = self.place(slot);
        if self.days[place] > 0.0 {
            let kept = LEVEL_KEPT.powf(per_slot);
            self.seen = self.seen * kept + count;
            self.expected = self.expected * kept + said.unwrap_or(0.0) * covered;
        }
        let kept = DAY_KEPT.powf(per_slot);
        self.total = self.total * kept + count;
        self.slots = self.slots * kept + covered;
        let days = self.days[place] * DAY_KEPT + covered;
        self.mean[place] += (count - self.mean[place] * covered) / days;
        self.mean[place] = self.mean[place].clamp(0.0, AUCTIONS_MAX);
        self.days[place] = days;
    }

    /// Draws the curve anew, while there are slots that do not speak for themselves.
    fn draw(&mut self) {
        self.curve.clear();
        if self.days.iter().all(|days| *days >= OWN_DAYS) {
            return;
        }
        let part = |place: usize| (place as f64 + 0.5) / self.mean.len() as f64;
        let known = self.mean.iter().zip(&self.days).enumerate();
        let known = known.filter(|(_, (_, days))| **days > 0.0);
        let told = known.map(|(place, (mean, days))| {
            // None in a slot is less than one.
            let count = mean * days + 0.5;
            let variance = 1.0 / count + ROUGH / days;
            Told { part: part(place), ln: (count / days).ln(), variance }
        });
        let curve = Curve::of_most(&told.collect::<Vec<Told>>(), WAVE);
        let most = REACH.ln();
        let at = |place| curve.ln_at(part(place)).clamp(-most, most).exp();
        self.curve = (0..self.mean.len()).map(at).collect();
    }

    /// By what the curve is to be multiplied so that its mean over what was seen is 1.
    fn scale(&self) -> f64 {
        if self.curve.is_empty() {
            return 1.0;
        }
        let known = self.curve.iter().zip(&self.days);
        let (mut sum, mut slots) =
            known.fold((0.0, 0.0), |(sum, slots), (at, days)| (sum + at * days, slots + days));
        if let Some(Current { slot, from_us, to_us, .. }) = self.current {
            let open = to_us.saturating_sub(from_us) as f64 / self.slot_us() as f64;
            sum += self.curve[self.place(slot)] * open;
            slots += open;
        }
        if let Some(Prior { days, .. }) = self.prior {
            sum += days * self.curve.iter().sum::<f64>();
            slots += days * self.curve.len() as f64;
        }
        if sum > 0.0 { slots / sum } else { 1.0 }
    }

    /// Mean count of a whole slot over everything known, with the slot that is open.
    fn mean_of_all(&self) -> Option<f64> {
        let (mut total, mut slots) = (self.total, self.slots);
        if let Some(Current { from_us, to_us, count, .. }) = self.current {
            total += count;
            slots += to_us.saturating_sub(from_us) as f64 / self.slot_us() as f64;
        }
        if let Some(Prior { per_day, days }) = self.prior {
            total += per_day * days;
            slots += days * self.mean.len() as f64;
        }
        // Less than a thousandth of a slot says nothing of a rate.
        (slots > 1e-3).then(|| total / slots)
    }

    /// What the means say of a whole slot, without today's level. `all`: the mean of all slots, times the scale
    /// of the curve.
    fn whole(&self, slot: i64, all: f64) -> f64 {
        let place = self.place(slot);
        let own = (self.days[place] / OWN_DAYS).min(1.0);
        let curve = self.curve.get(place).copied().unwrap_or(1.0);
        self.mean[place] * own + all * curve * (1.0 - own)
    }

    /// How today is against the days before; 1 where that is not known.
    pub fn level(&self) -> f64 {
        let level = (self.seen + LEVEL_PRIOR) / (self.expected + LEVEL_PRIOR);
        level.clamp(1.0 / LEVEL_MAX, LEVEL_MAX)
    }

    /// Auctions expected from `from_us` to before `to_us`, 1e24 at most; 0 where that is no time. `None`: nothing
    /// is known.
    pub fn between(&self, from_us: i64, to_us: i64) -> Option<f64> {
        self.weighed(from_us, to_us, &[]).map(|(auctions, _)| auctions)
    }

    /// The same, and how many they are where each counts for the weight of its slot of the day; a slot without a
    /// weight has 1.
    pub fn weighed(&self, from_us: i64, to_us: i64, weights: &[f64]) -> Option<(f64, f64)> {
        let all = self.mean_of_all()? * self.scale();
        if to_us <= from_us {
            return Some((0.0, 0.0));
        }
        let slot_us = self.slot_us();
        let count = self.mean.len() as i64;
        let part = |from: i64, to: i64| to.saturating_sub(from) as f64 / slot_us as f64;
        let (mut auctions, mut weighed) = (0.0, 0.0);
        let mut add = |slot: i64, times: f64| {
            let expected = self.whole(slot, all) * times;
            auctions += expected;
            weighed += expected * weights.get(self.place(slot)).copied().unwrap_or(1.0);
        };
        let (first, last) = (from_us.div_euclid(slot_us), to_us.div_euclid(slot_us));
        if first == last {
            add(first, part(from_us, to_us));
        } else {
            add(first, part(from_us, first.saturating_add(1).saturating_mul(slot_us)));
            let mut slot = first.saturating_add(1);
            let days = last.saturating_sub(slot) / count;
            if days > 0 {
                (0..count).for_each(|slot| add(slot, days as f64));
                slot = slot.saturating_add(days.saturating_mul(count));
            }
            (slot..last).for_each(|slot| add(slot, 1.0));
            add(last, part(last.saturating_mul(slot_us), to_us));
        }
        let most = |sum: f64| (sum * self.level()).min(AUCTIONS_MAX);
        Some((most(auctions), most(weighed)))
    }
}

/// The state as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForecastJson {
    prior: Option<Prior>,
    mean: Vec<f64>,
    days: Vec<f64>,
    total: f64,
    slots: f64,
    seen: f64,
    expected: f64,
    current: Option<Current>,
}

impl From<Forecast> for ForecastJson {
    fn from(forecast: Forecast) -> ForecastJson {
        let Forecast { prior, mean, days, total, slots, seen, expected, current, .. } = forecast;
        ForecastJson { prior, mean, days, total, slots, seen, expected, current }
    }
}

/// A state that no traffic leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("1 to 288 slots with finite counts that are not below 0")]
pub struct BadForecast;

impl TryFrom<ForecastJson> for Forecast {
    type Error = BadForecast;

    fn try_from(json: ForecastJson) -> Result<Forecast, BadForecast> {
        let ForecastJson { prior, mean, days, total, slots, seen, expected, current } = json;
        let count = u16::try_from(mean.len()).map_err(|_| BadForecast)?;
        let mut sums = vec![total, slots, seen, expected];
        sums.extend(current.map(|current| current.count));
        let sound = |v: &f64| (0.0..1e30).contains(v);
        let all = mean.iter().chain(&days).chain(&sums).all(sound);
        if !(1..=SLOTS_MAX).contains(&count) || days.len() != mean.len() || !all {
            return Err(BadForecast);
        }
        let empty = Forecast::new(count, prior);
        let mut forecast = Forecast { mean, days, total, slots, seen, expected, current, ..empty };
        forecast.draw();
        Ok(forecast)
    }
}
