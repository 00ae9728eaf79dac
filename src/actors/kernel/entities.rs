//! Actors by key: started by their first message, ended when idle, one at a time for each key. A
//! message that meets an ending one goes to the next.

mod ending;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, TryLockError, Weak};
use std::time::Duration;

use super::actor::Actor;
use super::ask::{self, AskError, Refused, Reply, Waited};
use super::cell::{Cell, State};
use super::dead::Why;
use super::family::Brood;
use super::handle::{Handle, unanswered};
use super::kernel::{SpawnError, Sweep};
use super::letter::Letter;
use super::policy::{MAILBOX_DEPTH_MAX, Restart};
use super::shell::Keeper;
use super::supervisor::Child;
use super::sync::lock;
use super::time::{Deadline, now_ns, to_ns};

const SHARDS: usize = 64;
/// The longest keys are of an account and a campaign, 128 characters of ASCII each, with a colon between them.
const KEY_BYTES_MAX: usize = 512;
/// Where there are too many, those to end are searched for this often.
const THIN_EVERY_NS: u64 = 50_000_000;

/// Entities to be started. Idle after 60 s, 256 messages each, at most 1,000,000 at a time.
#[must_use = "nothing is started before `start`"]
pub struct EntitiesBuilder {
    child: Child,
    idle_after: Duration,
    resident_max: usize,
    active_max: usize,
}

impl EntitiesBuilder {
    pub(super) fn new(child: Child) -> Self {
        let child = child.restart(Restart::Transient).mailbox(256);
        let (idle_after, active_max) = (Duration::from_secs(60), 1_000_000);
        Self { child, idle_after, resident_max: active_max, active_max }
    }

    /// Without a message for this long, an entity that agrees (`Actor::idle`) ends.
    pub fn idle_after(mut self, idle_after: Duration) -> Self {
        self.idle_after = idle_after;
        self
    }

    /// How many stay active for the time of `idle_after`: beyond it those end that are idle longest.
    pub fn resident_max(mut self, resident_max: usize) -> Self {
        self.resident_max = resident_max;
        self
    }

    /// How many may be active at a time; beyond it new ones are refused as overloaded.
    pub fn active_max(mut self, active_max: usize) -> Self {
        self.active_max = active_max;
        self
    }

    /// How many messages may wait at each.
    pub fn mailbox(mut self, depth_max: u32) -> Self {
        self.child.policy.mailbox = depth_max.clamp(1, MAILBOX_DEPTH_MAX);
        self
    }

    /// Restarts before an entity is quarantined: its messages are then refused for a while, and
    /// no other entity is touched.
    pub fn intensity(mut self, max: u32, window: Duration) -> Self {
        self.child = self.child.intensity(max, window);
        self
    }

    pub fn backoff(mut self, base: Duration, max: Duration) -> Self {
        self.child = self.child.backoff(base, max);
        self
    }

    /// How long an entity that failed too often is refused (30 s).
    pub fn quarantine(mut self, quarantine: Duration) -> Self {
        self.child.policy.quarantine = quarantine;
        self
    }

    /// `factory` makes the state of the entity with a key, for each of its lives.
    pub fn start<A: Actor>(
        self,
        factory: impl Fn(&str) -> A + Send + Sync + 'static,
    ) -> Result<Entities<A>, SpawnError> {
        let policy = self.child.policy;
        let group = self.child.above.table(&self.child.name, "entities", policy)?;
        let inner = Arc::new(Inner {
            mailbox: policy.mailbox,
            group: Arc::clone(&group),
            policy,
            factory: Box::new(factory),
            idle_ns: to_ns(self.idle_after),
            resident_max: self.resident_max,
            active_max: self.active_max,
            active: AtomicUsize::new(0),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            closed: AtomicBool::new(false),
            swept_ns: Mutex::new(now_ns()),
            thinned_ns: AtomicU64::new(now_ns()),
        });
        let brood: Weak<dyn Brood> = Arc::<Inner<A>>::downgrade(&inner);
        group.family().brood.get_or_init(|| brood);
        let sweep: Weak<dyn Sweep> = Arc::<Inner<A>>::downgrade(&inner);
        lock(&group.kernel.sweeps).push(sweep);
        Ok(Entities { inner })
    }
}

/// The way to all entities of one kind.
pub struct Entities<A: Actor> {
    inner: Arc<Inner<A>>,
}

impl<A: Actor> Clone for Entities<A> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

struct Inner<A: Actor> {
    group: Arc<Cell>,
    policy: super::policy::Policy,
    mailbox: u32,
    factory: Box<dyn Fn(&str) -> A + Send + Sync>,
    idle_ns: u64,
    resident_max: usize,
    active_max: usize,
    active: AtomicUsize,
    hasher: RandomState,
    shards: [Mutex<Slots<A::Msg>>; SHARDS],
    closed: AtomicBool,
    swept_ns: Mutex<u64>,
    thinned_ns: AtomicU64,
}

type Slots<M> = HashMap<Arc<str>, Slot<M>>;

enum Slot<M> {
    Live(Handle<M>),
    /// One is ending; these wait for the next.
    Ending(Handle<M>, VecDeque<Letter<M>>),
    /// Refused until then.
    Quarantined(u64),
}

impl<A: Actor> Entities<A> {
    /// Sends to the entity with this key, starting it if need be.
    pub fn tell(&self, key: &str, msg: A::Msg) -> Result<(), Refused> {
        self.inner.post(key, Letter::new(msg, now_ns())).map(drop)
    }

    /// Asks the entity with this key, starting it if need be. See [`Handle::ask`].
    pub async fn ask<T: Send + 'static>(
        &self,
        key: &str,
        deadline: impl Into<Deadline>,
        make: impl FnOnce(Reply<T>) -> A::Msg,
    ) -> Result<T, AskError> {
        let now = now_ns();
        let deadline_ns = deadline.into().resolve(now);
        let (reply, rx) = Reply::pair();
        let letter = Letter { deadline_ns, ..Letter::new(make(reply), now) };
        let cell = self.inner.post(key, letter)?;
        match ask::wait(rx, now, deadline_ns).await {
            Waited::Answer(answer) => Ok(answer),
            Waited::Expired => Err(AskError::Expired),
            Waited::Dropped => Err(unanswered(&cell, deadline_ns)),
        }
    }

    /// How many are active.
    pub fn active(&self) -> usize {
        self.inner.active.load(Relaxed)
    }

    pub fn path(&self) -> &str {
        &self.inner.group.path
    }

    /// The path of the entity with this key, whether active or not.
    pub fn path_of(&self, key: &str) -> String {
        self.inner.path_of(key)
    }

    /// The keys of those that are active now.
    pub fn keys(&self) -> Vec<Arc<str>> {
        let live = |shard: &Mutex<Slots<A::Msg>>| {
            let shard = lock(shard);
            shard
                .iter()
                .filter(|(_, s)| matches!(s, Slot::Live(_)))
                .map(|(k, _)| Arc::clone(k))
                .collect::<Vec<_>>()
        };
        self.inner.shards.iter().flat_map(live).collect()
    }

    /// Whether there is one with this key: it handles messages, or will when it has begun or is restarted.
    pub fn is_active(&self, key: &str) -> bool {
        let shard = lock(self.inner.shard(key));
        matches!(shard.get(key), Some(Slot::Live(_) | Slot::Ending(..)))
    }

    /// Sends to an entity only if it is active; false if it is not or does not take it.
    pub fn tell_if_active(&self, key: &str, msg: A::Msg) -> bool {
        let shard = lock(self.inner.shard(key));
        matches!(shard.get(key), Some(Slot::Live(handle)) if handle.tell(msg).is_ok())
    }
}

impl<A: Actor> Inner<A> {
    fn shard(&self, key: &str) -> &Mutex<Slots<A::Msg>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    fn path_of(&self, key: &str) -> String {
        let mut path = String::with_capacity(self.group.path.len() + 1 + key.len());
        path.push_str(&self.group.path);
        path.push('/');
        for c in key.chars() {
            match c {
                '/' => path.push_str("%2F"),
                '%' => path.push_str("%25"),
                c if c.is_control() => path.push_str(&format!("%{:02X}", u32::from(c))),
                c => path.push(c),
            }
        }
        path
    }

    /// All sends to entities happen under their shard's lock, so that [`Kept::retire`] sees every
    /// letter that is on its way.
    fn post(self: &Arc<Self>, key: &str, letter: Letter<A::Msg>) -> Result<Arc<Cell>, Refused> {
        let mut shard = lock(self.shard(key));
        let Some(slot) = shard.get_mut(key) else {
            let handle = match self.activate(key) {
                Ok(handle) => handle,
                Err(refused) => return Err(self.bury(letter, refused)),
            };
            let cell = Arc::clone(&handle.cell);
            let posted = handle.post(letter);
            shard.insert(key.into(), Slot::Live(handle));
            return posted.map(|()| cell).map_err(|(letter, refused)| self.bury(letter, refused));
        };
        match slot {
            Slot::Live(handle) => match handle.post(letter) {
                Ok(()) => Ok(Arc::clone(&handle.cell)),
                Err((letter, Refused::Gone)) if !self.closed.load(SeqCst) => {
                    let cell = Arc::clone(&handle.cell);
                    *slot = Slot::Ending(handle.clone(), VecDeque::from([letter]));
                    Ok(cell)
                }
                Err((letter, refused)) => Err(self.bury(letter, refused)),
            },
            Slot::Ending(..) if self.closed.load(SeqCst) => Err(self.bury(letter, Refused::Gone)),
            Slot::Ending(handle, waiting) if waiting.len() < self.mailbox as usize => {
                waiting.push_back(letter);
                Ok(Arc::clone(&handle.cell))
            }
            Slot::Ending(..) => Err(Refused::Overloaded { retry_after_ms: 10 }),
            Slot::Quarantined(until) => {
                let left = until.saturating_sub(now_ns());
                if left > 0 {
                    return Err(Refused::Overloaded { retry_after_ms: (left / 1_000_000).max(1) });
                }
                shard.remove(key);
                drop(shard);
                self.post(key, letter)
            }
        }
    }

    fn bury(&self, letter: Letter<A::Msg>, refused: Refused) -> Refused {
        if refused == Refused::Gone {
            self.group.dead_letter(A::label(&letter.msg), Why::Gone, letter.trace());
        }
        refused
    }

    fn activate(self: &Arc<Self>, key: &str) -> Result<Handle<A::Msg>, Refused> {
        if self.closed.load(SeqCst) || key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(Refused::Gone);
        }
        if self.active.load(Relaxed) >= self.active_max {
            return Err(Refused::Overloaded { retry_after_ms: 1_000 });
        }
        let key: Arc<str> = key.into();
        let keeper = Kept { inner: Arc::clone(self), key: Arc::clone(&key) };
        let path = self.path_of(&key).into();
        let inner = Arc::clone(self);
        let factory = Box::new(move || (inner.factory)(&key));
        let spawned = self.group.kernel.spawn(
            &self.group,
            path,
            self.policy,
            factory,
            Some(Box::new(keeper)),
        );
        match spawned {
            Ok(handle) => {
                self.active.fetch_add(1, Relaxed);
                Ok(handle)
            }
            Err(error) => {
                tracing::error!("entity could not be started: {error}");
                Err(Refused::Overloaded { retry_after_ms: 100 })
            }
        }
    }

    fn live(&self) -> Vec<Arc<Cell>> {
        let cells = |shard: &Mutex<Slots<A::Msg>>| {
            let of = |slot: &Slot<A::Msg>| match slot {
                Slot::Live(handle) | Slot::Ending(handle, _) => Some(Arc::clone(&handle.cell)),
                Slot::Quarantined(_) => None,
            };
            lock(shard).values().filter_map(of).collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(cells).collect()
    }
}

impl<A: Actor> Inner<A> {
    /// Beyond `resident_max` those that are idle longest end before their time, and an eighth more,
    /// so that not every newcomer costs a search.
    fn thin_out(&self, now_ns: u64) {
        let since = now_ns.saturating_sub(self.thinned_ns.load(Relaxed));
        if self.active.load(Relaxed) <= self.resident_max || since < THIN_EVERY_NS {
            return;
        }
        self.thinned_ns.store(now_ns, Relaxed);
        let (mut live, mut resting) = (0, Vec::new());
        for shard in &self.shards {
            for slot in lock(shard).values() {
                let Slot::Live(handle) = slot else { continue };
                live += 1;
                if rests(&handle.cell) {
                    resting.push((resting_since(&handle.cell), Arc::clone(&handle.cell)));
                }
            }
        }
        let Some(surplus) = usize::checked_sub(live, self.resident_max) else { return };
        let ends = (surplus + self.resident_max / 8).min(resting.len());
        if ends < resting.len() {
            resting.select_nth_unstable_by_key(ends, |(since, _)| *since);
        }
        for port in resting[..ends].iter().filter_map(|(_, cell)| cell.port.get()) {
            port.passivate();
        }
    }
}

/// Has nothing to do.
fn rests(cell: &Cell) -> bool {
    cell.depth() == 0 && cell.books.busy.load(Relaxed) == 0 && cell.state() == State::Running
}

/// When the last message came, or when it last refused to be passivated.
fn resting_since(cell: &Cell) -> u64 {
    cell.books.active_ns.load(Relaxed).max(cell.books.stayed_ns.load(Relaxed))
}

struct Kept<A: Actor> {
    inner: Arc<Inner<A>>,
    key: Arc<str>,
}

impl<A: Actor> Keeper for Kept<A> {
    fn retire(&mut self) -> bool {
        let mut shard = lock(self.inner.shard(&self.key));
        let Some(slot) = shard.get_mut(&self.key) else { return false };
        match slot {
            Slot::Live(handle) if handle.depth() == 0 => {
                *slot = Slot::Ending(handle.clone(), VecDeque::new());
                true
            }
            _ => false,
        }
    }

    fn ended(&mut self, quarantined: Option<String>) {
        self.inner.active.fetch_sub(1, Relaxed);
        let kept = Kept { inner: Arc::clone(&self.inner), key: Arc::clone(&self.key) };
        let contended = match self.inner.shard(&self.key).try_lock() {
            Ok(mut shard) => {
                kept.succeed(&mut shard, quarantined.is_some());
                false
            }
            Err(TryLockError::Poisoned(shard)) => {
                kept.succeed(&mut shard.into_inner(), quarantined.is_some());
                false
            }
            Err(TryLockError::WouldBlock) => true,
        };
        if contended {
            // Not waited for here: a runtime that shuts down drops actors inside `activate`,
            // which holds this lock.
            let kept = Kept { inner: Arc::clone(&self.inner), key: Arc::clone(&self.key) };
            self.inner.group.kernel.runtime.spawn(async move {
                kept.succeed(&mut lock(kept.inner.shard(&kept.key)), quarantined.is_some());
            });
        }
    }
}

impl<A: Actor> Kept<A> {
    /// What comes after an entity: nothing, a quarantine, or the next for the letters that wait.
    fn succeed(&self, shard: &mut Slots<A::Msg>, quarantined: bool) {
        let waiting = match shard.remove(&self.key) {
            Some(Slot::Ending(_, waiting)) => waiting,
            _ => VecDeque::new(),
        };
        let mut next = None;
        if quarantined {
            let until = now_ns().saturating_add(to_ns(self.inner.policy.quarantine));
            shard.insert(Arc::clone(&self.key), Slot::Quarantined(until));
        } else if !waiting.is_empty() {
            next = self.inner.activate(&self.key).ok();
        } else if shard.is_empty() && shard.capacity() > 1_024 {
            shard.shrink_to_fit();
        }
        for letter in waiting {
            let refused = match &next {
                Some(handle) => handle.hand_over(letter).err().map(|(letter, _)| letter),
                None => Some(letter),
            };
            if let Some(letter) = refused {
                self.inner.bury(letter, Refused::Gone);
            }
        }
        if let Some(handle) = next {
            shard.insert(Arc::clone(&self.key), Slot::Live(handle));
        }
    }
}

impl<A: Actor> Sweep for Inner<A> {
    fn sweep(&self, now_ns: u64) {
        self.thin_out(now_ns);
        {
            let mut swept = lock(&self.swept_ns);
            let every = (self.idle_ns / 4).clamp(20_000_000, 10_000_000_000);
            if now_ns.saturating_sub(*swept) < every {
                return;
            }
            *swept = now_ns;
        }
        let idle =
            |cell: &Cell| rests(cell) && now_ns.saturating_sub(resting_since(cell)) >= self.idle_ns;
        for shard in &self.shards {
            lock(shard)
                .retain(|_, slot| !matches!(slot, Slot::Quarantined(until) if *until <= now_ns));
            for slot in lock(shard).values() {
                if let Slot::Live(handle) = slot
                    && idle(&handle.cell)
                    && let Some(port) = handle.cell.port.get()
                {
                    port.passivate();
                }
            }
        }
    }
}
