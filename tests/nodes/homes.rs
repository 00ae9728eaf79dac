//! Who is asked elsewhere than at the home of an account: models are promoted there, and people's requests made.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kiki::models::shield::money::Micros;
use kiki::models::value::log::day::Day;
use kiki::models::value::log::format::Format;
use kiki::models::value::log::rows::Rows;
use serde_json::{Value, json};

use crate::common::{Server, client};
use crate::lab::Lab;

const SAMPLE: &[u8] = include_bytes!("../data/cdnow_sample.txt");
/// Every so manieth customer of it.
const NTH: u64 = 8;
/// A promotion is seen by all nodes within this.
const SEEN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
const SHIELD: u16 = 8081;
const FLOW: u16 = 8082;
const VALUE: u16 = 8087;

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn get(node: &Server, port: u16, path: &str) -> Value {
    let url = format!("http://127.0.0.1:{}{path}", port + node.offset);
    let (status, answer) = answer(client().get(&url)).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn post(node: &Server, port: u16, path: &str, body: &Value) -> Value {
    let url = format!("http://127.0.0.1:{}{path}", port + node.offset);
    let request = client().post(&url).header("content-type", "application/json");
    let (status, answer) = answer(request.body(body.to_string())).await;
    assert!(matches!(status, 200..=204), "{path}: {status} {answer}");
    answer
}

/// More purchases than a request may have that is passed on whole: how many rows.
fn large() -> (String, usize) {
    let mut file = "customer_id,date,amount\n".to_owned();
    let mut rows = 0;
    while file.len() <= 5 << 20 {
        file.push_str(&format!("large-{}-{},2026-01-02,1\n", rows % 100, "x".repeat(200)));
        rows += 1;
    }
    (file, rows)
}

/// A part of CDNOW's sample as CSV, its last day moved to yesterday; and its first customers.
fn sample() -> (String, Vec<String>) {
    let today = kiki::actors::value::today();
    let moved = today.number() - 1 - Day::any("1998-06-30").expect("a day").number();
    let (mut file, mut customers) = ("customer_id,date,amount\n".to_owned(), Vec::new());
    for row in Rows::new(SAMPLE, Format::CdnowSample, today) {
        let row = row.expect("readable").expect("a purchase");
        if row.customer.parse::<u64>().expect("a number").is_multiple_of(NTH) {
            let day = Day::new(row.day.number() + moved).expect("a day");
            file.push_str(&format!("{},{day},{}\n", row.customer, Micros(row.amount).display_2()));
            customers.push(row.customer.to_string());
        }
    }
    customers.dedup();
    (file, customers)
}

/// Who answered a question about a customer: when it was asked, at which node, and the version.
type Heard = (Instant, usize, Value);

/// Questions at all nodes, without end.
struct Questions {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<Heard>>>,
    callers: tokio::task::JoinSet<()>,
}

impl Questions {
    fn begin(lab: &Lab, customers: &[String]) -> Questions {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut callers = tokio::task::JoinSet::new();
        for (at, node) in lab.nodes.iter().enumerate() {
            let url = format!("http://127.0.0.1:{}/api/v1/ltv/predict", VALUE + node.offset);
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            let (heard, customers) = (Arc::clone(&heard), customers.to_owned());
            callers.spawn(async move {
                let http = client();
                for n in 0.. {
                    if stop.load(SeqCst) {
                        break;
                    }
                    let body = json!({"customer_id": customers[n % customers.len()]}).to_string();
                    let request = http.post(&url).header("content-type", "application/json");
                    let since = Instant::now();
                    let (status, forecast) = answer(request.body(body)).await;
                    assert_eq!(
                        (status, &forecast["status"]),
                        (200, &json!("success")),
                        "{forecast}"
                    );
                    let model = forecast["model_version"].clone();
                    heard.lock().expect("not poisoned").push((since, at, model));
                    asked.fetch_add(1, SeqCst);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
        Questions { stop, asked, heard, callers }
    }

    /// Goes on for longer than a change may take to be seen; whatever is asked after that time is answered by
    /// this version, at every node.
    async fn change(&self, since: Instant, model: &str) {
        tokio::time::sleep_until((since + SEEN + Duration::from_millis(500)).into()).await;
        let mut heard = self.heard.lock().expect("not poisoned");
        let all = std::mem::take(&mut *heard);
        for at in 0..3 {
            let own: Vec<_> = all.iter().filter(|(_, of, _)| *of == at).collect();
            let last_old = own.iter().rev().find(|(.., of)| *of != model);
            let took = last_old.map(|(asked, ..)| asked.saturating_duration_since(since));
            println!("node {at}: the last answer of another version {took:?} after the change");
            assert!(took.is_none_or(|took| took <= SEEN), "{took:?} at node {at}");
            let after = own.iter().filter(|(asked, ..)| *asked > since + SEEN).count();
            assert!(after >= 5, "{after} questions at node {at}");
        }
    }

    async fn end(mut self) -> usize {
        self.stop.store(true, SeqCst);
        while let Some(done) = self.callers.join_next().await {
            done.expect("every question is answered");
        }
        self.asked.load(SeqCst)
    }
}

/// A fit that is ordered at one node and looked at on another.
async fn fit(order: &Server, look: &Server, kind: &str) -> String {
    let body = json!({"model": kind, "horizon_days": 273});
    let fit = post(order, VALUE, "/api/v1/ltv/fits", &body).await;
    let path = format!("/api/v1/ltv/fits/{}", fit["id"].as_str().expect("an id"));
    let began = Instant::now();
    loop {
        let fit = get(look, VALUE, &path).await;
        if fit["ended_at"].is_string() {
            assert_eq!(fit["state"], "done", "{fit}");
            return fit["model"].as_str().expect("a version").to_owned();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{fit}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What all nodes say of it, which has to be the same.
async fn everywhere(lab: &Lab, port: u16, path: &str, what: impl Fn(&Value) -> Value) -> Value {
    let mut all = Vec::new();
    for node in &lab.nodes {
        all.push(what(&get(node, port, path).await));
    }
    assert!(all.iter().all(|one| *one == all[0]), "{path}: {all:?}");
    all.swap_remove(0)
}

/// A request of a person, made at one node and looked at on all until it is done: whoever is asked then says so.
async fn request(lab: &Lab, at: usize, customer: &str, kind: &str) -> Value {
    let body = json!({"customer_id": customer, "request_type": kind});
    let made = post(&lab.nodes[at], SHIELD, "/dsr/create", &body).await;
    let path = format!("/api/v1/dsr/{}", made["id"].as_str().expect("an id"));
    let began = Instant::now();
    for n in at.. {
        let seen = get(&lab.nodes[n % 3], SHIELD, &path).await;
        assert_eq!((&seen["id"], &seen["request_type"]), (&made["id"], &json!(kind)));
        if seen["status"] == "completed" {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{kind} of {customer} took {:?}", began.elapsed());
    let listed = everywhere(lab, SHIELD, "/api/v1/dsr", |page| {
        let of = |it: &&Value| it["id"] == made["id"];
        page["requests"].as_array().and_then(|all| all.iter().find(of)).expect("it")["status"]
            .clone()
    });
    assert_eq!(listed.await, "completed");
    everywhere(lab, SHIELD, &path, Value::clone).await
}

/// The package of a request, at a node: its files.
async fn package(node: &Server, path: &str) -> Option<BTreeMap<String, String>> {
    let answer = client().get(node.url(path)).send().await.expect("an answer");
    if answer.status() == 404 {
        return None;
    }
    assert_eq!(answer.status(), 200, "{path}");
    let bytes = answer.bytes().await.expect("a body");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let files = (0..archive.len()).map(|at| {
        let mut file = archive.by_index(at).expect("a file");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("text");
        (file.name().expect("a name").into_owned(), text)
    });
    Some(files.collect())
}

const DECISIONS: &str = "/api/v1/campaigns/worth/decisions?kind=bid&limit=1000";

/// Bids for a customer that are recorded as such; asked for at all nodes.
async fn bids_for(lab: &Lab, customer: &str) -> Vec<Value> {
    let began = Instant::now();
    for turn in 0.. {
        for (at, node) in lab.nodes.iter().enumerate() {
            let ask = json!({
                "id": format!("{customer}-{turn}-{at}"), "at": 2, "tmax": 5_000, "cur": ["USD"],
                "regs": {"gdpr": 0}, "user": {"id": "u", "buyeruid": customer},
                "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.01}],
                "site": {"id": "s", "domain": "news.example"},
                "device": {"geo": {"country": "USA"}},
            });
            post(node, FLOW, "/openrtb2/bid", &ask).await;
        }
        let known = known(lab, turn % 3, customer).await;
        if known.len() >= 3 {
            return known;
        }
        assert!(began.elapsed() < PATIENCE, "{known:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!("it is asked for ever")
}

/// The bids of which this node knows that they were made for the customer.
async fn known(lab: &Lab, at: usize, customer: &str) -> Vec<Value> {
    let page = get(&lab.nodes[at], FLOW, DECISIONS).await;
    let all = page["decisions"].as_array().expect("decisions");
    let of = |it: &&Value| {
        let auction = it["auction"].as_str().unwrap_or_default();
        auction.starts_with(&format!("{customer}-")) && !it["actual"].is_null()
    };
    all.iter().filter(of).map(|it| it["id"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_promoted_and_people_erased_at_nodes_that_are_not_their_accounts_home() {
    let Some(lab) = Lab::open("homes", 3, &["shield.window_cap=1000000"]).await else { return };
    let home = lab.account_home().await;
    let (away, third) = ((home + 1) % 3, (home + 2) % 3);
    let (file, customers) = sample();
    let url =
        format!("http://127.0.0.1:{}/api/v1/ltv/transactions", VALUE + lab.nodes[away].offset);
    let csv = client().post(&url).header("content-type", "text/csv").body(file);
    let (status, told) = answer(csv).await;
    assert_eq!((status, &told["rejected"]), (200, &json!(0)), "{told}");
    assert!(told["imported"].as_u64() > Some(500), "{told}");
    models(&lab, away, third, &customers).await;
    // After the fits, which they would make slow.
    let (file, rows) = large();
    let began = Instant::now();
    for _ in 0..2 {
        let csv = client().post(&url).header("content-type", "text/csv").body(file.clone());
        let (status, told) = answer(csv.header("idempotency-key", "large")).await;
        assert_eq!((status, &told["imported"]), (200, &json!(rows)), "{told}");
    }
    println!("{rows} purchases, twice with one key, took {:?}", began.elapsed());
    people(&lab, away, third, &customers).await;
    lab.close().await;
}

async fn models(lab: &Lab, away: usize, third: usize, customers: &[String]) {
    let (at_away, at_third) = (&lab.nodes[away], &lab.nodes[third]);
    let promote = |model: &str| format!("/api/v1/ltv/models/{model}/promote");
    let first = fit(at_third, at_away, "bg-nbd").await;
    post(at_away, VALUE, &promote(&first), &json!({})).await;
    let second = fit(at_away, at_third, "mbg-nbd").await;
    tokio::time::sleep(SEEN).await;
    let questions = Questions::begin(lab, customers);
    questions.change(Instant::now(), &first).await;
    let force = json!({"force": true, "reason": "the test wants to see it"});
    let done = post(at_third, VALUE, &promote(&second), &force).await;
    let since = Instant::now();
    assert_eq!(done["champion"], json!(second), "{done}");
    questions.change(since, &second).await;
    let done =
        post(at_away, VALUE, "/api/v1/ltv/rollback", &json!({"reason": "it is worse"})).await;
    let since = Instant::now();
    assert_eq!(done["champion"], json!(first), "{done}");
    questions.change(since, &first).await;
    let asked = questions.end().await;
    println!("{asked} questions");
    assert!(asked > 300, "{asked}");
    let history = everywhere(lab, VALUE, "/api/v1/ltv/registry", Value::clone).await;
    for part in ["promoted", "rolled_back", "it is worse"] {
        assert!(history.to_string().contains(part), "{history}");
    }
}

async fn people(lab: &Lab, away: usize, third: usize, customers: &[String]) {
    let worth = json!({
        "id": "worth", "name": "Winter boots", "advertiser_domain": "acme.example",
        "currency": "USD", "budget": {"amount": 1_000_000},
        "strategy": {"target_value": {"conversion_rate": 0.0001, "unknown_ltv": 40}},
        "creatives": [{"id": "a", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"}],
    });
    post(&lab.nodes[away], FLOW, "/api/v1/campaigns", &worth).await;
    post(&lab.nodes[third], FLOW, "/api/v1/campaigns/worth/start", &Value::Null).await;
    let (ann, bob) = (&*customers[0], &*customers[1]);
    for customer in [ann, bob] {
        for (node, kind) in lab.nodes.iter().zip(["targeting", "marketing", "analytics"]) {
            let grant = json!({"customer_id": customer, "consent_type": kind, "source": "web",
                "legal_basis": "consent"});
            post(node, SHIELD, "/consent/grant", &grant).await;
        }
        let row = json!({"customer_id": customer, "date": "2026-01-02", "amount": 12.5,
            "transaction_id": format!("order-{customer}")});
        let rows = json!({"transactions": [row]});
        post(&lab.nodes[third], VALUE, "/api/v1/ltv/transactions", &rows).await;
    }
    let allowed = |who: &str| format!("/api/v1/consent/check?customer_id={who}&type=targeting");
    let bought = |who: &str| format!("/api/v1/ltv/customers/{who}");
    let (of_ann, of_bob) = (bids_for(lab, ann).await, bids_for(lab, bob).await);
    for who in [ann, bob] {
        let yes = everywhere(lab, SHIELD, &allowed(who), |it| it["allowed"].clone()).await;
        let many = everywhere(lab, VALUE, &bought(who), |it| it["purchases"].clone()).await;
        assert_eq!((yes, many.as_u64() > Some(1)), (json!(true), true), "{many}");
    }

    let copy = request(lab, away, ann, "ACCESS").await;
    for table in ["consent", "ltv_purchase", "flow_reach"] {
        assert!(copy["rows"][table].as_u64() > Some(0), "{table}: {copy}");
    }
    let path = copy["package"].as_str().expect("a package");
    let mut packages = Vec::new();
    for node in &lab.nodes {
        packages.push(package(node, path).await.expect("a package"));
    }
    assert!(packages.iter().all(|one| *one == packages[0]), "{:?}", packages[0].keys());
    assert!(packages[0].len() > 6, "{:?}", packages[0].keys());
    assert!(packages[0]["data/person.json"].contains(ann));

    let gone = request(lab, third, ann, "DELETION").await;
    for table in ["consent", "ltv_purchase", "flow_reach"] {
        assert!(gone["rows"][table].as_u64() > Some(0), "{table}: {gone}");
    }
    // At once, whoever is asked.
    let no = everywhere(lab, SHIELD, &allowed(ann), |it| it["allowed"].clone()).await;
    let none = everywhere(lab, VALUE, &bought(ann), |it| it["purchases"].clone()).await;
    assert_eq!((no, none), (json!(false), json!(0)));
    let ask = json!({"customer_id": ann});
    for (at, node) in lab.nodes.iter().enumerate() {
        assert_eq!(package(node, path).await, None, "node {at} has the package still");
        let forecast = post(node, VALUE, "/api/v1/ltv/predict", &ask).await;
        assert_eq!(forecast["status"], "insufficient_data", "node {at}: {forecast}");
        assert!(known(lab, at, ann).await.is_empty(), "node {at} knows who was bid for");
        let others = known(lab, at, bob).await;
        assert!(of_bob.iter().all(|id| others.contains(id)), "node {at}: {others:?}");
        let page = get(node, FLOW, DECISIONS).await;
        let ids: Vec<_> = page["decisions"].as_array().expect("decisions").iter().collect();
        let stays = |id: &Value| ids.iter().any(|it| it["id"] == *id);
        assert!(of_ann.iter().all(stays), "why it was bid stays");
    }
    let person = copy["person"].as_str().expect("an id");
    for table in
        ["consent", "attribute", "ltv_customer", "ltv_purchase", "ltv_forecast", "flow_reach"]
    {
        let left =
            format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table} WHERE person = '{person}'");
        assert_eq!(lab.number(&left).await, 0, "{table}");
    }
    let yes = everywhere(lab, SHIELD, &allowed(bob), |it| it["allowed"].clone()).await;
    let many = everywhere(lab, VALUE, &bought(bob), |it| it["purchases"].clone()).await;
    assert_eq!((yes, many.as_u64() > Some(1)), (json!(true), true), "{many}");
}
