//! `/cluster/member`: keeps this node's lease, claims its shards, and hands them over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::orders::NotMoved;
use super::{last_life, metrics, placement::Placement, reach};
use crate::actors::kernel::{Actor, Cx, Fault, Reply as Promise};
use crate::actors::shield::now;
use crate::clock;
use crate::models::cluster::member::{Effect, Identity, Member, Phase, Reply, Request};
use crate::models::cluster::node::{Incarnation, Role};
use crate::models::cluster::register::Joined;
use crate::models::cluster::roster::Roster;
use crate::models::cluster::shard::Shard;
use crate::models::cluster::terms::ClusterTerms;
use crate::store::Store;

/// How often the member looks whether something is due.
const TICK: Duration = Duration::from_millis(100);

pub struct MemberActor {
    store: Store,
    terms: ClusterTerms,
    placement: Arc<Placement>,
    data_dir: PathBuf,
    member: Member,
    /// What was said of the register's last refusal: said once.
    waits: bool,
    last_error: Option<String>,
    leaving: Vec<Promise<()>>,
    /// Shards whose last stay here is being ended, with the epoch of the next.
    evicting: BTreeMap<Shard, Option<i64>>,
    /// How often this node has become the owner of a shard.
    taken: u64,
    /// Who waits until all shards are handed over.
    emptying: Vec<Promise<()>>,
    /// This node leaves the register only when it is told to.
    stays: bool,
    /// All shards are handed over, and it has not left yet.
    emptied: bool,
    join: Join,
    /// The register as it was read last.
    read: Roster,
}

/// What is known of joining before the register says that this node is in it.
#[derive(Clone, Copy, Debug, Default)]
struct Join {
    /// The register was asked: it may have this node, also where its answer was lost.
    asked: bool,
    /// This node is to leave before it ever was in: it does nothing else any more.
    given_up: bool,
    /// An answer to joining, or to leaving after that, is under way.
    under_way: bool,
}

pub enum Msg {
    Tick,
    Answered(Request, Reply, Option<String>),
    /// What was here of a shard has come to its end.
    AtRest(Shard, i64),
    /// What was here of a shard that another node has is gone.
    Evicted(Shard),
    /// An operator gives a shard to another node: answered when it is on its way.
    HandOver(Shard, Incarnation, Promise<Result<(), NotMoved>>),
    /// Hand all shards over to other nodes, and stay known to them until [`Msg::Leave`].
    Empty(Promise<()>),
    /// Everything that this node serves has come to its end: let it all go.
    Leave(Promise<()>),
}

/// The member as operators see it.
#[derive(Clone, Debug, Serialize)]
pub struct MemberView {
    pub node: String,
    pub incarnation: String,
    pub phase: &'static str,
    pub roles: String,
    pub shards: usize,
    /// Epochs that this node has got in this life, one with each shard that came: it grows with every move.
    pub epochs: u64,
    /// Shards that are on their way to other nodes: coming to rest, or at rest and not let go yet.
    pub handing_over: usize,
    /// Shards that others have, of which something is left here that is being ended.
    pub evicting: usize,
    /// How long the lease holds if nothing is heard.
    pub lease_ms: i64,
    pub nodes: usize,
    pub last_error: Option<String>,
}

impl MemberActor {
    pub fn new(
        store: Store,
        terms: ClusterTerms,
        me: Identity,
        placement: Arc<Placement>,
        data_dir: PathBuf,
    ) -> MemberActor {
        let (incarnation, before) = (placement.incarnation(), placement.before().last().copied());
        let member = Member::new(terms.clone(), me, incarnation, before);
        MemberActor {
            store,
            terms,
            placement,
            data_dir,
            member,
            waits: false,
            last_error: None,
            leaving: Vec::new(),
            evicting: BTreeMap::new(),
            taken: 0,
            emptying: Vec::new(),
            stays: false,
            emptied: false,
            join: Join::default(),
            read: Roster::default(),
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, cx: &mut Cx<Self>) {
        for effect in effects {
            match effect {
                // Nobody is left to serve what would come.
                Effect::Ask(ref request) if self.join.given_up && *request != Request::Leave => {}
                Effect::Take { .. } if self.join.given_up => {}
                Effect::Ask(Request::Leave) if self.stays => {
                    // All is handed over. What this node still has of others' is settled while it is known to them.
                    self.emptied = true;
                }
                Effect::Ask(request) => self.ask(request, cx),
                Effect::Take { shard, epoch } => {
                    if counts(shard) {
                        metrics::taken();
                        self.taken += 1;
                    }
                    match self.evicting.get_mut(&shard) {
                        // Nothing of its last stay here may write with the new epoch.
                        Some(next) => *next = Some(epoch),
                        None => self.placement.set(shard, Some(epoch)),
                    }
                }
                Effect::Give { shard, epoch } => {
                    self.placement.close(shard);
                    let leave = self.placement.tenants().leave(shard);
                    if let Some(next) = self.evicting.get_mut(&shard) {
                        // It goes before it was ever served here.
                        *next = None;
                    }
                    cx.pipe(leave, move |()| Msg::AtRest(shard, epoch));
                }
                // What is written with its epoch is refused from here on; what is in memory of it ends.
                Effect::Drop { shard } => {
                    self.placement.set(shard, None);
                    if counts(shard) {
                        metrics::dropped();
                    }
                    tracing::warn!(%shard, "shard {shard} was taken by another node, or did not come to rest in time");
                    if self.evicting.insert(shard, None).is_none() {
                        let evict = self.placement.tenants().evict(shard);
                        cx.pipe(evict, move |()| Msg::Evicted(shard));
                    }
                }
                Effect::Lost => {
                    self.placement.lose();
                    tracing::error!(incarnation = %self.member.incarnation(),
                        "this node's lease was over, and another node has ended its life: it may not serve any more");
                }
            }
        }
    }

    fn ask(&mut self, request: Request, cx: &mut Cx<Self>) {
        let (store, lease_us) = (self.store.clone(), self.terms.lease_us);
        let me = self.member.incarnation();
        // A question about the lease that takes longer is asked anew, in good time.
        let patience = Duration::from_micros(self.terms.patience_us().max(1).unsigned_abs());
        let asked = request.clone();
        if matches!(asked, Request::Join(_)) {
            (self.join.asked, self.join.under_way) = (true, true);
        }
        let reached = reach::reached(self.placement.links());
        if matches!(asked, Request::Claim(_)) && reach::is_cut_off(&self.read, me, &reached) {
            let why = "no other node is reached: this one claims nothing".to_owned();
            let waits = async move { why };
            return cx.pipe(waits, move |why| Msg::Answered(asked, Reply::Failed, Some(why)));
        }
        let answer = async move {
            let asking = async {
                Ok::<Reply, crate::store::StoreError>(match &request {
                    Request::Join(who) => {
                        let (joined, roster) = store.join(who, lease_us).await?;
                        Reply::Joined(joined, Box::new(roster))
                    }
                    Request::Renew { draining } => {
                        Reply::Renewed(store.renew(me, *draining, lease_us).await?.map(Box::new))
                    }
                    Request::Look => Reply::Looked(Box::new(store.roster().await?)),
                    Request::Bury(who) => {
                        if store.bury(*who).await? {
                            tracing::warn!(incarnation = %who, "the lease of node {who} is over: its shards are free");
                        }
                        Reply::Buried
                    }
                    Request::Claim(wanted) => Reply::Claimed(store.claim(me, wanted).await?),
                    Request::Release(released) => {
                        store.release(me, released).await?;
                        Reply::Released
                    }
                    Request::Leave => {
                        store.leave(me).await?;
                        Reply::Left
                    }
                })
            };
            match tokio::time::timeout(patience, asking).await {
                Ok(Ok(reply)) => (reply, None),
                Ok(Err(error)) => (Reply::Failed, Some(error.to_string())),
                Err(_) => (Reply::Failed, Some("no answer in time".to_owned())),
            }
        };
        cx.pipe(answer, move |(reply, error)| Msg::Answered(asked, reply, error));
    }

    /// What is asked so that nothing of this node is left in the register, where it gave up joining: not before the
    /// answer to that, which may be on its way.
    fn give_up(&mut self, out: &mut Vec<Effect>) {
        if !self.join.under_way && self.member.phase() != Phase::Left {
            self.join.under_way = true;
            out.push(Effect::Ask(Request::Leave));
        }
    }

    /// Shards that this node has still, and takes in nothing more for.
    fn under_way(&self) -> usize {
        let still = self.member.owned().filter(|(shard, _)| counts(*shard));
        still.filter(|(shard, _)| self.member.holds(*shard).is_none()).count()
    }

    fn hand_over(
        &mut self,
        shard: Shard,
        heir: Incarnation,
        out: &mut Vec<Effect>,
    ) -> Result<(), NotMoved> {
        let now = now();
        if !self.member.serves(now) {
            return Err(NotMoved::NoLease);
        }
        if self.member.hand_over(now, shard, heir, out) {
            return Ok(());
        }
        let owns = self.member.owned().any(|(own, _)| own == shard);
        if self.read.nodes.iter().all(|node| node.dead || node.incarnation != heir) {
            return Err(NotMoved::NoNode);
        }
        Err(match (self.member.holds(shard), owns) {
            (Some(_), _) => NotMoved::NoHeir,
            (None, true) => NotMoved::Closing,
            (None, false) => NotMoved::NotHere,
        })
    }

    /// A reply as this node may act on it, with its roster kept as it was read.
    fn seen(&mut self, reply: Reply) -> Reply {
        let reached = reach::reached(self.placement.links());
        let me = self.member.incarnation();
        let mut seen = |roster: Box<Roster>| {
            self.read = (*roster).clone();
            Box::new(reach::as_reached(*roster, me, &reached))
        };
        match reply {
            Reply::Joined(joined, roster) => Reply::Joined(joined, seen(roster)),
            Reply::Renewed(Some(roster)) => Reply::Renewed(Some(seen(roster))),
            Reply::Looked(roster) => Reply::Looked(seen(roster)),
            other => other,
        }
    }

    /// What came of joining, for whoever looks at the logs.
    fn note(&mut self, reply: &Reply) {
        match reply {
            Reply::Joined(Joined::Done, _) => {
                let (before, life) = (self.placement.before(), self.member.incarnation());
                if let Err(error) = last_life::note(&self.data_dir, before, life) {
                    // The next start waits for this life's lease, no more.
                    tracing::warn!(%error, "this life of the node could not be noted");
                }
            }
            Reply::Joined(Joined::Taken { .. }, roster) if !self.waits => {
                self.waits = true;
                let name = &self.member.identity().name;
                let other = roster.nodes.iter().find(|node| node.name == *name);
                let at = other.map(|node| node.address.clone()).unwrap_or_default();
                tracing::warn!(node = %name, %at, "node {name} is there already, at {at}: waiting for its lease to end");
            }
            _ => {}
        }
    }
}

/// The register has 256 shards for each role. Those of SyncShield carry all work, and are what people count.
fn counts(shard: Shard) -> bool {
    shard.role() == Some(Role::Shield)
}

impl Actor for MemberActor {
    type Msg = Msg;
    type View = MemberView;
    const TYPE: &'static str = "member";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        // After a failure: what the member before this held is told anew when this has joined.
        self.placement.clear();
        cx.send_after(Duration::ZERO, Msg::Tick);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let mut out = Vec::new();
        // An answer without a roster tells nothing new of it.
        let heard = matches!(
            msg,
            Msg::Answered(_, Reply::Joined(..) | Reply::Renewed(Some(_)) | Reply::Looked(_), _)
        );
        match msg {
            Msg::Tick => {
                match self.join.given_up {
                    true => self.give_up(&mut out),
                    false => self.member.tick(now(), &mut out),
                }
                cx.send_after(TICK, Msg::Tick);
            }
            Msg::Answered(asked, reply, error) => {
                if error.is_some() {
                    metrics::failed();
                    self.last_error = error;
                }
                if matches!(asked, Request::Join(_) | Request::Leave) {
                    self.join.under_way = false;
                }
                self.note(&reply);
                let reply = self.seen(reply);
                self.member.answered(now(), &asked, reply, &mut out);
            }
            Msg::Evicted(shard) => {
                if let Some(epoch) = self.evicting.remove(&shard).flatten() {
                    self.placement.set(shard, Some(epoch));
                }
            }
            Msg::AtRest(shard, epoch) => {
                // Of an earlier stay that took too long, nothing is said of this one.
                let own = self.member.owned().find(|(own, _)| *own == shard);
                let this = own.is_none_or(|(_, own)| own == epoch);
                if this && self.member.holds(shard).is_none() {
                    self.placement.set(shard, None);
                    self.member.given(now(), shard, &mut out);
                }
            }
            Msg::HandOver(shard, heir, done) => {
                done.send(self.hand_over(shard, heir, &mut out));
            }
            Msg::Empty(done) => {
                self.emptying.push(done);
                self.stays = true;
                self.member.leave();
                self.member.tick(now(), &mut out);
            }
            Msg::Leave(done) => {
                if self.member.phase() == Phase::Out && !self.join.asked {
                    // The register has never heard of it.
                    done.send(());
                    return Ok(());
                }
                self.leaving.push(done);
                self.stays = false;
                self.join.given_up |= self.member.phase() == Phase::Out;
                match std::mem::take(&mut self.emptied) {
                    true => out.push(Effect::Ask(Request::Leave)),
                    false if self.join.given_up => self.give_up(&mut out),
                    false => {
                        self.member.leave();
                        self.member.tick(now(), &mut out);
                    }
                }
            }
        }
        self.carry_out(out, cx);
        let roster = heard.then(|| self.read.clone());
        self.placement.publish(self.member.until_us(), roster);
        let lease_us = self.member.until_us().saturating_sub(clock::mono_us());
        metrics::state(self.placement.owned(), lease_us.max(-1_000_000));
        if matches!(self.member.phase(), Phase::Left | Phase::Over) {
            self.leaving.drain(..).for_each(|done| done.send(()));
        }
        if self.emptied || matches!(self.member.phase(), Phase::Left | Phase::Over) {
            self.emptying.drain(..).for_each(|done| done.send(()));
        }
        Ok(())
    }

    fn view(&self) -> MemberView {
        let lease_us = self.member.until_us().saturating_sub(clock::mono_us());
        MemberView {
            node: self.member.identity().name.clone(),
            incarnation: self.member.incarnation().to_string(),
            phase: match self.member.phase() {
                Phase::Out => "joining",
                Phase::In => "in",
                Phase::Leaving => "leaving",
                Phase::Left => "left",
                Phase::Over => "lost",
            },
            roles: self.member.identity().roles.to_string(),
            shards: self.placement.owned(),
            epochs: self.taken,
            handing_over: self.under_way(),
            evicting: self.evicting.keys().filter(|shard| counts(**shard)).count(),
            lease_ms: lease_us.max(0) / 1_000,
            nodes: self.member.roster().nodes.len(),
            last_error: self.last_error.clone(),
        }
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Tick => "tick",
            Msg::Answered(..) => "answered",
            Msg::AtRest(..) => "at rest",
            Msg::Evicted(_) => "evicted",
            Msg::HandOver(..) => "hand over",
            Msg::Empty(_) => "empty",
            Msg::Leave(_) => "leave",
        }
    }
}
