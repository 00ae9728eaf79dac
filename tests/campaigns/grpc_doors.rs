//! Beside bids by gRPC: breakers, health, reflection, and who may call.

use std::time::Duration;

use axum::http::Method;
use futures_util::StreamExt;
use kiki::api::grpc::flow_v1::sync_flow_service_client::SyncFlowServiceClient;
use kiki::api::grpc::flow_v1::{
    GetBudgetStatusRequest, GetCircuitBreakerStatusRequest, PlaceBidBatchRequest,
};
use kiki::api::grpc::pb::LtvRequest;
use kiki::api::grpc::pb::ltv_service_client::LtvServiceClient;
use serde_json::{Value, json};
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::grpc::{asked, client};
use super::harness::{api, api_with, request, rich};

#[tokio::test]
async fn breakers_are_told_by_path() {
    let api = api().await;
    let mut client = client(&api);
    let mut told = async |prefix: &str| {
        let asked = GetCircuitBreakerStatusRequest { prefix: prefix.to_owned() };
        client.get_circuit_breaker_status(asked).await.expect("breakers").into_inner()
    };
    let all = told("").await;
    assert!(all.breakers.is_sorted_by(|a, b| a.path < b.path) && !all.truncated, "{all:?}");
    assert!(all.breakers.iter().all(|breaker| breaker.state != 0), "{all:?}");
    let listed = api.get("/api/v1/breakers").await.is(200);
    assert_eq!(listed["breakers"].as_array().map(Vec::len), Some(all.breakers.len()));
    assert!(told("/none").await.breakers.is_empty());
}

#[tokio::test]
async fn health_and_reflection_tell_of_the_service() {
    let api = api().await;
    let mut health = HealthClient::new(api.channel.clone());
    for service in ["", "syncflow.v1.SyncFlowService", "syncvalue.v1.SyncValueService"] {
        let mut status = 0;
        for _ in 0..100 {
            let asked = HealthCheckRequest { service: service.to_owned() };
            status = health.check(asked).await.map_or(0, |answer| answer.into_inner().status);
            if status == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(status, 1, "{service} is SERVING");
    }
    let mut reflection = ServerReflectionClient::new(api.channel.clone());
    for ask in [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("syncflow.v1.SyncFlowService".to_owned()),
    ] {
        let request =
            ServerReflectionRequest { host: String::new(), message_request: Some(ask.clone()) };
        let asked = futures_util::stream::iter([request]);
        let mut told =
            reflection.server_reflection_info(asked).await.expect("a stream").into_inner();
        let told = told.next().await.expect("an answer").expect("no error").message_response;
        match told.expect("a message") {
            MessageResponse::ListServicesResponse(list) => {
                let names: Vec<&str> = list.service.iter().map(|it| &*it.name).collect();
                assert!(names.contains(&"syncflow.v1.SyncFlowService"), "{names:?}");
            }
            MessageResponse::FileDescriptorResponse(file) => {
                assert!(!file.file_descriptor_proto.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A call with this key, and perhaps for an account.
fn with<T>(message: T, key: &str, account: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    let text = |text: &str| -> AsciiMetadataValue { MetadataValue::try_from(text).expect("text") };
    if !key.is_empty() {
        request.metadata_mut().insert("x-api-key", text(key));
    }
    if let Some(account) = account {
        request.metadata_mut().insert("x-account", text(account));
    }
    request
}

#[tokio::test]
async fn bids_need_a_role_and_the_scope_of_all_accounts_and_a_budget_its_own() {
    let api = api_with(&[("auth.mode", "required")]).await;
    let mut client = client(&api);
    let admin = api.key("admin", &["*"]).await;
    let header = [("x-api-key", &*admin)];
    let post = async |uri: &str, body| api.call(Method::POST, uri, &header, body).await;
    post("/api/v1/campaigns", rich("c", json!([]))).await.is(201);
    post("/api/v1/campaigns/c/start", Value::Null).await.is(200);
    api.awake(&header).await;

    let exchange = api.key("operator", &["flow"]).await;
    let one = asked(&request("r1"));
    let many = PlaceBidBatchRequest { requests: vec![one.clone()], atomic: true };
    let answer = client.place_bid(with(one.clone(), &exchange, None)).await.expect("an answer");
    assert_eq!(answer.into_inner().reason, "");
    client.place_bid_batch(with(many.clone(), &exchange, None)).await.expect("answers");
    for (role, scope, want) in [
        ("", "", Code::Unauthenticated),
        ("viewer", "flow", Code::PermissionDenied),
        ("operator", "value", Code::PermissionDenied),
        ("operator", "shield", Code::PermissionDenied),
        // A bid may be any account's.
        ("operator", "flow:default", Code::PermissionDenied),
    ] {
        let key = if role.is_empty() { String::new() } else { api.key(role, &[scope]).await };
        let refused = client.place_bid(with(one.clone(), &key, None)).await.expect_err("refused");
        assert_eq!(refused.code(), want, "{role} {scope}: {refused:?}");
        let refused = client.place_bid_batch(with(many.clone(), &key, None)).await;
        assert_eq!(refused.expect_err("refused").code(), want, "{role} {scope}");
        let headers = [("x-api-key", &*key)];
        let headers = if key.is_empty() { &[][..] } else { &headers[..] };
        let status = api.exchange(headers, request("r2").to_string()).await.status;
        let of_http = if want == Code::Unauthenticated { 401 } else { 403 };
        assert_eq!(status, of_http, "{role} {scope}");
    }

    let status = async |key: &str, account: Option<&str>| {
        let asked = GetBudgetStatusRequest { campaign_id: "c".to_owned() };
        let mut client = SyncFlowServiceClient::new(api.channel.clone());
        let told = client.get_budget_status(with(asked, key, account)).await;
        told.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    let own = api.key("viewer", &["flow:default"]).await;
    assert_eq!(status(&own, None).await, Code::Ok);
    assert_eq!(status(&own, Some("acme")).await, Code::PermissionDenied);
    let acme = api.key("viewer", &["flow:acme"]).await;
    assert_eq!(status(&acme, None).await, Code::NotFound, "its own has no such campaign");
    assert_eq!(status(&acme, Some("default")).await, Code::PermissionDenied);
    let value = api.key("admin", &["value"]).await;
    assert_eq!(status(&value, None).await, Code::PermissionDenied);
    assert_eq!(status("", None).await, Code::Unauthenticated);

    let breakers = GetCircuitBreakerStatusRequest::default();
    let refused = client.get_circuit_breaker_status(with(breakers.clone(), &own, None)).await;
    assert_eq!(refused.expect_err("refused").code(), Code::PermissionDenied);
    let viewer = api.key("viewer", &["flow"]).await;
    client.get_circuit_breaker_status(with(breakers, &viewer, None)).await.expect("breakers");
    // One port, and still each service has a scope of its own.
    let asked = LtvRequest { customer_id: "x".to_owned(), ..LtvRequest::default() };
    let mut ltv = LtvServiceClient::new(api.channel.clone());
    let refused = ltv.predict_ltv(with(asked.clone(), &exchange, None)).await;
    assert_eq!(refused.expect_err("refused").code(), Code::PermissionDenied);
    ltv.predict_ltv(with(asked, &value, None)).await.expect("a forecast");
    let mut health = HealthClient::new(api.channel.clone());
    health.check(HealthCheckRequest::default()).await.expect("told without a key");
}
