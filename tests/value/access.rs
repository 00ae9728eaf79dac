//! Who may ask over gRPC, where callers have to say who they are. Over REST see tests/access.

use kiki::api::grpc::pb::LtvRequest;
use kiki::api::grpc::pb::ltv_service_client::LtvServiceClient;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Api, api};

async fn ask(api: &Api, metadata: &[(&'static str, &str)]) -> Result<(), Status> {
    let customer_id = "c".to_owned();
    let request = LtvRequest { customer_id, spend: Some(1.0), engagement_score: Some(0.5) };
    let mut request = Request::new(request);
    for (name, value) in metadata {
        let value: AsciiMetadataValue = MetadataValue::try_from(*value).expect("text");
        request.metadata_mut().insert(*name, value);
    }
    LtvServiceClient::new(api.channel.clone()).predict_ltv(request).await.map(|_| ())
}

#[tokio::test]
async fn a_call_needs_a_good_key_with_the_right_and_the_account() {
    let api = api(&[("auth.mode", "required")]).await;
    let code = |result: Result<(), Status>| result.expect_err("refused").code();
    assert_eq!(code(ask(&api, &[]).await), Code::Unauthenticated);
    assert_eq!(code(ask(&api, &[("x-api-key", "kiki_wrong")]).await), Code::Unauthenticated);
    let viewer = api.key("viewer", &["*"]).await;
    ask(&api, &[("x-api-key", &viewer)]).await.expect("an answer");
    let bearer = format!("Bearer {viewer}");
    ask(&api, &[("authorization", &bearer)]).await.expect("an answer");
    let both = [("authorization", &*bearer), ("x-api-key", &*viewer)];
    assert_eq!(code(ask(&api, &both).await), Code::InvalidArgument, "one of them");
    let acme = api.key("admin", &["value:acme"]).await;
    let named = [("x-api-key", &*acme), ("x-account", "default")];
    assert_eq!(code(ask(&api, &named).await), Code::PermissionDenied);
    let own = [("x-api-key", &*acme)];
    assert_eq!(code(ask(&api, &own).await), Code::NotFound, "acme is no account yet");
    let other = api.key("admin", &["shield"]).await;
    assert_eq!(code(ask(&api, &[("x-api-key", &other)]).await), Code::PermissionDenied);
}

#[tokio::test]
async fn health_is_told_without_a_key_and_nothing_that_is_not_in_the_table() {
    let api = api(&[("auth.mode", "required")]).await;
    let mut health = HealthClient::new(api.channel.clone());
    health.check(HealthCheckRequest::default()).await.expect("told");
    // A method that no service has.
    let mut grpc = tonic::client::Grpc::new(api.channel.clone());
    grpc.ready().await.expect("ready");
    let path = axum::http::uri::PathAndQuery::from_static("/pb.LTVService/Nothing");
    let codec = tonic_prost::ProstCodec::<LtvRequest, LtvRequest>::default();
    let refused = grpc.unary(Request::new(LtvRequest::default()), path, codec).await;
    assert_eq!(refused.expect_err("refused").code(), Code::Unauthenticated);
}
