//! The front door: who calls, how much of it is let through, and who is told.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::bearer::{Bearer, KeySource};
use super::jwt::JwtDenied;
use super::keys::Keys;
use super::limiter::{Limiter, LimiterTerms, SWEEP_US};
use super::redis_limit::RedisLimit;
use super::shared::{Shared, SharedView};
use super::witness::{Act, LogWitness, Witness};
use crate::clock;
use crate::models::access::{
    ApiKey, Bucket, Decision, Identity, LimitClass, Quota, Role, Scopes, key,
};

/// Denials that are being told of at a time; those beyond are counted.
const TELLINGS_MAX: usize = 1_024;

/// What a caller sent to prove who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Proof<'a> {
    None,
    ApiKey(&'a str),
    /// `Authorization: Bearer`: a key or a token.
    Bearer(&'a str),
}

/// Why a caller stays outside.
#[derive(Debug)]
pub enum Refusal {
    /// The proof is not good. The reason is for the audit, not for the caller.
    Failed(String),
    /// Too many proofs of this address were not good.
    Barred(Decision),
}

/// Rates; one that is switched off lets everything through.
#[derive(Clone, Copy, Debug)]
pub struct LimitTerms {
    pub rates: LimiterTerms,
    pub identities: bool,
    pub addresses: bool,
    pub failures: bool,
}

struct Limits {
    limiter: Limiter,
    terms: LimitTerms,
    shared: Option<Shared<RedisLimit>>,
}

/// What asks for proofs.
pub struct DoorTerms {
    pub bearer: Option<Bearer>,
    pub limits: Option<LimitTerms>,
    /// Where limits are shared with other nodes.
    pub shared: Option<RedisLimit>,
}

/// Why a token is not good.
enum BadToken {
    /// It is of the issuer, and not of this time.
    Over(String),
    Bad(String),
}

/// Tokens of addresses that failed too often, of all of them together: what they cost stays small.
fn looks_quota() -> Quota {
    Quota::new("looks", 50, 1_000_000, 50)
}

/// The door of a process, for all its listeners.
pub struct Door {
    /// Everybody, where nobody is asked.
    open: Option<Arc<Identity>>,
    /// Nobody is asked because only this machine can call.
    local: bool,
    nobody: Arc<Identity>,
    keys: Keys,
    bearer: Option<Bearer>,
    limits: Option<Limits>,
    witness: Arc<dyn Witness>,
    /// See [`looks_quota`].
    looks: Mutex<Bucket>,
    tellings: Arc<Semaphore>,
    untold: AtomicU64,
}

impl Door {
    /// Nobody is asked who he is, and nobody is limited.
    pub fn open(keys: Keys) -> Door {
        let terms = DoorTerms { bearer: None, limits: None, shared: None };
        Door { open: Some(Arc::new(Identity::open())), ..Door::guarded(keys, terms) }
    }

    /// Takes no requests that pages of others have this machine's browsers send. For a door that is
    /// open because it leads nowhere else.
    pub fn for_this_machine(self) -> Door {
        Door { local: true, ..self }
    }

    pub fn is_for_this_machine(&self) -> bool {
        self.local
    }

    /// Everybody is asked.
    pub fn guarded(keys: Keys, terms: DoorTerms) -> Door {
        let DoorTerms { bearer, limits, shared } = terms;
        let limits = limits.map(|terms| Limits {
            limiter: Limiter::new(terms.rates),
            terms,
            shared: shared.map(Shared::new),
        });
        Door {
            open: None,
            local: false,
            nobody: Arc::new(nobody()),
            keys,
            bearer,
            limits,
            witness: Arc::new(LogWitness),
            looks: Mutex::default(),
            tellings: Arc::new(Semaphore::new(TELLINGS_MAX)),
            untold: AtomicU64::new(0),
        }
    }

    pub fn with_witness(self, witness: Arc<dyn Witness>) -> Door {
        Door { witness, ..self }
    }

    /// Everybody's identity where nobody is asked; else `None`.
    pub fn everybody(&self) -> Option<&Arc<Identity>> {
        self.open.as_ref()
    }

    /// Who did not prove anything: it may do nothing but what is public.
    pub fn nobody(&self) -> Arc<Identity> {
        Arc::clone(&self.nobody)
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Who sent this proof?
    ///
    /// A good API key passes also from an address that failed too often: guessing 256 bits is in vain,
    /// and callers may share an address. So does a token that was found good before. Of others few are
    /// looked at then: verifying one costs more. A token of the issuer whose time is over is refused,
    /// and held against nobody: whoever sends it was let in once.
    ///
    /// # Errors
    /// The proof is not good, or too many were not.
    pub async fn identify(
        &self,
        proof: Proof<'_>,
        address: IpAddr,
    ) -> Result<Arc<Identity>, Refusal> {
        let reason = match proof {
            Proof::None => return Ok(self.nobody()),
            Proof::ApiKey(text) => match self.of_key(text) {
                Ok(identity) => return Ok(identity),
                Err(reason) => reason,
            },
            Proof::Bearer(text) if text.starts_with(key::PREFIX) => match self.of_key(text) {
                Ok(identity) => return Ok(identity),
                Err(reason) => reason,
            },
            Proof::Bearer(token) => {
                let barred = self.barred(address);
                if let Some(decision) = barred {
                    if let Some(identity) = self.remembered(token) {
                        return Ok(identity);
                    }
                    if !self.spares_a_look() {
                        return Err(Refusal::Barred(decision));
                    }
                }
                match (self.of_token(token).await, barred) {
                    (Ok(identity), _) => return Ok(identity),
                    (Err(_), Some(decision)) => return Err(Refusal::Barred(decision)),
                    (Err(BadToken::Over(reason)), None) => return Err(Refusal::Failed(reason)),
                    (Err(BadToken::Bad(reason)), None) => reason,
                }
            }
        };
        match self.failed(address) {
            Some(decision) => Err(Refusal::Barred(decision)),
            None => Err(Refusal::Failed(reason)),
        }
    }

    /// Whether who was let in once would be let in now.
    pub fn still_knows(&self, who: &Identity) -> bool {
        match who.name.strip_prefix("key:") {
            Some(id) => id.parse().is_ok_and(|id| self.keys.is_live(id, clock::wall_us())),
            None => who.ends_at_us.is_none_or(|end| clock::wall_us() < end),
        }
    }

    fn of_key(&self, text: &str) -> Result<Arc<Identity>, String> {
        let sent = ApiKey::parse(text).map_err(|_| "not an API key".to_owned())?;
        self.keys.check(&sent, clock::wall_us()).map_err(|why| match why {
            // An id that nobody has was made up: it is not written down.
            key::Denied::Unknown => why.to_string(),
            _ => format!("key {}: {why}", sent.id()),
        })
    }

    async fn of_token(&self, token: &str) -> Result<Arc<Identity>, BadToken> {
        let Some(bearer) = &self.bearer else {
            return Err(BadToken::Bad("no issuer of tokens is configured".to_owned()));
        };
        let identity = bearer.identify(token, clock::wall_us(), clock::mono_us).await;
        identity.map(Arc::new).map_err(|why| {
            let reason = format!("the token {why}");
            match why {
                JwtDenied::Expired | JwtDenied::Immature => BadToken::Over(reason),
                _ => BadToken::Bad(reason),
            }
        })
    }

    fn remembered(&self, token: &str) -> Option<Arc<Identity>> {
        self.bearer.as_ref()?.remembered(token, clock::wall_us()).map(Arc::new)
    }

    /// Whether there is time for one more token of addresses that failed too often.
    fn spares_a_look(&self) -> bool {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.take(&looks_quota(), clock::mono_us()).allowed
    }

    fn barred(&self, address: IpAddr) -> Option<Decision> {
        let limits = self.limits.as_ref().filter(|limits| limits.terms.failures)?;
        limits.limiter.barred(address, clock::mono_us())
    }

    /// Books a failure; the decision where it was one too many.
    fn failed(&self, address: IpAddr) -> Option<Decision> {
        let limits = self.limits.as_ref().filter(|limits| limits.terms.failures)?;
        let decision = limits.limiter.failed(address, clock::mono_us());
        (!decision.allowed).then_some(decision)
    }

    /// Takes one request of a caller; `None`: it is not limited. With a shared limit, this waits for
    /// it for at most 50 ms.
    pub async fn take(&self, who: &Identity, address: IpAddr) -> Option<Decision> {
        let limits = self.limits.as_ref()?;
        let on = match who.class {
            LimitClass::Unlimited => false,
            LimitClass::Identity => limits.terms.identities,
            LimitClass::Address => limits.terms.addresses,
        };
        let local = limits.limiter.take(who, address).filter(|_| on)?;
        let Some(shared) = &limits.shared else { return Some(local) };
        let decision = match who.class {
            LimitClass::Address => {
                let network = super::limiter::network(address).to_string();
                shared.decide(&network, local, clock::mono_us).await
            }
            _ => shared.decide(&who.name, local, clock::mono_us).await,
        };
        Some(decision)
    }

    /// How the shared limit does; `None` where limits are this process's own.
    pub fn shared_view(&self) -> Option<SharedView> {
        Some(self.limits.as_ref()?.shared.as_ref()?.view())
    }

    /// Tells of an act, and waits until it is kept.
    pub async fn saw(&self, act: Act) {
        self.witness.saw(act).await;
    }

    /// Tells of an act without waiting. Of a flood, what does not fit is counted.
    pub fn saw_soon(&self, act: Act) {
        match Arc::clone(&self.tellings).try_acquire_owned() {
            Ok(place) => {
                let telling = self.witness.saw(act);
                tokio::spawn(async move {
                    telling.await;
                    drop(place);
                });
            }
            Err(_) => {
                if self.untold.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!("more denials than can be told of: some are only counted");
                }
            }
        }
    }

    /// Denials that were not told of.
    pub fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    /// Keeps the keys, the issuer's keys and the limits tidy, for ever.
    pub async fn tend(&self) {
        let sweeping = async {
            loop {
                tokio::time::sleep(std::time::Duration::from_micros(SWEEP_US.unsigned_abs())).await;
                if let Some(limits) = &self.limits {
                    limits.limiter.sweep(clock::mono_us());
                }
            }
        };
        let issuer = async {
            match self.bearer.as_ref().map(Bearer::keys) {
                Some(KeySource::Fetched(jwks)) => jwks.tend(clock::mono_us).await,
                _ => std::future::pending().await,
            }
        };
        tokio::join!(self.keys.tend(), sweeping, issuer);
    }
}

fn nobody() -> Identity {
    Identity {
        name: "nobody".into(),
        role: Role::Viewer,
        scopes: Arc::new(Scopes::default()),
        class: LimitClass::Address,
        ends_at_us: None,
    }
}
