//! The prices that are told apart: eight to the octave, a step of 9%.

/// Steps of price.
pub(super) const CELLS: usize = 320;
const PER_OCTAVE: f64 = 8.0;
/// log2 of the lower end of cell 0, in micros: 2^−10 is a CPM of a micro, and 2^30 at the upper end of the
/// last one is a thousand units of money for one impression.
const LEAST_LOG2: f64 = -10.0;

/// The cell of an amount; the first and the last take what is beyond them.
pub(super) fn cell(amount: f64) -> usize {
    cell_of_log2(amount.max(f64::MIN_POSITIVE).log2())
}

/// The same by the amount's log2.
pub(super) fn cell_of_log2(log2: f64) -> usize {
    // A NaN and what is below 0 end in cell 0: `as` saturates.
    (((log2 - LEAST_LOG2) * PER_OCTAVE) as usize).min(CELLS - 1)
}

/// The lower end of a cell, in micros; of [`CELLS`] the upper end of the last.
pub(super) fn edge(cell: usize) -> f64 {
    (cell as f64 / PER_OCTAVE + LEAST_LOG2).exp2()
}

/// The lower ends of all cells and the upper end of the last, once.
pub(super) fn edges() -> &'static [f64; CELLS + 1] {
    static EDGES: std::sync::OnceLock<[f64; CELLS + 1]> = std::sync::OnceLock::new();
    EDGES.get_or_init(|| std::array::from_fn(edge))
}
