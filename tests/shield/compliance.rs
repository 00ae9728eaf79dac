//! The compliance report: every figure follows from what was done here.

use serde_json::{Value, json};

use super::harness::{Api, api, reason};

crate::on_every_store!(
    the_report_counts_what_happened,
    a_tampered_log_is_a_finding,
    a_record_that_is_none_any_more_does_not_hide_the_report,
    the_report_is_a_page_and_a_table_too,
    findings_point_to_paths_that_are_there,
);

async fn report(api: &Api, query: &str) -> Value {
    api.get(&format!("/compliance/report?{query}")).await.is(200)
}

fn has_finding(report: &Value, code: &str) -> bool {
    report["findings"].as_array().expect("findings").iter().any(|f| f["code"] == code)
}

async fn the_report_counts_what_happened() {
    let api = api(&[]).await;
    api.allocate("camp_001", 10).await;
    assert_eq!(reason(api.check("camp_001", 50.0).await), "budget_exceeded");
    let consent = json!({"customer_id": "c", "consent_type": "marketing", "proof": "the text"});
    api.post("/consent/grant", consent).await.is(200);
    api.get("/api/v1/consent/check?customer_id=c&type=marketing").await.is(200);
    api.get("/api/v1/consent/check?customer_id=c&type=analytics").await.is(200);
    let request = json!({"customer_id": "c", "request_type": "ACCESS", "verified": false});
    api.post("/dsr/create", request).await.is(201);
    let report = report(&api, "period=monthly").await;
    assert_eq!(report["account"], "default");
    let text = report.to_string();
    assert_eq!(report["consent"]["by_type"]["marketing"]["granted"], 1, "{text}");
    assert_eq!(report["denied"]["by_reason"]["budget_exceeded"], 1, "{text}");
    assert_eq!(report["contacts"]["blocked"], 1, "{text}");
    assert_eq!(report["contacts"]["with_consent"], 1, "{text}");
    assert_eq!(report["contacts"]["breaches"], Value::Null, "no service told of contacts");
    assert_eq!(report["audit"]["verification"]["discrepancies"], 0, "{text}");
    assert!(report["frameworks"].as_array().is_some_and(|f| f.len() == 3));
    // an older period knows nothing of it
    let old = self::report(&api, "from=2025-01-01&to=2025-01-31").await;
    assert_eq!(old["events"]["total"]["total"], 0);
}

async fn a_tampered_log_is_a_finding() {
    let api = api(&[]).await;
    api.allocate("camp_001", 10).await;
    assert_eq!(reason(api.check("camp_001", 50.0).await), "budget_exceeded");
    let clean = report(&api, "").await;
    assert!(!has_finding(&clean, "audit_broken"), "{clean}");
    super::audit::tamper(
        &api,
        "UPDATE audit_log SET root = replace(root, substr(root, 1, 4), '0000')",
    )
    .await;
    let tampered = report(&api, "").await;
    assert_ne!(tampered["audit"]["verification"]["discrepancies"], 0, "{tampered}");
    assert_eq!(tampered["findings"][0]["severity"], "critical", "{tampered}");
    assert!(has_finding(&tampered, "audit_broken"), "{tampered}");
}

async fn a_record_that_is_none_any_more_does_not_hide_the_report() {
    for change in [
        "UPDATE audit_block SET lines = replace(lines, '\"event\"', '\"evil\"')",
        "UPDATE audit_block SET summary = '{'",
    ] {
        let api = api(&[]).await;
        api.allocate("camp_001", 10).await;
        assert_eq!(reason(api.check("camp_001", 50.0).await), "budget_exceeded");
        assert!(!has_finding(&report(&api, "").await, "audit_broken"));
        api.tamper(change).await;
        assert!(has_finding(&report(&api, "").await, "audit_broken"), "{change}");
    }
}

async fn the_report_is_a_page_and_a_table_too() {
    let api = api(&[]).await;
    let page = api.get("/compliance/report?format=html").await;
    assert_eq!(page.status, 200);
    assert!(page.kind.starts_with("text/html") && page.text.contains("<html"), "{}", page.text);
    let table = api.get("/compliance/report?format=csv").await;
    assert!(
        table.text.lines().next().is_some_and(|l| l.starts_with("section,item")),
        "{}",
        table.text
    );
    for (query, field) in
        [("period=hourly", "period"), ("format=pdf", "format"), ("from=2026-01-01", "from")]
    {
        let answer = api.get(&format!("/compliance/report?{query}")).await;
        assert_eq!((answer.status, &answer.json["field"]), (400, &json!(field)), "{query}");
    }
}

async fn findings_point_to_paths_that_are_there() {
    let api = api(&[]).await;
    api.allocate("camp_001", 10).await;
    for place in kiki::models::shield::compliance::finding::PLACES {
        if place.starts_with("/api/admin") {
            continue;
        }
        let answer = api.get(&format!("{place}?customer_id=c")).await;
        assert_ne!(answer.status, 404, "{place}: {}", answer.text);
    }
}
