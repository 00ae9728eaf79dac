use kiki::store::{BudgetList, HoldRow, Outcome, RateRow, Store, Write};

use crate::{ACCOUNT, Db, budget_row, entry, hold, on_every_store, outbox, own, put, write};

on_every_store!(
    budgets_are_listed_by_bytes_in_pages_by_prefix_and_status,
    the_ledger_comes_in_pages_by_sequence,
    a_window_has_the_rows_of_this_boot_exactly_and_older_ones_by_wall_time,
    outbox_events_leave_in_order_once_and_are_pruned,
    a_window_of_this_boot_does_not_look_at_the_wall_clock,
    holds_that_are_over_are_pruned_whatever_their_state,
    rates_and_named_facts_are_replaced,
);

async fn ready(db: &Db) -> (Store, i64) {
    let store = db.open().await;
    let epoch = own(&store).await;
    (store, epoch)
}

async fn commit(store: &Store, write: Write) {
    assert_eq!(store.commit(vec![write]).await, vec![Outcome::Committed]);
}

async fn budgets_are_listed_by_bytes_in_pages_by_prefix_and_status(db: &Db) {
    let (store, epoch) = ready(db).await;
    let names = ["B", "a", "a-1", "a_1", "aB", "ab", "ü"];
    for name in names {
        let mut row = budget_row(name);
        row.status = if name == "ab" { "paused" } else { "active" }.into();
        commit(&store, Write { budget_row: put(0, row), ..write(name, epoch) }).await;
    }
    let list = async |prefix: &str, status: &str, after: &str, limit: u32| {
        let list = BudgetList {
            account: ACCOUNT.into(),
            prefix: prefix.into(),
            status: status.into(),
            after: after.into(),
            limit,
        };
        let rows = store.budgets(&list).await.expect("a page");
        rows.into_iter().map(|row| row.budget).collect::<Vec<_>>()
    };
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    assert_eq!(list("", "", "", 100).await, sorted);
    assert_eq!(list("", "", "a", 2).await, ["a-1", "aB"]);
    assert_eq!(list("a", "", "", 100).await, ["a", "a-1", "aB", "a_1", "ab"]);
    assert_eq!(list("a", "paused", "", 100).await, ["ab"]);
    assert_eq!(list("x", "", "", 0).await, [""; 0]);
    let of_shard = store.budgets_of_shard(7, (ACCOUNT, "aB"), 2).await.expect("a page");
    assert_eq!(of_shard.iter().map(|r| r.budget.as_str()).collect::<Vec<_>>(), ["a_1", "ab"]);
}

async fn the_ledger_comes_in_pages_by_sequence(db: &Db) {
    let (store, epoch) = ready(db).await;
    let entries = (1..=25).map(|seq| entry("b", seq, &format!("op{seq}"), seq)).collect();
    commit(&store, Write { entries, ..write("b", epoch) }).await;
    let mut seen = Vec::new();
    while let Some(last) = {
        let after = seen.last().copied().unwrap_or(0);
        let page = store.ledger(ACCOUNT, "b", after, 10).await.expect("a page");
        seen.extend(page.iter().map(|row| row.seq));
        page.last().map(|row| row.seq)
    } {
        assert_eq!(Some(&last), seen.last());
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
}

async fn a_window_has_the_rows_of_this_boot_exactly_and_older_ones_by_wall_time(db: &Db) {
    let (store, epoch) = ready(db).await;
    let mut entries = Vec::new();
    for (seq, at, boot, mono) in
        [(1, 100, "old", 9_000), (2, 900, "old", 1), (3, 950, "new", 40), (4, 990, "new", 60)]
    {
        let mut row = entry("b", seq, &format!("op{seq}"), 1);
        (row.at, row.boot, row.mono_us) = (at, boot.into(), mono);
        row.window_slice = Some(format!("slice {seq}"));
        entries.push(row);
    }
    commit(&store, Write { entries, ..write("b", epoch) }).await;
    let mut other = entry("c", 1, "other", 1);
    (other.at, other.boot, other.mono_us) = (960, "new".into(), 55);
    commit(&store, Write { entries: vec![other], ..write("c", epoch) }).await;
    let window = store.window(ACCOUNT, 500, ("new", 50), 10).await.expect("a read");
    let seen: Vec<_> = window.rows.iter().map(|row| (row.budget.as_str(), row.seq)).collect();
    assert_eq!(seen, [("b", 4), ("c", 1), ("b", 2)]);
    assert_eq!(window.rows[0].window_slice.as_deref(), Some("slice 4"));
    assert!(!window.cut);
    let window = store.window(ACCOUNT, 0, ("new", 0), 4).await.expect("a read");
    assert_eq!((window.rows.len(), window.cut), (4, true));
    let of_one = store.budget_window(ACCOUNT, "b", 500, ("new", 50), 10).await.expect("a read");
    assert_eq!(of_one.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [4]);
    let of_one = store.budget_window(ACCOUNT, "b", 500, ("new", 40), 10).await.expect("a read");
    assert_eq!(of_one.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [4, 3, 2]);
    let of_one = store.budget_window(ACCOUNT, "b", 0, ("new", 0), 3).await.expect("a read");
    assert_eq!((of_one.rows.len(), of_one.cut), (3, true));
}

async fn a_window_of_this_boot_does_not_look_at_the_wall_clock(db: &Db) {
    let (store, epoch) = ready(db).await;
    let entries = [(1, 9_000), (2, -9_000), (3, 700)].map(|(seq, at)| {
        let mut row = entry("b", seq, &format!("op{seq}"), 1);
        (row.at, row.boot, row.mono_us) = (at, "new".into(), 100 + seq);
        row
    });
    commit(&store, Write { entries: entries.to_vec(), ..write("b", epoch) }).await;
    let (this, seqs) = (("new", 102), [3, 2]);
    let window = store.window(ACCOUNT, 500, this, 10).await.expect("a read");
    assert!(window.rows.iter().map(|row| row.seq).eq(seqs));
    let window = store.budget_window(ACCOUNT, "b", 500, this, 10).await.expect("a read");
    assert!(window.rows.iter().map(|row| row.seq).eq(seqs));
}

async fn outbox_events_leave_in_order_once_and_are_pruned(db: &Db) {
    let (store, epoch) = ready(db).await;
    let events = ["e3", "e1", "e2"].map(outbox).to_vec();
    commit(&store, Write { outbox: events, ..write("b", epoch) }).await;
    let pending = store.outbox_pending(2).await.expect("a page");
    assert_eq!(pending, ["e1", "e2"].map(outbox));
    let ids: Vec<String> = pending.into_iter().map(|row| row.id).collect();
    assert_eq!(store.outbox_delivered(&ids, 50).await, Ok(2));
    assert_eq!(store.outbox_delivered(&ids, 60).await, Ok(0));
    assert_eq!(store.outbox_pending(9).await, Ok(vec![outbox("e3")]));
    assert_eq!(store.outbox_prune(50, 9).await, Ok(0));
    assert_eq!(store.outbox_prune(51, 1).await, Ok(1));
    assert_eq!(store.outbox_prune(51, 9).await, Ok(1));
    assert_eq!(store.outbox_pending(9).await.expect("a page").len(), 1);
}

async fn holds_that_are_over_are_pruned_whatever_their_state(db: &Db) {
    let (store, epoch) = ready(db).await;
    let over =
        |id: &str, state: &str, expires_at: i64| HoldRow { expires_at, ..hold("b", id, state) };
    let holds = vec![over("h1", "open", 80), over("h2", "settled", 90), over("h3", "open", 100)];
    commit(&store, Write { holds, ..write("b", epoch) }).await;
    assert_eq!(store.holds_prune(100, 1).await, Ok(1));
    assert_eq!(store.hold(ACCOUNT, "h1").await, Ok(None), "the oldest goes first");
    assert_eq!(store.holds_prune(100, 10).await, Ok(1));
    assert_eq!(store.holds_prune(100, 10).await, Ok(0));
    assert!(store.hold(ACCOUNT, "h3").await.expect("a read").is_some());
}

async fn rates_and_named_facts_are_replaced(db: &Db) {
    let (store, _) = ready(db).await;
    let rate = |rate_e9: i64| RateRow {
        account: ACCOUNT.into(),
        currency: "EUR".into(),
        day: "2026-01-01".into(),
        rate_e9,
    };
    store.put_rates(&[rate(1)]).await.expect("a rate");
    store.put_rates(&[rate(1_080_000_000)]).await.expect("a rate");
    assert_eq!(store.rates(ACCOUNT).await, Ok(vec![rate(1_080_000_000)]));
    store.put_meta("*", "x", Some("1")).await.expect("a fact");
    store.put_meta("*", "x", Some("2")).await.expect("a fact");
    assert_eq!(store.meta("*", "x").await, Ok(Some("2".to_owned())));
    store.put_meta("*", "x", None).await.expect("no fact");
    assert_eq!(store.meta("*", "x").await, Ok(None));
}
