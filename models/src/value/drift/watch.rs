//! One feature, or the error of one model, under all detectors at once.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::adwin::{Adwin, AdwinTerms, BadAdwin, Cut};
use super::ks::{KsTest, ks_sorted};
use super::page_hinkley::{Alarm, BadPageHinkley, PageHinkley, PageHinkleyTerms};
use super::psi::{Reference, Shift};
use crate::value::values::{BadValues, check, is_value, sorted};

/// Values of the reference that are kept; of more, as many order statistics at equal steps.
pub const REFERENCE_MAX: usize = 4_000;
/// Values of the window at most.
pub const WINDOW_MAX: usize = 100_000;

/// With fewer values in the window nothing is said of it: the stability index of ten classes of as many
/// values without any drift is about 0.09 by chance, and of fewer more.
pub const WINDOW_MIN: usize = 100;

/// What is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchTerms {
    /// Classes of the stability index.
    pub bins: usize,
    /// Newest values that are compared with the reference (brought into 1..=100,000).
    pub window: usize,
    /// The window counts as drifted from this distance on, if chance explains it with less than `p_max`.
    pub d_min: f64,
    pub p_max: f64,
    pub adwin: AdwinTerms,
    pub page_hinkley: PageHinkleyTerms,
}

impl Default for WatchTerms {
    fn default() -> Self {
        Self {
            bins: 10,
            window: 1_000,
            d_min: 0.1,
            p_max: 0.001,
            adwin: AdwinTerms::default(),
            page_hinkley: PageHinkleyTerms::default(),
        }
    }
}

/// Terms or values that nothing can be watched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWatch {
    #[error(transparent)]
    Values(#[from] BadValues),
    #[error(transparent)]
    Adwin(#[from] BadAdwin),
    #[error(transparent)]
    PageHinkley(#[from] BadPageHinkley),
    #[error("the kept reference does not ascend, or the window is longer than its limit")]
    State,
}

/// What a value set off. Means are of places in the reference, 0 to 1: half of them lie below 0.5.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    Adwin(Cut),
    PageHinkley(Alarm),
}

/// The window against the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchReport {
    /// Values in the window, since the start, and those that were none.
    pub window: u64,
    pub values: u64,
    pub refused: u64,
    /// `None` before there are [`WINDOW_MIN`] values.
    pub psi: Option<f64>,
    pub shift: Option<Shift>,
    pub ks: Option<KsTest>,
    /// The distance is large and no chance.
    pub drifted: bool,
    /// Times that each detector of the stream fired.
    pub adwin_cuts: u64,
    pub page_hinkley_alarms: u64,
}

/// The watch. The detectors of the stream read the place of each value in the reference (the share of
/// its values that are below, ties by half): bounded, of one scale for all features, and not ruled by
/// the few largest values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WatchJson")]
pub struct Watch {
    terms: WatchTerms,
    sample: Vec<f64>,
    classes: Reference,
    window: VecDeque<f64>,
    adwin: Adwin,
    page_hinkley: PageHinkley,
    values: u64,
    refused: u64,
    adwin_cuts: u64,
    page_hinkley_alarms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchJson {
    terms: WatchTerms,
    sample: Vec<f64>,
    classes: Reference,
    window: VecDeque<f64>,
    adwin: Adwin,
    page_hinkley: PageHinkley,
    values: u64,
    refused: u64,
    adwin_cuts: u64,
    page_hinkley_alarms: u64,
}

impl TryFrom<WatchJson> for Watch {
    type Error = BadWatch;

    fn try_from(json: WatchJson) -> Result<Watch, BadWatch> {
        check(&json.sample)?;
        let kept = json.sample.is_sorted() && json.sample.len() <= REFERENCE_MAX;
        let windowed = json.window.len() <= json.terms.window.clamp(1, WINDOW_MAX);
        if !(kept && windowed && json.window.iter().all(|v| is_value(*v))) {
            return Err(BadWatch::State);
        }
        Ok(Watch {
            terms: json.terms,
            sample: json.sample,
            classes: json.classes,
            window: json.window,
            adwin: json.adwin,
            page_hinkley: json.page_hinkley,
            values: json.values,
            refused: json.refused,
            adwin_cuts: json.adwin_cuts,
            page_hinkley_alarms: json.page_hinkley_alarms,
        })
    }
}

impl Watch {
    /// `reference` are the values that the model was fitted on, in any order.
    pub fn new(reference: &[f64], terms: WatchTerms) -> Result<Watch, BadWatch> {
        let classes = Reference::of(reference, terms.bins)?;
        let mut sample = sorted(reference);
        if sample.len() > REFERENCE_MAX {
            let step = sample.len() as f64 / REFERENCE_MAX as f64;
            let at = |k: usize| ((k as f64 + 0.5) * step) as usize;
            sample = (0..REFERENCE_MAX).map(|k| sample[at(k).min(sample.len() - 1)]).collect();
        }
        Ok(Watch {
            terms,
            sample,
            classes,
            window: VecDeque::new(),
            adwin: Adwin::new(terms.adwin)?,
            page_hinkley: PageHinkley::new(terms.page_hinkley)?,
            values: 0,
            refused: 0,
            adwin_cuts: 0,
            page_hinkley_alarms: 0,
        })
    }

    /// Takes the next value and says what it set off. A value that is none is counted as refused.
    pub fn observe(&mut self, value: f64) -> Vec<Signal> {
        let below = self.sample.partition_point(|v| *v < value);
        let equal = self.sample[below..].partition_point(|v| *v <= value);
        let place = (below as f64 + equal as f64 / 2.0) / self.sample.len() as f64;
        let mut signals = Vec::new();
        if !is_value(value) {
            self.refused += 1;
            return signals;
        }
        self.values += 1;
        if self.window.len() >= self.terms.window.clamp(1, WINDOW_MAX) {
            self.window.pop_front();
        }
        self.window.push_back(value);
        // A place is always a value: neither detector refuses it.
        if let Ok(Some(cut)) = self.adwin.update(place) {
            self.adwin_cuts += 1;
            signals.push(Signal::Adwin(cut));
        }
        if let Ok(Some(alarm)) = self.page_hinkley.update(place) {
            self.page_hinkley_alarms += 1;
            signals.push(Signal::PageHinkley(alarm));
        }
        signals
    }

    /// Costs a sort of the window.
    pub fn report(&self) -> WatchReport {
        let window: Vec<f64> = self.window.iter().copied().collect();
        let window = sorted(&window);
        let enough = window.len() >= WINDOW_MIN.min(self.terms.window);
        let counts = self.classes.count(&window).ok().filter(|_| enough);
        let psi = counts.and_then(|counts| self.classes.psi(&counts).ok());
        let ks = enough.then(|| ks_sorted(&self.sample, &window));
        WatchReport {
            window: window.len() as u64,
            values: self.values,
            refused: self.refused,
            psi,
            shift: psi.map(Shift::of),
            ks,
            drifted: ks.is_some_and(|k| k.d >= self.terms.d_min && k.p_value < self.terms.p_max),
            adwin_cuts: self.adwin_cuts,
            page_hinkley_alarms: self.page_hinkley_alarms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::stream;
    use super::*;

    fn watch(reference: &[f64]) -> Watch {
        Watch::new(reference, WatchTerms::default()).unwrap()
    }

    #[test]
    fn a_shift_is_seen_by_all_four() {
        let stream = stream();
        let mut watch = watch(&stream[..1_000]);
        stream[..1_000].iter().for_each(|v| assert_eq!(watch.observe(*v), []));
        let still = watch.report();
        assert_eq!(
            (still.psi, still.shift, still.drifted),
            (Some(0.0), Some(Shift::Stable), false)
        );
        let signals: Vec<Signal> = stream[1_000..].iter().flat_map(|v| watch.observe(*v)).collect();
        assert!(matches!(signals[0], Signal::Adwin(_)));
        assert!(signals.iter().any(|s| matches!(s, Signal::PageHinkley(_))));
        let moved = watch.report();
        assert!((moved.psi.unwrap() - 2.48614).abs() < 5e-6 && moved.drifted);
        assert!((moved.ks.unwrap().d - 0.301).abs() < 1e-12);
        assert!(moved.adwin_cuts >= 1 && moved.page_hinkley_alarms == 1);
    }

    #[test]
    fn the_scale_of_a_feature_changes_no_signal() {
        let stream = stream();
        let scaled: Vec<f64> = stream.iter().map(|v| v * 1_024.0).collect();
        let (mut plain, mut other) = (watch(&stream[..1_000]), watch(&scaled[..1_000]));
        for (a, b) in stream.iter().zip(&scaled) {
            assert_eq!(plain.observe(*a), other.observe(*b));
        }
    }

    #[test]
    fn a_value_of_the_reference_stands_in_the_middle_of_its_like() {
        let mut watch = watch(&[1.0, 1.0, 2.0, 3.0]);
        for (value, place) in [(1.0, 0.25), (2.0, 0.625), (9.0, 1.0)] {
            let (mean, width) = (watch.adwin.mean(), watch.adwin.width() as f64);
            watch.observe(value);
            let want = (mean * width + place) / (width + 1.0);
            assert!((watch.adwin.mean() - want).abs() < 1e-12, "{value}");
        }
    }

    #[test]
    fn what_is_no_value_is_counted_and_changes_nothing_else() {
        let mut watch = watch(&[1.0, 2.0]);
        let before = watch.clone();
        for bad in [f64::NAN, f64::INFINITY, -1e200] {
            assert_eq!(watch.observe(bad), []);
        }
        assert_eq!(watch, Watch { refused: 3, ..before });
        let report = watch.report();
        assert_eq!((report.psi, report.ks, report.drifted, report.refused), (None, None, false, 3));
        assert!(Watch::new(&[], WatchTerms::default()).is_err());
    }

    #[test]
    fn a_handful_of_values_is_no_drift() {
        let reference: Vec<f64> = (0..1_000).map(f64::from).collect();
        let mut watch = watch(&reference);
        for _ in 1..WINDOW_MIN {
            watch.observe(5_000.0);
            let report = watch.report();
            assert_eq!((report.psi, report.shift, report.ks), (None, None, None));
            assert!(!report.drifted);
        }
        watch.observe(5_000.0);
        let report = watch.report();
        assert!(report.drifted && report.shift == Some(Shift::Major), "{report:?}");
    }

    #[test]
    fn memory_is_bounded_whatever_the_reference_and_the_stream() {
        let reference: Vec<f64> = (0..50_000).map(f64::from).collect();
        let mut watch = watch(&reference);
        for i in 0..20_000_u32 {
            watch.observe(f64::from((7_919 * i) % 50_000));
        }
        assert_eq!((watch.sample.len(), watch.window.len()), (REFERENCE_MAX, 1_000));
        assert!(watch.report().ks.unwrap().d < 0.05 && !watch.report().drifted);
        assert!(serde_json::to_string(&watch).unwrap().len() < 100_000);
    }

    #[test]
    fn a_watch_comes_back_from_its_json_and_a_false_one_does_not() {
        let mut watch = watch(&[1.0, 2.0, 3.0]);
        (0..40).for_each(|i| drop(watch.observe(f64::from(i % 4))));
        let json = serde_json::to_string(&watch).unwrap();
        let back: Watch = serde_json::from_str(&json).unwrap();
        assert_eq!(back.report(), watch.report());
        let bad = json.replace("\"sample\":[1.0,2.0", "\"sample\":[2.0,1.0");
        assert!(bad != json && serde_json::from_str::<Watch>(&bad).is_err());
    }
}
