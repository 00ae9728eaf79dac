//! The figures of the README, as interleaved rounds in one run.
//!
//!     cargo bench --bench figures               # all of them
//!     cargo bench --bench figures -- rules      # the rule alone
//!     cargo bench --bench figures -- kernel     # asks of actors
//!     cargo bench --bench figures -- check      # HTTP beside a bare handler and a window in Redis
//!     cargo bench --bench figures -- settle     # HTTP beside the raw group commit of the same rows
//!     cargo bench --bench figures -- audit      # HTTP beside a server that keeps no audit
//!     cargo bench --bench figures -- up         # start of an empty directory, idle memory
//!     cargo bench --bench figures -- cluster    # three nodes beside one, requests passed on
//!     cargo bench --bench figures -- flow-rules # auctions decided in process
//!     cargo bench --bench figures -- flow       # bids over HTTP beside a bare handler
//!     BENCH_BESIDE=FILE cargo bench --bench figures -- beside   # beside another build of kiki
//!
//! `check` needs `KIKI_TEST_REDIS_URL` for its Redis part; `settle`, `audit` and `beside` take
//! PostgreSQL too when `KIKI_TEST_POSTGRES_URL` names a server, and `cluster` needs it.
//! `--seconds N` is the length of a round over HTTP.

#[path = "../common/mod.rs"]
mod common;

mod audit;
mod bare;
mod beside;
mod check;
mod cluster;
mod flow;
mod flow_campaigns;
mod flow_decide;
mod flow_load;
mod flow_peer;
mod flow_seed;
mod flow_world;
mod kernel;
mod load;
mod report;
mod rules;
mod settle;
mod up;

use std::time::Duration;

use tokio::runtime::Builder;

// As files that the tests of the rules share name them.
use flow_campaigns as campaigns;
use kiki::models::flow as bidding;
use kiki::models::shield::money;

fn main() {
    if std::env::var_os(load::SERVE).is_some() {
        if std::env::var_os(load::UNAUDITED).is_some() {
            kiki::actors::shield::audit::leave_out();
        }
        kiki::cli::main();
        return;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|a| a == name);
    if has("serve") {
        // As many threads as the service has.
        let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
        if let Some(at) = args.iter().position(|a| a == "flow-peer") {
            let bytes = args.get(at + 2).and_then(|text| text.parse().ok());
            let bytes = bytes.expect("the bytes of an answer");
            return runtime.block_on(flow_peer::serve(has("value"), bytes));
        }
        return runtime.block_on(bare::serve(has("redis")));
    }
    let seconds = args.iter().position(|a| a == "--seconds").and_then(|at| args.get(at + 1));
    let seconds = seconds.map_or(2.0, |text| text.parse().expect("a number of seconds"));
    let time = Duration::from_secs_f64(seconds);
    let parts = [
        "rules",
        "kernel",
        "check",
        "settle",
        "audit",
        "up",
        "cluster",
        "beside",
        "flow-rules",
        "flow",
    ];
    let all = !parts.into_iter().any(has);
    if all || has("rules") {
        rules::run();
    }
    if all || has("flow-rules") {
        flow_decide::run();
    }
    if all || has("kernel") {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async { tokio::spawn(kernel::run()).await.expect("figures") });
    }
    // The load comes from one thread: the servers have the rest of the machine.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if all || has("check") {
            check::run(time).await;
        }
        if all || has("settle") {
            settle::run(time).await;
        }
        if all || has("audit") {
            audit::run(time).await;
        }
        if all || has("up") {
            up::run().await;
        }
        if all || has("cluster") {
            cluster::run(time).await;
        }
        if all || has("flow") {
            flow::run(time).await;
        }
        if has("beside") {
            let other = std::env::var_os("BENCH_BESIDE");
            beside::run(other.expect("BENCH_BESIDE names the other program"), time).await;
        }
    });
}
