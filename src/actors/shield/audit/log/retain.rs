//! Retention: whole months go once their time is over, a kept head stands for them, and what they
//! hold is what was signed. A signed cut tells the verification that this was no deletion.

use std::sync::Arc;

use super::super::verify::{VerifyError, verify_until};
use super::{LOG, LogActor, Msg};
use crate::actors::kernel::{Cx, Fault};
use crate::clock;
use crate::models::shield::audit::head::{BadHead, SignedHead};
use crate::models::shield::audit::month::Month;
use crate::models::shield::audit::report::Report;
use crate::store::{AuditHeadRow, Gone, Outcome, Write};

/// Marks the head up to which all is dropped.
const CUT: i64 = 2;

/// What is about to be dropped was looked through.
pub struct Checked {
    /// The kept head that will stand for it.
    row: AuditHeadRow,
    head: SignedHead,
    /// The last block of it, and its month.
    block: i64,
    month: Month,
    report: Result<Report, VerifyError>,
}

impl LogActor {
    /// Looks through the months before this one, beside the log. Their own rows say of which month
    /// they are, and nobody but the tree of signed heads knows whether that is true.
    pub(super) async fn retain(
        &mut self,
        before: Month,
        cx: &mut Cx<LogActor>,
    ) -> Result<(), Fault> {
        let store = &self.shared.store;
        // where the store is away, the auditor tells again
        let last = store.audit_block_before_month(&self.account, &before.to_string()).await;
        let Some(last) = self.read(last)? else { return Ok(()) };
        let Some(last) = last.filter(|_| !self.checking) else { return Ok(()) };
        let first = last.first + last.count;
        let rows = self.shared.store.audit_heads(&self.account, first - 1, 1).await;
        let Some(mut rows) = self.read(rows)? else { return Ok(()) };
        let row = rows.pop();
        let Some(row) = row.filter(|row| row.size == first && row.kept > 0) else {
            let live = self.live()?;
            if i64::try_from(live.durable.frontier.size())? == first {
                // nothing came after it: its end is signed now, and it goes when that is durable
                live.close_month = true;
                self.retaining = Some(before);
            }
            return Ok(());
        };
        let (head, month) = match (SignedHead::parse(&row.head), last.month.parse::<Month>()) {
            (Ok(head), Ok(month)) => (head, month),
            (Err(error), _) => return self.not_dropped(&error.to_string()),
            (_, Err(error)) => return self.not_dropped(&error.to_string()),
        };
        self.checking = true;
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.account));
        let check = async move {
            let keys = shared.vault.public_keys();
            let report = verify_until(&shared.store, &account, &head, keys).await;
            Checked { row, head, block: last.block, month, report }
        };
        cx.pipe(check, |checked| Msg::Checked(Box::new(checked)));
        Ok(())
    }

    /// Signs for the end of what was looked through, and drops it, at once.
    pub(super) async fn checked(&mut self, checked: Checked) -> Result<(), Fault> {
        self.checking = false;
        let Checked { row, head, block, month, report } = checked;
        match report {
            Ok(report) if report.verified => {}
            Ok(report) => {
                let first = report.findings.first().map(ToString::to_string);
                return self.not_dropped(&first.unwrap_or_default());
            }
            Err(error) => return self.not_dropped(&error.to_string()),
        }
        let line = match self.cut(head, month) {
            Ok(line) => line,
            Err(error) => return self.not_dropped(&error.to_string()),
        };
        let (shard, first) = (self.name.shard(), row.size);
        let write = Write {
            account: self.account.to_string(),
            budget: LOG.to_owned(),
            shard,
            epoch: self.shared.epoch(shard),
            puts: vec![AuditHeadRow { head: line, kept: CUT, ..row }.into()],
            gone: vec![Gone::AuditBlocksBefore { block: block + 1, first }],
            ..Write::default()
        };
        let outcome = match self.shared.committer.submit(write) {
            Ok(outcome) => outcome.await,
            // it is tried again within the hour
            Err(full) => {
                self.view.last_error = Some(format!("retention: {full}"));
                return Ok(());
            }
        };
        match outcome {
            Ok(Outcome::Committed) => {
                let account = &self.account;
                tracing::info!(%account, first, "dropped audit records before {first}");
                self.shared.audit.dropped();
                self.shared.audit.dirty([Arc::clone(account)]);
            }
            other => self.view.last_error = Some(format!("retention: {other:?}")),
        }
        Ok(())
    }

    /// The head with its cut, as a line.
    fn cut(&self, head: SignedHead, month: Month) -> Result<String, BadHead> {
        let frontier = head.frontier.clone().ok_or(BadHead::Frontier)?;
        let key = self.shared.vault.signing_key();
        head.with_frontier(frontier)?.with_cut(month, clock::wall_us(), &key)?.line()
    }

    /// A log that was tampered with keeps what shows it.
    fn not_dropped(&mut self, why: &str) -> Result<(), Fault> {
        tracing::error!(
            account = %self.account,
            why,
            "audit records whose time is over stay: they do not verify"
        );
        self.view.last_error = Some(format!("retention: {why}"));
        Ok(())
    }
}
