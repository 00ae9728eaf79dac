//! What may become of a campaign: draft → active → paused → ended. Commands are decided here; what they
//! want done is an [`Effect`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use kiki_models::shield::money::{Currency, Micros};

use super::definition::Definition;
use super::edit::{self, Retired};
use super::mistake::Mistakes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Draft,
    Active,
    Paused,
    /// For ever.
    Ended,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Active => "active",
            Status::Paused => "paused",
            Status::Ended => "ended",
        }
    }
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Command,
    Schedule,
}

/// A campaign. Never changed in place: a command makes the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    pub definition: Arc<Definition>,
    /// Of the definition, from 1, dense: what a version says never changes.
    pub version: u32,
    /// Counts every change, of the status too, from 1: the entity tag of the campaign.
    pub revision: u64,
    pub status: Status,
    /// Wall-clock micros, as all times here.
    pub created_us: i64,
    pub changed_us: i64,
    /// When it was activated first.
    pub activated_us: Option<i64>,
    pub ended: Option<Cause>,
    /// A creative that was taken out comes back as it was, or not at all.
    #[serde(default, skip_serializing_if = "Retired::is_empty")]
    pub retired: Retired,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Another definition instead of the one there is.
    Edit(Box<Definition>),
    /// Also after a pause. One that is active has its budget resumed: somebody may have paused that alone.
    Activate,
    /// After a pause alone.
    Resume,
    Pause,
    End,
    /// A draft is thrown away.
    Delete,
    /// Time has passed.
    Tick,
}

/// Everything that a campaign may want done, in the order in which it is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Stores the campaign as it is now, and its change in the audit log. Where this fails, nothing after
    /// it is done.
    Record(Change),
    /// Has SyncShield make the budget, which is this campaign's from then on. Refused where there is one of its
    /// name that this has not made, in an attempt that nobody heard the end of.
    OpenBudget(Allocation),
    /// Sets what SyncShield may authorise; never adds to it. A budget that is paused or ended, whoever has done
    /// that, stays so.
    AmendBudget(Allocation),
    PauseBudget,
    ResumeBudget,
    EndBudget,
    /// Auctions see this version from now on.
    Publish,
    /// Auctions see it no more.
    Withdraw,
    /// Sends [`Command::Tick`] then. The last one counts.
    Wake {
        at_us: i64,
    },
    /// Removes all of it.
    Forget,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Created,
    Edited,
    Activated,
    Paused,
    Ended,
    Deleted,
}

/// A budget as SyncShield is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    pub currency: Currency,
    pub amount: Micros,
    pub daily: Option<Micros>,
    pub time_zone: String,
    pub starts_us: Option<i64>,
    pub ends_us: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// HTTP 422.
    #[error("{0}")]
    Invalid(Mistakes),
    /// HTTP 409: these fields cannot change any more.
    #[error("{0}")]
    Locked(Mistakes),
    /// HTTP 409.
    #[error("the campaign is {}", .0.as_str())]
    Status(Status),
    /// HTTP 409: its schedule is over.
    #[error("the schedule of the campaign is over")]
    Over,
    /// HTTP 412: somebody else has changed it.
    #[error("the campaign is at revision {0}")]
    Stale(u64),
}

impl Refusal {
    /// What whoever is refused can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Refusal::Invalid(_) => "correct the named fields; the detail names all of them",
            Refusal::Locked(_) => {
                "leave the named fields as they are, or make another campaign with them"
            }
            Refusal::Status(Status::Draft) => "start it first: POST /api/v1/campaigns/{id}/start",
            Refusal::Status(Status::Active | Status::Paused) => {
                "only a draft is deleted; end it instead: POST /api/v1/campaigns/{id}/end"
            }
            Refusal::Status(Status::Ended) => "it is over for ever: make another campaign",
            Refusal::Over => "move schedule.ends, or take it away: PATCH /api/v1/campaigns/{id}",
            Refusal::Stale(_) => "read the campaign again, and send its revision as If-Match",
        }
    }
}

pub type Effects = SmallVec<[Effect; 6]>;

/// The campaign after a command, `None` where it is gone, and what is to be done.
pub type Applied = (Option<Campaign>, Effects);

impl Campaign {
    /// A draft.
    pub fn create(definition: Definition, now_us: i64) -> Result<(Campaign, Effects), Refusal> {
        let mut wrong = Mistakes::default();
        definition.check(&mut wrong);
        wrong.none().map_err(Refusal::Invalid)?;
        let campaign = Campaign {
            definition: Arc::new(definition),
            version: 1,
            revision: 1,
            status: Status::Draft,
            created_us: now_us,
            changed_us: now_us,
            activated_us: None,
            ended: None,
            retired: Retired::new(),
        };
        Ok((campaign, SmallVec::from_iter([Effect::Record(Change::Created)])))
    }

    /// Whether auctions may see it at a time.
    pub fn runs(&self, at_us: i64) -> bool {
        self.status == Status::Active && self.definition.schedule.holds(at_us)
    }

    /// What a command makes of it. `expects`: the revision that who sends it has seen. A command that
    /// changes nothing is no error and has no effects.
    pub fn apply(
        &self,
        command: Command,
        expects: Option<u64>,
        now_us: i64,
    ) -> Result<Applied, Refusal> {
        if expects.is_some_and(|revision| revision != self.revision) {
            return Err(Refusal::Stale(self.revision));
        }
        match command {
            Command::Edit(definition) => self.edit(*definition, now_us),
            Command::Activate => self.activate(now_us),
            Command::Resume if self.status == Status::Draft => Err(Refusal::Status(self.status)),
            Command::Resume => self.activate(now_us),
            Command::Pause => self.pause(now_us),
            Command::End => match self.status {
                Status::Ended => Ok(self.unchanged()),
                _ => Ok(self.end(Cause::Command, now_us)),
            },
            Command::Delete if self.status == Status::Draft => {
                let effects = [Effect::Record(Change::Deleted), Effect::Forget];
                Ok((None, SmallVec::from_iter(effects)))
            }
            Command::Delete => Err(Refusal::Status(self.status)),
            Command::Tick => Ok(self.tick(now_us)),
        }
    }

    /// What its budget is to be, where its definition says so.
    pub fn allocation(&self) -> Option<Allocation> {
        allocation(&self.definition)
    }

    fn unchanged(&self) -> Applied {
        (Some(self.clone()), Effects::new())
    }

    fn next(&self, now_us: i64) -> Campaign {
        let revision = self.revision.saturating_add(1);
        Campaign { revision, changed_us: now_us, ..self.clone() }
    }

    fn is_over(&self, now_us: i64) -> bool {
        self.definition.schedule.ends_us().is_some_and(|ends| ends <= now_us)
    }

    fn edit(&self, definition: Definition, now_us: i64) -> Result<Applied, Refusal> {
        if self.status == Status::Ended {
            return Err(Refusal::Status(self.status));
        }
        let mut wrong = Mistakes::default();
        definition.check(&mut wrong);
        wrong.none().map_err(Refusal::Invalid)?;
        if *self.definition == definition {
            return Ok(self.unchanged());
        }
        let begun = self.status != Status::Draft;
        edit::locked(&self.definition, &definition, (begun, &self.retired), now_us)
            .none()
            .map_err(Refusal::Locked)?;
        if begun {
            definition.ready().map_err(Refusal::Invalid)?;
        }
        let moved = begun && self.allocation() != allocation(&definition);
        let mut next = self.next(now_us);
        if begun {
            next.retired = edit::retired(&self.retired, &self.definition, &definition);
        }
        next.definition = Arc::new(definition);
        next.version = self.version.saturating_add(1);
        let mut effects = Effects::from_iter([Effect::Record(Change::Edited)]);
        if moved {
            effects.extend(next.allocation().map(Effect::AmendBudget));
        }
        next.follow(now_us, &mut effects);
        Ok((Some(next), effects))
    }

    fn activate(&self, now_us: i64) -> Result<Applied, Refusal> {
        match self.status {
            Status::Active => {
                let resumed = Effects::from_iter([Effect::ResumeBudget]);
                return Ok((Some(self.clone()), resumed));
            }
            Status::Ended => return Err(Refusal::Status(self.status)),
            Status::Draft | Status::Paused => {}
        }
        if self.is_over(now_us) {
            return Err(Refusal::Over);
        }
        self.definition.ready().map_err(Refusal::Invalid)?;
        let mut next = self.next(now_us);
        next.status = Status::Active;
        let first = next.activated_us.is_none();
        next.activated_us = next.activated_us.or(Some(now_us));
        let mut effects = Effects::from_iter([Effect::Record(Change::Activated)]);
        match first {
            true => effects.extend(next.allocation().map(Effect::OpenBudget)),
            false => effects.push(Effect::ResumeBudget),
        }
        next.follow(now_us, &mut effects);
        Ok((Some(next), effects))
    }

    fn pause(&self, now_us: i64) -> Result<Applied, Refusal> {
        match self.status {
            Status::Paused => return Ok(self.unchanged()),
            Status::Draft | Status::Ended => return Err(Refusal::Status(self.status)),
            Status::Active => {}
        }
        let mut next = self.next(now_us);
        next.status = Status::Paused;
        let mut effects = Effects::from_iter([
            Effect::Record(Change::Paused),
            Effect::Withdraw,
            Effect::PauseBudget,
        ]);
        next.follow(now_us, &mut effects);
        Ok((Some(next), effects))
    }

    fn end(&self, cause: Cause, now_us: i64) -> Applied {
        let mut next = self.next(now_us);
        next.status = Status::Ended;
        next.ended = Some(cause);
        let mut effects = Effects::from_iter([Effect::Record(Change::Ended)]);
        if self.status != Status::Draft {
            effects.extend([Effect::Withdraw, Effect::EndBudget]);
        }
        (Some(next), effects)
    }

    fn tick(&self, now_us: i64) -> Applied {
        let begun = matches!(self.status, Status::Active | Status::Paused);
        if begun && self.is_over(now_us) {
            return self.end(Cause::Schedule, now_us);
        }
        let mut effects = Effects::new();
        self.follow(now_us, &mut effects);
        (Some(self.clone()), effects)
    }

    /// What auctions see now, and when to look again.
    fn follow(&self, now_us: i64, effects: &mut Effects) {
        let schedule = &self.definition.schedule;
        let waits = schedule.starts_us().filter(|starts| now_us < *starts);
        if self.status == Status::Active {
            effects.push(if waits.is_none() { Effect::Publish } else { Effect::Withdraw });
        }
        if matches!(self.status, Status::Active | Status::Paused) {
            let wake = waits.or(schedule.ends_us());
            effects.extend(wake.map(|at_us| Effect::Wake { at_us }));
        }
    }
}

fn allocation(of: &Definition) -> Option<Allocation> {
    of.budget.map(|budget| Allocation {
        currency: of.currency,
        amount: budget.amount,
        daily: budget.daily,
        time_zone: of.schedule.time_zone.clone(),
        starts_us: of.schedule.starts_us(),
        ends_us: of.schedule.ends_us(),
    })
}
