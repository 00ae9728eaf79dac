//! `/shield/budget/<campaign>` and `/shield/account/<account>`: the actor around one budget's
//! authority and, for a campaign, its purse. It takes messages, asks the rules, and carries out
//! their effects; it decides nothing about money itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::audit::Feed;
use super::far::{Asked, Home};
use super::keys::{Checked, Keys};
use super::live::LiveView;
use super::load;
use super::message::{Loaded, Msg, Seek, Told};
use super::names::BudgetName;
use super::seeks::Looks;
use super::shared::{Shared, now};
use super::under_way::UnderWay;
use crate::actors::kernel::{Actor, Cx, Fault, Reply, Trace};
use crate::models::shield::ask::{Answer, Ask, Order};
use crate::models::shield::authority::Authority;
use crate::models::shield::budget::{Budget, Core};
use crate::models::shield::effect::Effect;
use crate::models::shield::entry::{HolderId, Now, Op, SliceId};
use crate::models::shield::hold::{Hold, HoldState};
use crate::models::shield::money::{Currency, Micros, Rate};
use crate::models::shield::purse::{ById, IdHasher, Purse};
use crate::models::shield::terms::Terms;
use crate::models::shield::window::Window;

use super::message::{Authorised, Booked, HoldFate};

/// How often time is looked at while anything is under way.
pub const TICK: Duration = Duration::from_millis(100);
/// How long a store that could not be read is left alone.
pub const LOAD_AGAIN: Duration = Duration::from_millis(250);

/// How long after a booking its account may be told of it.
const TOLD_WITHIN_US: i64 = 60_000_000;

pub const DAY_US: i64 = 86_400_000_000;

/// Who waits for an authority's answer.
pub enum Asker {
    Reply(Reply<Told<Booked>>),
    Settle(Reply<Told<HoldFate>>, Box<Hold>),
    OwnLane(SliceId),
    AccountLane(SliceId),
    Far(Reply<Asked>),
    Book(Op),
    Purse { key: String, holder: HolderId, slice: SliceId },
}

/// Who waits for the purse's answer.
pub enum HoldAsker {
    Authorise(Reply<Told<Authorised>>),
    /// Whoever asked under the key of this hold.
    Key(Op),
    Seek(Box<Seek>),
}

/// A budget in memory.
pub struct Live {
    /// Where the audit hears of bookings and refusals.
    pub feed: Arc<Feed>,
    pub budget: Arc<str>,
    pub authority: Authority,
    pub purse: Purse,
    pub account_currency: Currency,
    /// `None`: no exchange rate leads to the account's currency.
    pub rate: Option<Rate>,
    pub askers: HashMap<u64, Asker>,
    pub hold_askers: HashMap<u64, HoldAsker>,
    pub effects: VecDeque<Effect>,
    /// When the message arrived that is being handled, and what follows from it.
    pub at: Now,
    /// Holds whose turn to be journaled comes at that monotonic time.
    pub journal_order: VecDeque<(i64, Op)>,
    /// Holds that the journal has as standing.
    pub journaled: HashSet<Op, BuildHasherDefault<IdHasher>>,
    /// Of those, the ones that have ended since.
    pub ended: ById<Hold>,
    /// Of those in turn, the ones whose end is being written, and which.
    pub ending: Vec<(Op, HoldState)>,
    pub journaling: bool,
    /// The last holds that were released before they were journaled: for who releases them again.
    pub released: VecDeque<Hold>,
    pub journal_due_us: i64,
    /// Where the purses are that hold slices of this budget.
    pub holders: HashMap<HolderId, Home>,
    pub stored_terms: Option<Arc<Terms>>,
    pub tickets: u64,
    /// Times that the account is being told of bookings just now.
    pub tells: u32,
    /// The day, UTC, of which the exchange rate is.
    pub rate_day: i64,
    /// Sampled requests that wait for a commit, by their tickets.
    pub traced: Vec<(u64, Trace)>,
    pub generation: u64,
    pub ticking: bool,
    /// Another node owns the budget: there is only a purse here, and what the authority was when it was read.
    pub guest: bool,
    /// Of a budget that another node owns: what was left of it when its authority said so last.
    pub left: Option<Micros>,
    /// Questions to authorities on other nodes that are to be sent.
    pub outward: VecDeque<(u64, BudgetName, Ask)>,
    /// Those of them that settle a hold, and have no answer yet.
    pub under_way: UnderWay,
    /// Holds that are being looked for on other nodes.
    pub looks: Looks,
    /// Keys of checks that are being worked on.
    pub keys: Keys,
    pub last_error: Option<String>,
}

pub enum State {
    Failed(String),
    Absent,
    Live(Box<Live>),
}

pub struct BudgetActor {
    pub shared: Arc<Shared>,
    pub name: BudgetName,
    pub key: String,
    pub state: State,
    /// The last life ended in disorder, and the account has not been told everything since.
    pub unclean: bool,
    /// The purse of this life's time as a guest, which goes on when the budget comes to this node.
    kept: Option<Purse>,
}

/// A budget as operators see it in the actor's view.
#[derive(Serialize)]
pub struct ActorView {
    account: String,
    budget: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<LiveView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl BudgetActor {
    pub fn new(shared: Arc<Shared>, name: BudgetName) -> BudgetActor {
        let key = name.key(&shared.terms.default_account).into_owned();
        BudgetActor {
            shared,
            name,
            key,
            state: State::Failed("not loaded".into()),
            unclean: false,
            kept: None,
        }
    }

    /// Whether this node owns the budget, and does not hand it over.
    pub(super) fn is_here(&self) -> bool {
        self.shared.placement.admits(self.name.place())
    }

    /// Whether the owner before this node may have booked what the account's window still counts.
    fn came_lately(&self) -> bool {
        let taken_us = self.shared.placement.taken_us(self.name.place());
        let counts_us = self.shared.terms.window.length_us.saturating_add(TOLD_WITHIN_US);
        !self.name.is_account() && now().mono_us < taken_us.saturating_add(counts_us)
    }

    /// Brings this life in line with where the budget is. `false`: it is over.
    async fn settle_in(&mut self, cx: &mut Cx<Self>) -> bool {
        let (here, place) = (self.is_here(), self.name.place());
        let State::Live(live) = &mut self.state else { return true };
        match live.guest {
            true if here => {
                // It came to this node: what is held here goes on, beside the authority.
                let me = live.purse.holder();
                let load = load::load(Arc::clone(&self.shared), self.name.clone(), false, Some(me));
                match load.await {
                    Ok(loaded) => self.come_home(loaded),
                    Err(fault) => live.last_error = Some(fault.to_string()),
                }
                true
            }
            // It went to another node. While it is on its way, what is under way here comes to its end.
            false if self.shared.placement.epoch(place) < 0 => {
                cx.stop();
                false
            }
            _ => true,
        }
    }

    /// The authority begins beside a purse that was here before it, with whom that purse has asked elsewhere.
    fn come_home(&mut self, loaded: Option<Box<Loaded>>) {
        let Some(loaded) = loaded else { return };
        let State::Live(live) = &mut self.state else { return };
        live.authority = Authority::new(loaded.budget, self.shared.terms.limits.clone());
        live.holders = loaded.holders;
        live.stored_terms = loaded.stored.then(|| Arc::clone(&live.authority.budget().core.terms));
        (live.guest, live.left) = (false, None);
        // The owner before this one may have died between a booking and telling the account of it.
        live.retell();
    }

    fn come_alive(&mut self, loaded: Option<Box<Loaded>>) {
        let Some(loaded) = loaded else {
            self.state = State::Absent;
            return;
        };
        let Loaded { budget, account_currency, rate, holders, stored } = *loaded;
        let guest = !self.is_here();
        let limits = self.shared.terms.limits.clone();
        let kept = self.kept.take();
        let mut purse = kept
            .unwrap_or_else(|| Purse::new(self.shared.next_holder(), Rate::ONE, limits.clone()));
        purse.set_rate(rate.unwrap_or(Rate::ONE));
        let stored_terms = stored.then(|| Arc::clone(&budget.core.terms));
        self.state = State::Live(Box::new(Live {
            feed: self.shared.audit.feeds.of(&self.name.account),
            budget: Arc::clone(&self.name.budget),
            authority: Authority::new(budget, limits),
            purse,
            account_currency,
            rate,
            askers: HashMap::new(),
            hold_askers: HashMap::new(),
            effects: VecDeque::new(),
            at: now(),
            journal_order: VecDeque::new(),
            journaled: HashSet::default(),
            ended: ById::default(),
            ending: Vec::new(),
            journaling: false,
            released: VecDeque::new(),
            journal_due_us: 0,
            holders,
            stored_terms,
            tickets: 0,
            tells: 0,
            traced: Vec::new(),
            rate_day: now().wall_us.div_euclid(DAY_US),
            generation: 0,
            ticking: false,
            guest,
            left: None,
            outward: VecDeque::new(),
            under_way: UnderWay::default(),
            looks: Looks::default(),
            keys: Keys::default(),
            last_error: None,
        }));
        if guest {
            return;
        }
        if (self.unclean || self.came_lately())
            && let State::Live(live) = &mut self.state
        {
            // It, or the owner before this node, may have died between a booking and telling the account of it.
            live.retell();
            self.unclean = false;
        }
    }

    /// A campaign that nobody has allocated yet begins in memory; its first order stores it.
    async fn conceive(&mut self, terms: &Terms) -> Result<(), Fault> {
        let account = &self.name.account;
        let Some(row) = self.shared.store.account(account).await? else { return Ok(()) };
        let account_currency: Currency =
            row.currency.parse().map_err(|_| Fault::new("stored currency is not understood"))?;
        let rate = load::rate(&self.shared, account, terms.currency, account_currency).await?;
        let budget = Budget { core: Core::new(terms.clone()), window: Window::default() };
        let holders = HashMap::new();
        let loaded = Loaded { budget, account_currency, rate, holders, stored: false };
        self.come_alive(Some(Box::new(loaded)));
        Ok(())
    }

    async fn read(&mut self, cx: &mut Cx<Self>) {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        if !self.is_here() && self.name.is_account() {
            self.state = State::Failed("it is on another node".to_owned());
            return cx.stop();
        }
        match load::load(shared, name, self.unclean, None).await {
            Ok(loaded) => self.come_alive(loaded),
            Err(fault) => self.fail(cx, fault),
        }
    }

    fn fail(&mut self, cx: &mut Cx<Self>, fault: Fault) {
        tracing::warn!(budget = %self.name, error = %fault, "budget {} could not be read", self.name);
        self.state = State::Failed(fault.reason().to_owned());
        if self.shared.draining.load(Ordering::Relaxed) {
            // The end of the service does not wait for it.
            return;
        }
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let unclean = self.unclean;
        cx.pipe(
            async move {
                tokio::time::sleep(LOAD_AGAIN).await;
                load::load(shared, name, unclean, None).await
            },
            Msg::Loaded,
        );
    }

    /// Answers a request for a budget that is not in memory.
    fn turn_away(&self, msg: Msg) {
        fn told<T>(absent: bool) -> Told<T> {
            if absent { Told::Absent } else { Told::Unavailable }
        }
        let absent = matches!(self.state, State::Absent);
        match msg {
            Msg::Authorise { reply, .. } => reply.send(told(absent)),
            Msg::Check { reply, .. } => reply.send(Checked::Told(told(absent))),
            Msg::Settle { reply, .. }
            | Msg::Release { reply, .. }
            | Msg::Notice { reply, .. }
            | Msg::Near { reply, .. }
            | Msg::FindHold { reply, .. } => reply.send(told(absent)),
            Msg::Spend { reply, .. } | Msg::Order { reply, .. } => reply.send(told(absent)),
            Msg::See { reply } => reply.send(told(absent)),
            Msg::SeeAccount { reply } => reply.send(told(absent)),
            Msg::RatesChanged { reply } => reply.send(told(absent)),
            Msg::Ask { reply, .. } => reply.send(Asked::of(Answer::NotOwner)),
            // Asked again by whoever waits for it, or news for a budget that is not here.
            _ => {}
        }
    }
}

impl Actor for BudgetActor {
    type Msg = Msg;
    type View = ActorView;
    const TYPE: &'static str = "budget";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.unclean = self.shared.begins(cx.path());
        self.read(cx).await;
        self.carry_out(cx)
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        if let Msg::Loaded(loaded) = msg {
            match loaded {
                Ok(loaded) => self.come_alive(loaded),
                Err(fault) => self.fail(cx, fault),
            }
            return self.carry_out(cx);
        }
        if let (State::Absent, Msg::Order { order, .. }) = (&self.state, &msg)
            && let Order::Allocate(terms) | Order::Open(terms) = &**order
            && !self.name.is_account()
        {
            let terms = terms.clone();
            if let Err(fault) = self.conceive(&terms).await {
                self.fail(cx, fault);
            }
        }
        if !self.settle_in(cx).await {
            self.turn_away(msg);
            return Ok(());
        }
        if let State::Live(_) = self.state {
            self.serve(msg, cx);
            self.carry_out(cx)?;
            return Ok(());
        }
        self.turn_away(msg);
        if matches!(self.state, State::Absent) {
            // Nothing to remember: the next message looks again.
            cx.stop();
        }
        Ok(())
    }

    async fn stopping(&mut self, cx: &mut Cx<Self>) {
        let finished = match &self.state {
            State::Live(_) => self.wind_up().await,
            State::Failed(_) | State::Absent => !self.unclean,
        };
        if finished {
            self.shared.ended(cx.path());
        }
    }

    fn view(&self) -> ActorView {
        let (state, detail, error) = match &self.state {
            State::Failed(why) => ("unavailable", None, Some(why.clone())),
            State::Absent => ("absent", None, None),
            State::Live(live) => {
                let state = if live.guest { "guest" } else { "live" };
                (state, Some(live.view()), live.last_error.clone())
            }
        };
        ActorView {
            account: self.name.account.to_string(),
            budget: self.name.budget.to_string(),
            state,
            detail,
            error,
        }
    }

    fn idle(&self) -> bool {
        match &self.state {
            State::Failed(_) => false,
            State::Absent => true,
            State::Live(live) => live.is_idle(),
        }
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Authorise { .. } => "Authorise",
            Msg::Check { .. } => "Check",
            Msg::Settle { .. } => "Settle",
            Msg::Release { .. } => "Release",
            Msg::Withdraw { .. } => "Withdraw",
            Msg::Notice { .. } => "Notice",
            Msg::FindHold { .. } => "FindHold",
            Msg::Spend { .. } => "Spend",
            Msg::Order { .. } => "Order",
            Msg::See { .. } => "See",
            Msg::SeeAccount { .. } => "SeeAccount",
            Msg::Lane { .. } => "Lane",
            Msg::LaneAnswer { .. } => "LaneAnswer",
            Msg::Recall { .. } => "Recall",
            Msg::Ask { .. } => "Ask",
            Msg::Answered { .. } => "Answered",
            Msg::Near { .. } => "Near",
            Msg::Sought { .. } => "Sought",
            Msg::KeyLooked { .. } => "KeyLooked",
            Msg::KeysProven(_) => "KeysProven",
            Msg::RatesChanged { .. } => "RatesChanged",
            Msg::Committed { .. } => "Committed",
            Msg::Reloaded(_) => "Reloaded",
            Msg::Loaded(_) => "Loaded",
            Msg::Revived(_) => "Revived",
            Msg::Retold(_) => "Retold",
            Msg::RateRead { .. } => "RateRead",
            Msg::AccountTold { .. } => "AccountTold",
            Msg::Resolved { .. } => "Resolved",
            Msg::Journaled(_) => "Journaled",
            Msg::Tick => "Tick",
        }
    }
}
