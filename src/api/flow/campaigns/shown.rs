//! A campaign in answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::schema::DefinitionBody;
use crate::actors::flow::campaign::Seen;
use crate::actors::shield::view::{BudgetView, rfc3339};
use crate::models::flow::campaign::definition::Definition;
use crate::models::flow::campaign::state::Campaign;
use crate::models::shield::money::Micros;

/// A campaign's budget as SyncShield has it, in the campaign's currency.
#[derive(Serialize, ToSchema)]
pub struct CampaignBudget {
    /// active, paused or ended: it may have been paused there alone.
    status: &'static str,
    #[schema(value_type = f64)]
    amount: Micros,
    #[schema(value_type = Option<f64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    daily: Option<Micros>,
    /// Settled holds and spends, less refunds.
    #[schema(value_type = f64)]
    spent: Micros,
    /// Of bids under way.
    #[schema(value_type = f64)]
    held: Micros,
    /// Somebody has set another amount at SyncShield than the definition has, for all time or for a day.
    differs: bool,
}

impl CampaignBudget {
    pub fn of(definition: &Definition, view: &BudgetView) -> CampaignBudget {
        let there = &view.allocation;
        let meant = definition.budget.map(|budget| (budget.amount, budget.daily));
        CampaignBudget {
            status: there.status,
            amount: there.budget,
            daily: there.daily_budget,
            spent: there.spent,
            held: view.held,
            differs: meant != Some((there.budget, there.daily_budget)),
        }
    }
}

/// A campaign with what it is defined by.
#[derive(Serialize, ToSchema)]
pub struct CampaignBody<'a> {
    campaign_id: &'a str,
    account: &'a str,
    /// draft, active, paused or ended.
    status: &'static str,
    /// Counts every change; also the entity tag, for If-Match.
    revision: u64,
    /// Of the definition: what a version says never changes.
    version: u32,
    /// RFC 3339.
    created_at: String,
    changed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at: Option<String>,
    /// command or schedule, of one that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    ended_by: Option<crate::models::flow::campaign::state::Cause>,
    /// false while SyncShield has yet to be told of a pause or an end: it will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_told: Option<bool>,
    /// Of one that was started and is looked at by itself; absent while SyncShield does not answer at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<CampaignBudget>,
    #[schema(value_type = DefinitionBody)]
    definition: &'a Definition,
}

impl<'a> CampaignBody<'a> {
    pub fn of(campaign: &'a Campaign, budget_told: Option<bool>) -> CampaignBody<'a> {
        CampaignBody {
            campaign_id: &campaign.definition.id,
            account: &campaign.definition.account,
            status: campaign.status.as_str(),
            revision: campaign.revision,
            version: campaign.version,
            created_at: rfc3339(campaign.created_us),
            changed_at: rfc3339(campaign.changed_us),
            activated_at: campaign.activated_us.map(rfc3339),
            ended_by: campaign.ended,
            budget_told,
            budget: None,
            definition: &campaign.definition,
        }
    }

    pub fn with(self, budget: Option<CampaignBudget>) -> CampaignBody<'a> {
        CampaignBody { budget, ..self }
    }

    pub fn answer(self, status: StatusCode) -> Response {
        let tag = HeaderValue::from_str(&format!("\"{}\"", self.revision));
        let mut response = (status, axum::Json(self)).into_response();
        // digits in quotes are a value of a header
        if let Ok(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// The campaign right after an order.
pub fn answer(seen: &Seen, status: StatusCode) -> Response {
    CampaignBody::of(&seen.campaign, Some(seen.budget_told)).answer(status)
}
