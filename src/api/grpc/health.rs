//! Health as gRPC tells it: serving while the service can serve.

use std::time::Duration;

use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::actors::flow::Flow;
use crate::actors::value::Value;

/// How often readiness is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// The services of SyncValue.
const VALUE: [&str; 3] =
    ["pb.LTVService", "syncvalue.v1.SyncValueService", "inference.GRPCInferenceService"];
const FLOW: &str = "syncflow.v1.SyncFlowService";
/// The server as a whole: it serves while all of them do.
const WHOLE: &str = "";

/// Where health is told, and streams are told to end.
pub struct Reporter {
    health: HealthReporter,
    flow: Option<Flow>,
    stop: watch::Sender<bool>,
}

/// What serves.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ready {
    value: bool,
    flow: Option<bool>,
}

impl Reporter {
    pub(super) fn new(
        health: HealthReporter,
        flow: Option<Flow>,
        stop: watch::Sender<bool>,
    ) -> Reporter {
        Reporter { health, flow, stop }
    }

    fn look(&self, value: &Value) -> Ready {
        let flow = self.flow.as_ref().map(|flow| flow.ready() && flow.shield().ready());
        Ready { value: value.ready(), flow }
    }

    async fn say(&self, Ready { value, flow }: Ready) {
        for service in VALUE {
            self.tell(service, value).await;
        }
        if let Some(flow) = flow {
            self.tell(FLOW, flow).await;
        }
        self.tell(WHOLE, value && flow.unwrap_or(true)).await;
    }

    async fn tell(&self, service: &str, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.health.set_service_status(service, status).await;
    }
}

/// Tells of the services' health until `stop` turns true; then that they serve no more, and ends streams
/// that are open.
pub async fn tend(reporter: Reporter, value: Value, mut stop: watch::Receiver<bool>) {
    let mut told = None;
    loop {
        let ready = reporter.look(&value);
        if told != Some(ready) {
            reporter.say(ready).await;
            told = Some(ready);
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    reporter.stop.send_replace(true);
    let flow = reporter.flow.as_ref().map(|_| false);
    reporter.say(Ready { value: false, flow }).await;
}
