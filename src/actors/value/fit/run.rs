//! A fit from its order to its version.

use std::sync::Arc;
use std::time::Duration;

use super::work::{Cancelled, Reign, work};
use super::{FitFailure, FitOrder, Fitted, Progress, data, told};
use crate::actors::value::registry::{Declined, Msg};
use crate::actors::value::shared::Shared;
use crate::clock;
use crate::connectors::mlflow::Run;

/// How long the registry may take to write a version.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who answers for the account, to be scored beside what is fitted.
async fn reign(shared: &Shared, order: &FitOrder) -> Result<Option<Reign>, FitFailure> {
    let failed = |error: &dyn std::fmt::Display| FitFailure::Failed(error.to_string());
    let registries = shared.registries.get().ok_or_else(|| failed(&"the service is starting"))?;
    let seen = registries.ask(&order.account, PATIENCE, |reply| Msg::See { reply }).await;
    let seen = seen.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let Some(champion) = seen.registry.champion() else { return Ok(None) };
    let id = champion.id.to_string();
    let row = shared.writes.store().ltv_model(&order.account, &id).await;
    let Some(row) = row.map_err(|error| failed(&error))? else { return Ok(None) };
    let report: serde_json::Value =
        serde_json::from_str(&row.report).map_err(|error| failed(&error))?;
    let serving = shared.roster.of(&order.account).and_then(|serving| serving.champion.clone());
    Ok(Some(Reign {
        id: champion.id.clone(),
        kind: champion.kind,
        seed: report["seed"].as_u64().ok_or_else(|| failed(&"its report names no seed"))?,
        holdout: champion.holdout.clone(),
        loaded: serving.filter(|loaded| *loaded.id == *id),
    }))
}

/// Fits, and registers what comes of it: the version's name. Whoever keeps a log of runs is told.
pub async fn run(
    shared: Arc<Shared>,
    order: FitOrder,
    progress: Arc<Progress>,
) -> Result<String, FitFailure> {
    let mut log = shared.runs.is_open().then(|| told::begun(&order));
    let outcome = made(&shared, order, progress, log.as_mut()).await;
    if let Some(mut run) = log {
        told::ended(&mut run, &outcome);
        shared.runs.log(run);
    }
    outcome
}

async fn made(
    shared: &Arc<Shared>,
    order: FitOrder,
    progress: Arc<Progress>,
    log: Option<&mut Run>,
) -> Result<String, FitFailure> {
    let failed = |error: &dyn std::fmt::Display| FitFailure::Failed(error.to_string());
    progress.step("read", 0.0);
    let reign = reign(shared, &order).await?;
    let customers = data::customers(shared, &order.account, &progress).await?;
    let (asked, watched, now) = (order.clone(), Arc::clone(&progress), clock::wall_us());
    let fitting = tokio::task::spawn_blocking(move || -> Result<Fitted, FitFailure> {
        work(&customers, &asked, reign.as_ref(), (now, &watched))
    });
    let fitted = match fitting.await {
        Ok(fitted) => fitted?,
        Err(error) => {
            return Err(match error.try_into_panic() {
                Ok(panic) if panic.is::<Cancelled>() => FitFailure::Cancelled,
                Ok(_) => FitFailure::Failed("the fit panicked".to_owned()),
                Err(error) => failed(&error),
            });
        }
    };
    if progress.is_cancelled() {
        return Err(FitFailure::Cancelled);
    }
    if let Some(run) = log {
        told::fitted(run, &fitted);
    }
    progress.step("store", 1.0);
    let id = fitted.version.id.to_string();
    let registries = shared.registries.get().ok_or_else(|| failed(&"the service is ending"))?;
    let (fitted, challenge, by) = (Box::new(fitted), order.challenge, order.by);
    let make = |reply| Msg::Register { fitted, challenge, by, reply };
    match registries.ask(&order.account, PATIENCE, make).await {
        Ok(Ok(_)) => Ok(id),
        Ok(Err(Declined::Refused(refusal))) => Err(FitFailure::Data(refusal.to_string())),
        Ok(Err(declined)) => Err(failed(&declined)),
        Err(error) => Err(failed(&error)),
    }
}
