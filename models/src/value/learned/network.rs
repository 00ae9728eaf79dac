//! The network in candle, as it is trained.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::ops;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::dense::{BadShape, Dense};
use super::features::FEATURES;
use super::gru::Gru;
use super::member::{Member, Rows};
use super::sequence::FIGURES;
use super::terms::LearnTerms;

/// Names of the parameters, in the order in which they are made.
pub const NAMES: [&str; 10] = [
    "event.weight",
    "event.bias",
    "own.weight",
    "own.bias",
    "first.weight",
    "first.bias",
    "second.weight",
    "second.bias",
    "last.weight",
    "last.bias",
];

/// Shapes of the parameters: (inputs, outputs) of each weight, then 1 by outputs of its bias.
pub fn shapes(terms: &LearnTerms) -> [(usize, usize); 10] {
    let state = terms.state as usize;
    let [first, second] = terms.hidden.map(|width| width as usize);
    let pairs = [
        (FIGURES, 3 * state),
        (state, 3 * state),
        (FEATURES + state, first),
        (first, second),
        (second, 3),
    ];
    std::array::from_fn(|k| {
        let (inputs, outputs) = pairs[k / 2];
        if k % 2 == 0 { (inputs, outputs) } else { (1, outputs) }
    })
}

/// Parameters from their numbers, in the order of [`NAMES`].
pub fn member(
    terms: &LearnTerms,
    parameters: Vec<Vec<f32>>,
    mean_state: Vec<f32>,
) -> std::result::Result<Member, BadShape> {
    let shapes = shapes(terms);
    let mut parameters = parameters.into_iter();
    let mut next = || parameters.next().unwrap_or_default();
    let mut layer = |k: usize| Dense::new(shapes[2 * k].0, shapes[2 * k].1, next(), next());
    let gru = Gru::new(layer(0)?, layer(1)?)?;
    Member::new(gru, mean_state, [layer(2)?, layer(3)?, layer(4)?])
}

/// The numbers of a member, in the same order.
pub fn parameters(member: &Member) -> Vec<&[f32]> {
    let layers = member.gru.layers().into_iter().chain(&member.layers);
    layers.flat_map(|layer| [layer.weights(), layer.bias()]).collect()
}

/// Parameters under training.
pub struct Network {
    vars: Vec<Var>,
    state: usize,
}

/// A step's rows on the device, those with most events first.
pub struct Batch {
    pub rows: usize,
    figures: Tensor,
    /// Events by step, aligned at their ends: at each step those rows (the first ones) that have one.
    steps: Vec<Tensor>,
    /// 1 where anything was spent, its logarithm there, 0 elsewhere.
    bought: Tensor,
    ln: Tensor,
}

/// Which hidden units are left out of a step: what each is multiplied by.
pub struct Masks(pub Tensor, pub Tensor);

impl Batch {
    /// The rows `of`, which are ordered here. `targets` in units of the network's targets.
    pub fn new(
        rows: &Rows,
        starts: &[usize],
        targets: &[f32],
        of: &mut [u32],
        device: &Device,
    ) -> Result<Batch> {
        of.sort_by_key(|row| std::cmp::Reverse(rows.counts[*row as usize]));
        let n = of.len();
        let mut figures = Vec::with_capacity(n * FEATURES);
        for row in of.iter() {
            let from = *row as usize * FEATURES;
            figures.extend_from_slice(&rows.features[from..from + FEATURES]);
        }
        let count = |row: u32| rows.counts[row as usize] as usize;
        let longest = of.first().map_or(0, |row| count(*row));
        let mut steps = Vec::with_capacity(longest);
        for left in (1..=longest).rev() {
            let active = of.partition_point(|row| count(*row) >= left);
            let mut events = Vec::with_capacity(active * FIGURES);
            for row in &of[..active] {
                let end = starts[*row as usize] + count(*row);
                events.extend_from_slice(&rows.events[end - left]);
            }
            steps.push(Tensor::from_vec(events, (active, FIGURES), device)?);
        }
        let target = of.iter().map(|row| targets[*row as usize]);
        let bought: Vec<f32> = target.clone().map(|t| f32::from(t > 0.0)).collect();
        let ln: Vec<f32> = target.map(|t| if t > 0.0 { t.ln() } else { 0.0 }).collect();
        Ok(Batch {
            rows: n,
            figures: Tensor::from_vec(figures, (n, FEATURES), device)?,
            steps,
            bought: Tensor::from_vec(bought, n, device)?,
            ln: Tensor::from_vec(ln, n, device)?,
        })
    }
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

impl Network {
    /// Weights as Glorot & Bengio 2010 deal them; the last layer begins at the distribution of all `targets`.
    pub fn new(
        terms: &LearnTerms,
        targets: &[f32],
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Result<Network> {
        let shapes = shapes(terms);
        let mut vars = Vec::with_capacity(NAMES.len());
        for (at, (inputs, outputs)) in shapes.into_iter().enumerate() {
            let last = at + 2 >= NAMES.len();
            let numbers = match (at % 2, last) {
                (0, _) => {
                    let shrink = if last { 0.3 } else { 1.0 };
                    let bound = shrink * (6.0 / (inputs + outputs) as f32).sqrt();
                    (0..inputs * outputs).map(|_| rng.random_range(-bound..bound)).collect()
                }
                (_, true) => start(targets).to_vec(),
                (_, false) => vec![0.0; outputs],
            };
            let shape = if at % 2 == 0 { vec![inputs, outputs] } else { vec![outputs] };
            vars.push(Var::from_tensor(&Tensor::from_vec(numbers, shape, device)?)?);
        }
        Ok(Network { vars, state: terms.state as usize })
    }

    pub fn vars(&self) -> &[Var] {
        &self.vars
    }

    /// The parameters' numbers, in the order of [`NAMES`].
    pub fn numbers(&self) -> Result<Vec<Vec<f32>>> {
        self.vars.iter().map(|var| var.flatten_all()?.to_vec1()).collect()
    }

    fn dense(&self, layer: usize, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.vars[2 * layer])?.broadcast_add(&self.vars[2 * layer + 1])
    }

    fn states(&self, batch: &Batch) -> Result<Tensor> {
        let s = self.state;
        let device = batch.figures.device();
        let mut state = Tensor::zeros((0, s), DType::F32, device)?;
        for events in &batch.steps {
            let (active, before) = (events.dim(0)?, state.dim(0)?);
            if before == 0 {
                state = Tensor::zeros((active, s), DType::F32, device)?;
            } else if active > before {
                state = state.pad_with_zeros(0, 0, active - before)?;
            }
            let (event, own) = (self.dense(0, events)?, self.dense(1, &state)?);
            let sums = (event.narrow(1, 0, 2 * s)? + own.narrow(1, 0, 2 * s)?)?;
            let gates = ops::sigmoid(&sums)?;
            let (reset, update) = (gates.narrow(1, 0, s)?, gates.narrow(1, s, s)?);
            let own = (reset * own.narrow(1, 2 * s, s)?)?;
            let candidate = (event.narrow(1, 2 * s, s)? + own)?.tanh()?;
            state = (&candidate + (update * (state - &candidate)?)?)?;
        }
        Ok(state)
    }

    /// Log-odds, μ and σ before the softplus of each row.
    pub fn logits(&self, batch: &Batch, masks: Option<&Masks>) -> Result<Tensor> {
        let x = Tensor::cat(&[&batch.figures, &self.states(batch)?], 1)?;
        let mut x = self.dense(2, &x)?.silu()?;
        if let Some(Masks(first, _)) = masks {
            x = (x * first)?;
        }
        let mut x = self.dense(3, &x)?.silu()?;
        if let Some(Masks(_, second)) = masks {
            x = (x * second)?;
        }
        self.dense(4, &x)
    }

    /// Mean of the ZILN loss over the rows ([`super::ziln::loss`]), but for the mean of the labels'
    /// logarithms and of ln √(2π), which no parameter changes.
    pub fn loss(&self, batch: &Batch, masks: Option<&Masks>) -> Result<Tensor> {
        let logits = self.logits(batch, masks)?;
        let column = |k: usize| logits.narrow(1, k, 1)?.squeeze(1);
        let (odds, mu, raw) = (column(0)?, column(1)?, column(2)?);
        let entropy = (softplus(&odds)? - (&odds * &batch.bought)?)?;
        let sigma = (softplus(&raw)? + SIGMA_SHIFT)?;
        let off = ((&batch.ln - mu)? / &sigma)?.sqr()?;
        let density = (sigma.log()? + (off * 0.5)?)?;
        (entropy + (density * &batch.bought)?)?.mean_all()
    }
}

/// Keeps σ off 0 with a slope, which a bound would not have; nothing beside the spread of spend.
const SIGMA_SHIFT: f64 = 3.452_669_830_725_2e-4;

/// Logits of the targets' own distribution.
fn start(targets: &[f32]) -> [f32; 3] {
    let positive: Vec<f32> = targets.iter().filter(|t| **t > 0.0).map(|t| t.ln()).collect();
    let (n, k) = (targets.len().max(1) as f32, positive.len() as f32);
    let share = (k / n).clamp(1e-4, 1.0 - 1e-4);
    let mean = positive.iter().sum::<f32>() / k.max(1.0);
    let variance = positive.iter().map(|ln| (ln - mean).powi(2)).sum::<f32>() / k.max(1.0);
    let sigma = variance.sqrt().max(0.1);
    [(share / (1.0 - share)).ln(), mean, sigma.exp_m1().ln()]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::ziln;
    use super::*;

    /// Rows of random figures with 1 to 5 events each, and where their events begin.
    fn rows(n: usize, rng: &mut ChaCha8Rng) -> (Rows, Vec<usize>) {
        let mut rows = Rows::default();
        let mut starts = Vec::new();
        for _ in 0..n {
            let count = rng.random_range(1..=5);
            starts.push(rows.events.len());
            rows.counts.push(count);
            rows.features.extend((0..FEATURES).map(|_| rng.random_range(-3.0..3.0_f32)));
            let mut event = || [0; FIGURES].map(|_| rng.random_range(-3.0..3.0_f32));
            rows.events.extend((0..count).map(|_| event()));
        }
        (rows, starts)
    }

    fn terms() -> LearnTerms {
        LearnTerms { hidden: [20, 9], state: 5, ..LearnTerms::default() }
    }

    #[test]
    fn what_is_served_is_what_was_trained() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (rows, starts) = rows(203, &mut rng);
        let targets = vec![1.0; 203];
        let network = Network::new(&terms(), &targets, &mut rng, &Device::Cpu).unwrap();
        let served = member(&terms(), network.numbers().unwrap(), vec![0.0; 5]).unwrap();
        let mut order: Vec<u32> = (0..203).collect();
        let batch = Batch::new(&rows, &starts, &targets, &mut order, &Device::Cpu).unwrap();
        let trained: Vec<Vec<f32>> = network.logits(&batch, None).unwrap().to_vec2().unwrap();
        let answers = served.forward(&rows);
        for (row, trained) in order.iter().zip(trained) {
            for (a, b) in answers[*row as usize].iter().zip(trained) {
                assert!((a - f64::from(b)).abs() < 1e-5, "{a} {b}");
            }
        }
    }

    #[test]
    fn the_loss_that_is_trained_is_that_of_the_paper() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (rows, starts) = rows(50, &mut rng);
        // Far enough apart that σ is nowhere as small as what keeps it off 0.
        let targets: Vec<f32> = (0..50).map(|k| ((k % 3) as f32 * 1.7).powi(3)).collect();
        let network = Network::new(&terms(), &targets, &mut rng, &Device::Cpu).unwrap();
        let mut order: Vec<u32> = (0..50).collect();
        let batch = Batch::new(&rows, &starts, &targets, &mut order, &Device::Cpu).unwrap();
        let found = f64::from(network.loss(&batch, None).unwrap().to_scalar::<f32>().unwrap());
        let served = member(&terms(), network.numbers().unwrap(), vec![0.0; 5]).unwrap();
        let pairs = served.forward(&rows).into_iter().zip(&targets);
        let constant = |t: f32| match t > 0.0 {
            true => f64::from(t).ln() + (2.0 * std::f64::consts::PI).ln() / 2.0,
            false => 0.0,
        };
        let losses = pairs.map(|(l, t)| ziln::loss(l, f64::from(*t)) - constant(*t));
        let mean = losses.sum::<f64>() / 50.0;
        // σ is floored in one and shifted by 3.5e-4 in the other.
        assert!((found - mean).abs() < 2e-3, "{found} {mean}");
    }
}
