//! Trains one member of an ensemble.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::error::LearnError;
use super::member::{Member, Rows};
use super::network::{self, Batch, Masks, Network};
use super::terms::LearnTerms;

/// A pass of a member over its rows is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// From 0.
    pub member: u32,
    /// From 1.
    pub epoch: u32,
    /// Mean loss per row in nats, with units left out, over the rows that it is trained on…
    pub training: f64,
    /// … and, with all units, over those of the customers held out.
    pub validation: f64,
    /// Whether no pass before had a lower one.
    pub best: bool,
    /// Whether it is the member's last.
    pub last: bool,
}

/// What became of a member.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    pub epochs: u32,
    /// The pass whose weights were kept.
    pub best_epoch: u32,
    /// Its loss on the customers held out.
    pub validation: f64,
}

/// Rows to learn from.
pub(super) struct Lessons {
    pub rows: Rows,
    /// Where each row's events begin.
    pub starts: Vec<usize>,
    /// In units of the network's targets.
    pub targets: Vec<f32>,
    /// The customer of each row: all rows of one are on one side.
    pub customers: Vec<u32>,
}

/// Rows whose loss is computed at a time.
const CHUNK: usize = 4_096;
/// The longest step: gradients beyond this norm are shortened to it.
const NORM_MAX: f64 = 5.0;
/// No sound training ends with weights of a larger magnitude.
pub(super) const WEIGHT_MAX: f32 = 1e6;

pub(super) fn member(
    index: u32,
    of: &Lessons,
    terms: &LearnTerms,
    device: &Device,
    (tell, over): (&dyn Fn(Epoch), &AtomicBool),
) -> Result<(Member, Trained), LearnError> {
    let mut rng = ChaCha8Rng::seed_from_u64(terms.seed);
    rng.set_stream(u64::from(index));
    let (mut training, mut held_out) = sides(of, terms.held_out, &mut rng);
    let network = Network::new(terms, &of.targets, &mut rng, device)?;
    let chunks = held_out.chunks_mut(CHUNK);
    let checks = chunks.map(|c| Batch::new(&of.rows, &of.starts, &of.targets, c, device));
    let checks: Vec<Batch> = checks.collect::<Result<_, _>>()?;
    let per_epoch = training.len().div_ceil(terms.batch as usize);
    let steps = f64::from(terms.epochs_max) * per_epoch as f64;
    let params =
        ParamsAdamW { lr: terms.rate, weight_decay: terms.decay, ..ParamsAdamW::default() };
    let mut optimiser = AdamW::new(network.vars().to_vec(), params)?;
    let (mut step, mut best) = (0.0, None::<(Trained, Vec<Vec<f32>>)>);
    for epoch in 1..=terms.epochs_max {
        training.shuffle(&mut rng);
        let mut sum = 0.0;
        for rows in training.chunks_mut(terms.batch as usize) {
            if over.load(Ordering::Relaxed) {
                return Err(LearnError::GivenUp);
            }
            let batch = Batch::new(&of.rows, &of.starts, &of.targets, rows, device)?;
            let masks = masks(terms, batch.rows, &mut rng, device)?;
            let loss = network.loss(&batch, masks.as_ref())?;
            let mut gradients = loss.backward()?;
            shorten(&mut gradients, network.vars())?;
            let turn = std::f64::consts::PI * step / steps;
            optimiser.set_learning_rate(terms.rate * (0.05 + 0.95 * (0.5 + 0.5 * turn.cos())));
            optimiser.step(&gradients)?;
            step += 1.0;
            sum += batch.rows as f64 * f64::from(loss.to_scalar::<f32>()?);
        }
        let validation = mean_loss(&network, &checks)?;
        if !sum.is_finite() || !validation.is_finite() {
            return Err(LearnError::Diverged { member: index });
        }
        let better = best.as_ref().is_none_or(|(kept, _)| validation < kept.validation);
        if better {
            let kept = Trained { epochs: epoch, best_epoch: epoch, validation };
            best = Some((kept, network.numbers()?));
        }
        let waited = best.as_ref().map_or(0, |(kept, _)| epoch - kept.best_epoch);
        let last = epoch == terms.epochs_max || waited >= terms.patience;
        let training = sum / training.len() as f64;
        tell(Epoch { member: index, epoch, training, validation, best: better, last });
        if last {
            best.as_mut().into_iter().for_each(|(kept, _)| kept.epochs = epoch);
            break;
        }
    }
    let (trained, numbers) = best.ok_or(LearnError::Diverged { member: index })?;
    let sound = numbers.iter().flatten().all(|number| number.abs() <= WEIGHT_MAX);
    let empty = vec![0.0; terms.state as usize];
    let built = network::member(terms, numbers, empty).ok().filter(|_| sound);
    let mut member = built.ok_or(LearnError::Diverged { member: index })?;
    member.mean_state = mean_state(&member, &of.rows);
    Ok((member, trained))
}

/// Rows to train on, and rows of the customers held out: at least one of each.
fn sides(of: &Lessons, share: f64, rng: &mut ChaCha8Rng) -> (Vec<u32>, Vec<u32>) {
    let customers = of.customers.iter().max().map_or(0, |most| *most as usize + 1);
    let mut order: Vec<u32> = (0..customers as u32).collect();
    order.shuffle(rng);
    let out = ((customers as f64 * share) as usize).clamp(1, customers.max(2) - 1);
    let mut is_out = vec![false; customers];
    order.iter().take(out).for_each(|customer| is_out[*customer as usize] = true);
    let rows = 0..of.customers.len() as u32;
    rows.partition(|row| !is_out[of.customers[*row as usize] as usize])
}

fn masks(
    terms: &LearnTerms,
    rows: usize,
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Result<Option<Masks>, LearnError> {
    if terms.dropout == 0.0 {
        return Ok(None);
    }
    let kept = 1.0 / (1.0 - terms.dropout) as f32;
    let below = (terms.dropout * f64::from(u32::MAX)) as u32;
    let mut mask = |width: u32| {
        let n = rows * width as usize;
        let drawn = (0..n).map(|_| if rng.random::<u32>() < below { 0.0 } else { kept });
        Tensor::from_vec(drawn.collect::<Vec<f32>>(), (rows, width as usize), device)
    };
    Ok(Some(Masks(mask(terms.hidden[0])?, mask(terms.hidden[1])?)))
}

/// Gradients to a norm of at most [`NORM_MAX`] (Pascanu, Mikolov & Bengio 2013).
fn shorten(gradients: &mut GradStore, vars: &[Var]) -> Result<(), LearnError> {
    let mut squares = 0.0;
    for var in vars {
        if let Some(gradient) = gradients.get(var) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    let norm = squares.sqrt();
    if norm > NORM_MAX {
        for var in vars {
            if let Some(gradient) = gradients.remove(var) {
                gradients.insert(var, (gradient * (NORM_MAX / norm))?);
            }
        }
    }
    Ok(())
}

fn mean_loss(network: &Network, checks: &[Batch]) -> Result<f64, LearnError> {
    let (mut sum, mut rows) = (0.0, 0);
    for batch in checks {
        let loss = network.loss(batch, None)?.to_scalar::<f32>()?;
        sum += f64::from(loss) * batch.rows as f64;
        rows += batch.rows;
    }
    Ok(sum / rows.max(1) as f64)
}

fn mean_state(member: &Member, rows: &Rows) -> Vec<f32> {
    let width = member.gru.state();
    let mut sums = vec![0.0_f64; width];
    for state in member.states(rows).chunks_exact(width) {
        sums.iter_mut().zip(state).for_each(|(sum, s)| *sum += f64::from(*s));
    }
    sums.into_iter().map(|sum| (sum / rows.len().max(1) as f64) as f32).collect()
}
