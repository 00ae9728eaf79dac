//! The loop around a saga, with a fate at each point where something can go wrong.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::super::command::{Command, command};
use super::super::event::Telling;
use super::super::kind::Kind;
use super::super::request::tests::{RECEIVED, receipt};
use super::super::request::{Receipt, Request};
use super::super::saga::{Effect, Saga};
use super::super::step::{Evidence, Failure, Step};
use super::super::words::Words;
use super::world::World;

/// Turns of the loop after which a run has not ended.
const TURNS_MAX: u32 = 2_000;
/// Points with a bad fate in a random run; after them everything goes well.
const BAD_MAX: u32 = 40;

/// What happens at one point: an act or a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Good,
    /// Killed before it.
    Before,
    /// Killed after the first part of it.
    Part,
    /// Killed after it, before anything else.
    After,
    /// It fails and has done nothing.
    Fails,
    /// It answers that it has failed, and has not.
    Lies,
}

impl Fate {
    pub const BAD: [Fate; 5] = [Fate::Before, Fate::Part, Fate::After, Fate::Fails, Fate::Lies];
}

/// A fault of the loop, planted to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    None,
    /// Saves that a step is done, then does it.
    BooksBeforeItActs,
    /// Does the first step before it is saved that the request acts.
    ActsBeforeItIsMarked,
    /// Takes events out of the saved state before they are told.
    ForgetsEvents,
    /// Tells of a step's end before that is saved.
    TellsBeforeItIsSaved,
    /// A restart does not look whether the person is being erased.
    ForgetsTheStop,
}

pub enum Schedule {
    At(Vec<(u32, Fate)>),
    Random(Box<ChaCha8Rng>),
}

/// The process was killed: memory is lost.
struct Killed;

enum Stop {
    Killed,
    Wrong(&'static str),
}

impl From<Killed> for Stop {
    fn from(Killed: Killed) -> Stop {
        Stop::Killed
    }
}

impl From<&'static str> for Stop {
    fn from(wrong: &'static str) -> Stop {
        Stop::Wrong(wrong)
    }
}

pub struct Driver {
    saga: Saga,
    bug: Bug,
    schedule: Schedule,
    point: u32,
    bad: u32,
    now: i64,
    world: World,
}

impl Driver {
    pub fn new(saga: Saga, bug: Bug, kind: Kind, mut schedule: Schedule) -> Driver {
        let mut now = RECEIVED;
        let mut verified = true;
        if let Schedule::Random(rng) = &mut schedule {
            verified = rng.random_bool(0.5);
            // Some are late, or become so.
            now += rng.random_range(0..32) * 86_400_000_000;
        }
        let request = Request::new(Receipt { verified, ..receipt(kind) }).expect("good");
        let world = World::new(&request);
        Driver { saga, bug, schedule, point: 0, bad: 0, now, world }
    }

    /// Points that the run has passed.
    pub fn points(&self) -> u32 {
        self.point
    }

    /// Starts the loop again after each death until all is done.
    pub fn run(&mut self) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            match self.live() {
                Ok(()) => return self.world.check_end().map_err(str::to_owned),
                Err(Stop::Killed) => {}
                Err(Stop::Wrong(wrong)) => return Err(wrong.to_owned()),
            }
        }
        Err("it has not ended".to_owned())
    }

    fn fate(&mut self) -> Fate {
        let point = self.point;
        self.point += 1;
        match &mut self.schedule {
            Schedule::At(fates) => {
                let due = fates.iter().find(|(at, _)| *at == point);
                due.map_or(Fate::Good, |(_, fate)| *fate)
            }
            Schedule::Random(rng) => {
                let bad = rng.random_bool(0.3) && self.bad < BAD_MAX;
                self.bad += u32::from(bad);
                if bad { Fate::BAD[rng.random_range(0..Fate::BAD.len())] } else { Fate::Good }
            }
        }
    }

    /// One life of the process, from what is saved.
    fn live(&mut self) -> Result<(), Stop> {
        let mut r = self.world.stored();
        self.restart_person()?;
        for _ in 0..TURNS_MAX {
            self.now += 1_000;
            if let Schedule::Random(rng) = &mut self.schedule
                && rng.random_bool(0.05)
            {
                self.restart_person()?;
            }
            if let Some(decided) = self.decision(&r) {
                r = self.save(&r, decided)?;
                continue;
            }
            let next = match self.saga.next(&r, self.now) {
                Effect::Save(next) => {
                    let marks = r.started_at.is_none() && next.started_at.is_some();
                    if marks && self.bug == Bug::ActsBeforeItIsMarked {
                        self.first_step(&next)?;
                    }
                    Some(*next)
                }
                Effect::Do(step) => self.step(&mut r, step)?,
                Effect::Emit(telling) => self.emit(&mut r, telling)?,
                Effect::Wait(Some(until)) => {
                    self.now = self.now.max(until);
                    None
                }
                Effect::Wait(None) | Effect::Done => {
                    let Some(last) = self.last_word(&r) else { return Ok(()) };
                    Some(last)
                }
            };
            if let Some(next) = next {
                r = self.save(&r, next)?;
            }
        }
        Err(Stop::Wrong("it has not ended"))
    }

    /// The person's actor has another life, beside the request's or with it.
    fn restart_person(&mut self) -> Result<(), &'static str> {
        self.world.restart_person(self.bug == Bug::ForgetsTheStop);
        self.world.check()
    }

    /// People decide at any moment.
    fn decision(&mut self, r: &Request) -> Option<Request> {
        let Schedule::Random(rng) = &mut self.schedule else { return None };
        let reason = || Words::plain("because");
        let decided = match rng.random_range(0..40) {
            0 => Command::Reject { reason: reason() },
            1 => Command::Cancel { reason: reason() },
            2 => Command::Extend { reason: reason() },
            3 => Command::Lift { reason: reason() },
            4 | 5 => Command::Verify,
            _ => return None,
        };
        command(r, decided, "open", self.now).ok()
    }

    /// What is decided when nothing else is left: verified at last, lifted at last.
    fn last_word(&self, r: &Request) -> Option<Request> {
        let lift = Command::Lift { reason: Words::plain("over") };
        let verified = command(r, Command::Verify, "open", self.now);
        verified.or_else(|_| command(r, lift, "open", self.now)).ok()
    }

    /// The state that the loop goes on from: what was saved, or after a refusal what is stored.
    fn save(&mut self, r: &Request, next: Request) -> Result<Request, Stop> {
        let fate = self.fate();
        let saved = match fate {
            Fate::Good | Fate::After | Fate::Lies => self.world.save(&next),
            Fate::Before | Fate::Part | Fate::Fails => false,
        };
        self.world.check()?;
        match fate {
            Fate::Before | Fate::Part | Fate::After => Err(Stop::Killed),
            Fate::Fails | Fate::Lies => Ok(r.clone()),
            Fate::Good if saved => Ok(next),
            Fate::Good => Ok(self.world.stored()),
        }
    }

    fn first_step(&mut self, r: &Request) -> Result<(), Stop> {
        if let Effect::Do(step) = self.saga.next(r, self.now) {
            drop(self.act(step, &r.id)?);
        }
        Ok(())
    }

    fn act(&mut self, step: Step, id: &str) -> Result<Result<Evidence, Failure>, Stop> {
        let fate = self.fate();
        let result = match fate {
            Fate::Before | Fate::Fails => Ok(Evidence::default()),
            Fate::Part => self.world.perform(step, id, false),
            Fate::Good | Fate::After | Fate::Lies => self.world.perform(step, id, true),
        };
        self.world.check()?;
        match fate {
            Fate::Before | Fate::Part | Fate::After => Err(Stop::Killed),
            Fate::Fails | Fate::Lies => Ok(Err(Failure::Retry("it failed".to_owned()))),
            Fate::Good => Ok(result),
        }
    }

    fn step(&mut self, r: &mut Request, step: Step) -> Result<Option<Request>, Stop> {
        if self.bug == Bug::BooksBeforeItActs {
            let booked = self.saga.stepped(r, step, Ok(Evidence::default()), self.now);
            if let Some(booked) = booked {
                *r = self.save(r, booked)?;
            }
            drop(self.act(step, &r.id)?);
            return Ok(None);
        }
        let result = self.act(step, &r.id)?;
        let next = self.saga.stepped(r, step, result, self.now);
        if let Some(next) = next.as_ref().filter(|_| self.bug == Bug::TellsBeforeItIsSaved)
            && let Some(telling) = next.outbox.first()
        {
            self.world.tell(telling.clone())?;
        }
        Ok(next)
    }

    fn emit(&mut self, r: &mut Request, telling: Telling) -> Result<Option<Request>, Stop> {
        let number = telling.number;
        if self.bug == Bug::ForgetsEvents
            && let Some(gone) = self.saga.emitted(r, number, Ok(()), self.now)
        {
            *r = self.save(r, gone)?;
            if self.fate() == Fate::Good {
                self.world.tell(telling)?;
                return Ok(None);
            }
            return Err(Stop::Killed);
        }
        let fate = self.fate();
        if matches!(fate, Fate::Good | Fate::After | Fate::Lies) {
            self.world.tell(telling)?;
        }
        let result = match fate {
            Fate::Before | Fate::Part | Fate::After => return Err(Stop::Killed),
            Fate::Fails | Fate::Lies => Err(Failure::Retry("it failed".to_owned())),
            Fate::Good => Ok(()),
        };
        Ok(self.saga.emitted(r, number, result, self.now))
    }
}
