//! What this process keeps of the store and others may change: keys. It is read again every few
//! seconds, and at once where a hint through Redis says so.

use std::sync::Arc;
use std::time::Duration;

use crate::actors::shield::vault::VaultError;
use crate::api::shield::App;
use crate::connectors::redis::Hint;

/// How often the keys that sign are read again; API keys have a period of their own.
const EVERY: Duration = Duration::from_secs(10);

/// Keeps keys fresh and hints at changes made here, for ever.
pub async fn follow(app: &Arc<App>) {
    let reading = async {
        loop {
            tokio::time::sleep(EVERY).await;
            said(rings(app).await);
        }
    };
    let hearing = app.redis.hear(|hint| async move {
        match hint {
            Hint::Keys => app.door.keys().refresh().await,
            Hint::Rotated => said(rings(app).await),
        }
    });
    let telling = async {
        loop {
            app.door.keys().changed().await;
            app.redis.hint(Hint::Keys).await;
        }
    };
    tokio::join!(reading, hearing, telling);
}

/// The keys that sign heads and tokens.
async fn rings(app: &App) -> Result<(), VaultError> {
    app.shield.vault().refresh(app.shield.store()).await?;
    app.tokens.refresh(&app.shield).await
}

fn said(read: Result<(), VaultError>) {
    if let Err(error) = read {
        tracing::warn!(%error, "keys that sign are as they were last read");
    }
}
