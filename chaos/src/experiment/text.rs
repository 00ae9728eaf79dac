//! From the text of a file to an experiment, or to everything that is wrong with it.

use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::problem::Problem;
use super::shape::{Finding, check};
use super::tree::{Node, Value};
use super::{Experiment, rules, schema};

/// Longer files are no experiments.
pub const BYTES_MAX: usize = 256 * 1024;
/// More would hide the first.
const PROBLEMS_MAX: usize = 100;

/// Reads one experiment.
///
/// # Errors
/// All that is wrong, in the order of the file. What is no YAML has one problem; what has another shape than the
/// schema says is not looked at for its sense.
pub fn validate(text: &str, file: &str) -> Result<Experiment, Vec<Problem>> {
    let told = |mut found: Vec<Finding>| {
        found.sort_by_key(|it| (it.line, it.column));
        found.truncate(PROBLEMS_MAX);
        let problem = |Finding { line, column, path, what }| Problem {
            file: file.to_owned(),
            line,
            column,
            path,
            what,
        };
        found.into_iter().map(problem).collect::<Vec<_>>()
    };
    let tree = tree(text).map_err(|it| told(vec![it]))?;
    let mut found = Vec::new();
    check(&tree, schema::schema(), "", &mut found);
    if !found.is_empty() {
        return Err(told(found));
    }
    let experiment: Experiment = serde_json::from_value(tree.json())
        .map_err(|error| told(vec![Finding::at(&tree, "", error.to_string())]))?;
    rules::check(&experiment, &tree, &mut found);
    match found.is_empty() {
        true => Ok(experiment),
        false => Err(told(found)),
    }
}

fn tree(text: &str) -> Result<Node, Finding> {
    let nowhere = |what: String| Finding { line: 0, column: 0, path: String::new(), what };
    if text.len() > BYTES_MAX {
        return Err(nowhere(format!("is {} bytes long; at most {BYTES_MAX} are read", text.len())));
    }
    let options = serde_saphyr::options! {
        // A file says what it says: nothing is repeated, merged, interpolated or guessed.
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: 24, max_events: 50_000, max_nodes: 20_000, max_documents: 1 },
    };
    let tree: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |it| (it.line(), it.column()));
        Finding { line, column, path: String::new(), what: error.to_string() }
    })?;
    match tree.value {
        Value::Map(_) => Ok(tree),
        _ => Err(Finding::at(&tree, "", format!("{} is not an experiment", tree.called()))),
    }
}
