//! Page–Hinkley: an alarm when the mean of a stream has moved (Page 1954, Hinkley 1971; with a
//! forgetting factor as in Gama et al. 2014).

use serde::{Deserialize, Serialize};

use crate::value::values::{BadValues, is_value};

/// Which way the mean has to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Up,
    Down,
    Both,
}

/// When it fires.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageHinkleyTerms {
    /// Values before it may fire (at least 1).
    pub values_min: u64,
    /// δ: how far a value may be from the mean for nothing, in the unit of the values.
    pub delta: f64,
    /// λ: how much must have come together, in the unit of the values.
    pub lambda: f64,
    /// α: what is kept of the sum at each value, 0 to 1.
    pub alpha: f64,
    pub direction: Direction,
}

impl Default for PageHinkleyTerms {
    /// For values of the order of 1.
    fn default() -> Self {
        let direction = Direction::Both;
        Self { values_min: 30, delta: 0.005, lambda: 50.0, alpha: 0.9999, direction }
    }
}

impl PageHinkleyTerms {
    fn are_sound(&self) -> bool {
        let not_below_0 = |v: f64| is_value(v) && v >= 0.0;
        not_below_0(self.delta) && not_below_0(self.lambda) && (0.0..=1.0).contains(&self.alpha)
    }
}

/// The mean has moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// `Up` or `Down`.
    pub direction: Direction,
    /// Mean of all values since the start or the last alarm, and how many.
    pub mean: f64,
    pub values: u64,
}

/// Terms that cannot be worked with, or a state that no stream leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("delta and lambda are at least 0, alpha is 0 to 1, sums are finite")]
pub struct BadPageHinkley;

/// The detector: seven numbers. It starts again after an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PageHinkleyJson")]
pub struct PageHinkley {
    terms: PageHinkleyTerms,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    values: u64,
    mean: f64,
    up: f64,
    up_min: f64,
    down: f64,
    down_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageHinkleyJson {
    terms: PageHinkleyTerms,
    state: State,
}

impl TryFrom<PageHinkleyJson> for PageHinkley {
    type Error = BadPageHinkley;

    fn try_from(json: PageHinkleyJson) -> Result<PageHinkley, BadPageHinkley> {
        let PageHinkleyJson { terms, state } = json;
        let sums = [state.mean, state.up, state.up_min, state.down, state.down_max];
        // Sums of 2^64 values of the largest magnitude are below this.
        let sound = terms.are_sound() && sums.iter().all(|sum| sum.abs() < 1e130);
        if sound { Ok(PageHinkley { terms, state }) } else { Err(BadPageHinkley) }
    }
}

impl PageHinkley {
    pub fn new(terms: PageHinkleyTerms) -> Result<PageHinkley, BadPageHinkley> {
        if !terms.are_sound() {
            return Err(BadPageHinkley);
        }
        Ok(PageHinkley { terms, state: State::default() })
    }

    /// Values since the start or the last alarm.
    pub fn values(&self) -> u64 {
        self.state.values
    }

    /// Their mean; 0 of none.
    pub fn mean(&self) -> f64 {
        self.state.mean
    }

    /// Takes the next value. With m the mean up to and with it, the sums are `U ← α U + (x − m − δ)` and
    /// `D ← α D + (x − m + δ)`; it fires when U is more than λ above its minimum (up) or D more than λ
    /// below its maximum (down). A value that is none changes nothing.
    pub fn update(&mut self, value: f64) -> Result<Option<Alarm>, BadValues> {
        if !is_value(value) {
            return Err(BadValues::OutOfRange { at: 0 });
        }
        let PageHinkleyTerms { values_min, delta, lambda, alpha, direction } = self.terms;
        let s = &mut self.state;
        s.values = s.values.saturating_add(1);
        s.mean += (value - s.mean) / s.values as f64;
        let off = value - s.mean;
        (s.up, s.down) = (alpha * s.up + off - delta, alpha * s.down + off + delta);
        (s.up_min, s.down_max) = match s.values {
            1 => (s.up, s.down),
            _ => (s.up_min.min(s.up), s.down_max.max(s.down)),
        };
        let up = direction != Direction::Down && s.up - s.up_min > lambda;
        let down = direction != Direction::Up && s.down_max - s.down > lambda;
        if s.values < values_min || !(up || down) {
            return Ok(None);
        }
        let direction = if up { Direction::Up } else { Direction::Down };
        let alarm = Alarm { direction, mean: s.mean, values: s.values };
        self.state = State::default();
        Ok(Some(alarm))
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::stream;
    use super::*;

    fn fired(terms: PageHinkleyTerms, values: &[f64]) -> Vec<(usize, Direction)> {
        let mut detector = PageHinkley::new(terms).unwrap();
        let alarms = values.iter().enumerate().filter_map(|(at, value)| {
            detector.update(*value).unwrap().map(|alarm| (at, alarm.direction))
        });
        alarms.collect()
    }

    #[test]
    fn the_stream_fires_at_the_place_of_the_reference_and_once() {
        assert_eq!(fired(PageHinkleyTerms::default(), &stream()), [(1_187, Direction::Up)]);
    }

    #[test]
    fn a_fall_is_a_rise_in_the_mirror_and_each_direction_can_be_left_out() {
        let mirror: Vec<f64> = stream().iter().map(|v| -v).collect();
        let only = |direction| PageHinkleyTerms { direction, ..PageHinkleyTerms::default() };
        assert_eq!(fired(only(Direction::Both), &mirror), [(1_187, Direction::Down)]);
        assert_eq!(fired(only(Direction::Down), &mirror), [(1_187, Direction::Down)]);
        assert_eq!(fired(only(Direction::Up), &mirror), []);
        assert_eq!(fired(only(Direction::Down), &stream()), []);
    }

    #[test]
    fn it_waits_for_the_least_number_of_values_and_starts_again_after_an_alarm() {
        let terms = PageHinkleyTerms { values_min: 5, lambda: 1.0, ..Default::default() };
        let values = [0.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0];
        assert_eq!(fired(terms, &values), [(4, Direction::Up)]);
        let mut detector = PageHinkley::new(terms).unwrap();
        assert_eq!(values[..5].iter().filter(|v| detector.update(**v) != Ok(None)).count(), 1);
        assert_eq!(detector, PageHinkley::new(terms).unwrap());
    }

    #[test]
    fn a_detector_that_was_stored_goes_on_as_if_it_had_not_been() {
        let mut detector = PageHinkley::new(PageHinkleyTerms::default()).unwrap();
        for (at, value) in stream().into_iter().enumerate() {
            let json = serde_json::to_string(&detector).unwrap();
            detector = serde_json::from_str(&json).unwrap();
            assert_eq!(detector.update(value).unwrap().is_some(), at == 1_187);
            assert!(json.len() < 500, "{json}");
        }
    }

    #[test]
    fn what_is_no_value_no_terms_or_no_state_is_refused_and_changes_nothing() {
        let mut detector = PageHinkley::new(PageHinkleyTerms::default()).unwrap();
        detector.update(1.0).unwrap();
        let before = detector.clone();
        for bad in [f64::NAN, f64::INFINITY, -1e101] {
            assert!(detector.update(bad).is_err());
        }
        assert_eq!(detector, before);
        for (delta, alpha) in [(f64::NAN, 0.5), (-1.0, 0.5), (0.1, 1.1), (0.1, f64::NAN)] {
            let terms = PageHinkleyTerms { delta, alpha, ..Default::default() };
            assert_eq!(PageHinkley::new(terms), Err(BadPageHinkley));
        }
        let json =
            serde_json::to_string(&detector).unwrap().replace("\"mean\":1.0", "\"mean\":1e200");
        assert!(json.contains("1e200") && serde_json::from_str::<PageHinkley>(&json).is_err());
    }

    #[test]
    fn the_largest_values_never_make_it_nan() {
        let terms = PageHinkleyTerms { alpha: 1.0, lambda: 1e100, ..Default::default() };
        let mut detector = PageHinkley::new(terms).unwrap();
        for at in 0..10_000 {
            detector.update(if at % 2 == 0 { 1e100 } else { -1e100 }).unwrap();
            assert!(detector.mean().is_finite() && detector.state.up.is_finite());
        }
    }
}
