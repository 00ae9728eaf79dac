//! `/value/recorder`: keeps one forecast a week of each customer and version, and compares it with
//! what came true when its horizon is over.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::loaded::Loaded;
use super::nodes::{Homes, forecasts};
use super::shared::{Shared, today};
use super::{metrics, watch};
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::clock;
use crate::models::value::log::day::Day;
use crate::store::LtvForecastRow;

/// Forecasts written together.
const OF_WRITE: usize = 512;
/// Forecasts that wait to be written: beyond it they are left out.
const WAITING_MAX: usize = 16_384;
const FLUSH_EVERY: Duration = Duration::from_millis(250);
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// A page of what is due follows the next at once.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const FULL_PAGE: usize = 1_000;
/// Closed forecasts are kept so long.
const KEPT_US: i64 = 400 * 86_400_000_000;
const PRUNED: u32 = 1_000;
/// Answers to imports are given again for so long.
const IMPORTS_KEPT_US: i64 = 90 * 86_400_000_000;
/// Forecasts about somebody who was erased may still be on their way for so long.
const GONE_US: i64 = 60_000_000;

/// Forecasts of this week that are known to be kept, and need not be told to the store again.
const KNOWN_MAX: usize = 262_144;

/// A forecast that was made.
pub struct Made {
    pub loaded: Arc<Loaded>,
    pub person: Arc<str>,
    pub arm: &'static str,
    pub as_of: Day,
    pub horizon_days: u32,
    /// In units of the currency.
    pub value: f64,
    pub lower: f64,
    pub upper: f64,
    pub p_active: f64,
}

pub enum Msg {
    Made(Box<Made>),
    /// Forecasts that other nodes made about people of accounts that are at home here.
    Told(Vec<LtvForecastRow>),
    Flush,
    /// These were not taken where their accounts are at home.
    Sent(Vec<LtvForecastRow>),
    /// Look for what is due.
    Look,
    /// The same now, for whoever asks: how many were closed.
    Close {
        reply: Reply<u64>,
    },
    /// The person is being erased: when this is answered, nothing about him is written any more.
    Forget {
        person: Arc<str>,
        reply: Reply<()>,
    },
}

#[derive(Clone, Default, Serialize)]
pub struct View {
    waiting: usize,
    kept: u64,
    closed: u64,
    dropped: u64,
    last_error: Option<String>,
}

pub struct RecorderActor {
    shared: Arc<Shared>,
    waiting: Vec<LtvForecastRow>,
    /// Those of accounts that are at home elsewhere.
    away: Vec<LtvForecastRow>,
    /// Some of them are on their way.
    sending: bool,
    /// Who was erased a moment ago, until when (monotonic).
    gone: HashMap<Arc<str>, i64>,
    known: Known,
    view: View,
}

/// Which customers and versions have their forecast of the week, by hash.
#[derive(Default)]
struct Known {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Known {
    fn hash(&self, row: &LtvForecastRow) -> u64 {
        self.hasher.hash_one((&row.account, &row.person, &row.model, row.period))
    }

    /// Whether it is new.
    fn add(&mut self, row: &LtvForecastRow, max: usize) -> bool {
        if self.hashes.len() >= max {
            // the store knows them all the same
            self.hashes.clear();
        }
        self.hashes.insert(self.hash(row))
    }

    fn remove(&mut self, row: &LtvForecastRow) {
        self.hashes.remove(&self.hash(row));
    }
}

/// Units of the currency as micros; what is beyond is the largest there is.
pub fn micros(units: f64) -> i64 {
    // the conversion saturates, and NaN is 0
    (units * 1e6).round() as i64
}

impl Made {
    fn row(&self) -> LtvForecastRow {
        let day = i64::from(self.as_of.number());
        LtvForecastRow {
            account: self.loaded.account.to_string(),
            person: self.person.to_string(),
            model: self.loaded.id.to_string(),
            period: day.div_euclid(7),
            made_day: day,
            due_day: day + i64::from(self.horizon_days),
            arm: self.arm.to_owned(),
            value: micros(self.value),
            lower_value: micros(self.lower),
            upper_value: micros(self.upper),
            p_active: micros(self.p_active),
            actual: None,
            created_at: clock::wall_us(),
            closed_at: None,
        }
    }
}

impl RecorderActor {
    pub fn new(shared: Arc<Shared>) -> RecorderActor {
        RecorderActor {
            shared,
            waiting: Vec::new(),
            away: Vec::new(),
            sending: false,
            gone: HashMap::new(),
            known: Known::default(),
            view: View::default(),
        }
    }

    /// The first forecast of a week is kept.
    fn keep(&mut self, row: LtvForecastRow) {
        if !self.known.add(&row, KNOWN_MAX) {
            return;
        }
        if self.waiting.len() + self.away.len() < WAITING_MAX {
            self.waiting.push(row);
            return;
        }
        self.drop_one(&row);
    }

    fn drop_one(&mut self, row: &LtvForecastRow) {
        self.known.remove(row);
        self.view.dropped += 1;
        metrics::forecasts("dropped", 1);
    }

    /// Those of people who were erased are not kept, whoever made them. Who is erased while an account is at home
    /// elsewhere is not known here: of them the store takes none.
    fn of_the_living(&self, mut rows: Vec<LtvForecastRow>) -> Vec<LtvForecastRow> {
        rows.retain(|row| !self.gone.contains_key(row.person.as_str()));
        rows
    }

    /// Accounts come and go between a forecast and its writing.
    fn sort(&mut self) {
        let mut homes = Homes::default();
        let all = self.waiting.drain(..).chain(self.away.drain(..));
        let here = |row: &LtvForecastRow| self.shared.is_here(homes.of(&row.account));
        (self.waiting, self.away) = all.collect::<Vec<_>>().into_iter().partition(here);
    }

    /// Sends some of those that are not written here, where none are on their way.
    fn send(&mut self, cx: &mut Cx<Self>) {
        if self.sending || self.away.is_empty() {
            return;
        }
        let some = self.away.len().min(OF_WRITE);
        let rows = self.away.drain(..some).collect();
        self.sending = true;
        cx.pipe(forecasts::send(Arc::clone(&self.shared), rows), Msg::Sent);
    }

    /// What was not taken is sent again, where there is room.
    fn sent(&mut self, back: Vec<LtvForecastRow>) {
        self.sending = false;
        for row in self.of_the_living(back) {
            if self.waiting.len() + self.away.len() < WAITING_MAX {
                self.away.push(row);
            } else {
                self.drop_one(&row);
            }
        }
    }

    async fn flush(&mut self) {
        self.sort();
        while !self.waiting.is_empty() {
            let rows = &self.waiting[..self.waiting.len().min(OF_WRITE)];
            match self.shared.writes.store().ltv_forecasts_put(rows).await {
                Ok(kept) => {
                    metrics::forecasts("kept", kept);
                    self.view.kept += kept;
                    self.waiting.drain(..self.waiting.len().min(OF_WRITE));
                }
                // they wait for the next time
                Err(error) => {
                    self.view.last_error = Some(error.to_string());
                    return;
                }
            }
        }
    }

    /// Compares what is due; whether there may be more. Purchases are told of late: what is due waits a
    /// few days for them, for it is compared once.
    async fn close(&mut self) -> Result<(u64, bool), crate::store::StoreError> {
        let store = self.shared.writes.store();
        let grace = i64::from(self.shared.terms.outcome_grace_days);
        let day = i64::from(today().number());
        let mut rows = store.ltv_forecasts_due(day - grace).await?;
        let mut full = rows.len() == FULL_PAGE;
        let mut homes = Homes::default();
        rows.retain(|row| self.shared.is_here(homes.of(&row.account)));
        // Where all are of others, those close them: there is nothing to do at once.
        full &= !rows.is_empty();
        for row in &mut rows {
            let who = (row.account.as_str(), row.person.as_str());
            row.actual = Some(store.ltv_spent(who, row.made_day, row.due_day).await?);
            row.closed_at = Some(clock::wall_us());
        }
        let mut closed = 0;
        for part in rows.chunks(OF_WRITE) {
            closed += store.ltv_forecasts_close(part).await?;
        }
        metrics::forecasts("closed", closed);
        self.view.closed += closed;
        // One node is enough to delete what is old: the one that has the default account.
        let prunes = self.shared.is_here(homes.of(&self.shared.terms.default_account));
        let pruned = if prunes { self.prune().await } else { 0 };
        if let Some(watch) = self.shared.watch.get() {
            for row in rows {
                let (Some(actual), model) = (row.actual, row.model) else { continue };
                let units = |micros: i64| micros as f64 / 1e6;
                let erred = watch::Msg::Erred {
                    account: row.account.into(),
                    model: model.into(),
                    predicted: units(row.value),
                    actual: units(actual),
                };
                // a sample: what does not fit is in the store
                let _ = watch.tell(erred);
            }
        }
        Ok((closed, full || pruned == u64::from(PRUNED)))
    }

    /// Deletes what is old: how many forecasts. What does not work is for the next time.
    async fn prune(&mut self) -> u64 {
        let (store, now) = (self.shared.writes.store(), clock::wall_us());
        let forecasts = store.ltv_forecasts_prune(now - KEPT_US, PRUNED).await;
        let imports = store.ltv_imports_prune(now - IMPORTS_KEPT_US, PRUNED).await;
        for error in [forecasts.as_ref().err(), imports.as_ref().err()].into_iter().flatten() {
            self.view.last_error = Some(format!("what is old stays: {error}"));
        }
        forecasts.unwrap_or(0)
    }

    async fn close_and_tell(&mut self) -> (u64, bool) {
        match self.close().await {
            Ok(done) => done,
            Err(error) => {
                self.view.last_error = Some(error.to_string());
                (0, false)
            }
        }
    }
}

impl Actor for RecorderActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "recorder";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(FLUSH_EVERY, Msg::Flush);
        cx.send_after(LOOK_EVERY, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Made(made) if self.gone.contains_key(&made.person) => {}
            Msg::Made(made) => self.keep(made.row()),
            Msg::Told(rows) => {
                self.of_the_living(rows).into_iter().for_each(|row| self.keep(row));
            }
            Msg::Sent(back) => self.sent(back),
            Msg::Flush => {
                self.flush().await;
                self.send(cx);
                cx.send_after(FLUSH_EVERY, Msg::Flush);
            }
            Msg::Look => {
                let now = clock::mono_us();
                self.gone.retain(|_, until| now < *until);
                let (_, more) = self.close_and_tell().await;
                cx.send_after(if more { LOOK_AGAIN } else { LOOK_EVERY }, Msg::Look);
            }
            Msg::Close { reply } => {
                self.flush().await;
                let mut all = 0;
                loop {
                    let (closed, more) = self.close_and_tell().await;
                    all += closed;
                    if !more || closed == 0 {
                        break;
                    }
                }
                reply.send(all);
            }
            Msg::Forget { person, reply } => {
                self.waiting.retain(|row| *row.person != *person);
                self.away.retain(|row| *row.person != *person);
                self.gone.insert(person, clock::mono_us() + GONE_US);
                reply.send(());
            }
        }
        self.view.waiting = self.waiting.len() + self.away.len();
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        self.flush().await;
        // There is no time to send them.
        metrics::forecasts("dropped", self.away.len() as u64);
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Made(_) => "Made",
            Msg::Told(_) => "Told",
            Msg::Flush => "Flush",
            Msg::Sent(_) => "Sent",
            Msg::Look => "Look",
            Msg::Close { .. } => "Close",
            Msg::Forget { .. } => "Forget",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(person: &str, model: &str, period: i64) -> LtvForecastRow {
        LtvForecastRow {
            account: "a".to_owned(),
            person: person.to_owned(),
            model: model.to_owned(),
            period,
            made_day: 0,
            due_day: 0,
            arm: "champion".to_owned(),
            value: 0,
            lower_value: 0,
            upper_value: 0,
            p_active: 0,
            actual: None,
            created_at: 0,
            closed_at: None,
        }
    }

    #[test]
    fn the_first_forecast_of_a_week_is_new_and_what_was_not_kept_is_new_again() {
        let mut known = Known::default();
        let first = row("p", "m", 1);
        assert!(known.add(&first, 3) && !known.add(&first, 3));
        assert!(known.add(&row("p", "m", 2), 3) && known.add(&row("p", "n", 1), 3));
        assert!(known.add(&row("q", "m", 1), 3), "too many: all are forgotten");
        assert!(known.add(&first, 3) && !known.add(&row("q", "m", 1), 3));
        known.remove(&first);
        assert!(known.add(&first, 3));
    }
}
