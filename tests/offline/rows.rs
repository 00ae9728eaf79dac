//! A good ledger, through the store's own door.

use kiki::models::shield::entry::Op;
use kiki::models::shield::hold::settle_op;
use kiki::models::shield::money::Micros;
use kiki::models::shield::terms::{Terms, WindowCap};
use kiki::store::{
    AccountRow, BudgetPut, BudgetRow, EntryRow, HoldRow, OperationRow, Outcome, SliceRow, Store,
    Write,
};

const UNIT: i64 = 1_000_000;
const ACCOUNT: &str = "acme";
const SLICE: &str = "00000000000000a1";
pub const DAY: &str = "20260102";

pub fn hold(n: i64) -> Op {
    Op::of(&["hold", &n.to_string()])
}

pub fn entry(budget: &str, seq: i64, kind: &str, amount: i64) -> EntryRow {
    let of_hold = matches!(kind, "settle" | "late");
    let (op, hold) = match of_hold {
        true => (settle_op(hold(seq)), Some(hold(seq).to_string())),
        false => (Op::of(&[budget, &seq.to_string()]), None),
    };
    EntryRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        seq,
        op: op.to_string(),
        kind: kind.into(),
        amount,
        currency: "USD".into(),
        at: seq,
        mono_us: seq,
        boot: "boot".into(),
        hold,
        slice: of_hold.then(|| SLICE.to_owned()),
        day: DAY.into(),
        window_amount: amount,
        body_hash: "00".into(),
        memo: None,
        window_slice: of_hold.then(|| SLICE.to_owned()),
    }
}

pub fn budget(name: &str, terms: &Terms) -> BudgetRow {
    BudgetRow {
        account: ACCOUNT.into(),
        budget: name.into(),
        shard: 7,
        terms: serde_json::to_string(terms).expect("JSON"),
        status: "active".into(),
        funded: terms.lifetime.unwrap_or_default().0,
        refunded: 0,
        settled: 0,
        facts: 0,
        late: 0,
        seq: 0,
        state: r#"{"days":{},"raised":[],"stopped":false}"#.into(),
        version: 0,
        created_at: 1,
        updated_at: 1,
    }
}

pub fn slice(budget: &str, quota: i64, settled: i64) -> SliceRow {
    SliceRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        slice: SLICE.into(),
        holder: "1/2/camp".into(),
        quota,
        settled,
        day: DAY.into(),
        sealed: 0,
        taken_at: 1,
        mono_us: 1,
        boot: "boot".into(),
        ttl_us: 10_000_000,
        since_seq: 0,
    }
}

pub fn journaled(budget: &str, seq: i64, amount: i64) -> HoldRow {
    HoldRow {
        account: ACCOUNT.into(),
        hold: hold(seq).to_string(),
        budget: budget.into(),
        slice: SLICE.into(),
        window_slice: None,
        amount,
        day: DAY.into(),
        state: "settled".into(),
        settled_amount: amount,
        expires_at: 9,
        body_hash: "00".into(),
        memo: None,
        created_at: 1,
        updated_at: 1,
    }
}

pub fn allocation(budget: &str) -> OperationRow {
    OperationRow {
        account: ACCOUNT.into(),
        op: Op::of(&["allocate", budget]).to_string(),
        budget: budget.into(),
        route: "order".into(),
        body_hash: "00".into(),
        status: 201,
        answer: r#"{"budget":5000,"version":1}"#.into(),
        at: 1,
    }
}

/// An account with its window, a campaign of settles alone and one with every kind of row.
pub async fn fill(store: &Store) {
    let usd = "USD".parse().expect("a currency");
    let epochs = store.acquire(&[7], "test").await.expect("a shard");
    let base = |name: &str| Write {
        account: ACCOUNT.into(),
        budget: name.into(),
        shard: 7,
        epoch: epochs[&7],
        ..Write::default()
    };
    let put = |row| Some(BudgetPut { expected_version: 0, row, keep_terms: false });
    let campaign = Terms::campaign(usd, Micros(5000 * UNIT));
    let window = WindowCap { amount: Micros(500 * UNIT), length_us: 60_000_000 };

    let account = Write {
        budget_row: put(budget("@account", &Terms::account(usd, Some(window)))),
        slices_put: vec![slice("@account", 20 * UNIT, 0)],
        account_row: Some(AccountRow {
            account: ACCOUNT.into(),
            currency: "USD".into(),
            stopped: 0,
            terms: "{}".into(),
            created_at: 1,
            updated_at: 1,
        }),
        ..base("@account")
    };
    let mut row = budget("camp_001", &campaign);
    (row.settled, row.seq) = (3000 * UNIT, 3000);
    row.state = format!(r#"{{"days":{{"{DAY}":{}}}}}"#, 3000 * UNIT);
    let settles = Write {
        entries: (1..=3000).map(|seq| entry("camp_001", seq, "settle", UNIT)).collect(),
        budget_row: put(row),
        slices_put: vec![slice("camp_001", 3010 * UNIT, 3000 * UNIT)],
        operations: vec![allocation("camp_001")],
        holds: vec![journaled("camp_001", 3000, UNIT)],
        ..base("camp_001")
    };
    let mut row = budget("camp_002", &campaign);
    (row.settled, row.facts, row.late) = (2 * UNIT, 1_250_000, 1_000_000);
    (row.refunded, row.seq) = (500_000, 4);
    // A refund never takes a day below nothing, so the day is not what the rows add up to.
    row.state = format!(r#"{{"days":{{"{DAY}":3000000}}}}"#);
    let mixed = Write {
        entries: vec![
            entry("camp_002", 1, "spend", 250_000),
            entry("camp_002", 2, "refund", -500_000),
            EntryRow {
                op: settle_op(hold(9001)).to_string(),
                hold: Some(hold(9001).to_string()),
                ..entry("camp_002", 3, "settle", 2 * UNIT)
            },
            EntryRow {
                op: settle_op(hold(9002)).to_string(),
                hold: Some(hold(9002).to_string()),
                ..entry("camp_002", 4, "late", UNIT)
            },
        ],
        budget_row: put(row),
        slices_put: vec![slice("camp_002", 5 * UNIT, 2 * UNIT)],
        operations: vec![allocation("camp_002")],
        ..base("camp_002")
    };
    for write in [account, settles, mixed] {
        assert_eq!(store.commit(vec![write]).await, vec![Outcome::Committed]);
    }
}
