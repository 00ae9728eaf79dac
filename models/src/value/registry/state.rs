//! The state of the registry, and its rules.

use std::collections::BTreeMap;

use super::command::{Command, Entry, Event, Forced, Objection, Reason, Refusal};
use super::compare::{Tolerance, worse};
use super::version::{Version, VersionId};

pub const VERSIONS_MAX: usize = 10_000;
pub const HISTORY_MAX: usize = 100_000;

/// The registry of one account. Stored as its history, and rebuilt by [`Registry::replay`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    versions: BTreeMap<VersionId, Version>,
    champion: Option<VersionId>,
    challenger: Option<VersionId>,
    /// Champions before this one, to which can be rolled back: the last is the one before.
    former: Vec<VersionId>,
    history: Vec<Entry>,
}

/// An entry that does not follow from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} does not follow from the history before it")]
pub struct BadHistory {
    pub seq: u64,
}

impl Registry {
    /// Empty.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// The state that a history adds up to.
    pub fn replay(entries: impl IntoIterator<Item = Entry>) -> Result<Registry, BadHistory> {
        let mut registry = Registry::new();
        for entry in entries {
            registry.apply(entry)?;
        }
        Ok(registry)
    }

    pub fn version(&self, id: &VersionId) -> Option<&Version> {
        self.versions.get(id)
    }

    /// In order of their names.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.versions.values()
    }

    /// Who answers; `None` before the first promotion.
    pub fn champion(&self) -> Option<&Version> {
        self.champion.as_ref().and_then(|id| self.versions.get(id))
    }

    pub fn challenger(&self) -> Option<&Version> {
        self.challenger.as_ref().and_then(|id| self.versions.get(id))
    }

    /// To whom a roll back would lead.
    pub fn former(&self) -> Option<&VersionId> {
        self.former.last()
    }

    /// All entries, the oldest first.
    pub fn history(&self) -> &[Entry] {
        &self.history
    }

    /// What a command comes to, without doing it: the entry to store and then to
    /// [`apply`](Registry::apply).
    pub fn decide(
        &self,
        command: Command,
        by: Reason,
        at_us: i64,
        tolerance: Tolerance,
    ) -> Result<Entry, Refusal> {
        let full = matches!(command, Command::Register(_)) && self.versions.len() >= VERSIONS_MAX;
        if full || self.history.len() >= HISTORY_MAX {
            return Err(Refusal::Full);
        }
        let event = match command {
            Command::Register(version) => self.register(version)?,
            Command::Challenge(id) => self.challenge(id)?,
            Command::EndChallenge => {
                let version = self.challenger.clone().ok_or(Refusal::NoChallenger)?;
                Event::ChallengeEnded { version }
            }
            Command::Promote { force } => self.promote(force, tolerance)?,
            Command::RollBack { reason } => match (&self.champion, self.former.last()) {
                (Some(from), Some(to)) => {
                    Event::RolledBack { from: from.clone(), to: to.clone(), reason }
                }
                _ => return Err(Refusal::NoFormer),
            },
        };
        Ok(Entry { seq: self.history.len() as u64 + 1, at_us, by, event })
    }

    fn register(&self, version: Box<Version>) -> Result<Event, Refusal> {
        match self.versions.contains_key(&version.id) {
            true => Err(Refusal::Exists(version.id)),
            false => Ok(Event::Registered { version }),
        }
    }

    fn challenge(&self, id: VersionId) -> Result<Event, Refusal> {
        match &id {
            id if !self.versions.contains_key(id) => Err(Refusal::Unknown(id.clone())),
            id if self.champion.as_ref() == Some(id) => Err(Refusal::IsChampion(id.clone())),
            id if self.challenger.as_ref() == Some(id) => Err(Refusal::IsChallenger(id.clone())),
            _ => Ok(Event::Challenged { version: id, instead_of: self.challenger.clone() }),
        }
    }

    fn promote(&self, force: Option<Reason>, tolerance: Tolerance) -> Result<Event, Refusal> {
        let challenger = self.challenger().ok_or(Refusal::NoChallenger)?;
        let objection = self.champion().and_then(|champion| {
            let rival = challenger.rival.as_ref().filter(|rival| rival.id == champion.id);
            let scores = match rival {
                _ if champion.holdout == challenger.holdout => &champion.scores,
                Some(rival) => &rival.scores,
                None => return Some(Objection::OtherHoldout),
            };
            let worse = worse(scores, &challenger.scores, tolerance);
            (!worse.is_empty()).then_some(Objection::Worse(worse))
        });
        let forced = match (objection, force) {
            (None, _) => None,
            (Some(objection), None) => return Err(Refusal::Objected(objection)),
            (Some(objection), Some(reason)) => Some(Forced { reason, objection }),
        };
        let (version, from) = (challenger.id.clone(), self.champion.clone());
        Ok(Event::Promoted { version, from, forced })
    }

    /// Takes what was decided into the state. An entry that was decided on another state is refused and
    /// changes nothing.
    pub fn apply(&mut self, entry: Entry) -> Result<(), BadHistory> {
        let next = entry.seq == self.history.len() as u64 + 1 && self.history.len() < HISTORY_MAX;
        if !next || !self.follows(&entry.event) {
            return Err(BadHistory { seq: entry.seq });
        }
        match &entry.event {
            Event::Registered { version } => {
                self.versions.insert(version.id.clone(), Version::clone(version));
            }
            Event::Challenged { version, .. } => self.challenger = Some(version.clone()),
            Event::ChallengeEnded { .. } => self.challenger = None,
            Event::Promoted { version, .. } => {
                self.former.extend(self.champion.replace(version.clone()));
                self.challenger = None;
            }
            Event::RolledBack { .. } => {
                self.champion = self.former.pop();
                // Whoever is champion again challenges nobody.
                if self.challenger == self.champion {
                    self.challenger = None;
                }
            }
        }
        self.history.push(entry);
        let known =
            |id: &Option<VersionId>| id.as_ref().is_none_or(|i| self.versions.contains_key(i));
        debug_assert!(known(&self.champion) && known(&self.challenger), "MR-1");
        debug_assert!(self.champion.is_none() || self.champion != self.challenger, "MR-1");
        Ok(())
    }

    fn follows(&self, event: &Event) -> bool {
        match event {
            Event::Registered { version } => {
                !self.versions.contains_key(&version.id) && self.versions.len() < VERSIONS_MAX
            }
            Event::Challenged { version, instead_of } => {
                self.versions.contains_key(version)
                    && self.champion.as_ref() != Some(version)
                    && self.challenger.as_ref() != Some(version)
                    && *instead_of == self.challenger
            }
            Event::ChallengeEnded { version } => self.challenger.as_ref() == Some(version),
            Event::Promoted { version, from, .. } => {
                self.challenger.as_ref() == Some(version) && *from == self.champion
            }
            Event::RolledBack { from, to, .. } => {
                self.champion.as_ref() == Some(from) && self.former.last() == Some(to)
            }
        }
    }
}
