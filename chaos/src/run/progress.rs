//! What people see while a run runs: one line that moves on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::tally::Ended;
use crate::experiment::probe::Measure;

/// From one plain line of figures to the next.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    state: Mutex<State>,
}

struct State {
    began: Instant,
    phase: String,
    /// When the phase is over, where that is known.
    until: Option<Instant>,
    /// Of plain lines.
    last: Instant,
}

impl Progress {
    pub fn new(quiet: bool) -> Progress {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            // The template is fixed; where it were none, the usual one is as good.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        let state = State { began: now, phase: String::new(), until: None, last: now };
        Progress { bar, quiet, state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run goes on to this, for about so long.
    pub fn phase(&self, phase: &str, lasts: Option<Duration>) {
        let mut state = self.state();
        state.phase = phase.to_owned();
        state.until = lasts.map(|it| Instant::now() + it);
        drop(state);
        match &self.bar {
            Some(bar) => bar.set_message(phase.to_owned()),
            None => self.say(phase),
        }
    }

    /// Something that happened, on a line of its own.
    pub fn say(&self, what: &str) {
        let at = self.state().began.elapsed().as_secs_f64();
        let line: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match &self.bar {
            Some(bar) => bar.println(format!("{at:7.1} s  {line}")),
            None if !self.quiet => eprintln!("{at:7.1} s  {line}"),
            None => {}
        }
    }

    /// How the load goes: what ended in the last two seconds.
    pub fn figures(&self, last: &Ended, open: &[String]) {
        let errors = last.measure(Measure::ErrorRatio, 2.0).unwrap_or_default() * 100.0;
        let done = last.measure(Measure::DonePerSecond, 2.0).unwrap_or_default();
        let p99 = last.measure(Measure::P99Ms, 2.0).unwrap_or_default();
        let mut state = self.state();
        let left = state.until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(|it| format!(", {} s left", it.as_secs())).unwrap_or_default();
        let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
        let text = format!(
            "{}{left} | {done:.0} done/s, {errors:.1}% errors, p99 {p99:.0} ms | faults: {open}",
            state.phase
        );
        let due = state.last.elapsed() >= PLAIN_EVERY;
        if due {
            state.last = Instant::now();
        }
        drop(state);
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if due => self.say(&text),
            None => {}
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
