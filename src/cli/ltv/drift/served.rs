//! The report of a running server.

use serde_json::Value;

use super::super::super::exit::CliError;
use super::super::api::{encoded, print};
use super::super::shown::{aligned, figure, list, word};
use super::DriftArgs;

/// Prints it, and says what has drifted.
pub async fn run(args: &DriftArgs) -> Result<Vec<String>, CliError> {
    let query = args.model.as_deref().map(|model| format!("?model={}", encoded(model)));
    let path = format!("/drift{}", query.unwrap_or_default());
    let answer = args.api.api()?.get(&path).await?;
    print(args.json, &answer, report)?;
    let drifted = list(&answer, "features").iter().filter(|of| of["drifted"] == true);
    Ok(drifted.map(|of| word(&of["feature"])).collect())
}

const HEADS: [&str; 9] =
    ["INPUT", "SHIFT", "DRIFTED", "VALUES", "PSI", "KS D", "KS P", "ADWIN", "PAGE-HINKLEY"];

fn report(answer: &Value) -> String {
    let row = |of: &Value| {
        vec![
            word(&of["feature"]),
            word(&of["shift"]),
            if of["drifted"] == true { "yes".to_owned() } else { "no".to_owned() },
            figure(&of["values"], 0),
            figure(&of["psi"], 4),
            figure(&of["ks_d"], 4),
            of["ks_p"].as_f64().map_or("-".to_owned(), |p| format!("{p:.2e}")),
            word(&of["adwin_cuts"]),
            word(&of["page_hinkley_alarms"]),
        ]
    };
    let rows: Vec<_> = list(answer, "features").iter().map(row).collect();
    let mut out = format!("{}\n{}", word(&answer["model"]), aligned(&HEADS, 3, &rows));
    if rows.is_empty() {
        out += "nothing has been asked of it yet\n";
    }
    out
}
