//! `/value/customer/<account>:<hash>`.

use std::collections::HashMap;
use std::sync::Arc;

use super::view::CustomerView;
use super::{
    Declined, Imported, Known, Msg, NewPurchase, NotTaken, PURCHASES_MAX, PurchaseId, known,
};
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::Written;
use crate::actors::shield::person::{PersonError, PersonName};
use crate::actors::value::answer::History;
use crate::actors::value::shared::{Shared, home_of};
use crate::actors::value::{metrics, nodes};
use crate::clock;
use crate::models::cluster::shard::Shard;
use crate::models::value::forecast::customer::{Purchase, merged};
use crate::store::{LtvCustomerRow, LtvPurchaseRow, Put};

/// Purchases in a commit.
const OF_COMMIT: usize = 256;

pub struct CustomerActor {
    name: PersonName,
    shared: Arc<Shared>,
    /// Where the account is at home, and the epoch in which what is in memory was read.
    home: Shard,
    epoch: i64,
    live: Option<Known>,
}

impl CustomerActor {
    pub fn new(shared: Arc<Shared>, key: &str) -> CustomerActor {
        let name = PersonName::of_key(key);
        let home = home_of(&name.account);
        CustomerActor { name, shared, home, epoch: i64::MIN, live: None }
    }

    fn entity(&self) -> String {
        format!("@ltv/{}", self.name.lookup)
    }

    /// Makes sure that what is in memory is of this stay of the account on this node. Refused: there is no such
    /// account, or it is not at home here.
    async fn ready(&mut self) -> Result<Result<(), Declined>, Fault> {
        // What had begun before the shard was closed is worked on to its end.
        if self.live.is_some() && self.epoch == self.shared.placement().epoch(self.home) {
            return Ok(Ok(()));
        }
        self.unlearn();
        self.live = None;
        let Some(epoch) = self.shared.epoch(self.home) else {
            return Ok(Err(Declined::Unavailable));
        };
        self.epoch = epoch;
        self.live = Box::pin(self.load()).await?;
        Ok(if self.live.is_some() { Ok(()) } else { Err(Declined::UnknownAccount) })
    }

    async fn load(&self) -> Result<Option<Known>, Fault> {
        self.shared.writes.barrier().await;
        let known = known(&self.shared, &self.name).await?;
        if let Some(person) = known.as_ref().and_then(|known| known.history.person.as_ref()) {
            self.shared.memory.learn(person, &self.name.key());
        }
        Ok(known)
    }

    fn unlearn(&self) {
        if let Some(person) = self.live.as_ref().and_then(|live| live.history.person.as_ref()) {
            self.shared.memory.unlearn(person);
        }
    }

    /// Sorts what came into new and known; the new ones are not taken yet.
    fn sift(live: &Known, rows: Vec<NewPurchase>, done: &mut Imported) -> Vec<NewPurchase> {
        let mut fresh: Vec<NewPurchase> = Vec::new();
        let mut seen: HashMap<PurchaseId, (i32, i64)> = HashMap::new();
        for (place, row) in rows.into_iter().enumerate() {
            let said = (row.day.number(), row.amount);
            let before = live.ids.get(&row.id).or_else(|| seen.get(&row.id));
            let why = match before {
                Some(before) if *before == said => {
                    done.known += 1;
                    continue;
                }
                Some(_) => NotTaken::Differs,
                None if row.currency.is_some_and(|c| c != live.currency) => NotTaken::CurrencyMix,
                None if live.ids.len() + seen.len() >= PURCHASES_MAX => NotTaken::TooMany,
                None => {
                    seen.insert(row.id, said);
                    fresh.push(row);
                    continue;
                }
            };
            done.not_taken.push((place, why));
        }
        fresh
    }

    async fn person(&self, customer: &str) -> Result<Arc<str>, Result<Declined, Fault>> {
        let people = self.shared.shield.people();
        match people.identify(&self.name.account, customer).await {
            Ok(person) => Ok(person.into()),
            Err(PersonError::Erased) => Err(Ok(Declined::Erased)),
            Err(PersonError::Failed(why)) => Err(Err(Fault::new(why))),
            Err(_) => Err(Ok(Declined::Unavailable)),
        }
    }

    async fn import(
        &mut self,
        customer: &str,
        rows: Vec<NewPurchase>,
    ) -> Result<Result<Imported, Declined>, Fault> {
        let Some(live) = &self.live else { return Ok(Err(Declined::UnknownAccount)) };
        let mut done = Imported::default();
        let mut fresh = Self::sift(live, rows, &mut done);
        if done.known > 0 {
            // who sends them again may not have heard of the first time, and nor may what is cached
            self.forget_answers().await;
        }
        if fresh.is_empty() {
            return Ok(Ok(done));
        }
        let person = match &live.history.person {
            Some(person) => Arc::clone(person),
            None => match self.person(customer).await {
                Ok(person) => person,
                Err(Ok(declined)) => return Ok(Err(declined)),
                Err(Err(fault)) => return Err(fault),
            },
        };
        while !fresh.is_empty() {
            let now = fresh.split_off(fresh.len().saturating_sub(OF_COMMIT));
            match self.take(&person, now).await? {
                Ok(new) => done.new += new,
                // what is durable stays: a repeat finds it
                Err(declined) => return Ok(Err(declined)),
            }
        }
        metrics::purchases(done.new);
        Ok(Ok(done))
    }

    /// Nothing that was answered before is given again.
    async fn forget_answers(&self) {
        self.shared.cache.forget(self.name.number(), clock::mono_us());
        nodes::forget::tell(&self.shared, &self.name.lookup);
        self.shared.far.forget(&self.name.lookup).await;
    }

    /// Writes purchases and what they add up to, and adopts both.
    async fn take(
        &mut self,
        person: &Arc<str>,
        rows: Vec<NewPurchase>,
    ) -> Result<Result<u64, Declined>, Fault> {
        let entity = self.entity();
        let live = self.live.as_mut().ok_or_else(|| Fault::new("the customer is not loaded"))?;
        let account = &self.name.account;
        let now = clock::wall_us();
        let mut sum = live.row.clone().unwrap_or_else(|| LtvCustomerRow {
            account: account.to_string(),
            person: person.to_string(),
            purchases: 0,
            total: 0,
            currency: live.currency.to_string(),
            first_day: i64::MAX,
            last_day: i64::MIN,
            updated_at: now,
            version: 0,
        });
        let mut puts: Vec<Put> = Vec::with_capacity(rows.len() + 1);
        for row in &rows {
            let day = i64::from(row.day.number());
            sum.purchases += 1;
            sum.total = sum.total.saturating_add(row.amount);
            sum.first_day = sum.first_day.min(day);
            sum.last_day = sum.last_day.max(day);
            puts.push(Put::from(LtvPurchaseRow {
                account: account.to_string(),
                person: person.to_string(),
                purchase: row.id.to_string(),
                reference: row.reference.clone(),
                day,
                amount: row.amount,
                currency: live.currency.to_string(),
                created_at: now,
            }));
        }
        (sum.updated_at, sum.version) = (now, sum.version + 1);
        puts.push(sum.clone().into());
        match self.shared.writes.write(account, &entity, puts).await {
            Written::Done => {}
            Written::Unavailable => return Ok(Err(Declined::Unavailable)),
            // whether it is durable is for the next life to read, and nothing of before may answer
            other => {
                self.forget_answers().await;
                return Err(Fault::new(format!("purchases: {other:?}")));
            }
        }
        let mut purchases = live.history.purchases.clone();
        for row in &rows {
            live.ids.insert(row.id, (row.day.number(), row.amount));
            purchases.push(Purchase { day: row.day, micros: row.amount });
        }
        if live.history.person.is_none() {
            self.shared.memory.learn(person, &self.name.key());
        }
        let person = Some(Arc::clone(person));
        live.history = Arc::new(History { person, purchases: merged(purchases) });
        live.row = Some(sum);
        self.forget_answers().await;
        Ok(Ok(rows.len() as u64))
    }
}

impl Actor for CustomerActor {
    type Msg = Msg;
    type View = CustomerView;
    const TYPE: &'static str = "ltv_customer";

    async fn started(&mut self, _cx: &mut Cx<Self>) -> Result<(), Fault> {
        // Whether it was refused is for whoever asks.
        self.ready().await.map(drop)
    }

    // What is rarely done is boxed: an actor that rests keeps the memory of its largest future.
    async fn handle(&mut self, msg: Msg, _cx: &mut Cx<Self>) -> Result<(), Fault> {
        // the account may have been made since
        if let Err(declined) = self.ready().await? {
            match msg {
                Msg::Look { reply } => reply.send(Err(declined)),
                Msg::See { reply } => reply.send(Err(declined)),
                Msg::Import { reply, .. } | Msg::Check { reply, .. } => reply.send(Err(declined)),
                // nothing of anybody is here
                Msg::Forget { reply, .. } => reply.send(()),
            }
            return Ok(());
        }
        match msg {
            Msg::Look { reply } => {
                let history = self.live.as_ref().map(|live| Arc::clone(&live.history));
                reply.send(history.ok_or(Declined::UnknownAccount));
            }
            Msg::See { reply } => {
                let seen = self.live.as_ref().map(Known::seen);
                reply.send(seen.ok_or(Declined::UnknownAccount));
            }
            Msg::Import { customer, rows, reply } => {
                reply.send(Box::pin(self.import(&customer, rows)).await?);
            }
            Msg::Check { rows, reply } => {
                let checked = self.live.as_ref().map(|live| {
                    let mut done = Imported::default();
                    let fresh = Self::sift(live, rows, &mut done);
                    Imported { new: fresh.len() as u64, ..done }
                });
                reply.send(checked.ok_or(Declined::UnknownAccount));
            }
            Msg::Forget { person, reply } => {
                let live = self.live.as_ref();
                let known = live.and_then(|live| live.history.person.as_ref());
                if known == Some(&person) {
                    self.shared.memory.unlearn(&person);
                    self.live = Box::pin(self.load()).await?;
                    // until the key is destroyed the person is still found: nothing of the old stays
                    if let Some(live) = &mut self.live {
                        (live.history, live.row, live.ids) = Default::default();
                    }
                }
                reply.send(());
            }
        }
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        self.unlearn();
    }

    fn view(&self) -> CustomerView {
        let Some(live) = &self.live else { return CustomerView::default() };
        CustomerView {
            known: live.history.person.is_some(),
            purchases: live.ids.len(),
            days: live.history.purchases.len(),
            version: live.row.as_ref().map_or(0, |row| row.version),
        }
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look { .. } => "Look",
            Msg::See { .. } => "See",
            Msg::Import { .. } => "Import",
            Msg::Check { .. } => "Check",
            Msg::Forget { .. } => "Forget",
        }
    }
}
