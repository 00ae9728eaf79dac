//! One operation of a history: what was asked, and what became of it. Small, for there are millions.

use crate::history::{AtUs, Micros};

/// An end that has not come, and never may.
pub const NEVER: AtUs = AtUs::MAX;

#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub id: u64,
    pub client: u32,
    pub invoke: AtUs,
    /// [`NEVER`] where nobody was answered.
    pub complete: AtUs,
    pub what: What,
    pub end: End,
}

/// Names, budgets and flags (a consent of a person) by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Authorise {
        budget: u32,
        key: u32,
        amount: Micros,
    },
    Settle {
        budget: u32,
        hold: u32,
        amount: Micros,
    },
    Release {
        budget: u32,
        hold: u32,
    },
    Spend {
        budget: u32,
        key: u32,
        amount: Micros,
    },
    Read {
        budget: u32,
    },
    SetCap {
        budget: u32,
        cap: Micros,
    },
    Pause {
        budget: u32,
    },
    Resume {
        budget: u32,
    },
    Grant {
        flag: u32,
    },
    Revoke {
        flag: u32,
    },
    MayUse {
        flag: u32,
    },
    /// `flag`: the consent that a personal bid needs.
    Bid {
        account: u32,
        flag: Option<u32>,
    },
    /// `hold`: as the ledger names it.
    Billing {
        budget: u32,
        hold: u32,
        amount: Micros,
    },
    /// `win`: it told that this bid was won, which is booked when its hold ends.
    Call {
        win: Option<u32>,
    },
}

impl What {
    /// Its kind, as the history's file names it.
    pub fn kind(self) -> &'static str {
        match self {
            What::Authorise { .. } => "authorise",
            What::Settle { .. } => "settle",
            What::Release { .. } => "release",
            What::Spend { .. } => "spend",
            What::Read { .. } => "read",
            What::SetCap { .. } => "set_cap",
            What::Pause { .. } => "pause",
            What::Resume { .. } => "resume",
            What::Grant { .. } => "grant",
            What::Revoke { .. } => "revoke",
            What::MayUse { .. } => "may_use",
            What::Bid { .. } => "bid",
            What::Billing { .. } => "billing",
            What::Call { .. } => "call",
        }
    }

    /// What it is about: a budget, or a person's consent.
    pub fn key(self) -> Option<Key> {
        match self {
            What::Authorise { budget, .. }
            | What::Settle { budget, .. }
            | What::Release { budget, .. }
            | What::Spend { budget, .. }
            | What::Read { budget }
            | What::SetCap { budget, .. }
            | What::Pause { budget }
            | What::Resume { budget }
            | What::Billing { budget, .. } => Some(Key::Budget(budget)),
            What::Grant { flag } | What::Revoke { flag } | What::MayUse { flag } => {
                Some(Key::Flag(flag))
            }
            What::Bid { flag, .. } => flag.map(Key::Flag),
            What::Call { .. } => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Budget(u32),
    Flag(u32),
}

#[derive(Clone, Copy, Debug)]
pub enum End {
    Unknown,
    Done(Told),
    /// `busy`: a request of the same key is being worked on. This one did nothing of its own; what the other one
    /// does is told to whoever sent that.
    Refused {
        busy: bool,
    },
    Unavailable,
    Wrong {
        status: u16,
        what: u32,
    },
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    pub hold: Option<u32>,
    pub seq: Option<i64>,
    pub amount: Option<Micros>,
    pub remaining: Option<Micros>,
    pub allowed: Option<bool>,
    /// Of a bid: the budget that it comes out of.
    pub budget: Option<u32>,
}

impl Operation {
    pub fn told(&self) -> Option<Told> {
        match self.end {
            End::Done(told) => Some(told),
            _ => None,
        }
    }

    pub fn is_done(&self) -> bool {
        matches!(self.end, End::Done(_))
    }

    /// It may have had an effect, by what was answered. A settle that could not be booked at that time stays
    /// with its hold and is tried again by the service itself.
    pub fn may_have_happened(&self) -> bool {
        match self.end {
            End::Unknown | End::Done(_) | End::Wrong { .. } => true,
            // The other request may be one of this operation, too, sent again on its way by a node or a balancer.
            End::Refused { busy } => busy,
            End::Unavailable => matches!(self.what, What::Settle { .. } | What::Billing { .. }),
        }
    }

    /// From when on it is certain: when it was answered as done, else never.
    pub fn certain_from(&self) -> AtUs {
        if self.is_done() { self.complete } else { NEVER }
    }
}
