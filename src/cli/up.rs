//! `kiki up`: every service in one process.

// It panics where nobody reads what is said.
#![deny(clippy::print_stdout)]

mod listeners;
mod secrets;
mod settings;

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::listeners::{Listeners, announce};
pub use self::settings::{flow_terms, terms, value_terms};
use self::settings::{links, node};
use super::certificates::Certificates;
use super::config_args::ConfigArgs;
use super::exit::{CliError, CliResult};
use super::{fresh, front_door};
use crate::access::Door;
use crate::actors::cluster::Cluster;
use crate::actors::flow::{Flow, FlowTerms};
use crate::actors::kernel::{KernelConfig, Registry};
use crate::actors::shield::audit::AuditWitness;
use crate::actors::shield::{Shield, vault};
use crate::actors::value::Value;
use crate::api::shield::{App, Front, TokenKeys};
use crate::config::{Config, Loaded, master_key, token_secret};
use crate::connectors::redis::Redis;
use crate::models::shield::seal::MasterKey;
use crate::store::{ServerLock, Store};
use crate::telemetry::{self, Collector};

/// How often the metrics' histograms are tidied.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long an orderly end may take to give the lease back: where the database is away, the next start waits for it.
const LEAVE: Duration = Duration::from_secs(2);
/// Why a process ends whose node was given up by others.
const LOST: &str = "this process stood still, or the database was out of reach, for longer than its lease, and another kiki has taken its place";
/// After the order to stop, requests are still taken for a moment, so that whoever balances load can
/// notice that this process is not ready.
const LINGER: Duration = Duration::from_millis(100);
/// How long a node may take to hand its shards over to others.
const HAND_OVER: Duration = Duration::from_secs(20);
/// The same, where it never served: there is little to bring to rest.
const HAND_OVER_UNSERVED: Duration = Duration::from_secs(5);
/// An order to stop is carried out in this time, and what runs on threads of its own has 5 s more (see
/// [`super::exit::block_on`]): a minute in all, unless longer times are configured.
const END: Duration = Duration::from_secs(54);

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

    // What needs no network is looked at first: a mistake in it is told at once, and the database stays as it is.
    let certificates = Certificates::load(&config.server).map_err(CliError::usage)?;
    if let Some(links) = links(&config) {
        links.check().map_err(|e| CliError::usage(format!("cluster: {e}")))?;
    }
    let collector = config.telemetry.collector();
    let collector = collector.map(|terms| Collector::new(&terms)).transpose();
    let collector = collector.map_err(|e| CliError::failed(format!("telemetry: {e}")))?;
    let redis = Redis::connect(&config.redis).map_err(CliError::failed)?;
    let listeners = Listeners::bind(&config).await?;
    let store = Store::open(config.store.opening()).await.map_err(CliError::failed)?;
    let metrics = metrics.await.map_err(CliError::failed)?.map_err(CliError::failed)?;
    // The master key first: where it is missing, nothing is to look as if it were a secret of this store.
    let sealed = vault::is_sealed(&store).await.map_err(CliError::failed)?;
    let master = master_key(&config, sealed).map_err(CliError::failed)?;
    let secret = token_secret(&config).map_err(CliError::failed)?;
    let flow_terms = flow_terms(&config, &secret)?;
    let witness = AuditWitness::default();
    let door = front_door::door(&config, &store, &redis).await?;
    let door = Arc::new(door.with_witness(Arc::new(witness.clone())));
    let registry = Registry::new(KernelConfig { chaos_enabled: config.chaos.enabled });
    let cluster = Cluster::open(&registry, store.clone(), node(&config)).await;
    let cluster = cluster.map_err(|e| CliError::failed(format!("cluster: {e}")))?;
    let host = Host {
        began,
        config,
        certificates,
        store,
        metrics,
        redis,
        registry,
        cluster,
        door,
        witness,
        stop: watch::channel(false).0,
        end_export: watch::channel(false).0,
    };
    let mut begun = Begun::default();
    let means = Means { listeners, collector, master, secret, flow_terms };
    let outcome = host.live(means, &mut begun).await;
    host.end(begun, &outcome).await;
    drop(lock);
    outcome
}

/// What this process is made of, from before it joins to its end.
struct Host {
    began: Instant,
    config: Config,
    certificates: Certificates,
    store: Store,
    metrics: PrometheusHandle,
    redis: Redis,
    registry: Registry,
    cluster: Cluster,
    door: Arc<Door>,
    witness: AuditWitness,
    /// Nothing new is taken any more.
    stop: watch::Sender<bool>,
    /// What the requests of the last moment did is sent, too: this ends behind them.
    end_export: watch::Sender<bool>,
}

/// What a start uses up.
struct Means {
    listeners: Listeners,
    collector: Option<Collector>,
    master: MasterKey,
    secret: Vec<u8>,
    flow_terms: FlowTerms,
}

/// What has begun by now. However far a start came, this is ended in order.
#[derive(Default)]
struct Begun {
    shield: Option<Shield>,
    value: Option<Value>,
    flow: Option<Flow>,
    /// Answers other nodes' requests to the end.
    app: Option<Arc<App>>,
    tasks: JoinSet<()>,
    exporting: JoinSet<()>,
}

impl Host {
    /// Joins, starts everything, and serves until it is told to stop.
    async fn live(&self, means: Means, begun: &mut Begun) -> CliResult {
        // Listened for once: between two listeners a signal would be nobody's.
        let signal = signal();
        tokio::pin!(signal);
        tokio::select! {
            joined = self.cluster.join() => {
                joined.map_err(|e| CliError::failed(format!("cluster: {e}")))?;
            }
            // Whoever waits for another's lease can be told not to.
            told = &mut signal => return told.map_err(CliError::failed),
        }
        self.start(means, begun).await?;
        let placement = self.cluster.placement();
        tokio::select! {
            told = &mut signal => told.map_err(CliError::failed),
            // An operator has told this node to hand everything over and end: the same.
            () = placement.orders().stopped() => Ok(()),
            // What is in memory is of a life that is over: the next start reads what is true.
            () = placement.lost() => Err(CliError::failed(LOST)),
        }
    }

    async fn start(&self, means: Means, begun: &mut Begun) -> CliResult {
        let Means { listeners, collector, master, secret, flow_terms } = means;
        let (config, registry, door) = (&self.config, &self.registry, &self.door);
        secrets::look(&self.store, self.cluster.placement().incarnation(), &secret).await?;
        let shield = Shield::start_on(
            registry,
            self.store.clone(),
            terms(config),
            master,
            config.store.committer(),
            config.server.request_timeout_ms.duration(),
            Arc::clone(self.cluster.placement()),
        )
        .await
        .map_err(|e| CliError::failed(format!("syncshield: {e}")))?;
        begun.shield = Some(shield.clone());
        self.witness.begin(shield.clone());
        let app = Arc::new(App {
            shield: shield.clone(),
            tokens: TokenKeys::open(&shield, secret).await.map_err(CliError::failed)?,
            metrics: self.metrics.clone(),
            redis: self.redis.clone(),
            registry: registry.clone(),
            door: Arc::clone(door),
            body_max: config.server.body_limit_bytes,
            verifying: tokio::sync::Mutex::new(()),
            front: Front {
                tls: !config.server.tls_cert_file.as_os_str().is_empty(),
                loopback_only: config.server.bind.is_loopback(),
            },
        });
        begun.app = Some(Arc::clone(&app));

        let redis = self.redis.clone();
        let value = Value::start(registry, shield.clone(), value_terms(config), redis)
            .await
            .map_err(|e| CliError::failed(format!("syncvalue: {e}")))?;
        begun.value = Some(value.clone());

        let flow = Flow::start(registry, shield.clone(), value.clone(), flow_terms)
            .await
            .map_err(|e| CliError::failed(format!("syncflow: {e}")))?;
        begun.flow = Some(flow.clone());

        let stopped = self.stop.subscribe();
        let tasks = &mut begun.tasks;
        *tasks = listeners.serve(config, &app, (&value, &flow), &self.certificates, &stopped)?;
        self.certificates
            .watch(tasks, &stopped, self.cluster.placement().links())
            .map_err(CliError::failed)?;
        if let Some(collector) = collector {
            let (registry, metrics) = (registry.clone(), self.metrics.clone());
            collector.start(&mut begun.exporting, &self.end_export.subscribe(), move || {
                registry.publish_metrics();
                metrics.render()
            });
        }
        let mut until = stopped.clone();
        let (tended, followed) = (Arc::clone(door), Arc::clone(&app));
        tasks.spawn(async move {
            tokio::select! {
                () = tended.tend() => {}
                () = fresh::follow(&followed) => {}
                _ = until.wait_for(|stop| *stop) => {}
            }
        });
        let metrics = self.metrics.clone();
        tasks.spawn(async move {
            let mut stopped = stopped;
            loop {
                metrics.run_upkeep();
                if tokio::time::timeout(UPKEEP, stopped.changed()).await.is_ok() {
                    return;
                }
            }
        });
        announce(config, &shield, door, self.began.elapsed());
        tracing::info!(port = config.server.grpc_addr().port(), "syncvalue: Online");
        Ok(())
    }

    /// Ends what has begun, and leaves the cluster: whoever goes without that lets others wait for its lease's end.
    async fn end(self, mut begun: Begun, outcome: &CliResult) {
        let Host { config, registry, cluster, store, redis, stop, end_export, .. } = self;
        if outcome.is_err() && cluster.placement().is_lost() {
            // Others have its shards already, and what is here is of before: nothing of it may be written.
            return;
        }
        let served = !begun.tasks.is_empty();
        if served && outcome.is_ok() {
            say(format_args!("stopping: finishing what runs"));
        }
        cluster.placement().begin_leaving();
        registry.end_event_streams();
        let among_others = config.cluster.has_links();
        let linger = if among_others { config.server.drain_linger_ms.duration() } else { LINGER };
        let grace = config.server.drain_grace_ms.duration();
        // Requests, what makes bids and values, and budgets have a grace period each; what comes late has less.
        let all = END.max(linger + grace * 3 + HAND_OVER + LEAVE);
        let by = Instant::now() + all;
        let left = |most: Duration| most.min(by.saturating_duration_since(Instant::now()));
        if served {
            tokio::time::sleep(linger).await;
        }
        // Nobody is left to be told when every listener has ended by itself.
        let _ = stop.send(true);
        while begun.tasks.join_next().await.is_some() {}
        if among_others {
            // What is here of each shard comes to rest, and another node takes it up: until then this one answers
            // for it over its links.
            cluster.hand_over(left(if served { HAND_OVER } else { HAND_OVER_UNSERVED })).await;
        }
        let handed_over = Instant::now();
        if let Some(flow) = &begun.flow {
            flow.drain(left(grace)).await;
        }
        if let Some(value) = &begun.value {
            value.drain(left(grace.saturating_sub(handed_over.elapsed()))).await;
        }
        if let Some(shield) = &begun.shield {
            shield.drain(left(grace)).await;
        }
        if among_others && served {
            // Until all have seen where its shards are now, somebody may ask here: who is told so asks there.
            let unseen = cluster.seen_within().saturating_sub(handed_over.elapsed());
            tokio::time::sleep(left(unseen)).await;
        }
        cluster.leave(LEAVE).await;
        let rest = async {
            registry.shutdown(grace).await;
            let _ = end_export.send(true);
            while begun.exporting.join_next().await.is_some() {}
            store.close().await;
            redis.close().await;
        };
        if tokio::time::timeout(left(all).max(LEAVE), rest).await.is_err() {
            tracing::warn!("not everything has come to its end in time");
        }
        if served && outcome.is_ok() {
            say(format_args!("stopped"));
        }
    }
}

/// Says a line on standard output.
fn say(line: Arguments<'_>) {
    // Who read it may have gone: a node serves, and hands its shards over, also where nobody is told.
    let _ = writeln!(io::stdout(), "{line}");
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
