//! `kiki up`: every service in one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::certificates::Certificates;
use super::config_args::ConfigArgs;
use super::exit::{CliError, CliResult};
use super::{fresh, front_door};
use crate::access::Door;
use crate::actors::cluster::{Cluster, ClusterSettings, LinkSettings};
use crate::actors::flow::{Flow, FlowTerms};
use crate::actors::kernel::{KernelConfig, Registry};
use crate::actors::shield::audit::{AuditTerms, AuditWitness};
use crate::actors::shield::webhooks::HookTerms;
use crate::actors::shield::{Shield, ShieldTerms, vault};
use crate::actors::value::{Value, ValueTerms};
use crate::api::grpc::{self, GrpcTerms};
use crate::api::server::{self, Listener, Speaks};
use crate::api::shield::{App, Front, HttpTerms, TokenKeys};
use crate::api::{admin, flow, health, value};
use crate::config::{Config, Leases, Loaded, master_key, token_secret};
use crate::connectors::redis::Redis;
use crate::models::cluster::member::Identity;
use crate::models::cluster::node::{Role, Roles};
use crate::models::cluster::terms::ClusterTerms;
use crate::models::shield::terms::WindowCap;
use crate::planted::Planted;
use crate::store::{ServerLock, Store};
use crate::telemetry::{self, Collector};

/// How often the metrics' histograms are tidied.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long an orderly end may take to give the lease back: where the database is away, the next start waits for it.
const LEAVE: Duration = Duration::from_secs(2);
/// Why a process ends whose node was given up by others.
const LOST: &str = "the database was out of reach for longer than this node's lease, and another kiki has taken its place";
/// After the order to stop, requests are still taken for a moment, so that whoever balances load can
/// notice that this process is not ready.
const LINGER: Duration = Duration::from_millis(100);
/// How long a node may take to hand its shards over to others.
const HAND_OVER: Duration = Duration::from_secs(20);

/// Start every service in one process
///
/// Listens on the documented ports, keeps everything in the data directory and needs no other
/// software. Prints where things listen and "ready" when they serve. Ctrl-C or SIGTERM stops taking
/// new work, finishes what runs and exits. A second start on the same data directory is refused.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki up\n  kiki up --port-offset 100 --data-dir data-2\n  DATABASE_URL=postgres://kiki@localhost/kiki kiki up --set shield.window_cap=800"
)]
pub struct UpArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs until it is told to stop.
pub async fn run(args: UpArgs) -> CliResult {
    let Loaded { config, warnings, .. } = args.config.load()?;
    serve(config, warnings).await
}

/// Runs every service of this process until it is told to stop.
pub async fn serve(config: Config, warnings: Vec<String>) -> CliResult {
    let began = Instant::now();
    telemetry::init_logging(&config.log).map_err(CliError::failed)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    // Its clock is tuned for up to 0.2 s: beside the opening of the store.
    let metrics = tokio::task::spawn_blocking(telemetry::install_metrics);
    std::fs::create_dir_all(&config.store.data_dir)
        .map_err(|e| CliError::failed(format!("{}: {e}", config.store.data_dir.display())))?;
    let address = config.server.shield_addr().to_string();
    let lock = ServerLock::acquire(&config.store.data_dir, &address).map_err(CliError::failed)?;

    let certificates = Certificates::load(&config.server).map_err(CliError::usage)?;
    let listeners = Listeners::bind(&config).await?;
    let store = Store::open(config.store.opening()).await.map_err(CliError::failed)?;
    let metrics = metrics.await.map_err(CliError::failed)?.map_err(CliError::failed)?;
    let collector = config.telemetry.collector();
    let collector = collector.map(|terms| Collector::new(&terms)).transpose();
    let collector = collector.map_err(|e| CliError::failed(format!("telemetry: {e}")))?;
    let redis = Redis::connect(&config.redis).map_err(CliError::failed)?;
    // The master key first: where it is missing, nothing is to look as if it were a secret of this store.
    let sealed = vault::is_sealed(&store).await.map_err(CliError::failed)?;
    let master = master_key(&config, sealed).map_err(CliError::failed)?;
    let secret = token_secret(&config).map_err(CliError::failed)?;
    let flow_terms = flow_terms(&config, &secret)?;
    let witness = AuditWitness::default();
    let door = front_door::door(&config, &store, &redis).await?;
    let door = Arc::new(door.with_witness(Arc::new(witness.clone())));
    let registry = Registry::new(KernelConfig { chaos_enabled: config.chaos.enabled });
    let patience = config.server.request_timeout_ms.duration();
    // Listened for once: between two listeners a signal would be nobody's.
    let signal = signal();
    tokio::pin!(signal);
    let cluster = tokio::select! {
        cluster = Cluster::start(&registry, store.clone(), node(&config)) => {
            cluster.map_err(|e| CliError::failed(format!("cluster: {e}")))?
        }
        // Whoever waits for another's lease can be told not to.
        told = &mut signal => return told.map_err(CliError::failed),
    };
    let placement = Arc::clone(cluster.placement());
    let shield = Shield::start_on(
        &registry,
        store.clone(),
        terms(&config),
        master,
        config.store.committer(),
        patience,
        Arc::clone(&placement),
    )
    .await
    .map_err(|e| CliError::failed(format!("syncshield: {e}")))?;
    witness.begin(shield.clone());
    let app = Arc::new(App {
        shield: shield.clone(),
        tokens: TokenKeys::open(&shield, secret).await.map_err(CliError::failed)?,
        metrics: metrics.clone(),
        redis: redis.clone(),
        registry: registry.clone(),
        door: Arc::clone(&door),
        body_max: config.server.body_limit_bytes,
        verifying: tokio::sync::Mutex::new(()),
        front: Front {
            tls: !config.server.tls_cert_file.as_os_str().is_empty(),
            loopback_only: config.server.bind.is_loopback(),
        },
    });

    let value = Value::start(&registry, shield.clone(), value_terms(&config), redis.clone())
        .await
        .map_err(|e| CliError::failed(format!("syncvalue: {e}")))?;

    let flow = Flow::start(&registry, shield.clone(), value.clone(), flow_terms)
        .await
        .map_err(|e| CliError::failed(format!("syncflow: {e}")))?;

    let (stop, stopped) = watch::channel(false);
    let mut tasks = listeners.serve(&config, &app, (&value, &flow), &certificates, &stopped)?;
    certificates.watch(&mut tasks, &stopped).map_err(CliError::failed)?;
    // What the requests of the last moment did is sent, too: this ends behind them.
    let (end_export, export_ended) = watch::channel(false);
    let mut exporting = JoinSet::new();
    if let Some(collector) = collector {
        let (registry, metrics) = (registry.clone(), metrics.clone());
        collector.start(&mut exporting, &export_ended, move || {
            registry.publish_metrics();
            metrics.render()
        });
    }
    let mut until = stopped.clone();
    let tended = Arc::clone(&door);
    let followed = Arc::clone(&app);
    tasks.spawn(async move {
        tokio::select! {
            () = tended.tend() => {}
            () = fresh::follow(&followed) => {}
            _ = until.wait_for(|stop| *stop) => {}
        }
    });
    tasks.spawn(async move {
        let mut stopped = stopped;
        loop {
            metrics.run_upkeep();
            if tokio::time::timeout(UPKEEP, stopped.changed()).await.is_ok() {
                return;
            }
        }
    });
    announce(&config, &shield, &door, began.elapsed());
    tracing::info!(port = config.server.grpc_addr().port(), "syncvalue: Online");

    tokio::select! {
        told = &mut signal => told.map_err(CliError::failed)?,
        // An operator has told this node to hand everything over and end: the same.
        () = placement.orders().stopped() => {}
        // What is in memory is of a life that is over: the next start reads what is true.
        () = placement.lost() => return Err(CliError::failed(LOST)),
    }
    println!("stopping: finishing what runs");
    placement.begin_leaving();
    registry.end_event_streams();
    let among_others = config.cluster.has_links();
    let linger = if among_others { config.server.drain_linger_ms.duration() } else { LINGER };
    tokio::time::sleep(linger).await;
    // Nobody is left to be told when every listener has ended by itself.
    let _ = stop.send(true);
    while tasks.join_next().await.is_some() {}
    if among_others {
        // What is here of each shard comes to rest, and another node takes it up: until then this one answers
        // for it over its links.
        cluster.hand_over(HAND_OVER).await;
    }
    let handed_over = Instant::now();
    flow.drain(config.server.drain_grace_ms.duration()).await;
    value.drain(config.server.drain_grace_ms.duration()).await;
    shield.drain(config.server.drain_grace_ms.duration()).await;
    if among_others {
        // Until all have seen where its shards are now, somebody may ask here: who is told so asks there.
        tokio::time::sleep(cluster.seen_within().saturating_sub(handed_over.elapsed())).await;
    }
    cluster.leave(LEAVE).await;
    registry.shutdown(config.server.drain_grace_ms.duration()).await;
    let _ = end_export.send(true);
    while exporting.join_next().await.is_some() {}
    store.close().await;
    redis.close().await;
    drop(lock);
    println!("stopped");
    Ok(())
}

/// This process as a node: with links one among others, else the only one of its store.
fn node(config: &Config) -> ClusterSettings {
    let links = links(config);
    let address = links.as_ref().map(|links| links.advertise.clone());
    ClusterSettings {
        terms: match config.cluster.leases {
            Leases::Default => ClusterTerms::default(),
            Leases::Fast => ClusterTerms::fast(),
        },
        me: Identity {
            name: config.cluster.node.clone(),
            // That it is no address of links tells others that this node speaks with nobody.
            address: address.unwrap_or_else(|| {
                format!("{}://{}", config.server.scheme(), config.server.shield_addr())
            }),
            roles: Roles::ALL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        data_dir: config.store.data_dir.clone(),
        links,
    }
}

/// What links need, where this node speaks with others.
fn links(config: &Config) -> Option<LinkSettings> {
    let (cluster, server) = (&config.cluster, &config.server);
    let listen = SocketAddr::new(server.bind, cluster.link_port.saturating_add(server.port_offset));
    let advertise = match cluster.advertise.is_empty() {
        true => listen.to_string(),
        false => cluster.advertise.as_str().to_owned(),
    };
    cluster.has_links().then(|| LinkSettings {
        listen,
        advertise,
        node: cluster.node.clone(),
        ca_file: cluster.ca_file.clone(),
        cert_file: cluster.cert_file.clone(),
        key_file: cluster.key_file.clone(),
    })
}

/// SyncShield's settings.
pub fn terms(config: &Config) -> ShieldTerms {
    let shield = &config.shield;
    let length_us = shield.window_seconds.micros();
    let early = Planted::WindowReturnedEarly.is_made();
    ShieldTerms {
        limits: shield.limits(),
        window: WindowCap {
            amount: shield.window_cap,
            length_us: if early { length_us / 10 } else { length_us },
        },
        default_account: shield.default_account.clone(),
        default_currency: shield.default_currency,
        hold_ttl_us: shield.hold_ttl_s.micros(),
        idle_after: config.kernel.passivate_after_s.duration(),
        resident_max: config.kernel.resident_max,
        mailbox_max: u32::try_from(config.kernel.entity_mailbox_capacity).unwrap_or(u32::MAX),
        audit: AuditTerms {
            dir: config.audit.dir_or(&config.store.data_dir).to_owned(),
            retention_us: i64::from(config.audit.retention_days) * 86_400_000_000,
            verify_every: config.audit.verify_every_s.duration(),
        },
        webhooks: HookTerms {
            allow_private: config.webhooks.allow_private,
            patience: config.webhooks.timeout_ms.duration(),
            schedule: config.webhooks.schedule(),
        },
    }
}

/// SyncValue's settings.
pub fn value_terms(config: &Config) -> ValueTerms {
    let value = &config.value;
    ValueTerms {
        default_account: config.shield.default_account.clone(),
        horizon_days: value.horizon_days,
        predictors: value.predictors,
        batch_max: value.batch_max,
        batch_wait: value.batch_wait_ms.duration(),
        patience: value.predict_timeout_ms.duration(),
        cache_max: value.cache_max,
        cache_ttl: value.cache_ttl_s.duration(),
        outcome_grace_days: value.outcome_grace_days,
        idle_after: config.kernel.passivate_after_s.duration(),
        resident_max: config.kernel.resident_max,
        mailbox_max: u32::try_from(config.kernel.entity_mailbox_capacity).unwrap_or(u32::MAX),
        call_patience: config.server.request_timeout_ms.duration(),
        tolerance: Default::default(),
        mlflow: config.mlflow.clone(),
    }
}

/// SyncFlow's settings. Notices are signed with a key of their own, made of the secret of tokens.
pub fn flow_terms(config: &Config, secret: &[u8]) -> Result<FlowTerms, CliError> {
    let flow = &config.flow;
    let mut notice_key = zeroize::Zeroizing::new(vec![0_u8; 32]);
    hkdf::Hkdf::<sha2::Sha256>::new(None, secret)
        .expand(b"kiki flow notices", &mut notice_key)
        .map_err(CliError::failed)?;
    let base = flow.notice_base_url.trim_end_matches('/');
    let notice_base_url = match base.is_empty() {
        true => format!("{}://{}", config.server.scheme(), config.server.flow_addr()),
        false => base.to_owned(),
    };
    Ok(FlowTerms {
        default_account: config.shield.default_account.clone(),
        seat: flow.seat.clone(),
        notice_base_url,
        notice_key,
        tcf_vendor: Some(flow.tcf_vendor_id).filter(|id| *id > 0),
        complete_chain: flow.require_complete_chain,
        index_every: flow.index_every_ms.duration(),
        tmax: flow.tmax_ms.duration(),
        tmax_margin: flow.tmax_margin_ms.duration(),
        bids_max: flow.bids_max,
        hold_ttl_us: flow.hold_ttl_s.micros(),
        ltv_cache_ttl: flow.ltv_cache_ttl_s.duration(),
        ltv_cache_max: flow.ltv_cache_max,
        ltv_patience: flow.ltv_timeout_ms.duration(),
        frequency_pairs: flow.frequency_pairs,
        sample_millionths: (flow.sample_ratio.share() * 1e6).round() as u32,
        retention_us: i64::from(flow.decision_retention_days) * 86_400_000_000,
        journal_max: flow.journal_max,
        data_dir: config.store.data_dir.clone(),
        idle_after: config.kernel.passivate_after_s.duration(),
        resident_max: config.kernel.resident_max,
        mailbox_max: u32::try_from(config.kernel.entity_mailbox_capacity).unwrap_or(u32::MAX),
        call_patience: config.server.request_timeout_ms.duration(),
    })
}

/// Every socket, bound before anything is promised. A node opens the ports of its roles; that of gRPC is there for
/// SyncValue and SyncFlow.
struct Listeners {
    shield: Option<Listener>,
    health: Listener,
    admin: Listener,
    value: Option<Listener>,
    flow: Option<Listener>,
    grpc: Option<Listener>,
}

impl Listeners {
    async fn bind(config: &Config) -> Result<Listeners, CliError> {
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

    fn serve(
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

fn announce(config: &Config, shield: &Shield, door: &Door, took: Duration) {
    let server = &config.server;
    let store = match config.store.database_url.is_empty() {
        true => format!("sqlite in {}", config.store.data_dir.display()),
        false => "postgres".to_owned(),
    };
    println!("kiki {}", env!("CARGO_PKG_VERSION"));
    let scheme = server.scheme();
    let opens = config.cluster.opens();
    let open = |role: Role, name: &str, addr: SocketAddr| {
        if opens.has(role) {
            println!("  {name:<10}  {scheme}://{addr}   (docs at /docs)");
        }
    };
    open(Role::Shield, "syncshield", server.shield_addr());
    open(Role::Value, "syncvalue", server.value_addr());
    open(Role::Flow, "syncflow", server.flow_addr());
    if opens.has(Role::Value) || opens.has(Role::Flow) {
        println!("  grpc        {}", server.grpc_addr());
    }
    if let Some(links) = links(config) {
        println!("  node        {}, reached by others at {}", links.node, links.advertise);
    }
    println!("  health      {scheme}://{}/health", server.health_addr());
    println!("  admin       {scheme}://{}   (docs at /docs)", server.admin_addr());
    println!("  store       {store}");
    match door.everybody() {
        Some(_) => println!("  callers     anybody who reaches these ports"),
        None => println!("  callers     with a key or a token"),
    }
    if shield.paused_by_restore() {
        println!(
            "  spending is PAUSED by a restore: check the budgets, then POST /api/v1/restore/resume"
        );
    }
    println!("ready in {} ms", took.as_millis());
}

/// Ctrl-C or SIGTERM.
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
