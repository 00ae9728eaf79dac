//! Budgets across nodes. A purse is on every node that grants from a budget; its authority is on the one that
//! owns it. What they ask each other travels over the links, and nothing of it is lost when a message is: purses
//! ask again, and one operation books once (the simulation in `models/shield/sim` loses and repeats every message).

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::budget::{Asker, BudgetActor, State};
use super::journal::Sent;
use super::message::{AccountSeen, HoldFate, Msg, Told, Wish};
use super::metrics as m;
use super::names::BudgetName;
use super::service::ShieldError;
use super::shared::Shared;
use super::under_way::Joined;
use crate::actors::cluster::links::LinkError;
use crate::actors::kernel::{Cx, Fault};
use crate::models::cluster::member::Route;
use crate::models::cluster::node::Incarnation;
use crate::models::shield::ask::{Answer, Ask};
use crate::models::shield::effect::Lane;
use crate::models::shield::entry::{HolderId, Op, SliceId};
use crate::models::shield::money::Micros;
use crate::models::shield::purse::HoldAnswer;
use crate::store::{HoldRow, Outcome, Write};

const ASK: &str = "shield.ask";
const RECALL: &str = "shield.recall";
const HOLD: &str = "shield.hold";
const JOURNAL: &str = "shield.journal";
const ACCOUNT: &str = "shield.account";
const RATES: &str = "shield.rates";

/// How long a budget that is between two owners is waited for.
const BETWEEN: Duration = Duration::from_secs(1);
/// How long an authority may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a node may take to say whether it has a hold.
const LOOK: Duration = Duration::from_secs(1);
/// Between two attempts to find an authority that moves.
const AGAIN: Duration = Duration::from_millis(20);
const AGAIN_MAX: Duration = Duration::from_millis(250);
/// Holds that one message journals.
const JOURNAL_MAX: usize = 512;

/// Where a purse is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The life of its node.
    pub node: u64,
    /// The key of its actor there.
    pub key: String,
}

/// An authority's answer to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub answer: Answer,
    /// What it has left, holds aside.
    pub left: Option<Micros>,
}

impl Asked {
    pub fn of(answer: Answer) -> Asked {
        Asked { answer, left: None }
    }
}

#[derive(Serialize, Deserialize)]
struct Question {
    account: String,
    budget: String,
    ask: Ask,
    /// Whose it is, with the key of its actor: what is granted can be recalled there.
    holder: Option<(HolderId, String)>,
}

#[derive(Serialize, Deserialize)]
struct Recall {
    key: String,
    lane: Lane,
    holder: HolderId,
    slice: SliceId,
}

#[derive(Serialize, Deserialize)]
struct Looked {
    key: String,
    hold: Op,
    wish: Wish,
}

#[derive(Serialize, Deserialize)]
struct Journaled {
    account: String,
    budget: String,
    holds: Vec<HoldRow>,
}

impl Shared {
    fn entities_of(
        &self,
        name: &BudgetName,
    ) -> Option<&crate::actors::kernel::Entities<BudgetActor>> {
        if name.is_account() { self.accounts.get() } else { self.budgets.get() }
    }
}

/// Answers what other nodes ask.
pub fn serve(shared: &Arc<Shared>) {
    let links = shared.placement.links();
    let gone = || LinkError::Refused("the service has ended".to_owned());
    let weak = Arc::downgrade(shared);
    let here = move |weak: &Weak<Shared>| weak.upgrade().ok_or_else(gone);
    let own = weak.clone();
    links.answer_with(ASK, move |from: Incarnation, question: Question| {
        let shared = here(&own);
        async move {
            let shared = shared?;
            let Question { account, budget, ask, holder } = question;
            let name = BudgetName { account: account.into(), budget: budget.into() };
            let holder = holder.map(|(holder, key)| (holder, Home { node: from.0, key }));
            if !shared.placement.admits(name.place()) {
                return Ok(Asked::of(Answer::NotOwner));
            }
            Ok(ask_here(&shared, &name, ask, holder, PATIENCE).await)
        }
    });
    let own = weak.clone();
    links.answer_with(RECALL, move |_, recall: Recall| {
        let shared = here(&own);
        async move {
            let Recall { key, lane, holder, slice } = recall;
            if let Some(budgets) = shared?.budgets.get() {
                // A purse that is gone serves nothing.
                budgets.tell_if_active(&key, Msg::Recall { lane, holder, slice });
            }
            Ok(())
        }
    });
    let own = weak.clone();
    links.answer_with(HOLD, move |_, looked: Looked| {
        let shared = here(&own);
        async move {
            let shared = shared?;
            let unknown = HoldFate::Answer(HoldAnswer::Unknown);
            let Looked { key, hold, wish } = looked;
            let Some(budgets) = shared.budgets.get().filter(|it| it.is_active(&key)) else {
                return Ok(unknown);
            };
            match budgets.ask(&key, LOOK, |reply| Msg::Near { hold, wish, reply }).await {
                Ok(Told::Done(fate)) => Ok(fate),
                Ok(Told::Absent) => Ok(unknown),
                Ok(Told::Unavailable) => Err(LinkError::Refused("not loaded".to_owned())),
                Err(_) => Err(LinkError::Silent),
            }
        }
    });
    let own = weak.clone();
    links.answer_with(ACCOUNT, move |_, account: String| {
        let shared = here(&own);
        async move {
            match account_here(&*shared?, &account, PATIENCE).await {
                Ok(seen) => Ok(Some(seen)),
                Err(ShieldError::Absent) => Ok(None),
                Err(error) => Err(LinkError::Refused(error.to_string())),
            }
        }
    });
    let own = weak.clone();
    links.answer_with(RATES, move |_, account: String| {
        let shared = here(&own);
        async move {
            let refused = |error: ShieldError| LinkError::Refused(error.to_string());
            read_rates(&*shared?, &account).await.map_err(refused)
        }
    });
    let own = weak;
    links.answer_with(JOURNAL, move |_, told: Journaled| {
        let shared = here(&own);
        async move { Ok(journal_here(&*shared?, told).await) }
    });
}

/// Asks a budget's authority, wherever it is. What cannot be asked is unavailable: who asks does so again.
pub async fn ask(
    shared: &Shared,
    name: &BudgetName,
    ask: Ask,
    holder: Option<(HolderId, &str)>,
    patience: Duration,
) -> Asked {
    let (began, mut again) = (Instant::now(), AGAIN);
    let home = |key: &str| Home { node: shared.incarnation, key: key.to_owned() };
    loop {
        let left = patience.saturating_sub(began.elapsed());
        let answer = match shared.placement.whereabouts(name.place(), left).await {
            Route::Here(_) => {
                let holder = holder.map(|(holder, key)| (holder, home(key)));
                ask_here(shared, name, ask.clone(), holder, left).await
            }
            Route::There(node) => {
                let question = Question {
                    account: name.account.to_string(),
                    budget: name.budget.to_string(),
                    ask: ask.clone(),
                    holder: holder.map(|(holder, key)| (holder, key.to_owned())),
                };
                match shared.placement.links().ask_for(node, ASK, &question, left).await {
                    Ok(asked) => asked,
                    Err(error) => {
                        tracing::debug!(%error, budget = %name, node = %node, "the authority of {name} was not reached");
                        // What may have been done is asked again by whoever wanted it, with the same operation.
                        let untouched = error.is_untouched();
                        Asked::of(if untouched { Answer::NotOwner } else { Answer::Unavailable })
                    }
                }
            }
            Route::Nobody => return Asked::of(Answer::Unavailable),
        };
        // Between two owners, and until a dead one is replaced, nobody is.
        if answer.answer != Answer::NotOwner || began.elapsed() + again >= patience {
            return answer;
        }
        tokio::time::sleep(again).await;
        again = (again * 2).min(AGAIN_MAX);
    }
}

async fn ask_here(
    shared: &Shared,
    name: &BudgetName,
    ask: Ask,
    holder: Option<(HolderId, Home)>,
    patience: Duration,
) -> Asked {
    let Some(entities) = shared.entities_of(name) else { return Asked::of(Answer::Unavailable) };
    let key = name.key(&shared.terms.default_account);
    let ask = Box::new(ask);
    let asked = entities.ask(&key, patience, |reply| Msg::Ask { ask, holder, reply }).await;
    asked.unwrap_or_else(|_| Asked::of(Answer::Unavailable))
}

/// Has a purse stop serving from a slice, wherever it is. Should this be lost, the slice's time ends it.
pub fn recall(shared: &Shared, home: &Home, lane: Lane, holder: HolderId, slice: SliceId) {
    if home.node == shared.incarnation {
        if let Some(budgets) = shared.budgets.get() {
            budgets.tell_if_active(&home.key, Msg::Recall { lane, holder, slice });
        }
        return;
    }
    let recall = Recall { key: home.key.clone(), lane, holder, slice };
    let told = serde_json::to_vec(&recall).map_err(|_| LinkError::Away);
    let links = shared.placement.links();
    let told = told.and_then(|body| links.tell(Incarnation(home.node), RECALL, body));
    if let Err(error) = told {
        tracing::debug!(%error, "a slice of another node ends by its time");
    }
}

/// Journals holds of a budget that another node owns. Whether all of them are durable.
pub async fn journal(shared: &Shared, name: &BudgetName, mut holds: Vec<HoldRow>) -> bool {
    let Route::There(node) = shared.placement.whereabouts(name.place(), BETWEEN).await else {
        return false;
    };
    holds.truncate(JOURNAL_MAX);
    let told =
        Journaled { account: name.account.to_string(), budget: name.budget.to_string(), holds };
    let done = shared.placement.links().ask_for(node, JOURNAL, &told, PATIENCE).await;
    if done != Ok(true) {
        m::journal_lost();
    }
    done == Ok(true)
}

async fn journal_here(shared: &Shared, told: Journaled) -> bool {
    let Journaled { account, budget, holds } = told;
    let name = BudgetName { account: account.as_str().into(), budget: budget.as_str().into() };
    let of_it = |hold: &HoldRow| hold.account == account && hold.budget == budget;
    if holds.len() > JOURNAL_MAX || !holds.iter().all(of_it) {
        return false;
    }
    journal_own(shared, &name, holds).await
}

/// The same of a budget that this node owns.
pub(super) async fn journal_own(shared: &Shared, name: &BudgetName, holds: Vec<HoldRow>) -> bool {
    let (account, budget) = (name.account.to_string(), name.budget.to_string());
    let shard = name.shard();
    let epoch = shared.epoch(shard);
    let write = Write { account, budget, shard, epoch, holds, ..Write::default() };
    match shared.committer.submit(write) {
        Ok(outcome) => matches!(outcome.await, Ok(Outcome::Committed)),
        Err(_) => false,
    }
}

/// Looks at an account, wherever it is.
pub async fn account(
    shared: &Shared,
    account: &str,
    patience: Duration,
) -> Result<AccountSeen, ShieldError> {
    let began = Instant::now();
    let place = BudgetName::account(account).place();
    loop {
        let left = patience.saturating_sub(began.elapsed());
        match shared.placement.whereabouts(place, left).await {
            Route::Here(_) => return account_here(shared, account, left).await,
            Route::Nobody => return Err(ShieldError::Unavailable),
            Route::There(node) => {
                let links = shared.placement.links();
                match links.ask_for::<_, Option<AccountSeen>>(node, ACCOUNT, &account, left).await {
                    Ok(seen) => return seen.ok_or(ShieldError::Absent),
                    Err(error) if began.elapsed() + AGAIN >= patience => {
                        tracing::debug!(%error, account, "account {account} was not reached");
                        return Err(ShieldError::Unavailable);
                    }
                    // It moves, or its node is being replaced.
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
            }
        }
    }
}

/// The same on its own node, if it is that still when it has looked.
async fn account_here(
    shared: &Shared,
    account: &str,
    patience: Duration,
) -> Result<AccountSeen, ShieldError> {
    let place = BudgetName::account(account).place();
    let owns = || shared.placement.serves() && shared.placement.admits(place);
    let accounts = shared.accounts.get().filter(|_| owns()).ok_or(ShieldError::Unavailable)?;
    let seen = accounts.ask(account, patience, |reply| Msg::SeeAccount { reply }).await?;
    match seen {
        Told::Done(seen) if owns() => Ok(seen),
        Told::Done(_) | Told::Unavailable => Err(ShieldError::Unavailable),
        Told::Absent => Err(ShieldError::Absent),
    }
}

/// Tells other nodes that the exchange rates of an account have changed.
///
/// # Errors
/// A node has not heard of it: its campaigns read the rates at the latest when the day ends.
pub async fn rates_changed(shared: &Shared, account: &str) -> Result<(), ShieldError> {
    let links = shared.placement.links();
    let others = shared.placement.others();
    let told = others.iter().map(|node| links.ask_for::<_, ()>(*node, RATES, &account, PATIENCE));
    match join_all(told).await.into_iter().find_map(Result::err) {
        None => Ok(()),
        Some(error) => {
            tracing::warn!(%error, account, "a node was not told of new exchange rates");
            Err(ShieldError::Unavailable)
        }
    }
}

/// Has the budgets of an account that are in memory here read its exchange rates.
pub async fn read_rates(shared: &Shared, account: &str) -> Result<(), ShieldError> {
    let Some(budgets) = shared.budgets.get() else { return Err(ShieldError::Unavailable) };
    let default_account = &shared.terms.default_account;
    for key in budgets.keys() {
        if &*BudgetName::of_campaign_key(&key, default_account).account != account {
            continue;
        }
        // One that ended meanwhile reads the rates at its next start.
        match budgets.ask(&key, PATIENCE, |reply| Msg::RatesChanged { reply }).await? {
            Told::Done(()) | Told::Absent => {}
            Told::Unavailable => return Err(ShieldError::Unavailable),
        }
    }
    Ok(())
}

/// Looks for a hold in the purses of other nodes, and has done there what is wished. `None`: nobody has it.
///
/// # Errors
/// A node that may have it does not say.
pub(super) async fn look(
    shared: &Shared,
    name: &BudgetName,
    hold: Op,
    wish: Wish,
) -> Result<Option<HoldFate>, Fault> {
    let others = shared.placement.others();
    let key = name.key(&shared.terms.default_account).into_owned();
    let looked = Looked { key, hold, wish };
    let links = shared.placement.links();
    let asked =
        others.iter().map(|node| links.ask_for::<_, HoldFate>(*node, HOLD, &looked, PATIENCE));
    let mut silent = None;
    for fate in join_all(asked).await {
        match fate {
            Ok(HoldFate::Answer(HoldAnswer::Unknown)) => {}
            Ok(fate) => return Ok(Some(fate)),
            Err(error) => silent = Some(error),
        }
    }
    match silent {
        None => Ok(None),
        Some(error) => Err(Fault::new(format!("a node that may have the hold: {error}"))),
    }
}

impl BudgetActor {
    pub(super) fn is_guest(&self) -> bool {
        matches!(&self.state, State::Live(live) if live.guest)
    }

    /// Sends what authorities on other nodes are to be asked.
    pub(super) fn ask_outward(&mut self, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let holder = live.purse.holder();
        let mut full = Vec::new();
        for (ticket, name, question) in live.outward.drain(..) {
            // What a purse books is sent again by itself, and answered once.
            let waits = !matches!(live.askers.get(&ticket), Some(Asker::Book(_)));
            match live.under_way.join(ticket, &question, waits) {
                Joined::First => {}
                Joined::Waits => continue,
                Joined::Known => {
                    live.askers.remove(&ticket);
                    continue;
                }
                Joined::Full => {
                    full.push(ticket);
                    continue;
                }
            }
            let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
            let asked =
                async move { ask(&shared, &name, question, Some((holder, &key)), PATIENCE).await };
            cx.pipe(asked, move |asked| Msg::Answered { ticket, asked });
        }
        full.into_iter().for_each(|ticket| self.answered(ticket, Answer::Overloaded));
    }

    /// An authority on another node has answered whoever asked it this.
    pub(super) fn answered_from_afar(&mut self, ticket: u64, asked: Asked) {
        let State::Live(live) = &mut self.state else { return };
        // What an account has left says nothing of the campaign.
        if !matches!(live.askers.get(&ticket), Some(Asker::AccountLane(_))) {
            live.left = asked.left.or(live.left);
        }
        for other in live.under_way.answered(ticket) {
            self.answered(other, asked.answer.clone());
        }
        self.answered(ticket, asked.answer);
    }

    /// The same at the end of a life, which waits for the answers. Whether all came.
    pub(super) async fn ask_outward_here(&mut self) -> bool {
        let State::Live(live) = &mut self.state else { return true };
        let holder = live.purse.holder();
        let mut all = true;
        for (_, name, question) in std::mem::take(&mut live.outward) {
            let asked = ask(&self.shared, &name, question, Some((holder, &self.key)), LOOK).await;
            all &= !matches!(asked.answer, Answer::Unavailable | Answer::NotOwner);
        }
        all
    }

    /// The owner of the budget writes the journal of its holds, whoever granted them.
    pub(super) fn journal_outward(&mut self, holds: Vec<HoldRow>, sent: Sent, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        live.journaling = true;
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let told =
            async move { if journal(&shared, &name, holds).await { Vec::new() } else { sent } };
        cx.pipe(told, Msg::Journaled);
    }
}
