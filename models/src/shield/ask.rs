//! What an authority can be asked, and what it answers.

use serde::{Deserialize, Serialize};

use super::budget::{Core, Fact, Grant, Settlement};
use super::effect::Note;
use super::entry::{Entry, HolderId, Op, SliceId};
use super::money::Micros;
use super::refusal::Refusal;
use super::terms::Terms;

/// Correlates an answer with whoever asked; made by the shell, opaque to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// An order of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Sets the terms and the lifetime cap, never adds, and opens what was paused or ended.
    Allocate(Terms),
    /// The same of a budget that is not there yet; refused where there is one, whoever made it.
    Open(Terms),
    /// Sets the terms and the lifetime cap, as [`Order::Allocate`] does; what is paused or ended stays so.
    Amend(Terms),
    TopUp(Micros),
    Pause,
    Resume,
    End,
    /// The account's stop-all switch.
    Stop(bool),
}

impl Order {
    /// Whether it may take away what is out in slices.
    pub fn may_cut(&self) -> bool {
        !matches!(self, Order::TopUp(_) | Order::Resume | Order::Stop(false))
    }
}

/// Nodes ask each other all of it but orders, which only the budget's own node is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    Take {
        slice: SliceId,
        holder: HolderId,
        needed: Micros,
        want: Micros,
    },
    Grow {
        slice: SliceId,
        holder: HolderId,
        needed: Micros,
        want: Micros,
    },
    /// The holder serves from the slice no more and keeps `keep` for open holds.
    Return {
        slice: SliceId,
        keep: Micros,
        booked: Micros,
    },
    Settle(Box<Settlement>),
    Spend(Box<Fact>),
    /// Booked in another budget of the account: it counts in this window.
    Note(Vec<Note>),
    #[serde(skip)]
    Order {
        op: Op,
        body: u64,
        order: Box<Order>,
    },
}

impl Ask {
    /// The operation that this books, with the fingerprint of its request.
    pub fn op(&self) -> Option<(Op, u64)> {
        match self {
            Ask::Settle(s) => Some((s.op, s.body)),
            Ask::Spend(f) => Some((f.op, f.body)),
            Ask::Order { op, body, .. } => Some((*op, *body)),
            Ask::Take { .. } | Ask::Grow { .. } | Ask::Return { .. } | Ask::Note(_) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Granted(Grant),
    Refused(Refusal),
    /// The slice is over; take another.
    SliceGone(SliceId),
    Returned(SliceId),
    /// Durable. `replayed`: it was booked by an earlier request of the same key.
    Booked {
        entry: Box<Entry>,
        replayed: bool,
    },
    Noted,
    /// Durable; the state right after.
    #[serde(skip)]
    Ordered {
        core: Box<Core>,
        created: bool,
    },
    /// The stored answer of an earlier request of the same key.
    #[serde(skip)]
    OrderReplayed {
        status: u16,
        answer: String,
    },
    /// The same operation is being worked on.
    Busy,
    /// The key was used with another request.
    Mismatch,
    /// As many requests wait as may wait.
    Overloaded,
    /// The store did not take it: nothing was booked, try again.
    Unavailable,
    /// This node does not own the budget any more.
    NotOwner,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shield::entry::Day;

    fn there_and_back<T>(it: &T)
    where
        T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let text = serde_json::to_string(it).expect("can be written");
        assert_eq!(serde_json::from_str::<T>(&text).expect("can be read"), *it, "{text}");
    }

    #[test]
    fn what_nodes_ask_each_other_arrives_as_it_was_to_the_micro() {
        let (slice, holder) = (SliceId(u64::MAX), HolderId(1));
        let amount = Micros(9_007_199_254_740_993);
        there_and_back(&Ask::Take { slice, holder, needed: amount, want: Micros(-1) });
        there_and_back(&Ask::Return { slice, keep: Micros(1), booked: Micros::ZERO });
        let op = Op(u128::MAX - 7);
        there_and_back(&Ask::Note(vec![Note { slice: Some(slice), op, amount }]));
        let settlement = Settlement {
            hold: op,
            op,
            slice,
            window_slice: slice,
            amount,
            window_amount: Micros(3),
            day: Day(20_260_101),
            confirmed: true,
            again: false,
            body: u64::MAX,
            memo: Some("\"".to_owned()),
        };
        there_and_back(&Ask::Settle(Box::new(settlement)));
        let grant = Grant { slice, quota: amount, day: Day(20_260_101), serves_us: 10_000_000 };
        there_and_back(&Answer::Granted(grant));
        there_and_back(&Answer::Busy);
        there_and_back(&Answer::SliceGone(slice));
    }

    #[test]
    fn an_order_does_not_travel() {
        let order = Ask::Order { op: Op(1), body: 2, order: Box::new(Order::Pause) };
        assert!(serde_json::to_string(&order).is_err());
    }
}
