//! Campaigns of SyncFlow as their users see them: over REST and gRPC, with their budgets in SyncShield; and
//! as exchanges do, the hostile among them.

#[path = "campaigns/actual.rs"]
mod actual;
#[path = "campaigns/counted.rs"]
mod counted;
#[path = "campaigns/dialect.rs"]
mod dialect;
#[path = "campaigns/grpc.rs"]
mod grpc;
#[path = "campaigns/grpc_doors.rs"]
mod grpc_doors;
#[path = "campaigns/harness.rs"]
mod harness;
#[path = "campaigns/hostile.rs"]
mod hostile;
#[path = "campaigns/life.rs"]
mod life;
#[path = "campaigns/many.rs"]
mod many;
#[path = "campaigns/money.rs"]
mod money;
#[path = "campaigns/notices.rs"]
mod notices;
#[path = "campaigns/trail.rs"]
mod trail;
#[path = "campaigns/trail_lost.rs"]
mod trail_lost;
#[path = "campaigns/trail_sampled.rs"]
mod trail_sampled;
