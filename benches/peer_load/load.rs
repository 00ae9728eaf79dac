//! The load: each connection asks the next question when it has the answer to the last.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use kiki::api::grpc::oip::grpc_inference_service_client::GrpcInferenceServiceClient;
use kiki::api::grpc::oip::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use kiki::api::grpc::oip::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use tokio::task::LocalSet;
use tonic::transport::{Channel, Endpoint};

use super::Args;

const CONNECTIONS: [usize; 2] = [1, 16];
const OUTPUT: &str = "predicted_ltv";
/// What the peer has to be beaten by at the most connections.
const RATIO_MIN: f64 = 5.0;

/// The same message for both.
fn question(customer: &str) -> ModelInferRequest {
    let bytes_contents = vec![customer.as_bytes().to_vec()];
    ModelInferRequest {
        model_name: "ltv".to_owned(),
        inputs: vec![InferInputTensor {
            name: "customer_id".to_owned(),
            datatype: "BYTES".to_owned(),
            shape: vec![1],
            contents: Some(InferTensorContents { bytes_contents, ..Default::default() }),
            ..Default::default()
        }],
        outputs: vec![InferRequestedOutputTensor { name: OUTPUT.to_owned(), ..Default::default() }],
        ..Default::default()
    }
}

fn answer(of: &ModelInferResponse) -> f64 {
    let output = of.outputs.iter().find(|output| output.name == OUTPUT).expect("the output");
    output.contents.as_ref().expect("contents").fp64_contents[0]
}

/// Of microseconds, up to a minute.
fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("a histogram")
}

struct Target {
    name: String,
    address: String,
    clients: Vec<GrpcInferenceServiceClient<Channel>>,
    /// By number of connections: requests per second of each round, and all times in µs.
    rates: Vec<Vec<f64>>,
    times: Vec<Histogram<u64>>,
}

impl Target {
    async fn new(text: &str) -> Target {
        let (name, address) = text.split_once('=').expect("NAME=HOST:PORT");
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS[1] {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
            let channel = endpoint.tcp_nodelay(true).connect().await.expect("a connection");
            clients.push(GrpcInferenceServiceClient::new(channel));
        }
        Target {
            name: name.to_owned(),
            address: address.to_owned(),
            clients,
            rates: vec![Vec::new(); CONNECTIONS.len()],
            times: vec![times(); CONNECTIONS.len()],
        }
    }

    /// Asks for a while: requests per second, and the times.
    async fn turn(&self, connections: usize, ids: &Rc<Vec<String>>, time: Duration) -> Turn {
        let (begun, tasks) = (Instant::now(), LocalSet::new());
        let asking: Vec<_> = self.clients[..connections]
            .iter()
            .enumerate()
            .map(|(at, client)| {
                let (mut client, ids) = (client.clone(), Rc::clone(ids));
                let first = at * ids.len() / connections;
                tasks.spawn_local(async move {
                    let mut times = times();
                    for id in ids.iter().cycle().skip(first) {
                        let asked = Instant::now();
                        if asked.duration_since(begun) >= time {
                            break;
                        }
                        client.model_infer(question(id)).await.expect("an answer");
                        times.saturating_record(asked.elapsed().as_micros() as u64);
                    }
                    times
                })
            })
            .collect();
        tasks.await;
        let took = begun.elapsed().as_secs_f64();
        let mut times = times();
        for asked in asking {
            times.add(asked.await.expect("no request failed")).expect("added");
        }
        Turn { rate: times.len() as f64 / took, times }
    }
}

struct Turn {
    rate: f64,
    times: Histogram<u64>,
}

fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Every customer's forecast of both: the largest difference, as a part of the larger of it and one unit.
async fn compare(targets: &[Target], ids: &[String]) -> f64 {
    let mut largest = 0.0_f64;
    for id in ids {
        let mut said = Vec::new();
        for target in targets {
            let mut client = target.clients[0].clone();
            let told = client.model_infer(question(id)).await.expect("an answer").into_inner();
            said.push(answer(&told));
        }
        let (low, high) =
            said.iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
        largest = largest.max((high - low) / high.abs().max(1.0));
    }
    largest
}

pub async fn run(args: &Args) {
    let ids = std::fs::read_to_string(args.text("customers")).expect("customers");
    let ids: Rc<Vec<String>> = Rc::new(ids.lines().map(str::to_owned).collect());
    let time = Duration::from_secs_f64(args.number("seconds"));
    let mut targets = Vec::new();
    for text in &args.plain[1..] {
        targets.push(Target::new(text).await);
    }
    assert_eq!(targets.len(), 2, "ours and the other's");
    let off = compare(&targets, &ids).await;
    println!("forecasts of {} customers: the largest difference is {off:.1e}", ids.len());
    assert!(off <= args.number("tolerance"), "both say the same");
    for target in &targets {
        println!("{} at {}", target.name, target.address);
        target.turn(CONNECTIONS[1], &ids, time.min(Duration::from_secs(2))).await;
    }
    for _ in 0..args.number("rounds") as usize {
        for (at, connections) in CONNECTIONS.into_iter().enumerate() {
            for target in &mut targets {
                let turn = target.turn(connections, &ids, time).await;
                target.rates[at].push(turn.rate);
                target.times[at].add(&turn.times).expect("added");
            }
        }
    }
    println!("\n| connections | server | requests/s (median [least–most]) | p50 | p99 |");
    println!("|---|---|---|---|---|");
    let mut missed = Vec::new();
    for (at, connections) in CONNECTIONS.into_iter().enumerate() {
        for target in &targets {
            let (rates, times) = (&target.rates[at], &target.times[at]);
            let least = rates.iter().copied().fold(f64::MAX, f64::min);
            let most = rates.iter().copied().fold(0.0, f64::max);
            println!(
                "| {connections} | {} | {:.0} [{least:.0}–{most:.0}] | {:.2} ms | {:.2} ms |",
                target.name,
                median(rates),
                times.value_at_quantile(0.5) as f64 / 1e3,
                times.value_at_quantile(0.99) as f64 / 1e3,
            );
        }
        let [ours, theirs] = &targets[..] else { unreachable!("two") };
        let p99 = |of: &Target| of.times[at].value_at_quantile(0.99) as f64;
        let rate = median(&ours.rates[at]) / median(&theirs.rates[at]);
        let late = p99(theirs) / p99(ours);
        println!("| {connections} | ratio | {rate:.1}× | | {late:.1}× |");
        if connections == CONNECTIONS[1] && (rate < RATIO_MIN || late <= 1.0) {
            missed.push(format!("{rate:.1}× the requests/s, p99 {late:.2}× as short"));
        }
    }
    assert!(missed.is_empty(), "wanted {RATIO_MIN}× and a shorter p99: {missed:?}");
}
