//! `kiki-chaos book`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliResult, mutants, say};
use crate::files;
use crate::report::{RunReport, catalogue};

/// No report is as large.
const REPORT_MAX: u64 = 64 << 20;

/// Write the document of what many runs have shown
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki-chaos book --out docs/CHAOS.md chaos-report")]
pub struct BookArgs {
    /// The document
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Folders of reports, as runs wrote them, with the table of mutants where there is one
    #[arg(value_name = "REPORTDIR", required = true)]
    reports: Vec<PathBuf>,
}

pub fn run(args: &BookArgs) -> CliResult {
    let (mut runs, mut planted) = (Vec::new(), Vec::new());
    for folder in &args.reports {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut found: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            found.push(entry.map_err(failed)?.path().join("report.json"));
        }
        found.sort();
        for file in found.iter().filter(|file| file.is_file()) {
            runs.push(read::<RunReport>(file)?);
        }
        let table = folder.join(mutants::FILE);
        if table.is_file() {
            planted
                .extend(read::<Vec<mutants::Row>>(&table)?.into_iter().map(mutants::Row::mutant));
        }
    }
    if runs.is_empty() {
        return Err("there is no report.json in these folders".to_owned());
    }
    std::fs::write(&args.out, catalogue(&runs, &planted))
        .map_err(|error| format!("{}: {error}", args.out.display()))?;
    say(&format!("{}: {} runs, {} mutants", args.out.display(), runs.len(), planted.len()));
    Ok(0)
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, String> {
    let text = files::read(file, REPORT_MAX);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
}
