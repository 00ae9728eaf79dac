//! The cost of the kernel: asks through it beside asks of a bare ractor actor, as interleaved
//! pairs in one process. `cargo bench --bench kernel`; the last line is JSON.

use std::time::{Duration, Instant};

use kiki::actors::kernel::{Actor, Cx, Fault, Handle, KernelConfig, Registry, Reply};
use ractor::{ActorProcessingErr, ActorRef, RpcReplyPort};

const PAIRS: usize = 11;
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

fn middle(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

async fn compare() -> Vec<serde_json::Value> {
    let (bare, _) = ractor::Actor::spawn(None, Bare, ()).await.expect("a bare actor");
    let registry = Registry::new(KernelConfig::default());
    let service = registry.service("bench").start().expect("a service");
    let handle = service.supervisor().child("counter").start(|| Counter(0)).expect("an actor");
    let mut figures = Vec::new();
    for callers in [1, 16] {
        bare_rate(&bare, callers).await;
        kernel_rate(&handle, callers).await;
        let pairs = 0..PAIRS;
        let (mut bares, mut kernels, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for pair in pairs {
            // Each goes first as often as second.
            let (b, k) = if pair % 2 == 0 {
                let b = bare_rate(&bare, callers).await;
                (b, kernel_rate(&handle, callers).await)
            } else {
                let k = kernel_rate(&handle, callers).await;
                (bare_rate(&bare, callers).await, k)
            };
            bares.push(b);
            kernels.push(k);
            ratios.push(k / b);
        }
        let ((_, bare, _), (_, kernel, _), (min, median, max)) =
            (middle(bares), middle(kernels), middle(ratios));
        figures.push(serde_json::json!({
            "callers": callers, "pairs": PAIRS, "bare_per_s": bare.round(), "kernel_per_s": kernel.round(),
            "ratio_min": min, "ratio_median": median, "ratio_max": max,
        }));
    }
    figures
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let figures = runtime
        .expect("a runtime")
        .block_on(async { tokio::spawn(compare()).await.expect("figures") });
    println!("callers   bare asks/s   kernel asks/s   ratio min   median   max");
    for f in &figures {
        let n = |key: &str| f[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "{:>7}   {:>11.0}   {:>13.0}   {:>9.3}   {:>6.3}   {:.3}",
            n("callers"),
            n("bare_per_s"),
            n("kernel_per_s"),
            n("ratio_min"),
            n("ratio_median"),
            n("ratio_max")
        );
    }
    println!("{}", serde_json::json!({ "bench": "kernel", "bar_ratio": 0.75, "figures": figures }));
}
