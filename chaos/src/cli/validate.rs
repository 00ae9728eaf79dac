//! `kiki-chaos validate`

use clap::Args;

use super::{CliResult, say, subjects};

/// Check files of experiments, without running anything
///
/// Everything that is wrong is told with its line and what is allowed. Settings of the platform are checked by the
/// platform, when a lab starts it.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki-chaos validate my.yaml other.yaml")]
pub struct ValidateArgs {
    /// Files, or names of experiments that come with the program
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
}

pub fn run(args: &ValidateArgs) -> CliResult {
    let mut wrong = Vec::new();
    for (file, told) in args.files.iter().zip(looked(&args.files)) {
        match told {
            Ok(title) => say(&format!("{file}: good: {title}")),
            Err(why) => wrong.push(why),
        }
    }
    match wrong.is_empty() {
        true => Ok(0),
        false => Err(wrong.join("\n")),
    }
}

/// Of each file its title, or what is wrong with it: one that is wrong hides no other.
fn looked(files: &[String]) -> Vec<Result<String, String>> {
    let one = |file: &String| {
        let read = subjects::read(std::slice::from_ref(file), None)?;
        Ok(read.into_iter().map(|it| it.experiment.title).collect())
    };
    files.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_wrong_hides_no_other() {
        let files = ["nope.yaml", "redis-is-stopped", "also-nope"].map(str::to_owned);
        let [Err(first), Ok(title), Err(last)] = &looked(&files)[..] else { panic!("each") };
        assert!(first.contains("nope.yaml") && !title.is_empty() && last.contains("also-nope"));
        let refused = run(&ValidateArgs { files: files.to_vec() }).expect_err("two are wrong");
        assert!(refused.contains("nope.yaml") && refused.contains("also-nope"), "{refused}");
    }
}
