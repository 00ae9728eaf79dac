//! What a service writes: an actor with its messages, its view and its rules' effects.

use std::fmt;

use serde::Serialize;

use super::cx::Cx;

/// A supervised actor. One message is handled at a time; an error or a panic ends this life, and
/// the supervision table decides on the next one, which is made anew by the child's factory.
pub trait Actor: Sized + Send + 'static {
    type Msg: Send + 'static;
    /// The state as operators see it, without secrets and without personal data.
    type View: Serialize + Send + Sync + 'static;
    /// The name of this kind of actor in lists and metrics.
    const TYPE: &'static str;
    /// Whether what an entity sends itself (timers, continuations) keeps it in memory as messages of others do.
    /// One that looks after something all the time would never rest: with `false` it does, unless it says by
    /// [`Cx::stay_awake`] that a look was worth it.
    const OWN_LETTERS_KEEP_AWAKE: bool = true;

    /// Runs before the first message of each life. Messages wait meanwhile.
    fn started(&mut self, cx: &mut Cx<Self>) -> impl Future<Output = Result<(), Fault>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Handles one message. An `Err` fails this life: answer expected refusals through the
    /// message's [`Reply`](super::Reply) instead.
    fn handle(
        &mut self,
        msg: Self::Msg,
        cx: &mut Cx<Self>,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Runs after the last message of an orderly end (not after a failure).
    fn stopping(&mut self, cx: &mut Cx<Self>) -> impl Future<Output = ()> + Send {
        let _ = cx;
        async {}
    }

    fn view(&self) -> Self::View;

    /// Whether this actor may be passivated now: false while it holds what is not durable.
    fn idle(&self) -> bool {
        true
    }

    /// Names a message for operators, without its content.
    fn label(msg: &Self::Msg) -> &'static str {
        let _ = msg;
        std::any::type_name::<Self::Msg>()
    }

    /// A second copy of a message for the `duplicate` fault; `None` where there can be none. Give
    /// the copy a [`Reply::detached`](super::Reply::detached).
    fn duplicate(msg: &Self::Msg) -> Option<Self::Msg> {
        let _ = msg;
        None
    }

    /// Has the `corrupt` fault answer this message with what makes no sense; `draw` says in which of the ways that
    /// there are. Nothing by default: most answers cannot be wrong by themselves.
    fn corrupt(msg: &mut Self::Msg, draw: u64) {
        let _ = (msg, draw);
    }
}

/// Why a life ended. Made from any error with `?`, or from text.
pub struct Fault(String);

impl Fault {
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason.push_str(": ");
            reason.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(reason)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({:?})", self.0)
    }
}
