//! The cost of the kernel: asks through it beside asks of a bare ractor actor, and authorisations
//! through a budget's actor beside asks of an empty one, as interleaved rounds in one process.

use std::time::{Duration, Instant};

use crate::report::{Bar, PAIRS, figure, ratios};
use kiki::actors::kernel::{Actor, Cx, Fault, Handle, KernelConfig, Registry, Reply};
use kiki::actors::shield::audit::AuditTerms;
use kiki::actors::shield::webhooks::HookTerms;
use kiki::actors::shield::{BudgetName, Shield, ShieldTerms};
use kiki::models::access::retry::Schedule;
use kiki::models::shield::ask::Order;
use kiki::models::shield::entry::Op;
use kiki::models::shield::hold::UNKEYED;
use kiki::models::shield::limits::Limits;
use kiki::models::shield::money::{Currency, Micros};
use kiki::models::shield::seal::MasterKey;
use kiki::models::shield::terms::{Terms, WindowCap};
use kiki::store::{CommitterTerms, Store, StoreConfig};
use ractor::{ActorProcessingErr, ActorRef, RpcReplyPort};

const ASKS: u32 = 300_000;

struct Bare;

struct Get(RpcReplyPort<u64>);

impl ractor::Actor for Bare {
    type Msg = Get;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Get>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Get>,
        Get(reply): Get,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        *count += 1;
        let _ = reply.send(*count);
        Ok(())
    }
}

struct Counter(u64);

impl Actor for Counter {
    type Msg = Reply<u64>;
    type View = u64;
    const TYPE: &'static str = "counter";

    async fn handle(&mut self, reply: Reply<u64>, _: &mut Cx<Self>) -> Result<(), Fault> {
        self.0 += 1;
        reply.send(self.0);
        Ok(())
    }

    fn view(&self) -> u64 {
        self.0
    }
}

/// Asks per second of `callers` tasks that ask one actor one after the other.
async fn rate<F>(callers: u32, ask: impl Fn() -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(ask())).collect();
    for task in tasks {
        task.await.expect("a caller");
    }
    f64::from(ASKS) / begun.elapsed().as_secs_f64()
}

async fn bare_rate(actor: &ActorRef<Get>, callers: u32) -> f64 {
    rate(callers, || {
        let actor = actor.clone();
        async move {
            for _ in 0..ASKS / callers {
                actor.call(Get, None).await.expect("a running actor").expect("an answer");
            }
        }
    })
    .await
}

async fn kernel_rate(handle: &Handle<Reply<u64>>, callers: u32) -> f64 {
    rate(callers, || {
        let handle = handle.clone();
        async move {
            for _ in 0..ASKS / callers {
                handle.ask(Duration::from_secs(1), |reply| reply).await.expect("an answer");
            }
        }
    })
    .await
}

/// Authorisations per second; the holds expire by themselves.
async fn authorise_rate(shield: &Shield, name: &BudgetName, callers: u32) -> f64 {
    rate(callers, || {
        let (shield, name) = (shield.clone(), name.clone());
        async move {
            for _ in 0..ASKS / callers {
                let operation = (Op(rand::random()), UNKEYED);
                let asked =
                    shield.authorise(&name, operation, Micros(1), None, Some(100_000), None);
                asked.await.expect("an answer");
            }
        }
    })
    .await
}

/// SyncShield in this process on an embedded store, with one campaign that may spend anything.
async fn shield(registry: &Registry, dir: &std::path::Path) -> (Shield, BudgetName) {
    let store = Store::open(StoreConfig::sqlite(dir)).await.expect("the store opens");
    let dollar: Currency = "USD".parse().expect("a currency");
    let plenty = Micros(1_000_000_000_000_000);
    let terms = ShieldTerms {
        limits: Limits { grace_us: 10_000, holds_max: 10_000_000, ..Limits::default() },
        window: WindowCap { amount: plenty, length_us: 60_000_000 },
        default_account: "default".into(),
        default_currency: dollar,
        hold_ttl_us: 100_000,
        idle_after: Duration::from_secs(300),
        resident_max: 10_000,
        mailbox_max: 1_024,
        audit: AuditTerms {
            dir: dir.to_owned(),
            retention_us: i64::MAX,
            verify_every: Duration::from_secs(86_400),
        },
        webhooks: HookTerms {
            allow_private: false,
            patience: Duration::from_secs(5),
            schedule: Schedule::default(),
        },
    };
    let patience = Duration::from_secs(10);
    let master = MasterKey::new([7; 32]).expect("a key");
    let shield = Shield::start(registry, store, terms, master, CommitterTerms::default(), patience);
    let shield = shield.await.expect("the service starts");
    let name = BudgetName::campaign("default", "camp_000001");
    let order = Order::Allocate(Terms::campaign(dollar, plenty));
    shield.order(&name, Op(1), 0, order).await.expect("an allocation");
    (shield, name)
}

pub async fn run() {
    let command = "cargo bench --bench figures -- kernel";
    let (bare, _) = ractor::Actor::spawn(None, Bare, ()).await.expect("a bare actor");
    let registry = Registry::new(KernelConfig::default());
    let service = registry.service("bench").start().expect("a service");
    let handle = service.supervisor().child("counter").start(|| Counter(0)).expect("an actor");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (shield, name) = shield(&registry, dir.path()).await;
    for callers in [1, 16] {
        bare_rate(&bare, callers).await;
        kernel_rate(&handle, callers).await;
        authorise_rate(&shield, &name, callers).await;
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for pair in 0..PAIRS {
            for turn in 0..3 {
                // Each goes first as often as another.
                let who = (pair + turn) % 3;
                rates[who].push(match who {
                    0 => bare_rate(&bare, callers).await,
                    1 => kernel_rate(&handle, callers).await,
                    _ => authorise_rate(&shield, &name, callers).await,
                });
            }
        }
        let [bares, kernels, authorised] = rates;
        let of =
            |text: &str| format!("{text}, {callers} caller{}", if callers == 1 { "" } else { "s" });
        let told = |text: &str, values: &[f64]| {
            figure(&of(text), values, "/s", Bar::Told, command);
        };
        told("asks of a bare ractor actor", &bares);
        told("asks through the kernel", &kernels);
        told("authorisations through the budget's actor", &authorised);
        let share = ratios(&kernels, &bares);
        figure(&of("kernel ask beside bare ask, rate"), &share, "x", Bar::AtLeast(0.75), command);
        let more: Vec<f64> =
            authorised.iter().zip(&kernels).map(|(a, k)| 1e6 / a - 1e6 / k).collect();
        let text = of("authorise through the actor, beyond a kernel ask");
        figure(&text, &more, " µs", Bar::AtMost(1.5), command);
    }
}
