//! `/shield/dsr/<account>:<id>`: drives one request to its end.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::perform::perform;
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::audit::pending;
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::person::People;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::audit::record::{Event, Outcome as Recorded, Record};
use crate::models::shield::dsr::command::{Command, Refusal, command};
use crate::models::shield::dsr::event::Telling;
use crate::models::shield::dsr::request::Request;
use crate::models::shield::dsr::saga::{Effect, Saga};
use crate::models::shield::dsr::step::{Evidence, Failure, Step};
use crate::models::shield::dsr::words::Words;
use crate::store::{DsrRow, OutboxRow, Outcome, Put, Write};

/// The longest wait between two looks: clocks may be set.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
const LOAD_AGAIN: Duration = Duration::from_millis(500);

pub struct DsrActor {
    account: String,
    id: String,
    shared: Arc<Shared>,
    people: People,
    saga: Saga,
    request: Option<Request>,
    performing: bool,
    /// Waits for the end: answered when nothing is left to do.
    waiting: Vec<Reply<Option<Request>>>,
    waits_until: Option<i64>,
    last_error: Option<String>,
}

/// A request as operators see it.
#[derive(Serialize)]
pub struct View {
    kind: Option<&'static str>,
    status: Option<&'static str>,
    done: Vec<Step>,
    failures: u32,
    version: u64,
    last_error: Option<String>,
}

/// What is asked of a request's actor.
pub enum Msg {
    /// Go on; also what starts a request again after a restart.
    Wake,
    /// The request as it is saved. `None`: there is none.
    See(Reply<Option<Request>>),
    /// The same, once nothing is left to do at once.
    Settled(Reply<Option<Request>>),
    Decide {
        command: Command,
        actor: Arc<str>,
        reply: Reply<Decided>,
    },
    Performed {
        step: Step,
        result: Result<Evidence, Failure>,
    },
}

/// What became of a decision.
pub enum Decided {
    Saved(Box<Request>),
    Refused(Refusal),
    Absent,
    Unavailable,
}

impl DsrActor {
    pub fn new(shared: Arc<Shared>, people: People, key: &str) -> DsrActor {
        let (account, id) = key.rsplit_once(':').unwrap_or(("", key));
        DsrActor {
            account: account.to_owned(),
            id: id.to_owned(),
            shared,
            people,
            saga: Saga::new(),
            request: None,
            performing: false,
            waiting: Vec::new(),
            waits_until: None,
            last_error: None,
        }
    }

    /// Saves the next state, with the records that go with it. False: the store does not take it now.
    async fn save(&mut self, next: Request, records: Vec<Record>) -> Result<bool, Fault> {
        let mut puts: Vec<Put> = vec![row(&next)?.into()];
        let (mut kicks, mut outbox) = (Vec::new(), Vec::new());
        for record in &records {
            let pending = pending(&self.account, record)?;
            kicks.push((pending.id.clone(), pending.record.clone()));
            outbox.push(OutboxRow {
                account: self.account.clone(),
                id: pending.id.clone(),
                kind: record.event.as_str().to_owned(),
                subject: self.id.clone(),
                payload: serde_json::Value::Object(record.data.clone().unwrap_or_default())
                    .to_string(),
                created_at: record.at_us,
                delivered_at: None,
            });
            puts.push(pending.into());
        }
        let budget = format!("@dsr/{}", self.id);
        let name =
            BudgetName { account: self.account.as_str().into(), budget: budget.as_str().into() };
        let shard = name.shard();
        let (account, epoch) = (self.account.clone(), self.shared.epoch(shard));
        let write = Write { account, budget, shard, epoch, puts, outbox, ..Write::default() };
        let Ok(outcome) = self.shared.committer.submit(write) else { return Ok(false) };
        match outcome.await {
            Ok(Outcome::Committed) => {
                self.request = Some(next);
                self.shared.audit.kick(&self.account, kicks);
                Ok(true)
            }
            Ok(Outcome::Failed(error)) => {
                self.last_error = Some(error.to_string());
                Ok(false)
            }
            other => Err(Fault::new(format!("a request's state: {other:?}"))),
        }
    }

    /// Goes on until a step is under way or nothing is left to do now.
    async fn drive(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.waits_until = None;
        while let Some(request) = self.request.clone() {
            if self.performing {
                return Ok(());
            }
            let now = clock::wall_us();
            let saved = match self.saga.next(&request, now) {
                Effect::Save(next) => self.save(*next, Vec::new()).await?,
                Effect::Emit(telling) => {
                    let record = record(&request, &telling)?;
                    let told = self.saga.emitted(&request, telling.number, Ok(()), now);
                    match told {
                        // the record and the state that says it was told are one write
                        Some(next) => self.save(next, vec![record]).await?,
                        None => return Err(Fault::new("an event was told out of turn")),
                    }
                }
                Effect::Do(step) => {
                    self.performing = true;
                    let (shared, people) = (Arc::clone(&self.shared), self.people.clone());
                    let work = async move { perform(&shared, &people, &request, step).await };
                    cx.pipe(work, move |result| Msg::Performed { step, result });
                    return Ok(());
                }
                Effect::Wait(until) => {
                    self.wait(until, now, cx);
                    break;
                }
                Effect::Done => break,
            };
            if !saved {
                cx.send_after(LOAD_AGAIN, Msg::Wake);
                return Ok(());
            }
        }
        for reply in self.waiting.drain(..) {
            reply.send(self.request.clone());
        }
        Ok(())
    }

    fn wait(&mut self, until: Option<i64>, now: i64, cx: &mut Cx<Self>) {
        self.waits_until = until;
        if let Some(until) = until {
            let wait = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
            let wait = Duration::from_micros(wait).clamp(Duration::from_millis(10), WAIT_MAX);
            cx.send_after(wait, Msg::Wake);
        }
    }

    async fn decide(&mut self, decision: Command, actor: &str) -> Result<Decided, Fault> {
        let Some(request) = &self.request else { return Ok(Decided::Absent) };
        let next = match command(request, decision, actor, clock::wall_us()) {
            Ok(next) => next,
            Err(refusal) => return Ok(Decided::Refused(refusal)),
        };
        tracing::info!(request = %self.id, actor, "a decision about request {}", self.id);
        let saved = self.save(next.clone(), Vec::new()).await?;
        Ok(if saved { Decided::Saved(Box::new(next)) } else { Decided::Unavailable })
    }
}

/// The request's row.
pub fn row(request: &Request) -> Result<DsrRow, Fault> {
    Ok(DsrRow {
        account: request.account.clone(),
        dsr: request.id.clone(),
        person: request.person.clone(),
        kind: request.kind.as_str().to_owned(),
        status: request.status.as_str().to_owned(),
        due_at: request.due_at,
        state: serde_json::to_string(request)?,
        sealed: None,
        created_at: request.received_at,
        updated_at: clock::wall_us(),
        version: i64::try_from(request.version)?,
    })
}

fn record(request: &Request, telling: &Telling) -> Result<Record, Fault> {
    let mut data = serde_json::Map::new();
    data.insert("type".to_owned(), request.kind.as_str().into());
    data.insert("status".to_owned(), request.status.as_str().into());
    data.insert("due_at".to_owned(), crate::actors::shield::view::rfc3339(request.due_at).into());
    let words = request.words_of(&telling.event);
    if let Some(Words::Plain(reason)) = words {
        data.insert("reason".to_owned(), reason.as_str().into());
    }
    if !request.outcome.rows.is_empty() {
        data.insert("rows".to_owned(), serde_json::to_value(&request.outcome.rows)?);
    }
    Ok(Record {
        at_us: telling.at,
        event: Event::new(telling.event.name().to_owned())?,
        actor: telling.by.clone().unwrap_or_else(|| "system".to_owned()),
        subject: Some(request.id.clone()),
        person: Some(request.person.clone()),
        outcome: Recorded::Ok,
        count: 1,
        data: Some(data),
        // what somebody wrote goes into the log alone, and under the person's key
        sealed: words.and_then(Words::sealed).map(str::to_owned),
    })
}

impl Actor for DsrActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "dsr";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.shared.committer.barrier().await;
        let row = self.shared.store.dsr(&self.account, &self.id).await?;
        self.request = row.map(|row| serde_json::from_str(&row.state)).transpose()?;
        self.performing = false;
        if self.request.is_some() {
            cx.send_after(Duration::ZERO, Msg::Wake);
        }
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Wake => {}
            Msg::See(reply) => {
                reply.send(self.request.clone());
                return Ok(());
            }
            Msg::Settled(reply) => self.waiting.push(reply),
            Msg::Decide { command, actor, reply } => {
                let decided = self.decide(command, &actor).await?;
                reply.send(decided);
            }
            Msg::Performed { step, result } => {
                self.performing = false;
                if let Err(failure) = &result {
                    self.last_error = Some(failure.to_string());
                }
                let now = clock::wall_us();
                let request = self.request.as_ref();
                let next = request.and_then(|r| self.saga.stepped(r, step, result, now));
                if let Some(next) = next
                    && !self.save(next, Vec::new()).await?
                {
                    // the step runs again, which it is made for
                    cx.send_after(LOAD_AGAIN, Msg::Wake);
                    return Ok(());
                }
            }
        }
        self.drive(cx).await
    }

    fn view(&self) -> View {
        let request = self.request.as_ref();
        View {
            kind: request.map(|r| r.kind.as_str()),
            status: request.map(|r| r.status.as_str()),
            done: request.map(|r| r.done.clone()).unwrap_or_default(),
            failures: request.map_or(0, |r| r.trouble.failures),
            version: request.map_or(0, |r| r.version),
            last_error: self.last_error.clone(),
        }
    }

    /// One that waits for its due time need not stay in memory: the next look wakes it.
    fn idle(&self) -> bool {
        !self.performing
            && self.waiting.is_empty()
            && self.request.as_ref().is_none_or(|r| r.trouble.failures == 0)
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Wake => "Wake",
            Msg::See(_) => "See",
            Msg::Settled(_) => "Settled",
            Msg::Decide { .. } => "Decide",
            Msg::Performed { .. } => "Performed",
        }
    }
}
