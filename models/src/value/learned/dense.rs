//! Fully connected layers on rows of f32: in vectors for many rows, in plain loops that become vector
//! code for the single ones of the recurrent unit.

use pulp::Simd;

/// outputs = inputs · weights + bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    inputs: usize,
    outputs: usize,
    /// Row by row: the weights of the first input, of the second, …
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// The same by panels of columns, the last one filled up with zeros: how they are read in vectors.
    panels: Vec<Panel>,
}

/// [`WIDE`] columns of weights, row by row, and of biases.
#[derive(Clone, Debug, PartialEq)]
struct Panel {
    weights: Vec<[f32; WIDE]>,
    bias: [f32; WIDE],
}

/// Weights in another number than the layer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a layer of {inputs} by {outputs} has not {weights} weights and {biases} biases")]
pub struct BadShape {
    pub inputs: usize,
    pub outputs: usize,
    pub weights: usize,
    pub biases: usize,
}

/// Columns that are kept in registers at a time, and rows.
const COLUMNS: usize = 16;
const ROWS: usize = 4;
/// Columns of a panel: a multiple of every vector's width.
const WIDE: usize = 16;

fn panels(outputs: usize, weights: &[f32], bias: &[f32]) -> Vec<Panel> {
    let part = |row: &[f32], at: usize| {
        let mut part = [0.0; WIDE];
        let row = &row[at..outputs.min(at + WIDE)];
        part[..row.len()].copy_from_slice(row);
        part
    };
    let panel = |at| Panel {
        weights: weights.chunks_exact(outputs).map(|row| part(row, at)).collect(),
        bias: part(bias, at),
    };
    (0..outputs).step_by(WIDE).map(panel).collect()
}

impl Dense {
    /// `weights` has `inputs · outputs` numbers, those of the first input first.
    pub fn new(
        inputs: usize,
        outputs: usize,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Dense, BadShape> {
        let bad = BadShape { inputs, outputs, weights: weights.len(), biases: bias.len() };
        let fits = inputs > 0 && outputs > 0 && inputs.checked_mul(outputs) == Some(weights.len());
        if fits && bias.len() == outputs {
            let panels = panels(outputs, &weights, &bias);
            Ok(Dense { inputs, outputs, weights, bias, panels })
        } else {
            Err(bad)
        }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn weights(&self) -> &[f32] {
        &self.weights
    }

    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Rows of `inputs` numbers to rows of `outputs` numbers, in place of what was in `to`. A last row that is
    /// not whole is left out.
    #[inline(always)]
    pub fn forward(&self, from: &[f32], to: &mut Vec<f32>) {
        let rows = from.len() / self.inputs;
        to.clear();
        to.resize(rows * self.outputs, 0.0);
        let whole = rows / ROWS * ROWS;
        let (head, tail) = from[..rows * self.inputs].split_at(whole * self.inputs);
        let (to_head, to_tail) = to.split_at_mut(whole * self.outputs);
        let blocks = head.chunks_exact(ROWS * self.inputs);
        for (from, to) in blocks.zip(to_head.chunks_exact_mut(ROWS * self.outputs)) {
            self.block::<ROWS>(from, to);
        }
        let singles = tail.chunks_exact(self.inputs);
        for (from, to) in singles.zip(to_tail.chunks_exact_mut(self.outputs)) {
            self.block::<1>(from, to);
        }
    }

    #[inline(always)]
    fn block<const R: usize>(&self, from: &[f32], to: &mut [f32]) {
        let mut column = 0;
        while column + COLUMNS <= self.outputs {
            self.columns::<R, COLUMNS>(from, to, column);
            column += COLUMNS;
        }
        if column + COLUMNS / 2 <= self.outputs {
            self.columns::<R, { COLUMNS / 2 }>(from, to, column);
            column += COLUMNS / 2;
        }
        while column < self.outputs {
            self.columns::<R, 1>(from, to, column);
            column += 1;
        }
    }

    #[inline(always)]
    fn columns<const R: usize, const C: usize>(&self, from: &[f32], to: &mut [f32], column: usize) {
        let mut sums = [[0.0_f32; C]; R];
        for sum in &mut sums {
            sum.copy_from_slice(&self.bias[column..column + C]);
        }
        for (input, weights) in self.weights.chunks_exact(self.outputs).enumerate() {
            let weights = &weights[column..column + C];
            for (row, sum) in sums.iter_mut().enumerate() {
                let value = from[row * self.inputs + input];
                for (sum, weight) in sum.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
        for (row, sum) in sums.iter().enumerate() {
            let at = row * self.outputs + column;
            to[at..at + C].copy_from_slice(sum);
        }
    }
}

/// In vectors. Only loops: what a closure does is not made for the processor at hand.
impl Dense {
    /// Rows of `inputs` numbers to as many rows of `outputs` numbers.
    #[inline(always)]
    pub fn wide<S: Simd>(&self, simd: S, from: &[f32], to: &mut [f32]) {
        // As many sums as there are registers for, with a vector of weights per panel beside them.
        match S::F32_LANES {
            16 => {
                let mut rest = self.panels.as_slice();
                let mut at = 0;
                while let Some((panels, more)) = rest.split_first_chunk::<4>() {
                    self.rows::<S, 6, 4, 1>(simd, from, to, (panels, at));
                    (rest, at) = (more, at + 4 * WIDE);
                }
                while let Some((panels, more)) = rest.split_first_chunk::<2>() {
                    self.rows::<S, 8, 2, 1>(simd, from, to, (panels, at));
                    (rest, at) = (more, at + 2 * WIDE);
                }
                if let Some((panels, _)) = rest.split_first_chunk::<1>() {
                    self.rows::<S, 12, 1, 1>(simd, from, to, (panels, at));
                }
            }
            8 => self.each::<S, 6, 2>(simd, from, to),
            4 => self.each::<S, 3, 4>(simd, from, to),
            _ => self.each::<S, 1, WIDE>(simd, from, to),
        }
    }

    /// Panel by panel, of `V` vectors each.
    #[inline(always)]
    fn each<S: Simd, const R: usize, const V: usize>(&self, simd: S, from: &[f32], to: &mut [f32]) {
        for (panel, at) in self.panels.as_chunks::<1>().0.iter().zip((0..).step_by(WIDE)) {
            self.rows::<S, R, 1, V>(simd, from, to, (panel, at));
        }
    }

    /// `R` rows at a time, then one by one.
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const P: usize, const V: usize>(
        &self,
        simd: S,
        from: &[f32],
        to: &mut [f32],
        panels: (&[Panel; P], usize),
    ) {
        let (n, m) = (self.inputs, self.outputs);
        let blocks = from.chunks_exact(R * n);
        let tail = blocks.remainder();
        let (head, rest) = to.split_at_mut((from.len() - tail.len()) / n * m);
        for (from, to) in blocks.zip(head.chunks_exact_mut(R * m)) {
            self.tile::<S, R, P, V>(simd, from, to, panels);
        }
        for (from, to) in tail.chunks_exact(n).zip(rest.chunks_exact_mut(m)) {
            self.tile::<S, 1, P, V>(simd, from, to, panels);
        }
    }

    #[inline(always)]
    #[allow(
        clippy::needless_range_loop,
        clippy::manual_memcpy,
        reason = "sums that iterators lead to leave their registers"
    )]
    fn tile<S: Simd, const R: usize, const P: usize, const V: usize>(
        &self,
        simd: S,
        from: &[f32],
        to: &mut [f32],
        (panels, at): (&[Panel; P], usize),
    ) {
        let (n, m) = (self.inputs, self.outputs);
        let mut start = [[simd.splat_f32s(0.0); V]; P];
        let mut weights: [&[[f32; WIDE]]; P] = [&[]; P];
        for p in 0..P {
            weights[p] = &panels[p].weights[..n];
            let bias = S::as_simd_f32s(&panels[p].bias).0;
            for v in 0..V {
                start[p][v] = bias[v];
            }
        }
        let mut rows: [&[f32]; R] = [&[]; R];
        for r in 0..R {
            rows[r] = &from[r * n..(r + 1) * n];
        }
        let mut sums = [start; R];
        for i in 0..n {
            let mut columns = [[simd.splat_f32s(0.0); V]; P];
            for p in 0..P {
                let of = S::as_simd_f32s(&weights[p][i]).0;
                for v in 0..V {
                    columns[p][v] = of[v];
                }
            }
            for r in 0..R {
                let x = simd.splat_f32s(rows[r][i]);
                for p in 0..P {
                    for v in 0..V {
                        sums[r][p][v] = simd.mul_add_e_f32s(x, columns[p][v], sums[r][p][v]);
                    }
                }
            }
        }
        for (sums, to) in sums.iter().zip(to.chunks_exact_mut(m)) {
            for (sums, to) in sums.iter().zip(to[at..].chunks_mut(WIDE)) {
                if to.len() == WIDE {
                    S::as_mut_simd_f32s(to).0.copy_from_slice(sums);
                    continue;
                }
                for (sum, to) in sums.iter().zip(to.chunks_mut(S::F32_LANES)) {
                    simd.partial_store_f32s(to, *sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Wide<'a> {
        layer: &'a Dense,
        from: &'a [f32],
        to: &'a mut [f32],
    }

    impl WithSimd for Wide<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            self.layer.wide(simd, self.from, self.to);
        }
    }

    #[test]
    fn a_layer_is_the_sum_of_products_whatever_its_width() {
        for (inputs, outputs) in [(1, 1), (3, 16), (5, 35), (40, 3), (7, 121), (2, 96)] {
            let weight = |i: usize, o: usize| ((i * 7 + o * 3) % 11) as f32 - 5.0;
            let weights = (0..inputs * outputs).map(|k| weight(k / outputs, k % outputs)).collect();
            let bias: Vec<f32> = (0..outputs).map(|o| o as f32 / 4.0).collect();
            let layer = Dense::new(inputs, outputs, weights, bias.clone()).unwrap();
            let from: Vec<f32> = (0..inputs * 23).map(|k| (k % 5) as f32 / 2.0).collect();
            let mut to = vec![9.0; 3];
            layer.forward(&from, &mut to);
            assert_eq!(to.len(), 23 * outputs);
            let mut wide = vec![9.0; to.len()];
            Arch::new().dispatch(Wide { layer: &layer, from: &from, to: &mut wide });
            let mut narrow = vec![9.0; to.len()];
            Arch::Scalar.dispatch(Wide { layer: &layer, from: &from, to: &mut narrow });
            for (row, at) in from.chunks(inputs).zip((0..).step_by(outputs)) {
                for o in 0..outputs {
                    let sum: f32 = row.iter().enumerate().map(|(i, x)| x * weight(i, o)).sum();
                    for found in [to[at + o], wide[at + o], narrow[at + o]] {
                        assert!((found - sum - bias[o]).abs() < 1e-3, "{found} {sum}");
                    }
                }
            }
        }
    }

    #[test]
    fn weights_in_another_number_are_refused() {
        assert!(Dense::new(2, 3, vec![0.0; 5], vec![0.0; 3]).is_err());
        assert!(Dense::new(2, 3, vec![0.0; 6], vec![0.0; 2]).is_err());
        assert!(Dense::new(0, 3, Vec::new(), vec![0.0; 3]).is_err());
        assert!(Dense::new(usize::MAX, 2, Vec::new(), vec![0.0; 2]).is_err());
    }
}
