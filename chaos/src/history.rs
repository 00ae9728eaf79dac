//! What clients did and what they were told: one line for each beginning, one for each end. What was never
//! answered stays unknown; it is never counted as failed.

use serde::{Deserialize, Deserializer, Serialize};

/// Millionths of the currency's unit.
pub type Micros = i64;
/// The reason of an answer (409) to a request whose like is being worked on: it did nothing of its own.
pub const IN_PROGRESS: &str = "in_progress";
/// Microseconds since the run began, on the suite's own monotonic clock.
pub type AtUs = u64;

/// One line of `history.jsonl`, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// The first line: what the times count from, and what the run is made of.
    Begin(Begin),
    /// A client is about to send this.
    Invoke { id: u64, at_us: AtUs, client: u32, via: Box<str>, op: Op },
    /// It was answered, or given up.
    Complete { id: u64, at_us: AtUs, outcome: Outcome },
    /// A fault began or ended (`fault`: its number in the run).
    Fault { at_us: AtUs, fault: u32, kind: Box<str>, target: Box<str>, phase: Phase },
    /// What one node said of who owns a shard.
    Owner { at_us: AtUs, seen_by: Box<str>, shard: u16, owner: Box<str>, epoch: i64 },
    /// The last line of a history that is whole.
    End { at_us: AtUs },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// Of this format: 1.
    pub version: u32,
    pub title: String,
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// What holds of the window of each account: cap and length.
    pub window_cap: Micros,
    pub window_us: u64,
    /// How long a hold lives.
    pub hold_us: u64,
    /// Campaigns and their budgets as they were allocated before the load began.
    pub budgets: Vec<Budget>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pub account: Box<str>,
    pub campaign: Box<str>,
    pub currency: Box<str>,
    pub cap: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Began,
    Ended,
    Failed,
}

/// What a client asked for. Amounts are in the campaign's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// `POST /api/v1/check`
    Authorise {
        account: Box<str>,
        campaign: Box<str>,
        amount: Micros,
        key: Box<str>,
    },
    /// `POST /api/v1/holds/{hold}/settle`
    Settle {
        account: Box<str>,
        campaign: Box<str>,
        hold: Box<str>,
        amount: Micros,
    },
    /// `POST /api/v1/holds/{hold}/release`
    Release {
        account: Box<str>,
        campaign: Box<str>,
        hold: Box<str>,
    },
    /// `POST /api/v1/spend`; negative: a refund.
    Spend {
        account: Box<str>,
        campaign: Box<str>,
        amount: Micros,
        key: Box<str>,
    },
    /// `GET /api/v1/budget/{campaign}`
    Read {
        account: Box<str>,
        campaign: Box<str>,
    },
    /// `POST /api/v1/allocate` or a top-up: the budget is `cap` from then on.
    SetCap {
        account: Box<str>,
        campaign: Box<str>,
        cap: Micros,
    },
    Pause {
        account: Box<str>,
        campaign: Box<str>,
    },
    Resume {
        account: Box<str>,
        campaign: Box<str>,
    },
    /// `POST /consent/grant`, `/consent/revoke`
    Grant {
        account: Box<str>,
        person: Box<str>,
        consent: Box<str>,
    },
    Revoke {
        account: Box<str>,
        person: Box<str>,
        consent: Box<str>,
    },
    /// `GET /api/v1/consent/check`
    MayUse {
        account: Box<str>,
        person: Box<str>,
        consent: Box<str>,
    },
    /// `POST /openrtb2/bid`; `person`: whose consent a personal bid needs.
    Bid {
        account: Box<str>,
        request: Box<str>,
        person: Option<Box<str>>,
    },
    /// `POST /openrtb2/billing` of a bid that was won, with its clearing price.
    Billing {
        account: Box<str>,
        campaign: Box<str>,
        bid: Box<str>,
        amount: Micros,
    },
    /// Anything else that only has to be answered.
    Call {
        method: Box<str>,
        path: Box<str>,
    },
}

/// How it ended for the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and durable where the API promises it.
    Done {
        status: u16,
        #[serde(default, skip_serializing_if = "Answer::is_empty")]
        answer: Answer,
    },
    /// The service decided against it: nothing was booked.
    Refused { status: u16, reason: Box<str> },
    /// The service could not at that time, and says that nothing was done: 429, 503 and their like.
    Unavailable { status: u16, code: Box<str> },
    /// Nobody knows: no answer, a cut connection, or an answer that says so.
    Unknown { why: Box<str> },
    /// An answer that no documentation allows: 500, garbage.
    Wrong { status: u16, what: Box<str> },
}

/// What an answer said, as far as checks need it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Box<str>>,
    /// The ledger's sequence number of what was booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<Micros>,
    /// It was done before under the same key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// Of [`Op::MayUse`], and whether a bid used what only consent allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<bool>,
    /// Of a bid: which campaign won, and its price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Box<str>>,
}

impl Answer {
    pub fn is_empty(&self) -> bool {
        *self == Answer::default()
    }
}

/// One row of a budget's ledger as the service exports it (`ledger.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    pub account: Box<str>,
    pub campaign: Box<str>,
    pub seq: i64,
    /// settle, late, spend or refund.
    pub kind: Box<str>,
    pub amount: Micros,
    pub currency: Box<str>,
    /// Wall-clock micros of the service that booked it.
    pub at_us: i64,
    pub op: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Box<str>>,
}

/// One record of an account's audit log as the service exports it (`audit.jsonl`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    pub account: Box<str>,
    pub at: String,
    pub event: Box<str>,
    pub subject: Box<str>,
    pub outcome: Box<str>,
    #[serde(default)]
    pub data: serde_json::Value,
}

/// What was read of the platform after the run (`end.json`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AtEnd {
    /// `GET /api/v1/budget/{campaign}` of each, when all holds had ended.
    pub budgets: Vec<BudgetAtEnd>,
    /// `POST /api/v1/audit/verify` of each account: verified, and what was found.
    pub audits: Vec<AuditAtEnd>,
    /// Processes that ended without an order of the suite.
    pub died: Vec<Death>,
    /// Actors that restarted: path, how often, by node; and those that were struck by a fault of the run.
    pub restarts: Vec<Restarts>,
    /// Metrics of each node that count broken invariants, where they are not 0. JSON has no word for what is no number.
    #[serde(deserialize_with = "counts")]
    pub violations_counted: Vec<(String, f64)>,
}

/// The end of a process that nobody ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "DeathAs")]
pub struct Death {
    pub name: String,
    /// Nothing in files of earlier versions, which have the name alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_us: Option<AtUs>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DeathAs {
    Name(String),
    Timed {
        name: String,
        #[serde(default)]
        at_us: Option<AtUs>,
    },
}

impl From<DeathAs> for Death {
    fn from(it: DeathAs) -> Death {
        match it {
            DeathAs::Name(name) => Death { name, at_us: None },
            DeathAs::Timed { name, at_us } => Death { name, at_us },
        }
    }
}

fn counts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, f64)>, D::Error> {
    let read = Vec::<(String, Option<f64>)>::deserialize(from)?;
    Ok(read.into_iter().map(|(metric, count)| (metric, count.unwrap_or(f64::NAN))).collect())
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetAtEnd {
    pub account: Box<str>,
    pub campaign: Box<str>,
    pub budget: Micros,
    pub spent: Micros,
    pub refunded: Micros,
    pub held: Micros,
    pub escrow: Micros,
    pub remaining: Micros,
    pub ledger_seq: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditAtEnd {
    pub account: Box<str>,
    pub verified: bool,
    pub findings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restarts {
    pub node: Box<str>,
    pub path: Box<str>,
    pub restarts: u64,
    pub struck: bool,
}
