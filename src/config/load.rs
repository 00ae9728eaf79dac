//! Puts the sources together: built-in defaults, then a file, then variables, then flags.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::file::{FILE_BYTES_MAX, FileValues, read_file};
use super::keys::{Config, find, suggest};
use super::problem::{Problem, Problems, Source};
use super::raw::Raw;
use super::values::Values;
use super::{rules, variables};

/// The defaults, with every key explained.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// A configuration that was found good, with where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub values: Values,
    /// What is allowed but deserves a word at start.
    pub warnings: Vec<String>,
}

/// Collects the sources; [`Loader::load`] checks them all at once.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    file: Option<PathBuf>,
    environment: Environment,
    one_role: Option<String>,
    flags: Vec<(String, String, String)>,
}

impl Loader {
    /// The defaults alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file over the defaults.
    pub fn file(mut self, path: Option<&Path>) -> Self {
        self.file = path.map(Path::to_owned).or(self.file);
        self
    }

    /// Reads variables over the file. `KIKI_CONFIG` names the file where no flag does.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Names the only HTTP role that the process plays: then `PORT` is its port.
    pub fn one_role(mut self, role: &str) -> Self {
        self.one_role = Some(role.to_owned());
        self
    }

    /// Sets a key over everything else; `flag` is what the user typed, for messages.
    pub fn flag(mut self, key: &str, value: impl ToString, flag: &str) -> Self {
        self.flags.push((key.to_owned(), value.to_string(), flag.to_owned()));
        self
    }

    /// Checks everything and builds the configuration.
    ///
    /// # Errors
    /// Every problem that was found, each with its place.
    pub fn load(self) -> Result<Loaded, Problems> {
        let mut problems = Vec::new();
        let mut values = Values::default();
        let mut place = |read: FileValues, values: &mut Values| {
            for (key, raw, source) in read.values {
                values.place(key.path, raw, source);
            }
            problems.extend(read.problems);
        };
        place(read_file(DEFAULT_TOML, None), &mut values);
        let named = self.environment.get("KIKI_CONFIG").map(|(path, _)| PathBuf::from(path));
        if let Some(path) = self.file.or(named) {
            place(read_path(&path), &mut values);
        }
        let one_role = self.one_role.as_deref();
        variables::place(&self.environment, one_role, &mut values, &mut problems);
        for (path, text, flag) in self.flags {
            place_flag(&path, text, flag, &mut values, &mut problems);
        }
        // What is between the keys is judged even when a key is bad, on the values that are good,
        // so that one run shows everything.
        match Config::build(&values) {
            Ok(config) => {
                problems.extend(rules::problems(&config, &values));
                if problems.is_empty() {
                    let mut warnings = variables::unknown(&self.environment);
                    warnings.extend(rules::warnings(&config, &values));
                    return Ok(Loaded { config, values, warnings });
                }
            }
            Err(problem) => problems.push(problem),
        }
        Err(Problems(problems))
    }
}

fn place_flag(
    path: &str,
    text: String,
    flag: String,
    values: &mut Values,
    problems: &mut Vec<Problem>,
) {
    let source = Source::Flag(flag);
    let raw = Raw::text(text);
    let message = match find(path) {
        // Whoever is on the machine can read the command lines of its processes.
        Some(key) if key.hides(&raw) => {
            let variable = key.variable_names().into_iter().next().unwrap_or_default();
            format!(
                "is a secret, which has no place on a command line: set {variable}, or write it in a file"
            )
        }
        Some(key) => match key.check(&raw) {
            Ok(()) => return values.place(key.path, raw, source),
            Err(message) => message,
        },
        None => match suggest(path, false) {
            Some(known) => format!("unknown key; did you mean {known}?"),
            None => "unknown key".to_owned(),
        },
    };
    problems.push(Problem { source, key: Some(path.to_owned()), message });
}

fn read_path(path: &Path) -> FileValues {
    let read = || {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        let size = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        match u64::try_from(size) {
            Ok(size) if size <= FILE_BYTES_MAX => Ok(text),
            _ => Err(std::io::Error::other("larger than 1 MiB")),
        }
    };
    match read() {
        Ok(text) => read_file(&text, Some(path)),
        Err(error) => {
            let source = Source::File { path: path.to_owned(), line: 1, column: 1 };
            let message = format!("cannot be read: {error}");
            let problems = vec![Problem { source, key: None, message }];
            FileValues { values: Vec::new(), problems }
        }
    }
}
