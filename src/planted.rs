//! Mistakes that are made on purpose, one at a time, so that the chaos suite can show that it would notice them. They
//! exist only in builds with the feature `planted-bugs`, which tests use and releases do not, and are made only where
//! the environment names one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::models::shield::consent::kind::{Kind, KindSet};

/// How early [`Planted::AcknowledgedEarly`] is.
pub const EARLY: Duration = Duration::from_millis(300);
/// What [`Planted::ConsentForEver`] keeps, by the person's number.
static CONSENTS: Mutex<Option<HashMap<u128, KindSet>>> = Mutex::new(None);

/// Names one in a build that has them.
pub const VARIABLE: &str = "KIKI_PLANTED_BUG";

/// A mistake in how money, ownership, consent or evidence is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A spend with a key that was used before is booked once more.
    DedupSkipped,
    /// A node does not look at its lease, and the store not at the epoch that a row was written with.
    EpochIgnored,
    /// What is booked is acknowledged a while before it is durable.
    AcknowledgedEarly,
    /// What was booked leaves an account's window after a tenth of its length.
    WindowReturnedEarly,
    /// What a customer allowed once is allowed for ever on the node that asked.
    ConsentForEver,
    /// Every eighth booking is left out of the audit log.
    AuditDropped,
}

impl Planted {
    pub const ALL: [Planted; 6] = [
        Planted::DedupSkipped,
        Planted::EpochIgnored,
        Planted::AcknowledgedEarly,
        Planted::WindowReturnedEarly,
        Planted::ConsentForEver,
        Planted::AuditDropped,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Planted::DedupSkipped => "dedup-skipped",
            Planted::EpochIgnored => "epoch-ignored",
            Planted::AcknowledgedEarly => "acknowledged-early",
            Planted::WindowReturnedEarly => "window-returned-early",
            Planted::ConsentForEver => "consent-for-ever",
            Planted::AuditDropped => "audit-dropped",
        }
    }

    /// Whether it is made in this process. Never in a build without the feature.
    #[cfg(not(feature = "planted-bugs"))]
    #[inline(always)]
    pub fn is_made(self) -> bool {
        false
    }

    #[cfg(feature = "planted-bugs")]
    #[inline]
    pub fn is_made(self) -> bool {
        made() == Some(self)
    }
}

/// Whether the environment asks for a mistake: none that this build could not make.
///
/// # Errors
/// It names one that there is not, or the build has none at all: nobody shall believe to test what is not there.
pub fn check() -> Result<Option<Planted>, String> {
    let Some(name) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let found = Planted::ALL.into_iter().find(|bug| *bug.name() == *name);
    match found {
        None => {
            Err(format!("{VARIABLE} is none of {}", Planted::ALL.map(Planted::name).join(", ")))
        }
        Some(_) if cfg!(not(feature = "planted-bugs")) => {
            Err(format!("{VARIABLE} is set, and this build makes no mistakes on purpose"))
        }
        Some(bug) => Ok(Some(bug)),
    }
}

#[cfg(feature = "planted-bugs")]
fn made() -> Option<Planted> {
    static MADE: std::sync::OnceLock<Option<Planted>> = std::sync::OnceLock::new();
    *MADE.get_or_init(|| check().ok().flatten())
}

/// [`Planted::ConsentForEver`]: what this node was told of a person first.
pub fn kept(person: u128, kind: Kind) -> Option<bool> {
    let consents = CONSENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let kinds = consents.as_ref()?.get(&person)?;
    kinds.contains(kind).then_some(true)
}

/// [`Planted::ConsentForEver`]: keeps what this node was told of a person.
pub fn keep(person: u128, kinds: KindSet) {
    let mut consents = CONSENTS.lock().unwrap_or_else(PoisonError::into_inner);
    consents.get_or_insert_default().insert(person, kinds);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_environment_is_asked_for_and_none_is_made_unasked() {
        for bug in Planted::ALL {
            let alike = Planted::ALL.iter().filter(|other| other.name() == bug.name()).count();
            assert!(alike == 1 && !bug.is_made(), "{bug:?}");
        }
    }
}
