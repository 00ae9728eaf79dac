//! The timeline of decisions: of a campaign, or of an account.

use super::page;
use crate::store::record::Args;
use crate::store::rows::FlowDecisionRow;
use crate::store::{Result, Store};

/// Decisions of an account, the newest first.
#[derive(Clone, Debug, Default)]
pub struct FlowDecisionList {
    pub account: String,
    /// Empty: any, and those of no campaign.
    pub campaign: String,
    /// Before this one: its time and its id.
    pub before: (i64, String),
    /// Not before this time, in wall-clock micros.
    pub from_us: i64,
    /// `bid`, `no_bid` or `change`; empty: any.
    pub kind: String,
    /// As of `now_us`; empty: any.
    pub outcome: String,
    /// The reason that counted, by its name; empty: any, and none at all.
    pub reason: String,
    /// A bid of which nothing is told and that is over by then has expired.
    pub now_us: i64,
    pub limit: u32,
}

/// Which decisions a list has, of those that its first two conditions name.
macro_rules! decisions {
    () => {
        "AND (at, decision) < ($3, $4) AND at >= $5 AND ($6 = '' OR kind = $7) AND ($8 = '' OR $9 = \
         CASE WHEN outcome = 'bid' AND ends_at <= $10 THEN 'expired' ELSE outcome END) \
         AND ($11 = '' OR record LIKE $12 ESCAPE '!') ORDER BY at DESC, decision DESC LIMIT $13"
    };
}

/// Kinds of decisions.
const KINDS: [&str; 3] = ["bid", "no_bid", "change"];

impl FlowDecisionList {
    /// `of`: the second condition, the campaign or the kind.
    fn bind(&self, of: &str, args: &mut Args) -> sqlx::Result<()> {
        args.text(&self.account)?;
        args.text(of)?;
        args.int(self.before.0)?;
        args.text(&self.before.1)?;
        args.int(self.from_us)?;
        args.text(&self.kind)?;
        args.text(&self.kind)?;
        args.text(&self.outcome)?;
        args.text(&self.outcome)?;
        args.int(self.now_us)?;
        args.text(&self.reason)?;
        args.text(&counted_for(&self.reason))?;
        args.int(page(self.limit))
    }
}

/// What records are like whose first reason is this one. Quotes within their texts are escaped, so no text that an
/// exchange chose looks like it.
fn counted_for(reason: &str) -> String {
    format!("%\"reasons\":[{{\"reason\":\"{}\"%", reason.replace('_', "!_"))
}

impl Store {
    /// A page of decisions: of a campaign, or of all of an account.
    pub async fn flow_decisions(&self, list: &FlowDecisionList) -> Result<Vec<FlowDecisionRow>> {
        // Refusals alone have reasons: bids, of which there are many, are not searched for one.
        if !list.reason.is_empty() && !matches!(&*list.kind, "" | "no_bid") {
            return Ok(Vec::new());
        }
        let refusals = FlowDecisionList { kind: "no_bid".to_owned(), ..list.clone() };
        let list = match !list.reason.is_empty() && list.kind.is_empty() {
            true => &refusals,
            false => list,
        };
        if !list.campaign.is_empty() {
            let tail = concat!("WHERE account = $1 AND campaign = $2 ", decisions!());
            return self.select(tail, |args| list.bind(&list.campaign, args)).await;
        }
        // The index has a part for each kind: changes are few, and bids that stand among them many.
        let wanted = |kind: &&str| list.kind.is_empty() || list.kind == **kind;
        let mut rows: Vec<FlowDecisionRow> = Vec::new();
        for kind in KINDS.into_iter().filter(wanted) {
            let tail = concat!("WHERE account = $1 AND kind = $2 ", decisions!());
            rows.extend(self.select::<FlowDecisionRow>(tail, |args| list.bind(kind, args)).await?);
        }
        rows.sort_unstable_by(|a, b| (b.at, &b.decision).cmp(&(a.at, &a.decision)));
        rows.truncate(usize::try_from(page(list.limit)).unwrap_or(usize::MAX));
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::decision::{Decision, Kind};
    use crate::models::flow::reason::Reason;
    use crate::models::flow::targeting::explain::Finding;

    /// As `LIKE` finds it.
    fn is_like(record: &str, reason: &str) -> bool {
        record.contains(&counted_for(reason).trim_matches('%').replace("!_", "_"))
    }

    #[test]
    fn a_record_is_found_by_the_reason_that_counted_and_by_no_text_of_an_exchange() {
        let finding =
            |reason| Finding { reason, detail: r#""reasons":[{"reason":"geo""#.to_owned() };
        for reason in Reason::ALL {
            let record = Decision {
                auction: Some(r#""reasons":[{"reason":"geo""#.to_owned()),
                reasons: vec![finding(*reason), finding(Reason::Geo)],
                ..Decision::new(Kind::NoBid, "a", 1)
            };
            let record = serde_json::to_string(&record).expect("json");
            assert!(is_like(&record, reason.name()), "{record}");
            assert_eq!(is_like(&record, "geo"), *reason == Reason::Geo, "{record}");
        }
    }
}
