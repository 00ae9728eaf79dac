//! `/flow/notices`: the one writer of the spool. What comes while a write is under way is written together
//! next. It books what is due, and ends bids whose time is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;

use super::debts::{BYTES_MAX, Debts, Landed};
use super::owed::{Owed, Paid};
use super::spool::{Line, Spool};
use crate::actors::flow::auction::Office;
use crate::actors::flow::journal;
use crate::actors::flow::owned::Owned;
use crate::actors::flow::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::BudgetName;
use crate::clock;
use crate::models::shield::entry::Op;
use crate::models::shield::money::Micros;

const TICK: Duration = Duration::from_millis(100);
/// After how long a booking that did not succeed is tried again.
const AGAIN_US: i64 = 1_000_000;
/// Bids ended in one go.
const ENDED_MAX: usize = 4_096;

/// Of who waits until something is on disk, with what is owed then.
type Waits = (Reply<Option<Micros>>, Micros);

pub enum Msg {
    /// To be on disk when this is answered, with the amount that is owed then: what was told before may count.
    /// `None` where it cannot be.
    Owe {
        owed: Box<Owed>,
        reply: Reply<Option<Micros>>,
    },
    /// It was booked by whoever heard of it.
    Done {
        hold: Op,
    },
    /// What was written, and whether the file has many lines that are done.
    Written(Result<bool, String>),
    Booked {
        tried: Arc<Owed>,
        paid: Paid,
    },
    Tick,
}

#[derive(Clone, Default, Serialize)]
pub struct View {
    owed: usize,
    bytes: usize,
    waiting: usize,
    booked: u64,
    differs: u64,
    never: u64,
    handed_over: u64,
    last_error: Option<String>,
}

pub struct NoticesActor {
    office: Arc<Office>,
    shared: Arc<Shared>,
    /// Which of its lives this is to the file.
    life: u64,
    debts: Debts,
    waiting: Vec<(Line, Option<Waits>)>,
    /// Those of the write under way.
    writing: Option<Vec<Waits>>,
    untidy: bool,
    /// The shards whose debts are this node's own.
    owned: Owned,
    view: View,
}

impl NoticesActor {
    pub fn new(office: Arc<Office>, shared: Arc<Shared>) -> NoticesActor {
        NoticesActor {
            office,
            shared,
            life: 0,
            debts: Debts::new(HashMap::new(), BYTES_MAX),
            waiting: Vec::new(),
            writing: None,
            untidy: false,
            owned: Owned::default(),
            view: View::default(),
        }
    }

    fn write(&mut self, cx: &mut Cx<Self>) {
        if self.writing.is_some() || self.waiting.is_empty() {
            return;
        }
        let (lines, waits): (Vec<Line>, Vec<Option<Waits>>) = self.waiting.drain(..).unzip();
        self.writing = Some(waits.into_iter().flatten().collect());
        let durable = lines.iter().any(|line| matches!(line, Line::Owed(_)));
        let tidies = std::mem::take(&mut self.untidy).then(|| self.debts.all());
        let (office, life, owed) = (Arc::clone(&self.office), self.life, self.debts.len());
        let write = move |spool: &mut Spool| -> std::io::Result<bool> {
            spool.put(&lines, durable)?;
            if let Some(all) = tidies {
                spool.tidy(all.iter())?;
            }
            Ok(spool.is_untidy(owed))
        };
        let work = async move {
            match tokio::task::spawn_blocking(move || office.spool.with(life, write)).await {
                Ok(done) => done.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        cx.pipe(work, Msg::Written);
    }

    /// What is owed for campaigns that are another node's now is handed over at once, due or not: what is told there
    /// of the same bid has to meet it.
    fn follow(&mut self) {
        let owned = Owned::now(self.shared.shield.placement());
        if owned != self.owned {
            let now_us = clock::wall_us();
            self.debts.hasten(now_us, |account, campaign| {
                !owned.has(BudgetName::campaign(account, campaign).place())
            });
            self.owned = owned;
        }
    }

    fn try_due(&mut self, cx: &mut Cx<Self>) {
        // What is not booked by now is booked after the next start: an orderly end waits for what was begun.
        if self.shared.draining.load(Relaxed) {
            return;
        }
        let now_us = clock::wall_us();
        while let Some(tried) = self.debts.next(now_us) {
            let office = Arc::clone(&self.office);
            let book = async move {
                let paid = office.pay(&tried).await;
                (tried, paid)
            };
            cx.pipe(book, |(tried, paid)| Msg::Booked { tried, paid });
        }
    }

    /// It is owed from now on, whatever becomes of the file: whoever told of it is only answered with 200 if
    /// it is on disk.
    fn owe(&mut self, owed: Owed, reply: Reply<Option<Micros>>, cx: &mut Cx<Self>) {
        let Ok(owed) = self.debts.owe(owed) else { return reply.send(None) };
        let amount = Micros(owed.amount);
        self.waiting.push((Line::Owed(owed), Some((reply, amount))));
        self.write(cx);
    }

    fn done(&mut self, hold: Op) {
        if self.debts.done(hold.0) {
            self.waiting.push((Line::Done(hold), None));
        }
    }

    fn booked(&mut self, tried: &Owed, paid: Paid) {
        let again_us = match paid {
            Paid::Later => Some(clock::wall_us() + AGAIN_US),
            Paid::Early => Some(tried.expires_us),
            _ => None,
        };
        let landed = self.debts.landed(tried, again_us);
        if landed == Landed::Over {
            self.waiting.push((Line::Done(tried.hold), None));
        }
        match paid {
            Paid::Later | Paid::Early => {}
            Paid::HandedOver => self.view.handed_over += 1,
            Paid::Booked { .. } => self.view.booked += 1,
            Paid::Differs(_) => self.view.differs += 1,
            // What was told of it meanwhile may yet be booked.
            Paid::Never(_) if landed == Landed::Owed => {}
            Paid::Never(why) => {
                self.view.never += 1;
                self.office.never_booked(tried, why);
            }
        }
    }
}

impl Actor for NoticesActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "notices";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let office = Arc::clone(&self.office);
        let open = move || office.spool.open(&office.terms.dir);
        let (life, owed) = tokio::task::spawn_blocking(open).await??;
        self.life = life;
        self.debts = Debts::new(owed, BYTES_MAX);
        cx.send_after(TICK, Msg::Tick);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Owe { owed, reply } => self.owe(*owed, reply, cx),
            Msg::Done { hold } => self.done(hold),
            Msg::Written(outcome) => {
                let waits = self.writing.take().unwrap_or_default();
                let good = outcome.is_ok();
                match outcome {
                    Ok(untidy) => (self.untidy, self.view.last_error) = (untidy, None),
                    Err(error) => self.view.last_error = Some(error),
                }
                waits.into_iter().for_each(|(reply, amount)| reply.send(good.then_some(amount)));
                self.try_due(cx);
                self.write(cx);
            }
            Msg::Booked { tried, paid } => {
                self.booked(&tried, paid);
                self.try_due(cx);
            }
            Msg::Tick => {
                self.office.end_bids(ENDED_MAX);
                self.follow();
                journal::owed(self.debts.len());
                self.try_due(cx);
                self.write(cx);
                cx.send_after(TICK, Msg::Tick);
            }
        }
        self.view.owed = self.debts.len();
        self.view.bytes = self.debts.bytes();
        self.view.waiting = self.waiting.len();
        Ok(())
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Owe { .. } => "Owe",
            Msg::Done { .. } => "Done",
            Msg::Written(_) => "Written",
            Msg::Booked { .. } => "Booked",
            Msg::Tick => "Tick",
        }
    }
}
