//! From the text of a file to an experiment, or to everything that is wrong with it.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, MergeKeyPolicy};

use super::problem::Problem;
use super::shape::{Finding, check};
use super::tree::{Node, Value};
use super::{Experiment, rules, schema};

/// Longer files are no experiments.
pub const BYTES_MAX: usize = 256 * 1024;
/// Maps and lists within each other, and values in all.
const DEPTH_MAX: usize = 24;
const NODES_MAX: usize = 20_000;
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
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX, max_events: 50_000, max_nodes: NODES_MAX, max_documents: 1 },
    };
    let tree: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |it| (it.line(), it.column()));
        Finding { line, column, path: String::new(), what: words(&error) }
    })?;
    match tree.value {
        Value::Map(_) => Ok(tree),
        _ => Err(Finding::at(&tree, "", format!("{} is not an experiment", tree.called()))),
    }
}

/// What is wrong with the YAML, for somebody who knows nothing of the library that reads it.
fn words(error: &Error) -> String {
    match error.without_snippet() {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("{key} is a duplicate: a key may be given once")
        }
        Error::DuplicateMappingKey { .. } => "a duplicate key: each may be given once".to_owned(),
        Error::MergeKeyNotAllowed { .. } => "merge keys (<<) are not taken".to_owned(),
        Error::UnsupportedTag { tag, .. } => format!("the tag {tag} is not taken"),
        Error::MultipleDocuments { .. } => {
            "a second document begins: a file has one experiment".to_owned()
        }
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => {
                format!("maps and lists are more than {DEPTH_MAX} deep within each other")
            }
            BudgetBreach::Documents { .. } => {
                "a second document begins: a file has one experiment".to_owned()
            }
            _ => {
                format!("is too large: at most {NODES_MAX} values are read, with all their aliases")
            }
        },
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            format!("is too large: at most {NODES_MAX} values are read, with all their aliases")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias is within what it stands for".to_owned()
        }
        Error::UnknownAnchor { .. } => "an alias stands for nothing that came before".to_owned(),
        Error::AliasError { error, .. } => words(error),
        Error::NonFiniteFloat { value, .. } => {
            format!("{value} is no number that can be counted with")
        }
        Error::InvalidBinaryBase64 { .. } | Error::BinaryNotUtf8 { .. } => {
            "the tag !!binary is not taken".to_owned()
        }
        Error::Unexpected { expected, .. } => {
            format!("is no YAML that is read here: {expected} was expected")
        }
        Error::Eof { .. } => "the text ends too early".to_owned(),
        // The parser's own sentence: what it found, and what it looked for.
        Error::ExternalMessage { msg, .. } | Error::Message { msg, .. } => {
            format!("is no YAML: {msg}")
        }
        _ => "is no YAML that is read here".to_owned(),
    }
}
