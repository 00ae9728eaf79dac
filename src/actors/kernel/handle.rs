//! The way to send messages to one actor. A handle stays good through restarts.

use std::fmt;
use std::sync::Arc;

use ractor::{ActorRef, MessagingErr};

use super::ask::{self, AskError, Refused, Reply, Waited};
use super::cell::{Cell, Port, State};
use super::control::Ack;
use super::dead::Why;
use super::letter::{Envelope, Letter};
use super::time::{Deadline, now_ns};

pub struct Handle<M> {
    pub(super) cell: Arc<Cell>,
    pub(super) actor: ActorRef<Envelope<M>>,
    pub(super) label: fn(&M) -> &'static str,
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell), actor: self.actor.clone(), label: self.label }
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.cell.path)
    }
}

impl<M: Send + 'static> Handle<M> {
    pub fn path(&self) -> &str {
        &self.cell.path
    }

    /// Messages that wait now.
    pub fn depth(&self) -> u32 {
        self.cell.depth()
    }

    /// Sends without waiting for anything: a full mailbox refuses at once.
    pub fn tell(&self, msg: M) -> Result<(), Refused> {
        self.post(Letter::new(msg, now_ns()))
            .map_err(|(letter, refused)| self.bury(letter, refused))
    }

    /// Sends and waits for the answer until the deadline, which travels with the message: when it
    /// has passed before the message's turn came, the message is not handled.
    pub async fn ask<T: Send + 'static>(
        &self,
        deadline: impl Into<Deadline>,
        make: impl FnOnce(Reply<T>) -> M,
    ) -> Result<T, AskError> {
        let now = now_ns();
        let deadline_ns = deadline.into().resolve(now);
        let (reply, rx) = Reply::pair();
        let letter = Letter { deadline_ns, ..Letter::new(make(reply), now) };
        self.post(letter).map_err(|(letter, refused)| self.bury(letter, refused))?;
        match ask::wait(rx, now, deadline_ns).await {
            Waited::Answer(answer) => Ok(answer),
            Waited::Expired => Err(AskError::Expired),
            Waited::Dropped => Err(unanswered(&self.cell, deadline_ns)),
        }
    }

    /// Hands the letter over, or gives it back: also where a fault throttles its mailbox.
    pub(super) fn post(&self, letter: Letter<M>) -> Result<(), (Letter<M>, Refused)> {
        let faults = &self.cell.kernel.faults;
        if faults.any()
            && let Err(retry_after_ms) = faults.admit(&self.cell.path, now_ns())
        {
            return Err((letter, Refused::Overloaded { retry_after_ms }));
        }
        self.hand_over(letter)
    }

    /// The same, of a letter that was taken already: no throttle asks it again.
    pub(super) fn hand_over(&self, letter: Letter<M>) -> Result<(), (Letter<M>, Refused)> {
        if let Err(refused) = self.cell.admit() {
            return Err((letter, refused));
        }
        match self.actor.send_message(Envelope::Outer(letter)) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.cell.unsend();
                match error {
                    MessagingErr::SendErr(Envelope::Outer(letter)) => Err((letter, Refused::Gone)),
                    _ => unreachable!("the queue gives back what it was given"),
                }
            }
        }
    }

    pub(super) fn bury(&self, letter: Letter<M>, refused: Refused) -> Refused {
        if refused == Refused::Gone {
            self.cell.dead_letter((self.label)(&letter.msg), Why::Gone, letter.trace());
        }
        refused
    }
}

/// Why the answering end was dropped.
pub(super) fn unanswered(cell: &Cell, deadline_ns: u64) -> AskError {
    if now_ns() >= deadline_ns {
        AskError::Expired
    } else if cell.state() >= State::Draining {
        AskError::Gone
    } else {
        AskError::Faulted
    }
}

pub(super) struct ActorPort<M>(pub ActorRef<Envelope<M>>);

impl<M: Send + 'static> ActorPort<M> {
    fn send(&self, envelope: Envelope<M>) -> bool {
        self.0.send_message(envelope).is_ok()
    }
}

impl<M: Send + 'static> Port for ActorPort<M> {
    fn nudge(&self) {
        self.send(Envelope::Nudge);
    }

    fn publish(&self) {
        self.send(Envelope::Publish);
    }

    fn passivate(&self) {
        self.send(Envelope::Passivate);
    }

    fn halt_here(&self, ack: Ack) {
        self.send(Envelope::HaltHere(ack));
    }

    fn noise(&self) -> bool {
        self.send(Envelope::Noise)
    }

    fn close(&self) {
        // An actor that has already ended has nothing left to close.
        let _ = self.0.drain();
    }

    fn kill(&self) {
        self.0.kill();
    }
}
