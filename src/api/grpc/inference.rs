//! `inference.GRPCInferenceService`: the Open Inference Protocol, version 2. The one model is `ltv`; its
//! versions are those of the caller's account that answer somebody. A request that names a version is
//! answered by that one or refused.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::Server;
use super::oip::grpc_inference_service_server::GrpcInferenceService;
use super::oip::model_metadata_response::TensorMetadata;
use super::oip::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse,
    ModelReadyRequest, ModelReadyResponse, ServerLiveRequest, ServerLiveResponse,
    ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};
use super::tensor::{Inputs, of_numbers, of_texts};
use crate::actors::value::{Answer, Ask, Serving, metrics};
use crate::api::problem::{Code, Problem};
use crate::api::value::common;

/// The name of the model.
const MODEL: &str = "ltv";

type Output = (&'static str, fn(&Answer) -> f64);

/// Name, type, and what it is of a forecast.
const OUTPUTS: [Output; 6] = [
    ("predicted_ltv", |answer| answer.forecast.value),
    ("lower_bound", |answer| answer.forecast.lower),
    ("upper_bound", |answer| answer.forecast.upper),
    ("confidence", |answer| answer.forecast.confidence),
    ("expected_purchases", |answer| answer.forecast.purchases),
    ("probability_active", |answer| answer.forecast.p_active),
];

fn unknown() -> Problem {
    Problem::new(Code::UnknownModel, "there is one model, ltv, in the versions that serve")
}

/// Versions that answer somebody: the challenger does in an experiment alone.
fn versions(serving: &Serving) -> Vec<String> {
    let challenger = serving.challenger.as_ref().filter(|_| serving.running.is_some());
    let both = [serving.champion.as_ref(), challenger];
    both.into_iter().flatten().map(|loaded| loaded.id.to_string()).collect()
}

/// A version that was named is the one that answers, or nobody does.
fn check_version(wanted: &str, answers: Option<&str>, row: usize) -> Result<(), Problem> {
    if wanted.is_empty() || answers == Some(wanted) {
        return Ok(());
    }
    let problem = match answers {
        Some(version) => {
            let why = format!(
                "version {version} answers customer_id[{row}], and not version {wanted}: name none, and \
                 read in the output model_version who did"
            );
            Problem::new(Code::Conflict, why)
        }
        None => Problem::new(Code::Busy, format!("version {wanted} gave no answer in time")),
    };
    Err(problem.at("model_version"))
}

/// The version that answered all of them; empty where several did, or the rule of thumb.
fn version_of(answers: &[Answer]) -> String {
    let version = answers.first().and_then(|answer| answer.model.clone());
    let same = answers.iter().all(|answer| answer.model == version);
    version.filter(|_| same).map_or(String::new(), |version| version.to_string())
}

impl Server {
    async fn model(
        &self,
        account: &str,
        name: &str,
        version: &str,
    ) -> Result<Arc<Serving>, Problem> {
        if name != MODEL {
            return Err(unknown());
        }
        let serving = self.value.serving(account).await.map_err(common::failed)?;
        if !version.is_empty() && !versions(&serving).iter().any(|known| known == version) {
            return Err(unknown());
        }
        Ok(serving)
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Server {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.value.ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let account = common::account(&self.value, request.metadata().as_ref(), None)?.into_owned();
        let ModelReadyRequest { name, version } = request.into_inner();
        let ready = match self.model(&account, &name, &version).await {
            Ok(_) => self.value.ready(),
            Err(problem) if problem.code() == Code::UnknownModel => false,
            Err(problem) => return Err(problem.into()),
        };
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: "kiki".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let account = common::account(&self.value, request.metadata().as_ref(), None)?.into_owned();
        let ModelMetadataRequest { name, version } = request.into_inner();
        let serving = self.model(&account, &name, &version).await?;
        let tensor = |name: &str, datatype: &str| TensorMetadata {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![-1],
        };
        let mut outputs: Vec<TensorMetadata> =
            OUTPUTS.iter().map(|(name, _)| tensor(name, "FP64")).collect();
        outputs.extend(["status", "model_version"].map(|name| tensor(name, "BYTES")));
        Ok(Response::new(ModelMetadataResponse {
            name: MODEL.to_owned(),
            versions: versions(&serving),
            platform: "kiki".to_owned(),
            inputs: vec![
                tensor("customer_id", "BYTES"),
                tensor("spend", "FP64"),
                tensor("engagement_score", "FP64"),
            ],
            outputs,
        }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let account = common::account(&self.value, request.metadata().as_ref(), None)?.into_owned();
        let request = request.into_inner();
        let version = request.model_version.as_str();
        let serving = self.model(&account, &request.model_name, version).await?;
        let inputs = Inputs::new(&request)?;
        let customers = inputs.texts("customer_id")?;
        let spend = inputs.numbers("spend", customers.len())?;
        let engagement = inputs.numbers("engagement_score", customers.len())?;
        let at = |column: &Option<Vec<f64>>, row: usize| column.as_ref()?.get(row).copied();
        let mut asks = Vec::with_capacity(customers.len());
        for (row, customer) in customers.into_iter().enumerate() {
            common::check_customer("customer_id", &customer)?;
            let (loaded, ..) = serving.choose(&customer);
            check_version(version, loaded.map(|loaded| &*loaded.id), row)?;
            let hint = common::hint(at(&spend, row), at(&engagement, row))?;
            asks.push(Ask { hint, ..Ask::of(customer) });
        }
        let answers = self.value.predict_many(&account, asks).await;
        let answers: Vec<Answer> = answers
            .into_iter()
            .map(|(_, answer)| answer)
            .collect::<Result<_, _>>()
            .map_err(common::failed)?;
        for (row, answer) in answers.iter().enumerate() {
            // a promotion may have come in between, or nobody answered in time
            check_version(version, answer.model.as_deref(), row)?;
        }
        let wanted = |name: &str| {
            request.outputs.is_empty() || request.outputs.iter().any(|o| o.name == name)
        };
        let mut outputs: Vec<_> = OUTPUTS
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, of)| of_numbers(name, answers.iter().map(of).collect()))
            .collect();
        let status = |answer: &Answer| metrics::status_name(answer.forecast.status).to_owned();
        let model =
            |answer: &Answer| answer.model.as_ref().map_or(String::new(), ToString::to_string);
        if wanted("status") {
            outputs.push(of_texts("status", answers.iter().map(status).collect()));
        }
        if wanted("model_version") {
            outputs.push(of_texts("model_version", answers.iter().map(model).collect()));
        }
        Ok(Response::new(ModelInferResponse {
            model_name: MODEL.to_owned(),
            model_version: version_of(&answers),
            id: request.id,
            outputs,
            ..ModelInferResponse::default()
        }))
    }
}
