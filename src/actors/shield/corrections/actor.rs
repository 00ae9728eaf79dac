//! `/shield/corrections`: the one writer of corrections. It books what is approved; what a crash left
//! approved is found at the start and each minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::row::{parse, record, row};
use crate::actors::cluster::links::LinkError;
use crate::actors::kernel::{Actor, AskError, Cx, Fault, Reply};
use crate::actors::shield::audit::pending;
use crate::actors::shield::message::{Booked, Msg as BudgetMsg, SpendAsk, Told};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::cluster::member::Route;
use crate::models::shield::ask::Answer;
use crate::models::shield::correction::{Correction, NotDecided, Origins, Status};
use crate::store::{CorrectionRow, Found, OperationRow, OutboxRow, Outcome, Write};

const EVERY: Duration = Duration::from_secs(60);
const SPEND: &str = "shield.correction";
/// How long a budget that is between two nodes is waited for.
const BETWEEN: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(500);
const PAGE: u32 = 256;
/// How long a booking may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of it.
pub enum Msg {
    /// Book what is approved, and again each minute.
    Look,
    /// Book what is approved, this once.
    LookAgain,
    Propose {
        correction: Box<Correction>,
        /// The operation of the request, its fingerprint and its answer, where it has a key.
        operation: Option<Box<OperationRow>>,
        reply: Reply<Proposed>,
    },
    Decide {
        account: String,
        id: String,
        verdict: Verdict,
        who: Arc<str>,
        reply: Reply<Decided>,
    },
    Tried {
        correction: Box<Correction>,
        fate: Fate,
    },
}

/// What became of a proposal.
pub enum Proposed {
    Saved,
    /// An earlier request with the same key has this answer, to a request of this fingerprint.
    Replayed {
        body_hash: String,
        answer: String,
    },
    Unavailable,
}

/// What somebody decides.
pub enum Verdict {
    Approve { origins: Origins },
    Refuse { reason: String },
}

/// What became of a decision.
pub enum Decided {
    Saved(Box<Correction>),
    NotDecided(NotDecided),
    Absent,
    /// The stored one cannot be read.
    Damaged,
    Unavailable,
}

/// What became of a booking.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Booked(i64),
    /// The rules will never book it.
    Never(String),
    /// Not now: it is tried again.
    Later(String),
}

/// As operators see it.
#[derive(Clone, Default, Serialize)]
pub struct View {
    /// Bookings under way.
    booking: usize,
    booked: u64,
    /// Approved ones that cannot be read and are not booked, as of the last look.
    unreadable: usize,
    last_error: Option<String>,
}

pub struct CorrectionsActor {
    shared: Arc<Shared>,
    /// Who waits for which booking; one without anybody who waits is under way as well.
    booking: HashMap<(String, String), Vec<Reply<Decided>>>,
    /// Another look is to come soon: one for all bookings that failed.
    again: bool,
    view: View,
}

impl CorrectionsActor {
    pub fn new(shared: Arc<Shared>) -> CorrectionsActor {
        CorrectionsActor { shared, booking: HashMap::new(), again: false, view: View::default() }
    }

    /// Saves a state with its record, in one write.
    async fn save(
        &mut self,
        next: &Correction,
        operation: Option<OperationRow>,
    ) -> Result<Proposed, Fault> {
        let now = clock::wall_us();
        let record = record(next, now)?;
        let pending = pending(&next.account, &record)?;
        let kick = (pending.id.clone(), pending.record.clone());
        let data = serde_json::Value::Object(record.data.unwrap_or_default());
        let event = OutboxRow {
            account: next.account.clone(),
            id: pending.id.clone(),
            kind: record.event.as_str().to_owned(),
            subject: next.id.clone(),
            payload: data.to_string(),
            created_at: now,
            delivered_at: None,
        };
        let budget = format!("@correction/{}", next.id);
        let name =
            BudgetName { account: next.account.as_str().into(), budget: budget.as_str().into() };
        let shard = name.shard();
        let write = Write {
            account: next.account.clone(),
            budget,
            shard,
            epoch: self.shared.epoch(shard),
            check_ops: operation.is_some(),
            operations: operation.into_iter().collect(),
            puts: vec![row(next).into(), pending.into()],
            outbox: vec![event],
            ..Write::default()
        };
        let Ok(outcome) = self.shared.committer.submit(write) else {
            return Ok(Proposed::Unavailable);
        };
        match outcome.await {
            Ok(Outcome::Committed) => {
                self.shared.audit.kick(&next.account, vec![kick]);
                Ok(Proposed::Saved)
            }
            Ok(Outcome::Failed(error)) => {
                self.view.last_error = Some(error.to_string());
                Ok(Proposed::Unavailable)
            }
            Ok(Outcome::Duplicate(found)) => match found.into_iter().next() {
                Some(Found::Operation(row)) => {
                    Ok(Proposed::Replayed { body_hash: row.body_hash, answer: row.answer })
                }
                other => Err(Fault::new(format!("a proposal was booked before: {other:?}"))),
            },
            other => Err(Fault::new(format!("a correction's state: {other:?}"))),
        }
    }

    async fn decide(
        &mut self,
        (account, id): (String, String),
        verdict: Verdict,
        who: &str,
        reply: Reply<Decided>,
        cx: &mut Cx<Self>,
    ) -> Result<(), Fault> {
        let row = match self.shared.store.correction(&account, &id).await {
            Ok(Some(row)) => row,
            Ok(None) => {
                reply.send(Decided::Absent);
                return Ok(());
            }
            Err(error) => {
                self.view.last_error = Some(error.to_string());
                reply.send(Decided::Unavailable);
                return Ok(());
            }
        };
        let correction = match parse(row) {
            Ok(correction) => correction,
            Err(why) => {
                tracing::error!(%account, correction = %id, %why, "correction {id} cannot be read");
                reply.send(Decided::Damaged);
                return Ok(());
            }
        };
        let now = clock::wall_us();
        let next = match verdict {
            Verdict::Approve { origins } => correction.approve(who, &origins, now),
            Verdict::Refuse { reason } => correction.refuse(who, &reason, now).map(Some),
        };
        let next = match next {
            Err(why) => {
                reply.send(Decided::NotDecided(why));
                return Ok(());
            }
            Ok(None) => correction,
            Ok(Some(next)) => {
                tracing::info!(correction = %id, who, status = next.status.as_str(),
                    "correction {id} is {}", next.status.as_str());
                if !matches!(self.save(&next, None).await?, Proposed::Saved) {
                    reply.send(Decided::Unavailable);
                    return Ok(());
                }
                next
            }
        };
        if next.status == Status::Approved {
            self.book(next, Some(reply), cx);
        } else {
            reply.send(Decided::Saved(Box::new(next)));
        }
        Ok(())
    }

    /// Books an approved correction, unless that is under way.
    fn book(&mut self, correction: Correction, reply: Option<Reply<Decided>>, cx: &mut Cx<Self>) {
        let key = (correction.account.clone(), correction.id.clone());
        let under_way = self.booking.contains_key(&key);
        self.booking.entry(key).or_default().extend(reply);
        self.view.booking = self.booking.len();
        if !under_way {
            let shared = Arc::clone(&self.shared);
            let work = async move {
                let fate = spend(&shared, &correction).await;
                (Box::new(correction), fate)
            };
            cx.pipe(work, |(correction, fate)| Msg::Tried { correction, fate });
        }
    }

    async fn tried(
        &mut self,
        correction: Correction,
        fate: Fate,
        cx: &mut Cx<Self>,
    ) -> Result<(), Fault> {
        let next = match fate {
            Fate::Booked(seq) => correction.booked(seq),
            Fate::Never(why) => correction.unbookable(&why, clock::wall_us()),
            Fate::Later(why) => {
                self.view.last_error = Some(why);
                None
            }
        };
        let mut now = correction;
        if let Some(next) = next
            && matches!(self.save(&next, None).await?, Proposed::Saved)
        {
            self.view.booked += u64::from(next.status == Status::Booked);
            now = next;
        } else {
            self.look_again(cx);
        }
        let waiting = self.booking.remove(&(now.account.clone(), now.id.clone()));
        self.view.booking = self.booking.len();
        for reply in waiting.unwrap_or_default() {
            reply.send(Decided::Saved(Box::new(now.clone())));
        }
        Ok(())
    }

    /// Books what is approved. A row that cannot be read must not keep the others back.
    async fn look(&mut self, cx: &mut Cx<Self>) {
        let rows = match self.shared.store.corrections_approved(PAGE).await {
            Ok(rows) => rows,
            Err(error) => {
                self.view.last_error = Some(error.to_string());
                self.look_again(cx);
                return;
            }
        };
        let mut unreadable = Vec::new();
        let placement = &self.shared.placement;
        let here = |account: &str| placement.admits(BudgetName::account(account).place());
        let rows: Vec<_> = rows.into_iter().filter(|row| here(&row.account)).collect();
        for row in rows {
            let name = format!("{}/{}", row.account, row.correction);
            match parse(row) {
                Ok(correction) => self.book(correction, None, cx),
                Err(why) => unreadable.push((name, why)),
            }
        }
        if let Some((first, why)) = unreadable.first() {
            tracing::error!(correction = %first, corrections = unreadable.len(), %why,
                "approved corrections cannot be read and are not booked, {first} among them");
            self.view.last_error = Some(format!("{first}: {why}"));
        }
        self.view.unreadable = unreadable.len();
    }

    fn look_again(&mut self, cx: &mut Cx<Self>) {
        if !self.again {
            self.again = true;
            cx.send_after(AGAIN, Msg::LookAgain);
        }
    }
}

/// Books it where its budget is.
async fn spend(shared: &Shared, c: &Correction) -> Fate {
    let name = BudgetName { account: c.account.as_str().into(), budget: c.budget.as_str().into() };
    match shared.placement.whereabouts(name.place(), BETWEEN).await {
        Route::Here(_) => spend_here(shared, c).await,
        Route::There(node) => {
            let asked = shared.placement.links().ask_for(node, SPEND, &row(c), PATIENCE).await;
            asked.unwrap_or_else(|error| Fate::Later(error.to_string()))
        }
        Route::Nobody => Fate::Later("its budget is on its way to another node".to_owned()),
    }
}

/// Books corrections of budgets that are here for accounts whose home is elsewhere.
pub fn serve(shared: &Arc<Shared>) {
    let weak = Arc::downgrade(shared);
    shared.placement.links().answer_with(SPEND, move |_, row: CorrectionRow| {
        let shared = weak.upgrade();
        async move {
            let gone = || LinkError::Refused("the service has ended".to_owned());
            let correction = parse(row).map_err(|why| LinkError::NotUnderstood(why.to_string()))?;
            Ok(spend_here(&*shared.ok_or_else(gone)?, &correction).await)
        }
    });
}

/// Books it under its own operation: the ledger has it once, however often this runs.
async fn spend_here(shared: &Shared, c: &Correction) -> Fate {
    let name = BudgetName { account: c.account.as_str().into(), budget: c.budget.as_str().into() };
    if !shared.placement.serves() || !shared.placement.admits(name.place()) {
        return Fate::Later("its budget is not here".to_owned());
    }
    let entities = if name.is_account() { &shared.accounts } else { &shared.budgets };
    let Some(entities) = entities.get() else { return Fate::Later("not started yet".to_owned()) };
    let ask = SpendAsk {
        op: c.op(),
        amount: c.amount,
        currency: Some(c.currency),
        body: c.body(),
        memo: Some(c.memo()),
    };
    let key = name.key(&shared.terms.default_account);
    let make = |reply| BudgetMsg::Spend { ask: Box::new(ask), reply };
    let told: Result<Told<Booked>, AskError> = entities.ask(&key, PATIENCE, make).await;
    match told {
        Ok(Told::Done(Booked::Answer(Answer::Booked { entry, .. }))) => Fate::Booked(entry.seq),
        Ok(Told::Done(Booked::Refused(reason))) => Fate::Never(reason.help().to_owned()),
        Ok(Told::Done(Booked::Answer(Answer::Mismatch))) => {
            Fate::Never("another booking has its operation".to_owned())
        }
        Ok(Told::Absent) => Fate::Never("there is no such campaign or account".to_owned()),
        Ok(Told::Done(other)) => Fate::Later(format!("{other:?}")),
        Ok(Told::Unavailable) => Fate::Later("the store is not available".to_owned()),
        Err(error) => Fate::Later(error.to_string()),
    }
}

impl Actor for CorrectionsActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "corrections";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.shared.committer.barrier().await;
        self.booking.clear();
        cx.send_after(Duration::ZERO, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look => {
                cx.send_after(EVERY, Msg::Look);
                self.look(cx).await;
                Ok(())
            }
            Msg::LookAgain => {
                self.again = false;
                self.look(cx).await;
                Ok(())
            }
            Msg::Propose { correction, operation, reply } => {
                let saved = self.save(&correction, operation.map(|row| *row)).await?;
                reply.send(saved);
                Ok(())
            }
            Msg::Decide { account, id, verdict, who, reply } => {
                self.decide((account, id), verdict, &who, reply, cx).await
            }
            Msg::Tried { correction, fate } => self.tried(*correction, fate, cx).await,
        }
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look => "Look",
            Msg::LookAgain => "LookAgain",
            Msg::Propose { .. } => "Propose",
            Msg::Decide { .. } => "Decide",
            Msg::Tried { .. } => "Tried",
        }
    }
}
