//! The gated recurrent unit: a state that takes up one event after another.

use super::dense::{BadShape, Dense};
use super::fast;
use super::sequence::{Event, FIGURES};

/// Reset, update and candidate gates side by side, as PyTorch and cuDNN have them:
/// r = σ(Wx + b + Uh + c), z likewise, n = tanh(Wx + b + r (Uh + c)), h' = n + z (h − n).
#[derive(Clone, Debug, PartialEq)]
pub struct Gru {
    state: usize,
    /// From an event, and from the state, to 3 · state gates.
    event: Dense,
    own: Dense,
}

impl Gru {
    pub fn new(event: Dense, own: Dense) -> Result<Gru, BadShape> {
        let state = own.inputs();
        let fits = event.inputs() == FIGURES
            && own.outputs() == 3 * state
            && event.outputs() == own.outputs();
        match fits {
            true => Ok(Gru { state, event, own }),
            false => Err(BadShape {
                inputs: state,
                outputs: own.outputs(),
                weights: own.weights().len(),
                biases: event.outputs(),
            }),
        }
    }

    pub fn state(&self) -> usize {
        self.state
    }

    pub(super) fn layers(&self) -> [&Dense; 2] {
        [&self.event, &self.own]
    }

    /// The state after these events, from 0.
    #[inline(always)]
    pub fn run(&self, events: &[Event], scratch: &mut Scratch, state: &mut [f32]) {
        state.fill(0.0);
        let s = self.state;
        for event in events {
            self.event.forward(event, &mut scratch.event);
            self.own.forward(state, &mut scratch.own);
            let (candidates, gates) = (&scratch.event[2 * s..], &mut scratch.gates);
            gates.clear();
            let sums = scratch.event[..2 * s].iter().zip(&scratch.own[..2 * s]);
            gates.extend(sums.map(|(a, b)| fast::sigmoid(a + b)));
            let (reset, update) = gates.split_at(s);
            let own = &scratch.own[2 * s..];
            for (k, state) in state.iter_mut().enumerate().take(s) {
                let candidate = fast::tanh(candidates[k] + reset[k] * own[k]);
                *state = candidate + update[k] * (*state - candidate);
            }
        }
    }
}

/// Buffers of a run.
#[derive(Debug, Default)]
pub struct Scratch {
    event: Vec<f32>,
    own: Vec<f32>,
    gates: Vec<f32>,
}
