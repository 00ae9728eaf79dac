//! The rest of a day that was not seen whole yet.

/// Waves of the curve: one, two and three a day.
const WAVES: usize = 3;
const SIZE: usize = 1 + 2 * WAVES;
/// Each wave more goes less far.
const NEXT: f64 = 0.4;
/// Standard deviations off the curve from which on a part of the day counts as unlike the rest, and the rounds in which
/// that is found.
const UNLIKE: f64 = 2.0;
const ROUNDS: usize = 2;

/// What is known of a part of the day (0 to 1): a logarithm, and how uncertain it is.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub part: f64,
    pub ln: f64,
    pub variance: f64,
}

/// A logarithm over the day, up to its level, as a periodic curve: waves of one, two and three a day, each with a
/// normal prior around none. Its posterior mean by Bayesian linear regression, O(slots). What is seen of a morning
/// tells by it that what falls will rise again, and how far; after one slot it is flat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Curve([f64; SIZE]);

impl Curve {
    /// `first`: standard deviation of the first wave before anything is told.
    pub fn of(told: impl Iterator<Item = Told>, first: f64) -> Curve {
        let mut normal = [[0.0; SIZE]; SIZE];
        let mut right = [0.0; SIZE];
        // The level has a prior that says nothing.
        normal[0][0] = 1e-9;
        let mut spread = first;
        for wave in 0..WAVES {
            for at in [1 + 2 * wave, 2 + 2 * wave] {
                normal[at][at] = 1.0 / (spread * spread);
            }
            spread *= NEXT;
        }
        for Told { part, ln, variance } in told {
            let (weight, x) = (1.0 / variance.max(1e-9), basis(part));
            for row in 0..SIZE {
                right[row] += weight * x[row] * ln;
                for column in 0..SIZE {
                    normal[row][column] += weight * x[row] * x[column];
                }
            }
        }
        Curve(solve(normal, right).map(|c| if c.is_finite() { c } else { 0.0 }))
    }

    /// The same where a few parts may be unlike the rest, such as a burst, which is no wave: from the median on, what
    /// is far off the curve is taken to be less certain, by the square of how far.
    pub fn of_most(told: &[Told], first: f64) -> Curve {
        let mut lns: Vec<f64> = told.iter().map(|told| told.ln).collect();
        lns.sort_by(f64::total_cmp);
        let mut curve = Curve::flat(lns.get(lns.len() / 2).copied().unwrap_or(0.0));
        for _ in 0..ROUNDS {
            let weighed = told.iter().map(|told| {
                let off = (told.ln - curve.level() - curve.ln_at(told.part)).abs();
                let far = (off / (UNLIKE * told.variance.sqrt())).max(1.0);
                Told { variance: told.variance * far * far, ..*told }
            });
            curve = Curve::of(weighed, first);
        }
        curve
    }

    fn flat(ln: f64) -> Curve {
        let mut curve = [0.0; SIZE];
        curve[0] = ln;
        Curve(curve)
    }

    /// The level, as a logarithm.
    pub fn level(&self) -> f64 {
        self.0[0]
    }

    /// The logarithm at this part of the day, less the level.
    pub fn ln_at(&self, part: f64) -> f64 {
        basis(part).iter().zip(&self.0).skip(1).map(|(x, b)| x * b).sum()
    }
}

fn basis(part: f64) -> [f64; SIZE] {
    let mut basis = [1.0; SIZE];
    for wave in 0..WAVES {
        let (sin, cos) = (std::f64::consts::TAU * (wave + 1) as f64 * part).sin_cos();
        (basis[1 + 2 * wave], basis[2 + 2 * wave]) = (cos, sin);
    }
    basis
}

/// Gaussian elimination: the matrix is symmetric and positive definite, so no pivot is 0.
fn solve(mut matrix: [[f64; SIZE]; SIZE], mut right: [f64; SIZE]) -> [f64; SIZE] {
    for at in 0..SIZE {
        let pivot = matrix[at];
        for row in at + 1..SIZE {
            let times = matrix[row][at] / pivot[at];
            matrix[row].iter_mut().zip(pivot).for_each(|(cell, above)| *cell -= times * above);
            right[row] -= times * right[at];
        }
    }
    for at in (0..SIZE).rev() {
        let known: f64 = (at + 1..SIZE).map(|column| matrix[at][column] * right[column]).sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    right
}
