//! What a file of the right shape can still have wrong: members that do not go together.

mod load;
mod method;
mod outcome;

use super::Experiment;
use super::bound::{Bound, Compare, Range};
use super::pick::{BudgetKey, By, Nodes};
use super::probe::{At, Body, Probe, Question};
use super::shape::Finding;
use super::target::{Lab, Target, Urls};
use super::tree::Node;

/// Everything that does not go together.
pub fn check(experiment: &Experiment, tree: &Node, found: &mut Vec<Finding>) {
    let mut look = Look { experiment, tree, found };
    target(&mut look);
    load::check(&mut look);
    method::check(&mut look);
    outcome::check(&mut look);
}

/// The experiment, and where to say what is wrong with it.
struct Look<'a> {
    experiment: &'a Experiment,
    tree: &'a Node,
    found: &'a mut Vec<Finding>,
}

impl Look<'_> {
    fn wrong(&mut self, path: &str, what: impl Into<String>) {
        self.found.push(Finding::at(self.tree.nearest(path), path, what));
    }

    fn lab(&self) -> Option<&Lab> {
        match &self.experiment.target {
            Target::Lab(lab) => Some(lab),
            Target::Urls(_) => None,
        }
    }

    /// How many nodes there are.
    fn nodes_total(&self) -> usize {
        match &self.experiment.target {
            Target::Lab(lab) => usize::from(lab.nodes),
            Target::Urls(urls) => urls.admin.len(),
        }
    }

    fn nodes(&mut self, path: &str, nodes: &Nodes) {
        let total = self.nodes_total();
        match nodes {
            Nodes::Name(name) => self.node_name(path, name),
            Nodes::By(By::Names(names)) => {
                for (at, name) in names.iter().enumerate() {
                    self.node_name(&format!("{path}.names[{at}]"), name);
                    if names.iter().take(at).any(|it| it == name) {
                        self.wrong(
                            &format!("{path}.names[{at}]"),
                            format!("{name} stands there twice"),
                        );
                    }
                }
            }
            Nodes::By(By::Count(count)) if usize::from(*count) > total => {
                let what = format!("{count} nodes of {total} are not there");
                self.wrong(&format!("{path}.count"), what);
            }
            Nodes::By(By::OwnerOf(key)) => self.budget(&format!("{path}.owner_of"), key),
            Nodes::By(By::NotOwnerOf(key)) => {
                self.budget(&format!("{path}.not_owner_of"), key);
                if total < 2 {
                    self.wrong(path, "there is no other node than the owner");
                }
            }
            Nodes::Word(_) | Nodes::By(By::Count(_) | By::Percent(_) | By::Role(_)) => {}
        }
    }

    /// Of what is asked more than once, or when all is over: there is no moment of which the owner is meant.
    fn settled(&mut self, path: &str, nodes: &Nodes) {
        if nodes.asks_owner().is_some() {
            self.wrong(path, "owners change: whom a question is about is said by name");
        }
    }

    fn node_name(&mut self, path: &str, name: &str) {
        let Some(total) = self.lab().map(|lab| lab.nodes) else { return };
        let number = name.strip_prefix("node-").and_then(|it| it.parse::<u8>().ok());
        if !number.is_some_and(|it| (1..=total).contains(&it) && name == format!("node-{it}")) {
            let what = format!("there is no {name}; nodes of the lab are node-1 to node-{total}");
            self.wrong(path, what);
        }
    }

    fn budget(&mut self, path: &str, key: &BudgetKey) {
        if self.lab().is_none() {
            return;
        }
        let (accounts, campaigns) = (self.experiment.load.accounts, self.experiment.load.campaigns);
        self.numbered(&format!("{path}.account"), &key.account, "account-", accounts);
        self.numbered(&format!("{path}.campaign"), &key.campaign, "campaign-", campaigns);
    }

    fn numbered(&mut self, path: &str, name: &str, prefix: &str, most: u16) {
        let number = name.strip_prefix(prefix).and_then(|it| it.parse::<u16>().ok());
        if !number.is_some_and(|it| (1..=most).contains(&it) && name == format!("{prefix}{it}")) {
            self.wrong(path, format!("the load has no {name}; it has {prefix}1 to {prefix}{most}"));
        }
    }

    fn bound(&mut self, path: &str, bound: &Bound) {
        if let Bound::Between(range) = bound {
            self.range(path, range);
        }
    }

    fn range(&mut self, path: &str, Range { least, most }: &Range) {
        if least > most {
            self.wrong(&format!("{path}.between"), format!("nothing is from {least} to {most}"));
        }
    }

    fn probe(&mut self, path: &str, probe: &Probe) {
        let mut question = probe.question.clone();
        for (below, nodes) in question.nodes_mut() {
            self.nodes(&format!("{path}.{below}"), nodes);
            self.settled(&format!("{path}.{below}"), nodes);
        }
        let tolerance = format!("{path}.tolerance");
        match &probe.question {
            Question::Metric { tolerance: it, labels, .. } => {
                self.bound(&tolerance, it);
                for name in labels.keys() {
                    if !super::pattern::fits("^[a-z_][a-z0-9_]{0,63}$", name) {
                        let what = "a label's name is of a-z, 0-9 and _";
                        self.wrong(&format!("{path}.labels.{name}"), what);
                    }
                }
            }
            Question::Ledger { tolerance: it, .. } => self.bound(&tolerance, it),
            Question::Load { tolerance: it, of, measure, .. } => {
                self.bound(&tolerance, it);
                if measure.is_part() && !it.meets(0.0, 1.0) {
                    self.wrong(&tolerance, "can never be met: it is a part, from 0 to 1");
                }
                if of.is_some_and(|kind| self.experiment.load.rates.of(kind) <= 0.0) {
                    self.wrong(&format!("{path}.of"), "the load has no such operations");
                }
            }
            Question::Process { tolerance: it, .. } => {
                it.iter().for_each(|it| self.bound(&tolerance, it));
            }
            Question::Http { at, service, body, .. } => {
                if let Some(Body { tolerance: Compare::Between(range), .. }) = body {
                    self.range(&format!("{path}.body.tolerance"), range);
                }
                if let (At::Node(Nodes::By(By::Role(role))), Some(asked)) = (at, service.role())
                    && *role != asked
                {
                    let (role, asked) = (role.name(), asked.name());
                    self.wrong(path, format!("asks {asked} of nodes that are chosen for {role}"));
                }
            }
        }
    }
}

/// What the suite sets itself: another value would be of another cluster.
const OWN_SECTIONS: [&str; 3] = ["store", "server", "cluster"];
const OWN_KEYS: [&str; 4] =
    ["chaos.enabled", "redis.addr", "redis.password", "shield.token_secret"];
/// Of those sections, what may be set all the same.
const FREE_KEYS: [&str; 9] = [
    "store.wait_max_ms",
    "store.queue_max",
    "store.batch_max",
    "store.commit_limit_ms",
    "store.statements_limit_ms",
    "store.connect_limit_ms",
    "server.concurrency_max",
    "server.header_timeout_ms",
    "server.drain_linger_ms",
];

fn target(look: &mut Look<'_>) {
    match &look.experiment.target {
        Target::Lab(lab) => {
            for key in lab.settings.keys() {
                let path = format!("target.lab.settings.{key}");
                let Some((section, name)) = key.split_once('.') else {
                    look.wrong("target.lab.settings", format!("{key} is not section.key"));
                    continue;
                };
                let plain = |part: &str| super::pattern::fits("^[a-z][a-z0-9_]{0,63}$", part);
                let own = OWN_SECTIONS.contains(&section) || OWN_KEYS.contains(&key.as_str());
                if !plain(section) || !plain(name) {
                    look.wrong("target.lab.settings", format!("{path}: is not section.key"));
                } else if own && !FREE_KEYS.contains(&key.as_str()) {
                    look.wrong("target.lab.settings", format!("{key} is set by the lab itself"));
                } else if key == "shield.window_cap" {
                    let what = "is load.budgets.window_cap here, for the checker has to know it";
                    look.wrong("target.lab.settings", format!("{key} {what}"));
                }
            }
        }
        Target::Urls(Urls { flow, value, .. }) => {
            let rates = &look.experiment.load.rates;
            if rates.bid.per_second > 0.0 && flow.is_none() {
                look.wrong("target.urls", "flow is missing, and the load bids");
            }
            if rates.forecast > 0.0 && value.is_none() {
                look.wrong("target.urls", "value is missing, and the load asks for forecasts");
            }
        }
    }
}
