//! From what stands on the command line to experiments: files, or names of those that come with the program.

use std::path::Path;

use super::catalogue::FILES;
use crate::experiment::text::BYTES_MAX;
use crate::experiment::validate;
use crate::files;
use crate::run::{Subject, sha256};

/// All that are named, or all that come with the program; of these, those with the tag.
///
/// # Errors
/// Everything that is wrong with any of them, a line each.
pub fn read(named: &[String], tag: Option<&str>) -> Result<Vec<Subject>, String> {
    let mut subjects = Vec::new();
    let mut wrong = Vec::new();
    let texts: Vec<Result<(String, String, String), String>> = match named {
        [] => FILES.iter().map(|(name, text)| Ok(embedded(name, text))).collect(),
        named => named.iter().map(|it| one(it)).collect(),
    };
    for text in texts {
        match text {
            Err(why) => wrong.push(why),
            Ok((name, file, text)) => match validate(&text, &file) {
                Ok(experiment) => {
                    let sha256 = sha256(text.as_bytes());
                    subjects.push(Subject { name, file, sha256, experiment });
                }
                Err(problems) => wrong.extend(problems.iter().map(ToString::to_string)),
            },
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    subjects.retain(|it| tag.is_none_or(|tag| it.experiment.tags.iter().any(|own| own == tag)));
    match subjects.is_empty() {
        true => Err(format!("no experiment has the tag {}", tag.unwrap_or_default())),
        false => Ok(subjects),
    }
}

fn embedded(name: &str, text: &str) -> (String, String, String) {
    (name.to_owned(), name.to_owned(), text.to_owned())
}

/// A file, or the name of one that comes with the program.
fn one(named: &str) -> Result<(String, String, String), String> {
    let path = Path::new(named);
    let known = FILES.iter().find(|(name, _)| *name == named);
    if let (Some((name, text)), false) = (known, path.exists()) {
        return Ok(embedded(name, text));
    }
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
            let perhaps = crate::experiment::problem::meant(named, &names);
            let perhaps = perhaps.map(|it| format!("; did you mean {it}?")).unwrap_or_default();
            format!("{named} is neither a file nor an experiment of `kiki-chaos list`{perhaps}")
        }
        _ => format!("{named}: {error}"),
    };
    let text = files::read_text(path, BYTES_MAX as u64).map_err(failed)?;
    let name = path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    // The name becomes that of a folder.
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(good)
    {
        true => Ok((name, named.to_owned(), text)),
        false => Err(format!(
            "{named}: a file of an experiment has letters, digits, - _ and . in its name"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_name_it_is_all_of_them_and_a_tag_takes_some() {
        let all = read(&[], None).expect("they are good").len();
        let short = read(&[], Some("short")).expect("there are some").len();
        assert!(all == FILES.len() && short > 2 && short < all, "{short} of {all}");
        assert!(read(&[], Some("nobody")).is_err());
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_read() {
        let refused = read(&["/dev/zero".to_owned()], None).expect_err("it is a device");
        assert_eq!(refused, "/dev/zero: is no regular file");
    }

    #[test]
    fn a_slip_of_the_pen_is_told_with_what_was_meant() {
        let refused = read(&["redis-is-stoped".to_owned()], None).expect_err("there is none");
        assert!(refused.contains("did you mean redis-is-stopped?"), "{refused}");
    }
}
