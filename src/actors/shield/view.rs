//! A budget as people and programs see it.

use serde::Serialize;
use utoipa::ToSchema;

use super::names::BudgetName;
use crate::models::shield::budget::Core;
use crate::models::shield::entry::Now;
use crate::models::shield::money::Micros;
use crate::models::shield::pacing::{self, Standing};
use crate::models::shield::slice::Slice;

/// A budget's allocation: its terms and what has become of them. Amounts are exact decimals in the
/// allocation's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Allocation {
    pub account: String,
    pub campaign_id: String,
    /// active, paused or ended.
    pub status: &'static str,
    /// The lifetime cap with its top-ups.
    #[schema(value_type = f64)]
    pub budget: Micros,
    #[schema(value_type = Option<f64>)]
    pub daily_budget: Option<Micros>,
    #[schema(value_type = String)]
    pub currency: crate::models::shield::money::Currency,
    /// Settled holds and spends, less refunds.
    #[schema(value_type = f64)]
    pub spent: Micros,
    #[schema(value_type = f64)]
    pub refunded: Micros,
    /// The IANA zone whose midnight ends the campaign's day.
    pub time_zone: String,
    /// RFC 3339, UTC.
    pub starts_at: Option<String>,
    pub ends_at: Option<String>,
    /// even, accelerated or front_loaded.
    #[schema(value_type = String)]
    pub pacing: pacing::Pacing,
    /// Shares of the budget, in percent, that raise an event when spending reaches them.
    #[schema(value_type = Vec<u16>)]
    pub thresholds: Vec<u8>,
    /// Counts the changes of the allocation.
    pub version: i64,
}

/// An allocation with what is held, what remains and how it paces, at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BudgetView {
    #[serde(flatten)]
    pub allocation: Allocation,
    /// Open holds on this node.
    #[schema(value_type = f64)]
    pub held: Micros,
    pub open_holds: u64,
    /// Given out in slices and not held: it counts as used until it is returned.
    #[schema(value_type = f64)]
    pub escrow: Micros,
    /// What could still be authorised: budget + refunds − spent − held. Negative when facts have
    /// passed the budget.
    #[schema(value_type = f64)]
    pub remaining: Micros,
    #[schema(value_type = f64)]
    pub spent_today: Micros,
    pub pacing_plan: PacingView,
    pub thresholds_reached: Vec<u16>,
    /// Newest row of the ledger.
    pub ledger_seq: i64,
}

/// Where spending stands against its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PacingView {
    /// What the plan has due by now.
    #[schema(value_type = f64)]
    pub due: Micros,
    /// unplanned, behind, on_track or ahead.
    #[schema(value_type = String)]
    pub standing: Standing,
}

/// Micros of wall-clock time as RFC 3339 in UTC.
pub fn rfc3339(wall_us: i64) -> String {
    jiff::Timestamp::from_microsecond(wall_us)
        .map_or_else(|_| wall_us.to_string(), |t| t.to_string())
}

pub fn allocation(name: &BudgetName, core: &Core) -> Allocation {
    let terms = &core.terms;
    Allocation {
        account: name.account.to_string(),
        campaign_id: name.budget.to_string(),
        status: core.status.as_str(),
        budget: core.funded,
        daily_budget: terms.daily,
        currency: terms.currency,
        spent: core.spent(),
        refunded: core.refunded,
        time_zone: terms.time_zone.clone(),
        starts_at: terms.starts_us.map(rfc3339),
        ends_at: terms.ends_us.map(rfc3339),
        pacing: terms.pacing,
        thresholds: terms.thresholds.clone(),
        version: core.version,
    }
}

pub fn budget_view(
    name: &BudgetName,
    core: &Core,
    held: Micros,
    holds: usize,
    now: Now,
) -> BudgetView {
    let terms = &core.terms;
    let day = crate::models::shield::day::DaySpan::at(&terms.time_zone, now.wall_us).day;
    let schedule = (terms.starts_us, terms.ends_us);
    let plan = pacing::plan(terms.pacing, core.funded, core.spent(), schedule, now.wall_us);
    let reserved: Micros = core.slices.values().map(Slice::reserved).sum();
    BudgetView {
        allocation: allocation(name, core),
        held,
        open_holds: holds as u64,
        escrow: (reserved - held).max(Micros::ZERO),
        remaining: core.funded + core.refunded - core.settled - core.facts - held,
        spent_today: core.day_used(day),
        pacing_plan: PacingView { due: plan.due, standing: plan.standing },
        thresholds_reached: core.raised.iter().map(|p| u16::from(*p)).collect(),
        ledger_seq: core.seq,
    }
}
