//! `/flow/market`: seats every new index's campaigns, and shows them to auctions.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::office::Office;
use crate::actors::flow::ltv;
use crate::actors::flow::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::clock;

/// How often it looks for a new index: by a timer, which no orderly end waits for.
const EVERY: Duration = Duration::from_millis(20);
/// How often it looks whether bidders are there that are taken to be (microseconds).
const BIDDERS_EVERY_US: i64 = 2_000_000;
/// How long the counts of before the start may take.
const RESTORED_WITHIN: Duration = Duration::from_secs(10);

pub enum Msg {
    Look,
    Seated,
}

#[derive(Clone, Copy, Serialize)]
pub struct View {
    generation: u64,
    campaigns: usize,
    open_bids: usize,
    ltv_hits: u64,
    ltv_misses: u64,
}

pub struct FollowActor {
    shared: Arc<Shared>,
    office: Arc<Office>,
    /// When it looks for bidders next (monotonic).
    bidders_due_us: i64,
}

impl FollowActor {
    pub fn new(shared: Arc<Shared>, office: Arc<Office>) -> FollowActor {
        FollowActor { shared, office, bidders_due_us: 0 }
    }

    fn seat(&self, cx: &mut Cx<Self>) {
        let (live, office) =
            (arc_swap::Guard::into_inner(self.shared.roster.live()), Arc::clone(&self.office));
        if live.generation == office.market().generation() {
            return cx.send_after(EVERY, Msg::Look);
        }
        let work = async move {
            // Nothing is bid before it is known what people have seen.
            office.people.restored(RESTORED_WITHIN).await;
            let lookup = office.lookup.get().cloned();
            let work = tokio::task::spawn_blocking(move || office.publish(live));
            if let Err(error) = work.await {
                tracing::error!(%error, "an index could not be shown to auctions");
            }
            if let Some(lookup) = lookup {
                // Where it takes nothing now, rates of new accounts are read with those of the others.
                let _ = lookup.tell(ltv::Msg::Accounts);
            }
        };
        cx.pipe(work, |()| Msg::Seated);
    }
}

impl Actor for FollowActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "flow_market";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.seat(cx);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look => {
                let now_us = clock::mono_us();
                if now_us >= self.bidders_due_us {
                    self.bidders_due_us = now_us + BIDDERS_EVERY_US;
                    self.office.look_for_bidders();
                }
                self.seat(cx);
            }
            Msg::Seated => cx.send_after(EVERY, Msg::Look),
        }
        Ok(())
    }

    fn view(&self) -> View {
        let market = self.office.market();
        let (ltv_hits, ltv_misses) = self.office.ltv.counts();
        View {
            generation: market.generation(),
            campaigns: market.seats.len(),
            open_bids: self.office.open.len(),
            ltv_hits,
            ltv_misses,
        }
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look => "Look",
            Msg::Seated => "Seated",
        }
    }
}
