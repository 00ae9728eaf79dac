//! A model of one network, 40-64-32-3, in a data directory, and the same network for a peer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use kiki::actors::kernel::{KernelConfig, Registry};
use kiki::actors::shield::{Shield, vault};
use kiki::actors::value::customer::{NewPurchase, PurchaseId};
use kiki::actors::value::fit::Fitted;
use kiki::actors::value::registry::sha256;
use kiki::actors::value::{Value, today};
use kiki::config::{Loader, master_key};
use kiki::connectors::redis::Redis;
use kiki::models::value::forecast::customer::{Customer, Input, Purchase, merged};
use kiki::models::value::forecast::model::ValueModel;
use kiki::models::value::forecast::terms::FitTerms;
use kiki::models::value::learned::fit::Learned;
use kiki::models::value::learned::ziln::ZeroInflatedLogNormal;
use kiki::models::value::log::day::Day;
use kiki::models::value::log::format::Format;
use kiki::models::value::log::rows::Rows;
use kiki::models::value::metrics::pairs::Pairs;
use kiki::models::value::metrics::scores::Scores;
use kiki::models::value::registry::command::{Command, Reason};
use kiki::models::value::registry::version::{Fingerprint, Kind, Version, VersionId};
use kiki::store::Store;
use serde_json::{Value as Json, json};

use super::Args;

/// Days that the network foretells. The servers are asked for the same.
pub const HORIZON_DAYS: u32 = 91;

/// The sample, its last day moved to yesterday.
fn customers(path: &Path) -> Vec<Customer> {
    let bytes = std::fs::read(path).expect("a log");
    let last = Day::any("1998-06-30").expect("a day");
    let moved = today().number() - 1 - last.number();
    let mut all: BTreeMap<Box<str>, Vec<Purchase>> = BTreeMap::new();
    for row in Rows::new(&bytes[..], Format::CdnowSample, today()) {
        let row = row.expect("readable").expect("a purchase");
        let day = Day::new(row.day.number() + moved).expect("a day");
        let of = all.entry(row.customer).or_default();
        of.push(Purchase { day, micros: row.amount });
    }
    let customer = |(id, of)| Customer { id, purchases: merged(of) };
    all.into_iter().map(customer).collect()
}

/// A file of safetensors: its header, and where the data begins.
fn header(bytes: &[u8]) -> (Json, usize) {
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a length");
    let length = usize::try_from(u64::from_le_bytes(*length)).expect("a length");
    (serde_json::from_slice(&rest[..length]).expect("a header"), 8 + length)
}

/// The bytes of a model's first network, and the model with that one alone.
fn alone(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut head, data) = header(bytes);
    let ends = head["net.0"]["data_offsets"].clone();
    let at = |end: usize| usize::try_from(ends[end].as_u64().expect("a place")).expect("a place");
    let net = bytes[data + at(0)..data + at(1)].to_vec();
    head["net.0"]["data_offsets"] = json!([0, net.len()]);
    head.as_object_mut()
        .expect("a header")
        .retain(|name, _| matches!(name.as_str(), "net.0" | "__metadata__"));
    let mut text = head.to_string();
    // The data begins at a multiple of eight.
    text.extend(std::iter::repeat_n(' ', (8 - text.len() % 8) % 8));
    let whole = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &net].concat();
    (net, whole)
}

fn spent(of: &Customer, after: Day) -> f64 {
    let after = of.purchases.iter().filter(|p| p.day > after);
    after.map(|p| p.micros as f64 / 1e6).sum()
}

/// The model that serves: fitted on all but the last days, and judged by those.
fn fit(customers: &[Customer]) -> (Fitted, Vec<u8>) {
    let cut = Day::new(today().number() - 1 - HORIZON_DAYS as i32).expect("a day");
    let mut terms = FitTerms::new(Kind::Ziln, cut, HORIZON_DAYS);
    terms.learn.hidden = [64, 32];
    terms.learn.ensemble = 1;
    let begun = Instant::now();
    let (model, report) = ValueModel::fit(customers, &terms, &mut |_| {}).expect("a model");
    let (net, bytes) = alone(&model.to_bytes().expect("bytes"));
    let model = ValueModel::from_bytes(&bytes).expect("the same model with one network");
    let bytes = model.to_bytes().expect("bytes");
    let known: Vec<&Customer> =
        customers.iter().filter(|of| of.purchases.first().is_some_and(|p| p.day <= cut)).collect();
    let inputs: Vec<Input<'_>> =
        known.iter().map(|of| Input { purchases: &of.purchases, as_of: cut }).collect();
    let predicted: Vec<f64> =
        model.predict(&inputs, HORIZON_DAYS).iter().map(|forecast| forecast.value).collect();
    let actual: Vec<f64> = known.iter().map(|of| spent(of, cut)).collect();
    let scores = Scores::of(Pairs::new(&actual, &predicted).expect("pairs"));
    let print = |text: &str| Fingerprint::try_from(sha256(text.as_bytes())).expect("a fingerprint");
    let version = Version {
        id: VersionId::try_from("ziln-40-64-32-3".to_owned()).expect("a name"),
        kind: Kind::Ziln,
        created_us: kiki::clock::wall_us(),
        data: print(&format!("{customers:?}")),
        holdout: print(&format!("{cut} {customers:?}")),
        parameters: Fingerprint::try_from(sha256(&bytes)).expect("a fingerprint"),
        scores,
        rival: None,
    };
    let report = json!({ "cut": cut, "end": today().number() - 1, "horizon_days": HORIZON_DAYS,
        "customers": customers.len(), "seconds": begun.elapsed().as_secs_f64(), "fit": report });
    (Fitted { version, horizon_days: HORIZON_DAYS, model, bytes, report }, net)
}

/// What a peer needs: the network, what it is asked of each customer, and how its answer is read.
fn export(out: &Path, customers: &[Customer], model: &ValueModel, net: &[u8]) {
    let learned = Learned::from_safetensors(net).expect("a network");
    let inputs: Vec<Input<'_>> =
        customers.iter().map(|of| Input { purchases: &of.purchases, as_of: today() }).collect();
    let (member, rows) = learned.dense_part(&inputs).expect("a member");
    let unit = learned.facts().target_unit;
    let logits = member.logits_of(&rows);
    let mean = |[odds, mu, raw]: [f64; 3]| {
        ZeroInflatedLogNormal::from_logits([odds, mu + unit.ln(), raw]).mean()
    };
    let answers = model.predict(&inputs, HORIZON_DAYS);
    let factors: Vec<f64> =
        answers.iter().zip(&logits).map(|(of, logits)| of.value / mean(*logits)).collect();
    let factor = factors[0];
    let off = factors.iter().map(|of| (of / factor - 1.0).abs()).fold(0.0, f64::max);
    assert!(off < 1e-9, "what the server says is the network's mean times a constant: {off}");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(out.join(name), bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    let little = |numbers: &[f32]| -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    };
    let told: Vec<f32> = logits.iter().flatten().map(|x| *x as f32).collect();
    write("network.safetensors", net);
    write("inputs.f32", &little(&rows));
    write("logits.f32", &little(&told));
    let ids: Vec<&str> = customers.iter().map(|of| &*of.id).collect();
    write("customers.txt", (ids.join("\n") + "\n").as_bytes());
    let how = json!({ "target_unit": unit, "factor": factor, "horizon_days": HORIZON_DAYS,
        "width": rows.len() / customers.len() });
    write("reading.json", how.to_string().as_bytes());
}

pub async fn run(args: &Args) {
    let (data, out) = (args.text("data-dir"), Path::new(args.text("out")));
    std::fs::create_dir_all(data).expect("a folder");
    std::fs::create_dir_all(out).expect("a folder");
    let customers = customers(Path::new(args.text("transactions")));
    let (fitted, net) = fit(&customers);
    export(out, &customers, &fitted.model, &net);
    let config = Loader::new().flag("store.data_dir", data, "--data-dir").load();
    let config = config.expect("a configuration").config;
    let store = Store::open(config.store.opening()).await.expect("a store");
    let sealed = vault::is_sealed(&store).await.expect("a store");
    let master = master_key(&config, sealed).expect("a key");
    let registry = Registry::new(KernelConfig { chaos_enabled: false });
    let patience = config.server.request_timeout_ms.duration();
    let terms = kiki::cli::up::terms(&config);
    let committer = config.store.committer();
    let shield = Shield::start(&registry, store.clone(), terms, master, committer, patience);
    let shield = shield.await.expect("syncshield");
    let terms = kiki::cli::up::value_terms(&config);
    let account = terms.default_account.clone();
    let value = Value::start(&registry, shield.clone(), terms, Redis::default()).await;
    let value = value.expect("syncvalue");
    let mut id = 0;
    for customer in &customers {
        let purchase = |of: &Purchase| {
            id += 1;
            let (id, amount) = (PurchaseId(id), of.micros);
            NewPurchase { id, reference: None, day: of.day, amount, currency: None }
        };
        let rows = customer.purchases.iter().map(purchase).collect();
        value.import(&account, &customer.id, rows).await.expect("taken");
    }
    let by = || Reason::try_from("peers".to_owned()).expect("a reason");
    let scores = fitted.version.scores;
    value.register(&account, fitted, true, by()).await.expect("registered");
    value.order(&account, Command::Promote { force: None }, by()).await.expect("promoted");
    value.drain(patience).await;
    shield.drain(patience).await;
    registry.shutdown(patience).await;
    store.close().await;
    println!(
        "{} customers, normalised Gini {:.3} and decile MAPE {:.3} on the last {HORIZON_DAYS} days",
        customers.len(),
        scores.normalised_gini.unwrap_or_default(),
        scores.decile_mape,
    );
}
