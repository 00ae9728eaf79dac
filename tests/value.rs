//! SyncValue as its users see it: over REST and gRPC, with its models fitted on CDNOW's sample.

#[path = "value/access.rs"]
mod access;
#[path = "value/asked.rs"]
mod asked;
#[path = "value/bad_input.rs"]
mod bad_input;
#[path = "value/elsewhere.rs"]
mod elsewhere;
#[path = "value/erasure.rs"]
mod erasure;
#[path = "value/experiments.rs"]
mod experiments;
#[path = "value/grpc.rs"]
mod grpc;
#[path = "value/harness.rs"]
mod harness;
#[path = "value/mlflow.rs"]
mod mlflow;
#[path = "value/models.rs"]
mod models;
#[path = "value/outcomes.rs"]
mod outcomes;
#[path = "value/redis.rs"]
mod redis;
#[path = "value/streams.rs"]
mod streams;
#[path = "value/tracking_server.rs"]
mod tracking_server;
#[path = "value/transactions.rs"]
mod transactions;
