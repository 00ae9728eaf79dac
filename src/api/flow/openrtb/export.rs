//! Decisions as a file, the newest first, a page of the store at a time.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::decisions::{Actual, actuals, read};
use crate::actors::shield::view::rfc3339;
use crate::api::flow::App;
use crate::models::flow::decision::{Decision, Outcome, Proof};
use crate::store::{FlowDecisionList, FlowDecisionRow};

/// Decisions of one read.
const PAGE: u32 = 500;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Lines,
    Csv,
}

/// All that the list names, however many; its `limit` is not looked at.
pub fn response(app: Arc<App>, list: FlowDecisionList, format: Format) -> Response {
    let kind = match format {
        Format::Lines => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    let list = FlowDecisionList { limit: PAGE, ..list };
    let reader = Reader { app, list, format, first: true, last: false };
    let chunks = stream::try_unfold(reader, |mut reader| async {
        Ok::<_, io::Error>(reader.chunk().await?.map(|chunk| (chunk, reader)))
    });
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(chunks)).into_response()
}

struct Reader {
    app: Arc<App>,
    list: FlowDecisionList,
    format: Format,
    first: bool,
    last: bool,
}

impl Reader {
    /// The next page. A store that goes away in the middle ends the body short of its end, which the client
    /// sees as an error.
    async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        if self.last {
            return Ok(None);
        }
        let rows = self.app.flow.shield().store().flow_decisions(&self.list).await;
        let rows = rows.map_err(io::Error::other)?;
        self.last = rows.len() < PAGE as usize;
        if let Some(row) = rows.last() {
            self.list.before = (row.at, row.decision.clone());
        }
        let actuals = actuals(&self.app, &self.list.account, &rows).await;
        let actuals = actuals.map_err(io::Error::other)?;
        let header = std::mem::take(&mut self.first);
        let text = match self.format {
            Format::Lines => lines(&rows, &actuals)?,
            Format::Csv => table(&rows, &actuals, header)?,
        };
        Ok((!text.is_empty()).then(|| text.into()))
    }
}

/// By the ids of decisions.
type Actuals = HashMap<String, Actual>;

/// The record stands in its line as it was hashed.
fn lines(rows: &[FlowDecisionRow], actuals: &Actuals) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(rows.len() * 2_048);
    for row in rows {
        let proof = serde_json::to_string(&Proof::from_text(&row.proof))?;
        let FlowDecisionRow { decision, batch, record, .. } = row;
        // What is no record is a text: the line is JSON, and whoever hashes the text finds what was written.
        let (mark, outcome, record) = match read(row) {
            Some(now) => ("", now.outcome.name(), Cow::from(record)),
            None => {
                let text = serde_json::to_string(record)?;
                ("\"unreadable\":true,", &*row.outcome, text.into())
            }
        };
        let actual = match actuals.get(decision) {
            Some(actual) => format!("\"actual\":{},", serde_json::to_string(actual)?),
            None => String::new(),
        };
        let line = format!(
            "{{\"id\":\"{decision}\",\"batch\":\"{batch}\",\"proof\":{proof},\"outcome\":\"{outcome}\",{actual}{mark}\
             \"record\":{record}}}\n"
        );
        text.extend(line.into_bytes());
    }
    Ok(text)
}

const COLUMNS: usize = 36;

const HEADER: [&str; COLUMNS] = [
    "at",
    "id",
    "kind",
    "outcome",
    "amount_micros",
    "reason",
    "change",
    "campaign",
    "version",
    "auction",
    "impression",
    "creative",
    "deal",
    "currency",
    "price_cpm_micros",
    "cpm_micros",
    "reserve_micros",
    "value",
    "ltv_micros",
    "ltv_status",
    "model",
    "mu",
    "lambda",
    "pass",
    "hold",
    "breaker",
    "latency_us",
    "rebuilt",
    "actual_micros",
    "actual_currency",
    "batch",
    "ltv_breaker",
    "floor_micros",
    "first_price",
    "worth",
    "win",
];

fn table(rows: &[FlowDecisionRow], actuals: &Actuals, header: bool) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    if header {
        csv.write_record(HEADER).map_err(io::Error::other)?;
    }
    for row in rows {
        let actual = actuals.get(&row.decision);
        let cells = read(row).map_or_else(|| known(row), |decision| cells(row, &decision, actual));
        csv.write_record(cells).map_err(io::Error::other)?;
    }
    csv.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// Programs for tables run what begins like a formula, and exchanges choose their ids.
fn plain(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// What is known of a decision whose record cannot be read.
fn known(row: &FlowDecisionRow) -> [String; COLUMNS] {
    let known = |column: &str| match column {
        "at" => rfc3339(row.at),
        "id" => row.decision.clone(),
        "kind" => row.kind.clone(),
        "outcome" => row.outcome.clone(),
        "reason" => "unreadable".to_owned(),
        "campaign" => plain(Some(&row.campaign)),
        "auction" => plain(row.auction.as_deref()),
        "batch" => row.batch.clone(),
        _ => String::new(),
    };
    HEADER.map(known)
}

fn cells(row: &FlowDecisionRow, it: &Decision, actual: Option<&Actual>) -> [String; COLUMNS] {
    fn number(of: Option<impl ToString>) -> String {
        of.map_or_else(String::new, |it| it.to_string())
    }
    let (price, ltv, by) = (it.price.as_ref(), it.ltv.as_ref(), it.multipliers.as_ref());
    let amount = match it.outcome {
        Outcome::Won { amount, .. } | Outcome::Billed { amount, .. } => Some(amount.0),
        Outcome::None | Outcome::Bid | Outcome::Lost { .. } | Outcome::Expired { .. } => None,
    };
    let change = it.change.as_ref().map(|it| format!("{}: {} > {}", it.what, it.from, it.to));
    [
        rfc3339(it.at_us),
        row.decision.clone(),
        it.kind.as_str().to_owned(),
        it.outcome.name().to_owned(),
        number(amount),
        plain(it.reason().map(|reason| reason.name())),
        plain(change.as_deref()),
        plain(it.campaign.as_deref()),
        number(it.version),
        plain(it.auction.as_deref()),
        plain(it.impression.as_deref()),
        plain(it.creative.as_deref()),
        plain(it.deal.as_deref()),
        plain(price.map(|it| it.currency.as_str())),
        number(price.map(|it| it.price.0)),
        number(price.map(|it| it.cpm.0)),
        number(price.map(|it| it.reserve.0)),
        number(price.map(|it| it.value)),
        number(ltv.and_then(|it| it.amount).map(|it| it.0)),
        plain(ltv.map(|it| it.status.as_str())),
        plain(ltv.map(|it| it.model.as_str())),
        number(by.map(|it| it.mu)),
        number(by.map(|it| it.lambda)),
        number(by.map(|it| it.pass)),
        plain(it.hold.as_deref()),
        plain(it.breaker.map(|breaker| breaker.as_str())),
        number(it.latency_us),
        it.rebuilt.to_string(),
        number(actual.map(|it| it.spent.0)),
        plain(actual.and_then(|it| it.currency.as_deref())),
        row.batch.clone(),
        plain(it.ltv_breaker.map(|breaker| breaker.as_str())),
        number(price.map(|it| it.floor.unwrap_or_default().0)),
        number(price.map(|it| it.first_price)),
        number(price.and_then(|it| it.worth)),
        number(price.and_then(|it| it.win)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::decision::Kind;

    fn row(auction: &str) -> FlowDecisionRow {
        let decision = Decision {
            campaign: Some("c".into()),
            auction: Some(auction.into()),
            ..Decision::new(Kind::Bid, "a", 1_000_000)
        };
        FlowDecisionRow {
            account: "a".into(),
            decision: "0".repeat(32),
            campaign: "c".into(),
            at: 1_000_000,
            kind: "bid".into(),
            auction: Some(auction.into()),
            outcome: "bid".into(),
            ends_at: i64::MAX,
            record: serde_json::to_string(&decision).expect("json"),
            batch: "b".into(),
            proof: "0/1/".into(),
            updated_at: 0,
        }
    }

    #[test]
    fn a_line_has_the_record_as_it_is_stored_and_what_proves_it() {
        let row = row("x\"\n");
        let text =
            String::from_utf8(lines(std::slice::from_ref(&row), &Actuals::new()).expect("lines"))
                .expect("text");
        assert!(text.contains(&format!("\"record\":{}}}\n", row.record)));
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).expect("json");
        assert_eq!((&line["proof"]["size"], &line["batch"]), (&1.into(), &"b".into()));
    }

    #[test]
    fn a_record_that_cannot_be_read_is_marked_and_the_others_are_told() {
        let bad = FlowDecisionRow { record: "{\"kind\":".into(), ..row("bad") };
        let rows = [row("one"), bad, row("two")];
        let text = String::from_utf8(lines(&rows, &Actuals::new()).expect("lines")).expect("text");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
        let marked: Vec<bool> = lines.iter().map(|line| line["unreadable"] == true).collect();
        assert_eq!(marked, [false, true, false]);
        assert_eq!(lines[1]["record"], "{\"kind\":");
        let text = String::from_utf8(table(&rows, &Actuals::new(), false).expect("a table"))
            .expect("text");
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows.len() == 3 && rows[1].contains(",unreadable,") && rows[1].contains(",bad,"));
        assert!(rows[2].contains(",two,"));
    }

    #[test]
    fn a_table_has_what_a_bid_was_priced_by_behind_the_columns_that_there_were() {
        assert_eq!(HEADER[28..32], ["actual_micros", "actual_currency", "batch", "ltv_breaker"]);
        let price = serde_json::json!({
            "cpm": 2, "own_currency": "USD", "price": 2, "currency": "USD", "rates": [1, 1],
            "reserve": 0.002, "first_price": true, "floor": 0.5, "value": 4000.5, "worth": 3000.25,
            "win": 0.25
        });
        let with = |price: serde_json::Value| {
            let mut row = row("ok");
            let mut record: serde_json::Value = serde_json::from_str(&row.record).expect("json");
            record["price"] = price;
            row.record = record.to_string();
            let text = table(&[row], &Actuals::new(), false).expect("a table");
            String::from_utf8(text).expect("text").trim_end().to_owned()
        };
        let text = with(price.clone());
        assert!(text.ends_with(",500000,true,3000.25,0.25"), "{text}");
        let mut bare = price;
        for left_out in ["floor", "worth", "win"] {
            bare.as_object_mut().expect("an object").remove(left_out);
        }
        bare["first_price"] = false.into();
        let text = with(bare);
        assert!(text.ends_with(",0,false,,"), "{text}");
        let none = table(&[row("ok")], &Actuals::new(), false).expect("a table");
        assert!(String::from_utf8(none).expect("text").ends_with(",,,,\n"));
    }

    #[test]
    fn an_exchange_cannot_put_a_formula_into_a_table() {
        let text = table(&[row("=cmd()"), row("ok")], &Actuals::new(), true).expect("a table");
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains(",'=cmd(),") && text.contains(",ok,"), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert_eq!(HEADER.len(), text.lines().next().expect("a header").split(',').count());
    }
}
