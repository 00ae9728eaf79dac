//! Spends, holds and settles at all nodes of a lab, each repeated until it is acknowledged, and what the ledger has
//! to say of them in the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::common::{Server, client};
use crate::lab::Lab;

/// Campaigns that are bid for until nothing is left, and their budget.
const TIGHT: usize = 3;
const CAP: i64 = 30;
/// Campaigns of which nobody comes to the end.
const WIDE: usize = 6;
/// An operation that is not acknowledged by then is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Load {
    shared: Arc<Shared>,
    callers: JoinSet<()>,
}

struct Shared {
    urls: Vec<String>,
    stop: AtomicBool,
    /// Each booking has an amount of its own, so that none can stand for another.
    next: AtomicU64,
    done: AtomicU64,
    put_off: AtomicU64,
    books: Mutex<Books>,
    /// A node that may refuse connections.
    away: Option<usize>,
}

#[derive(Default)]
struct Books {
    /// By campaign, what was acknowledged, in millionths.
    acknowledged: BTreeMap<String, Vec<i64>>,
    /// Answers that there should not be.
    odd: Vec<String>,
}

pub fn is_tight(campaign: &str) -> bool {
    campaign.starts_with("tight")
}

/// A budget, in a currency that is named.
pub async fn allocate(node: &Server, campaign: &str, budget: i64) {
    let body = json!({"campaign_id": campaign, "budget": budget, "currency": "USD"});
    let (status, answer) = node.post("/api/v1/allocate", &body).await;
    assert_eq!(status, 201, "{answer}");
}

impl Load {
    /// So many callers. `away`: a node that may be gone meanwhile.
    pub async fn begin(lab: &Lab, callers: usize, away: Option<usize>) -> Load {
        for n in 0..TIGHT {
            allocate(&lab.nodes[0], &format!("tight_campaign_{n}"), CAP).await;
        }
        for n in 0..WIDE {
            allocate(&lab.nodes[0], &format!("wide_campaign_{n}"), 1_000_000).await;
        }
        let shared = Arc::new(Shared {
            urls: lab.nodes.iter().map(|node| node.url("")).collect(),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(200_000),
            done: AtomicU64::new(0),
            put_off: AtomicU64::new(0),
            books: Mutex::default(),
            away,
        });
        let mut all = JoinSet::new();
        for caller in 0..callers {
            let shared = Arc::clone(&shared);
            all.spawn(async move {
                let http = client();
                let mut n = caller;
                while !shared.stop.load(Relaxed) {
                    n += 1;
                    shared.one(&http, n, &format!("{caller}-{n}")).await;
                    shared.done.fetch_add(1, Relaxed);
                }
            });
        }
        Load { shared, callers: all }
    }

    /// Waits until so many more operations are done, for so long at most; how long it took.
    pub async fn proceed(&self, operations: u64, within: Duration) -> Duration {
        let (began, before) = (Instant::now(), self.shared.done.load(Relaxed));
        while self.shared.done.load(Relaxed) < before + operations {
            let odd = self.shared.books.lock().expect("not poisoned").odd.first().cloned();
            assert!(began.elapsed() < within, "no {operations} operations in time, odd: {odd:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    /// Waits until nothing is put off any more while work goes on; how long that took.
    pub async fn calm(&self, within: Duration) -> Duration {
        let began = Instant::now();
        loop {
            let before = (began.elapsed(), self.shared.put_off.load(Relaxed));
            self.proceed(100, within).await;
            if self.shared.put_off.load(Relaxed) == before.1 {
                return before.0;
            }
            assert!(began.elapsed() < within, "operations are put off still");
        }
    }

    /// How many answers said to come again.
    pub fn put_off(&self) -> u64 {
        self.shared.put_off.load(Relaxed)
    }

    /// Answers that were neither good nor a refusal that says to come again.
    pub fn odd(&self) -> Vec<String> {
        self.shared.books.lock().expect("not poisoned").odd.clone()
    }

    /// Lets all operations come to their end. The ledger has each that was acknowledged once, and nothing else.
    pub async fn end(self, lab: &Lab) {
        self.end_beside(lab, &[]).await;
    }

    /// The same where the test has booked in other campaigns itself.
    pub async fn end_beside(mut self, lab: &Lab, others: &[&str]) {
        self.shared.stop.store(true, Relaxed);
        while let Some(done) = self.callers.join_next().await {
            done.expect("a caller");
        }
        let odd = self.odd();
        assert!(odd.is_empty(), "{} odd answers: {:?}", odd.len(), &odd[..odd.len().min(5)]);
        let mut booked: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let rows = lab.rows("SELECT budget, amount FROM ledger WHERE account = 'default'").await;
        let own = rows.into_iter().filter(|(campaign, _)| !others.contains(&&**campaign));
        for (campaign, amount) in own {
            booked.entry(campaign).or_default().push(amount);
        }
        let mut books = self.shared.books.lock().expect("not poisoned");
        for (campaign, amounts) in &mut booked {
            amounts.sort_unstable();
            let mut acknowledged = books.acknowledged.remove(campaign).unwrap_or_default();
            acknowledged.sort_unstable();
            let sum: i64 = amounts.iter().sum();
            println!("{campaign}: {} bookings, {sum} in all", amounts.len());
            assert!(amounts.is_sorted_by(|a, b| a < b), "{campaign}: booked twice");
            assert_eq!(acknowledged, *amounts, "{campaign}: acknowledged and booked");
            assert!(!is_tight(campaign) || sum <= CAP * 1_000_000, "{campaign}: {sum}");
        }
        let lost = books.acknowledged.iter().find(|(_, amounts)| !amounts.is_empty());
        assert!(lost.is_none(), "not in the ledger: {lost:?}");
        println!(
            "{} operations, {} answers to come again",
            self.shared.done.load(Relaxed),
            self.shared.put_off.load(Relaxed)
        );
    }
}

impl Shared {
    async fn one(&self, http: &reqwest::Client, n: usize, key: &str) {
        let micros = self.next.fetch_add(1, Relaxed);
        let amount = micros as f64 / 1e6;
        let booked = micros.cast_signed();
        if n.is_multiple_of(2) {
            let campaign = format!("wide_campaign_{}", n / 2 % WIDE);
            let body = json!({"campaign_id": campaign, "amount": amount});
            return match self.insist(http, n, "/api/v1/spend", &body, Some(key)).await {
                Some((200 | 201, _)) => self.acknowledge(campaign, booked),
                Some((status, answer)) => self.note(format!("{campaign}: {status} {answer}")),
                None => {}
            };
        }
        let campaign = match n % 4 {
            1 => format!("tight_campaign_{}", n / 4 % TIGHT),
            _ => format!("wide_campaign_{}", n / 4 % WIDE),
        };
        let body = json!({"campaign_id": campaign, "bid_amount": amount});
        // Some without a key: those are granted by whichever node is asked.
        let key = Some(key).filter(|_| n % 8 != 3);
        let hold = match self.insist(http, n, "/api/v1/check", &body, key).await {
            Some((200, hold)) => hold,
            // Nothing is left of it.
            Some((403, _)) if is_tight(&campaign) => return,
            Some((status, answer)) => return self.note(format!("{campaign}: {status} {answer}")),
            None => return,
        };
        let path = format!("/api/v1/holds/{}/settle", hold["hold_id"].as_str().unwrap_or("?"));
        // Told at another node than the one that granted it.
        let body = json!({"amount": amount, "token": hold["token"]});
        match self.insist(http, n + 1, &path, &body, None).await {
            Some((200, _)) => self.acknowledge(campaign, booked),
            Some((status, answer)) => self.note(format!("{path}: {status} {answer}")),
            None => {}
        }
    }

    /// Asks one node after the other until one does it, or refuses for good.
    async fn insist(
        &self,
        http: &reqwest::Client,
        n: usize,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Option<(u16, Value)> {
        let began = Instant::now();
        for attempt in n.. {
            if began.elapsed() > PATIENCE {
                self.note(format!("{path}: not done in time"));
                return None;
            }
            let at = attempt % self.urls.len();
            let request = http.post(format!("{}{path}", self.urls[at])).body(body.to_string());
            let mut request = request.header("content-type", "application/json");
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let answer = match request.timeout(Duration::from_secs(20)).send().await {
                Ok(answer) => answer,
                Err(_) if self.away == Some(at) => {
                    self.wait().await;
                    continue;
                }
                Err(error) => {
                    self.note(format!("{path} at {at}: {error:?}"));
                    return None;
                }
            };
            let status = answer.status().as_u16();
            let again = answer.headers().contains_key("retry-after");
            let text = answer.text().await.unwrap_or_default();
            let answer: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            match status {
                200 | 201 | 403 => return Some((status, answer)),
                503 if again => self.wait().await,
                // The one before it is under way.
                409 if answer["code"] == "in_progress" => self.wait().await,
                _ => {
                    self.note(format!("{path} at {at}: {status} {answer}"));
                    return None;
                }
            }
        }
        None
    }

    async fn wait(&self) {
        self.put_off.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    fn acknowledge(&self, campaign: String, micros: i64) {
        let mut books = self.books.lock().expect("not poisoned");
        books.acknowledged.entry(campaign).or_default().push(micros);
    }

    fn note(&self, odd: String) {
        self.books.lock().expect("not poisoned").odd.push(odd);
    }
}
