//! `/flow/lookup`: asks SyncShield what people allow and SyncValue what they are worth, a bounded number at a
//! time, and keeps the answers where auctions find them. It reads the exchange rates of accounts, too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::cache::Known;
use crate::actors::flow::auction::{Account, Office};
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::person::Granted;
use crate::actors::value::Ask;
use crate::clock;
use crate::models::flow::auction::Rates;
use crate::models::flow::campaign::audience::Cohort;
use crate::models::flow::targeting::LtvStatus;
use crate::models::shield::day::DaySpan;
use crate::models::shield::money::{Currency, Micros, Rate};
use crate::models::value::forecast::answer::Status;
use crate::models::value::forecast::hint::Hint;

/// Questions under way at once; more than these and as many that wait are left out.
const AT_A_TIME: usize = 64;
const WAITING_MAX: usize = 4_096;
/// How often the tables of exchange rates are read, and how soon again where one could not be.
const RATES_EVERY: Duration = Duration::from_secs(30);
const RATES_AGAIN: Duration = Duration::from_secs(1);
/// Accounts whose rates are read at once.
const ACCOUNTS_AT_A_TIME: usize = 8;

/// Somebody of whom an account is to say what it knows.
pub struct Question {
    pub account: Arc<Account>,
    pub customer: String,
    /// That of the customer's name.
    pub person: u128,
}

pub enum Msg {
    /// Nobody knows this person here.
    Look(Question),
    /// The person, the stamp that was there before anybody was asked, and the answer, with the time from which on it
    /// counts no more, where that is soon.
    Found(u128, u64, Option<Box<(Known, Option<i64>)>>),
    /// Auctions see other accounts: those without rates are read.
    Accounts,
    RatesOfNew,
    ReadRates,
    /// Whether those of all were read.
    Rates(bool),
}

#[derive(Clone, Copy, Serialize)]
pub struct View {
    under_way: usize,
    waiting: usize,
    left_out: u64,
    unanswered: u64,
    accounts: usize,
    /// Accounts whose rates were not read yet: they bid where they need none.
    accounts_without_rates: usize,
    /// The newest day of any account's rates.
    rates_day: i32,
}

pub struct LookupActor {
    office: Arc<Office>,
    waiting: VecDeque<Question>,
    under_way: usize,
    left_out: u64,
    unanswered: u64,
}

impl LookupActor {
    pub fn new(office: Arc<Office>) -> LookupActor {
        let waiting = VecDeque::new();
        LookupActor { office, waiting, under_way: 0, left_out: 0, unanswered: 0 }
    }

    fn next(&mut self, cx: &mut Cx<Self>) {
        while self.under_way < AT_A_TIME
            && let Some(question) = self.waiting.pop_front()
        {
            self.under_way += 1;
            let office = Arc::clone(&self.office);
            let patience = office.terms.ltv_patience;
            let ask = async move {
                let person = question.person;
                let stamp = office.ltv.stamp(person);
                let known = tokio::time::timeout(patience, found(&office, &question)).await;
                (person, stamp, known.ok().flatten().map(Box::new))
            };
            cx.pipe(ask, |(person, stamp, known)| Msg::Found(person, stamp, known));
        }
    }

    /// Reads the rates of accounts that auctions see: of all, or of those that have none yet.
    fn read(&self, all: bool) -> impl Future<Output = bool> + Send + use<> {
        let office = Arc::clone(&self.office);
        let accounts = office.market().accounts.clone();
        async move {
            let wanted = accounts.into_iter().filter(move |account| all || !account.has_rates());
            let read = stream::iter(wanted).map(|account| {
                let office = Arc::clone(&office);
                async move {
                    let Some(rates) = rates(&office, &account.name).await else { return false };
                    account.set_rates(rates);
                    true
                }
            });
            let all = |all, one| std::future::ready(all && one);
            read.buffer_unordered(ACCOUNTS_AT_A_TIME).fold(true, all).await
        }
    }
}

/// What an account knows of a customer, as far as the customer lets it be used.
async fn found(office: &Office, question: &Question) -> Option<(Known, Option<i64>)> {
    let Question { account, customer, .. } = question;
    let name = &*account.name;
    // What nobody can say is not granted.
    let Granted { kinds: granted, until_us } =
        office.shield.people().allowed(name, customer).await.ok()?;
    let thumb = || Known::thumb(account.rates().base(), office.horizon_days(), Some(granted));
    if !Known::is_targeted(granted) {
        // CO-1: nobody is asked what is never used.
        return Some((thumb(), until_us));
    }
    let ask = Ask {
        customer: customer.clone(),
        hint: Hint::NONE,
        horizon_days: None,
        explain: false,
        purchases: None,
    };
    let (answer, serving, seen) = tokio::join!(
        office.value.predict(name, &ask),
        office.value.serving(name),
        office.value.customer(name, customer),
    );
    let history = seen.ok().map(|seen| seen.history);
    let person = history.as_ref().and_then(|history| history.person.clone());
    let first = history.and_then(|history| history.purchases.first().map(|it| it.day));
    let cohort = first.and_then(|day| {
        let days = jiff::SignedDuration::from_hours(24 * i64::from(day.number()));
        Cohort::of(jiff::civil::date(1970, 1, 1).saturating_add(days))
    });
    let (Ok(answer), Ok(serving)) = (answer, serving) else {
        return Some((Known { cohort, person, ..thumb() }, until_us));
    };
    let known = Known {
        // The conversion saturates, and NaN is 0.
        amount: Micros((answer.forecast.value * 1e6).round() as i64),
        currency: serving.currency,
        status: match answer.forecast.status {
            Status::Success => LtvStatus::Success,
            Status::InsufficientData => LtvStatus::InsufficientData,
            Status::Fallback => LtvStatus::Fallback,
        },
        model: answer.model.unwrap_or_default(),
        engagement: None,
        cohort,
        granted: Some(granted),
        person,
        personal: true,
    };
    Some((known, until_us))
}

/// An account's newest rates that are not of a day to come.
async fn rates(office: &Office, account: &str) -> Option<Rates> {
    let base = office.shield.store().account(account).await.ok()??.currency.parse().ok()?;
    let rows = office.shield.store().rates(account).await.ok()?;
    // Days are stored as 20261122.
    let today = DaySpan::at("UTC", clock::wall_us()).day.0.to_string();
    let mut newest: std::collections::BTreeMap<Currency, (String, Rate)> = Default::default();
    for row in rows.into_iter().filter(|row| row.day <= today) {
        let Ok(currency) = row.currency.parse::<Currency>() else { continue };
        // Rows are by currency and day: the last is the newest.
        newest.insert(currency, (row.day, Rate(row.rate_e9)));
    }
    let day = newest.values().map(|(day, _)| day).max();
    let day = day.and_then(|day| day.parse().ok()).unwrap_or(0);
    newest.remove(&base);
    let listed = newest.into_iter().map(|(currency, (_, rate))| (currency, rate));
    Rates::new(day, base, listed)
        .inspect_err(
            |error| tracing::warn!(%error, "the exchange rates of {account} cannot be used"),
        )
        .ok()
}

impl Actor for LookupActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "lookup";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        // Without a table there is no rate, and no bid that needs one.
        cx.pipe(self.read(true), Msg::Rates);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look(question) if self.waiting.len() < WAITING_MAX => {
                self.waiting.push_back(question);
                self.next(cx);
            }
            Msg::Look(_) => self.left_out += 1,
            Msg::Found(person, stamp, known) => {
                self.under_way = self.under_way.saturating_sub(1);
                match known {
                    Some(known) => {
                        let (known, until_us) = *known;
                        let until_us = until_us.unwrap_or(i64::MAX);
                        self.office.ltv.put(person, known, (stamp, clock::mono_us()), until_us);
                    }
                    None => self.unanswered += 1,
                }
                self.next(cx);
            }
            // Those that fail now are read with the others.
            Msg::Accounts => cx.pipe(self.read(false), |_| Msg::RatesOfNew),
            Msg::RatesOfNew => {}
            Msg::ReadRates => cx.pipe(self.read(true), Msg::Rates),
            // Those at hand stay.
            Msg::Rates(all) => {
                cx.send_after(if all { RATES_EVERY } else { RATES_AGAIN }, Msg::ReadRates);
            }
        }
        Ok(())
    }

    fn view(&self) -> View {
        let market = self.office.market();
        let accounts = &market.accounts;
        View {
            under_way: self.under_way,
            waiting: self.waiting.len(),
            left_out: self.left_out,
            unanswered: self.unanswered,
            accounts: accounts.len(),
            accounts_without_rates: accounts.iter().filter(|it| !it.has_rates()).count(),
            rates_day: accounts.iter().map(|it| it.rates().day).max().unwrap_or(0),
        }
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look(_) => "Look",
            Msg::Found(..) => "Found",
            Msg::Accounts => "Accounts",
            Msg::RatesOfNew => "RatesOfNew",
            Msg::ReadRates => "ReadRates",
            Msg::Rates(_) => "Rates",
        }
    }
}
