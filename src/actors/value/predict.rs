//! A question's way to its answer: from memory, from another node's, from a predictor, or from the rule
//! of thumb, which says that it is one.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::answer::{Answer, Ask, History};
use super::cache::Question;
use super::customer;
use super::loaded::{Loaded, Serving};
use super::metrics::{self, Look};
use super::nodes;
use super::predictor::Job;
use super::service::{Result, Value, ValueError};
use super::shared::today;
use crate::actors::kernel::Reply;
use crate::actors::shield::person::PersonName;
use crate::clock;
use crate::models::cluster::shard::Shard;
use crate::models::value::forecast::answer::Forecast;
use crate::models::value::forecast::heuristic::heuristic;
use crate::models::value::forecast::hint::Hint;
use crate::models::value::log::day::Day;
use crate::models::value::split::Arm;

/// With more than this waiting, the challenger makes no forecasts that nobody asked for.
const SHADOW_DEPTH_MAX: u32 = 64;

/// Questions of many that are worked on at a time.
const AT_A_TIME: usize = 256;

/// What an answer is made of.
struct Asked<'a> {
    ask: &'a Ask,
    began_us: i64,
    horizon_days: u32,
    as_of: Day,
    arm: Arm,
}

impl Asked<'_> {
    fn answer(&self, forecast: Arc<Forecast>, model: Option<&Arc<Loaded>>, cached: bool) -> Answer {
        let answer = Answer {
            forecast,
            model: model.map(|loaded| Arc::clone(&loaded.id)),
            arm: self.arm,
            horizon_days: self.horizon_days,
            explained: self.ask.explain,
            cached,
            took_us: clock::mono_us() - self.began_us,
        };
        metrics::answered(&answer);
        if let Some(loaded) = model {
            loaded.online.answered(cached, answer.took_us);
        }
        answer
    }

    /// The rule of thumb, on what is known.
    fn fallback(&self, history: Option<&History>, reason: &'static str) -> Answer {
        metrics::fell_back(reason);
        let known = |history: &History| {
            let sum: f64 = history.purchases.iter().map(|p| p.micros as f64 / 1e6).sum();
            (!history.purchases.is_empty()).then_some(sum)
        };
        let spend = self.ask.hint.spend.or_else(|| history.and_then(known));
        let hint = Hint { spend, engagement: self.ask.hint.engagement };
        self.answer(Arc::new(heuristic(&hint, self.horizon_days)), None, false)
    }

    fn question(&self, loaded: &Loaded, history: &History) -> Question {
        Question {
            model: Arc::clone(&loaded.id),
            horizon_days: self.horizon_days,
            as_of: self.as_of,
            hint: if history.purchases.is_empty() { self.ask.hint } else { Hint::NONE },
        }
    }

    fn job(&self, loaded: &Arc<Loaded>, history: &Arc<History>, keep: Option<&'static str>) -> Job {
        Job {
            loaded: Arc::clone(loaded),
            history: Arc::clone(history),
            hint: self.ask.hint,
            as_of: self.as_of,
            horizon_days: self.horizon_days,
            explain: self.ask.explain,
            keep,
            spoilt: None,
            reply: None,
        }
    }
}

/// Why nobody knows the customer's purchases, as a label.
fn why_unknown(error: &ValueError) -> &'static str {
    match error {
        ValueError::Unavailable => "store",
        ValueError::Unanswered => "late",
        ValueError::Overloaded { .. } => "overloaded",
        _ => "failed",
    }
}

impl Value {
    /// What a customer is worth. There is always an answer of an account that exists.
    ///
    /// # Errors
    /// There is no such account, or nobody can say whether there is.
    pub async fn predict(&self, account: &str, ask: &Ask) -> Result<Answer> {
        let began_us = clock::mono_us();
        let (serving, home) = nodes::follow::serving(&self.shared, account).await?;
        let (loaded, arm, shadow) = serving.choose(&ask.customer);
        let horizon_days = ask.horizon_days.unwrap_or(self.shared.terms.horizon_days);
        let asked = Asked { ask, began_us, horizon_days, as_of: today(), arm };
        match &ask.purchases {
            Some(purchases) => {
                let history = Arc::new(History { person: None, purchases: purchases.clone() });
                let Some(loaded) = loaded else {
                    return Ok(asked.fallback(Some(&history), "no_model"));
                };
                self.ask_pool(&asked, loaded, &history, None).await
            }
            None => self.of_customer(&asked, (account, home), (loaded, shadow)).await,
        }
    }

    /// The same of many, a bounded number at a time; answers come in the order of the questions.
    pub async fn predict_many(&self, account: &str, asks: Vec<Ask>) -> Vec<(Ask, Result<Answer>)> {
        let account: Arc<str> = account.into();
        let one = |ask: Ask| {
            let (value, account) = (self.clone(), Arc::clone(&account));
            async move {
                let answer = value.predict(&account, &ask).await;
                (ask, answer)
            }
        };
        stream::iter(asks.into_iter().map(one)).buffered(AT_A_TIME).collect().await
    }

    async fn of_customer(
        &self,
        asked: &Asked<'_>,
        (account, home): (&str, Shard),
        (loaded, shadow): (Option<&Arc<Loaded>>, Option<&Arc<Loaded>>),
    ) -> Result<Answer> {
        let name = self.shared.shield.people().name(account, &asked.ask.customer);
        let (key, explain) = (name.number(), asked.ask.explain);
        let cache = &self.shared.cache;
        let question = |history: &History| loaded.map(|loaded| asked.question(loaded, history));
        let of = (key, self.shared.epoch(home));
        let found = cache.look(of, asked.began_us, explain, question);
        if let Some(forecast) = found.forecast {
            metrics::looked(Look::Hit);
            return Ok(asked.answer(forecast, loaded, true));
        }
        let shares = found.shared && self.shared.far.is_there();
        if let (Some(loaded), None, true) = (loaded, &found.history, shares) {
            // an answer to somebody with purchases: of others none is shared
            let question = Question {
                model: Arc::clone(&loaded.id),
                horizon_days: asked.horizon_days,
                as_of: asked.as_of,
                hint: Hint::NONE,
            };
            let known = self.shared.far.get(&name.lookup, &question, explain).await;
            // not if a purchase came while it was on its way
            if let Some(forecast) = known.filter(|_| cache.is_current(key, found.stamp)) {
                metrics::looked(Look::Shared);
                return Ok(asked.answer(Arc::new(forecast), Some(loaded), true));
            }
        }
        metrics::looked(Look::Miss);
        let history = match found.history {
            Some(history) => history,
            None => match self.history(&name, home).await {
                Ok(history) => history,
                Err(ValueError::UnknownAccount) => return Err(ValueError::UnknownAccount),
                Err(error) => return Ok(asked.fallback(None, why_unknown(&error))),
            },
        };
        let Some(loaded) = loaded else {
            cache.put(of, (found.stamp, asked.began_us), &history, None);
            return Ok(asked.fallback(Some(&history), "no_model"));
        };
        let keep = history.person.as_ref().map(|_| metrics::arm_name(asked.arm));
        let answer = self.ask_pool(asked, loaded, &history, keep).await?;
        if answer.model.is_some() {
            let question = asked.question(loaded, &history);
            self.shared.far.learn(&answer.forecast);
            // others may know of a purchase of which this node was not told: the account's home shares answers
            if let Some(epoch) = of.1.filter(|_| !history.purchases.is_empty()) {
                let (shared, stamp) = (Arc::clone(&self.shared), found.stamp);
                let current = move || {
                    shared.cache.is_current(key, stamp) && shared.epoch(home) == Some(epoch)
                };
                self.shared.far.put_soon(&name.lookup, &question, &answer.forecast, current);
            }
            let kept = Some((question, Arc::clone(&answer.forecast), explain));
            cache.put(of, (found.stamp, asked.began_us), &history, kept);
        }
        if let Some(shadow) = shadow.filter(|_| history.person.is_some())
            && self.shared.pool.depth() <= SHADOW_DEPTH_MAX
        {
            self.shared.pool.ask_aside(asked.job(shadow, &history, Some("shadow")));
        }
        Ok(answer)
    }

    async fn ask_pool(
        &self,
        asked: &Asked<'_>,
        loaded: &Arc<Loaded>,
        history: &Arc<History>,
        keep: Option<&'static str>,
    ) -> Result<Answer> {
        let make = |reply| Job { reply, ..asked.job(loaded, history, keep) };
        match self.shared.pool.ask(self.shared.terms.patience, make).await {
            Ok(forecast) => Ok(asked.answer(Arc::new(forecast), Some(loaded), false)),
            Err(unasked) => Ok(asked.fallback(Some(history), unasked.name())),
        }
    }

    /// Purchases of a customer: from its actor, or where the account is at home elsewhere, from the store.
    async fn history(&self, name: &PersonName, home: Shard) -> Result<Arc<History>> {
        let patience = self.shared.terms.patience.max(std::time::Duration::from_secs(1));
        let look = |reply| customer::Msg::Look { reply };
        if let Some(history) = self.ask_customer(name, home, patience, look).await {
            return history;
        }
        Ok(nodes::reads::known(&self.shared, name, patience).await?.history)
    }

    /// Asks a customer's actor; nothing where the account is at home elsewhere.
    pub(super) async fn ask_customer<T: Send + 'static>(
        &self,
        name: &PersonName,
        home: Shard,
        patience: std::time::Duration,
        make: impl FnOnce(Reply<std::result::Result<T, customer::Declined>>) -> customer::Msg,
    ) -> Option<Result<T>> {
        if !self.shared.is_here(home) {
            return None;
        }
        let asking = async { Ok(self.customers()?.ask(&name.key(), patience, make).await??) };
        let answer: Result<T> = asking.await;
        // An account that goes takes its customers along.
        (answer.is_ok() || self.shared.is_here(home)).then_some(answer)
    }

    /// Who answers for an account.
    pub async fn serving(&self, account: &str) -> Result<Arc<Serving>> {
        let (serving, _) = nodes::follow::serving(&self.shared, account).await?;
        Ok(serving)
    }
}
