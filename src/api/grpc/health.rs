//! Health as gRPC tells it: serving while the service can serve.

use std::time::Duration;

use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::actors::value::Value;

/// How often readiness is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// The services that are told of, and the server as a whole.
const SERVICES: [&str; 4] =
    ["", "pb.LTVService", "syncvalue.v1.SyncValueService", "inference.GRPCInferenceService"];

/// Where health is told, and streams are told to end.
pub struct Reporter {
    health: HealthReporter,
    stop: watch::Sender<bool>,
}

impl Reporter {
    pub(super) fn new(health: HealthReporter, stop: watch::Sender<bool>) -> Reporter {
        Reporter { health, stop }
    }

    async fn say(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES {
            self.health.set_service_status(service, status).await;
        }
    }
}

/// Tells of the service's health until `stop` turns true; then that it serves no more, and ends streams
/// that are open.
pub async fn tend(reporter: Reporter, value: Value, mut stop: watch::Receiver<bool>) {
    let mut told = None;
    loop {
        let ready = value.ready();
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
    reporter.say(false).await;
}
