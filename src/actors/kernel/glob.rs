//! Path patterns: `*` stands for anything within a segment, `**` for anything.

const PATTERN_CHARS_MAX: usize = 256;

pub(super) struct Glob(Vec<Part>);

#[derive(PartialEq)]
enum Part {
    Char(char),
    Star,
    Stars,
}

impl Glob {
    /// The error says what is wrong with the pattern.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if !pattern.starts_with('/') && !pattern.starts_with("**") {
            return Err("does not start with '/' or '**'".to_owned());
        }
        if pattern.chars().count() > PATTERN_CHARS_MAX {
            return Err(format!("has more than {PATTERN_CHARS_MAX} characters"));
        }
        let mut parts: Vec<Part> = Vec::new();
        for c in pattern.chars() {
            match (c, parts.last()) {
                ('*', Some(Part::Star)) => {
                    *parts.last_mut().unwrap_or(&mut Part::Stars) = Part::Stars
                }
                ('*', Some(Part::Stars)) => {}
                ('*', _) => parts.push(Part::Star),
                (c, _) => parts.push(Part::Char(c)),
            }
        }
        Ok(Self(parts))
    }

    /// Steps through all ways to match at once: linear in pattern times path, whatever the pattern.
    pub fn matches(&self, path: &str) -> bool {
        let parts = &self.0;
        let mut at = vec![false; parts.len() + 1];
        at[0] = true;
        skip_empty(parts, &mut at);
        for c in path.chars() {
            let mut next = vec![false; parts.len() + 1];
            for (i, part) in parts.iter().enumerate().filter(|(i, _)| at[*i]) {
                match part {
                    Part::Char(want) if *want == c => next[i + 1] = true,
                    Part::Star if c != '/' => next[i] = true,
                    Part::Stars => next[i] = true,
                    _ => {}
                }
            }
            skip_empty(parts, &mut next);
            at = next;
        }
        at[parts.len()]
    }
}

/// A star may stand for nothing.
fn skip_empty(parts: &[Part], at: &mut [bool]) {
    for (i, part) in parts.iter().enumerate() {
        if at[i] && matches!(part, Part::Star | Part::Stars) {
            at[i + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::new(pattern).is_ok_and(|glob| glob.matches(path))
    }

    #[test]
    fn a_star_stays_within_its_segment_and_two_stars_do_not() {
        assert!(matches("/shield/budget/*", "/shield/budget/camp_001"));
        assert!(!matches("/shield/*", "/shield/budget/camp_001"));
        assert!(matches("/shield/**", "/shield/budget/camp_001"));
        assert!(matches("/shield/b*t/camp_*1", "/shield/budget/camp_001"));
        assert!(matches("**", "/"));
        assert!(matches("/a", "/a"));
        assert!(!matches("/a", "/ab"));
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        assert!(!matches(&format!("/{}b", "*a".repeat(100)), &format!("/{}", "a".repeat(2_000))));
    }

    #[test]
    fn patterns_that_are_not_paths_are_refused() {
        assert!(Glob::new("shield").is_err());
        assert!(Glob::new("").is_err());
        assert!(Glob::new(&format!("/{}", "a".repeat(300))).is_err());
    }
}
