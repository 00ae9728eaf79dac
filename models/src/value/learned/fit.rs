//! Customers to a trained ensemble, and its forecasts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::error::LearnError;
use super::features::{self, FEATURES, features};
use super::member::{Member, Rows};
use super::scale::Scale;
use super::sequence::{self, Event};
use super::terms::{self, LearnTerms};
use super::train::{self, Epoch, Lessons, Trained};
use super::ziln::ZeroInflatedLogNormal;
use crate::value::forecast::customer::{Input, Purchase};
use crate::value::log::amount::UNIT;
use crate::value::log::day::Day;

/// Fewest customers of a cut, and fewest of all who bought within the horizon.
pub const CUSTOMERS_MIN: usize = 50;
pub const ACTIVE_MIN: usize = 10;

/// A trained ensemble. Equal terms and customers make equal ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    pub(super) terms: LearnTerms,
    pub(super) facts: Facts,
    pub(super) scale: Scale,
    pub(super) event_scale: Scale,
    pub(super) members: Vec<Member>,
}

/// What is known of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    pub horizon_days: u32,
    /// The cuts whose rows were pooled, the latest first.
    pub cuts: Vec<Day>,
    pub rows: u64,
    /// Units of the currency in the networks' unit of spend, and of targets.
    pub unit: f64,
    pub target_unit: f64,
    /// Share of the rows with any spend in the horizon; mean and deviation of its logarithm.
    pub prior: [f64; 3],
    pub members: Vec<Trained>,
}

impl Learned {
    /// Trains on customers with purchases in the order of their days. Looks at nothing after `cut` +
    /// `horizon_days`. `watch` is told of every pass; members that are trained at a time take turns.
    pub fn fit(
        customers: &[&[Purchase]],
        cut: Day,
        horizon_days: u32,
        terms: &LearnTerms,
        watch: &mut dyn FnMut(Epoch),
    ) -> Result<Learned, LearnError> {
        terms.checked()?;
        terms::horizon(horizon_days)?;
        let days = i32::try_from(horizon_days).ok();
        let end = days.and_then(|days| Day::new(cut.number() + days));
        end.ok_or(LearnError::OutOfTime { cut, days: horizon_days })?;
        let (facts, scale, event_scale, lessons) = lessons(customers, cut, horizon_days, terms)?;
        let device = if terms.cuda { Device::new_cuda(0)? } else { Device::Cpu };
        let trained = ensemble(&lessons, terms, &device, watch)?;
        let (members, reports) = trained.into_iter().unzip();
        let facts = Facts { members: reports, ..facts };
        Ok(Learned { terms: terms.clone(), facts, scale, event_scale, members })
    }

    pub fn terms(&self) -> &LearnTerms {
        &self.terms
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Spend in the horizon after each input's day, in the inputs' order. One of whom nothing is known is
    /// [`Learned::prior`].
    pub fn predict(&self, inputs: &[Input<'_>]) -> Vec<ZeroInflatedLogNormal> {
        let (rows, unknown) = self.rows(inputs);
        let answers: Vec<_> = self.members.iter().map(|member| member.forward(&rows)).collect();
        let mut pool = Vec::with_capacity(answers.len());
        let mut forecast = |row: usize| {
            pool.clear();
            pool.extend(answers.iter().map(|of| self.unscaled(of[row])));
            ZeroInflatedLogNormal::pooled(&pool).unwrap_or_else(|| self.prior())
        };
        let known = |(row, unknown): (usize, &bool)| match unknown {
            true => self.prior(),
            false => forecast(row),
        };
        unknown.iter().enumerate().map(known).collect()
    }

    /// Spend of the customers that it was trained on, whoever they are.
    pub fn prior(&self) -> ZeroInflatedLogNormal {
        let [p, mu, sigma] = self.facts.prior;
        ZeroInflatedLogNormal::new(p, mu, sigma)
    }

    /// Logits of a network, whose targets have a unit of their own, to a spend.
    pub(super) fn unscaled(&self, [odds, mu, raw]: [f64; 3]) -> ZeroInflatedLogNormal {
        ZeroInflatedLogNormal::from_logits([odds, mu + self.facts.target_unit.ln(), raw])
    }

    /// Scaled inputs, and which of them nothing is known of.
    pub(super) fn rows(&self, inputs: &[Input<'_>]) -> (Rows, Vec<bool>) {
        let mut raw = Raw::default();
        let events_max = self.terms.events_max as usize;
        let each = inputs.iter();
        let add = |of: &Input<'_>| !raw.add(of.purchases, of.as_of, self.facts.unit, events_max);
        let unknown = each.map(add).collect();
        (raw.scaled(&self.scale, &self.event_scale), unknown)
    }
}

/// Inputs as they are.
#[derive(Default)]
struct Raw {
    features: Vec<[f32; FEATURES]>,
    events: Vec<Event>,
    counts: Vec<u32>,
}

impl Raw {
    /// Whether anything is known of the customer.
    fn add(&mut self, purchases: &[Purchase], as_of: Day, unit: f64, events_max: usize) -> bool {
        let known = features::known(purchases, as_of);
        let figures = features(known, as_of, unit);
        let count = sequence::append(&mut self.events, known, as_of, unit, events_max);
        self.features.push(figures.unwrap_or([0.0; FEATURES]));
        self.counts.push(count as u32);
        figures.is_some()
    }

    fn scaled(self, scale: &Scale, event_scale: &Scale) -> Rows {
        let Raw { mut features, mut events, counts } = self;
        features.iter_mut().for_each(|row| scale.apply(row));
        events.iter_mut().for_each(|event| event_scale.apply(event));
        Rows { features: features.into_flattened(), events, counts }
    }
}

/// Units of the currency spent after a day, within a horizon.
fn spent(purchases: &[Purchase], cut: Day, days: i32) -> f64 {
    let from = purchases.partition_point(|p| p.day <= cut);
    let until = purchases.partition_point(|p| p.day.number() <= cut.number().saturating_add(days));
    let within = purchases.get(from..until).unwrap_or_default();
    within.iter().map(|p| (p.micros as f64).max(0.0) / UNIT as f64).sum()
}

/// The geometric mean of positive numbers; 1 of none.
fn geometric_mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let logs = numbers.filter(|x| *x > 0.0).map(f64::ln);
    let (n, sum) = logs.fold((0.0, 0.0), |(n, sum), ln| (n + 1.0, sum + ln));
    if n > 0.0 { (sum / n).exp().clamp(1e-6, 1e12) } else { 1.0 }
}

/// The unit of spend is this part of a typical purchase, so that ln(1 + spend) tells small ones apart.
const UNITS_OF_A_PURCHASE: f64 = 20.0;

fn lessons(
    customers: &[&[Purchase]],
    cut: Day,
    horizon_days: u32,
    terms: &LearnTerms,
) -> Result<(Facts, Scale, Scale, Lessons), LearnError> {
    let days = i32::try_from(horizon_days).unwrap_or(i32::MAX);
    let all = customers.iter().flat_map(|of| features::known(of, cut));
    let unit = geometric_mean(all.map(|p| p.micros as f64 / UNIT as f64)) / UNITS_OF_A_PURCHASE;
    let mut raw = Raw::default();
    let (mut cuts, mut spends, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for k in 0..terms.cuts {
        let back = k.saturating_mul(terms.cut_step_days);
        let number = i32::try_from(back).ok().and_then(|back| cut.number().checked_sub(back));
        let Some(cut) = number.and_then(Day::new) else { break };
        let is_there = |of: &&&[Purchase]| of.first().is_some_and(|p| p.day <= cut);
        let rows = customers.iter().filter(is_there).count();
        if rows < CUSTOMERS_MIN && k > 0 {
            break;
        }
        if rows < CUSTOMERS_MIN {
            return Err(LearnError::TooFew { rows, cut, least: CUSTOMERS_MIN });
        }
        cuts.push(cut);
        for (owner, of) in customers.iter().enumerate().filter(|(_, of)| is_there(of)) {
            raw.add(of, cut, unit, terms.events_max as usize);
            spends.push(spent(of, cut, days));
            owners.push(owner as u32);
        }
    }
    let active = spends.iter().filter(|s| **s > 0.0).count();
    if active < ACTIVE_MIN {
        return Err(LearnError::NoneActive { active, least: ACTIVE_MIN });
    }
    let target_unit = geometric_mean(spends.iter().copied());
    let (scale, event_scale) = (Scale::of(raw.features.iter()), Scale::of(raw.events.iter()));
    let rows = raw.scaled(&scale, &event_scale);
    let logs: Vec<f64> = spends.iter().filter(|s| **s > 0.0).map(|s| s.ln()).collect();
    let variance = logs.iter().map(|ln| (ln - target_unit.ln()).powi(2)).sum::<f64>();
    let sigma = (variance / logs.len() as f64).sqrt();
    let share = active as f64 / spends.len() as f64;
    let facts = Facts {
        horizon_days,
        cuts,
        rows: spends.len() as u64,
        unit,
        target_unit,
        prior: [share, target_unit.ln(), sigma],
        members: Vec::new(),
    };
    let starts = rows.counts.iter().scan(0, |at, count| {
        let start = *at;
        *at += *count as usize;
        Some(start)
    });
    let starts = starts.collect();
    let targets = spends.iter().map(|s| (s / target_unit) as f32).collect();
    Ok((facts, scale, event_scale, Lessons { rows, starts, targets, customers: owners }))
}

/// Ends what is still trained when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Members in their order, some at a time.
fn ensemble(
    lessons: &Lessons,
    terms: &LearnTerms,
    device: &Device,
    watch: &mut dyn FnMut(Epoch),
) -> Result<Vec<(Member, Trained)>, LearnError> {
    let workers = terms.threads.min(terms.ensemble);
    let over = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    let train = |worker: u32, send: mpsc::Sender<Epoch>| {
        let tell = |epoch| send.send(epoch).unwrap_or_default();
        let own = (worker..terms.ensemble).step_by(workers as usize);
        own.map(|index| train::member(index, lessons, terms, device, (&tell, &over)))
            .collect::<Vec<_>>()
    };
    let mut parts = std::thread::scope(|scope| {
        // Who watches may unwind to give up: the scope waits for its threads, so they must hear of it.
        let _over = Over(&over);
        let train = &train;
        let start = |worker| {
            let send = send.clone();
            scope.spawn(move || train(worker, send).into_iter())
        };
        let running: Vec<_> = (0..workers).map(start).collect();
        drop(send);
        receive.iter().for_each(watch);
        let ended =
            running.into_iter().map(|thread| thread.join().map_err(|_| LearnError::Panicked));
        ended.collect::<Result<Vec<_>, _>>()
    })?;
    let next = |index: u32| parts[(index % workers) as usize].next();
    (0..terms.ensemble).filter_map(next).collect()
}
