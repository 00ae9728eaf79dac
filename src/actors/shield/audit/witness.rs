//! What happens at the front door, as records of the log.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Turning, unwritten};
use crate::access::{Act, ActOutcome, Witness};
use crate::actors::shield::Shield;
use crate::models::shield::audit::record::{Event, Outcome, Record};

/// How long an act's answer waits for its record.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keeps acts and denials in the audit log: those of the whole installation in the default account's.
/// It begins when SyncShield has started.
#[derive(Clone, Default)]
pub struct AuditWitness(Arc<OnceLock<Shield>>);

impl AuditWitness {
    pub fn begin(&self, shield: Shield) {
        // once in a process
        let _ = self.0.set(shield);
    }
}

impl Witness for AuditWitness {
    fn saw(&self, act: Act) -> BoxFuture<'static, ()> {
        let shield = self.0.get().cloned();
        Box::pin(async move {
            match shield {
                Some(shield) => record(&shield, act).await,
                None => tracing::warn!(event = act.event, "seen before there was an audit log"),
            }
        })
    }
}

async fn record(shield: &Shield, act: Act) {
    let default = shield.terms().default_account.clone();
    let named = act.account != "*" && act.account != default;
    // a log is made for accounts that there are, not for names that somebody sends
    let known = named && matches!(shield.store().account(&act.account).await, Ok(Some(_)));
    let account: Arc<str> = if known { act.account.as_str().into() } else { default.into() };
    if act.outcome == ActOutcome::Denied && act.event == "access.denied" {
        let feed = shield.audit().feeds.of(&account);
        feed.turned(Turning::Access, &act.actor, act.subject, act.reason, act.at_us);
        return;
    }
    let outcome = match act.outcome {
        ActOutcome::Ok => Outcome::Ok,
        ActOutcome::Denied => Outcome::Denied,
        ActOutcome::Failed => Outcome::Failed,
    };
    let mut data = serde_json::Map::new();
    data.insert("status".to_owned(), act.status.into());
    data.insert("request_id".to_owned(), act.request_id.into());
    if !act.reason.is_empty() {
        data.insert("reason".to_owned(), act.reason.into());
    }
    if act.account == "*" {
        data.insert("account".to_owned(), "*".into());
    }
    let event = match Event::new(act.event) {
        Ok(event) => event,
        Err(error) => return tracing::error!(event = act.event, %error, "no name of an event"),
    };
    let records = [Record {
        at_us: act.at_us,
        event,
        actor: act.actor.to_string(),
        subject: Some(act.subject),
        person: None,
        outcome,
        count: 1,
        data: Some(data),
        sealed: None,
    }];
    let Err(error) = shield.audit().append(&account, &records, PATIENCE).await else { return };
    tracing::error!(event = act.event, %error, "an act has no record in the audit log yet");
    if let Err(error) = shield.audit().spool(&account, &records).await {
        unwritten();
        tracing::error!(event = act.event, %error, "an act has no record");
    }
}
