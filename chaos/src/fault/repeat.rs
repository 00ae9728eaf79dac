//! What is done again and again while a fault lasts.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::error::{FaultError, FaultResult};

/// Does something with a time between, until it is told to end. It ends between two turns and never within one, so that
/// nothing is left half done.
pub struct Repeat {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Repeat {
    /// The first turn is at once.
    pub fn every<F, T>(between: Duration, mut turn: F) -> Repeat
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send,
    {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                turn().await;
                let told = stopped.wait_for(|it| *it);
                // Also when whoever could tell it is gone.
                if tokio::time::timeout(between, told).await.is_ok() {
                    return;
                }
            }
        });
        Repeat { stop, task }
    }

    /// Tells it to end and waits for that.
    ///
    /// # Errors
    /// A turn panicked.
    pub async fn end(self) -> FaultResult<()> {
        self.stop.send_replace(true);
        self.task.await.map_err(|error| FaultError::Bad(format!("what is repeated broke: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    #[tokio::test]
    async fn a_turn_that_began_is_finished_and_no_other_one_begins() {
        let (begun, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let counts = (begun.clone(), done.clone());
        let repeat = Repeat::every(Duration::from_millis(50), move || {
            let (begun, done) = counts.clone();
            async move {
                begun.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                done.fetch_add(1, Relaxed);
            }
        });
        tokio::time::sleep(Duration::from_millis(160)).await;
        assert_eq!((begun.load(Relaxed), done.load(Relaxed)), (2, 1));
        repeat.end().await.unwrap();
        assert_eq!((begun.load(Relaxed), done.load(Relaxed)), (2, 2));
        assert!(
            Repeat::every(Duration::ZERO, || async { panic!("on purpose") }).end().await.is_err()
        );
    }
}
