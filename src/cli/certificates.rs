//! The server's certificates while it runs: loaded, taken anew, and watched for their end.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::tls::{ClientAuth, Tls, TlsError, TlsTerms, watch_files};
use crate::clock;
use crate::config::Server;
use crate::metrics_names::TLS_CERTIFICATE_EXPIRY;

/// How often the end of the certificate is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// So long before its end a certificate is complained about, and this often.
const WARN_BEFORE_US: i64 = 14 * DAY_US;
const DAY_US: i64 = 86_400_000_000;

/// TLS of the listeners; empty where none is configured.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    services: Option<Tls>,
    health: Option<Tls>,
}

impl Certificates {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// A file cannot be used: the error names it and says why.
    pub fn load(server: &Server) -> Result<Self, TlsError> {
        // From now on a SIGHUP does not end the process, however early it comes.
        drop(signal(SignalKind::hangup()));
        let Some(terms) = server.tls() else { return Ok(Self::default()) };
        // Whoever watches over the process has no certificate.
        let plain =
            TlsTerms { client_ca_file: None, client_auth: ClientAuth::None, ..terms.clone() };
        let asked = terms.client_auth != ClientAuth::None;
        let services = Tls::load(terms)?;
        let health = if asked { Tls::load(plain)? } else { services.clone() };
        Ok(Self { services: Some(services), health: Some(health) })
    }

    /// What services and the admin API are served with.
    pub fn services(&self) -> Option<Tls> {
        self.services.clone()
    }

    /// What the health port is served with: it asks nobody for a certificate.
    pub fn health(&self) -> Option<Tls> {
        self.health.clone()
    }

    /// Takes the files anew when they change or SIGHUP comes, and watches their end. Without TLS,
    /// SIGHUP does nothing, and does not end the process.
    ///
    /// # Errors
    /// SIGHUP cannot be listened to.
    pub fn watch(
        &self,
        tasks: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let mut hangups = signal(SignalKind::hangup())?;
        let all: Vec<Tls> = match (&self.services, &self.health) {
            (Some(one), Some(other)) if !one.same(other) => vec![one.clone(), other.clone()],
            (one, _) => one.iter().cloned().collect(),
        };
        for tls in &all {
            tasks.spawn(watch_files(tls.clone(), stop.clone()));
        }
        if let Some(tls) = self.services.clone() {
            tasks.spawn(watch_end(tls, stop.clone()));
        }
        let mut stop = stop.clone();
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = hangups.recv() => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
                tracing::info!(certificates = all.len(), "SIGHUP: certificates are taken anew");
                all.iter().for_each(Tls::ask_reload);
            }
        });
        Ok(())
    }
}

/// Shows how long the certificate is still good, and complains when that is short.
async fn watch_end(tls: Tls, mut stop: watch::Receiver<bool>) {
    let gauge = metrics::gauge!(TLS_CERTIFICATE_EXPIRY);
    let mut told_us = None;
    loop {
        let now = clock::wall_us();
        let left = tls.expires_us().saturating_sub(now);
        gauge.set((left / 1_000_000) as f64);
        let again = told_us.is_none_or(|told: i64| now.saturating_sub(told) >= DAY_US);
        if left > WARN_BEFORE_US {
            told_us = None;
        } else if again {
            told_us = Some(now);
            let days = left.div_euclid(DAY_US);
            tracing::warn!(days, "the TLS certificate ends soon: renew it in its file");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
