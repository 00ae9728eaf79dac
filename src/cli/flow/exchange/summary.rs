//! What a run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::super::format::{grouped, microseconds, table};
use super::screen::{curves, paced, spent};
use super::spread::Percentiles;
use super::tally::{Bought, Notices, Tally};

#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    seed: u64,
    seconds: f64,
    /// Requests that were sent, and their impressions.
    requests: u64,
    impressions: u64,
    requests_per_s: f64,
    skipped: u64,
    with_bids: u64,
    no_bids: u64,
    timeouts: u64,
    unreachable: u64,
    malformed: u64,
    /// Answers with other statuses than 200 and 204.
    statuses: &'a BTreeMap<u16, u64>,
    latency: Percentiles,
    bids: u64,
    bids_unfit: u64,
    bids_on_tests: u64,
    sold: u64,
    losses: &'a BTreeMap<&'static str, u64>,
    /// By currency.
    spend_micros: &'a BTreeMap<String, i64>,
    notices: &'a BTreeMap<&'static str, Notices>,
    /// By currency and campaign.
    campaigns: &'a BTreeMap<String, BTreeMap<String, Bought>>,
    /// Requests and spending by thirty-seconds of the run.
    traffic: &'a [u64],
    spending_micros: &'a [i64],
    /// How far the second is off the first, in parts of what a thirty-second spends on average.
    pacing_error: Option<f64>,
}

impl<'a> Summary<'a> {
    /// `took`: the time in which requests were sent.
    pub fn of(tally: &'a Tally, seed: u64, took: Duration) -> Summary<'a> {
        let seconds = took.as_secs_f64();
        Summary {
            seed,
            seconds,
            requests: tally.auctions,
            impressions: tally.impressions,
            requests_per_s: if seconds > 0.0 { tally.auctions as f64 / seconds } else { 0.0 },
            skipped: tally.skipped,
            with_bids: tally.with_bids,
            no_bids: tally.no_bids,
            timeouts: tally.timeouts,
            unreachable: tally.unreachable,
            malformed: tally.malformed,
            statuses: &tally.statuses,
            latency: tally.latency(),
            bids: tally.bids,
            bids_unfit: tally.unfit,
            bids_on_tests: tally.tests,
            sold: tally.wins,
            losses: &tally.losses,
            spend_micros: &tally.spend,
            notices: &tally.notices,
            campaigns: &tally.campaigns,
            traffic: &tally.traffic,
            spending_micros: &tally.spending,
            pacing_error: tally.unpaced(),
        }
    }

    /// For people.
    pub fn table(&self, tally: &Tally) -> String {
        let count = |number: u64| grouped(&number.to_string());
        let mut rows = vec![
            ("requests".to_owned(), count(self.requests)),
            ("requests/s".to_owned(), grouped(&format!("{:.1}", self.requests_per_s))),
            ("skipped".to_owned(), count(self.skipped)),
            ("with bids".to_owned(), count(self.with_bids)),
            ("without".to_owned(), count(self.no_bids)),
            ("timeouts".to_owned(), count(self.timeouts)),
            ("unreachable".to_owned(), count(self.unreachable)),
            ("malformed".to_owned(), count(self.malformed)),
        ];
        rows.extend(self.statuses.iter().map(|(code, n)| (format!("status {code}"), count(*n))));
        let latency = [self.latency.p50_us, self.latency.p90_us, self.latency.p99_us];
        let names = ["latency p50", "latency p90", "latency p99"];
        rows.extend(names.iter().zip(latency).map(|(n, us)| ((*n).to_owned(), microseconds(us))));
        rows.extend([
            ("bids".to_owned(), count(self.bids)),
            ("test bids".to_owned(), count(self.bids_on_tests)),
            ("bids unfit".to_owned(), count(self.bids_unfit)),
            ("sold".to_owned(), count(self.sold)),
        ]);
        rows.extend(self.losses.iter().map(|(why, n)| (format!("lost: {why}"), count(*n))));
        rows.extend(self.notices.iter().map(|(kind, of)| {
            let Notices { due, answered, refused, unanswered, lost, .. } = of;
            let of = format!(
                "{} of {} answered, {} lost, {} refused, {} unanswered",
                count(*answered),
                count(*due),
                count(*lost),
                count(*refused),
                count(*unanswered)
            );
            (format!("{kind} notices"), of)
        }));
        rows.push(("spent".to_owned(), spent(tally)));
        rows.push(("pacing".to_owned(), paced(tally)));
        rows.extend(curves(tally).map(|(name, curve)| (name.to_owned(), curve)));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, of)| vec![name, of]).collect();
        table(&["what", "how much"], &rows)
    }
}

/// What to look at where a bidder that answers never bids.
pub fn hint(tally: &Tally, url: &str) -> Option<String> {
    if tally.answered() == 0 || tally.bids + tally.tests + tally.unfit > 0 {
        return None;
    }
    let base = reqwest::Url::parse(url).ok()?.origin().ascii_serialization();
    Some(format!(
        "no bid: is a campaign active? curl {base}/api/v1/campaigns/ID/counts, and flow_refused_total and \
         flow_no_bids_total in {base}/metrics say why"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::sold;
    use super::super::tally::Reply;
    use super::*;

    #[test]
    fn bids_on_tests_are_told_apart_and_a_run_without_any_bid_says_where_to_look() {
        let mut tally = Tally::default();
        let of = |tally: &Tally| hint(tally, "http://h:1/openrtb2/bid");
        assert_eq!(of(&tally), None, "nobody has answered");
        tally.reply(Reply::NoBid, Duration::ZERO);
        let said = of(&tally).expect("a hint");
        assert!(said.contains("http://h:1/api/v1/campaigns/ID/counts"), "{said}");
        tally.tests = 3;
        assert_eq!(of(&tally), None);
        let shown = Summary::of(&tally, 1, Duration::from_secs(1)).table(&tally);
        assert!(shown.lines().any(|line| line.starts_with("test bids") && line.ends_with(" 3")));
    }

    #[test]
    fn the_table_says_how_evenly_the_money_went() {
        let mut tally = Tally::default();
        for nth in 0..10 {
            tally.auction(1, nth / 5);
        }
        tally.sold(&sold(1, "c", 1_500_000), 1);
        let summary = Summary::of(&tally, 1, Duration::from_secs(1));
        let shown = summary.table(&tally);
        for (name, of) in
            [("pacing", "100.0% off the traffic"), ("traffic", "██"), ("spending", " █")]
        {
            let row = shown.lines().find(|line| line.starts_with(name)).expect(name);
            assert!(row.contains(of), "{row}");
        }
        let json = serde_json::to_value(&summary).expect("json");
        assert_eq!(json["pacing_error"], 1.0);
    }
}
