//! The thread that starts the processes of a lab.
//!
//! The system kills a process with its parent on request, and by parent it means the thread that started it. Threads of
//! the runtime come and go; this one ends with the lab.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Job {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts processes that do not outlive it.
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// Must be called within a runtime, which waits for the processes.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new() -> io::Result<Spawner> {
        let (jobs, hear) = mpsc::channel::<Job>();
        let runtime = Handle::current();
        let run = move || {
            let _inside = runtime.enter();
            for mut job in hear {
                // Whoever does not wait any more has given the process up: it goes with this thread.
                let _ = job.reply.send(job.command.spawn());
            }
        };
        std::thread::Builder::new().name("spawner".to_owned()).spawn(run)?;
        Ok(Spawner { jobs })
    }

    /// # Errors
    /// The system does not start it.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the thread that starts processes is gone");
        let (reply, hear) = oneshot::channel();
        self.jobs.send(Job { command, reply }).map_err(|_| gone())?;
        hear.await.map_err(|_| gone())?
    }
}
