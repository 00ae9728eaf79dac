//! Drift within a file.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::super::super::exit::CliError;
use super::super::log::{self, LogArgs};
use super::super::progress::Progress;
use super::super::shown::{aligned, fixed};
use super::DriftArgs;
use super::compare::{CompareError, FeatureDrift, Moments, StreamDrift};
use crate::models::value::drift::psi::Shift;
use crate::models::value::log::day::Day;

fn failed(error: CompareError) -> CliError {
    match error {
        CompareError::Order { .. } => CliError::usage(error),
        other => CliError::failed(other),
    }
}

/// Prints the report, and says what has drifted.
pub fn run(args: &DriftArgs, path: &Path, reference_end: Day) -> Result<Vec<String>, CliError> {
    let log = LogArgs { transactions: path.to_owned(), reading: args.reading.clone() };
    let progress = Progress::new();
    let read = log::customers(&log, &progress);
    progress.finish();
    let (customers, read) = read?;
    let current_end = args.current_end.unwrap_or(read.last);
    let moments = Moments { reference_end, current_end, window_days: args.window_days };
    let features = moments.features(&customers).map_err(failed)?;
    let streams = moments.streams(&customers).map_err(failed)?;
    let inputs = features.iter().filter(|of| of.drifted).map(|of| of.feature);
    let flows = streams.iter().filter(|of| of.drifted).map(|of| of.stream);
    let drifted: Vec<String> = inputs.chain(flows).map(str::to_owned).collect();
    let mut out = io::stdout().lock();
    if args.json {
        let told = json!({
            "moments": moments, "log": read, "drifted": !drifted.is_empty(),
            "features": features, "streams": streams,
        });
        writeln!(out, "{told:#}")?;
    } else {
        write!(out, "{}", text(&moments, &features, &streams))?;
    }
    Ok(drifted)
}

fn yes(of: bool) -> String {
    if of { "yes" } else { "no" }.to_owned()
}

fn shift(of: Shift) -> String {
    match of {
        Shift::Stable => "stable",
        Shift::Moderate => "moderate",
        Shift::Major => "major",
    }
    .to_owned()
}

fn text(moments: &Moments, features: &[FeatureDrift], streams: &[StreamDrift]) -> String {
    let window = moments
        .window_days
        .map_or("everything before each".to_owned(), |days| format!("the {days} days up to each"));
    let row = |of: &FeatureDrift| {
        vec![
            of.feature.to_owned(),
            shift(of.shift),
            yes(of.drifted),
            fixed(of.reference_mean, 2),
            fixed(of.current_mean, 2),
            format!("{:.4}", of.psi),
            format!("{:.4}", of.ks_d),
            format!("{:.2e}", of.ks_p),
        ]
    };
    let rows: Vec<_> = features.iter().map(row).collect();
    let heads = ["INPUT", "SHIFT", "DRIFTED", "MEAN BEFORE", "MEAN NOW", "PSI", "KS D", "KS P"];
    let count = |of: fn(&FeatureDrift) -> usize| fixed(features.first().map_or(0, of) as f64, 0);
    let first = |day: Option<Day>| day.map_or("-".to_owned(), |day| day.to_string());
    let stream = |of: &StreamDrift| {
        vec![
            of.stream.to_owned(),
            yes(of.drifted),
            fixed(of.reference as f64, 0),
            fixed(of.values as f64, 0),
            of.adwin_cuts.to_string(),
            first(of.adwin_first),
            of.page_hinkley_alarms.to_string(),
            first(of.page_hinkley_first),
        ]
    };
    let flows: Vec<_> = streams.iter().map(stream).collect();
    let flow_heads =
        ["STREAM", "DRIFTED", "BEFORE", "SINCE", "ADWIN", "FIRST ON", "PAGE-HINKLEY", "FIRST ON"];
    format!(
        "{} customers on {} against {} on {}, by {window}\n\n{}\nSince {}, day by day\n{}",
        count(|of| of.reference),
        moments.reference_end,
        count(|of| of.current),
        moments.current_end,
        aligned(&heads, 3, &rows),
        moments.reference_end,
        aligned(&flow_heads, 2, &flows),
    )
}
