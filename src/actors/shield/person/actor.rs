//! `/shield/person/<account>:<hash>`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::perform::Performed;
use super::told::Writing;
use super::{Changed, Declined, Done, Msg, PersonName, Seen};
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::audit::pending;
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::actors::shield::vault::nonce;
use crate::clock;
use crate::models::shield::audit::record::Record;
use crate::models::shield::consent::change::{Change, Command};
use crate::models::shield::consent::lease::{Effect, Leases, TTL_US};
use crate::models::shield::consent::state::Consents;
use crate::models::shield::dsr::request::Request;
use crate::models::shield::seal::{Binding, PersonKey};
use crate::store::{CHANGES_MAX, Gone, Outcome, PersonRow, Put, Write};

/// A command waits this long for its commit.
pub(super) const COMMIT_PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of a command.
type Answer = Result<Changed, Declined>;

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
    waiting: HashMap<u64, Waits>,
    tickets: u64,
    /// A request is erasing the person: nothing new is kept.
    pub(super) stopped: bool,
}

/// Who is answered when no cache says otherwise any more.
enum Waits {
    Change(Reply<Result<Changed, Declined>>, Box<Changed>),
    Step(Reply<Result<Done, Declined>>),
}

impl Waits {
    fn done(self) {
        match self {
            Waits::Change(reply, changed) => reply.send(Ok(*changed)),
            Waits::Step(reply) => reply.send(Ok(Done::Nothing)),
        }
    }

    fn declined(self, declined: Declined) {
        match self {
            Waits::Change(reply, _) => reply.send(Err(declined)),
            Waits::Step(reply) => reply.send(Err(declined)),
        }
    }
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
        let mut consents = Consents::default();
        let (mut key, mut stopped) = (None, false);
        if let Some(row) = &row {
            consents = self.history(&row.person).await?;
            let person = self.shared.vault.person(account, &row.person, &row.wrapped_key)?;
            key = Some(Arc::new(person));
            stopped = self.is_being_erased(&row.person).await?;
        }
        let now = clock::mono_us();
        // whoever owned the person before may have leased answers
        let taken_us = self.shared.placement.taken_us(BudgetName::account(account).place());
        let unclean_us = if self.shared.begins(&self.path()) { now } else { i64::MIN };
        let unknown_until_us = unclean_us.max(taken_us).saturating_add(TTL_US);
        // a life that ended in disorder has forgotten what this node was told
        self.shared.persons.cache(|c| c.recall(self.name.number(), consents.seq(), now));
        self.shared.persons.changed(self.name.number());
        Ok(Live {
            row,
            key,
            consents,
            leases: Leases::new(unknown_until_us),
            waiting: HashMap::new(),
            tickets: 0,
            stopped,
        })
    }

    /// What the person's whole history leads to, without the texts that were shown.
    async fn history(&self, person: &str) -> Result<Consents, Fault> {
        let mut consents = Consents::default();
        loop {
            let after = i64::try_from(consents.seq())?;
            let rows = self.shared.store.changes(&self.name.account, person, after).await?;
            for (_, change) in &rows {
                consents.apply(&serde_json::from_str::<Change>(change)?)?;
            }
            if rows.len() < CHANGES_MAX as usize {
                return Ok(consents);
            }
        }
    }

    /// Whether a request has stopped the processing of the person and is not at its end: that
    /// outlives the lives of this actor.
    async fn is_being_erased(&self, person: &str) -> Result<bool, Fault> {
        for row in self.shared.store.dsrs_erasing(&self.name.account, person).await? {
            if serde_json::from_str::<Request>(&row.state)?.has_stopped() {
                return Ok(true);
            }
        }
        Ok(false)
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
        let changes = match live.consents.decide(command, at) {
            Ok(changes) => changes,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let mut consents = live.consents.clone();
        for change in &changes {
            consents.apply(change)?;
        }
        let fresh = live.row.is_none();
        let mut row = self.row(customer)?;
        let person = row.person.clone();
        if changes.is_empty() && !fresh {
            return Ok(Ok(Changed { person, changes, consents }));
        }
        row.seq = i64::try_from(consents.seq())?;
        let key = self.live()?.key.clone().ok_or_else(|| Fault::new("a person has no key"))?;
        let (name, key) = (&self.name, &*key);
        let writing = Writing { name, person: &person, key, shown, actor };
        let (puts, records) = writing.rows(&changes)?;
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

    /// What is answered to a command while the person is being erased: nothing is allowed any more, so
    /// a no is true already, and a yes comes too late. `None`: the person is not being erased.
    fn while_erased(&mut self, command: &Command) -> Result<Option<Answer>, Fault> {
        let live = self.live()?;
        if !live.stopped {
            return Ok(None);
        }
        Ok(Some(match (command, &live.row) {
            (Command::Revoke { .. }, Some(row)) => {
                let (person, consents) = (row.person.clone(), live.consents.clone());
                Ok(Changed { person, changes: Vec::new(), consents })
            }
            _ => Err(Declined::Erased),
        }))
    }

    /// Something is allowed no more: answers when no cache says otherwise.
    fn take_away(&mut self, waits: Waits, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let now = clock::mono_us();
        self.shared.persons.changed(self.name.number());
        let live = self.live()?;
        live.tickets += 1;
        let (ticket, generation) = (live.tickets, live.leases.generation(live.consents.seq()));
        live.waiting.insert(ticket, waits);
        match live.leases.revoke(ticket, generation, now) {
            Ok(effects) => self.carry_out(effects, cx),
            Err(_) => {
                if let Some(waits) = live.waiting.remove(&ticket) {
                    waits.declined(Declined::Busy);
                }
                Ok(())
            }
        }
    }

    /// What was kept of the person is erased: histories begin anew, generations go on.
    pub(super) fn begin_anew(&mut self) -> Result<(), Fault> {
        let live = self.live()?;
        live.leases.begin_anew(live.consents.seq());
        live.consents = Consents::default();
        Ok(())
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
                    if let Some(waits) = self.live()?.waiting.remove(&ticket) {
                        waits.done();
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

impl Actor for PersonActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "person";

    async fn started(&mut self, _cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.live = Some(Box::pin(self.load()).await?);
        Ok(())
    }

    // What takes a commit is boxed: an actor that rests keeps the memory of its largest future.
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
                let allowed = live.consents.allowed();
                let generation = live.leases.generation(live.consents.seq());
                let leased = live.leases.lease(holder, generation, now).is_some();
                reply.send(Ok((allowed, generation, leased)));
            }
            Msg::Change { customer, command, shown, actor, reply } => {
                let changed = match self.while_erased(&command)? {
                    Some(answer) => answer,
                    None => {
                        let shown = shown.as_deref();
                        Box::pin(self.change(&customer, &command, shown, &actor)).await?
                    }
                };
                match (changed, command) {
                    (Ok(changed), Command::Grant { .. } | Command::Lift { .. }) => {
                        self.shared.persons.changed(self.name.number());
                        reply.send(Ok(changed));
                    }
                    (Ok(changed), _) => {
                        self.take_away(Waits::Change(reply, Box::new(changed)), cx)?;
                    }
                    (Err(declined), _) => reply.send(Err(declined)),
                }
            }
            Msg::Identify { customer, reply } => {
                if let Some(row) = &self.live()?.row {
                    reply.send(Ok(row.person.clone()));
                    return Ok(());
                }
                let row = self.row(&customer)?;
                let person = row.person.clone();
                let written = Box::pin(self.write(row, Vec::new(), Vec::new(), Vec::new())).await?;
                if written.is_err() {
                    self.live()?.key = None;
                }
                reply.send(written.map(|()| person));
            }
            Msg::Do { person, doing, reply } => {
                match Box::pin(self.perform(&person, *doing)).await? {
                    Ok(Performed::Done(done)) => reply.send(Ok(done)),
                    Ok(Performed::TakenAway) => self.take_away(Waits::Step(reply), cx)?,
                    Err(declined) => reply.send(Err(declined)),
                }
            }
            Msg::Tick => {
                let effects = self.live()?.leases.poll(clock::mono_us());
                self.carry_out(effects, cx)?;
            }
        }
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        let now = clock::mono_us();
        // one that is ordered to end may leave answers behind: the next life waits until they are over
        if self.live.as_ref().is_none_or(|live| live.leases.is_idle(now)) {
            self.shared.ended(&self.path());
        }
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
