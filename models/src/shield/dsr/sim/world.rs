//! What the steps act on: tables, a key, a journal outside the database.

use std::collections::{BTreeMap, BTreeSet};

use super::super::event::{Event, Telling};
use super::super::kind::{Kind, Status};
use super::super::request::Request;
use super::super::step::{Evidence, Failure, REDO, Step};

/// What a backup of the database has in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Rows about the person: `plain` is found by the inner id, `sealed` only with the key.
    pub rows: BTreeMap<&'static str, u64>,
    pub key: bool,
    pub mapping: bool,
    pub email: &'static str,
    pub consents: BTreeSet<&'static str>,
    pub freezes: BTreeSet<String>,
    pub staging: Option<BTreeMap<&'static str, u64>>,
    pub package: Option<BTreeMap<&'static str, u64>>,
}

#[derive(Clone, Debug)]
pub struct World {
    pub db: Database,
    /// In the memory of the person's actor: nothing new is kept.
    pub stopped: bool,
    pub backup: Database,
    pub journal: BTreeSet<String>,
    pub told: Vec<Telling>,
    /// The stored request, as JSON.
    pub saved: String,
}

impl World {
    pub fn new(request: &Request) -> World {
        let db = Database {
            rows: BTreeMap::from([("plain", 3), ("sealed", 2)]),
            key: true,
            mapping: true,
            email: "old",
            consents: BTreeSet::from(["marketing", "analytics"]),
            // Somebody else's request has frozen the person too.
            freezes: BTreeSet::from(["dsr_0".to_owned()]),
            staging: None,
            package: None,
        };
        World {
            backup: db.clone(),
            db,
            stopped: false,
            journal: BTreeSet::new(),
            told: Vec::new(),
            saved: serde_json::to_string(request).expect("json"),
        }
    }

    pub fn stored(&self) -> Request {
        serde_json::from_str(&self.saved).expect("reads")
    }

    /// The person's actor begins anew: it knows what it finds in the store.
    pub fn restart_person(&mut self, forgets: bool) {
        self.stopped = !forgets && self.stored().has_stopped();
    }

    /// Nothing new can be kept about the person: its actor refuses, or nobody finds it any more.
    fn refuses_writes(&self) -> bool {
        self.stopped || !self.db.mapping
    }

    /// A save is refused unless it follows what is stored.
    pub fn save(&mut self, next: &Request) -> bool {
        let follows = self.stored().version + 1 == next.version;
        if follows {
            self.saved = serde_json::to_string(next).expect("json");
        }
        follows
    }

    /// Performs a step, or the first part of it.
    pub fn perform(&mut self, step: Step, id: &str, whole: bool) -> Result<Evidence, Failure> {
        let World { db, stopped, journal, .. } = self;
        let counts = |rows: &BTreeMap<&'static str, u64>| {
            rows.iter().map(|(table, n)| ((*table).to_owned(), *n)).collect()
        };
        let mut evidence = Evidence::default();
        match step {
            Step::Collect => {
                db.staging = Some(db.rows.clone());
                evidence.rows = counts(&db.rows);
            }
            Step::Package => {
                let staged = db.staging.clone();
                db.package = Some(staged.ok_or(Failure::Retry("nothing staged".to_owned()))?);
                evidence.package = Some(id.to_owned());
            }
            Step::StopProcessing => {
                *stopped |= whole;
                db.consents.clear();
            }
            Step::Survey => evidence.rows = counts(&db.rows),
            Step::EraseTables => {
                // who may have forgotten it since
                *stopped = true;
                db.rows.insert("plain", 0);
                if db.key && whole {
                    db.rows.insert("sealed", 0);
                }
            }
            Step::Journal => drop(journal.insert(id.to_owned())),
            Step::DestroyKey => {
                db.key = false;
                db.mapping &= !whole;
            }
            Step::Freeze => drop(db.freezes.insert(id.to_owned())),
            Step::Unfreeze => drop(db.freezes.remove(id)),
            Step::Correct => db.email = "new",
            Step::Object | Step::OptOut => drop(db.consents.remove("marketing")),
            Step::Finish => db.staging = None,
        }
        Ok(evidence)
    }

    /// Whether what the request asks for is so.
    fn holds(&self, r: &Request) -> bool {
        let db = &self.db;
        let before = &self.backup;
        match r.kind {
            Kind::Access | Kind::Portability => {
                db.package.as_ref() == Some(&before.rows) && db.staging.is_none()
            }
            Kind::Deletion => {
                let rows = db.rows.values().sum::<u64>();
                rows == 0 && !db.key && !db.mapping
            }
            Kind::Rectification => db.email == "new",
            Kind::Objection | Kind::OptOut => db.consents == BTreeSet::from(["analytics"]),
            Kind::Restriction => {
                let lifted = r.lift.as_ref().is_some_and(|lift| lift.done_at.is_some());
                let lifting = r.lift.is_some() && !lifted;
                lifting || db.freezes.contains(&r.id) != lifted
            }
        }
    }

    /// The world after a restore from the oldest backup and what follows it: the journal is outside.
    fn restored(&self) -> World {
        let mut world = World { db: self.backup.clone(), stopped: false, ..self.clone() };
        for (id, step) in self.journal.iter().flat_map(|id| REDO.map(|step| (id, step))) {
            world.perform(step, id, true).expect("performed");
        }
        world
    }

    /// What must be so at every moment.
    pub fn check(&self) -> Result<(), &'static str> {
        let (db, r) = (&self.db, self.stored());
        let erasing = db.rows != self.backup.rows;
        if erasing && !self.refuses_writes() {
            return Err("erased while it could still be written");
        }
        if !db.key && db.rows["sealed"] > 0 {
            return Err("rows are left that only the key could find");
        }
        if !db.key && !self.journal.contains(&r.id) {
            return Err("a restore from backup would undo the erasure");
        }
        if r.status == Status::Completed && !self.holds(&r) {
            return Err("completed is saved and it is not so");
        }
        if matches!(r.status, Status::Rejected | Status::Cancelled) && *db != self.backup {
            return Err("rejected or cancelled, and it has acted");
        }
        let surveyed = matches!(r.kind, Kind::Access | Kind::Portability | Kind::Deletion);
        let rows = |table: &str| r.outcome.rows.get(table).copied();
        let right = |(table, n): (&&'static str, &u64)| rows(table) == Some(*n);
        if r.status == Status::Completed && surveyed && !self.backup.rows.iter().all(right) {
            return Err("the outcome does not say what was erased");
        }
        if !db.freezes.contains("dsr_0") {
            return Err("somebody else's freeze was lifted");
        }
        let unfrozen = r.kind == Kind::Restriction && r.lift.is_some();
        let warned = self.told.iter().any(|telling| telling.event == Event::Lifting);
        if unfrozen && !db.freezes.contains(&r.id) && !warned {
            return Err("lifted before anybody was told");
        }
        Ok(())
    }

    /// Tells of an event; what is told must be saved.
    pub fn tell(&mut self, telling: Telling) -> Result<(), &'static str> {
        let r = self.stored();
        if telling.number >= r.events {
            return Err("told of what is not saved");
        }
        self.told.push(telling);
        Ok(())
    }

    /// What must be so at the end.
    pub fn check_end(&self) -> Result<(), &'static str> {
        self.check()?;
        let r = self.stored();
        if r.status.is_open() {
            return Err("it has not ended");
        }
        if r.kind == Kind::Deletion && r.status == Status::Completed && !self.restored().holds(&r) {
            return Err("erased again after a restore, and it is not so");
        }
        let mut numbers: Vec<u32> = self.told.iter().map(|telling| telling.number).collect();
        let in_order = numbers.is_sorted();
        numbers.dedup();
        if !in_order || !numbers.iter().copied().eq(0..r.events) {
            return Err("not every event was told");
        }
        let once = |event: &Event| {
            let told = self.told.iter().filter(|telling| telling.event == *event);
            let mut told: Vec<u32> = told.map(|telling| telling.number).collect();
            told.dedup();
            told.len()
        };
        let ended = once(&Event::Completed) + once(&Event::Rejected) + once(&Event::Cancelled);
        if ended != 1 || once(&Event::Overdue) > 1 || once(&Event::Extended) > 1 {
            return Err("an event has another number of times");
        }
        Ok(())
    }
}
