//! One trained network, as it is served.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::dense::{BadShape, Dense};
use super::fast::silu;
use super::features::FEATURES;
use super::fit::Learned;
use super::gru::{Gru, Scratch};
use super::sequence::Event;
use super::ziln::Logits;
use crate::value::forecast::customer::Input;

/// Inputs of many customers, scaled.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Row by row, [`FEATURES`] numbers each.
    pub(super) features: Vec<f32>,
    /// Row by row, the oldest first.
    pub(super) events: Vec<Event>,
    /// Events of each row.
    pub(super) counts: Vec<u32>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The events of each row.
    #[inline(always)]
    fn sequences(&self) -> impl Iterator<Item = &[Event]> {
        let mut rest = self.events.as_slice();
        self.counts.iter().map(move |count| {
            let (events, after) = rest.split_at(rest.len().min(*count as usize));
            rest = after;
            events
        })
    }
}

/// The recurrent unit's last state beside the figures, through two hidden layers, to [`Logits`].
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub(super) gru: Gru,
    /// The state's mean over the training: what it counts as where the sequence is not told.
    pub(super) mean_state: Vec<f32>,
    pub(super) layers: [Dense; 3],
}

impl Member {
    /// Layers that fit each other.
    pub fn new(gru: Gru, mean_state: Vec<f32>, layers: [Dense; 3]) -> Result<Member, BadShape> {
        let [first, second, last] = &layers;
        let fits = mean_state.len() == gru.state()
            && first.inputs() == FEATURES + gru.state()
            && second.inputs() == first.outputs()
            && last.inputs() == second.outputs()
            && last.outputs() == 3;
        match fits {
            true => Ok(Member { gru, mean_state, layers }),
            false => Err(BadShape {
                inputs: first.inputs(),
                outputs: last.outputs(),
                weights: second.inputs(),
                biases: mean_state.len(),
            }),
        }
    }

    /// One answer per row.
    pub fn forward(&self, rows: &Rows) -> Vec<Logits> {
        let inputs = Arch::new().dispatch(
            #[inline(always)]
            || self.inputs(rows),
        );
        self.logits_of(&inputs)
    }

    /// The recurrent states of the rows, one after another.
    pub(super) fn states(&self, rows: &Rows) -> Vec<f32> {
        let width = self.width();
        let inputs = self.inputs(rows);
        inputs.chunks_exact(width).flat_map(|row| row[FEATURES..].iter().copied()).collect()
    }

    /// Figures and state of a row.
    pub fn width(&self) -> usize {
        FEATURES + self.gru.state()
    }

    /// One answer per row of figures and state, [`Member::width`] numbers each.
    /// Many of them are shared out to the threads that there are; what a row is answered is the same.
    pub fn logits_of(&self, inputs: &[f32]) -> Vec<Logits> {
        let ask = |inputs| Arch::new().dispatch(Asked { layers: &self.layers, inputs });
        let width = self.width();
        let rows = inputs.len() / width;
        if rows < 2 * SHARE_MIN {
            return ask(inputs);
        }
        let shares = rayon::current_num_threads().clamp(1, rows / SHARE_MIN);
        if shares == 1 {
            return ask(inputs);
        }
        let share = rows.div_ceil(shares).next_multiple_of(BLOCK) * width;
        inputs.par_chunks(share).map(ask).collect::<Vec<Vec<Logits>>>().concat()
    }

    /// Figures and state of each row.
    #[inline(always)]
    pub(super) fn inputs(&self, rows: &Rows) -> Vec<f32> {
        let width = self.width();
        let mut inputs = vec![0.0; rows.len() * width];
        let mut scratch = Scratch::default();
        let figures = rows.features.chunks_exact(FEATURES);
        let each = inputs.chunks_exact_mut(width).zip(figures).zip(rows.sequences());
        for ((input, figures), events) in each {
            let (to, state) = input.split_at_mut(FEATURES);
            to.copy_from_slice(figures);
            self.gru.run(events, &mut scratch, state);
        }
        inputs
    }
}

/// Rows of figures and state, and the layers that they go through.
struct Asked<'a> {
    layers: &'a [Dense; 3],
    inputs: &'a [f32],
}

/// Rows that are worth another thread: some 70 µs of work, against some 10 µs to wake one.
const SHARE_MIN: usize = 384;

/// Rows that go through all layers at a time: what is between them stays in the nearest cache.
const BLOCK: usize = 48;

impl WithSimd for Asked<'_> {
    type Output = Vec<Logits>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<Logits> {
        let Asked { layers: [first, second, last], inputs } = self;
        let all = inputs.len() / first.inputs();
        let most = all.min(BLOCK);
        let (mut a, mut b) =
            (vec![0.0; most * first.outputs()], vec![0.0; most * second.outputs()]);
        let mut c = vec![0.0; most * last.outputs()];
        let mut logits = Vec::with_capacity(all);
        for inputs in inputs[..all * first.inputs()].chunks(BLOCK * first.inputs()) {
            let rows = inputs.len() / first.inputs();
            let (a, b) = (&mut a[..rows * first.outputs()], &mut b[..rows * second.outputs()]);
            let c = &mut c[..rows * last.outputs()];
            first.wide(simd, inputs, a);
            silu(simd, a);
            second.wide(simd, a, b);
            silu(simd, b);
            last.wide(simd, b, c);
            logits.extend(c.as_chunks::<3>().0.iter().map(|row| row.map(f64::from)));
        }
        logits
    }
}

impl Learned {
    /// The first network, and what its dense layers are asked of these customers: scaled figures and
    /// recurrent state, row by row.
    pub fn dense_part(&self, inputs: &[Input<'_>]) -> Option<(&Member, Vec<f32>)> {
        let member = self.members.first()?;
        let (rows, _) = self.rows(inputs);
        Some((member, member.inputs(&rows)))
    }
}
