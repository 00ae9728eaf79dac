//! `/shield/person/<account>:<hash>`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{Changed, Declined, Msg, PersonName, Seen};
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::audit::pending;
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::actors::shield::vault::nonce;
use crate::clock;
use crate::models::shield::audit::record::{Event, Outcome as Recorded, Record};
use crate::models::shield::consent::change::{Action, Change, Command};
use crate::models::shield::consent::lease::{Effect, Leases, TTL_US};
use crate::models::shield::consent::state::Consents;
use crate::models::shield::seal::{Binding, PersonKey};
use crate::store::{CHANGES_MAX, ConsentRow, Gone, Outcome, PersonRow, Put, Write};

/// A command waits this long for its commit.
pub(super) const COMMIT_PATIENCE: Duration = Duration::from_secs(5);

pub struct PersonActor {
    pub(super) name: PersonName,
    pub(super) shared: Arc<Shared>,
    pub(super) live: Option<Live>,
}

pub(super) struct Live {
    pub(super) row: Option<PersonRow>,
    pub(super) key: Option<Arc<PersonKey>>,
    pub(super) consents: Consents,
    leases: Leases,
    waiting: HashMap<u64, (Reply<Result<Changed, Declined>>, Changed)>,
    tickets: u64,
    /// A request is erasing the person: nothing new is kept.
    pub(super) stopped: bool,
}

/// A person as operators see one: how much there is, and nothing of it.
#[derive(Serialize)]
pub struct View {
    known: bool,
    changes: u64,
    allowed: usize,
    restricted: bool,
    waiting: usize,
}

impl PersonActor {
    pub fn new(shared: Arc<Shared>, key: &str) -> PersonActor {
        PersonActor { name: PersonName::of_key(key), shared, live: None }
    }

    async fn load(&self) -> Result<Live, Fault> {
        self.shared.committer.barrier().await;
        let (account, store) = (&self.name.account, &self.shared.store);
        let row = store.person_by_lookup(account, &self.name.lookup).await?;
        let mut history = Vec::new();
        let mut key = None;
        if let Some(row) = &row {
            for row in store.consents(account, &row.person).await? {
                history.push(serde_json::from_str::<Change>(&row.change)?);
            }
            let person = self.shared.vault.person(account, &row.person, &row.wrapped_key)?;
            key = Some(Arc::new(person));
        }
        let consents = Consents::from_history(&history)?;
        let now = clock::mono_us();
        // a life that ended in disorder has forgotten what this node was told
        self.shared.persons.cache(|c| c.recall(self.name.number(), consents.seq(), now));
        Ok(Live {
            row,
            key,
            consents,
            leases: Leases::new(if self.shared.begins(&self.path()) { now + TTL_US } else { 0 }),
            waiting: HashMap::new(),
            tickets: 0,
            stopped: false,
        })
    }

    fn path(&self) -> String {
        format!("/shield/person/{}", self.name.key())
    }

    pub(super) fn live(&mut self) -> Result<&mut Live, Fault> {
        self.live.as_mut().ok_or_else(|| Fault::new("the person is not loaded"))
    }

    /// Writes all of it, with the row's next version. `Err(Declined)`: nothing was written.
    pub(super) async fn write(
        &mut self,
        row: PersonRow,
        mut puts: Vec<Put>,
        gone: Vec<Gone>,
        records: Vec<Record>,
    ) -> Result<Result<(), Declined>, Fault> {
        let account = self.name.account.to_string();
        let budget = format!("@person/{}", self.name.lookup);
        let shard =
            BudgetName { account: self.name.account.clone(), budget: budget.as_str().into() }
                .shard();
        puts.push(row.clone().into());
        let mut kicks = Vec::new();
        for record in &records {
            let pending = pending(&account, record)?;
            kicks.push((pending.id.clone(), pending.record.clone()));
            puts.push(pending.into());
        }
        let epoch = self.shared.epoch(shard);
        let write = Write { account, budget, shard, epoch, puts, gone, ..Write::default() };
        let Ok(outcome) = self.shared.committer.submit(write) else {
            return Ok(Err(Declined::Unavailable));
        };
        match tokio::time::timeout(COMMIT_PATIENCE, outcome).await {
            Ok(Ok(Outcome::Committed)) => {
                self.live()?.row = Some(row);
                self.shared.audit.kick(&self.name.account, kicks);
                Ok(Ok(()))
            }
            Ok(Ok(Outcome::Failed(error))) => {
                tracing::warn!(%error, "a change of a person could not be written");
                Ok(Err(Declined::Unavailable))
            }
            // whether it is durable is for the next life to read
            other => Err(Fault::new(format!("a change of a person: {other:?}"))),
        }
    }

    /// The person's row, made where there is none.
    pub(super) fn row(&mut self, customer: &str) -> Result<PersonRow, Fault> {
        let name = self.name.clone();
        let shared = Arc::clone(&self.shared);
        let live = self.live()?;
        if let Some(row) = &live.row {
            return Ok(PersonRow { version: row.version + 1, ..row.clone() });
        }
        let person = format!("{:032x}", rand::random::<u128>());
        let (key, wrapped_key) = shared.vault.new_person(&name.account, &person)?;
        let binding =
            Binding { account: &name.account, person: &person, purpose: "person.customer" };
        let customer = key.seal(customer.as_bytes(), binding, nonce())?;
        live.key = Some(Arc::new(key));
        Ok(PersonRow {
            account: name.account.to_string(),
            person,
            lookup: name.lookup.to_string(),
            customer,
            wrapped_key,
            seq: 0,
            created_at: clock::wall_us(),
            erased_at: None,
            version: 1,
        })
    }

    pub(super) async fn change(
        &mut self,
        customer: &str,
        command: &Command,
        shown: Option<&str>,
        actor: &str,
    ) -> Result<Result<Changed, Declined>, Fault> {
        let at = clock::wall_us();
        let live = self.live()?;
        if live.stopped {
            return Ok(Err(Declined::Erased));
        }
        let changes = match live.consents.decide(command, at) {
            Ok(changes) => changes,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let mut consents = live.consents.clone();
        for change in &changes {
            consents.apply(change)?;
        }
        if consents.seq() > u64::from(CHANGES_MAX) {
            return Ok(Err(Declined::Full));
        }
        let fresh = live.row.is_none();
        let mut row = self.row(customer)?;
        let person = row.person.clone();
        if changes.is_empty() && !fresh {
            return Ok(Ok(Changed { person, changes, consents }));
        }
        row.seq = i64::try_from(consents.seq())?;
        let (puts, records) = self.rows_of(&person, &changes, shown, actor)?;
        let written = self.write(row, puts, Vec::new(), records).await?;
        if let Err(declined) = written {
            if fresh {
                self.live()?.key = None;
            }
            return Ok(Err(declined));
        }
        self.live()?.consents = consents.clone();
        Ok(Ok(Changed { person, changes, consents }))
    }

    fn rows_of(
        &mut self,
        person: &str,
        changes: &[Change],
        shown: Option<&str>,
        actor: &str,
    ) -> Result<(Vec<Put>, Vec<Record>), Fault> {
        let account = self.name.account.to_string();
        let key = self.live()?.key.clone();
        let (mut puts, mut records) = (Vec::new(), Vec::new());
        for change in changes {
            let binding = Binding { account: &account, person, purpose: "consent.shown" };
            let sealed = match (shown, &key) {
                (Some(text), Some(key)) => Some(key.seal(text.as_bytes(), binding, nonce())?),
                _ => None,
            };
            puts.push(Put::from(ConsentRow {
                account: account.clone(),
                person: person.to_owned(),
                seq: i64::try_from(change.seq)?,
                at: change.at,
                change: serde_json::to_string(change)?,
                sealed,
            }));
            records.push(record(person, change, actor)?);
        }
        Ok((puts, records))
    }

    /// Answers a change when no cache says otherwise any more.
    pub(super) fn answer(
        &mut self,
        changed: Changed,
        takes_away: bool,
        reply: Reply<Result<Changed, Declined>>,
        cx: &mut Cx<Self>,
    ) -> Result<(), Fault> {
        let now = clock::mono_us();
        let live = self.live()?;
        if !takes_away {
            reply.send(Ok(changed));
            return Ok(());
        }
        live.tickets += 1;
        let (ticket, generation) = (live.tickets, live.consents.seq());
        live.waiting.insert(ticket, (reply, changed));
        match live.leases.revoke(ticket, generation, now) {
            Ok(effects) => self.carry_out(effects, cx),
            Err(_) => {
                if let Some((reply, _)) = live.waiting.remove(&ticket) {
                    reply.send(Err(Declined::Busy));
                }
                Ok(())
            }
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let now = clock::mono_us();
        let (number, me) = (self.name.number(), self.shared.incarnation);
        let mut queue = std::collections::VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Recall { holder, generation } if holder == me => {
                    self.shared.persons.cache(|cache| cache.recall(number, generation, now));
                    queue.extend(self.live()?.leases.recalled(holder, generation, now));
                }
                // another node's lease ends by itself
                Effect::Recall { .. } => {}
                Effect::Answer { ticket } => {
                    if let Some((reply, changed)) = self.live()?.waiting.remove(&ticket) {
                        reply.send(Ok(changed));
                    }
                }
            }
        }
        if let Some(due) = self.live()?.leases.next_due() {
            let wait = u64::try_from(due - now).unwrap_or(0).max(1_000);
            cx.send_after(Duration::from_micros(wait), Msg::Tick);
        }
        Ok(())
    }
}

fn record(person: &str, change: &Change, actor: &str) -> Result<Record, Fault> {
    let event = match change.action {
        Action::Granted => Event::fixed("consent.granted"),
        Action::Revoked => Event::fixed("consent.revoked"),
        Action::Objected => Event::fixed("consent.objected"),
        Action::OptedOut => Event::fixed("consent.opted_out"),
        Action::Restricted => Event::fixed("consent.restricted"),
        Action::Lifted => Event::fixed("consent.lifted"),
    };
    let mut data = serde_json::to_value(change)?;
    if let Some(fields) = data.as_object_mut() {
        for name in ["at", "kind", "action"] {
            fields.remove(name);
        }
        fields.retain(|_, value| !value.is_null());
    }
    Ok(Record {
        at_us: change.at,
        event,
        actor: actor.to_owned(),
        subject: change.kind.map(|kind| kind.as_str().to_owned()),
        person: Some(person.to_owned()),
        outcome: Recorded::Ok,
        count: 1,
        data: data.as_object().cloned(),
        sealed: None,
    })
}

impl Actor for PersonActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "person";

    async fn started(&mut self, _cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.live = Some(self.load().await?);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look { reply } => {
                let live = self.live()?;
                let person = live.row.as_ref().map(|row| row.person.clone());
                reply.send(Ok(Seen { person, consents: live.consents.clone() }));
            }
            Msg::Lease { holder, reply } => {
                let now = clock::mono_us();
                let live = self.live()?;
                let (allowed, generation) = (live.consents.allowed(), live.consents.seq());
                let leased = live.leases.lease(holder, generation, now).is_some();
                reply.send(Ok((allowed, generation, leased)));
            }
            Msg::Change { customer, command, shown, actor, reply } => {
                let changed = self.change(&customer, &command, shown.as_deref(), &actor).await?;
                match changed {
                    Ok(changed) => {
                        let takes_away =
                            !matches!(command, Command::Grant { .. } | Command::Lift { .. });
                        self.answer(changed, takes_away, reply, cx)?;
                    }
                    Err(declined) => reply.send(Err(declined)),
                }
            }
            Msg::Identify { customer, reply } => {
                if let Some(row) = &self.live()?.row {
                    reply.send(Ok(row.person.clone()));
                    return Ok(());
                }
                let row = self.row(&customer)?;
                let person = row.person.clone();
                let written = self.write(row, Vec::new(), Vec::new(), Vec::new()).await?;
                if written.is_err() {
                    self.live()?.key = None;
                }
                reply.send(written.map(|()| person));
            }
            Msg::Do { person, doing, reply } => {
                let done = self.perform(&person, *doing, cx).await?;
                reply.send(done);
            }
            Msg::Tick => {
                let effects = self.live()?.leases.poll(clock::mono_us());
                self.carry_out(effects, cx)?;
            }
        }
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        self.shared.ended(&self.path());
    }

    fn view(&self) -> View {
        let live = self.live.as_ref();
        View {
            known: live.is_some_and(|l| l.row.is_some()),
            changes: live.map_or(0, |l| l.consents.seq()),
            allowed: live.map_or(0, |l| l.consents.allowed().iter().count()),
            restricted: live.is_some_and(|l| l.consents.restricted()),
            waiting: live.map_or(0, |l| l.waiting.len()),
        }
    }

    fn idle(&self) -> bool {
        let now = clock::mono_us();
        self.live
            .as_ref()
            .is_none_or(|l| l.waiting.is_empty() && l.leases.is_idle(now) && !l.stopped)
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look { .. } => "Look",
            Msg::Lease { .. } => "Lease",
            Msg::Change { .. } => "Change",
            Msg::Identify { .. } => "Identify",
            Msg::Do { .. } => "Do",
            Msg::Tick => "Tick",
        }
    }
}
