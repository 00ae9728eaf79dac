//! The raw group commit of settles.

use kiki::store::{BudgetPut, BudgetRow, EntryRow, Outcome, SliceRow, Store, Write};

pub const BUDGETS: usize = 1024;
pub const ACCOUNT: &str = "bench";

/// Writes of settles: a ledger row, a slice settle and a budget update each, as the service makes them.
pub struct Settles {
    epoch: i64,
    budgets: Vec<BudgetRow>,
    next: usize,
    op: u64,
}

fn slice(budget: &str) -> SliceRow {
    SliceRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        slice: "0190a1b2c3d4e5f6".into(),
        holder: "node-1".into(),
        quota: i64::MAX / 4,
        settled: 0,
        day: "2026-01-01".into(),
        sealed: 0,
        taken_at: 0,
        mono_us: 0,
        boot: "boot".into(),
        ttl_us: 10_000_000,
        since_seq: 0,
    }
}

fn budget(n: usize) -> BudgetRow {
    BudgetRow {
        account: ACCOUNT.into(),
        budget: format!("camp_{n:06}"),
        shard: (n % 256) as i64,
        terms: format!("{{\"cap\":1000000000,\"padding\":\"{}\"}}", "x".repeat(400)),
        status: "active".into(),
        funded: i64::MAX / 4,
        refunded: 0,
        settled: 0,
        facts: 0,
        late: 0,
        seq: 0,
        state: r#"{"day":"2026-01-01","day_settled":123456,"thresholds":[80],"pace":1.0}"#.into(),
        version: 1,
        created_at: 0,
        updated_at: 0,
    }
}

impl Settles {
    /// Stores the budgets that the settles will be of.
    pub async fn new(store: &Store, budgets: usize) -> Self {
        let shards: Vec<i64> = (0..256).collect();
        let epoch = store.acquire(&shards, "bench").await.expect("shards")[&0];
        let budgets: Vec<BudgetRow> = (0..budgets).map(budget).collect();
        let writes = budgets.iter().map(|row| Write {
            account: ACCOUNT.into(),
            budget: row.budget.clone(),
            shard: row.shard,
            epoch,
            budget_row: Some(BudgetPut {
                expected_version: 0,
                row: row.clone(),
                keep_terms: false,
            }),
            slices_put: vec![slice(&row.budget)],
            ..Write::default()
        });
        let outcomes = store.commit(writes.collect()).await;
        assert!(outcomes.iter().all(|o| *o == Outcome::Committed), "{:?}", outcomes[0]);
        Self { epoch, budgets, next: 0, op: 0 }
    }

    /// One commit of so many settles, of as many budgets or of one.
    pub async fn commit(
        &mut self,
        store: &Store,
        settles: usize,
        one_budget: bool,
        check_ops: bool,
    ) {
        let writes = if one_budget {
            self.next += 1;
            vec![self.write(self.next % self.budgets.len(), settles, check_ops)]
        } else {
            let first = self.next;
            self.next += settles;
            (first..self.next).map(|n| self.write(n % self.budgets.len(), 1, check_ops)).collect()
        };
        let outcomes = store.commit(writes).await;
        assert!(outcomes.iter().all(|o| *o == Outcome::Committed), "{:?}", outcomes[0]);
    }

    fn write(&mut self, n: usize, settles: usize, check_ops: bool) -> Write {
        let row = &mut self.budgets[n];
        let amount = 1_250_000;
        let mut entries = Vec::with_capacity(settles);
        for _ in 0..settles {
            self.op += 1;
            row.seq += 1;
            row.settled += amount;
            // spread like a hash
            let op = self.op.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            entries.push(entry(&row.budget, row.seq, op, amount));
        }
        let expected_version = row.version;
        row.version += 1;
        Write {
            account: ACCOUNT.into(),
            budget: row.budget.clone(),
            shard: row.shard,
            epoch: self.epoch,
            check_ops,
            slice_settles: vec![("0190a1b2c3d4e5f6".into(), amount * entries.len() as i64)],
            entries,
            budget_row: Some(BudgetPut { expected_version, row: row.clone(), keep_terms: true }),
            ..Write::default()
        }
    }
}

fn entry(budget: &str, seq: i64, op: u64, amount: i64) -> EntryRow {
    let hold = format!("h_{op:016x}{op:016x}");
    EntryRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        seq,
        op: hold.clone(),
        kind: "settle".into(),
        amount,
        currency: "USD".into(),
        at: kiki::clock::wall_us(),
        mono_us: seq,
        boot: "0123456789abcdef".into(),
        hold: Some(hold),
        slice: Some("0190a1b2c3d4e5f6".into()),
        day: "2026-01-01".into(),
        window_amount: amount,
        body_hash: format!("{op:016x}{op:016x}"),
        memo: None,
        window_slice: None,
    }
}
