//! People who were erased: what some node has in memory of them still.

use kiki::store::{FlowReachRow, LtvForecastRow, Outcome, PersonRow, Put, Write};

use crate::{ACCOUNT, Db, on_every_store, own, write};

on_every_store!(nothing_is_written_about_somebody_who_was_erased);

async fn nothing_is_written_about_somebody_who_was_erased(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let commit = async |puts: Vec<Put>, who: &str| {
        let done = store.commit(vec![Write { puts, ..write(who, epoch) }]).await;
        assert_eq!(done, [Outcome::Committed]);
    };
    let person = |person: &str, erased_at: Option<i64>| PersonRow {
        account: ACCOUNT.into(),
        person: person.into(),
        lookup: if erased_at.is_some() { String::new() } else { person.into() },
        customer: String::new(),
        wrapped_key: String::new(),
        seq: 0,
        created_at: 1,
        erased_at,
        version: 1,
    };
    let reach = |decision: &str, person: &str| FlowReachRow {
        account: ACCOUNT.into(),
        decision: decision.into(),
        person: person.into(),
        at: 1,
    };
    let forecast = |person: &str, period: i64| LtvForecastRow {
        account: ACCOUNT.into(),
        person: person.into(),
        model: "m".into(),
        period,
        made_day: 1,
        due_day: 2,
        arm: "champion".into(),
        value: 1,
        lower_value: 0,
        upper_value: 2,
        p_active: 1,
        actual: None,
        created_at: 1,
        closed_at: None,
    };
    let people: Vec<Put> =
        [person("ann", None), person("gone", Some(2))].map(Put::from).into_iter().collect();
    commit(people, "p").await;
    // Bids that were in some node's memory: all else of the write is written.
    let bids = ["ann", "gone", "nobody"].map(|person| Put::from(reach(person, person)));
    let more = Put::from(person("bob", None));
    let puts: Vec<Put> = bids.into_iter().chain([more, reach("b", "bob").into()]).collect();
    commit(puts, "j").await;
    let forecasts = [forecast("ann", 1), forecast("gone", 1), forecast("ann", 2), forecast("x", 1)];
    assert_eq!(store.ltv_forecasts_put(&forecasts).await, Ok(2));
    assert_eq!(store.ltv_forecasts_put(&forecasts).await, Ok(0));
    for (who, reached, forecasts) in
        [("ann", 1, 2), ("bob", 1, 0), ("gone", 0, 0), ("nobody", 0, 0)]
    {
        let count =
            async |table| store.count_of_person(table, ACCOUNT, who).await.expect("a number");
        assert_eq!(
            (count("flow_reach").await, count("ltv_forecast").await),
            (reached, forecasts),
            "{who}"
        );
    }
}
