//! gRPC as a client without our interfaces sees it first (reflection, health), and then with them.

use std::time::Duration;

use futures_util::StreamExt;
use kiki::actors::kernel::FaultKind;
use kiki::api::grpc::oip::grpc_inference_service_client::GrpcInferenceServiceClient;
use kiki::api::grpc::oip::model_infer_request::InferInputTensor;
use kiki::api::grpc::oip::{
    InferTensorContents, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest,
    ServerLiveRequest, ServerReadyRequest,
};
use kiki::api::grpc::pb::LtvRequest;
use kiki::api::grpc::pb::ltv_service_client::LtvServiceClient;
use kiki::api::grpc::v1::predict_ltv_stream_response::Outcome;
use kiki::api::grpc::v1::sync_value_service_client::SyncValueServiceClient;
use kiki::api::grpc::v1::{
    Event, GetModelHealthRequest, PredictLtvBatchRequest, PredictLtvRequest, Status,
};
use serde_json::{Value, json};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha;

use crate::harness::{Api, api, sample};

fn question(customer: &str) -> PredictLtvRequest {
    PredictLtvRequest { customer_id: customer.to_owned(), ..PredictLtvRequest::default() }
}

fn ltv(spend: f64, engagement_score: f64) -> LtvRequest {
    let (spend, engagement_score) = (Some(spend), Some(engagement_score));
    LtvRequest { customer_id: "cust_123".to_owned(), spend, engagement_score }
}

async fn reflected(api: &Api, ask: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(api.channel.clone());
    let host = String::new();
    let request = ServerReflectionRequest { host, message_request: Some(ask) };
    let asked = futures_util::stream::iter([request]);
    let answers = client.server_reflection_info(asked).await.expect("a stream");
    let answer = answers.into_inner().next().await.expect("an answer").expect("no error");
    answer.message_response.expect("a message")
}

#[tokio::test]
async fn every_service_is_told_by_reflection_and_serves() {
    let api = api(&[]).await;
    let MessageResponse::ListServicesResponse(list) =
        reflected(&api, MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list");
    };
    let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    for name in [
        "grpc.health.v1.Health",
        "inference.GRPCInferenceService",
        "pb.LTVService",
        "syncvalue.v1.SyncValueService",
    ] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
        let asked = MessageRequest::FileContainingSymbol(name.to_owned());
        let file = reflected(&api, asked).await;
        assert!(matches!(file, MessageResponse::FileDescriptorResponse(_)), "{name}");
    }
    // Older clients ask by the older name.
    let mut older =
        v1alpha::server_reflection_client::ServerReflectionClient::new(api.channel.clone());
    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request =
        v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let asked = futures_util::stream::iter([request]);
    let mut answers = older.server_reflection_info(asked).await.expect("a stream").into_inner();
    assert!(answers.next().await.expect("an answer").is_ok());
    let mut health = HealthClient::new(api.channel.clone());
    for service in ["", "pb.LTVService", "syncvalue.v1.SyncValueService"] {
        let service = service.to_owned();
        let mut status = 0;
        for _ in 0..40 {
            let asked = HealthCheckRequest { service: service.clone() };
            status = health.check(asked).await.map_or(0, |answer| answer.into_inner().status);
            if status == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(status, 1, "{service} is SERVING");
    }
}

#[tokio::test]
async fn the_documented_call_answers_with_and_without_a_model() {
    let api = api(&[]).await;
    let mut client = LtvServiceClient::new(api.channel.clone());
    let answer = client.predict_ltv(ltv(500.0, 0.85)).await.expect("an answer").into_inner();
    let told: Value = serde_json::from_str(&answer.explanation).expect("json");
    assert_eq!((answer.confidence_score, &told["status"]), (0.0, &json!("fallback")));
    let of = |name: &str| told["contributions"][name].as_f64().expect("a number");
    let sum = told["baseline"].as_f64().expect("a number") + of("spend") + of("engagement_score");
    assert!((sum - answer.predicted_ltv).abs() < 1e-6);
    for (request, field) in [
        (ltv(-1.0, 0.5), "spend"),
        (ltv(f64::NAN, 0.5), "spend"),
        (ltv(1.0, 1.5), "engagement_score"),
        (LtvRequest::default(), "customer_id"),
        (LtvRequest { customer_id: "x".repeat(257), ..LtvRequest::default() }, "customer_id"),
        (LtvRequest { customer_id: "a\nb".to_owned(), ..LtvRequest::default() }, "customer_id"),
    ] {
        let refused = client.predict_ltv(request).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(field), "{refused:?}");
        assert_eq!(refused.metadata().get("kiki-code").expect("a code"), "invalid_field");
    }
    api.champion(8).await;
    let answer = client.predict_ltv(ltv(500.0, 0.85)).await.expect("an answer").into_inner();
    let told: Value = serde_json::from_str(&answer.explanation).expect("json");
    assert_eq!(told["status"], "insufficient_data", "{told}");
    assert!(told["lower_bound"].as_f64() < told["upper_bound"].as_f64(), "{told}");
}

#[tokio::test]
async fn one_many_and_a_stream_of_questions_are_answered_alike() {
    let api = api(&[]).await;
    let model = api.champion(8).await;
    let mut client = SyncValueServiceClient::new(api.channel.clone());
    let file = sample(8);
    let mut customers: Vec<&str> =
        file.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    customers.dedup();
    let requests: Vec<PredictLtvRequest> = customers.iter().map(|id| question(id)).collect();
    let batch = PredictLtvBatchRequest { requests: requests.clone() };
    let batch = client.predict_ltv_batch(batch).await.expect("answers").into_inner().responses;
    assert_eq!(batch.len(), customers.len());
    for (answer, customer) in batch.iter().zip(&customers) {
        assert_eq!((&*answer.customer_id, &*answer.model_version), (*customer, &*model));
        assert_eq!((answer.status(), answer.horizon_days), (Status::Success, 365));
        let sum: f64 = answer.contributions.iter().map(|part| part.value).sum();
        assert!((answer.baseline + sum - answer.predicted_ltv).abs() < 1e-6);
        assert!(answer.lower_bound <= answer.upper_bound && answer.currency == "USD");
    }
    let one = client.predict_ltv(requests[0].clone()).await.expect("an answer").into_inner();
    assert_eq!(one.predicted_ltv, batch[0].predicted_ltv);
    // A wrong question in a stream is told of in its place, and ends nothing.
    let mut asked = requests.clone();
    asked.insert(1, question(""));
    let answers = client.predict_ltv_stream(futures_util::stream::iter(asked)).await;
    let answers: Vec<_> = answers.expect("a stream").into_inner().collect().await;
    assert_eq!(answers.len(), requests.len() + 1);
    for (place, answer) in answers.into_iter().enumerate() {
        let answer = answer.expect("no error");
        assert_eq!(answer.index, place as u64, "in order");
        match (place, answer.outcome.expect("an outcome")) {
            (1, Outcome::Problem(problem)) => assert_eq!(problem.field, "customer_id"),
            (0, Outcome::Response(answer)) => assert_eq!(&answer, &batch[0].clone_with(&answer)),
            (_, Outcome::Response(answer)) => {
                assert_eq!(answer.predicted_ltv, batch[place - 1].predicted_ltv);
            }
            (_, Outcome::Problem(problem)) => panic!("{problem:?}"),
        }
    }
    for requests in [Vec::new(), vec![question("c"); 1_025], vec![question("c"), question("")]] {
        let batch = PredictLtvBatchRequest { requests };
        let refused = client.predict_ltv_batch(batch).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let health =
        client.get_model_health(GetModelHealthRequest {}).await.expect("health").into_inner();
    assert_eq!((health.model_version, &*health.model_kind), (model, "bg-nbd"));
    assert!(health.model_loaded && health.predictors_healthy && health.cache_hits > 0);
}

/// An answer but for how long it took.
trait But {
    fn clone_with(&self, other: &Self) -> Self;
}

impl But for kiki::api::grpc::v1::PredictLtvResponse {
    fn clone_with(&self, other: &Self) -> Self {
        Self { inference_time_us: other.inference_time_us, ..self.clone() }
    }
}

#[tokio::test]
async fn purchases_that_come_with_the_question_count_in_place_of_those_that_are_known() {
    let api = api(&[]).await;
    api.champion(8).await;
    let mut client = SyncValueServiceClient::new(api.channel.clone());
    let now = kiki::clock::wall_us() / 1_000_000;
    let bought = |days: i64, value: f64| Event {
        time: Some(prost_types::Timestamp { seconds: now - days * 86_400, nanos: 0 }),
        r#type: "purchase".to_owned(),
        value,
        source: "shop".to_owned(),
    };
    let events: Vec<Event> = (0..12).map(|month| bought(month * 30, 50.0)).collect();
    let asked = PredictLtvRequest { events, ..question("stranger") };
    let answer = client.predict_ltv(asked).await.expect("an answer").into_inner();
    assert_eq!(answer.status(), Status::Success);
    let nobody = client.predict_ltv(question("stranger")).await.expect("an answer").into_inner();
    assert_eq!(nobody.status(), Status::InsufficientData);
    assert!(answer.predicted_ltv > nobody.predicted_ltv);
    let future = PredictLtvRequest { events: vec![bought(-3, 1.0)], ..question("c") };
    let refused = client.predict_ltv(future).await.expect_err("refused");
    assert!(refused.message().contains("events[0]"), "{refused:?}");
}

#[tokio::test]
async fn the_open_inference_protocol_is_spoken() {
    let api = api(&[]).await;
    let model = api.champion(8).await;
    let mut client = GrpcInferenceServiceClient::new(api.channel.clone());
    assert!(client.server_live(ServerLiveRequest {}).await.expect("live").into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.expect("ready").into_inner().ready);
    let ready = async |name: &str, version: &str| {
        let (name, version) = (name.to_owned(), version.to_owned());
        let mut client = GrpcInferenceServiceClient::new(api.channel.clone());
        client
            .model_ready(ModelReadyRequest { name, version })
            .await
            .expect("told")
            .into_inner()
            .ready
    };
    assert!(ready("ltv", "").await && ready("ltv", &model).await);
    assert!(!ready("ltv", "none").await && !ready("other", "").await);
    let asked = ModelMetadataRequest { name: "ltv".to_owned(), version: String::new() };
    let told = client.model_metadata(asked).await.expect("metadata").into_inner();
    assert_eq!(told.versions, [model]);
    let named = |name: &str, datatype: &str| InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![2],
        ..InferInputTensor::default()
    };
    let bytes_contents = vec![b"a".to_vec(), b"b".to_vec()];
    let customers = InferTensorContents { bytes_contents, ..Default::default() };
    let spend = InferTensorContents { fp64_contents: vec![10.0, 900.0], ..Default::default() };
    let request = ModelInferRequest {
        model_name: "ltv".to_owned(),
        id: "7".to_owned(),
        inputs: vec![
            InferInputTensor { contents: Some(customers), ..named("customer_id", "BYTES") },
            InferInputTensor { contents: Some(spend), ..named("spend", "FP64") },
        ],
        ..ModelInferRequest::default()
    };
    let answer = client.model_infer(request.clone()).await.expect("an answer").into_inner();
    assert_eq!((&*answer.id, answer.outputs.len()), ("7", 8));
    for output in &answer.outputs {
        assert_eq!(output.shape, [2], "{}", output.name);
    }
    let values = answer.outputs[0].contents.as_ref().expect("contents").fp64_contents.clone();
    assert!(values.iter().all(|value| value.is_finite() && *value >= 0.0), "{values:?}");
    let other = ModelInferRequest { model_name: "other".to_owned(), ..request.clone() };
    assert_eq!(client.model_infer(other).await.expect_err("refused").code(), Code::NotFound);
    let none = ModelInferRequest { inputs: Vec::new(), ..request.clone() };
    assert_eq!(client.model_infer(none).await.expect_err("refused").code(), Code::InvalidArgument);
    let short = ModelInferRequest {
        inputs: vec![InferInputTensor { shape: vec![3], ..request.inputs[0].clone() }],
        ..request
    };
    assert_eq!(client.model_infer(short).await.expect_err("refused").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn deadlines_and_sizes_are_kept_and_what_is_not_there_is_said_so() {
    let api = api(&[("server.grpc_message_limit_bytes", "65536")]).await;
    let mut client = SyncValueServiceClient::new(api.channel.clone());
    let large = PredictLtvBatchRequest { requests: vec![question(&"x".repeat(200)); 1_000] };
    let refused = client.predict_ltv_batch(large).await.expect_err("refused");
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");
    let fault = api.fault("/value/customer/*", FaultKind::Delay { delay_ms: 2_000 });
    let mut slow = Request::new(question("slow"));
    slow.set_timeout(Duration::from_millis(100));
    let began = std::time::Instant::now();
    let refused = client.predict_ltv(slow).await.expect_err("refused");
    assert!(matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled), "{refused:?}");
    assert!(began.elapsed() < Duration::from_millis(1_500));
    let mut slow = Request::new(futures_util::stream::iter([question("slow")]));
    slow.set_timeout(Duration::from_millis(100));
    let answers = client.predict_ltv_stream(slow).await.expect("a stream").into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert!(answers.iter().any(Result::is_err), "the stream ends at its deadline");
    api.registry.clear_faults(Some(fault));
    let unknown = tonic::metadata::MetadataValue::from_static("no-such-account");
    let mut asked = Request::new(question("c"));
    asked.metadata_mut().insert("x-account", unknown);
    assert_eq!(client.predict_ltv(asked).await.expect_err("refused").code(), Code::NotFound);
}
