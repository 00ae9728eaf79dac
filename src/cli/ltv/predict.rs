//! `kiki ltv predict`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::exit::{CliError, CliResult};
use super::log::{self, LogArgs, ReadingArgs, day};
use super::progress::Progress;
use super::shown;
use crate::models::value::forecast::answer::Forecast;
use crate::models::value::forecast::bytes::BYTES_MAX;
use crate::models::value::forecast::customer::{Customer, Input};
use crate::models::value::forecast::hint::Hint;
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::log::day::Day;

/// Say what customers are worth
///
/// Asks a model that `kiki ltv fit --out` wrote: of the customers of a log (all of them, or those who are
/// named), or of somebody of whom only a spend and an engagement are known. A customer who is not in the log
/// gets what new customers are worth, marked as insufficient_data.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki ltv predict --model-file value.model --transactions orders.csv --customer cust_123\n  kiki ltv predict --model-file value.model --spend 500 --engagement-score 0.85"
)]
pub struct PredictArgs {
    /// The model
    #[arg(long, value_name = "FILE")]
    model_file: PathBuf,

    /// The purchase log, packed with gzip or not
    #[arg(long, value_name = "FILE", required_unless_present_any = ["spend", "engagement_score"])]
    transactions: Option<PathBuf>,

    #[command(flatten)]
    reading: ReadingArgs,

    /// Only this customer (repeatable); with reasons
    #[arg(long = "customer", value_name = "ID", requires = "transactions")]
    customers: Vec<String>,

    /// Spend so far of somebody without a history, in units of the currency, 0 or more
    #[arg(
        long,
        value_name = "AMOUNT",
        conflicts_with = "transactions",
        allow_negative_numbers = true
    )]
    spend: Option<f64>,

    /// Engagement of somebody without a history, 0 to 1
    #[arg(
        long,
        value_name = "SCORE",
        conflicts_with = "transactions",
        allow_negative_numbers = true
    )]
    engagement_score: Option<f64>,

    /// The last day that is known; what is after it is not looked at [default: the last day of the log]
    #[arg(long, value_name = "DATE", value_parser = day)]
    as_of: Option<Day>,

    /// How far to look, in days [default: the model's horizon]
    #[arg(long, visible_alias = "horizon", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_653))]
    horizon_days: Option<u32>,

    /// Also say what the value is worth now, discounted by so much a year, as in 0.1 for 10%
    #[arg(long, value_name = "RATE")]
    discount: Option<f64>,

    /// Customers of the table at most, those with the highest values; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// Print JSON: everybody, whatever the limit
    #[arg(long)]
    json: bool,
}

fn open(path: &PathBuf) -> Result<ValueModel, CliError> {
    let named =
        |error: &dyn std::fmt::Display| CliError::failed(format!("{}: {error}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| named(&error))?.len();
    if size > BYTES_MAX as u64 {
        return Err(named(&"is no model of value: more than 64 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|error| named(&error))?;
    ValueModel::from_bytes(&bytes).map_err(|error| named(&error))
}

fn checked(args: &PredictArgs) -> CliResult {
    if args.spend.is_some_and(|spend| !(0.0..=1e12).contains(&spend)) {
        return Err(CliError::usage("--spend: expected 0 or more"));
    }
    if args.engagement_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        return Err(CliError::usage("--engagement-score: expected 0 to 1"));
    }
    if args.discount.is_some_and(|rate| !(0.0..=100.0).contains(&rate)) {
        return Err(CliError::usage("--discount: expected 0 or more"));
    }
    Ok(())
}

/// What is said of one, and of whom.
struct Said {
    id: Option<String>,
    forecast: Forecast,
    discounted: Option<f64>,
}

/// Runs the command.
pub fn run(args: PredictArgs) -> CliResult {
    checked(&args)?;
    let model = open(&args.model_file)?;
    let days = args.horizon_days.unwrap_or(model.horizon_days());
    let (as_of, said) = match &args.transactions {
        None => {
            let hint = Hint { spend: args.spend, engagement: args.engagement_score };
            let said = Said { id: None, forecast: model.prior(&hint, days), discounted: None };
            (None, vec![said])
        }
        Some(path) => {
            let log = LogArgs { transactions: path.clone(), reading: args.reading.clone() };
            let progress = Progress::new();
            let read = log::customers(&log, &progress);
            progress.finish();
            let (customers, read) = read?;
            let as_of = args.as_of.unwrap_or(read.last);
            (Some(as_of), of_log(&args, &model, &customers, as_of, days))
        }
    };
    let mut out = io::stdout().lock();
    if args.json {
        let forecasts: Vec<Value> = said.iter().map(shown_json).collect();
        let told = json!({
            "model": model.kind(),
            "calibration_end": model.cut(),
            "horizon_days": days,
            "as_of": as_of,
            "forecasts": forecasts,
        });
        writeln!(out, "{told:#}")?;
        return Ok(());
    }
    let mut said = said;
    let all = said.len();
    if args.customers.is_empty() {
        said.sort_by(|a, b| b.forecast.value.total_cmp(&a.forecast.value));
        if args.limit > 0 {
            said.truncate(args.limit);
        }
    }
    let rows = said.iter().map(|of| (of.id.as_deref(), &of.forecast, of.discounted));
    write!(out, "{}", shown::forecasts(rows, days, all))?;
    Ok(())
}

fn shown_json(of: &Said) -> Value {
    let forecast = json!(of.forecast);
    let mut all = json!({ "customer_id": of.id, "discounted": of.discounted });
    if let (Value::Object(all), Value::Object(forecast)) = (&mut all, forecast) {
        all.extend(forecast);
    }
    all
}

fn of_log(
    args: &PredictArgs,
    model: &ValueModel,
    customers: &[Customer],
    as_of: Day,
    days: u32,
) -> Vec<Said> {
    let discounted = |input: &Input<'_>, forecast: &Forecast| {
        args.discount.map(|rate| model.discounted(input, forecast, days, rate, 1.0))
    };
    if args.customers.is_empty() {
        let inputs: Vec<Input<'_>> =
            customers.iter().map(|of| Input { purchases: &of.purchases, as_of }).collect();
        let forecasts = model.predict(&inputs, days).into_iter();
        return customers
            .iter()
            .zip(&inputs)
            .zip(forecasts)
            .map(|((of, input), forecast)| Said {
                id: Some(of.id.to_string()),
                discounted: discounted(input, &forecast),
                forecast,
            })
            .collect();
    }
    let by_id: HashMap<&str, &Customer> = customers.iter().map(|of| (&*of.id, of)).collect();
    let one = |id: &String| {
        let known = by_id.get(id.as_str()).copied();
        if known.is_none() {
            // Standard error is where this would be reported.
            drop(writeln!(io::stderr(), "{id} is not in the log"));
        }
        let purchases = known.map_or(&[][..], |of| &of.purchases);
        let input = Input { purchases, as_of };
        let forecast = model.explain(&input, days);
        Said { id: Some(id.clone()), discounted: discounted(&input, &forecast), forecast }
    };
    args.customers.iter().map(one).collect()
}
