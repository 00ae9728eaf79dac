//! The server's certificates while it runs: loaded, taken anew, and watched for their end. Those of links between nodes are
//! loaded and taken anew where the links are, and watched here.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::actors::cluster::Links;
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

    /// Takes the files anew when they change or SIGHUP comes, and watches their end and that of links. Without TLS,
    /// SIGHUP does nothing, and does not end the process.
    ///
    /// # Errors
    /// SIGHUP cannot be listened to.
    pub fn watch(
        &self,
        tasks: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
        links: &Links,
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
            let ends_us = move || Some(tls.expires_us());
            tasks.spawn(watch_end("services", ends_us, stop.clone()));
        }
        let links = links.clone();
        tasks.spawn(watch_end("links", move || links.certificate_ends_us(), stop.clone()));
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

/// Shows how long a certificate is still good, and complains when that is short; ends where there is none.
async fn watch_end(
    of: &'static str,
    ends_us: impl Fn() -> Option<i64>,
    mut stop: watch::Receiver<bool>,
) {
    let mut told_us = None;
    while let Some(ends_us) = ends_us() {
        let now = clock::wall_us();
        let left = ends_us.saturating_sub(now);
        metrics::gauge!(TLS_CERTIFICATE_EXPIRY, "of" => of).set((left / 1_000_000) as f64);
        let again = told_us.is_none_or(|told: i64| now.saturating_sub(told) >= DAY_US);
        if left > WARN_BEFORE_US {
            told_us = None;
        } else if again {
            told_us = Some(now);
            let days = left.div_euclid(DAY_US);
            tracing::warn!(days, "TLS of {of}: the certificate ends soon, renew it in its file");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
