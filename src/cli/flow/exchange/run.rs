//! A run of the exchange: requests when they are due, whatever the bidder does, and notices to their end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::signal::unix::Signal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::super::super::exit::CliError;
use super::super::report::{Price, Sold, hold};
use super::addresses::address;
use super::bidder::Bidder;
use super::billing::Billing;
use super::clear::{Judged, Verdict, clear};
use super::courier::Courier;
use super::fate::{Faults, Plan};
use super::market::{Lot, Market, rng_of};
use super::screen::Screen;
use super::tally::{SLOTS, Tally};
use crate::models::flow::notice::Kind;
use crate::models::flow::notice::price::impression;
use crate::models::shield::money::Currency;

/// Auctions whose notices have not come to their end; further requests are not sent.
const OPEN_MAX: usize = 200_000;
/// How often the screen is drawn and the bill given to the system.
const TICK: Duration = Duration::from_secs(1);

/// What a run's tasks share.
pub struct Run {
    pub seed: u64,
    pub lasts: Duration,
    /// In place of the requests' own times.
    pub answers_within: Option<Duration>,
    pub faults: Faults,
    pub bidder: Bidder,
    pub courier: Courier,
    /// Bounds the requests on the way.
    pub asking: Arc<Semaphore>,
    pub tally: Mutex<Tally>,
    pub billing: Mutex<Billing>,
    pub began: Instant,
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Reached,
    Interrupted,
}

/// A poisoned lock holds what was counted until then, and the panic is reported where its task is joined.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// Sends requests until the time is over, then waits for the notices, at most `patience`.
    ///
    /// # Errors
    /// The bill cannot be written, or a task has failed.
    pub async fn play(
        self: &Arc<Run>,
        mut market: Market<'_>,
        patience: Duration,
        over: watch::Sender<bool>,
        mut interrupts: Signal,
        screen: &mut Screen,
    ) -> Result<End, CliError> {
        let mut tasks = JoinSet::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let open = Arc::new(Semaphore::new(OPEN_MAX));
        let mut end = End::Reached;
        let mut body = Vec::new();
        'sending: while let Some(lot) = market.next(&mut body) {
            if lot.due >= self.lasts {
                // the last request may be due long before the end
                break;
            }
            let due = sleep_until(self.began + lot.due);
            tokio::pin!(due);
            loop {
                tokio::select! {
                    biased;
                    Some(()) = interrupts.recv() => {
                        end = End::Interrupted;
                        screen.say("stopping: waiting for the notices on the way");
                        break 'sending;
                    }
                    _ = ticks.tick() => self.tick(screen)?,
                    () = &mut due => break,
                }
            }
            while let Some(done) = tasks.try_join_next() {
                done.map_err(CliError::failed)?;
            }
            let asking = Arc::clone(&self.asking).try_acquire_owned();
            match (asking, Arc::clone(&open).try_acquire_owned()) {
                (Ok(asking), Ok(open)) => {
                    let slot = self.slot(lot.due);
                    locked(&self.tally).auction(lot.drawn.offers.len(), slot);
                    let run = Arc::clone(self);
                    let body = body.clone();
                    tasks.spawn(async move {
                        run.auction(&lot, body, asking).await;
                        drop(open);
                    });
                }
                // An exchange does not wait for a bidder that is slow.
                _ => locked(&self.tally).skipped += 1,
            }
        }
        let gives_up = Instant::now() + patience;
        while !tasks.is_empty() {
            tokio::select! {
                done = tasks.join_next() => {
                    if let Some(done) = done {
                        done.map_err(CliError::failed)?;
                    }
                }
                _ = ticks.tick() => self.tick(screen)?,
                Some(()) = interrupts.recv() => {
                    end = End::Interrupted;
                    over.send_replace(true);
                }
                () = sleep_until(gives_up), if !*over.borrow() => {
                    over.send_replace(true);
                }
            }
        }
        locked(&self.billing).end(crate::clock::wall_us()).map_err(CliError::failed)?;
        Ok(end)
    }

    fn tick(&self, screen: &mut Screen) -> Result<(), CliError> {
        screen.show(&locked(&self.tally), self.began.elapsed());
        locked(&self.billing).flush().map_err(CliError::failed)
    }

    /// The part of the run that a time after its start is in.
    fn slot(&self, at: Duration) -> usize {
        (at.as_secs_f64() / self.lasts.as_secs_f64() * SLOTS as f64) as usize
    }

    async fn auction(&self, lot: &Lot, body: Vec<u8>, asking: OwnedSemaphorePermit) {
        let within = Duration::from_millis(lot.drawn.tmax_ms.into());
        let within = self.answers_within.unwrap_or(within);
        let said = self.bidder.ask(&lot.drawn.id, body, within).await;
        drop(asking);
        locked(&self.tally).reply(said.reply, said.took);
        let Some(answer) = said.answer else { return };
        let currency = answer.currency;
        {
            let mut tally = locked(&self.tally);
            tally.unfit += answer.unfit;
            tally.bids += answer.bids.len() as u64;
            if lot.drawn.test {
                // Never billed (OpenRTB 2.6, section 3.2.1), and nothing is told about it.
                tally.tests += answer.bids.len() as u64;
                return;
            }
        }
        let mut rng = rng_of(self.seed, lot.nth);
        let ends = clear(lot, answer).into_iter().map(|judged| {
            let plans = Kind::ALL.map(|kind| self.faults.plan(kind, &mut rng));
            self.tell(lot, currency, judged, plans)
        });
        join_all(ends.collect::<Vec<_>>()).await;
    }

    /// Tells a bid's end, and bills it if it was sold.
    async fn tell(&self, lot: &Lot, currency: Currency, judged: Judged, plans: [Plan; 3]) {
        let [win, billing, loss] = plans;
        let deliver =
            |kind, plan| self.courier.deliver(address(lot, currency, &judged, kind), plan);
        let (price, kind) = match judged.verdict {
            Verdict::Lost(why) => {
                locked(&self.tally).lost(why);
                let told = deliver(Kind::Loss, loss).await;
                locked(&self.tally).told(Kind::Loss, &told);
                return;
            }
            Verdict::Won { price, kind } => (price, kind),
        };
        let at_us = crate::clock::wall_us();
        let (win, billing) = tokio::join!(deliver(Kind::Win, win), deliver(Kind::Billing, billing));
        let named = [&judged.bid.burl, &judged.bid.nurl];
        let sold = Sold {
            auction: lot.drawn.id.clone(),
            imp: judged.bid.impression.clone(),
            bid: judged.bid.id.clone(),
            campaign: judged.bid.campaign.clone(),
            hold: named.into_iter().flatten().find_map(|url| hold(url)),
            currency: currency.to_string(),
            price_type: Price::from(kind),
            bid_cpm_micros: judged.bid.cpm.0,
            price_cpm_micros: price.0,
            price_micros: impression(price).0,
            at_us,
            win,
            billing,
        };
        {
            let mut tally = locked(&self.tally);
            tally.sold(&sold, self.slot(lot.due));
            tally.told(Kind::Win, &sold.win);
            tally.told(Kind::Billing, &sold.billing);
        }
        locked(&self.billing).sold(sold);
    }
}
