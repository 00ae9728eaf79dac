//! `/shield/privacy`: wakes requests that are open, at the start and each minute, so that none is
//! forgotten and overdue ones are told of; and deletes packages whose time is over.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{Msg as DsrMsg, PACKAGE_DAYS};
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::store::{Gone, StoreError, Write};

const EVERY: Duration = Duration::from_secs(60);
const PAGE: u32 = 256;
const DAY_US: i64 = 86_400_000_000;

pub struct PrivacyActor {
    shared: Arc<Shared>,
    view: View,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    open: u64,
    overdue: u64,
    packages_deleted: u64,
    last_error: Option<String>,
}

pub enum Msg {
    Look,
}

impl PrivacyActor {
    pub fn new(shared: Arc<Shared>) -> PrivacyActor {
        PrivacyActor { shared, view: View::default() }
    }

    async fn wake(&mut self) -> Result<(), StoreError> {
        let Some(entities) = self.shared.dsrs.entities.get() else { return Ok(()) };
        let (mut after, mut open, mut overdue) = ((String::new(), String::new()), 0, 0);
        let now = clock::wall_us();
        loop {
            let rows = self.shared.store.dsrs_open((&after.0, &after.1), PAGE).await?;
            for row in &rows {
                open += 1;
                overdue += u64::from(row.due_at < now);
                let key = format!("{}:{}", row.account, row.dsr);
                if let Err(refused) = entities.tell(&key, DsrMsg::Wake) {
                    tracing::debug!(request = %row.dsr, ?refused, "request {} is busy", row.dsr);
                }
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize => {
                    after = (last.account.clone(), last.dsr.clone());
                }
                _ => break,
            }
        }
        (self.view.open, self.view.overdue) = (open, overdue);
        Ok(())
    }

    async fn prune(&mut self) -> Result<(), StoreError> {
        let old = clock::wall_us() - PACKAGE_DAYS * DAY_US;
        for row in self.shared.store.dsr_packages_before(old, PAGE).await? {
            let budget = format!("@dsr/{}", row.dsr);
            let name =
                BudgetName { account: row.account.as_str().into(), budget: budget.as_str().into() };
            let shard = name.shard();
            let write = Write {
                account: row.account,
                budget,
                shard,
                epoch: self.shared.epoch(shard),
                gone: vec![Gone::DsrPackage { dsr: row.dsr }],
                ..Write::default()
            };
            // one that is not deleted now is found again
            if let Ok(outcome) = self.shared.committer.submit(write)
                && matches!(outcome.await, Ok(crate::store::Outcome::Committed))
            {
                self.view.packages_deleted += 1;
            }
        }
        Ok(())
    }
}

impl Actor for PrivacyActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "privacy";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(Duration::ZERO, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let Msg::Look = msg;
        let looked = match self.wake().await {
            Ok(()) => self.prune().await,
            failed => failed,
        };
        let again = match looked {
            Ok(()) => {
                self.view.last_error = None;
                EVERY
            }
            Err(error) => {
                self.view.last_error = Some(error.to_string());
                Duration::from_secs(1)
            }
        };
        cx.send_after(again, Msg::Look);
        Ok(())
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }
}
