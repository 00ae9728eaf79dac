//! The rest of a day that was not seen whole yet.

/// Waves of the curve: one, two and three a day.
const WAVES: usize = 3;
const SIZE: usize = 1 + 2 * WAVES;
/// How far the first wave goes before it is seen, as the standard deviation of ln traffic; each wave more goes less far.
const FIRST: f64 = 0.6;
const NEXT: f64 = 0.4;
/// How far a slot is off a smooth curve, beyond what chance does to its count: variance of ln traffic.
const ROUGH: f64 = 0.01;
/// What is said of a slot that was never seen is within this factor of the mean.
const REACH: f64 = 5.0;

/// What was seen of a slot: its place in the day (0 to 1), its mean count and its evidence in days.
pub(super) struct Slot {
    pub part: f64,
    pub mean: f64,
    pub days: f64,
}

/// ln of traffic over the day, up to its level, as a periodic curve: waves of one, two and three a day, each with a
/// normal prior around none. Its posterior mean by Bayesian linear regression, O(slots). What is seen of a morning tells
/// by it that traffic which falls will rise again, and how far; after one slot it is flat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Curve([f64; SIZE]);

impl Curve {
    pub fn of(seen: impl Iterator<Item = Slot>) -> Curve {
        let mut normal = [[0.0; SIZE]; SIZE];
        let mut right = [0.0; SIZE];
        let mut spread = FIRST;
        for wave in 0..WAVES {
            for at in [1 + 2 * wave, 2 + 2 * wave] {
                normal[at][at] = 1.0 / (spread * spread);
            }
            spread *= NEXT;
        }
        // The level has a prior that says nothing.
        normal[0][0] = 1e-9;
        for Slot { part, mean, days } in seen {
            if days <= 0.0 {
                continue;
            }
            // A count of none is less than one.
            let count = mean * days + 0.5;
            let weight = 1.0 / (1.0 / count + ROUGH / days);
            let (y, x) = ((count / days).ln(), basis(part));
            for row in 0..SIZE {
                right[row] += weight * x[row] * y;
                for column in 0..SIZE {
                    normal[row][column] += weight * x[row] * x[column];
                }
            }
        }
        Curve(solve(normal, right))
    }

    /// Traffic at this place of the day, over its level.
    pub fn at(&self, part: f64) -> f64 {
        let ln: f64 = basis(part).iter().zip(&self.0).skip(1).map(|(x, b)| x * b).sum();
        let most = REACH.ln();
        if ln.is_finite() { ln.clamp(-most, most).exp() } else { 1.0 }
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
        for row in at + 1..SIZE {
            let times = matrix[row][at] / matrix[at][at];
            for column in at..SIZE {
                matrix[row][column] -= times * matrix[at][column];
            }
            right[row] -= times * right[at];
        }
    }
    for at in (0..SIZE).rev() {
        let known: f64 = (at + 1..SIZE).map(|column| matrix[at][column] * right[column]).sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    right
}
