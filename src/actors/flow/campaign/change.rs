//! Commands, and what they want done: the budget is given what it needs, the change becomes durable,
//! auctions see it, and the budget loses what it has to lose.

use std::sync::Arc;

use serde_json::json;

use super::actor::{CampaignActor, Live};
use super::{Declined, Seen, Todo, budget};
use crate::actors::flow::journal::{self, Sealed};
use crate::actors::kernel::Fault;
use crate::actors::shield::audit::pending;
use crate::actors::shield::{Rows, Written};
use crate::actors::value::registry::sha256;
use crate::clock;
use crate::models::flow::campaign::definition::Definition;
use crate::models::flow::campaign::patch;
use crate::models::flow::campaign::state::{
    Campaign, Change, Command, Effect, Effects, Refusal, Status,
};
use crate::models::flow::decision::line::Line;
use crate::models::flow::decision::{ChangeOf, Decision};
use crate::models::shield::audit::record::{Event, Outcome, Record};
use crate::store::{AuditPendingRow, FlowCampaignRow, FlowChangeRow, Gone, Put};

/// What a budget did not take is tried again after this.
const AGAIN_US: i64 = 5_000_000;

type Answer = Result<Result<Seen, Declined>, Fault>;

fn event(change: Change) -> (&'static str, &'static str) {
    match change {
        Change::Created => ("created", "campaign.created"),
        Change::Edited => ("edited", "campaign.edited"),
        Change::Activated => ("activated", "campaign.activated"),
        Change::Paused => ("paused", "campaign.paused"),
        Change::Ended => ("ended", "campaign.ended"),
        Change::Deleted => ("deleted", "campaign.deleted"),
    }
}

/// The change as the audit log has it, written together with the change.
fn audited(campaign: &Campaign, event: &'static str, by: &str) -> Result<AuditPendingRow, Fault> {
    let definition = serde_json::to_vec(&campaign.definition)?;
    let data = json!({
        "status": campaign.status.as_str(),
        "revision": campaign.revision,
        "version": campaign.version,
        "definition_sha256": sha256(&definition),
    });
    let record = Record {
        at_us: clock::wall_us(),
        event: Event::fixed(event),
        actor: by.to_owned(),
        subject: Some(campaign.definition.id.clone()),
        person: None,
        outcome: Outcome::Ok,
        count: 1,
        data: data.as_object().cloned(),
        sealed: None,
    };
    Ok(pending(&campaign.definition.account, &record)?)
}

/// The change as the timeline of decisions has it.
fn decided(campaign: &Campaign, before: Option<&Campaign>, told: &str, by: &str) -> Decision {
    let state = |it: &Campaign| format!("{}, version {}", it.status.as_str(), it.version);
    let from = before.map_or_else(|| "nothing".to_owned(), state);
    let change =
        ChangeOf { by: Some(by.to_owned()), ..ChangeOf::new(told, &from, &state(campaign)) };
    let it = &campaign.definition;
    Decision {
        version: Some(campaign.version),
        ..Decision::change(&it.account, &it.id, clock::wall_us(), change)
    }
}

fn wake_at(effects: &Effects) -> Option<i64> {
    let at = |effect: &Effect| match effect {
        Effect::Wake { at_us } => Some(*at_us),
        _ => None,
    };
    effects.iter().rev().find_map(at)
}

impl CampaignActor {
    pub(super) async fn create(&mut self, definition: Definition, by: &str) -> Answer {
        if self.live.is_some() {
            return Ok(Err(Declined::Exists));
        }
        if self.shared.writes.store().account(&self.name.account).await?.is_none() {
            return Ok(Err(Declined::UnknownAccount));
        }
        let (campaign, effects) = match Campaign::create(definition, clock::wall_us()) {
            Ok(created) => created,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        self.carry_out(campaign, effects, by).await
    }

    pub(super) async fn patch(&mut self, patch: &str, expects: Option<u64>, by: &str) -> Answer {
        let Some(live) = &self.live else { return Ok(Err(Declined::Unknown)) };
        let text = serde_json::to_string(&live.campaign.definition)?;
        let invalid = |wrong| Ok(Err(Declined::Refused(Refusal::Invalid(wrong))));
        let merged = match patch::merge(&text, patch) {
            Ok(merged) => merged,
            Err(wrong) => return invalid(wrong),
        };
        match Definition::read(&merged) {
            Ok(definition) => self.order(Command::Edit(Box::new(definition)), expects, by).await,
            Err(wrong) => invalid(wrong),
        }
    }

    pub(super) async fn order(
        &mut self,
        command: Command,
        expects: Option<u64>,
        by: &str,
    ) -> Answer {
        let Some(live) = &self.live else { return Ok(Err(Declined::Unknown)) };
        let (next, effects) = match live.campaign.apply(command, expects, clock::wall_us()) {
            Ok(applied) => applied,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        match next {
            Some(next) => self.carry_out(next, effects, by).await,
            None => self.delete(by).await,
        }
    }

    async fn carry_out(&mut self, next: Campaign, effects: Effects, by: &str) -> Answer {
        for order in effects.iter().filter_map(budget::giving) {
            if let Err(declined) = self.tell_budget(order).await {
                self.tell_refused(&declined, by);
                return Ok(Err(declined));
            }
        }
        self.refused = None;
        let change = effects.iter().find_map(|effect| match effect {
            Effect::Record(change) => Some(*change),
            _ => None,
        });
        if let Some(change) = change {
            let todo: Vec<Todo> = match (change, &self.live) {
                // An edit says nothing of what the budget has yet to lose.
                (Change::Edited, Some(live)) => live.todo.clone(),
                _ => effects.iter().filter_map(budget::taking).collect(),
            };
            let wake = if todo.is_empty() { wake_at(&effects) } else { Some(soon()) };
            let recorded = self.record(Arc::new(next), todo, wake, Some((change, by))).await;
            let amended = effects.iter().any(|it| matches!(it, Effect::AmendBudget(_)));
            if amended && !matches!(recorded, Ok(Ok(()))) {
                self.restore_terms(recorded.is_err()).await;
            }
            if let Err(declined) = recorded? {
                return Ok(Err(declined));
            }
        }
        self.follow(&effects);
        self.tell_what_waits(wake_at(&effects)).await?;
        let Some(live) = &self.live else { return Ok(Err(Declined::Unknown)) };
        let budget_told = live.todo.is_empty();
        Ok(Ok(Seen { campaign: Arc::clone(&live.campaign), budget_told }))
    }

    /// Makes the campaign durable as it is now, with its change.
    async fn record(
        &mut self,
        campaign: Arc<Campaign>,
        todo: Vec<Todo>,
        wake_at: Option<i64>,
        change: Option<(Change, &str)>,
    ) -> Result<Result<(), Declined>, Fault> {
        let row = self.live.as_ref().map_or(0, |live| live.row) + 1;
        let revision = i64::try_from(campaign.revision)?;
        let (account, id) = (self.name.account.to_string(), self.name.budget.to_string());
        let mut rows = Rows::from(vec![Put::from(FlowCampaignRow {
            account: account.clone(),
            campaign: id.clone(),
            status: campaign.status.as_str().to_owned(),
            state: serde_json::to_string(&*campaign)?,
            todo: serde_json::to_string(&todo)?,
            revision,
            wake_at,
            created_at: campaign.created_us,
            updated_at: clock::wall_us(),
            version: row,
        })]);
        let mut kicks = Vec::new();
        if let Some((change, by)) = change {
            let (kind, told) = event(change);
            let defines = matches!(change, Change::Created | Change::Edited);
            let definition = defines.then(|| serde_json::to_string(&campaign.definition));
            rows.puts.push(Put::from(FlowChangeRow {
                account,
                campaign: id.clone(),
                revision,
                definition_version: i64::from(campaign.version),
                kind: kind.to_owned(),
                status: campaign.status.as_str().to_owned(),
                changed_by: by.to_owned(),
                definition: definition.transpose()?,
                at: campaign.changed_us,
            }));
            let payload = json!({
                "campaign_id": id,
                "status": campaign.status.as_str(),
                "revision": campaign.revision,
                "version": campaign.version,
                "by": by,
            });
            rows.events.push((told, id, payload));
            let row = audited(&campaign, told, by)?;
            kicks.push((row.id.clone(), row.record.clone()));
            rows.puts.push(row.into());
            let before = self.live.as_ref().map(|live| &*live.campaign);
            let decision = decided(&campaign, before, told, by);
            kicks.extend(self.keep(&decision, &mut rows));
        }
        match self.write(rows).await? {
            Ok(()) => {
                self.kick(kicks);
                self.live = Some(Live { campaign, todo, row });
                Ok(Ok(()))
            }
            Err(declined) => Ok(Err(declined)),
        }
    }

    async fn delete(&mut self, by: &str) -> Answer {
        let Some(live) = &self.live else { return Ok(Err(Declined::Unknown)) };
        let campaign = Arc::clone(&live.campaign);
        let id = self.name.budget.to_string();
        let payload = json!({ "campaign_id": id, "revision": campaign.revision });
        let told = event(Change::Deleted).1;
        let row = audited(&campaign, told, by)?;
        let mut kicks = vec![(row.id.clone(), row.record.clone())];
        let mut rows = Rows {
            puts: vec![row.into()],
            gone: vec![Gone::FlowCampaign { campaign: id.clone() }],
            events: vec![(told, id.clone(), payload)],
        };
        let state = campaign.status.as_str();
        let change = ChangeOf { by: Some(by.to_owned()), ..ChangeOf::new(told, state, "nothing") };
        let decision = Decision::change(&self.name.account, &id, clock::wall_us(), change);
        kicks.extend(self.keep(&decision, &mut rows));
        if let Err(declined) = self.write(rows).await? {
            return Ok(Err(declined));
        }
        self.kick(kicks);
        self.live = None;
        self.shared.roster.forget(&self.key);
        Ok(Ok(Seen { campaign, budget_told: true }))
    }

    /// Writes a change's record with the change; what is to go to the audit log.
    fn keep(&self, decision: &Decision, rows: &mut Rows) -> Option<(String, String)> {
        tracing::info!("{}", Line(decision));
        let made = [(rand::random(), decision)];
        let Sealed { rows: made, audit } = journal::seal(&decision.account, &made)?;
        let kick = (audit.id.clone(), audit.record.clone());
        rows.puts.extend(made.into_iter().map(Put::from));
        rows.puts.push(audit.into());
        Some(kick)
    }

    /// That its budget was refused changes nothing of the campaign, and is part of its story.
    fn tell_refused(&mut self, declined: &Declined, by: &str) {
        let (Some(reason), Some(live)) = (declined.of_budget(), &self.live) else { return };
        // A schedule tries again and again.
        if self.refused.replace(reason.code()) == Some(reason.code()) {
            return;
        }
        let state = live.campaign.status.as_str();
        let refused = format!("refused: {}", reason.code());
        let change = ChangeOf {
            by: Some(by.to_owned()),
            ..ChangeOf::new("budget.refused", state, &refused)
        };
        let name = &self.name;
        let decision = Decision::change(&name.account, &name.budget, clock::wall_us(), change);
        if let Some(office) = self.shared.parts.office.get() {
            office.tell_journal(journal::Msg::Changes(vec![decision]));
        }
    }

    /// What is durable goes to the audit log soon.
    fn kick(&self, records: Vec<(String, String)>) {
        self.shared.shield.audit().kick(&self.name.account, records);
    }

    /// A write whose end is not known ends this life: the next one reads what is stored.
    async fn write(&self, rows: Rows) -> Result<Result<(), Declined>, Fault> {
        let entity = format!("@flow/{}", self.name.budget);
        match self.shared.writes.write(&self.name.account, &entity, rows).await {
            Written::Done => Ok(Ok(())),
            Written::Unavailable => Ok(Err(Declined::Unavailable)),
            Written::Stale => Err(Fault::new("the campaign was written by somebody else")),
            Written::Unknown => Err(Fault::new("nobody knows whether the campaign was written")),
        }
    }

    /// What auctions see, and when to look again.
    fn follow(&self, effects: &Effects) {
        let (Some(live), roster) = (&self.live, &self.shared.roster) else { return };
        for effect in effects {
            match effect {
                Effect::Publish => roster.publish(&self.key, Arc::clone(&live.campaign)),
                Effect::Withdraw => roster.withdraw(&self.key),
                Effect::Wake { .. }
                | Effect::Record(_)
                | Effect::OpenBudget(_)
                | Effect::AmendBudget(_)
                | Effect::PauseBudget
                | Effect::ResumeBudget
                | Effect::EndBudget
                | Effect::Forget => {}
            }
        }
        roster.wake(&self.key, wake_at(effects));
        if live.campaign.status == Status::Ended {
            roster.forget(&self.key);
        }
    }

    /// Tells the budget what it has yet to be told. Where it does not answer, later.
    async fn tell_what_waits(&mut self, wake: Option<i64>) -> Result<(), Fault> {
        let Some(live) = &self.live else { return Ok(()) };
        if live.todo.is_empty() {
            return Ok(());
        }
        let campaign = Arc::clone(&live.campaign);
        for todo in live.todo.clone() {
            match self.tell_budget(todo.order()).await {
                Ok(()) => {}
                // Nothing of what takes away is refused for a reason that time would change.
                Err(Declined::Budget(reason)) => {
                    tracing::error!(?reason, campaign = &*self.key, "the budget refuses {todo:?}");
                }
                Err(_) => {
                    self.wake_soon();
                    return Ok(());
                }
            }
        }
        match self.record(campaign, Vec::new(), wake, None).await? {
            Ok(()) => {}
            // It is done, and will be once more.
            Err(_) => self.wake_soon(),
        }
        Ok(())
    }

    pub(super) fn wake_soon(&self) {
        self.shared.roster.wake(&self.key, Some(soon()));
    }
}

fn soon() -> i64 {
    clock::wall_us() + AGAIN_US
}
