//! The few forms of regular expressions that the schema uses: `^`, classes with how often they may stand there, single
//! letters, one optional group, `$`. A whole engine would be a dependency for a dozen names.

/// Whether `text` fits; a pattern that is not understood fits nothing, which a test finds.
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some(inner) = pattern.strip_prefix('^').and_then(|it| it.strip_suffix('$')) else {
        return false;
    };
    if let Some(optional) = inner.strip_prefix('(').and_then(|it| it.strip_suffix(")?")) {
        return text.is_empty() || parse(optional).is_some_and(|atoms| walk(&atoms, text));
    }
    parse(inner).is_some_and(|atoms| walk(&atoms, text))
}

/// A set of letters, and how many of them.
struct Atom {
    ranges: Vec<(char, char)>,
    least: usize,
    most: usize,
}

fn parse(pattern: &str) -> Option<Vec<Atom>> {
    let mut atoms = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let ranges;
        if first == '[' {
            let end = rest.find(']')?;
            ranges = class(rest.get(1..end)?)?;
            rest = rest.get(end + 1..)?;
        } else {
            ranges = vec![(first, first)];
            rest = rest.get(first.len_utf8()..)?;
        }
        let (mut least, mut most) = (1, 1);
        if let Some(count) = rest.strip_prefix('{') {
            let end = count.find('}')?;
            let (low, high) = count.get(..end)?.split_once(',')?;
            (least, most) = (low.parse().ok()?, high.parse().ok()?);
            rest = count.get(end + 1..)?;
        }
        atoms.push(Atom { ranges, least, most });
    }
    Some(atoms)
}

fn class(text: &str) -> Option<Vec<(char, char)>> {
    let letters: Vec<char> = text.chars().collect();
    let mut ranges = Vec::new();
    let mut rest = letters.as_slice();
    loop {
        rest = match rest {
            [] => return Some(ranges),
            [from, '-', to, after @ ..] => {
                ranges.push((*from, *to));
                after
            }
            [one, after @ ..] => {
                ranges.push((*one, *one));
                after
            }
        };
    }
}

/// Takes as much as it can for each atom: no two of the schema's that follow each other share letters in a way
/// that would need a step back.
fn walk(atoms: &[Atom], text: &str) -> bool {
    let mut letters = text.chars().peekable();
    for Atom { ranges, least, most } in atoms {
        let mut taken = 0;
        let of = |c: &char| ranges.iter().any(|(from, to)| (from..=to).contains(&c));
        while taken < *most && letters.next_if(of).is_some() {
            taken += 1;
        }
        if taken < *least {
            return false;
        }
    }
    letters.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_or_do_not() {
        let id = "^[a-z][a-z0-9-]{0,47}$";
        for good in ["a", "kill-1", "a-b-c"] {
            assert!(fits(id, good), "{good}");
        }
        for bad in ["", "-a", "A", "1a", "a b", "ä", &"a".repeat(49)] {
            assert!(!fits(id, bad), "{bad}");
        }
        assert!(fits("^/[!-~]{0,1023}$", "/ready?x=1"));
        assert!(!fits("^/[!-~]{0,1023}$", "ready"));
        assert!(!fits("^/[!-~]{0,1023}$", "/a b"));
        assert!(fits("^(/[ -~]{0,255})?$", ""));
        assert!(fits("^(/[ -~]{0,255})?$", "/a/b"));
        assert!(!fits("^(/[ -~]{0,255})?$", "a/b"));
    }

    #[test]
    fn what_is_not_understood_fits_nothing() {
        for pattern in ["a", "^[a$", "^a{1$", "^a{x,1}$"] {
            assert!(!fits(pattern, "a"), "{pattern}");
        }
    }

    #[test]
    fn every_pattern_of_the_schema_is_understood() {
        fn patterns<'a>(schema: &'a serde_json::Value, found: &mut Vec<&'a str>) {
            match schema {
                serde_json::Value::Object(members) => {
                    for (name, value) in members {
                        if let (true, Some(pattern)) = (name == "pattern", value.as_str()) {
                            found.push(pattern);
                        }
                        patterns(value, found);
                    }
                }
                serde_json::Value::Array(items) => {
                    items.iter().for_each(|item| patterns(item, found));
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        patterns(crate::experiment::schema::schema(), &mut found);
        assert!(found.len() > 10);
        for pattern in found {
            let known = ["/a", "a", "A", "aaa", "node-1"];
            assert!(known.iter().any(|text| fits(pattern, text)), "{pattern}");
            assert!(!fits(pattern, "\u{7f}"), "{pattern}");
        }
    }
}
