//! A registry from its rows, and models from theirs.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::Declined;
use crate::actors::kernel::Fault;
use crate::actors::value::loaded::{Loaded, Running};
use crate::actors::value::shared::Shared;
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::registry::command::Entry;
use crate::models::value::registry::state::Registry;
use crate::models::value::registry::version::VersionId;
use crate::models::value::split::{Experiment, Share};
use crate::store::{LtvExperimentRow, PAGE_MAX, StoreError};

/// What the stored history adds up to.
pub async fn registry(shared: &Shared, account: &str) -> Result<Registry, Fault> {
    let mut registry = Registry::new();
    more(shared, account, &mut registry).await?;
    Ok(registry)
}

/// Adds what was stored since; whether that is anything.
pub async fn more(shared: &Shared, account: &str, registry: &mut Registry) -> Result<bool, Fault> {
    let before = registry.history().len();
    loop {
        let after = registry.history().len() as i64;
        let rows = shared.writes.store().ltv_registry(account, after).await?;
        for row in &rows {
            registry.apply(serde_json::from_str::<Entry>(&row.entry)?)?;
        }
        if rows.len() < PAGE_MAX as usize {
            return Ok(registry.history().len() > before);
        }
    }
}

/// The experiment that runs with this challenger.
pub fn running(row: Option<&LtvExperimentRow>, challenger: Option<&VersionId>) -> Option<Running> {
    let row = row.filter(|row| challenger.is_some_and(|id| id.to_string() == row.challenger))?;
    let share = u32::try_from(row.share).ok().and_then(|share| Share::try_from(share).ok())?;
    let split = Experiment { salt: row.experiment.clone(), challenger: share };
    Some(Running { split, shadow: row.shadow != 0 })
}

/// Lower-case hex of SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A stored version, brought into memory.
pub async fn model(
    shared: &Shared,
    account: &Arc<str>,
    id: &VersionId,
) -> Result<Result<Arc<Loaded>, Declined>, StoreError> {
    let name = id.to_string();
    let unreadable = |why: String| Ok(Err(Declined::Unreadable(name.clone(), why)));
    let store = shared.writes.store();
    let Some(row) = store.ltv_model(account, &name).await? else {
        return unreadable("it is not stored".to_owned());
    };
    let (mut bytes, mut next) = (Vec::new(), 0);
    while next < row.parts {
        let parts = store.ltv_model_parts((account, &name), next).await?;
        if parts.is_empty() {
            return unreadable(format!("part {next} is missing"));
        }
        for part in parts {
            match STANDARD.decode(&part.bytes) {
                Ok(more) if part.part == next => bytes.extend(more),
                _ => return unreadable(format!("part {} is damaged", part.part)),
            }
            next += 1;
        }
    }
    if sha256(&bytes) != row.fingerprint {
        return unreadable("it is not what was stored".to_owned());
    }
    let read = tokio::task::spawn_blocking(move || ValueModel::from_bytes(&bytes)).await;
    match read {
        Ok(Ok(model)) => Ok(Ok(Arc::new(Loaded {
            account: Arc::clone(account),
            id: name.into(),
            model,
            online: Default::default(),
        }))),
        Ok(Err(error)) => unreadable(error.to_string()),
        Err(error) => unreadable(error.to_string()),
    }
}
