//! The ractor actor around each of ours. One ractor actor stays for all lives of a path, so that
//! handles and queued messages survive a restart; ractor's own supervision links are not used (one
//! process-wide lock guards them, and its defaults stop a parent with its child). What is rarely
//! run is boxed, so that each actor's future stays small.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ractor::{ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task::JoinSet;

use super::actor::Actor;
use super::body::Body;
use super::cell::Cell;
use super::cx::Cx;
use super::handle::{ActorPort, Handle};
use super::late::Late;
use super::letter::Envelope;
use super::time::NEVER;

pub(super) struct Shell<A>(PhantomData<fn() -> A>);

impl<A> Shell<A> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// What keeps an entity: told before it passivates, and when it is over.
pub(super) trait Keeper: Send {
    /// Whether it may end now; from then on its messages go to the next activation.
    fn retire(&mut self) -> bool;
    /// It is over; with a reason if it failed too often.
    fn ended(&mut self, quarantined: Option<String>);
}

pub(super) struct Seed<A: Actor> {
    pub cell: Arc<Cell>,
    pub factory: Box<dyn FnMut() -> A + Send>,
    pub keeper: Option<Box<dyn Keeper>>,
}

impl<A: Actor> ractor::Actor for Shell<A> {
    type Msg = Envelope<A::Msg>;
    type State = Body<A>;
    type Arguments = Seed<A>;

    /// Never waits: spawning is done when its first poll is.
    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        seed: Seed<A>,
    ) -> Result<Body<A>, ActorProcessingErr> {
        let Seed { cell, factory, keeper } = seed;
        if cell.port.set(Box::new(ActorPort(myself.clone()))).is_err() {
            return Err("this cell already has an actor".into());
        }
        let handle = Handle { cell: Arc::clone(&cell), actor: myself, label: A::label };
        let cx = Cx {
            handle,
            late: Arc::new(Late::default()),
            life: 0,
            deadline_ns: NEVER,
            stop: false,
            pipes: JoinSet::new(),
            timers: JoinSet::new(),
        };
        Ok(Body::new(cell, factory, keeper, cx))
    }

    async fn post_start(
        &self,
        _: ActorRef<Self::Msg>,
        body: &mut Body<A>,
    ) -> Result<(), ActorProcessingErr> {
        body.resume().await;
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Envelope<A::Msg>,
        body: &mut Body<A>,
    ) -> Result<(), ActorProcessingErr> {
        if body.cell.control.anything() {
            Box::pin(body.obey()).await;
        }
        let letter = match envelope {
            Envelope::Outer(letter) => {
                body.cell.taken();
                Some(letter)
            }
            Envelope::Inner(letter) => {
                body.cell.gate.inner_depth.fetch_sub(1, Relaxed);
                Some(letter)
            }
            other => {
                body.special(other);
                None
            }
        };
        if let Some(letter) = letter {
            body.letter(letter).await;
        }
        if body.cell.control.anything() {
            Box::pin(body.obey()).await;
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Self::Msg>,
        body: &mut Body<A>,
    ) -> Result<(), ActorProcessingErr> {
        body.finish().await;
        Ok(())
    }

    /// Nothing is linked through ractor; its default would stop this actor.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Self::Msg>,
        _: SupervisionEvent,
        _: &mut Body<A>,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
