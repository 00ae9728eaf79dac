//! Orders to an actor that reach it past its mailbox, also while it is stuck in a handler.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::task::Context;

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

use super::sync::lock;

/// Confirms that an order was carried out; dropped unsent if the actor ended first.
pub(super) type Ack = oneshot::Sender<()>;

pub(super) enum Order {
    /// Begin a new life now.
    Restart { reason: String, ack: Option<Ack> },
    /// End this life as failed: a child below could not be kept running.
    Fail { reason: String },
    /// End this life and hold the queue until released (a round of the supervisor).
    Hold { ack: Ack },
    /// Begin again after `Hold`.
    Release { ack: Ack },
    /// End this life in order and refuse messages until restarted.
    Halt { ack: Ack },
}

const ORDERS: u8 = 1;
const INTERRUPT: u8 = 2;
const DISCARD: u8 = 4;
const CLOSING: u8 = 8;

#[derive(Default)]
pub(super) struct Control {
    flags: AtomicU8,
    orders: Mutex<VecDeque<Order>>,
    waker: AtomicWaker,
}

impl Control {
    pub fn order(&self, order: Order) {
        lock(&self.orders).push_back(order);
        self.raise(ORDERS);
    }

    pub fn take(&self) -> Option<Order> {
        let mut orders = lock(&self.orders);
        let order = orders.pop_front();
        if orders.is_empty() {
            self.flags.fetch_and(!ORDERS, SeqCst);
        }
        order
    }

    /// Ends the handler that runs now at its next point of waiting.
    pub fn interrupt(&self) {
        self.raise(INTERRUPT);
    }

    /// From now on messages go to the dead letters instead of the handler.
    pub fn discard(&self) {
        self.raise(DISCARD);
    }

    /// The actor ends when its queue is done; it is not restarted any more.
    pub fn close(&self) {
        self.raise(CLOSING);
    }

    pub fn anything(&self) -> bool {
        self.flags.load(std::sync::atomic::Ordering::Relaxed) != 0
    }

    pub fn has_orders(&self) -> bool {
        self.is(ORDERS)
    }

    pub fn discards(&self) -> bool {
        self.is(DISCARD)
    }

    pub fn closing(&self) -> bool {
        self.is(CLOSING)
    }

    pub fn interrupted(&self) -> bool {
        self.is(INTERRUPT)
    }

    pub fn clear_interrupt(&self) {
        self.flags.fetch_and(!INTERRUPT, SeqCst);
    }

    /// Has the actor's task woken at the next order. Look at the flags after this, not before.
    pub fn listen(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    fn raise(&self, flag: u8) {
        self.flags.fetch_or(flag, SeqCst);
        self.waker.wake();
    }

    fn is(&self, flag: u8) -> bool {
        self.flags.load(SeqCst) & flag != 0
    }
}
