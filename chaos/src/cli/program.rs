//! Where the program `kiki` is.

use std::path::PathBuf;

use crate::lab::programs::{is_program, program};

/// As it is named, or in the environment; otherwise beside this program, or where programs are.
///
/// # Errors
/// There is none.
pub fn find(named: Option<&PathBuf>) -> Result<PathBuf, String> {
    if let Some(named) = named {
        // A word without a slash is looked up, as a shell does it.
        let found = if named.components().count() == 1 && !is_program(named) {
            named.to_str().and_then(program)
        } else {
            Some(named.clone()).filter(|path| is_program(path))
        };
        return found.ok_or_else(|| format!("{} is no program that can be run", named.display()));
    }
    let own = std::env::current_exe().ok();
    let beside = own.as_ref().and_then(|it| it.parent()).map(|it| it.join("kiki"));
    let found = beside.filter(|path| is_program(path)).or_else(|| program("kiki"));
    found.ok_or_else(|| {
        "no program kiki was found beside this one or in PATH: name it with --binary".to_owned()
    })
}
