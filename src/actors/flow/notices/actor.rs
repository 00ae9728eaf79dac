//! `/flow/notices`: the one writer of the spool. What comes while a write is under way is written together
//! next. It books what is due, and ends bids whose time is over.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::owed::{Owed, Paid};
use super::spool::{Line, Spool};
use crate::actors::flow::auction::Office;
use crate::actors::flow::journal;
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::clock;

const TICK: Duration = Duration::from_millis(100);
/// Bookings tried at once, and after how long one that did not succeed is tried again.
const AT_A_TIME: usize = 64;
const AGAIN_US: i64 = 1_000_000;
/// Bookings that wait: beyond it a notice is to be told again.
const OWED_MAX: usize = 1 << 20;
/// Bids ended in one go.
const ENDED_MAX: usize = 4_096;

pub enum Msg {
    /// To be on disk when this is answered: `false` where it cannot be.
    Owe {
        owed: Box<Owed>,
        reply: Reply<bool>,
    },
    /// It was booked by whoever heard of it.
    Done {
        hold: String,
    },
    Written(Result<(), String>),
    Booked {
        hold: String,
        paid: Paid,
    },
    Tick,
}

#[derive(Clone, Default, Serialize)]
pub struct View {
    owed: usize,
    waiting: usize,
    booked: u64,
    differs: u64,
    never: u64,
    last_error: Option<String>,
}

pub struct NoticesActor {
    office: Arc<Office>,
    spool: Option<Arc<Mutex<Spool>>>,
    owed: HashMap<String, Owed>,
    due: BTreeSet<(i64, String)>,
    waiting: Vec<(Line, Reply<bool>)>,
    /// Those of the write under way.
    writing: Option<Vec<Reply<bool>>>,
    trying: usize,
    view: View,
}

impl NoticesActor {
    pub fn new(office: Arc<Office>) -> NoticesActor {
        NoticesActor {
            office,
            spool: None,
            owed: HashMap::new(),
            due: BTreeSet::new(),
            waiting: Vec::new(),
            writing: None,
            trying: 0,
            view: View::default(),
        }
    }

    fn write(&mut self, cx: &mut Cx<Self>) {
        if self.writing.is_some() || self.waiting.is_empty() {
            return;
        }
        let Some(spool) = self.spool.clone() else { return };
        let (lines, replies): (Vec<Line>, Vec<Reply<bool>>) = self.waiting.drain(..).unzip();
        self.writing = Some(replies);
        let durable = lines.iter().any(|line| matches!(line, Line::Owed(_)));
        let tidies = {
            let spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            spool.is_untidy(self.owed.len()).then(|| self.owed.values().cloned().collect())
        };
        let write = move || {
            let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            spool.put(&lines, durable)?;
            let all: Option<Vec<Owed>> = tidies;
            all.map_or(Ok(()), |all| spool.tidy(all.iter()))
        };
        let work = async move {
            match tokio::task::spawn_blocking(write).await {
                Ok(done) => done.map_err(|error: std::io::Error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        cx.pipe(work, Msg::Written);
    }

    fn try_due(&mut self, cx: &mut Cx<Self>) {
        let now = clock::wall_us();
        while self.trying < AT_A_TIME
            && let Some((at, _)) = self.due.first()
            && *at <= now
            && let Some((_, hold)) = self.due.pop_first()
        {
            let Some(owed) = self.owed.get(&hold).cloned() else { continue };
            self.trying += 1;
            let office = Arc::clone(&self.office);
            let book = async move {
                let paid = owed.book(&office).await;
                // It is done when its record is safe, too: booked again it changes nothing.
                match office.over(&owed, paid).await {
                    true => (hold, paid),
                    false => (hold, Paid::Later),
                }
            };
            cx.pipe(book, |(hold, paid)| Msg::Booked { hold, paid });
        }
    }

    /// It is owed from now on, whatever becomes of the file: whoever told of it is only answered with 200 if
    /// it is on disk.
    fn owe(&mut self, mut owed: Owed, reply: Reply<bool>, cx: &mut Cx<Self>) {
        let hold = owed.hold.clone();
        match self.owed.get(&hold) {
            None if self.owed.len() >= OWED_MAX => return reply.send(false),
            // What was billed goes before what was won, also where the tidings come the other way round.
            Some(known) if known.billed && !owed.billed => owed = known.clone(),
            known => {
                if let Some(known) = known {
                    self.due.remove(&(known.due_us, hold.clone()));
                }
                self.owed.insert(hold.clone(), owed.clone());
                self.due.insert((owed.due_us, hold));
            }
        }
        self.waiting.push((Line::Owed(owed), reply));
        self.write(cx);
    }

    fn done(&mut self, hold: String) {
        if let Some(owed) = self.owed.remove(&hold) {
            self.due.remove(&(owed.due_us, hold.clone()));
            self.waiting.push((Line::Done(hold), Reply::detached()));
        }
    }
}

impl Actor for NoticesActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "notices";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let dir = self.office.terms.dir.clone();
        let (spool, owed) = tokio::task::spawn_blocking(move || Spool::open(&dir)).await??;
        self.spool = Some(Arc::new(Mutex::new(spool)));
        self.due = owed.iter().map(|(hold, it)| (it.due_us, hold.clone())).collect();
        self.owed = owed;
        cx.send_after(TICK, Msg::Tick);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Owe { owed, reply } => self.owe(*owed, reply, cx),
            Msg::Done { hold } => self.done(hold),
            Msg::Written(outcome) => {
                let replies = self.writing.take().unwrap_or_default();
                let good = outcome.is_ok();
                self.view.last_error = outcome.err();
                replies.into_iter().for_each(|reply| reply.send(good));
                self.write(cx);
            }
            Msg::Booked { hold, paid } => {
                self.trying = self.trying.saturating_sub(1);
                match paid {
                    Paid::Later => {
                        let again = clock::wall_us() + AGAIN_US;
                        if let Some(owed) = self.owed.get_mut(&hold) {
                            owed.due_us = again;
                            self.due.insert((again, hold));
                        }
                    }
                    Paid::Booked { .. } => {
                        self.view.booked += 1;
                        self.done(hold);
                    }
                    Paid::Differs(_) => {
                        self.view.differs += 1;
                        self.done(hold);
                    }
                    Paid::Never(why) => {
                        self.view.never += 1;
                        journal::never();
                        tracing::error!(
                            hold,
                            why,
                            "the win of hold {hold} cannot be booked: {why}"
                        );
                        self.done(hold);
                    }
                }
                self.try_due(cx);
            }
            Msg::Tick => {
                self.office.end_bids(ENDED_MAX);
                journal::owed(self.owed.len());
                self.try_due(cx);
                self.write(cx);
                cx.send_after(TICK, Msg::Tick);
            }
        }
        self.view.owed = self.owed.len();
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
