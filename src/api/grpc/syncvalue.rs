//! `syncvalue.v1.SyncValueService`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status as GrpcStatus, Streaming};

use super::Server;
use super::front::Deadline;
use super::question::ask;
use super::status::status;
use super::stream::{Limits, answers};
use super::v1::predict_ltv_stream_response::Outcome;
use super::v1::sync_value_service_server::SyncValueService;
use super::v1::{
    Contribution, GetModelHealthRequest, GetModelHealthResponse, PredictLtvBatchRequest,
    PredictLtvBatchResponse, PredictLtvRequest, PredictLtvResponse, PredictLtvStreamResponse,
    Problem as ProblemMessage, Status,
};
use crate::actors::value::{Answer, Ask, Serving, metrics};
use crate::api::access;
use crate::api::peer::Peer;
use crate::api::problem::{Code, Problem};
use crate::api::value::common;
use crate::api::value::predict::BATCH_MAX;
use crate::models::access::Identity;
use crate::models::value::forecast::answer::Status as Known;

fn response(customer: &str, answer: &Answer, serving: &Serving) -> PredictLtvResponse {
    let forecast = &answer.forecast;
    let status = match forecast.status {
        Known::Success => Status::Success,
        Known::InsufficientData => Status::InsufficientData,
        Known::Fallback => Status::Fallback,
    };
    let contribution = |c: common::ContributionBody| Contribution {
        feature: c.feature.to_owned(),
        value: c.value,
    };
    PredictLtvResponse {
        customer_id: customer.to_owned(),
        predicted_ltv: forecast.value,
        confidence: forecast.confidence,
        lower_bound: forecast.lower,
        upper_bound: forecast.upper,
        expected_purchases: forecast.purchases,
        probability_active: forecast.p_active,
        model_version: answer.model.as_ref().map_or(String::new(), ToString::to_string),
        baseline: forecast.baseline,
        contributions: common::contributions(answer).into_iter().map(contribution).collect(),
        inference_time_us: answer.took_us,
        status: status.into(),
        horizon_days: answer.horizon_days,
        currency: serving.currency.to_string(),
        arm: metrics::arm_name(answer.arm).to_owned(),
    }
}

/// Who asks in a stream, which runs on after its handler.
struct Caller {
    who: Arc<Identity>,
    address: IpAddr,
    account: String,
}

impl Server {
    async fn answered(&self, account: &str, ask: &Ask) -> Result<PredictLtvResponse, Problem> {
        let answer = self.value.predict(account, ask).await.map_err(common::failed)?;
        let serving = self.value.serving(account).await.map_err(common::failed)?;
        Ok(response(&ask.customer, &answer, &serving))
    }

    /// A question of a stream is a call like any other: it is counted, and its caller is still known.
    ///
    /// # Errors
    /// The caller is not known any more: the stream is over.
    async fn of_stream(
        &self,
        caller: &Caller,
        request: PredictLtvRequest,
    ) -> Result<Outcome, GrpcStatus> {
        if !self.door.still_knows(&caller.who) {
            let why = "the key or the token is not good any more";
            return Err(status(Code::Unauthenticated, why, None));
        }
        let decision = self.door.take(&caller.who, caller.address).await;
        let answered = match decision.and_then(|decision| decision.retry_after()) {
            Some(seconds) => {
                let problem = Problem::new(Code::RateLimited, "too many requests");
                Err(problem.retry_after(seconds.saturating_mul(1_000)))
            }
            None => match ask(request) {
                Ok(ask) => self.answered(&caller.account, &ask).await,
                Err(problem) => Err(problem),
            },
        };
        Ok(match answered {
            Ok(response) => Outcome::Response(response),
            Err(problem) => Outcome::Problem(ProblemMessage {
                code: problem.code().as_str().to_owned(),
                detail: problem.detail().to_owned(),
                field: problem.wrong_field().unwrap_or_default().to_owned(),
                retry_after_ms: problem.retry_after_ms().unwrap_or(0),
            }),
        })
    }
}

#[tonic::async_trait]
impl SyncValueService for Server {
    type PredictLTVStreamStream = BoxStream<'static, Result<PredictLtvStreamResponse, GrpcStatus>>;

    async fn predict_ltv(
        &self,
        request: Request<PredictLtvRequest>,
    ) -> Result<Response<PredictLtvResponse>, GrpcStatus> {
        let account = common::account(&self.value, request.metadata().as_ref(), None)?.into_owned();
        let ask = ask(request.into_inner())?;
        Ok(Response::new(self.answered(&account, &ask).await?))
    }

    async fn predict_ltv_batch(
        &self,
        request: Request<PredictLtvBatchRequest>,
    ) -> Result<Response<PredictLtvBatchResponse>, GrpcStatus> {
        let account = common::account(&self.value, request.metadata().as_ref(), None)?.into_owned();
        let requests = request.into_inner().requests;
        if requests.is_empty() || requests.len() > BATCH_MAX {
            let why = format!("are not 1 to {BATCH_MAX} questions");
            return Err(Problem::field("requests", why).into());
        }
        let mut asks = Vec::with_capacity(requests.len());
        for (place, request) in requests.into_iter().enumerate() {
            asks.push(ask(request).map_err(|p| p.within(&format!("requests[{place}]")))?);
        }
        let answers = self.value.predict_many(&account, asks).await;
        let serving = self.value.serving(&account).await.map_err(common::failed)?;
        let mut responses = Vec::with_capacity(answers.len());
        for (ask, answer) in answers {
            let answer = answer.map_err(common::failed)?;
            responses.push(response(&ask.customer, &answer, &serving));
        }
        Ok(Response::new(PredictLtvBatchResponse { responses }))
    }

    async fn predict_ltv_stream(
        &self,
        request: Request<Streaming<PredictLtvRequest>>,
    ) -> Result<Response<Self::PredictLTVStreamStream>, GrpcStatus> {
        // who asks is known here alone: the stream runs on after this
        let account = common::account(&self.value, request.metadata().as_ref(), None)?.into_owned();
        let who = access::caller();
        let address = request.extensions().get::<Peer>().map(|peer| peer.addr.ip());
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let place = self.places.take(&who)?;
        let limits = Limits::new(self.in_flight, request.extensions().get::<Deadline>().copied());
        let (server, caller) = (self.clone(), Arc::new(Caller { who, address, account }));
        let answer = move |index: u64, question: PredictLtvRequest| {
            let (server, caller) = (server.clone(), Arc::clone(&caller));
            async move {
                let outcome = server.of_stream(&caller, question).await?;
                let outcome = Some(outcome);
                Ok::<_, GrpcStatus>(PredictLtvStreamResponse { index, outcome })
            }
        };
        let questions = request.into_inner().boxed();
        Ok(Response::new(answers(questions, answer, limits, self.stopping.clone(), place)))
    }

    async fn get_model_health(
        &self,
        request: Request<GetModelHealthRequest>,
    ) -> Result<Response<GetModelHealthResponse>, GrpcStatus> {
        let account = common::account(&self.value, request.metadata().as_ref(), None)?;
        let serving = self.value.serving(&account).await.map_err(common::failed)?;
        let drifted_features = match &serving.champion {
            None => Vec::new(),
            Some(champion) => {
                let all = self.value.drift(&account, &champion.id).await.map_err(common::failed)?;
                all.into_iter().filter(|f| f.drifted).map(|f| f.feature).collect()
            }
        };
        let health = self.value.health();
        let champion = serving.champion.as_ref();
        let name = |id: &Arc<str>| id.to_string();
        Ok(Response::new(GetModelHealthResponse {
            model_loaded: champion.is_some(),
            model_version: champion.map_or(String::new(), |loaded| name(&loaded.id)),
            model_kind: champion.map_or("", |loaded| loaded.model.kind().as_str()).to_owned(),
            challenger_version: serving.challenger.as_ref().map_or(String::new(), |c| name(&c.id)),
            predictors_healthy: health.predictors,
            questions_waiting: health.waiting,
            cached_customers: health.cached as u64,
            cache_hits: health.hits,
            cache_misses: health.misses,
            drifted_features,
        }))
    }
}
