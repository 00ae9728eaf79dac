//! What a budget's actor can be told.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::actors::kernel::{Fault, Reply};
use crate::models::shield::ask::{Answer, Ask, Order, Ticket};
use crate::models::shield::budget::Budget;
use crate::models::shield::effect::Lane;
use crate::models::shield::entry::{Entry, HolderId, Op, SliceId};
use crate::models::shield::hold::Hold;
use crate::models::shield::money::{Currency, Micros, Rate};
use crate::models::shield::purse::{Authorise, HoldAnswer};
use crate::models::shield::refusal::Reason;
use crate::store::{Outcome, Reloaded};

use super::far::{Asked, Home};
use super::keys::{Checked, Proof};
use super::view::{Allocation, BudgetView};

/// The answer to a request for a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<T> {
    Done(T),
    /// No such campaign, or no such account.
    Absent,
    /// The store cannot be read now.
    Unavailable,
}

/// The answer to an authorisation, with what remains for the asker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorised {
    pub answer: HoldAnswer,
    pub remaining: Micros,
    pub currency: Option<Currency>,
}

/// The answer to a settle, a release or a look at a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldFate {
    Answer(HoldAnswer),
    /// Over before: as the journal or the ledger has it.
    Over(Hold),
    /// Settled, with this row; `replayed`: by an earlier request.
    Booked {
        hold: Option<Hold>,
        entry: Box<Entry>,
        replayed: bool,
    },
}

/// The answer to a spend, a settle by token or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Booked {
    Answer(Answer),
    /// Nothing was booked, for a reason of the rules.
    Refused(Reason),
    /// An order, with the allocation right after it.
    Ordered {
        allocation: Box<Allocation>,
        created: bool,
    },
}

/// A look at an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSeen {
    pub currency: Currency,
    pub stopped: bool,
    pub window_spent: Micros,
    pub window_escrow: Micros,
    pub window_cap: Option<Micros>,
    pub window_length_us: i64,
    pub seq: i64,
}

/// A spend as it was asked for.
#[derive(Clone, Debug)]
pub struct SpendAsk {
    pub op: Op,
    pub amount: Micros,
    pub currency: Option<Currency>,
    pub body: u64,
    pub memo: Option<String>,
}

pub enum Msg {
    Authorise {
        ask: Authorise,
        currency: Option<Currency>,
        reply: Reply<Told<Authorised>>,
    },
    /// The same under a key, of its campaign's owner.
    Check {
        ask: Authorise,
        currency: Option<Currency>,
        reply: Reply<Checked>,
    },
    Settle {
        hold: Op,
        amount: Micros,
        proof: Option<Box<Hold>>,
        reply: Reply<Told<HoldFate>>,
    },
    Release {
        hold: Op,
        reply: Reply<Told<HoldFate>>,
    },
    /// Nobody wants it any more, granted or not. Nobody waits for an answer, either.
    Withdraw {
        hold: Op,
    },
    /// It was won at this price, as whoever tells it has on disk (rule 6).
    Notice {
        hold: Op,
        price: Micros,
        reply: Reply<Told<HoldFate>>,
    },
    FindHold {
        hold: Op,
        reply: Reply<Told<HoldFate>>,
    },
    Spend {
        ask: Box<SpendAsk>,
        reply: Reply<Told<Booked>>,
    },
    Order {
        op: Op,
        body: u64,
        order: Box<Order>,
        reply: Reply<Told<Booked>>,
    },
    See {
        reply: Reply<Told<Box<BudgetView>>>,
    },
    SeeAccount {
        reply: Reply<Told<AccountSeen>>,
    },

    /// A purse asks its account for a part of the window.
    Lane {
        key: String,
        holder: HolderId,
        ask: Box<Ask>,
    },
    LaneAnswer {
        holder: HolderId,
        slice: SliceId,
        answer: Box<Answer>,
    },
    Recall {
        lane: Lane,
        holder: HolderId,
        slice: SliceId,
    },
    /// Another node's purse asks this authority, or tells it what was booked.
    Ask {
        ask: Box<Ask>,
        holder: Option<(HolderId, Home)>,
        reply: Reply<Asked>,
    },
    /// An authority on another node has answered.
    Answered {
        ticket: u64,
        asked: Asked,
    },
    /// Another node looks for a hold that its own purse does not know.
    Near {
        hold: Op,
        wish: Wish,
        reply: Reply<Told<HoldFate>>,
    },
    /// The exchange rates of the account have changed.
    RatesChanged {
        reply: Reply<Told<()>>,
    },

    // What the actor tells itself.
    Committed {
        generation: u64,
        outcome: Outcome,
    },
    Reloaded(Result<Reloaded, Fault>),
    Loaded(Result<Option<Box<Loaded>>, Fault>),
    Revived(Result<Box<Budget>, Fault>),
    /// The account has been told everything once more.
    Retold(Result<(), Fault>),
    RateRead {
        rate: Result<Option<Rate>, Fault>,
        reply: Reply<Told<()>>,
    },
    AccountTold {
        /// Whether it has counted it.
        counted: bool,
        then: Vec<(Ticket, Answer)>,
        ops: Vec<Op>,
    },
    /// What became of a hold on another node; nothing: none has it.
    Sought {
        hold: Op,
        wish: Wish,
        found: Result<Option<Box<HoldFate>>, Fault>,
    },
    Resolved {
        hold: Op,
        wish: Wish,
        found: Result<Box<Found>, Fault>,
    },
    /// What the store knows of the hold of a key. `over`: when it was asked, this life knew that the hold had come to
    /// nothing.
    KeyLooked {
        hold: Op,
        over: bool,
        found: Result<Box<Found>, Fault>,
    },
    /// Whether the holds of keys are in the journal, as they were granted.
    KeysProven(Proof),
    /// Holds that could not be journaled; of those that ended, as they ended.
    Journaled(Vec<(Op, Option<Hold>)>),
    Tick,
}

/// A hold that the purse does not know, and what was wanted of it.
pub struct Seek {
    pub hold: Op,
    pub wish: Wish,
    pub proof: Option<Box<Hold>>,
    /// What this node's purse does not know is looked for no further.
    pub near: bool,
    pub reply: Reply<Told<HoldFate>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Settle(Micros),
    Release,
    /// To keep it for what was won.
    Notice(Micros),
    Look,
}

/// What the store knows of a hold.
#[derive(Clone)]
pub struct Found {
    pub entry: Option<Entry>,
    pub journaled: Option<Hold>,
}

/// A budget as read at a start.
pub struct Loaded {
    pub budget: Budget,
    pub account_currency: Currency,
    pub rate: Option<Rate>,
    /// Where the purses are that hold slices of it.
    pub holders: HashMap<HolderId, Home>,
    pub stored: bool,
}

/// Every message is moved several times on its way: what is large and rare goes in a box.
const _: () =
    assert!(std::mem::size_of::<Msg>() <= 88 && std::mem::size_of::<Told<Authorised>>() <= 144);
