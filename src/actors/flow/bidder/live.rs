//! What a bidder knows while it is awake.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::kept::Kept;
use super::seat::{Seat, Seen, Told};
use crate::actors::flow::journal;
use crate::actors::shield::view::BudgetView;
use crate::clock;
use crate::models::flow::auction::{Learned, Snapshot};
use crate::models::flow::campaign::definition::Schedule;
use crate::models::flow::campaign::state::Campaign;
use crate::models::flow::campaign::strategy::{Known, Strategy};
use crate::models::flow::decision::{ChangeOf, Decision};
use crate::models::flow::pacing::{self, Event, Multipliers, Pacer, Period, Terms};
use crate::models::flow::pricing::{Outcome, WinLearner};
use crate::models::flow::reason::Reason;
use crate::models::shield::day::DaySpan;
use crate::models::shield::money::Micros;
use crate::store::FlowPacerRow;

/// How often it looks at its seat while much happens there, little, and nothing.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);
const FEW_EVERY: Duration = Duration::from_millis(800);
pub(super) const IDLE_EVERY: Duration = Duration::from_secs(2);
/// Bids and what became of them, or auctions, that are much for one look: with fewer the next one is later.
const MUCH_TOLD: usize = 32;
const MUCH_SEEN: u64 = 2_000;
/// Without an auction for so long it is idle.
const QUIET_US: i64 = 5_000_000;
/// How often SyncShield is asked what is left: while nothing may be bid, while there are bids (each hold says
/// it, too), and where nothing was bid since it was asked.
const CLOSED_BUDGET_US: i64 = 2_000_000;
const BUDGET_EVERY_US: i64 = 4_000_000;
const UNUSED_BUDGET_US: i64 = 10_000_000;
/// Without an end and without a daily budget, what is left is paced over so long.
const FLIGHT_US: i64 = 30 * 86_400_000_000;
/// After a refusal nothing is bid for so long: asking again for every auction helps nobody.
const REFUSED_US: i64 = 500_000;

/// See the module's page.
pub(super) struct Live {
    pub seat: Arc<Seat>,
    pub campaign: Arc<Campaign>,
    /// `None` until the budget is known, and what is stored.
    pub pacer: Option<Pacer>,
    pub learner: WinLearner,
    /// A pacer that was stored, for the first answer of the budget.
    pub stored: Option<Pacer>,
    /// What is stored was read, or is not there.
    pub read: bool,
    /// Auctions and outcomes so far, and as of the last write; when that was (monotonic).
    pub learned: u64,
    pub saved: u64,
    pub saved_us: i64,
    pub saving: bool,
    /// The time of the row that has what was known as of `saved`; `None`: there is none, or an auction may have
    /// met it since of which it does not know.
    pub stored_us: Option<i64>,
    /// The time of the row that a life before this one left behind as it fell asleep, and when this one began.
    slept_us: Option<i64>,
    began_us: i64,
    pub remaining: Option<Micros>,
    pub closed: Option<Reason>,
    /// Nothing is bid until then (monotonic).
    refused_until_us: i64,
    pub asked_us: i64,
    pub asking: bool,
    /// Something was told since the budget was asked for.
    used: bool,
    /// When there was an auction, or it was woken, last (monotonic).
    met_us: i64,
    /// How long until it looks again.
    every: Duration,
    /// What auctions see of it; `None`: not known.
    shown: Option<Shown>,
    told: VecDeque<Told>,
}

/// What a snapshot is made of. Outcomes stand for the curve that was learned from them.
#[derive(Clone, Copy, PartialEq)]
struct Shown {
    closed: Option<Reason>,
    multipliers: Multipliers,
    outcomes: u64,
    left: Option<Micros>,
}

/// What a look has found.
pub(super) struct Looked {
    pub auctions: u64,
    told: usize,
    refused: bool,
}

/// That a bidder bids no more, or again: for what reason it did not before, and does not now.
pub fn change(before: Option<Reason>, now: Option<Reason>) -> ChangeOf {
    let state = |closed: Option<Reason>| closed.map_or("open", Reason::name);
    ChangeOf::new("bidder", state(before), state(now))
}

/// How a campaign is paced.
fn terms(strategy: &Strategy) -> Terms {
    let guess = strategy.value(Known::default());
    // Of people of whom nothing is known: what the dearest impression may cost is the right order.
    let guess = guess.unwrap_or(strategy.cpm_max().0 as f64 / 1_000.0);
    Terms {
        strategy: pacing::Strategy::Dual,
        // Nobody is paid more than an impression is worth.
        mu_min: 1.0,
        roas_min: strategy.roas(),
        value_prior: (guess > 0.0).then_some(guess),
        ..Terms::default()
    }
}

/// The day of `now_us`, as far as the campaign runs in it: on its last day there is no time until midnight.
fn day(schedule: &Schedule, now_us: i64) -> (i64, i64) {
    let day = DaySpan::at(&schedule.time_zone, now_us);
    // A start that is yet to come by this clock is none: nothing begins after now.
    let starts_us = schedule.starts_us().filter(|starts_us| *starts_us <= now_us);
    let from_us = starts_us.map_or(day.begins_us, |starts_us| starts_us.max(day.begins_us));
    let to_us = schedule.ends_us().map_or(day.ends_us, |ends_us| ends_us.min(day.ends_us));
    (from_us, to_us.max(from_us.saturating_add(1)))
}

/// What there is to spend, and until when.
fn period(campaign: &Campaign, view: &BudgetView, now_us: i64) -> (Period, Micros) {
    let schedule = &campaign.definition.schedule;
    if let Some(daily) = view.allocation.daily_budget {
        let (from_us, to_us) = day(schedule, now_us);
        let rest = view.remaining + view.held;
        let budget = daily.min(view.spent_today + rest.max(Micros::ZERO));
        return (Period { from_us, to_us, budget }, view.spent_today);
    }
    let from_us = schedule.starts_us().unwrap_or(campaign.activated_us.unwrap_or(now_us));
    let from_us = from_us.min(now_us);
    let to_us = schedule.ends_us().unwrap_or_else(|| {
        let flights = (now_us - from_us).div_euclid(FLIGHT_US) + 1;
        from_us.saturating_add(flights.saturating_mul(FLIGHT_US))
    });
    let period = Period { from_us, to_us: to_us.max(from_us + 1), budget: view.allocation.budget };
    (period, view.allocation.spent)
}

impl Live {
    pub fn new(seat: &Arc<Seat>) -> Live {
        Live {
            seat: Arc::clone(seat),
            campaign: seat.campaign(),
            pacer: None,
            learner: WinLearner::default(),
            stored: None,
            read: false,
            learned: 0,
            saved: 0,
            saved_us: clock::mono_us(),
            saving: false,
            stored_us: None,
            slept_us: seat.wakes(),
            began_us: clock::wall_us(),
            remaining: None,
            closed: None,
            refused_until_us: i64::MIN,
            asked_us: i64::MIN,
            asking: false,
            used: true,
            met_us: clock::mono_us(),
            every: LOOK_EVERY,
            shown: None,
            told: VecDeque::new(),
        }
    }

    /// Its seat is another one, or whoever woke it may have seen it asleep.
    pub fn shows_anew(&mut self) {
        self.shown = None;
    }

    /// It was woken: by an auction, or as its campaign has changed.
    pub fn wake(&mut self) {
        (self.met_us, self.every) = (clock::mono_us(), LOOK_EVERY);
        self.changed();
    }

    /// Whether SyncShield is to be asked what is left (monotonic time).
    pub fn wants_budget(&self, mono_us: i64) -> bool {
        let every_us = match (self.closed, self.used) {
            (Some(_), _) => CLOSED_BUDGET_US,
            (None, true) => BUDGET_EVERY_US,
            (None, false) => UNUSED_BUDGET_US,
        };
        !self.asking && mono_us >= self.asked_us.saturating_add(every_us)
    }

    pub fn asks_budget(&mut self, mono_us: i64) {
        (self.asking, self.asked_us, self.used) = (true, mono_us, false);
    }

    /// What SyncShield says is the truth.
    pub fn budget(&mut self, view: &BudgetView, now_us: i64) -> Result<(), pacing::BadTerms> {
        self.remaining = Some(view.remaining.max(Micros::ZERO));
        self.closed = match view.allocation.status {
            "active" if view.remaining > Micros::ZERO => None,
            "active" => Some(Reason::Budget),
            _ => Some(Reason::NotActive),
        };
        if !self.read {
            return Ok(());
        }
        let (period, spent) = period(&self.campaign, view, now_us);
        if self.pacer.is_none() {
            self.pacer = self.stored.take();
        }
        let pacer = match &mut self.pacer {
            Some(pacer) => {
                let known = pacer.period();
                if known.from_us != period.from_us || known.to_us != period.to_us {
                    pacer.on(Event::Period { at_us: now_us, period });
                }
                pacer
            }
            None => {
                self.pacer.insert(Pacer::new(terms(&self.campaign.definition.strategy), period)?)
            }
        };
        pacer.on(Event::Budget { at_us: now_us, budget: period.budget, spent: Some(spent) });
        Ok(())
    }

    fn changed(&mut self) {
        let campaign = self.seat.campaign();
        if Arc::ptr_eq(&campaign, &self.campaign) {
            return;
        }
        if campaign.definition.strategy != self.campaign.definition.strategy {
            // Another strategy is another pacer; what the market pays is as before.
            (self.pacer, self.stored) = (None, None);
        }
        self.campaign = campaign;
        self.asked_us = i64::MIN;
    }

    /// Takes in what waits on the seat. `now_us`: wall-clock.
    pub fn look(&mut self, now_us: i64, mono_us: i64) -> Looked {
        let Live { seat, told, pacer, learner, .. } = self;
        let Seen { auctions, valued, value, left_out, below, refused, remaining } = seat.take(told);
        let looked = Looked { auctions, told: told.len(), refused };
        let seen = Event::Seen { at_us: now_us, auctions, valued, value, left_out };
        let below = Event::Below { at_us: now_us, auctions: below };
        let met = (auctions > 0).then_some([seen, below]).into_iter().flatten();
        let told = told.drain(..).filter_map(|told| match told {
            Told::Pace(event) => Some(event),
            Told::Outcome { bid, value, won, price } => {
                learner.observe(&Outcome { bid, value, won, price });
                None
            }
            // The seat adds these up.
            Told::Refused | Told::Remaining(_) => None,
        });
        let events = met.chain(told).chain([Event::Tick { at_us: now_us }]);
        match pacer {
            Some(pacer) => pacer.on_all(events),
            None => events.for_each(drop),
        }
        self.learned = self.learned.wrapping_add(auctions).wrapping_add(looked.told as u64);
        self.used |= looked.told > 0 || refused;
        self.remaining = remaining.or(self.remaining);
        if refused {
            self.refused_until_us = mono_us.saturating_add(REFUSED_US);
        }
        looked
    }

    /// When to look again: the less there was, the later, step by step.
    pub fn paced(&mut self, looked: &Looked, mono_us: i64) -> Duration {
        if looked.auctions > 0 {
            self.met_us = mono_us;
        }
        let much = looked.told >= MUCH_TOLD || looked.auctions >= MUCH_SEEN;
        self.every = match looked.auctions > 0 || looked.told > 0 {
            // It may bid again in a moment.
            _ if looked.refused => LOOK_EVERY,
            true if much => (self.every / 2).max(LOOK_EVERY),
            true => (self.every * 3 / 2).min(FEW_EVERY),
            false => (self.every * 3 / 2).min(IDLE_EVERY),
        };
        self.every
    }

    pub fn is_quiet(&self) -> bool {
        clock::mono_us().saturating_sub(self.met_us) >= QUIET_US
    }

    /// That it bids no more, or again, for the timeline of decisions.
    pub fn told(&self, before: Option<Reason>, now_us: i64) -> journal::Msg {
        let change = change(before, self.closed);
        let name = &self.seat.name;
        let decision = Decision::change(&name.account, &name.budget, now_us, change);
        journal::Msg::Changes(vec![decision])
    }

    /// The time of the row that has all that it knows, where one has.
    pub fn all_stored(&self) -> Option<i64> {
        let all = self.read && !self.saving && self.learned == self.saved;
        self.stored_us.filter(|_| all)
    }

    pub fn restore(&mut self, row: Option<&FlowPacerRow>, now_us: i64) {
        self.read = true;
        // The budget is asked for again: without what is stored it made no pacer.
        self.asked_us = i64::MIN;
        let Some(row) = row else { return };
        // Of any other row nobody knows what it has missed.
        let slept_us = self.slept_us.take().filter(|slept_us| *slept_us == row.updated_at);
        let woke_us = slept_us.map(|_| self.began_us);
        match Kept::read(&row.state, &self.campaign.definition.strategy, woke_us, now_us) {
            Ok((pacer, learner)) => {
                (self.stored, self.learner, self.stored_us) = (pacer, learner, slept_us);
            }
            Err(error) => tracing::warn!(%error, campaign = %self.seat.name,
                "what the bidder of {} had learned cannot be read: it begins anew", self.seat.name),
        }
    }

    /// Shows auctions what is new.
    pub fn publish(&mut self, mono_us: i64) {
        let Some(pacer) = &self.pacer else { return };
        let refused = (mono_us < self.refused_until_us).then_some(Reason::Budget);
        let shown = Shown {
            closed: self.closed.or(refused).or((!pacer.is_ready()).then_some(Reason::WarmingUp)),
            multipliers: pacer.multipliers(),
            outcomes: self.learner.seen(),
            left: self.remaining,
        };
        if self.shown == Some(shown) {
            return;
        }
        self.shown = Some(shown);
        let Shown { closed, multipliers, left, .. } = shown;
        let curve = self.learner.curve().clone();
        self.seat.publish(Snapshot {
            closed,
            multipliers,
            curve,
            learned: Learned::default(),
            left,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::campaign::definition::Definition;

    fn live() -> Live {
        let text = r#"{"id": "c", "account": "a", "name": "C", "advertiser_domain": "acme.example",
            "currency": "USD", "budget": {"amount": 10}, "strategy": {"max_cpm": {"cpm": 2}},
            "creatives": [{"id": "a", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"}]}"#;
        let definition = Definition::read(text).expect("a definition");
        let (campaign, _) = Campaign::create(definition, 0).expect("a campaign");
        Live::new(&Arc::new(Seat::new(1, &Arc::new(campaign), "default")))
    }

    fn paced(live: &mut Live, looked: [u64; 2]) -> u128 {
        let looked = Looked { auctions: looked[0], told: looked[1] as usize, refused: false };
        live.paced(&looked, 0).as_millis()
    }

    #[test]
    fn it_looks_later_the_less_there_is_to_see_and_soon_where_there_is_much() {
        let mut live = live();
        let waits: Vec<u128> = (0..7).map(|_| paced(&mut live, [0, 0])).collect();
        assert_eq!(waits, [300, 450, 675, 1_012, 1_518, 2_000, 2_000]);
        assert_eq!(paced(&mut live, [10, 2]), FEW_EVERY.as_millis());
        assert_eq!(paced(&mut live, [10, 40]), 400);
        assert_eq!(paced(&mut live, [5_000, 0]), 200);
        assert_eq!(paced(&mut live, [5_000, 0]), 200);
        live.every = IDLE_EVERY;
        let refused = Looked { auctions: 1, told: 0, refused: true };
        assert_eq!(live.paced(&refused, 0), LOOK_EVERY);
    }

    #[test]
    fn it_says_nothing_to_auctions_that_they_know() {
        let mut live = live();
        let period = Period { from_us: 0, to_us: 86_400_000_000, budget: Micros(10_000_000) };
        live.pacer = Some(Pacer::new(Terms::default(), period).expect("terms"));
        live.publish(0);
        let first = Arc::clone(&live.seat.snapshot());
        live.publish(1);
        assert!(Arc::ptr_eq(&first, &live.seat.snapshot()));
        live.seat.tell(Told::Refused);
        // The clock on the wall may stand anywhere.
        assert!(live.look(i64::MAX / 2, 2).refused);
        live.publish(2);
        assert_eq!(live.seat.snapshot().closed, Some(Reason::Budget));
        live.publish(2 + REFUSED_US);
        // No auction has said yet what impressions are worth.
        assert_eq!(live.seat.snapshot().closed, Some(Reason::WarmingUp));
    }

    #[test]
    fn a_campaigns_day_begins_and_ends_with_its_schedule() {
        const HOUR: i64 = 3_600_000_000;
        let (midnight, now_us) = (20_000 * 24 * HOUR, 20_000 * 24 * HOUR + 9 * HOUR);
        let day_of = |starts: Option<i64>, ends: Option<i64>| {
            let at = |hour: i64| jiff::Timestamp::from_microsecond(midnight + hour * HOUR);
            let at = |hour: Option<i64>| hour.map(|hour| at(hour).expect("a time"));
            let (starts, ends) = (at(starts), at(ends));
            let (from_us, to_us) = day(&Schedule { starts, ends, ..Schedule::default() }, now_us);
            (from_us - midnight, to_us - midnight)
        };
        assert_eq!(day_of(None, None), (0, 24 * HOUR));
        assert_eq!(day_of(Some(-48), Some(240)), (0, 24 * HOUR));
        assert_eq!(day_of(Some(8), Some(12)), (8 * HOUR, 12 * HOUR));
        assert_eq!(day_of(Some(-48), Some(12)), (0, 12 * HOUR));
        // Not begun, by this clock; over, on this day and on another one.
        assert_eq!(day_of(Some(10), None), (0, 24 * HOUR));
        assert_eq!(day_of(Some(8), Some(8)), (8 * HOUR, 8 * HOUR + 1));
        assert_eq!(day_of(None, Some(-24)), (0, 1));
    }

    #[test]
    fn the_time_that_it_slept_is_time_without_an_auction_and_any_other_is_not() {
        const HOUR: i64 = 3_600_000_000;
        let before = live();
        // Ten auctions a minute, until it fell asleep five hours ago.
        let now_us = clock::wall_us();
        let stored_us = now_us - 5 * HOUR;
        let from_us = stored_us - 24 * HOUR;
        let period = Period { from_us, to_us: now_us + 24 * HOUR, budget: Micros(10_000_000) };
        let strategy = &before.campaign.definition.strategy;
        let mut pacer = Pacer::new(terms(strategy), period).expect("terms");
        for minute in 0..24 * 60 {
            let at_us = from_us + minute * 60_000_000;
            pacer.on(Event::Seen { at_us, auctions: 10, valued: 10, value: 1e4, left_out: 0 });
        }
        let state = Kept::text(strategy, Some(&pacer), &before.learner, stored_us);
        let row = FlowPacerRow {
            account: "a".to_owned(),
            campaign: "c".to_owned(),
            state: state.expect("a text"),
            updated_at: stored_us,
        };
        let woken = |slept_us: Option<i64>| {
            if let Some(slept_us) = slept_us {
                before.seat.slept(slept_us);
            }
            let mut live = Live::new(&before.seat);
            live.restore(Some(&row), clock::wall_us());
            assert_eq!(before.seat.wakes(), None, "it is said to one life");
            assert_eq!(live.all_stored(), slept_us.filter(|at| *at == stored_us));
            let pacer = live.stored.expect("a pacer");
            // The same hours of the next day.
            pacer.traffic().between(stored_us + 24 * HOUR, now_us + 24 * HOUR).expect("a forecast")
        };
        let (slept, away) = (woken(Some(stored_us)), woken(None));
        assert!(slept < 0.7 * away, "{slept} {away}");
        // A row that is not the one which it left behind.
        let other = woken(Some(stored_us - 1));
        assert!((other / away - 1.0).abs() < 0.01, "{other} {away}");
    }

    #[test]
    fn the_budget_is_asked_for_often_while_it_is_used_up_and_seldom_while_it_is_not_used() {
        let mut live = live();
        assert!(live.wants_budget(0));
        live.asks_budget(0);
        assert!(!live.wants_budget(i64::MAX), "it is asked already");
        live.asking = false;
        let due = |live: &Live| (0..12).find(|s| live.wants_budget(s * 1_000_000));
        assert_eq!(due(&live), Some(10));
        live.seat.tell(Told::Pace(Event::Tick { at_us: 0 }));
        live.look(0, 0);
        assert_eq!(due(&live), Some(4));
        live.closed = Some(Reason::Budget);
        assert_eq!(due(&live), Some(2));
    }
}
