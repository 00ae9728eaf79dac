//! Members and their register, without losses: what a quiet cluster does. Losses are the simulation's affair.

use super::*;
use crate::cluster::node::{Role, Roles};
use crate::cluster::register::Register;

const MS: i64 = 1_000;
const SECOND: i64 = 1_000_000;

struct Town {
    register: Register,
    members: Vec<Member>,
    terms: ClusterTerms,
    t: i64,
    /// The database cannot be reached.
    away: bool,
    /// Members whose process has ended.
    gone: Vec<usize>,
    given: usize,
}

impl Town {
    fn new(terms: ClusterTerms) -> Town {
        let register = Register::new(Shard::all(Roles::ALL));
        Town {
            register,
            members: Vec::new(),
            terms,
            t: SECOND,
            away: false,
            gone: Vec::new(),
            given: 0,
        }
    }

    fn node(&mut self, roles: Roles, version: &str) -> usize {
        let n = self.members.len();
        let me = Identity {
            name: format!("node-{n}"),
            address: format!("10.0.0.{n}:7400"),
            roles,
            version: version.to_owned(),
        };
        let incarnation = Incarnation(n as u64 + 1);
        self.members.push(Member::new(self.terms.clone(), me, incarnation, None));
        n
    }

    fn now(&self) -> Now {
        Now { mono_us: self.t, wall_us: 1_700_000_000 * SECOND + self.t }
    }

    /// What a member wants done is done at once.
    fn carry_out(&mut self, at: usize, effects: Vec<Effect>) {
        let now = self.now();
        for effect in effects {
            let mut out = Vec::new();
            match effect {
                Effect::Ask(request) => {
                    let reply = self.meet(at, &request);
                    self.members[at].answered(now, &request, reply, &mut out);
                }
                Effect::Give { shard, .. } => {
                    self.given += 1;
                    self.members[at].given(now, shard, &mut out);
                }
                Effect::Take { .. } | Effect::Drop { .. } | Effect::Lost => {}
            }
            self.carry_out(at, out);
        }
    }

    fn meet(&mut self, at: usize, request: &Request) -> Reply {
        if self.away {
            return Reply::Failed;
        }
        let me = self.members[at].incarnation();
        self.register.meet(me, request, self.terms.lease_us, self.t)
    }

    fn run(&mut self, us: i64) {
        let end = self.t + us;
        while self.t < end {
            self.t += 50 * MS;
            for at in 0..self.members.len() {
                if !self.gone.contains(&at) {
                    let (now, mut out) = (self.now(), Vec::new());
                    self.members[at].tick(now, &mut out);
                    self.carry_out(at, out);
                }
            }
        }
    }

    /// Shards by owner, as the register and the members agree on it; every shard has one.
    fn owners(&mut self) -> BTreeMap<Shard, usize> {
        let now = self.now();
        let mut owners = BTreeMap::new();
        for (at, member) in self.members.iter_mut().enumerate() {
            if self.gone.contains(&at) || !member.serves(now) {
                continue;
            }
            for (shard, epoch) in member.owned() {
                let row = self.register.shard(shard).expect("a shard");
                assert_eq!((row.owner, row.epoch), (Some(member.incarnation()), epoch));
                assert_eq!(owners.insert(shard, at), None, "{shard} has two owners");
            }
        }
        owners
    }

    fn all_owned(&mut self) -> BTreeMap<Shard, usize> {
        let owners = self.owners();
        let all = Shard::all(Roles::ALL);
        let free: Vec<Shard> = all.filter(|shard| !owners.contains_key(shard)).collect();
        assert!(free.is_empty(), "nobody has {free:?}");
        owners
    }
}

/// Shards whose owner differs.
fn moved(before: &BTreeMap<Shard, usize>, after: &BTreeMap<Shard, usize>) -> Vec<Shard> {
    before.keys().filter(|shard| before[shard] != after[shard]).copied().collect()
}

#[test]
fn one_node_has_everything_and_a_second_gets_what_belongs_to_it_and_no_more() {
    let mut town = Town::new(ClusterTerms::default());
    town.node(Roles::ALL, "1");
    town.run(SECOND);
    let alone = town.all_owned();
    assert!(alone.values().all(|at| *at == 0));
    town.node(Roles::ALL, "1");
    town.run(town.terms.settle_us - 2 * SECOND);
    assert_eq!(moved(&alone, &town.all_owned()), [], "not before it is there to stay");
    town.run(20 * SECOND);
    let both = town.all_owned();
    let went = moved(&alone, &both);
    assert!(went.iter().all(|shard| both[shard] == 1));
    assert!((300..470).contains(&went.len()), "{}", went.len());
    assert_eq!(town.given, went.len(), "each moves once");
    town.run(60 * SECOND);
    assert_eq!(moved(&both, &town.all_owned()), []);
}

#[test]
fn shards_go_to_nodes_of_their_role() {
    let mut town = Town::new(ClusterTerms::fast());
    let shield = Roles::NONE.with(Role::Shield);
    town.node(shield, "1");
    town.run(SECOND);
    let roles: Vec<_> = town.owners().into_keys().map(|shard| shard.role()).collect();
    assert!(roles.len() == 256 && roles.iter().all(|role| *role == Some(Role::Shield)));
    town.node(Roles::NONE.with(Role::Flow).with(Role::Value), "1");
    town.run(20 * SECOND);
    let owners = town.all_owned();
    assert!(owners.iter().all(|(shard, at)| (*at == 0) == (shard.role() == Some(Role::Shield))));
}

#[test]
fn a_node_that_leaves_hands_all_of_it_to_those_that_it_belongs_to() {
    let mut town = Town::new(ClusterTerms::default());
    for _ in 0..3 {
        town.node(Roles::ALL, "1");
    }
    town.run(60 * SECOND);
    let before = town.all_owned();
    town.members[1].leave();
    town.run(2 * SECOND);
    assert_eq!(town.members[1].phase(), Phase::Left);
    let after = town.all_owned();
    assert!(moved(&before, &after).iter().all(|shard| before[shard] == 1));
    let got = |at: usize| after.values().filter(|owner| **owner == at).count();
    assert!(got(0) > 280 && got(2) > 280, "{} {}", got(0), got(2));
}

#[test]
fn what_a_dead_node_had_is_served_again_in_time_and_nothing_else_moves() {
    for (terms, most) in [(ClusterTerms::default(), 12), (ClusterTerms::fast(), 3)] {
        let mut town = Town::new(terms);
        for _ in 0..3 {
            town.node(Roles::ALL, "1");
        }
        town.run(60 * SECOND);
        let before = town.all_owned();
        town.gone.push(2);
        town.run((most - 1) * SECOND + 500 * MS);
        let after = town.all_owned();
        assert!(moved(&before, &after).iter().all(|shard| before[shard] == 2));
    }
}

#[test]
fn while_a_rollout_is_under_way_nothing_moves_but_what_has_to() {
    let mut town = Town::new(ClusterTerms::fast());
    for _ in 0..3 {
        town.node(Roles::ALL, "1");
    }
    town.run(30 * SECOND);
    let mut last = town.all_owned();
    for at in 0..3 {
        town.members[at].leave();
        town.run(2 * SECOND);
        town.gone.push(at);
        town.node(Roles::ALL, "2");
        town.run(20 * SECOND);
        let owners = town.all_owned();
        // With the last one, all are of one release again.
        let away = |shard: &Shard| last[shard] == at || at == 2;
        assert!(moved(&last, &owners).iter().all(away), "{at}");
        last = owners;
    }
    let owners = town.all_owned();
    for at in 3..6 {
        let count = owners.values().filter(|owner| **owner == at).count();
        assert!((190..=320).contains(&count), "{at}: {count}");
    }
}

#[test]
fn a_database_that_is_away_for_long_ends_nobodys_life() {
    let mut town = Town::new(ClusterTerms::default());
    for _ in 0..3 {
        town.node(Roles::ALL, "1");
    }
    town.run(60 * SECOND);
    let before = town.all_owned();
    town.away = true;
    town.run(9 * SECOND);
    let now = town.now();
    assert!(
        town.members.iter_mut().all(|member| !member.serves(now)),
        "nobody knows who owns what"
    );
    town.run(120 * SECOND);
    town.away = false;
    town.run(SECOND);
    assert_eq!(moved(&before, &town.all_owned()), [], "with the epochs that they had");
    assert!(town.members.iter().all(|member| member.phase() == Phase::In));
}

#[test]
fn a_shard_is_handed_to_whom_an_operator_says_and_only_to_one_that_can_take_it() {
    let mut town = Town::new(ClusterTerms::default());
    for _ in 0..2 {
        town.node(Roles::ALL, "1");
    }
    town.run(60 * SECOND);
    let before = town.all_owned();
    let shard = *before.iter().find(|(_, at)| **at == 0).expect("one of the first node's").0;
    let (now, mut out) = (town.now(), Vec::new());
    let heir = town.members[1].incarnation();
    assert!(!town.members[0].hand_over(now, shard, Incarnation(77), &mut out), "nobody");
    assert!(!town.members[1].hand_over(now, shard, heir, &mut out), "it is not there");
    assert!(town.members[0].hand_over(now, shard, heir, &mut out));
    assert_eq!(town.members[0].route(shard), Route::Nobody);
    town.carry_out(0, out);
    town.run(2 * SECOND);
    assert_eq!(town.all_owned()[&shard], 1);
    assert_eq!(town.members[0].route(shard), Route::There(heir));
    assert!(matches!(town.members[1].route(shard), Route::Here(_)));
    town.run(60 * SECOND);
    assert_eq!(town.all_owned()[&shard], 1, "it stays where it was put");
    town.node(Roles::ALL, "1");
    town.run(60 * SECOND);
    let home = town.members[0].roster().home(shard).map(|node| node.incarnation);
    let at = town.all_owned()[&shard];
    assert_eq!(Some(town.members[at].incarnation()), home, "until the nodes are others");
}
