//! The supervision tree of SyncValue.

use std::sync::Arc;

use super::customer::CustomerActor;
use super::fit::FitterActor;
use super::mlflow::MlflowActor;
use super::pool::Worker;
use super::predictor::PredictorActor;
use super::recorder::RecorderActor;
use super::registry::RegistryActor;
use super::shared::Shared;
use super::watch::WatchActor;
use crate::actors::kernel::{Registry, Service, SpawnError, Strategy, per_minute};
use crate::connectors::mlflow::Mlflow;

/// Messages that may wait for a predictor: more are answered by the rule of thumb.
const PREDICTOR_MAILBOX: u32 = 8_192;

/// ```text
/// /value                    one for one
/// ├── mlflow                permanent, where a server is configured: tells it of fits
/// ├── registry/<account>    entities: versions of an account, and who of them answers
/// ├── customer/<hash>       entities: purchases, the one writer of a customer's
/// ├── watch                 permanent: drift of inputs and errors
/// ├── recorder              permanent: forecasts, and what came true
/// ├── predictor             one for one
/// │   └── <n>               permanent, 10 restarts a minute: answers what waits together
/// └── fitter                permanent: one fit at a time
/// ```
pub fn grow(
    registry: &Registry,
    shared: &Arc<Shared>,
    mlflow: Option<Arc<Mlflow>>,
) -> Result<Service, SpawnError> {
    let service = registry.service("value").strategy(Strategy::OneForOne).start()?;
    let root = service.supervisor();
    let terms = &shared.terms;

    // The first to begin is the last to end: it hears of everything.
    if let Some(mlflow) = mlflow {
        let ending = shared.runs.ending();
        let handle = root
            .child("mlflow")
            .intensity(10, per_minute())
            .mailbox(256)
            .start(move || MlflowActor::new(Arc::clone(&mlflow), ending.clone()))?;
        shared.runs.open(handle);
    }

    let of_registry = Arc::clone(shared);
    let registries = root
        .entities("registry")
        .mailbox(terms.mailbox_max)
        .idle_after(terms.idle_after)
        .start(move |account| RegistryActor::new(Arc::clone(&of_registry), account))?;
    // Set once: this tree is the only place that grows one.
    let _ = shared.registries.set(registries);

    let of_customer = Arc::clone(shared);
    let customers = root
        .entities("customer")
        .mailbox(terms.mailbox_max)
        .idle_after(terms.idle_after)
        .resident_max(terms.resident_max)
        .start(move |key| CustomerActor::new(Arc::clone(&of_customer), key))?;
    let _ = shared.customers.set(customers);

    let for_watch = Arc::clone(shared);
    let watch = root
        .child("watch")
        .intensity(10, per_minute())
        .mailbox(4_096)
        .start(move || WatchActor::new(Arc::clone(&for_watch)))?;
    let _ = shared.watch.set(watch);

    let for_recorder = Arc::clone(shared);
    let recorder = root
        .child("recorder")
        .intensity(10, per_minute())
        .mailbox(16_384)
        .start(move || RecorderActor::new(Arc::clone(&for_recorder)))?;
    let _ = shared.recorder.set(recorder);

    let predictors = root.group("predictor").strategy(Strategy::OneForOne).start()?;
    let mut workers = Vec::with_capacity(terms.predictors);
    for n in 0..terms.predictors.max(1) {
        let (for_predictor, breaker) = (Arc::clone(shared), Arc::default());
        let own = Arc::clone(&breaker);
        let handle = predictors
            .child(&n.to_string())
            .intensity(10, per_minute())
            .mailbox(PREDICTOR_MAILBOX)
            .start(move || PredictorActor::new(Arc::clone(&for_predictor), Arc::clone(&own)))?;
        workers.push(Worker { handle, breaker });
    }
    shared.pool.open(workers);

    let for_fitter = Arc::clone(shared);
    let fitter = root
        .child("fitter")
        .intensity(10, per_minute())
        .mailbox(256)
        .start(move || FitterActor::new(Arc::clone(&for_fitter)))?;
    let _ = shared.fitter.set(fitter);
    Ok(service)
}
