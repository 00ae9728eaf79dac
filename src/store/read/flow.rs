//! Campaigns, bidders and decisions.

use sqlx::Row;

use super::page;
use crate::store::record::{Args, Kind, Record};
use crate::store::rows::{FlowCampaignRow, FlowChangeRow, FlowDecisionRow, FlowPacerRow};
use crate::store::sql;
use crate::store::{Result, Store, StoreError};

/// Campaigns of a list.
#[derive(Clone, Debug, Default)]
pub struct FlowCampaignList {
    pub account: String,
    pub prefix: String,
    /// Empty: any.
    pub status: String,
    /// Behind this one.
    pub after: String,
    pub limit: u32,
}

/// How often something was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowCounted {
    pub hour: i64,
    pub reason: String,
    pub count: i64,
}

/// What a customer has bought since a bid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowActual {
    pub decision: String,
    pub purchases: i64,
    /// Micros.
    pub spent: i64,
    /// Nothing where nothing was bought.
    pub currency: Option<String>,
}

const DAY_US: i64 = 86_400_000_000;

/// Which campaigns a list has, and in what order.
macro_rules! campaigns {
    () => {
        "WHERE account = $1 AND campaign > $2 AND campaign >= $3 AND campaign < $4 \
         AND ($5 = '' OR status = $6) ORDER BY campaign LIMIT $7"
    };
}

/// Which changes a history has.
macro_rules! changes {
    () => {
        "WHERE account = $1 AND campaign = $2 AND revision < $3 ORDER BY revision DESC LIMIT $4"
    };
}

impl FlowCampaignList {
    fn bind(&self, args: &mut Args) -> sqlx::Result<()> {
        args.text(&self.account)?;
        args.text(&self.after)?;
        args.text(&self.prefix)?;
        // Names are plain ASCII, and none begins with DEL.
        args.text(&format!("{}\u{7f}", self.prefix))?;
        args.text(&self.status)?;
        args.text(&self.status)?;
        args.int(page(self.limit))
    }
}

impl Store {
    pub async fn flow_campaign(
        &self,
        account: &str,
        campaign: &str,
    ) -> Result<Option<FlowCampaignRow>> {
        self.select_one("WHERE account = $1 AND campaign = $2", |args| {
            args.text(account)?;
            args.text(campaign)
        })
        .await
    }

    /// A page of an account's campaigns, by their names.
    pub async fn flow_campaigns(&self, list: &FlowCampaignList) -> Result<Vec<FlowCampaignRow>> {
        self.select(campaigns!(), |args| list.bind(args)).await
    }

    /// A page of the names of an account's campaigns behind this one.
    pub async fn flow_campaign_names(
        &self,
        account: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>> {
        const WHAT: &str = "the names of campaigns";
        let sql = "SELECT campaign FROM flow_campaign WHERE account = $1 AND campaign > $2 \
                   ORDER BY campaign LIMIT $3";
        let rows = self
            .read_limited(WHAT, async |conn| {
                let mut args = Args::default();
                args.text(account)?;
                args.text(after)?;
                args.int(page(limit))?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>();
        read.map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// Bytes of each of them.
    pub async fn flow_campaigns_bytes(&self, list: &FlowCampaignList) -> Result<Vec<i64>> {
        let sql =
            concat!("SELECT CAST(OCTET_LENGTH(state) AS BIGINT) FROM flow_campaign ", campaigns!());
        self.bytes(sql, |args| list.bind(args)).await
    }

    /// A column of sizes.
    async fn bytes(
        &self,
        sql: &'static str,
        bind: impl FnOnce(&mut Args) -> sqlx::Result<()>,
    ) -> Result<Vec<i64>> {
        const WHAT: &str = "the sizes of a page";
        let rows = self
            .read_limited(WHAT, async |conn| {
                let mut args = Args::default();
                bind(&mut args)?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>();
        read.map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// A page of all active campaigns behind this one, by account.
    pub async fn flow_active(
        &self,
        (account, campaign): (&str, &str),
        limit: u32,
    ) -> Result<Vec<FlowCampaignRow>> {
        let tail = "WHERE status = 'active' AND (account, campaign) > ($1, $2) \
                    ORDER BY account, campaign LIMIT $3";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(campaign)?;
            args.int(page(limit))
        })
        .await
    }

    /// A page of what waits for its time behind this one: account, campaign, when.
    pub async fn flow_waking(
        &self,
        (account, campaign): (&str, &str),
        limit: u32,
    ) -> Result<Vec<(String, String, i64)>> {
        const WHAT: &str = "the schedules of campaigns";
        let sql = "SELECT account, campaign, wake_at FROM flow_campaign WHERE wake_at IS NOT NULL \
                   AND (account, campaign) > ($1, $2) ORDER BY account, campaign LIMIT $3";
        let rows = self
            .read_limited(WHAT, async |conn| {
                let mut args = Args::default();
                args.text(account)?;
                args.text(campaign)?;
                args.int(page(limit))?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = |row: &sqlx::any::AnyRow| -> sqlx::Result<(String, String, i64)> {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// A page of a campaign's history before this revision, the newest first.
    pub async fn flow_changes(
        &self,
        (account, campaign): (&str, &str),
        before: i64,
        limit: u32,
    ) -> Result<Vec<FlowChangeRow>> {
        self.select(changes!(), |args| {
            args.text(account)?;
            args.text(campaign)?;
            args.int(before)?;
            args.int(page(limit))
        })
        .await
    }

    /// Bytes of the definitions of such a page.
    pub async fn flow_changes_bytes(
        &self,
        (account, campaign): (&str, &str),
        before: i64,
        limit: u32,
    ) -> Result<Vec<i64>> {
        let sql = concat!(
            "SELECT CAST(OCTET_LENGTH(COALESCE(definition, '')) AS BIGINT) FROM flow_change ",
            changes!()
        );
        self.bytes(sql, |args| {
            args.text(account)?;
            args.text(campaign)?;
            args.int(before)?;
            args.int(page(limit))
        })
        .await
    }

    pub async fn flow_pacer(&self, account: &str, campaign: &str) -> Result<Option<FlowPacerRow>> {
        self.select_one("WHERE account = $1 AND campaign = $2", |args| {
            args.text(account)?;
            args.text(campaign)
        })
        .await
    }

    pub async fn flow_decision(
        &self,
        account: &str,
        decision: &str,
    ) -> Result<Option<FlowDecisionRow>> {
        self.select_one("WHERE account = $1 AND decision = $2", |args| {
            args.text(account)?;
            args.text(decision)
        })
        .await
    }

    /// Those of these decisions (account and id) that are stored.
    pub async fn flow_decisions_found(
        &self,
        ids: &[(String, String)],
    ) -> Result<Vec<FlowDecisionRow>> {
        const WHAT: &str = "decisions";
        let dialect = self.dialect();
        let text = || {
            format!(
                "WITH v(a, d) AS (VALUES {{values}}) SELECT {} FROM v CROSS JOIN flow_decision \
                 WHERE account = v.a AND decision = v.d",
                FlowDecisionRow::columns("")
            )
        };
        let bind = |(account, id): &(String, String), args: &mut Args| {
            args.text(account)?;
            args.text(id)
        };
        let kinds = [Kind::Text, Kind::Text].into_iter();
        let found = self.read_limited(WHAT, async |conn| {
            let name = (dialect, "flow_decisions_found");
            sql::run(conn, name, kinds, text, ids, bind).await
        });
        let rows = found.await?.rows;
        let read = rows.iter().map(|row| FlowDecisionRow::read(row, 0));
        read.collect::<sqlx::Result<_>>().map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// What those for whom these bids were made have bought from the day of the bid on, for so many days. A bid
    /// of which it is not known for whom it was, or whose person was erased, is not among them.
    pub async fn flow_actuals(
        &self,
        account: &str,
        decisions: &[String],
        days: u32,
    ) -> Result<Vec<FlowActual>> {
        const WHAT: &str = "what customers bought since a bid";
        if decisions.is_empty() {
            return Ok(Vec::new());
        }
        let dialect = self.dialect();
        // Units and the rest by themselves: sums of the largest amounts do not fit.
        let text = || {
            format!(
                "WITH v(a, d, n) AS (VALUES {{values}}) SELECT r.decision, \
                 CAST(COUNT(p.purchase) AS BIGINT), \
                 CAST(COALESCE(SUM(p.amount / 1000000), 0) AS BIGINT), \
                 CAST(COALESCE(SUM(p.amount % 1000000), 0) AS BIGINT), MAX(p.currency) \
                 FROM v JOIN flow_reach r ON r.account = v.a AND r.decision = v.d \
                 LEFT JOIN ltv_purchase p ON p.account = r.account AND p.person = r.person \
                 AND p.day >= r.at / {DAY_US} AND p.day < r.at / {DAY_US} + v.n \
                 GROUP BY r.decision"
            )
        };
        let bind = |decision: &String, args: &mut Args| {
            args.text(account)?;
            args.text(decision)?;
            args.int(i64::from(days))
        };
        let kinds = [Kind::Text, Kind::Text, Kind::Int].into_iter();
        let found = self.read_limited(WHAT, async |conn| {
            let name = (dialect, "flow_actuals");
            sql::run(conn, name, kinds, text, decisions, bind).await
        });
        let rows = found.await?.rows;
        let read = |row: &sqlx::any::AnyRow| -> sqlx::Result<FlowActual> {
            let (units, rest): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
            Ok(FlowActual {
                decision: row.try_get(0)?,
                purchases: row.try_get(1)?,
                spent: units.saturating_mul(1_000_000).saturating_add(rest),
                currency: row.try_get(4)?,
            })
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// A page of the bids that were made for a person, behind this one.
    pub async fn flow_decisions_for(
        &self,
        (account, person): (&str, &str),
        after: &str,
        limit: u32,
    ) -> Result<Vec<FlowDecisionRow>> {
        let tail = "WHERE account = $1 AND decision IN (SELECT decision FROM flow_reach \
                    WHERE account = $2 AND person = $3 AND decision > $4 \
                    ORDER BY decision LIMIT $5) ORDER BY decision";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(account)?;
            args.text(person)?;
            args.text(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// Deletes up to `limit` decisions from before this time; returns how many.
    pub async fn flow_decisions_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM flow_decision WHERE (account, decision) IN \
                   (SELECT account, decision FROM flow_decision WHERE at < $1 LIMIT $2)";
        self.prune(sql, before, limit).await
    }

    /// Deletes up to `limit` rows of for whom bids from before this time were made; returns how many.
    pub async fn flow_reach_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM flow_reach WHERE (account, decision) IN \
                   (SELECT account, decision FROM flow_reach WHERE at < $1 LIMIT $2)";
        self.prune(sql, before, limit).await
    }

    /// Deletes up to `limit` counts from before this hour; returns how many.
    pub async fn flow_counts_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM flow_count WHERE (account, campaign, hour, reason, writer) IN \
                   (SELECT account, campaign, hour, reason, writer FROM flow_count \
                   WHERE hour < $1 LIMIT $2)";
        self.prune(sql, before, limit).await
    }

    /// Deletes up to `limit` changes from before this time of campaigns that ended before it; returns how
    /// many. No decision that is kept was made by what they define.
    pub async fn flow_changes_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM flow_change WHERE (account, campaign, revision) IN \
                   (SELECT c.account, c.campaign, c.revision FROM flow_change c \
                   JOIN flow_campaign f ON f.account = c.account AND f.campaign = c.campaign \
                   WHERE c.at < $1 AND f.status = 'ended' AND f.updated_at < $2 LIMIT $3)";
        self.write_limited("pruning", async |conn| {
            let mut args = Args::default();
            args.int(before)?;
            args.int(before)?;
            args.int(page(limit))?;
            Ok(args.query(sql.into()).execute(&mut *conn).await?.rows_affected())
        })
        .await
    }

    /// How many campaigns there are of each status.
    pub async fn flow_statuses(&self) -> Result<Vec<(String, i64)>> {
        const WHAT: &str = "the campaigns";
        let sql = "SELECT status, CAST(COUNT(*) AS BIGINT) FROM flow_campaign GROUP BY status";
        let rows = self
            .read_limited(WHAT, async |conn| {
                Args::default().query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        read.collect::<sqlx::Result<_>>().map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// A page of the decisions of one request, the oldest first, behind this one.
    pub async fn flow_auction(
        &self,
        (account, auction): (&str, &str),
        after: (i64, &str),
        limit: u32,
    ) -> Result<Vec<FlowDecisionRow>> {
        let tail = "WHERE account = $1 AND auction = $2 AND (at, decision) > ($3, $4) \
                    ORDER BY at, decision LIMIT $5";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(auction)?;
            args.int(after.0)?;
            args.text(after.1)?;
            args.int(page(limit))
        })
        .await
    }

    /// What was counted of a campaign within hours, both included, of all writers together.
    pub async fn flow_counts(
        &self,
        (account, campaign): (&str, &str),
        (from, to): (i64, i64),
    ) -> Result<Vec<FlowCounted>> {
        const WHAT: &str = "the counts of decisions";
        let sql = "SELECT hour, reason, CAST(SUM(count) AS BIGINT) FROM flow_count \
                   WHERE account = $1 AND campaign = $2 AND hour >= $3 AND hour <= $4 \
                   GROUP BY hour, reason ORDER BY hour, reason LIMIT 100000";
        let rows = self
            .read_limited(WHAT, async |conn| {
                let mut args = Args::default();
                args.text(account)?;
                args.text(campaign)?;
                args.int(from)?;
                args.int(to)?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = |row: &sqlx::any::AnyRow| -> sqlx::Result<FlowCounted> {
            Ok(FlowCounted {
                hour: row.try_get(0)?,
                reason: row.try_get(1)?,
                count: row.try_get(2)?,
            })
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|error| StoreError::sql(WHAT, &error))
    }
}
