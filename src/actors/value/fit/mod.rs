//! Fits: one at a time on a thread of its own, from the account's purchases to a version that
//! challenges the champion.

mod actor;
mod data;
mod run;
mod told;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

pub use actor::FitterActor;

use crate::actors::kernel::Reply;
use crate::models::cluster::shard::Shard;
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::log::day::Day;
use crate::models::value::registry::command::Reason;
use crate::models::value::registry::version::{Kind, Version};

/// Fits that wait at most.
pub const QUEUE_MAX: usize = 8;
/// Fits that are remembered after their end.
pub const REMEMBERED_MAX: usize = 100;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct FitOrder {
    pub account: Arc<str>,
    pub kind: Kind,
    pub horizon_days: u32,
    /// The last day of the holdout, on which the champion is scored, too. Without: the last day with a
    /// purchase.
    pub holdout_end: Option<Day>,
    pub seed: u64,
    /// Makes the version the challenger.
    pub challenge: bool,
    pub by: Reason,
}

/// A fitted model, not stored yet.
#[derive(Debug)]
pub struct Fitted {
    pub version: Version,
    pub horizon_days: u32,
    pub model: ValueModel,
    pub bytes: Vec<u8>,
    pub report: serde_json::Value,
}

/// Where a fit is. Kept outside of the actor: it is read while the fit runs.
#[derive(Default)]
pub struct Progress {
    what: Mutex<&'static str>,
    /// Thousandths.
    done: AtomicU32,
    cancelled: AtomicBool,
}

impl Progress {
    pub fn step(&self, what: &'static str, done: f64) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what;
        self.done.store((done.clamp(0.0, 1.0) * 1_000.0) as u32, Ordering::Relaxed);
    }

    pub fn now(&self) -> (&'static str, f64) {
        let what = *self.what.lock().unwrap_or_else(PoisonError::into_inner);
        (what, f64::from(self.done.load(Ordering::Relaxed)) / 1_000.0)
    }

    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// How a fit ended without a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitFailure {
    #[error("cancelled")]
    Cancelled,
    /// Nothing can be fitted on these purchases.
    #[error("{0}")]
    Data(String),
    #[error("{0}")]
    Failed(String),
}

/// queued, running, done, failed or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FitState {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// A fit as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FitView {
    pub id: String,
    pub account: String,
    /// bg-nbd, mbg-nbd, pareto-nbd, gamma-gamma, ziln or blend.
    pub kind: String,
    pub state: FitState,
    /// What is being done.
    pub step: String,
    /// 0 to 1.
    pub progress: f64,
    pub asked_by: String,
    /// RFC 3339.
    pub asked_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The version that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a fit was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error("too many fits wait")]
    Full,
    #[error("there is no such fit")]
    Unknown,
    #[error("the fit has ended")]
    Over,
}

pub enum Msg {
    Fit {
        order: Box<FitOrder>,
        reply: Reply<Result<FitView, NotTaken>>,
    },
    Cancel {
        account: Arc<str>,
        id: String,
        reply: Reply<Result<FitView, NotTaken>>,
    },
    /// The fits of an account, the newest first.
    List {
        account: Arc<str>,
        reply: Reply<Vec<FitView>>,
    },
    /// The accounts of a shard go to another node: their fits are given up, as at the end of the service.
    GiveUp {
        home: Shard,
        reply: Reply<()>,
    },
    Ended {
        id: String,
        outcome: Result<String, FitFailure>,
    },
    Tick,
}
