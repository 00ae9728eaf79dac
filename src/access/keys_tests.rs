//! Keys in a store: good, seen by others, revoked, recorded.

use super::*;
use crate::store::StoreConfig;

fn new(name: &str) -> NewKey {
    let scopes = Scopes::parse(["shield:acme"]).unwrap();
    let (name, created_by) = (name.to_owned(), "cli".to_owned());
    NewKey { name, role: Role::Operator, scopes, created_by, expires_at: Some(1_000) }
}

#[tokio::test]
async fn a_key_is_good_from_its_making_to_its_end_and_what_another_process_does_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.unwrap();
    let keys = Keys::load(store.clone()).await.unwrap();
    let (key, stored) = keys.create(new("a"), 0).await.unwrap();
    let who = keys.check(&key, 999).unwrap();
    assert_eq!(&*who.name, &format!("key:{}", stored.id));
    assert!(who.scopes.allows("shield", "acme") && !who.scopes.allows("shield", "b"));
    assert_eq!(keys.check(&key, 1_000).err(), Some(Denied::Expired));
    assert!(keys.any_good(999) && !keys.any_good(1_000));
    // Beside it, as the command line does.
    let (other, made) = create(&store, LOG, new("b"), 0).await.unwrap();
    assert_eq!(keys.check(&other, 0).err(), Some(Denied::Unknown));
    keys.refresh().await;
    assert!(keys.check(&other, 0).is_ok());
    revoke(&store, LOG, made.id, ("cli", 5)).await.unwrap();
    keys.refresh().await;
    assert_eq!(keys.check(&other, 5).err(), Some(Denied::Revoked));
    let again = revoke(&store, LOG, made.id, ("cli", 9)).await.unwrap();
    assert_eq!(again.revoked_at, Some(5), "it stays revoked since then");
    let unknown = revoke(&store, LOG, KeyId(1), ("cli", 0)).await;
    assert!(matches!(unknown, Err(KeyError::Unknown(_))));
    assert_eq!(keys.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_done_to_a_key_is_written_with_its_record_once_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.unwrap();
    let keys = Keys::load(store.clone()).await.unwrap().with_log("acme");
    let (key, stored) = keys.create(new("a"), 1).await.unwrap();
    keys.revoke(stored.id, "user:ann", 2).await.unwrap();
    keys.revoke(stored.id, "user:bob", 3).await.unwrap();
    let rows = store.audit_pending("acme", 10).await.unwrap();
    let told: Vec<Record> = rows.iter().map(|r| Record::parse(&r.record).unwrap()).collect();
    let brief = |r: &Record| (r.event.as_str().to_owned(), r.actor.clone(), r.at_us);
    let of = |event: &str, by: &str, at: i64| (event.to_owned(), by.to_owned(), at);
    assert_eq!(
        told.iter().map(brief).collect::<Vec<_>>(),
        [of("key.created", "cli", 1), of("key.revoked", "user:ann", 2)]
    );
    for (record, row) in told.iter().zip(&rows) {
        assert_eq!(record.subject, Some(stored.id.to_string()));
        let data = serde_json::json!({
            "account": "*",
            "name": "a",
            "role": "operator",
            "scopes": ["shield:acme"],
            "expires_at": "1970-01-01T00:00:00.001Z",
        });
        assert_eq!(record.data.as_ref(), data.as_object());
        let line = &row.record;
        assert!(!line.contains(&key.text()[14..57]) && !line.contains(&stored.hash.to_hex()));
    }
    // A version that does not follow writes neither; one record twice is one.
    let another = record(LOG, REVOKED, ("cli", 4), &stored).unwrap();
    assert!(!store.put_api_key(&row(&stored, 7), &another).await.unwrap());
    assert!(store.audit_pending(LOG, 10).await.unwrap().is_empty());
    assert!(store.put_api_key(&row(&stored, 3), &another).await.unwrap());
    assert!(store.put_api_key(&row(&stored, 4), &another).await.unwrap());
    assert_eq!(store.audit_pending(LOG, 10).await.unwrap().len(), 1);
}

#[test]
fn the_longest_scopes_leave_room_in_the_record_and_what_is_left_out_is_counted() {
    let names: Vec<String> = (0..64).map(|n| format!("{n:0>128}")).collect();
    let long = format!("shield:{}", names.join(","));
    let scopes = Scopes::parse(["admin:acme", &long]).unwrap();
    let all = scopes.grants().len();
    let key = Stored { scopes, ..stored("a", "cli") };
    let row = record(LOG, CREATED, ("cli", 0), &key).unwrap();
    let data = Record::parse(&row.record).unwrap().data.unwrap();
    let kept = data["scopes"].as_array().unwrap().len();
    assert!(kept < all);
    assert_eq!(data["scopes_left_out"], all - kept);
}

/// A key that is stored nowhere, with an id of its name.
fn stored(name: &str, by: &str) -> Stored {
    let mut entropy = [7; KEY_ENTROPY_BYTES];
    entropy[0] = name.as_bytes()[0];
    let key = ApiKey::generate(&entropy);
    let NewKey { name, role, scopes, expires_at, .. } = new(name);
    let (id, hash, created_by) = (key.id(), key.hashed(), by.to_owned());
    let (created_at, revoked_at) = (0, Some(1));
    Stored { id, name, role, scopes, created_at, created_by, expires_at, revoked_at, hash }
}

#[test]
fn a_key_s_line_goes_from_maker_to_maker_and_ends_where_it_goes_in_a_circle() {
    let first = stored("a", "user:ann");
    let named = |key: &Stored| format!("key:{}", key.id);
    let second = stored("b", &named(&first));
    let third = stored("c", &named(&second));
    let (x, y) = (stored("x", ""), stored("y", ""));
    let (x, y) =
        (Stored { created_by: named(&y), ..x.clone() }, Stored { created_by: named(&x), ..y });
    let rows: Vec<_> = [&first, &second, &third, &x, &y].map(|key| row(key, 1)).into();
    let set = Set::of(&rows);
    let line =
        |name: &str| -> String { set.lineage(name).into_iter().map(|key| key.name).collect() };
    assert_eq!(line(&named(&third)), "cba", "revoked ones count");
    assert_eq!(line(&named(&first)), "a");
    assert_eq!(line(&named(&x)), "xy");
    assert_eq!(line("user:ann") + &line("key:00000001") + &line("key:"), "");
}

#[test]
fn an_end_is_a_time_a_day_or_days_and_lies_ahead() {
    let day = 86_400_000_000;
    assert_eq!(expiry("90d", 5), Ok(90 * day + 5));
    assert_eq!(expiry("1970-01-03", 0), Ok(2 * day));
    assert_eq!(expiry("1970-01-01T00:00:01Z", 0), Ok(1_000_000));
    for bad in ["", "d", "-1d", "0d", "1.5d", "soon", "1970-01-01", "99999d", "1970-1-3", "1h"] {
        assert!(expiry(bad, 0).is_err(), "{bad}");
    }
    assert!(expiry("9999-12-31", 0).is_err());
}

#[test]
fn a_row_that_cannot_be_read_is_no_key() {
    let key = ApiKey::generate(&[7; KEY_ENTROPY_BYTES]);
    let (id, hash) = (key.id(), key.hashed());
    let good = row(&Stored { id, hash, revoked_at: None, ..stored("a", "cli") }, 1);
    assert!(Set::of(std::slice::from_ref(&good)).check(&key, 0).is_ok());
    for bad in [
        ApiKeyRow { role: "root".into(), ..good.clone() },
        ApiKeyRow { scopes: String::new(), ..good.clone() },
        ApiKeyRow { hash: "00".into(), ..good },
    ] {
        assert_eq!(Set::of(&[bad]).check(&key, 0).err(), Some(Denied::Unknown));
    }
}
