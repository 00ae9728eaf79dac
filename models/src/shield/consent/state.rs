//! The consents of one person: rebuilt from the history by [`Consents::apply`], and the source of
//! the next changes by [`Consents::decide`]. The history itself stays in the store.

use std::collections::BTreeSet;

use serde::Serialize;

use super::change::{Action, BadHistory, Change, Command, Origin, Refusal};
use super::kind::{Kind, KindSet, Label, LegalBasis, Source};

/// Changes of one person up to which grants are taken. What takes away is always taken: without a
/// grant in between, a type is refused once in each way.
pub const CHANGES_MAX: u64 = 10_000;
/// Bytes of all texts that one person was shown, as they are kept: with everything else a package of
/// them must be made.
pub const SHOWN_BYTES_MAX: u64 = 16 << 20;

/// Where one consent type stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Granted,
    Revoked,
    /// The person was never asked, or never answered.
    #[default]
    Unknown,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Granted => "granted",
            Status::Revoked => "revoked",
            Status::Unknown => "unknown",
        }
    }
}

/// The last word on one consent type. Times are wall microseconds since the epoch, UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub status: Status,
    pub granted_at: Option<i64>,
    /// None again after a new grant.
    pub revoked_at: Option<i64>,
    /// Of the last grant.
    pub legal_basis: Option<LegalBasis>,
    /// Of the last change, as are `version` and `proof`.
    pub source: Option<Source>,
    pub version: Option<Label>,
    /// The id of the text that was shown.
    pub proof: Option<Label>,
}

/// Why something may not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    NoConsent,
    Revoked,
    Restricted,
    Objected,
    OptedOut,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoConsent => "no_consent",
            Reason::Revoked => "revoked",
            Reason::Restricted => "restricted",
            Reason::Objected => "objected",
            Reason::OptedOut => "opted_out",
        }
    }
}

/// May it be done?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied(Reason),
}

/// The state of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consents {
    standings: [Standing; 5],
    /// Whose restrictions stand: each ends by itself.
    restricted_by: BTreeSet<Source>,
    objections: KindSet,
    opted_out: KindSet,
    seq: u64,
    shown_bytes: u64,
}

impl Consents {
    /// The state that a whole history leads to.
    pub fn from_history<'a>(
        history: impl IntoIterator<Item = &'a Change>,
    ) -> Result<Consents, BadHistory> {
        let mut consents = Consents::default();
        history.into_iter().try_for_each(|change| consents.apply(change))?;
        Ok(consents)
    }

    pub fn standing(&self, kind: Kind) -> &Standing {
        &self.standings[kind.index()]
    }

    /// Restricted by somebody.
    pub fn restricted(&self) -> bool {
        !self.restricted_by.is_empty()
    }

    pub fn objections(&self) -> KindSet {
        self.objections
    }

    /// Opted out of something that was not granted again since.
    pub fn opted_out(&self) -> bool {
        !self.opted_out.is_empty()
    }

    /// The number of the last change.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// CO-1: what is not allowed here is neither sent nor targeted.
    pub fn allows(&self, kind: Kind) -> Verdict {
        if self.restricted() {
            return Verdict::Denied(Reason::Restricted);
        }
        if self.objections.contains(kind) {
            return Verdict::Denied(Reason::Objected);
        }
        if self.opted_out.contains(kind) {
            return Verdict::Denied(Reason::OptedOut);
        }
        match self.standing(kind).status {
            Status::Granted => Verdict::Allowed,
            Status::Revoked => Verdict::Denied(Reason::Revoked),
            Status::Unknown => Verdict::Denied(Reason::NoConsent),
        }
    }

    /// Everything that is allowed, as it is handed to other nodes.
    pub fn allowed(&self) -> KindSet {
        Kind::ALL.into_iter().filter(|k| self.allows(*k) == Verdict::Allowed).collect()
    }

    /// The changes that a command makes at the wall time `at`. None at all: it was so already, and
    /// the answer is a replay. They are to be made durable and then applied.
    pub fn decide(&self, command: &Command, at: i64) -> Result<Vec<Change>, Refusal> {
        match command {
            Command::Grant { kind, legal_basis, origin } => {
                self.grant(*kind, *legal_basis, origin, at)
            }
            Command::Revoke { kind, origin } => {
                let said = self.standing(*kind).status == Status::Revoked;
                Ok(self.changes(Action::Revoked, (!said).then_some(*kind), origin, at))
            }
            Command::Object { kinds, origin } => {
                let new = kinds.iter().filter(|k| !self.objections.contains(*k));
                Ok(self.changes(Action::Objected, new, origin, at))
            }
            Command::OptOut { kinds, origin } => {
                let new = kinds.iter().filter(|k| !self.opted_out.contains(*k));
                Ok(self.changes(Action::OptedOut, new, origin, at))
            }
            Command::Restrict { origin } => Ok(self.restriction(Action::Restricted, origin, at)),
            Command::Lift { origin } => Ok(self.restriction(Action::Lifted, origin, at)),
        }
    }

    /// Takes a change over. A change that is refused changes nothing.
    pub fn apply(&mut self, change: &Change) -> Result<(), BadHistory> {
        if self.seq.checked_add(1) != Some(change.seq) {
            return Err(BadHistory::Gap { last: self.seq, found: change.seq });
        }
        match (change.action, change.kind) {
            (Action::Restricted, _) => drop(self.restricted_by.insert(change.source.clone())),
            (Action::Lifted, _) => {
                if !self.restricted_by.remove(&change.source) {
                    // of a history in which one end was the end of all
                    self.restricted_by.clear();
                }
            }
            (Action::Granted, Some(kind)) => self.granted(kind, change),
            (Action::Revoked, Some(kind)) => self.revoked(kind, change),
            (Action::Objected, Some(kind)) => self.objections.insert(kind),
            (Action::OptedOut, Some(kind)) => {
                self.opted_out.insert(kind);
                self.revoked(kind, change);
            }
            (action, None) => return Err(BadHistory::NoKind { seq: change.seq, action }),
        }
        self.seq = change.seq;
        self.shown_bytes = self.shown_bytes.saturating_add(u64::from(change.shown_bytes));
        Ok(())
    }

    fn grant(
        &self,
        kind: Kind,
        basis: LegalBasis,
        origin: &Origin,
        at: i64,
    ) -> Result<Vec<Change>, Refusal> {
        if self.restricted() {
            return Err(Refusal::Restricted);
        }
        // What the person refused, only the person can allow again: no other basis overrules it.
        if basis != LegalBasis::Consent {
            if self.objections.contains(kind) {
                return Err(Refusal::Objected);
            }
            if self.opted_out.contains(kind) {
                return Err(Refusal::OptedOut);
            }
        }
        let now = self.standing(kind);
        let same = self.allows(kind) == Verdict::Allowed
            && now.legal_basis == Some(basis)
            && now.source.as_ref() == Some(&origin.source)
            && now.version == origin.version
            && now.proof == origin.proof;
        if !same && (self.seq >= CHANGES_MAX || !self.has_room(origin.shown_bytes)) {
            return Err(Refusal::Full);
        }
        let mut changes = self.changes(Action::Granted, (!same).then_some(kind), origin, at);
        changes.iter_mut().for_each(|c| c.legal_basis = Some(basis));
        Ok(changes)
    }

    fn restriction(&self, action: Action, origin: &Origin, at: i64) -> Vec<Change> {
        let stands = self.restricted_by.contains(&origin.source);
        match stands == (action == Action::Restricted) {
            true => Vec::new(),
            false => vec![self.change(1, action, None, origin, at)],
        }
    }

    fn has_room(&self, shown_bytes: u32) -> bool {
        self.shown_bytes.saturating_add(u64::from(shown_bytes)) <= SHOWN_BYTES_MAX
    }

    fn changes(
        &self,
        action: Action,
        kinds: impl IntoIterator<Item = Kind>,
        origin: &Origin,
        at: i64,
    ) -> Vec<Change> {
        (1..)
            .zip(kinds)
            .map(|(nth, kind)| self.change(nth, action, Some(kind), origin, at))
            .collect()
    }

    fn change(
        &self,
        nth: u64,
        action: Action,
        kind: Option<Kind>,
        origin: &Origin,
        at: i64,
    ) -> Change {
        let Origin { source, version, proof, shown_bytes } = origin.clone();
        // a no counts, with its text or without
        let shown_bytes = if self.has_room(shown_bytes) { shown_bytes } else { 0 };
        Change {
            seq: self.seq.saturating_add(nth),
            at,
            kind,
            action,
            legal_basis: None,
            source,
            version,
            proof,
            shown_bytes,
        }
    }

    fn granted(&mut self, kind: Kind, change: &Change) {
        if change.legal_basis.unwrap_or_default() == LegalBasis::Consent {
            self.objections.remove(kind);
            self.opted_out.remove(kind);
        }
        self.standings[kind.index()] = Standing {
            status: Status::Granted,
            granted_at: Some(change.at),
            revoked_at: None,
            legal_basis: Some(change.legal_basis.unwrap_or_default()),
            source: Some(change.source.clone()),
            version: change.version.clone(),
            proof: change.proof.clone(),
        };
    }

    fn revoked(&mut self, kind: Kind, change: &Change) {
        let standing = &mut self.standings[kind.index()];
        standing.status = Status::Revoked;
        standing.revoked_at = Some(change.at);
        standing.source = Some(change.source.clone());
        standing.version = change.version.clone();
        standing.proof = change.proof.clone();
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
