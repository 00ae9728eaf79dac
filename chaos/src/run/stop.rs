//! Who may end a run before its time: people with Ctrl-C, the system with SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the run shall end. Clones see the same.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens to SIGINT and SIGTERM from now on. The second of them ends the process at once: what is left then is
    /// undone by `kiki-chaos heal`.
    ///
    /// # Errors
    /// The system does not let it listen.
    pub fn listen() -> std::io::Result<Stop> {
        let (tell, told) = watch::channel(false);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            for last in [false, true] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if last {
                    std::process::exit(130);
                }
                tell.send_replace(true);
            }
        });
        Ok(Stop(told))
    }

    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is asked for, and never where nobody can.
    pub async fn asked(&self) {
        if self.0.clone().wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
