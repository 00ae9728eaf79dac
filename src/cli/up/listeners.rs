//! Where this process listens, and what it says of that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::say;
use super::settings::links;
use crate::access::Door;
use crate::actors::flow::Flow;
use crate::actors::shield::Shield;
use crate::actors::value::Value;
use crate::api::grpc::{self, GrpcTerms};
use crate::api::server::{self, Listener, Speaks};
use crate::api::shield::{App, HttpTerms};
use crate::api::{admin, flow, health, value};
use crate::cli::certificates::Certificates;
use crate::cli::exit::CliError;
use crate::config::Config;
use crate::models::cluster::node::Role;

/// Every socket, bound before anything is promised. A node opens the ports of its roles; that of gRPC is there for
/// SyncValue and SyncFlow.
pub struct Listeners {
    shield: Option<Listener>,
    health: Listener,
    admin: Listener,
    value: Option<Listener>,
    flow: Option<Listener>,
    grpc: Option<Listener>,
}

impl Listeners {
    pub async fn bind(config: &Config) -> Result<Listeners, CliError> {
        let bind = async |addr| server::bind(addr).await.map_err(CliError::failed);
        let opens = config.cluster.opens();
        let bind_for = async |roles: &[Role], addr| match roles.iter().any(|r| opens.has(*r)) {
            true => bind(addr).await.map(Some),
            false => Ok(None),
        };
        Ok(Listeners {
            shield: bind_for(&[Role::Shield], config.server.shield_addr()).await?,
            health: bind(config.server.health_addr()).await?,
            admin: bind(config.server.admin_addr()).await?,
            value: bind_for(&[Role::Value], config.server.value_addr()).await?,
            flow: bind_for(&[Role::Flow], config.server.flow_addr()).await?,
            grpc: bind_for(&[Role::Value, Role::Flow], config.server.grpc_addr()).await?,
        })
    }

    pub fn serve(
        self,
        config: &Config,
        app: &Arc<App>,
        (values, flows): (&Value, &Flow),
        certificates: &Certificates,
        stopped: &watch::Receiver<bool>,
    ) -> Result<JoinSet<()>, CliError> {
        let head = config.server.header_timeout_ms.duration();
        let grace = config.server.drain_grace_ms.duration();
        let http = HttpTerms {
            running_max: config.server.concurrency_max,
            time_max: config.server.request_timeout_ms.duration(),
        };
        let mut tasks = JoinSet::new();
        let bodies = (config.server.body_limit_bytes, config.value.import_limit_bytes);
        let values_app = Arc::new(value::App::new(values.clone(), app, bodies));
        let import_time_max = config.value.import_timeout_s.duration();
        let terms = GrpcTerms {
            message_max: config.server.grpc_message_limit_bytes,
            running_max: config.server.concurrency_max,
            time_max: http.time_max,
            in_flight: config.value.stream_in_flight,
        };
        let bids = grpc::Calls::new(flows.clone(), app.registry.clone());
        let (calls, reporter) =
            grpc::router(values.clone(), Some(bids), &app.door, terms).map_err(CliError::failed)?;
        tasks.spawn(grpc::tend(reporter, values.clone(), stopped.clone()));
        let tls = || certificates.services();
        let admin = admin::listener(app.registry.clone(), config.chaos.enabled, app);
        let shield = crate::api::shield::router(Arc::clone(app), http);
        let values = value::router(values_app, http, import_time_max);
        let flows = flow::router(Arc::new(flow::App::new(flows.clone(), app)), http);
        let routers = [
            (self.shield, tls(), Speaks::Http1, shield),
            (
                Some(self.health),
                certificates.health(),
                Speaks::Http1,
                health::router(Arc::clone(app)),
            ),
            (Some(self.admin), tls(), Speaks::Http1, admin),
            (self.value, tls(), Speaks::Http1, values),
            (self.flow, tls(), Speaks::Http1, flows),
            (self.grpc, tls(), Speaks::Http2, calls),
        ];
        for (listener, tls, speaks, router) in routers {
            // Other nodes send to routes of services whose ports this one does not open, too.
            let Some(listener) = listener else { continue };
            let spoken = (speaks, router);
            tasks.spawn(server::serve(listener, spoken, tls, head, grace, stopped.clone()));
        }
        Ok(tasks)
    }
}

/// Says where everything is.
pub fn announce(config: &Config, shield: &Shield, door: &Door, took: Duration) {
    let server = &config.server;
    let store = match config.store.database_url.is_empty() {
        true => format!("sqlite in {}", config.store.data_dir.display()),
        false => "postgres".to_owned(),
    };
    say(format_args!("kiki {}", env!("CARGO_PKG_VERSION")));
    let scheme = server.scheme();
    let opens = config.cluster.opens();
    let open = |role: Role, name: &str, addr: SocketAddr| {
        if opens.has(role) {
            say(format_args!("  {name:<10}  {scheme}://{addr}   (docs at /docs)"));
        }
    };
    open(Role::Shield, "syncshield", server.shield_addr());
    open(Role::Value, "syncvalue", server.value_addr());
    open(Role::Flow, "syncflow", server.flow_addr());
    if opens.has(Role::Value) || opens.has(Role::Flow) {
        say(format_args!("  grpc        {}", server.grpc_addr()));
    }
    if let Some(links) = links(config) {
        say(format_args!("  node        {}, reached by others at {}", links.node, links.advertise));
    }
    say(format_args!("  health      {scheme}://{}/health", server.health_addr()));
    say(format_args!("  admin       {scheme}://{}   (docs at /docs)", server.admin_addr()));
    say(format_args!("  store       {store}"));
    match door.everybody() {
        Some(_) => say(format_args!("  callers     anybody who reaches these ports")),
        None => say(format_args!("  callers     with a key or a token")),
    }
    if shield.paused_by_restore() {
        say(format_args!(
            "  spending is PAUSED by a restore: check the budgets, then POST /api/v1/restore/resume"
        ));
    }
    say(format_args!("ready in {} ms", took.as_millis()));
}
