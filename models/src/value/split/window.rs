//! The past and the future of a cut in time. Times are any integers of one unit (days, micros); a cut
//! belongs to the future: for a calibration that ends on a day, the cut is the day after.

use serde::{Deserialize, Serialize};

/// Windows of a schedule at most.
pub const WINDOWS_MAX: usize = 1_000;

/// Train on rows before `cut`, test on rows from `cut` up to but without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WindowJson")]
pub struct Window {
    cut: i64,
    end: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowJson {
    cut: i64,
    end: i64,
}

/// A window that ends before it begins, or steps that lead nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWindow {
    #[error("a holdout from {cut} to {end} has no time in it")]
    Empty { cut: i64, end: i64 },
    #[error("a step of {0} does not go back in time")]
    Step(i64),
    #[error("there is no window of {horizon} between {first} and {last}")]
    TooShort { first: i64, last: i64, horizon: i64 },
}

impl TryFrom<WindowJson> for Window {
    type Error = BadWindow;

    fn try_from(json: WindowJson) -> Result<Window, BadWindow> {
        Window::new(json.cut, json.end)
    }
}

/// The rows on both sides of a cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides<'a, T> {
    pub past: Vec<&'a T>,
    pub holdout: Vec<&'a T>,
}

impl Window {
    pub fn new(cut: i64, end: i64) -> Result<Window, BadWindow> {
        if cut < end { Ok(Window { cut, end }) } else { Err(BadWindow::Empty { cut, end }) }
    }

    pub fn cut(self) -> i64 {
        self.cut
    }

    pub fn end(self) -> i64 {
        self.end
    }

    /// Rows by their time, each side in the order given; rows from `end` on are on neither side.
    pub fn sides<T>(self, rows: &[T], at: impl Fn(&T) -> i64) -> Sides<'_, T> {
        let (past, rest): (Vec<&T>, Vec<&T>) = rows.iter().partition(|row| at(row) < self.cut);
        Sides { past, holdout: rest.into_iter().filter(|row| at(row) < self.end).collect() }
    }

    /// The rows that a model of this window may be fitted on.
    pub fn past<T>(self, rows: &[T], at: impl Fn(&T) -> i64) -> Vec<&T> {
        rows.iter().filter(|row| at(row) < self.cut).collect()
    }
}

/// Holdouts of length `horizon` that roll back from `last` (none ends after it) in steps, as long as the
/// past begins at `first` and is at least `past_min` long; the oldest first, at most 1,000.
///
/// A calibration that is fitted on these windows knows nothing from `last` on.
pub fn rolling(
    first: i64,
    last: i64,
    horizon: i64,
    step: i64,
    past_min: i64,
) -> Result<Vec<Window>, BadWindow> {
    if step < 1 {
        return Err(BadWindow::Step(step));
    }
    let mut windows = Vec::new();
    let mut end = last;
    while windows.len() < WINDOWS_MAX {
        let Some(cut) = end.checked_sub(horizon) else { break };
        let past = cut.checked_sub(first);
        if horizon < 1 || past.is_none_or(|past| past < past_min.max(1)) {
            break;
        }
        windows.push(Window { cut, end });
        let Some(earlier) = end.checked_sub(step) else { break };
        end = earlier;
    }
    if windows.is_empty() {
        return Err(BadWindow::TooShort { first, last, horizon });
    }
    windows.reverse();
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn rows(seed: u64) -> Vec<(i64, u32)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..500).map(|i| (rng.random_range(0..100), i)).collect()
    }

    #[test]
    fn a_cut_belongs_to_the_future_and_an_end_to_neither_side() {
        let sides = Window::new(10, 20).unwrap();
        let sides = sides.sides(&[9, 10, 19, 20, -5], |at| *at);
        assert_eq!((sides.past, sides.holdout), (vec![&9, &-5], vec![&10, &19]));
    }

    #[test]
    fn whatever_happens_to_the_future_the_past_is_the_same() {
        let window = Window::new(60, 90).unwrap();
        for seed in 0..50 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let before = rows(seed);
            let mut after = before.clone();
            // The future's rows change places, times and contents; some are lost and some come.
            let (mut future, mut kept): (Vec<_>, Vec<_>) = after.drain(..).partition(|r| r.0 >= 60);
            future.shuffle(&mut rng);
            future.truncate(rng.random_range(0..=future.len()));
            future.extend((0..rng.random_range(0..50)).map(|_| (60, 0)));
            future.iter_mut().for_each(|r| *r = (rng.random_range(60..200), rng.random()));
            kept.extend(future);
            let past = |rows: &[(i64, u32)]| -> Vec<(i64, u32)> {
                window.sides(rows, |r| r.0).past.into_iter().copied().collect()
            };
            assert_eq!(past(&before), past(&kept), "seed {seed}");
            assert!(past(&before).iter().all(|r| r.0 < 60) && !past(&before).is_empty());
            assert!(window.past(&kept, |r| r.0).into_iter().copied().eq(past(&kept)));
        }
    }

    #[test]
    fn rolling_windows_end_by_the_last_and_leave_enough_past() {
        let windows = rolling(0, 39, 13, 5, 10).unwrap();
        let pairs: Vec<_> = windows.iter().map(|w| (w.cut(), w.end())).collect();
        assert_eq!(pairs, [(11, 24), (16, 29), (21, 34), (26, 39)]);
    }

    #[test]
    fn a_schedule_without_a_window_is_refused() {
        assert_eq!(rolling(0, 39, 13, 0, 1), Err(BadWindow::Step(0)));
        let short = BadWindow::TooShort { first: 0, last: 13, horizon: 13 };
        assert_eq!(rolling(0, 13, 13, 1, 0), Err(short));
        assert!(rolling(0, 13, -1, 1, 1).is_err());
        assert!(rolling(i64::MAX, i64::MIN, i64::MAX, i64::MAX, i64::MIN).is_err());
        assert_eq!(rolling(0, 1_000_000, 1, 1, 1).unwrap().len(), WINDOWS_MAX);
        assert_eq!(Window::new(5, 5), Err(BadWindow::Empty { cut: 5, end: 5 }));
        assert!(serde_json::from_str::<Window>(r#"{"cut":5,"end":4}"#).is_err());
    }
}
