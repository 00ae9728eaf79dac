//! Who may end a run before its time: people with Ctrl-C, the system with SIGTERM.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::verdict::Verdict;

/// Whether the run shall end. Clones see the same.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: watch::Receiver<bool>,
    running: Arc<Mutex<Option<Running>>>,
}

/// A run that goes on.
#[derive(Clone, Debug)]
struct Running {
    folder: PathBuf,
    /// The command that undoes what it leaves if it ends at once.
    heal: String,
}

impl Stop {
    /// Listens to SIGINT and SIGTERM from now on. The second of them ends the process at once, as a run that could not be
    /// done: what is left then is told, with the command that undoes it.
    ///
    /// # Errors
    /// The system does not let it listen.
    pub fn listen() -> std::io::Result<Stop> {
        let (tell, told) = watch::channel(false);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let running: Arc<Mutex<Option<Running>>> = Arc::default();
        let of = running.clone();
        tokio::spawn(async move {
            for last in [false, true] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if last {
                    let running = of.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    eprintln!("kiki-chaos: {}", last_words(running.as_ref()));
                    std::process::exit(Verdict::CouldNotRun.exit_code().into());
                }
                tell.send_replace(true);
            }
        });
        Ok(Stop { asked: told, running })
    }

    /// A run begins in this folder; `heal` undoes what it leaves if it does not end in order.
    pub fn begins(&self, folder: &Path, heal: String) {
        self.set(Some(Running { folder: folder.to_owned(), heal }));
    }

    /// It has ended in order.
    pub fn ends(&self) {
        self.set(None);
    }

    fn set(&self, running: Option<Running>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Returns when it is asked for, and never where nobody can.
    pub async fn asked(&self) {
        if self.asked.clone().wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What whoever ends a run at once has to know.
fn last_words(running: Option<&Running>) -> String {
    let Some(Running { folder, heal }) = running else {
        return "ended at once; nothing is left to undo".to_owned();
    };
    let mut left = crate::fault::left_in(folder);
    left.extend(super::folder::is_open(folder).then(|| "the lab".to_owned()));
    match left.is_empty() {
        true => format!("ended at once; nothing is left to undo of {}", folder.display()),
        false => format!("ended at once; left are {}: `{heal}` undoes that", left.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_ends_it_at_once_is_told_what_is_left_and_what_undoes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let running =
            Running { folder: folder.path().to_owned(), heal: "kiki-chaos heal x".to_owned() };
        assert!(last_words(None).contains("nothing is left"));
        assert!(last_words(Some(&running)).contains("nothing is left"));
        let lab = crate::lab::record::Record::begin(folder.path(), "r").expect("it is written");
        let undo = folder.path().join("undo");
        std::fs::create_dir(&undo).expect("a folder");
        std::fs::write(undo.join("002.json"), "{").expect("it is written");
        let told = last_words(Some(&running));
        assert!(told.contains("the lab") && told.contains("`kiki-chaos heal x`"), "{told}");
        assert!(told.contains("002.json"), "{told}");
        drop(lab);
    }
}
