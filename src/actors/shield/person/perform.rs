//! The steps of requests, as far as they are the person's actor's to perform.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::actor::{COMMIT_PATIENCE, PersonActor};
use super::holdings::Subject;
use super::{Declined, Doing, Done};
use crate::actors::kernel::{Cx, Fault, Reply};
use crate::actors::shield::vault::nonce;
use crate::clock;
use crate::models::shield::audit::record::{Event, Outcome as Recorded, Record};
use crate::models::shield::consent::change::{Command, Origin};
use crate::models::shield::consent::kind::{Kind, Label};
use crate::models::shield::consent::state::Consents;
use crate::models::shield::dsr::package::Section;
use crate::models::shield::seal::Binding;
use crate::store::{AttributeRow, PERSON_TABLES, PersonRow, Put};

impl PersonActor {
    fn subject(&mut self) -> Result<Option<Subject>, Fault> {
        let account = self.name.account.to_string();
        let live = self.live()?;
        let key = live.key.clone();
        Ok(live.row.as_ref().map(|row| Subject { account, person: row.person.clone(), key }))
    }

    /// Performs a request's step. Each may be performed again.
    pub(super) async fn perform(
        &mut self,
        person: &str,
        doing: Doing,
        cx: &mut Cx<Self>,
    ) -> Result<Result<Done, Declined>, Fault> {
        let known = self.live()?.row.as_ref().is_some_and(|row| row.person == person);
        if !known {
            // erased before: what is gone needs nothing more
            return Ok(match doing {
                Doing::StopProcessing { .. }
                | Doing::EraseTables
                | Doing::DestroyKey
                | Doing::Gone => Ok(Done::Nothing),
                Doing::Survey => Ok(Done::Rows(BTreeMap::new())),
                _ => Err(Declined::Erased),
            });
        }
        match doing {
            Doing::StopProcessing { dsr } => {
                self.live()?.stopped = false;
                for kind in Kind::ALL {
                    let command = Command::Revoke { kind, origin: origin(&dsr)? };
                    if let Err(declined) = self.command(&command, &dsr, cx).await? {
                        return Ok(Err(declined));
                    }
                }
                self.live()?.stopped = true;
                Ok(Ok(Done::Nothing))
            }
            Doing::Freeze { dsr } => {
                self.command(&Command::Restrict { origin: origin(&dsr)? }, &dsr, cx).await
            }
            Doing::Unfreeze { dsr } => {
                self.command(&Command::Lift { origin: origin(&dsr)? }, &dsr, cx).await
            }
            Doing::Object { dsr, kinds } => {
                let command = Command::Object { kinds, origin: origin(&dsr)? };
                self.command(&command, &dsr, cx).await
            }
            Doing::OptOut { dsr } => {
                self.command(&Command::OptOut { origin: origin(&dsr)? }, &dsr, cx).await
            }
            Doing::Survey => Ok(Ok(Done::Rows(self.survey().await?))),
            Doing::Collect { portable } => self.collect(portable).await,
            Doing::EraseTables => self.erase_tables().await,
            Doing::DestroyKey => self.destroy_key().await,
            Doing::Correct { sealed } => self.correct(&sealed).await,
            Doing::Gone => self.gone().await,
            Doing::Seal { purpose, plain } => {
                let Some(of) = self.subject()? else { return Ok(Err(Declined::Erased)) };
                let Some(key) = of.key else { return Ok(Err(Declined::Erased)) };
                let binding = Binding { account: &of.account, person: &of.person, purpose };
                Ok(Ok(Done::Sealed(key.seal(plain.as_bytes(), binding, nonce())?)))
            }
        }
    }

    /// A change that a request orders; done when no cache says otherwise any more.
    async fn command(
        &mut self,
        command: &Command,
        dsr: &str,
        cx: &mut Cx<Self>,
    ) -> Result<Result<Done, Declined>, Fault> {
        let changed = self.change("", command, None, &format!("dsr:{dsr}")).await?;
        let changed = match changed {
            Ok(changed) => changed,
            Err(declined) => return Ok(Err(declined)),
        };
        // this node's own cache is told at once; another's lease is waited for by the next step
        let takes_away = !matches!(command, Command::Lift { .. });
        self.answer(changed, takes_away, Reply::detached(), cx)?;
        Ok(Ok(Done::Nothing))
    }

    async fn sections(&mut self) -> Result<Vec<Section>, Fault> {
        let Some(of) = self.subject()? else { return Ok(Vec::new()) };
        let mut sections = Vec::new();
        for handler in &self.shared.handlers {
            sections.extend(handler.collect(&self.shared.store, &of).await?);
        }
        Ok(sections)
    }

    async fn survey(&mut self) -> Result<BTreeMap<String, u64>, Fault> {
        let sections = self.sections().await?;
        Ok(sections.into_iter().map(|s| (s.name, s.rows.len() as u64)).collect())
    }

    async fn collect(&mut self, portable: bool) -> Result<Result<Done, Declined>, Fault> {
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
        Ok(Ok(Done::Sections(sections)))
    }

    async fn erase_tables(&mut self) -> Result<Result<Done, Declined>, Fault> {
        let Some(of) = self.subject()? else { return Ok(Ok(Done::Nothing)) };
        let gone = self.shared.handlers.iter().flat_map(|handler| handler.erase(&of)).collect();
        let row = PersonRow { seq: 0, ..self.row("")? };
        let written = self.write(row, Vec::new(), gone, Vec::new()).await?;
        if written.is_ok() {
            self.live()?.consents = Consents::default();
        }
        Ok(written.map(|()| Done::Nothing))
    }

    async fn destroy_key(&mut self) -> Result<Result<Done, Declined>, Fault> {
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
        let record = Record {
            at_us: now,
            event: Event::fixed("person.erased"),
            actor: "system".to_owned(),
            subject: None,
            person: Some(row.person.clone()),
            outcome: Recorded::Ok,
            count: 1,
            data: None,
            sealed: None,
        };
        let written = self.write(row, Vec::new(), Vec::new(), vec![record]).await?;
        if written.is_ok() {
            let live = self.live()?;
            (live.row, live.key, live.stopped) = (None, None, false);
            live.consents = Consents::default();
        }
        Ok(written.map(|()| Done::Nothing))
    }

    async fn correct(&mut self, sealed: &str) -> Result<Result<Done, Declined>, Fault> {
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
        Ok(self.write(row, puts, Vec::new(), Vec::new()).await?.map(|()| Done::Nothing))
    }

    /// Whether nothing is left: the key still being here says that it is not so.
    async fn gone(&mut self) -> Result<Result<Done, Declined>, Fault> {
        let tables = PERSON_TABLES.join(", ");
        Ok(Err(Declined::Failed(format!("the key is still there, and maybe rows in {tables}"))))
    }
}

fn origin(dsr: &str) -> Result<Origin, Fault> {
    Ok(Origin { source: Label::new(&format!("dsr:{dsr}"))?, version: None, proof: None })
}
