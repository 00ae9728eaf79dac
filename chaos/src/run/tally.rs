//! What clients were told so far, by kind of operation: for probes that look at the last seconds, and for what is
//! expected of the whole run. It reads the lines of the history, so that it counts what the history says.

use std::collections::{HashMap, VecDeque};

use crate::experiment::checks::Ending;
use crate::experiment::probe::Measure;
use crate::experiment::rates::Kind;
use crate::history::{AtUs, Line, Op, Outcome};

/// Width of a slot of the recent past.
const SLOT_US: AtUs = 100_000;
/// Slots that are kept: what probes can ask for, and a little more.
const SLOTS: usize = 620;

/// Operations that ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ended {
    pub done: u64,
    /// Of those done, answered once more under the same key.
    pub replayed: u64,
    pub refused: u64,
    pub unavailable: u64,
    pub unknown: u64,
    pub wrong: u64,
    took_us: Vec<u32>,
}

impl Ended {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done { answer, .. } => {
                self.done += 1;
                self.replayed += u64::from(answer.replayed);
            }
            Outcome::Refused { .. } => self.refused += 1,
            Outcome::Unavailable { .. } => self.unavailable += 1,
            Outcome::Unknown { .. } => self.unknown += 1,
            Outcome::Wrong { .. } => self.wrong += 1,
        }
    }

    fn merge(&mut self, other: &Ended) {
        self.done += other.done;
        self.replayed += other.replayed;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.unknown += other.unknown;
        self.wrong += other.wrong;
        self.took_us.extend(&other.took_us);
    }

    pub fn all(&self) -> u64 {
        self.done + self.refused + self.unavailable + self.unknown + self.wrong
    }

    fn count(&self, ending: Ending) -> u64 {
        match ending {
            Ending::Done => self.done,
            Ending::Replayed => self.replayed,
            Ending::Refused => self.refused,
            Ending::Unavailable => self.unavailable,
            Ending::Unknown => self.unknown,
            Ending::Wrong => self.wrong,
        }
    }

    /// By nearest rank, in milliseconds; 0 of none.
    fn quantile_ms(&self, percent: usize) -> f64 {
        let mut all = self.took_us.clone();
        all.sort_unstable();
        let place = (all.len() * percent).div_ceil(100).saturating_sub(1);
        all.get(place).map_or(0.0, |us| f64::from(*us) / 1_000.0)
    }

    /// Of operations that ended within so many seconds. `None` where nothing ended: no part of nothing is good.
    pub fn measure(&self, measure: Measure, seconds: f64) -> Option<f64> {
        let part = |n: u64| (self.all() > 0).then(|| n as f64 / self.all() as f64);
        match measure {
            Measure::ErrorRatio => part(self.unavailable + self.unknown + self.wrong),
            Measure::UnavailableRatio => part(self.unavailable),
            Measure::UnknownRatio => part(self.unknown),
            Measure::P50Ms => (self.all() > 0).then(|| self.quantile_ms(50)),
            Measure::P99Ms => (self.all() > 0).then(|| self.quantile_ms(99)),
            Measure::DonePerSecond => Some(self.done as f64 / seconds.max(0.001)),
        }
    }
}

#[derive(Debug, Default)]
pub struct Tally {
    begun: HashMap<u64, (AtUs, Option<Kind>)>,
    slots: VecDeque<(AtUs, HashMap<Option<Kind>, Ended>)>,
    totals: HashMap<Option<Kind>, Ended>,
    /// Totals at the marks that were set.
    until: Option<HashMap<Option<Kind>, Ended>>,
    from: Option<HashMap<Option<Kind>, Ended>>,
    /// When the first mark was set, what ended since, and what did so first.
    since: Option<AtUs>,
    method: HashMap<Option<Kind>, Ended>,
    first: Vec<First>,
}

/// The first operation of a kind that ended in a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    kind: Option<Kind>,
    ending: Ending,
    pub id: u64,
    pub at_us: AtUs,
}

impl Tally {
    pub fn line(&mut self, line: Line) {
        match line {
            Line::Invoke { id, at_us, op, .. } => {
                self.begun.insert(id, (at_us, kind_of(&op)));
            }
            Line::Complete { id, at_us, outcome } => {
                let Some((from, kind)) = self.begun.remove(&id) else { return };
                self.totals.entry(kind).or_default().add(&outcome);
                self.since_mark(First { kind, ending: ending(&outcome), id, at_us }, &outcome);
                let slot = at_us / SLOT_US;
                if self.slots.back().is_none_or(|(at, _)| *at < slot) {
                    self.slots.push_back((slot, HashMap::new()));
                    if self.slots.len() > SLOTS {
                        self.slots.pop_front();
                    }
                }
                // Lines of a slot that is over come a moment late; they count in the last one.
                if let Some((_, kinds)) = self.slots.back_mut() {
                    let ended = kinds.entry(kind).or_default();
                    ended.add(&outcome);
                    let took = u32::try_from(at_us.saturating_sub(from)).unwrap_or(u32::MAX);
                    ended.took_us.push(took);
                }
            }
            Line::Begin(_) | Line::Fault { .. } | Line::Owner { .. } | Line::End { .. } => {}
        }
    }

    /// By its time, not by when it is read: lines come a moment late.
    fn since_mark(&mut self, it: First, outcome: &Outcome) {
        if self.since.is_none_or(|since| it.at_us < since) {
            return;
        }
        self.method.entry(it.kind).or_default().add(outcome);
        let again = matches!(outcome, Outcome::Done { answer, .. } if answer.replayed);
        let replayed = First { ending: Ending::Replayed, ..it };
        for it in std::iter::once(it).chain(again.then_some(replayed)) {
            if !self.first.iter().any(|one| (one.kind, one.ending) == (it.kind, it.ending)) {
                self.first.push(it);
            }
        }
    }

    /// Operations that ended within `over_us` before `now_us`.
    pub fn last(&self, now_us: AtUs, over_us: AtUs, of: Option<Kind>) -> Ended {
        let from = now_us.saturating_sub(over_us) / SLOT_US;
        let mut sum = Ended::default();
        for (_, kinds) in self.slots.iter().rev().take_while(|(at, _)| *at > from) {
            kinds.iter().filter(|(kind, _)| is_of(of, **kind)).for_each(|(_, e)| sum.merge(e));
        }
        sum
    }

    /// Operations that began before this moment and have not ended.
    pub fn stands(&self, since_us: AtUs, of: Option<Kind>) -> usize {
        let of = self.begun.values().filter(|(_, kind)| is_of(of, *kind));
        of.filter(|(at, _)| *at < since_us).count()
    }

    /// What is counted from now on is what the load has to do at least.
    pub fn mark_begin(&mut self, now_us: AtUs) {
        self.since = Some(now_us);
        self.from = Some(self.totals.clone());
    }

    /// And up to now.
    pub fn mark_end(&mut self) {
        self.until = Some(self.totals.clone());
    }

    /// Done between the marks; up to now where there is no second one.
    pub fn done_between(&self, of: Option<Kind>) -> u64 {
        let done = |all: &HashMap<Option<Kind>, Ended>| -> u64 {
            all.iter().filter(|(kind, _)| is_of(of, **kind)).map(|(_, e)| e.done).sum()
        };
        let until = done(self.until.as_ref().unwrap_or(&self.totals));
        until - self.from.as_ref().map_or(0, done)
    }

    /// Since the first mark: before it nothing was done to anybody. What never ended is unknown.
    pub fn outcomes(&self, of: Option<Kind>, ending: Ending) -> u64 {
        let ended = self.method.iter().filter(|(kind, _)| is_of(of, **kind));
        let counted: u64 = ended.map(|(_, e)| e.count(ending)).sum();
        counted + if ending == Ending::Unknown { self.open(of).count() as u64 } else { 0 }
    }

    /// The first of them.
    pub fn first(&self, of: Option<Kind>, ending: Ending) -> Option<First> {
        let ended = self.first.iter().filter(|it| is_of(of, it.kind) && it.ending == ending);
        let ended = ended.min_by_key(|it| it.at_us).copied();
        let open = || self.open(of).min_by_key(|it| it.at_us);
        ended.or_else(|| (ending == Ending::Unknown).then(open).flatten())
    }

    /// Those without an end, by their beginning.
    fn open(&self, of: Option<Kind>) -> impl Iterator<Item = First> {
        let open = self.begun.iter().filter(move |(_, (_, kind))| is_of(of, *kind));
        open.map(|(id, (at_us, kind))| First {
            kind: *kind,
            ending: Ending::Unknown,
            id: *id,
            at_us: *at_us,
        })
    }
}

/// Whether an operation of a kind counts among what is asked for: all, if nothing is.
fn is_of(asked: Option<Kind>, kind: Option<Kind>) -> bool {
    asked.is_none() || asked == kind
}

fn ending(outcome: &Outcome) -> Ending {
    match outcome {
        Outcome::Done { .. } => Ending::Done,
        Outcome::Refused { .. } => Ending::Refused,
        Outcome::Unavailable { .. } => Ending::Unavailable,
        Outcome::Unknown { .. } => Ending::Unknown,
        Outcome::Wrong { .. } => Ending::Wrong,
    }
}

/// As experiments name it. Notices of wins and losses have no name of their own.
fn kind_of(op: &Op) -> Option<Kind> {
    Some(match op {
        Op::Authorise { .. } => Kind::Authorise,
        Op::Settle { .. } => Kind::Settle,
        Op::Release { .. } => Kind::Release,
        Op::Spend { amount, .. } if *amount < 0 => Kind::Refund,
        Op::Spend { .. } => Kind::Spend,
        Op::Read { .. } => Kind::Read,
        Op::SetCap { .. } => Kind::SetCap,
        Op::Pause { .. } | Op::Resume { .. } => Kind::Pause,
        Op::Grant { .. } => Kind::Grant,
        Op::Revoke { .. } => Kind::Revoke,
        Op::MayUse { .. } => Kind::ConsentCheck,
        Op::Bid { .. } => Kind::Bid,
        Op::Billing { .. } => Kind::Billing,
        Op::Call { path, .. } if path.starts_with("/api/admin/") => Kind::AdminRead,
        Op::Call { path, .. } if path.contains("/ltv/") => Kind::Forecast,
        Op::Call { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Answer;

    fn spend(tally: &mut Tally, id: u64, from: AtUs, to: AtUs, outcome: Outcome) {
        let op =
            Op::Spend { account: "a".into(), campaign: "c".into(), amount: 1, key: "k".into() };
        tally.line(Line::Invoke { id, at_us: from, client: 1, via: "x".into(), op });
        tally.line(Line::Complete { id, at_us: to, outcome });
    }

    fn done() -> Outcome {
        Outcome::Done { status: 200, answer: Answer::default() }
    }

    #[test]
    fn the_last_time_is_what_ended_in_it_and_no_more() {
        let mut tally = Tally::default();
        for n in 0..100 {
            spend(&mut tally, n, n * 100_000, n * 100_000 + 50_000, done());
        }
        let last = tally.last(10_000_000, 1_000_000, Some(Kind::Spend));
        assert_eq!((last.done, last.measure(Measure::DonePerSecond, 1.0)), (9, Some(9.0)));
        assert_eq!(last.measure(Measure::P99Ms, 1.0), Some(50.0));
        assert_eq!(tally.last(10_000_000, 1_000_000, Some(Kind::Read)).all(), 0);
        assert_eq!(tally.last(60_000_000, 1_000_000, None).measure(Measure::ErrorRatio, 1.0), None);
    }

    #[test]
    fn what_never_ended_is_unknown_and_marks_bound_what_has_to_be_done() {
        let mut tally = Tally::default();
        spend(&mut tally, 1, 0, 1, done());
        tally.mark_begin(2);
        spend(&mut tally, 2, 2, 3, done());
        spend(&mut tally, 3, 2, 3, Outcome::Unavailable { status: 503, code: "x".into() });
        tally.mark_end();
        spend(&mut tally, 4, 4, 5, done());
        let op = Op::Read { account: "a".into(), campaign: "c".into() };
        tally.line(Line::Invoke { id: 5, at_us: 6, client: 1, via: "x".into(), op });
        assert_eq!(tally.done_between(None), 1);
        assert_eq!(tally.outcomes(None, Ending::Unknown), 1);
        assert_eq!(tally.outcomes(Some(Kind::Spend), Ending::Done), 2);
        assert_eq!(tally.outcomes(Some(Kind::Spend), Ending::Unavailable), 1);
    }

    #[test]
    fn the_warm_up_does_not_count_and_the_first_of_the_method_is_named() {
        let refused = || Outcome::Refused { status: 409, reason: "in_progress".into() };
        let mut tally = Tally::default();
        spend(&mut tally, 1, 0, 90, refused());
        tally.mark_begin(100);
        // Its line is read after the mark was set.
        spend(&mut tally, 2, 0, 99, refused());
        assert_eq!(tally.outcomes(None, Ending::Refused), 0);
        assert_eq!(tally.first(None, Ending::Refused), None);
        spend(&mut tally, 3, 0, 100, done());
        spend(&mut tally, 4, 0, 120, refused());
        spend(&mut tally, 5, 0, 130, refused());
        assert_eq!(tally.outcomes(Some(Kind::Spend), Ending::Refused), 2);
        let first = tally.first(None, Ending::Refused).map(|it| (it.id, it.at_us));
        assert_eq!(first, Some((4, 120)));
        assert_eq!(tally.first(Some(Kind::Read), Ending::Refused), None);
    }
}
