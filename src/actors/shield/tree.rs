//! The supervision tree of SyncShield.

use std::sync::{Arc, Mutex};

use super::audit::{AuditorActor, LogActor};
use super::budget::BudgetActor;
use super::committer::CommitterActor;
use super::corrections::CorrectionsActor;
use super::dsr::{DsrActor, PrivacyActor};
use super::names::BudgetName;
use super::outbox::OutboxActor;
use super::person::{People, PersonActor};
use super::shared::Shared;
use super::webhooks::HooksActor;
use crate::actors::kernel::{Registry, Service, SpawnError, Strategy, per_minute};
use crate::connectors::hook::HookClient;
use crate::store::Driver;

/// How long a step of a request waits for the person's actor.
const STEP_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// ```text
/// /shield                    one for one
/// ├── committer              permanent, 10 restarts a minute
/// ├── outbox                 permanent
/// ├── auditor                permanent: sees that logs are written, signed, copied
/// ├── audit/<account>        entities: the one writer of an account's log
/// ├── person/<hash>          entities: what one person allows
/// ├── dsr/<id>               entities: one request each, a saga
/// ├── privacy                permanent: wakes requests that are open
/// ├── corrections            permanent: the one writer of manual corrections
/// ├── webhooks               permanent: sends events to who asked for them
/// ├── account/<account>      entities: the window, one owner each
/// └── budget/<campaign>      entities: one authority and its purse each
/// ```
pub fn grow(
    registry: &Registry,
    shared: &Arc<Shared>,
    driver: Driver,
    client: HookClient,
) -> Result<Service, SpawnError> {
    let service = registry.service("shield").strategy(Strategy::OneForOne).start()?;
    let root = service.supervisor();
    let terms = &shared.terms;

    let (of_committer, first) = (Arc::clone(shared), Arc::new(Mutex::new(Some(driver))));
    root.child("committer")
        .intensity(10, per_minute())
        .start(move || CommitterActor::new(Arc::clone(&of_committer), Arc::clone(&first)))?;

    let (for_outbox, events) = (Arc::clone(shared), registry.clone());
    root.child("outbox")
        .intensity(10, per_minute())
        .start(move || OutboxActor::new(Arc::clone(&for_outbox), events.clone()))?;

    let of_log = Arc::clone(shared);
    let logs = root
        .entities("audit")
        .mailbox(terms.mailbox_max)
        .idle_after(terms.idle_after)
        .start(move |account| LogActor::new(Arc::clone(&of_log), account))?;
    // Set once: this tree is the only place that grows one.
    let _ = shared.audit.logs.set(logs);

    let of_person = Arc::clone(shared);
    let persons = root
        .entities("person")
        .mailbox(terms.mailbox_max)
        .idle_after(terms.idle_after)
        .resident_max(terms.resident_max)
        .start(move |key| PersonActor::new(Arc::clone(&of_person), key))?;
    let _ = shared.persons.entities.set(persons);
    let people_of_privacy = People::new(Arc::clone(shared), STEP_PATIENCE);
    let (of_request, people) = (Arc::clone(shared), People::new(Arc::clone(shared), STEP_PATIENCE));
    let requests = root
        .entities("dsr")
        .mailbox(terms.mailbox_max)
        .idle_after(terms.idle_after)
        .start(move |key| DsrActor::new(Arc::clone(&of_request), people.clone(), key))?;
    let _ = shared.dsrs.entities.set(requests);
    let for_privacy = Arc::clone(shared);
    root.child("privacy")
        .intensity(10, per_minute())
        .start(move || PrivacyActor::new(Arc::clone(&for_privacy), people_of_privacy.clone()))?;

    let for_corrections = Arc::clone(shared);
    let corrections = root
        .child("corrections")
        .intensity(10, per_minute())
        .start(move || CorrectionsActor::new(Arc::clone(&for_corrections)))?;
    let _ = shared.corrections.actor.set(corrections);

    let (for_webhooks, client) = (Arc::clone(shared), client);
    let webhooks = root
        .child("webhooks")
        .intensity(10, per_minute())
        .start(move || HooksActor::new(Arc::clone(&for_webhooks), client.clone()))?;
    let _ = shared.webhooks.actor.set(webhooks);

    let for_auditor = Arc::clone(shared);
    root.child("auditor")
        .intensity(10, per_minute())
        .start(move || AuditorActor::new(Arc::clone(&for_auditor)))?;

    let of_account = Arc::clone(shared);
    let accounts =
        root.entities("account").mailbox(terms.mailbox_max).idle_after(terms.idle_after).start(
            move |account| BudgetActor::new(Arc::clone(&of_account), BudgetName::account(account)),
        )?;

    let of_campaign = Arc::clone(shared);
    let default_account = terms.default_account.clone();
    let budgets =
        root.entities("budget").mailbox(terms.mailbox_max).idle_after(terms.idle_after).start(
            move |key| {
                let name = BudgetName::of_campaign_key(key, &default_account);
                BudgetActor::new(Arc::clone(&of_campaign), name)
            },
        )?;

    let _ = shared.accounts.set(accounts);
    let _ = shared.budgets.set(budgets);
    Ok(service)
}
