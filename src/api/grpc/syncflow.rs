//! `syncflow.v1.SyncFlowService`.

use std::time::{Duration, Instant};

use prost::Message;
use tonic::{Request, Response, Status};

use super::flow_v1::sync_flow_service_server::SyncFlowService;
use super::flow_v1::{
    BreakerState, BudgetStatus, CircuitBreaker, GetBudgetStatusRequest, GetBudgetStatusResponse,
    GetCircuitBreakerStatusRequest, GetCircuitBreakerStatusResponse, PlaceBidBatchRequest,
    PlaceBidBatchResponse, PlaceBidRequest, PlaceBidResponse,
};
use super::front::Deadline;
use crate::actors::cluster::links::LinkError;
use crate::actors::flow::Flow;
use crate::actors::flow::auction::{Answer, BatchTerms, Office};
use crate::actors::kernel::{BreakerEntry, Registry};
use crate::actors::shield::view::BudgetView;
use crate::actors::shield::{BudgetName, ShieldError};
use crate::api::access::caller;
use crate::api::body::check_name;
use crate::api::flow::common;
use crate::api::problem::{Code, Problem};
use crate::api::shield::common::failed;
use crate::clock;
use crate::models::breaker::BreakerState as Known;
use crate::models::cluster::member::Route;
use crate::models::flow::openrtb::Malformed;

/// Requests of one batch.
const BATCH_MAX: usize = 100;
/// What nodes ask each other about budgets.
const BUDGET: &str = "grpc.budget";
/// Characters of a prefix of paths, and breakers of one answer.
const PREFIX_CHARS_MAX: usize = 256;
const BREAKERS_MAX: usize = 1_000;
/// The reason of a request of a batch that is none.
const MALFORMED: &str = "malformed";

/// What SyncFlow's calls need.
pub struct Calls {
    pub(super) flow: Flow,
    pub(super) registry: Registry,
    /// Bytes of the answers of one call.
    pub(super) answers_max: usize,
}

impl Calls {
    pub fn new(flow: Flow, registry: Registry) -> Calls {
        let shield = flow.shield().clone();
        // Budgets of this node, for those that were asked on another.
        flow.shield().placement().links().answer_with(
            BUDGET,
            move |_, (account, campaign): (String, String)| {
                let shield = shield.clone();
                async move {
                    let name = BudgetName::campaign(&account, &campaign);
                    match shield.budget(&name).await {
                        Ok(view) => Ok(Some(budget(&view).encode_to_vec())),
                        Err(ShieldError::Absent) => Ok(None),
                        Err(error) => Err(LinkError::Refused(error.to_string())),
                    }
                }
            },
        );
        Calls { flow, registry, answers_max: usize::MAX }
    }

    /// Where a budget stands, wherever it is.
    async fn budget_of(&self, name: &BudgetName) -> Result<GetBudgetStatusResponse, ShieldError> {
        let placement = self.flow.shield().placement();
        let patience = self.flow.shield().patience();
        let Route::There(node) = placement.whereabouts(name.place(), patience).await else {
            return Ok(budget(&*self.flow.shield().budget(name).await?));
        };
        let question = (&*name.account, &*name.budget);
        let asked = placement.links().ask_for(node, BUDGET, &question, patience).await;
        let seen: Option<Vec<u8>> = asked.map_err(|error| {
            tracing::debug!(%error, %name, "the budget of {name} is on a node that does not answer");
            ShieldError::Unavailable
        })?;
        let seen = seen.ok_or(ShieldError::Absent)?;
        GetBudgetStatusResponse::decode(&*seen).map_err(|_| ShieldError::Faulted)
    }

    fn office(&self) -> Result<&Office, Problem> {
        self.flow.office().ok_or_else(|| Problem::new(Code::Busy, "the service is starting"))
    }
}

/// How long the caller still waits, where it says so.
fn left<T>(request: &Request<T>) -> Option<Duration> {
    let Deadline(at) = request.extensions().get::<Deadline>()?;
    Some(at.saturating_duration_since(Instant::now()))
}

fn no_bid(reason: &str) -> PlaceBidResponse {
    PlaceBidResponse { openrtb: Vec::new(), reason: reason.to_owned() }
}

fn told(answer: Answer) -> Result<PlaceBidResponse, Malformed> {
    match answer {
        Answer::Bids(openrtb) => Ok(PlaceBidResponse { openrtb, reason: String::new() }),
        Answer::NoBid(reason) => Ok(no_bid(reason.name())),
        Answer::Explained(reason, openrtb) => {
            Ok(PlaceBidResponse { openrtb, ..no_bid(reason.name()) })
        }
        Answer::Malformed(malformed) => Err(malformed),
    }
}

fn malformed(why: Malformed) -> Problem {
    Problem::field("openrtb", format!("is no bid request: {why}"))
}

impl AsRef<[u8]> for PlaceBidRequest {
    fn as_ref(&self) -> &[u8] {
        &self.openrtb
    }
}

fn budget(view: &BudgetView) -> GetBudgetStatusResponse {
    let of = &view.allocation;
    let status = match of.status {
        "active" => BudgetStatus::Active,
        "paused" => BudgetStatus::Paused,
        "ended" => BudgetStatus::Ended,
        _ => BudgetStatus::Unspecified,
    };
    GetBudgetStatusResponse {
        campaign_id: of.campaign_id.clone(),
        account: of.account.clone(),
        status: status.into(),
        currency: of.currency.to_string(),
        budget_micros: of.budget.0,
        spent_micros: of.spent.0,
        held_micros: view.held.0,
        remaining_micros: view.remaining.0,
        daily_budget_micros: of.daily_budget.map(|daily| daily.0),
        spent_today_micros: view.spent_today.0,
        open_holds: view.open_holds,
    }
}

fn breaker(entry: &BreakerEntry, now_us: i64) -> CircuitBreaker {
    let view = &entry.breaker;
    let state = match view.state {
        Known::Closed => BreakerState::Closed,
        Known::Open => BreakerState::Open,
        Known::HalfOpen => BreakerState::HalfOpen,
    };
    let until = view.open_until_us.filter(|_| view.state == Known::Open);
    CircuitBreaker {
        path: entry.path.to_string(),
        state: state.into(),
        consecutive_failures: view.consecutive_failures,
        opened_total: view.opened_total,
        refused_total: view.refused_total,
        open_for_us: until.map(|at| at.saturating_sub(now_us).max(0)),
    }
}

#[tonic::async_trait]
impl SyncFlowService for Calls {
    async fn place_bid(
        &self,
        request: Request<PlaceBidRequest>,
    ) -> Result<Response<PlaceBidResponse>, Status> {
        let began_us = clock::mono_us();
        let left = left(&request);
        let (body, exchange) = (&request.get_ref().openrtb, caller());
        let answer = self.office()?.bid(body, &exchange.name, began_us, left).await;
        Ok(Response::new(told(answer).map_err(malformed)?))
    }

    async fn place_bid_batch(
        &self,
        request: Request<PlaceBidBatchRequest>,
    ) -> Result<Response<PlaceBidBatchResponse>, Status> {
        let began_us = clock::mono_us();
        let left = left(&request);
        let PlaceBidBatchRequest { requests, atomic } = request.into_inner();
        if requests.is_empty() || requests.len() > BATCH_MAX {
            let why = format!("are not 1 to {BATCH_MAX} bid requests");
            return Err(Problem::field("requests", why).into());
        }
        let office = self.office()?;
        let terms = BatchTerms { atomic, answers_max: self.answers_max };
        let exchange = caller();
        let answers = office.bid_batch(&requests, &exchange.name, terms, (began_us, left)).await;
        let of = |answer| told(answer).unwrap_or_else(|_| no_bid(MALFORMED));
        let responses = answers.into_iter().map(of).collect();
        Ok(Response::new(PlaceBidBatchResponse { responses }))
    }

    async fn get_budget_status(
        &self,
        request: Request<GetBudgetStatusRequest>,
    ) -> Result<Response<GetBudgetStatusResponse>, Status> {
        let account = common::account(&self.flow, request.metadata().as_ref(), None)?;
        let campaign = &request.get_ref().campaign_id;
        check_name("campaign_id", campaign)?;
        let name = BudgetName::campaign(&account, campaign);
        let budget = self.budget_of(&name).await.map_err(|e| failed(e, &name))?;
        Ok(Response::new(budget))
    }

    async fn get_circuit_breaker_status(
        &self,
        request: Request<GetCircuitBreakerStatusRequest>,
    ) -> Result<Response<GetCircuitBreakerStatusResponse>, Status> {
        let prefix = request.into_inner().prefix;
        if prefix.chars().count() > PREFIX_CHARS_MAX {
            let why = format!("has more than {PREFIX_CHARS_MAX} characters");
            return Err(Problem::field("prefix", why).into());
        }
        let mut entries = self.registry.breakers();
        entries.retain(|entry| entry.path.starts_with(&prefix));
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let truncated = entries.len() > BREAKERS_MAX;
        let now_us = clock::mono_us();
        let breakers =
            entries.iter().take(BREAKERS_MAX).map(|entry| breaker(entry, now_us)).collect();
        Ok(Response::new(GetCircuitBreakerStatusResponse { breakers, truncated }))
    }
}
