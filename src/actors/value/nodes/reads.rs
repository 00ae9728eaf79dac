//! Customers who are at home elsewhere, read from the store for one question: their own actor is not here.

use tokio::sync::Semaphore;

use crate::actors::shield::person::PersonName;
use crate::actors::value::customer::{self, Known};
use crate::actors::value::service::{Result, ValueError};
use crate::actors::value::shared::Shared;

/// Customers who are read at a time: one may have a hundred thousand purchases.
const AT_A_TIME: usize = 64;

pub struct Reads(Semaphore);

impl Default for Reads {
    fn default() -> Reads {
        Reads(Semaphore::new(AT_A_TIME))
    }
}

/// What the store knows of a customer.
///
/// # Errors
/// There is no such account, or the store does not answer in time.
pub async fn known(
    shared: &Shared,
    name: &PersonName,
    patience: std::time::Duration,
) -> Result<Known> {
    let reading = async {
        let _place = shared.elsewhere.reads.0.acquire().await;
        customer::known(shared, name).await
    };
    match tokio::time::timeout(patience, reading).await {
        Ok(Ok(Some(known))) => Ok(known),
        Ok(Ok(None)) => Err(ValueError::UnknownAccount),
        Ok(Err(fault)) => {
            tracing::warn!(%fault, "a customer could not be read: {fault}");
            Err(ValueError::Unavailable)
        }
        Err(_) => Err(ValueError::Unanswered),
    }
}
