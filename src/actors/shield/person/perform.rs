//! The steps of requests, as far as they are the person's actor's to perform.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::actor::{COMMIT_PATIENCE, PersonActor};
use super::holdings::Subject;
use super::told::erased;
use super::{Declined, Doing, Done};
use crate::actors::kernel::Fault;
use crate::actors::shield::vault::nonce;
use crate::clock;
use crate::models::shield::consent::change::{Command, Origin};
use crate::models::shield::consent::kind::{Kind, Label};
use crate::models::shield::dsr::package::Section;
use crate::models::shield::seal::Binding;
use crate::store::{AttributeRow, PERSON_TABLES, PersonRow, Put};

/// How a step went.
pub(super) enum Performed {
    Done(Done),
    /// It is done when no cache says otherwise any more.
    TakenAway,
}

type Step = Result<Result<Performed, Declined>, Fault>;

const NOTHING: Step = Ok(Ok(Performed::Done(Done::Nothing)));

impl PersonActor {
    fn subject(&mut self) -> Result<Option<Subject>, Fault> {
        let account = self.name.account.to_string();
        let live = self.live()?;
        let key = live.key.clone();
        Ok(live.row.as_ref().map(|row| Subject { account, person: row.person.clone(), key }))
    }

    /// Performs a request's step. Each may be performed again.
    pub(super) async fn perform(&mut self, person: &str, doing: Doing) -> Step {
        let live = self.live()?;
        if live.row.as_ref().is_none_or(|row| row.person != person) {
            // erased before: what is gone needs nothing more
            return match doing {
                Doing::StopProcessing { .. }
                | Doing::EraseTables
                | Doing::DestroyKey { .. }
                | Doing::Gone => NOTHING,
                Doing::Survey => Ok(Ok(Performed::Done(Done::Rows(BTreeMap::new())))),
                _ => Ok(Err(Declined::Erased)),
            };
        }
        let stopped = live.stopped;
        match doing {
            // nothing new about somebody who is being erased
            Doing::Freeze { .. }
            | Doing::Unfreeze { .. }
            | Doing::Object { .. }
            | Doing::OptOut { .. }
            | Doing::Correct { .. }
                if stopped =>
            {
                Ok(Err(Declined::Erased))
            }
            Doing::StopProcessing { dsr } => {
                for kind in Kind::ALL {
                    let command = Command::Revoke { kind, origin: origin(&dsr)? };
                    if let Err(declined) = self.order(&command, &dsr).await? {
                        return Ok(Err(declined));
                    }
                }
                self.live()?.stopped = true;
                Ok(Ok(Performed::TakenAway))
            }
            Doing::Freeze { dsr } => {
                self.order(&Command::Restrict { origin: origin(&dsr)? }, &dsr).await
            }
            Doing::Unfreeze { dsr } => {
                let ended = self.order(&Command::Lift { origin: origin(&dsr)? }, &dsr).await?;
                Ok(ended.map(|_| Performed::Done(Done::Nothing)))
            }
            Doing::Object { dsr, kinds } => {
                self.order(&Command::Object { kinds, origin: origin(&dsr)? }, &dsr).await
            }
            Doing::OptOut { dsr, kinds } => {
                self.order(&Command::OptOut { kinds, origin: origin(&dsr)? }, &dsr).await
            }
            Doing::Survey => Ok(Ok(Performed::Done(Done::Rows(self.survey().await?)))),
            Doing::Collect { portable } => self.collect(portable).await,
            Doing::EraseTables => self.erase_tables().await,
            Doing::DestroyKey { again } => self.destroy_key(again).await,
            Doing::Correct { sealed } => self.correct(&sealed).await,
            Doing::Gone => self.gone().await,
            Doing::Seal { purpose, plain } => {
                let Some(of) = self.subject()? else { return Ok(Err(Declined::Erased)) };
                let Some(key) = of.key else { return Ok(Err(Declined::Erased)) };
                let binding = Binding { account: &of.account, person: &of.person, purpose };
                let sealed = key.seal(plain.as_bytes(), binding, nonce())?;
                Ok(Ok(Performed::Done(Done::Sealed(sealed))))
            }
        }
    }

    /// A change that a request orders.
    async fn order(&mut self, command: &Command, dsr: &str) -> Step {
        let changed = self.change("", command, None, &format!("dsr:{dsr}")).await?;
        Ok(changed.map(|_| Performed::TakenAway))
    }

    async fn survey(&mut self) -> Result<BTreeMap<String, u64>, Fault> {
        let Some(of) = self.subject()? else { return Ok(BTreeMap::new()) };
        let mut rows = BTreeMap::new();
        for handler in &self.shared.handlers {
            rows.extend(handler.count(&self.shared.store, &of).await?);
        }
        Ok(rows)
    }

    async fn sections(&mut self) -> Result<Vec<Section>, Fault> {
        let Some(of) = self.subject()? else { return Ok(Vec::new()) };
        let mut sections = Vec::new();
        for handler in &self.shared.handlers {
            sections.extend(handler.collect(&self.shared.store, &of).await?);
        }
        Ok(sections)
    }

    async fn collect(&mut self, portable: bool) -> Step {
        // the log is part of what is held: what was told of the person must have reached it
        let account = Arc::clone(&self.name.account);
        if let Err(error) = self.shared.audit.flush(&account, COMMIT_PATIENCE).await {
            return Ok(Err(Declined::Failed(error.to_string())));
        }
        let mut sections = self.sections().await?;
        if portable {
            let handlers = &self.shared.handlers;
            let fits = |name: &str| {
                let mut all = handlers.iter().flat_map(|handler| handler.holdings());
                all.any(|holding| holding.table == name && holding.portable)
            };
            sections.retain(|section| fits(&section.name));
        }
        Ok(Ok(Performed::Done(Done::Sections(sections))))
    }

    async fn erase_tables(&mut self) -> Step {
        let Some(of) = self.subject()? else { return NOTHING };
        // a life that began after the stop, and before that was saved, does not know of it
        self.live()?.stopped = true;
        let gone = self.shared.handlers.iter().flat_map(|handler| handler.erase(&of)).collect();
        let row = PersonRow { seq: 0, ..self.row("")? };
        if let Err(declined) = self.write(row, Vec::new(), gone, Vec::new()).await? {
            return Ok(Err(declined));
        }
        self.begin_anew()?;
        Ok(Ok(Performed::TakenAway))
    }

    async fn destroy_key(&mut self, again: Option<String>) -> Step {
        let row = self.row("")?;
        let now = clock::wall_us();
        let row = PersonRow {
            // no two erased people may be taken for one
            lookup: String::new(),
            customer: String::new(),
            wrapped_key: String::new(),
            erased_at: Some(now),
            ..row
        };
        let records = erased(&row.person, again, now);
        if let Err(declined) = self.write(row, Vec::new(), Vec::new(), records).await? {
            return Ok(Err(declined));
        }
        self.begin_anew()?;
        let live = self.live()?;
        (live.row, live.key, live.stopped) = (None, None, false);
        Ok(Ok(Performed::TakenAway))
    }

    async fn correct(&mut self, sealed: &str) -> Step {
        let Some(of) = self.subject()? else { return Ok(Err(Declined::Erased)) };
        let Some(key) = of.key.clone() else { return Ok(Err(Declined::Erased)) };
        let binding = |purpose| Binding { account: &of.account, person: &of.person, purpose };
        let plain = key.open(sealed, binding("dsr.corrections"))?;
        let values: BTreeMap<String, String> = serde_json::from_slice(&plain)?;
        let now = clock::wall_us();
        let mut puts = Vec::new();
        for (name, value) in &values {
            puts.push(Put::from(AttributeRow {
                account: of.account.clone(),
                person: of.person.clone(),
                name: name.clone(),
                sealed: key.seal(value.as_bytes(), binding("attribute.value"), nonce())?,
                updated_at: now,
            }));
        }
        let row = self.row("")?;
        let written = self.write(row, puts, Vec::new(), Vec::new()).await?;
        Ok(written.map(|()| Performed::Done(Done::Nothing)))
    }

    /// Whether nothing is left: the key still being here says that it is not so.
    async fn gone(&mut self) -> Step {
        let tables = PERSON_TABLES.join(", ");
        Ok(Err(Declined::Failed(format!("the key is still there, and maybe rows in {tables}"))))
    }
}

fn origin(dsr: &str) -> Result<Origin, Fault> {
    let source = Label::new(&format!("dsr:{dsr}"))?;
    Ok(Origin { source, version: None, proof: None, shown_bytes: 0 })
}
