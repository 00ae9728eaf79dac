//! Bars on a terminal; nothing elsewhere, or a line every few seconds where somebody waits for long.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::models::value::forecast::terms::Step;

/// Parts of a bar.
const PARTS: f64 = 1_000.0;
const LINE_EVERY: Duration = Duration::from_secs(10);

fn bar(length: u64, template: &str) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(length).with_style(style)
    })
}

/// Shows how far a fit is, on standard error.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    pub fn new() -> Progress {
        Progress(bar(PARTS as u64, "{bar:32} {percent}%  {elapsed}  {msg}"))
    }

    pub fn step(&mut self, step: Step) {
        self.at(step.what.to_owned(), step.done);
    }

    /// What is being done, and how far it is, 0 to 1.
    pub fn at(&self, what: String, done: f64) {
        if let Some(bar) = &self.0 {
            bar.set_message(what);
            bar.set_position((done.clamp(0.0, 1.0) * PARTS) as u64);
        }
    }

    pub fn reading(&self, lines: u64) {
        if let Some(bar) = &self.0 {
            bar.set_message(format!("{lines} lines read"));
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Shows how many of so many are done, on standard error.
#[derive(Debug)]
pub struct Bar {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    done: Cell<u64>,
    begun: Instant,
    said: Cell<Instant>,
}

impl Bar {
    pub fn new(total: u64, what: &'static str) -> Bar {
        let template = "{bar:32} {human_pos}/{human_len}  {per_sec}  {eta} left  {msg}";
        let (now, done) = (Instant::now(), Cell::new(0));
        Bar { bar: bar(total, template), what, total, done, begun: now, said: Cell::new(now) }
    }

    pub fn advance(&self, by: usize) {
        self.done.set(self.done.get() + by as u64);
        match &self.bar {
            Some(bar) => bar.inc(by as u64),
            None if self.said.get().elapsed() >= LINE_EVERY => {
                self.said.set(Instant::now());
                let (done, what) = (self.done.get(), self.what);
                let rate = done as f64 / self.begun.elapsed().as_secs_f64();
                self.say(&format!("{done} of {} {what}, {rate:.0} {what}/s", self.total));
            }
            None => {}
        }
    }

    /// A word beside the bar, or a line.
    pub fn say(&self, words: &str) {
        match &self.bar {
            Some(bar) => bar.println(words),
            // Standard error is where this would be reported.
            None => drop(writeln!(std::io::stderr(), "{words}")),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
