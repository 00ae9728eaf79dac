//! Every gRPC service of the process, on one port: forecasts, the Open Inference Protocol, bids, health
//! and reflection.

mod front;
mod health;
mod inference;
mod ltv;
mod places;
mod question;
mod status;
mod stream;
mod syncflow;
mod syncvalue;
mod tensor;
mod vector;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::watch;
use tonic::service::Routes;
use tower::ServiceBuilder;

use super::access::{GuardLayer, Listener};
use super::gate::{self, Gate};
use crate::access::Door;
use crate::actors::value::Value;

pub use front::Deadline;
pub use health::tend;
pub use syncflow::Calls;

/// The documented interface.
pub mod pb {
    tonic::include_proto!("pb");
}

/// SyncValue's own.
pub mod v1 {
    tonic::include_proto!("syncvalue.v1");
}

/// SyncFlow's own.
pub mod flow_v1 {
    tonic::include_proto!("syncflow.v1");
}

/// The Open Inference Protocol.
pub mod oip {
    tonic::include_proto!("inference");
}

/// What reflection tells.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Limits of gRPC.
#[derive(Clone, Copy, Debug)]
pub struct GrpcTerms {
    /// The largest message, in bytes.
    pub message_max: usize,
    pub running_max: usize,
    /// How long an answer may take; a caller's own deadline may be nearer.
    pub time_max: Duration,
    /// Questions of one stream that are worked on at a time.
    pub in_flight: usize,
}

/// What handlers need.
#[derive(Clone)]
pub struct Server {
    value: Value,
    door: Arc<Door>,
    in_flight: usize,
    /// Of streams.
    places: Arc<places::Places>,
    /// Turns true when streams have to end.
    stopping: watch::Receiver<bool>,
}

/// All services, and what their health is told through. When that ends, streams do. Without `flow`,
/// SyncFlow's calls are not there.
///
/// # Errors
/// The descriptors of the interfaces cannot be read.
pub fn router(
    value: Value,
    flow: Option<Calls>,
    door: &Arc<Door>,
    terms: GrpcTerms,
) -> Result<(Router, health::Reporter), tonic_reflection::server::Error> {
    let GrpcTerms { message_max, running_max, time_max, in_flight } = terms;
    let (stop, stopping) = watch::channel(false);
    let server =
        Server { value, door: Arc::clone(door), in_flight, places: Arc::default(), stopping };
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let ltv = pb::ltv_service_server::LtvServiceServer::new(server.clone());
    let syncvalue = v1::sync_value_service_server::SyncValueServiceServer::new(server.clone());
    let inference = oip::grpc_inference_service_server::GrpcInferenceServiceServer::new(server);
    let served = flow.as_ref().map(|calls| calls.flow.clone());
    let mut routes = Routes::new(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(ltv.max_decoding_message_size(message_max))
        .add_service(
            syncvalue.max_decoding_message_size(message_max).max_encoding_message_size(message_max),
        )
        .add_service(
            inference.max_decoding_message_size(message_max).max_encoding_message_size(message_max),
        );
    if let Some(calls) = flow {
        // Answers are bounded before money is held for them: afterwards would be too late.
        let calls = Calls { answers_max: message_max, ..calls };
        let calls = flow_v1::sync_flow_service_server::SyncFlowServiceServer::new(calls);
        routes = routes.add_service(calls.max_decoding_message_size(message_max));
    }
    let gate = Gate::new("grpc", running_max, time_max);
    let gate = axum::middleware::from_fn_with_state(gate, gate::pass);
    let guard = GuardLayer::new(Arc::clone(door), Listener::Grpc);
    let front = axum::middleware::from_fn_with_state(time_max, front::pass);
    // The first is the outermost: what the others refuse is told in gRPC's own way.
    let around = ServiceBuilder::new().layer(front).layer(gate).layer(guard);
    let reporter = health::Reporter::new(reporter, served, stop);
    Ok((routes.prepare().into_axum_router().layer(around), reporter))
}
