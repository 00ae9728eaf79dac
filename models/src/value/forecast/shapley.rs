//! Who of a few players brought how much: Shapley's values (1953), exactly, from the worth of every coalition.

/// Players at most: 2^8 coalitions.
pub const PLAYERS_MAX: u32 = 8;

/// The worth of nobody, and each player's value; they add up to the worth of all. `worth` is asked once for each
/// coalition, a set of bits (bit i: player i), nobody first. Of more players than [`PLAYERS_MAX`] the rest has no part.
pub fn shapley(players: u32, mut worth: impl FnMut(u32) -> f64) -> (f64, Vec<f64>) {
    let n = players.min(PLAYERS_MAX);
    let worths: Vec<f64> = (0..1_u32 << n).map(&mut worth).collect();
    let weight = |size: u32| -> f64 {
        // size! (n − size − 1)! / n!
        let choose = (0..size).fold(1.0, |c, k| c * f64::from(n - 1 - k) / f64::from(k + 1));
        1.0 / (f64::from(n) * choose)
    };
    let value = |player: u32| -> f64 {
        let bit = 1 << player;
        let without = (0..1_u32 << n).filter(|set| set & bit == 0);
        without
            .map(|set| {
                weight(set.count_ones()) * (worths[(set | bit) as usize] - worths[set as usize])
            })
            .sum()
    };
    (worths[0], (0..n).map(value).collect())
}

/// Carries values through a function of their sum: `of(sum)` is `whole` more than `of(0)`, and each value gets
/// its part of that (the rescale rule; Shrikumar, Greenside & Kundaje 2017). Where the values cancel out, they
/// keep their size and what is left of `whole` is spread evenly.
pub fn carried(values: &[f64], whole: f64) -> Vec<f64> {
    let sum: f64 = values.iter().sum();
    let size: f64 = values.iter().map(|v| v.abs()).sum();
    if sum.abs() > 1e-6 * size {
        return values.iter().map(|v| v * (whole / sum)).collect();
    }
    let rest = (whole - sum) / values.len().max(1) as f64;
    values.iter().map(|v| v + rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gloves_are_shared_as_the_textbook_says() {
        // Players 0 and 1 have a left glove, 2 a right one; a pair is worth 1.
        let pair = |set: u32| f64::from(u8::from(set & 4 != 0 && set & 3 != 0));
        let (nobody, values) = shapley(3, pair);
        assert_eq!(nobody, 0.0);
        for (value, want) in values.iter().zip([1.0 / 6.0, 1.0 / 6.0, 4.0 / 6.0]) {
            assert!((value - want).abs() < 1e-15, "{values:?}");
        }
    }

    #[test]
    fn values_add_up_and_who_changes_nothing_has_none() {
        let worth = |set: u32| if set & 2 == 0 { 3.0 } else { 5.5 + f64::from(set & 1).powi(3) };
        let (nobody, values) = shapley(4, worth);
        assert!((nobody + values.iter().sum::<f64>() - worth(15)).abs() < 1e-12);
        assert_eq!((values[2], values[3]), (0.0, 0.0));
        assert_eq!(shapley(0, |_| 7.0), (7.0, vec![]));
    }

    #[test]
    fn carried_values_add_up_to_the_whole() {
        for (values, whole) in [
            (vec![1.0, 3.0], 8.0),
            (vec![1.0, -1.0], 0.5),
            (vec![0.0, 0.0], 2.0),
            (vec![-1.0, 4.0], -9.0),
        ] {
            let sum: f64 = carried(&values, whole).iter().sum();
            assert!((sum - whole).abs() < 1e-9, "{values:?} {whole}: {sum}");
        }
        assert_eq!(carried(&[], 1.0), Vec::<f64>::new());
    }
}
