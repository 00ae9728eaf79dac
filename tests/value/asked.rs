//! What a question over gRPC says and what it leaves out, and which version answers it.

use kiki::api::grpc::oip::grpc_inference_service_client::GrpcInferenceServiceClient;
use kiki::api::grpc::oip::model_infer_request::InferInputTensor;
use kiki::api::grpc::oip::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use kiki::api::grpc::pb::LtvRequest;
use kiki::api::grpc::pb::ltv_service_client::LtvServiceClient;
use kiki::api::grpc::v1::sync_value_service_client::SyncValueServiceClient;
use kiki::api::grpc::v1::{Event, PredictLtvRequest, PredictLtvResponse, Status};
use serde_json::json;
use tonic::{Code, Status as GrpcStatus};

use crate::harness::{Api, api, sample};

fn question(customer: &str) -> PredictLtvRequest {
    PredictLtvRequest { customer_id: customer.to_owned(), ..PredictLtvRequest::default() }
}

fn event(kind: &str, days_ago: i64, value: f64) -> Event {
    let seconds = kiki::clock::wall_us() / 1_000_000 - days_ago * 86_400;
    let time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    Event { time, r#type: kind.to_owned(), value, source: String::new() }
}

async fn predict(api: &Api, asked: PredictLtvRequest) -> Result<PredictLtvResponse, GrpcStatus> {
    let mut client = SyncValueServiceClient::new(api.channel.clone());
    client.predict_ltv(asked).await.map(tonic::Response::into_inner)
}

fn customers() -> Vec<String> {
    let mut all: Vec<String> = sample(8)
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split(',').next()?.to_owned()))
        .collect();
    all.dedup();
    all
}

#[tokio::test]
async fn what_the_documented_call_leaves_out_is_not_known_and_is_not_nothing() {
    let api = api(&[]).await;
    let mut client = LtvServiceClient::new(api.channel.clone());
    let mut told = Vec::new();
    for (spend, engagement_score) in
        [(Some(500.0), None), (None, None), (Some(500.0), Some(0.0)), (Some(0.0), None)]
    {
        let asked = LtvRequest { customer_id: "x".to_owned(), spend, engagement_score };
        let grpc = client.predict_ltv(asked).await.expect("an answer").into_inner().predicted_ltv;
        let mut body = json!({"customer_id": "x"});
        for (field, value) in [("spend", spend), ("engagement_score", engagement_score)] {
            if let Some(value) = value {
                body[field] = json!(value);
            }
        }
        let rest = api.post("/api/v1/ltv/predict", body.clone()).await.is(200);
        let rest = rest["predicted_ltv"].as_f64().expect("a number");
        assert!((grpc - rest).abs() < 1e-6, "{body}: {grpc} is not {rest}");
        told.push(grpc);
    }
    assert!(told[0] > 0.0 && told[1] > 0.0, "{told:?}");
    assert_eq!((told[2], told[3]), (0.0, 0.0));
}

#[tokio::test]
async fn a_feature_vector_is_answered_as_the_purchases_that_it_stands_for() {
    let api = api(&[]).await;
    api.champion(8).await;
    let vector =
        [("frequency", 4.0), ("recency_days", 240.0), ("age_days", 300.0), ("mean_spend", 20.0)];
    let features = vector.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let asked = PredictLtvRequest { features, ..question("stranger") };
    let vector = predict(&api, asked.clone()).await.expect("an answer");
    let events = [300, 240, 180, 120, 60].map(|days| event("purchase", days, 20.0)).to_vec();
    let events = PredictLtvRequest { events, ..question("stranger") };
    let events = predict(&api, events).await.expect("an answer");
    assert_eq!((vector.status(), events.status()), (Status::Success, Status::Success));
    assert_eq!(vector.predicted_ltv, events.predicted_ltv);
    assert_eq!(vector.probability_active, events.probability_active);
    let nobody = predict(&api, question("stranger")).await.expect("an answer");
    assert_eq!(nobody.status(), Status::InsufficientData);

    let both = PredictLtvRequest { events: vec![event("purchase", 1, 1.0)], ..asked };
    let odd = [("frequency".to_owned(), 10.0), ("recency".to_owned(), 3.0)].into();
    let odd = PredictLtvRequest { features: odd, ..question("stranger") };
    let part = [("frequency".to_owned(), 10.0), ("age_days".to_owned(), 30.0)].into();
    let part = PredictLtvRequest { features: part, ..question("stranger") };
    for (wrong, says) in [(both, "events"), (odd, "recency"), (part, "recency_days")] {
        let refused = predict(&api, wrong).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(says), "{refused:?}");
    }
}

#[tokio::test]
async fn events_without_a_purchase_leave_the_stored_purchases_in_their_place() {
    let api = api(&[]).await;
    api.champion(8).await;
    let customer = customers().swap_remove(0);
    let plain = predict(&api, question(&customer)).await.expect("an answer");
    let events = vec![event("visit", 3, 0.0), event("login", 1, 7.0)];
    let visited = PredictLtvRequest { events, ..question(&customer) };
    let visited = predict(&api, visited).await.expect("an answer");
    assert_eq!((plain.status(), visited.status()), (Status::Success, Status::Success));
    assert_eq!(visited.predicted_ltv, plain.predicted_ltv);
}

async fn infer(
    api: &Api,
    version: &str,
    customers: &[&str],
) -> Result<ModelInferResponse, GrpcStatus> {
    let bytes_contents = customers.iter().map(|id| id.as_bytes().to_vec()).collect();
    let contents = Some(InferTensorContents { bytes_contents, ..Default::default() });
    let input = InferInputTensor {
        name: "customer_id".to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![customers.len() as i64],
        contents,
        ..InferInputTensor::default()
    };
    let request = ModelInferRequest {
        model_name: "ltv".to_owned(),
        model_version: version.to_owned(),
        inputs: vec![input],
        ..ModelInferRequest::default()
    };
    let mut client = GrpcInferenceServiceClient::new(api.channel.clone());
    client.model_infer(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_version_that_an_inference_names_answers_it_or_nobody_does() {
    let api = api(&[]).await;
    let champion = api.champion(8).await;
    let challenger = api.fit(json!({"model": "mbg-nbd", "horizon_days": 273})).await;
    let all = customers();
    let first = &*all[0];
    assert_eq!(infer(&api, "", &[first]).await.expect("an answer").model_version, champion);
    assert_eq!(infer(&api, &champion, &[first]).await.expect("an answer").model_version, champion);
    let refused = infer(&api, &challenger, &[first]).await.expect_err("it answers nobody");
    assert_eq!(refused.code(), Code::NotFound);

    api.put("/api/v1/ltv/experiments", json!({"share": 0.5})).await.is(200);
    let (mut of_champion, mut of_challenger) = (None, None);
    for customer in &all {
        match api.predict(customer).await["arm"].as_str() {
            Some("challenger") => of_challenger = Some(customer.as_str()),
            _ => of_champion = Some(customer.as_str()),
        }
        if of_champion.is_some() && of_challenger.is_some() {
            break;
        }
    }
    let (own, other) = (of_challenger.expect("somebody"), of_champion.expect("somebody"));
    let told = infer(&api, &challenger, &[own]).await.expect("an answer");
    assert_eq!(told.model_version, challenger);
    let output = told.outputs.iter().find(|output| output.name == "model_version");
    let by = output.and_then(|output| output.contents.as_ref()).expect("contents");
    assert_eq!(by.bytes_contents, [challenger.as_bytes()]);
    for (version, customers) in [(&challenger, [own, other]), (&champion, [own, other])] {
        let refused = infer(&api, version, &customers).await.expect_err("refused");
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    }
    let told = infer(&api, "", &[own, other]).await.expect("an answer");
    assert_eq!(told.model_version, "", "each output says which");
}
