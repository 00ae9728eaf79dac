//! What one seed makes of an experiment: which nodes, when exactly, and what is left out. The same seed makes the
//! same of it, on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Experiment;
use super::fault::Fault;
use super::pick::{By, Nodes, Role, Word};
use super::probe::Probe;
use super::step::{Order, OrderStep, Step};
use super::timeline::moments;
use super::units::Period;

/// The nodes that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    pub nodes: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub roles: Vec<Role>,
}

/// What is done in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub title: String,
    pub seed: u64,
    /// By their time.
    pub steps: Vec<Planned>,
    /// Steps that this seed leaves out, by id.
    pub left_out: Vec<String>,
    /// Afterwards, in this order.
    pub rollbacks: Vec<OrderStep>,
    /// When the last step is over, from the beginning of the method.
    pub ends: Period,
}

/// A step with everything drawn. Nodes are named, but for those that depend on who owns a budget then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub id: String,
    /// From the beginning of the method.
    pub at: Period,
    pub until: Period,
    /// For what is chosen only then ([`Nodes::at_the_moment`]), and as the seed of what the fault itself draws.
    pub draw: u64,
    pub act: Act,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Fault(Fault),
    Probe(Probe),
    Order(Order),
}

/// Why an experiment cannot be done to these nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {id}: {why}")]
pub struct Unplannable {
    pub id: String,
    pub why: String,
}

/// Draws everything that is left to chance.
///
/// # Errors
/// A step names a node that is not there, or more than there are.
pub fn plan(
    experiment: &Experiment,
    seed: u64,
    inventory: &Inventory,
) -> Result<Plan, Unplannable> {
    let (mut steps, mut left_out) = (Vec::new(), Vec::new());
    let mut order = 0;
    for (step, moment) in experiment.method.iter().zip(moments(&experiment.method)) {
        order += 1;
        // Each step has a stream of its own: how much another one draws changes nothing of what this one does.
        let mut dice = Dice::new(seed, order);
        let mut at = moment.from;
        let (act, lasts) = match step {
            Step::Wait(_) => continue,
            Step::Fault(it) => {
                let happens = dice.chance(it.probability);
                at = at.plus(dice.up_to(it.jitter));
                if !happens {
                    left_out.push(moment.id);
                    continue;
                }
                let mut fault = it.fault.clone();
                narrow(fault.nodes_mut(), inventory, &mut dice, &moment.id)?;
                (Act::Fault(fault), it.duration)
            }
            Step::Probe(it) => {
                let mut probe = it.probe.clone();
                narrow(probe.question.nodes_mut(), inventory, &mut dice, &moment.id)?;
                let within = probe.within.unwrap_or_default();
                let lasts = within.plus(probe.holds_for.unwrap_or_default());
                (Act::Probe(probe), lasts)
            }
            Step::Order(it) => {
                let mut order = it.order.clone();
                narrow(order.nodes_mut(), inventory, &mut dice, &moment.id)?;
                (Act::Order(order), it.within)
            }
        };
        let draw = dice.next();
        steps.push(Planned { id: moment.id, at, until: at.plus(lasts), draw, act });
    }
    let mut rollbacks = experiment.rollbacks.clone();
    for (step, number) in rollbacks.iter_mut().zip(1_u64..) {
        let mut dice = Dice::new(seed, u64::MAX - number);
        let id = step.id.clone().unwrap_or_else(|| format!("rollback-{number}"));
        narrow(step.order.nodes_mut(), inventory, &mut dice, &id)?;
        step.id = Some(id);
    }
    // Stable: what begins at the same time begins in the order of the file.
    steps.sort_by_key(|it| it.at);
    let ends = steps.iter().map(|it| it.until).max().unwrap_or_default();
    Ok(Plan { title: experiment.title.clone(), seed, steps, left_out, rollbacks, ends })
}

fn narrow(
    choices: Vec<super::strikes::Placed<'_>>,
    inventory: &Inventory,
    dice: &mut Dice,
    id: &str,
) -> Result<(), Unplannable> {
    for (_, nodes) in choices {
        let named = resolve(nodes, inventory, dice)
            .map_err(|why| Unplannable { id: id.to_owned(), why })?;
        if let Some(names) = named {
            *nodes = Nodes::By(By::Names(names));
        }
    }
    Ok(())
}

/// The names of the nodes; `None` where they are found only at the moment of the step.
fn resolve(
    nodes: &Nodes,
    inventory: &Inventory,
    dice: &mut Dice,
) -> Result<Option<Vec<String>>, String> {
    let mut all: Vec<String> = inventory.nodes.iter().map(|it| it.name.clone()).collect();
    // However somebody lists them, the draw is the same.
    all.sort();
    let there = |name: &String| match all.contains(name) {
        true => Ok(name.clone()),
        false => Err(format!("there is no node {name}; there are {}", all.join(", "))),
    };
    let some = |count: usize, dice: &mut Dice| match count <= all.len() {
        true => Ok(dice.some(all.clone(), count)),
        false => Err(format!("there are no {count} nodes, only {}", all.len())),
    };
    let names = match nodes {
        Nodes::Word(Word::All) => all,
        Nodes::Word(Word::Any) => some(1, dice)?,
        Nodes::Name(name) => vec![there(name)?],
        Nodes::By(By::Names(names)) => names.iter().map(there).collect::<Result<_, _>>()?,
        Nodes::By(By::Count(count)) => some(usize::from(*count), dice)?,
        Nodes::By(By::Percent(percent)) => some(part(*percent, all.len()), dice)?,
        Nodes::By(By::Role(role)) => {
            let of = inventory.nodes.iter().filter(|it| it.roles.contains(role));
            let mut of: Vec<String> = of.map(|it| it.name.clone()).collect();
            of.sort();
            of
        }
        Nodes::By(By::OwnerOf(_) | By::NotOwnerOf(_)) => return Ok(None),
    };
    match names.is_empty() {
        true => Err("no node is chosen".to_owned()),
        false => Ok(Some(names)),
    }
}

/// So many of a hundred, rounded up, and at least one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn part(percent: f64, of: usize) -> usize {
    let exact = percent * of as f64 / 100.0;
    (exact.ceil() as usize).clamp(1, of.max(1))
}

impl Nodes {
    /// The names of what a plan left open, now that the owner is known; of what it named, the names. `None` for
    /// what only a plan can draw.
    pub fn at_the_moment(&self, owner: &str, all: &[String], draw: u64) -> Option<Vec<String>> {
        match self {
            Nodes::By(By::OwnerOf(_)) => Some(vec![owner.to_owned()]),
            Nodes::By(By::NotOwnerOf(_)) => {
                let others = all.iter().filter(|it| *it != owner).cloned();
                let mut others: Vec<String> = others.collect();
                others.sort();
                Some(Dice::new(draw, 0).some(others, 1))
            }
            Nodes::By(By::Names(names)) => Some(names.clone()),
            Nodes::Name(name) => Some(vec![name.clone()]),
            Nodes::Word(_) | Nodes::By(By::Count(_) | By::Percent(_) | By::Role(_)) => None,
        }
    }
}

/// Draws that depend on the seed alone, not on a library's way to make ranges of them.
struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64, stream: u64) -> Dice {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Dice(generator)
    }

    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Below `end`, each as likely as the other but for one part in 2^64.
    fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    fn up_to(&mut self, most: Period) -> Period {
        Period::micros(self.below(most.as_micros().saturating_add(1)))
    }

    #[allow(clippy::cast_precision_loss)]
    fn chance(&mut self, probability: f64) -> bool {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// So many of these, in the order of their names.
    fn some(&mut self, mut from: Vec<String>, count: usize) -> Vec<String> {
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count && !from.is_empty() {
            let left = u64::try_from(from.len()).unwrap_or(u64::MAX);
            let at = usize::try_from(self.below(left)).unwrap_or_default();
            chosen.push(from.swap_remove(at));
        }
        chosen.sort();
        chosen
    }
}
