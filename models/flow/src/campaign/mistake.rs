//! What is wrong with a definition: every mistake by its field, so that one answer names them all.

use std::fmt;

/// Mistakes that are listed; a definition with more is as wrong with these.
pub const MISTAKES_MAX: usize = 100;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// Where, as a path: `creatives[2].markup`; empty: the document itself.
    pub field: String,
    /// Completes the sentence that the field begins: `is not a name`.
    pub why: String,
}

/// All of them, in the order of the document's fields; never empty in an `Err`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[serde(transparent)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub fn of(field: impl Into<String>, why: impl Into<String>) -> Mistakes {
        Mistakes(vec![Mistake { field: field.into(), why: why.into() }])
    }

    pub fn add(&mut self, field: impl Into<String>, why: impl Into<String>) {
        if self.0.len() < MISTAKES_MAX {
            self.0.push(Mistake { field: field.into(), why: why.into() });
        }
    }

    /// Adds one unless `fine`.
    pub fn unless(&mut self, fine: bool, field: &str, why: &str) {
        if !fine {
            self.add(field, why);
        }
    }

    pub fn all(&self) -> &[Mistake] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn names(&self, field: &str) -> bool {
        self.0.iter().any(|mistake| mistake.field == field)
    }

    /// `Ok` where there is none.
    pub fn none(self) -> Result<(), Mistakes> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Mistake { field, why }) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { "; " };
            let field = if field.is_empty() { "the definition" } else { field };
            write!(f, "{gap}{field} {why}")?;
        }
        Ok(())
    }
}
