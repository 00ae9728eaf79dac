//! Categories of the IAB, and the lists that they are codes of: `483` is another thing in each of them, so that
//! codes are compared with those of their own list alone.

use crate::opportunity::{Allowed, Blocked};

use super::mistake::Mistakes;
use super::name::{is_category, is_within};

/// The largest number of a list; vendors' own (from 500 on) are not told apart.
const TAXONOMY_MAX: u8 = 63;

/// A list of categories, by its number in AdCOM 1.0, list "Category Taxonomies".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Taxonomy(u8);

/// What a request that says nothing means (OpenRTB 2.6, section 3.2.1).
impl Default for Taxonomy {
    fn default() -> Taxonomy {
        Taxonomy::FIRST
    }
}

impl Taxonomy {
    /// Nobody knows which: codes of it are equal to none.
    pub const UNKNOWN: Taxonomy = Taxonomy(0);
    /// The IAB's first one, whose codes begin with `IAB`.
    pub const FIRST: Taxonomy = Taxonomy(1);
    /// How many there are, the unknown one among them.
    pub const ALL: usize = TAXONOMY_MAX as usize + 1;

    pub fn of(number: u16) -> Taxonomy {
        match u8::try_from(number) {
            Ok(number @ 1..=TAXONOMY_MAX) => Taxonomy(number),
            _ => Taxonomy::UNKNOWN,
        }
    }

    /// That of one code of a list which is said to be of this one. What begins with `IAB` is of the first
    /// whatever is said, and nothing else is.
    pub fn of_code(self, code: &str) -> Taxonomy {
        match (is_first(code), self) {
            (true, _) => Taxonomy::FIRST,
            (false, Taxonomy::FIRST) => Taxonomy::UNKNOWN,
            (false, said) => said,
        }
    }

    /// Its number, where it is known.
    pub fn number(self) -> Option<u16> {
        (self != Taxonomy::UNKNOWN).then_some(u16::from(self.0))
    }

    /// Below [`Taxonomy::ALL`].
    pub fn place(self) -> usize {
        usize::from(self.0)
    }
}

/// Whether a code is of the first taxonomy: `IAB1`, `IAB1-5`.
fn is_first(code: &str) -> bool {
    let (head, rest) = code.as_bytes().split_at_checked(3).unwrap_or_default();
    head.eq_ignore_ascii_case(b"IAB") && rest.first().is_some_and(u8::is_ascii_digit)
}

/// Several of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taxonomies(u64);

impl Taxonomies {
    pub fn of(all: impl IntoIterator<Item = Taxonomy>) -> Taxonomies {
        Taxonomies(all.into_iter().fold(0, |set, it| set | 1 << it.0))
    }

    /// These and the others.
    pub fn and(self, others: Taxonomies) -> Taxonomies {
        Taxonomies(self.0 | others.0)
    }

    /// Whether codes of this one are among them; of the unknown one nobody can tell.
    pub fn has(self, it: Taxonomy) -> bool {
        it != Taxonomy::UNKNOWN && self.0 >> it.0 & 1 == 1
    }

    /// Those of these that the others have no codes of, by their places.
    pub fn places_beyond(self, others: Taxonomies) -> impl Iterator<Item = usize> {
        // Unknown ones are not those of anybody else.
        let beyond = self.0 & !(others.0 & !1);
        (0..Taxonomy::ALL).filter(move |place| beyond >> place & 1 == 1)
    }
}

/// Codes as a definition lists them.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    pub codes: &'a [String],
    /// Of those that do not begin with `IAB`.
    pub taxonomy: Taxonomy,
}

impl<'a> Listed<'a> {
    pub fn new(codes: &'a [String], cattax: Option<u16>) -> Listed<'a> {
        Listed { codes, taxonomy: cattax.map_or(Taxonomy::UNKNOWN, Taxonomy::of) }
    }

    pub fn each(self) -> impl Iterator<Item = (&'a str, Taxonomy)> {
        self.codes.iter().map(move |code| (code.as_str(), self.taxonomy.of_code(code)))
    }

    pub fn taxonomies(self) -> Taxonomies {
        Taxonomies::of(self.each().map(|(_, taxonomy)| taxonomy))
    }

    /// Whether a publisher's lists let these categories of what is advertised in. A list of blocked ones in
    /// another taxonomy might name them: then they are not let in. Who tells no category is on no list.
    pub fn passes(self, allowed: &Allowed<'_>, blocked: &Blocked<'_>) -> bool {
        let within = |of: &&str| self.codes.iter().any(|it| is_within(it, of));
        let compared = self.taxonomies().has(allowed.taxonomy);
        let let_in =
            allowed.categories.is_empty() || compared && allowed.categories.iter().any(within);
        let blocks = !blocked.categories.is_empty() && !self.codes.is_empty();
        let_in && !(blocks && (!compared || blocked.categories.iter().any(within)))
    }

    /// The taxonomy to tell an exchange these categories in, which has lists of `asked`: an answer has codes of
    /// one. `None`: none is known.
    pub fn told_in(self, asked: Taxonomy) -> Option<Taxonomy> {
        let all = self.taxonomies();
        let known = || self.each().map(|(_, it)| it).find(|it| *it != Taxonomy::UNKNOWN);
        if all.has(asked) { Some(asked) } else { known() }
    }
}

/// What is wrong with a list of categories and the taxonomy that is said of it. `cattax`: the field's value and
/// path.
pub(super) fn check(
    (codes, path, most): (&[String], &str, usize),
    cattax: Option<u16>,
    wrong: &mut Mistakes,
) {
    wrong.unless(codes.len() <= most, path, &format!("are more than {most}"));
    let codes = || codes.iter().take(most).enumerate();
    if let Some((i, _)) = codes().find(|(_, code)| !is_category(code)) {
        wrong.add(format!("{path}[{i}]"), "is not a code such as IAB1 or IAB1-5");
    }
    let other = codes().find(|(_, code)| is_category(code) && !is_first(code));
    let why = match cattax {
        None => "is of a later taxonomy: say by cattax of which",
        Some(1) => "is no code of taxonomy 1: those begin with IAB",
        Some(_) => return,
    };
    if let Some((i, _)) = other {
        wrong.add(format!("{path}[{i}]"), why);
    }
}

/// What is wrong with the number of a taxonomy.
pub(super) fn check_number(cattax: Option<u16>, path: &str, wrong: &mut Mistakes) {
    let fits = cattax.is_none_or(|number| (1..=u16::from(TAXONOMY_MAX)).contains(&number));
    wrong.unless(fits, path, "is not 1 to 63, of AdCOM's list \"Category Taxonomies\"");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(of: &[&str]) -> Vec<String> {
        of.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_code_that_begins_with_iab_is_of_the_first_taxonomy_and_no_other_is() {
        let (first, sixth) = (Taxonomy::FIRST, Taxonomy::of(6));
        for (said, code, is) in [
            (first, "IAB1-5", first),
            (sixth, "iab25", first),
            (sixth, "483", sixth),
            (first, "483", Taxonomy::UNKNOWN),
            (Taxonomy::UNKNOWN, "483", Taxonomy::UNKNOWN),
            (sixth, "IABX", sixth),
            (sixth, "\u{e4}", sixth),
            (sixth, "", sixth),
        ] {
            assert_eq!(said.of_code(code), is, "{code}");
        }
        for beyond in [0, 64, 500, u16::MAX] {
            assert_eq!(Taxonomy::of(beyond), Taxonomy::UNKNOWN);
        }
        assert!(!Taxonomies::of([Taxonomy::UNKNOWN]).has(Taxonomy::UNKNOWN));
        let places = |of: &[u16], others: &[u16]| -> Vec<usize> {
            let all = |of: &[u16]| Taxonomies::of(of.iter().map(|it| Taxonomy::of(*it)));
            all(of).places_beyond(all(others)).collect()
        };
        assert_eq!(places(&[1, 6, 7], &[6]), [1, 7]);
        assert_eq!(places(&[0, 1], &[0, 1]), [0], "what nobody knows is not known to be equal");
    }

    #[test]
    fn lists_of_another_taxonomy_let_nothing_in_that_they_cannot_name() {
        let (old, new, both) = (codes(&["IAB18-1"]), codes(&["552"]), codes(&["IAB18", "552"]));
        let none = Vec::new();
        let blocks = |taxonomy: u16, list: &[&'static str]| {
            let blocked =
                Blocked { categories: list.iter().copied().collect(), ..Blocked::default() };
            (Allowed { taxonomy: Taxonomy::of(taxonomy), ..Allowed::default() }, blocked)
        };
        for (of, cattax, (taxonomy, list), passes) in [
            (&old, None, (1, &["IAB25"][..]), true),
            (&old, None, (1, &["IAB18"]), false),
            (&old, None, (1, &[]), true),
            (&old, None, (6, &["1"]), false),
            (&old, None, (6, &[]), true),
            (&new, Some(6), (1, &["IAB25"]), false),
            (&new, Some(6), (6, &["1"]), true),
            (&new, Some(6), (6, &["552"]), false),
            (&new, Some(6), (7, &["1"]), false),
            (&new, None, (6, &["1"]), false),
            (&both, Some(6), (6, &["1"]), true),
            (&both, Some(6), (1, &["IAB25"]), true),
            (&none, None, (6, &["1"]), true),
        ] {
            let (allowed, blocked) = blocks(taxonomy, list);
            let listed = Listed::new(of, cattax);
            assert_eq!(listed.passes(&allowed, &blocked), passes, "{of:?} {taxonomy} {list:?}");
        }
        for (of, taxonomy, list, passes) in [
            (&old, 1, "IAB18", true),
            (&old, 6, "IAB18", false),
            (&new, 6, "552", true),
            (&new, 7, "552", false),
            (&none, 1, "IAB18", false),
        ] {
            let allowed = Allowed {
                categories: [list].into_iter().collect(),
                taxonomy: Taxonomy::of(taxonomy),
                ..Allowed::default()
            };
            let listed = Listed::new(of, Some(6));
            assert_eq!(listed.passes(&allowed, &Blocked::default()), passes, "{of:?} {taxonomy}");
        }
    }

    #[test]
    fn an_exchange_is_told_categories_of_one_taxonomy_of_its_own_where_there_are() {
        let (both, new) = (codes(&["IAB18", "552"]), codes(&["552"]));
        let told = |of: &[String], cattax, asked| {
            Listed::new(of, cattax).told_in(Taxonomy::of(asked)).and_then(Taxonomy::number)
        };
        assert_eq!(told(&both, Some(6), 6), Some(6));
        assert_eq!(told(&both, Some(6), 1), Some(1));
        assert_eq!(told(&both, Some(6), 7), Some(1));
        assert_eq!(told(&new, Some(6), 1), Some(6));
        assert_eq!(told(&new, None, 1), None);
        assert_eq!(told(&[], None, 1), None);
    }
}
