//! Faults on purpose: rules by path pattern, with a probability and a time to live, drawn from a
//! seeded generator. Without rules they cost one relaxed load per message.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::actor::Fault;
use super::events::{EventKind, Events};
use super::glob::Glob;
use super::sync::{lock, read, write};

const RULES_MAX: usize = 64;
const TTL_MS_MAX: u64 = 3_600_000;
const DELAY_MS_MAX: u64 = 600_000;
const PER_SECOND_MAX: u32 = 1_000_000;

/// What a fault does to a message of a matching actor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultKind {
    /// The handler panics.
    Panic,
    /// The handler fails.
    Error,
    /// The handler begins later.
    Delay { delay_ms: u64 },
    /// The handler does not begin before the rule is over.
    Hang,
    /// The message is lost, unless its actor sent it itself: timers and results of its own work pass through nobody.
    Drop,
    /// The message is handled twice, where its actor can copy it.
    Duplicate,
    /// The mailbox is filled with noise, at most so much a second for each actor.
    Flood { per_second: u32 },
    /// The mailboxes take so many messages a second together, and refuse the rest as overloaded.
    Throttle { per_second: u32 },
    /// What is answered makes no sense, where its actor can spoil an answer.
    Corrupt,
}

impl FaultKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Error => "error",
            Self::Delay { .. } => "delay",
            Self::Hang => "hang",
            Self::Drop => "drop",
            Self::Duplicate => "duplicate",
            Self::Flood { .. } => "flood",
            Self::Throttle { .. } => "throttle",
            Self::Corrupt => "corrupt",
        }
    }
}

/// A rule to be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FaultRule {
    /// Paths that it strikes: `*` within a segment, `**` across segments.
    pub pattern: String,
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The chance that it strikes a message, 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// How long it lasts, 1 to 3,600,000.
    pub ttl_ms: u64,
    /// The same seed strikes the same messages of the same order.
    #[serde(default)]
    pub seed: u64,
}

fn always() -> f64 {
    1.0
}

/// A rule that is set.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FaultView {
    pub id: u64,
    #[serde(flatten)]
    pub rule: FaultRule,
    pub hits: u64,
    pub left_ms: u64,
}

/// Why a rule was not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultRefused {
    #[error("faults are not enabled in the configuration")]
    Disabled,
    #[error("{field}: {problem}")]
    Invalid { field: &'static str, problem: String },
}

pub(super) struct Rule {
    pub id: u64,
    pub spec: FaultRule,
    glob: Glob,
    pub expires_ns: u64,
    pub hits: AtomicU64,
    dice: Mutex<ChaCha8Rng>,
    /// What a throttle lets pass yet.
    room: Mutex<Room>,
    over: AtomicBool,
    ended: Notify,
}

pub(super) struct Faults {
    enabled: bool,
    active: AtomicBool,
    rules: RwLock<Vec<Arc<Rule>>>,
    last_id: AtomicU64,
}

/// A bucket of as many messages as pass in a tenth of a second.
struct Room {
    messages: f64,
    at_ns: u64,
}

impl Room {
    /// Takes room for one. Where there is none: the milliseconds until there is.
    fn take(&mut self, per_second: u32, now_ns: u64) -> Result<(), u64> {
        let rate = f64::from(per_second);
        let passed_s = now_ns.saturating_sub(self.at_ns) as f64 * 1e-9;
        self.messages = (self.messages + passed_s * rate).min((rate / 10.0).max(1.0));
        self.at_ns = self.at_ns.max(now_ns);
        if self.messages >= 1.0 {
            self.messages -= 1.0;
            return Ok(());
        }
        Err(((1.0 - self.messages) / rate * 1e3).ceil() as u64)
    }
}

/// What happens instead of, or before, the handler.
pub(super) enum Injected {
    Panic,
    Error,
}

impl Injected {
    pub fn go(self) -> Result<(), Fault> {
        match self {
            Self::Panic => panic!("a panic fault was set for this path"),
            Self::Error => Err(Fault::new("an error fault was set for this path")),
        }
    }
}

impl Rule {
    pub fn matches(&self, path: &str) -> bool {
        self.glob.matches(path)
    }

    /// The next number of its generator.
    pub fn draw(&self) -> u64 {
        lock(&self.dice).random()
    }

    /// Waits until the rule ends.
    pub async fn end(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.over.load(Relaxed) {
                return;
            }
            ended.await;
        }
    }

    fn strikes(&self, path: &str, now_ns: u64) -> bool {
        let hit = now_ns < self.expires_ns
            && self.matches(path)
            && lock(&self.dice).random::<f64>() < self.spec.probability;
        if hit {
            self.hits.fetch_add(1, Relaxed);
        }
        hit
    }
}

impl Faults {
    pub fn new(enabled: bool) -> Self {
        Self {
            enabled,
            active: AtomicBool::new(false),
            rules: RwLock::default(),
            last_id: AtomicU64::new(0),
        }
    }

    pub fn any(&self) -> bool {
        self.active.load(Relaxed)
    }

    pub fn enabled(&self) -> bool {
        self.enabled
    }

    pub fn rules(&self) -> Vec<Arc<Rule>> {
        read(&self.rules).clone()
    }

    /// The rules that strike a message to this path now; `own`: its actor sent it itself.
    pub fn struck(&self, path: &str, own: bool, now_ns: u64) -> Vec<Arc<Rule>> {
        let at_its_turn = |rule: &Rule| match rule.spec.kind {
            FaultKind::Flood { .. } | FaultKind::Throttle { .. } => false,
            FaultKind::Drop => !own,
            _ => true,
        };
        read(&self.rules)
            .iter()
            .filter(|rule| at_its_turn(rule) && rule.strikes(path, now_ns))
            .cloned()
            .collect()
    }

    /// Whether a mailbox of this path takes a message now, for all that throttles say. If not: when it may be
    /// sent again, in milliseconds.
    pub fn admit(&self, path: &str, now_ns: u64) -> Result<(), u64> {
        for rule in read(&self.rules).iter() {
            let FaultKind::Throttle { per_second } = rule.spec.kind else { continue };
            if now_ns >= rule.expires_ns || !rule.matches(path) {
                continue;
            }
            if let Err(retry_after_ms) = lock(&rule.room).take(per_second, now_ns)
                && rule.strikes(path, now_ns)
            {
                return Err(retry_after_ms);
            }
        }
        Ok(())
    }

    pub fn set(&self, events: &Events, spec: FaultRule, now_ns: u64) -> Result<u64, FaultRefused> {
        if !self.enabled {
            return Err(FaultRefused::Disabled);
        }
        check(&spec)?;
        let glob = Glob::new(&spec.pattern).map_err(|problem| invalid("pattern", problem))?;
        let mut rules = write(&self.rules);
        if rules.len() >= RULES_MAX {
            return Err(invalid("pattern", format!("there are {RULES_MAX} rules already")));
        }
        let id = self.last_id.fetch_add(1, Relaxed) + 1;
        events.emit(EventKind::FaultSet {
            id,
            pattern: spec.pattern.clone(),
            fault: spec.kind.name(),
            ttl_ms: spec.ttl_ms,
        });
        rules.push(Arc::new(Rule {
            id,
            glob,
            expires_ns: now_ns.saturating_add(spec.ttl_ms * 1_000_000),
            hits: AtomicU64::new(0),
            dice: Mutex::new(ChaCha8Rng::seed_from_u64(spec.seed)),
            room: Mutex::new(Room { messages: 1.0, at_ns: now_ns }),
            over: AtomicBool::new(false),
            ended: Notify::new(),
            spec,
        }));
        self.active.store(true, Relaxed);
        Ok(id)
    }

    /// Ends one rule, or all. The number of rules that ended.
    pub fn clear(&self, events: &Events, id: Option<u64>) -> usize {
        self.end_where(events, false, |rule| id.is_none_or(|id| id == rule.id))
    }

    pub fn expire(&self, events: &Events, now_ns: u64) {
        self.end_where(events, true, |rule| rule.expires_ns <= now_ns);
    }

    fn end_where(&self, events: &Events, expired: bool, over: impl Fn(&Rule) -> bool) -> usize {
        let ended: Vec<Arc<Rule>> = {
            let mut rules = write(&self.rules);
            let ended = rules.extract_if(.., |rule| over(rule)).collect();
            self.active.store(!rules.is_empty(), Relaxed);
            ended
        };
        for rule in &ended {
            rule.over.store(true, Relaxed);
            rule.ended.notify_waiters();
            events.emit(EventKind::FaultEnded {
                id: rule.id,
                pattern: rule.spec.pattern.clone(),
                fault: rule.spec.kind.name(),
                hits: rule.hits.load(Relaxed),
                expired,
            });
        }
        ended.len()
    }
}

fn check(spec: &FaultRule) -> Result<(), FaultRefused> {
    if !(0.0..=1.0).contains(&spec.probability) {
        return Err(invalid("probability", "is not within 0 and 1".to_owned()));
    }
    if !(1..=TTL_MS_MAX).contains(&spec.ttl_ms) {
        return Err(invalid("ttl_ms", format!("is not within 1 and {TTL_MS_MAX}")));
    }
    match spec.kind {
        FaultKind::Delay { delay_ms } if delay_ms > DELAY_MS_MAX => {
            Err(invalid("delay_ms", format!("is more than {DELAY_MS_MAX}")))
        }
        FaultKind::Flood { per_second } | FaultKind::Throttle { per_second }
            if !(1..=PER_SECOND_MAX).contains(&per_second) =>
        {
            Err(invalid("per_second", format!("is not within 1 and {PER_SECOND_MAX}")))
        }
        _ => Ok(()),
    }
}

fn invalid(field: &'static str, problem: String) -> FaultRefused {
    FaultRefused::Invalid { field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_lets_its_rate_pass_and_says_when_there_is_room_again() {
        let mut room = Room { messages: 1.0, at_ns: 0 };
        let passed = (0..30_000_u64).filter(|n| room.take(10, n * 100_000).is_ok()).count();
        assert_eq!(passed, 1 + 29, "3 s at 10 a second, and one at once");
        assert!(room.take(10, 3_000_000_000).is_ok(), "the one of this tenth of a second");
        let refused = room.take(10, 3_000_000_000).err();
        assert!(refused.is_some_and(|ms| (1..=100).contains(&ms)), "{refused:?}");
        assert!(room.take(10, 2_000_000_000).is_err(), "a clock that goes back gives nothing");
    }
}
