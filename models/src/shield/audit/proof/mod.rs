//! Inclusion and consistency proofs (RFC 6962 2.1.1, 2.1.2): which subtrees a proof needs, the path
//! made of them, and its verification (RFC 9162 2.1.3.2, 2.1.4.2).
//!
//! A store is asynchronous and the rules are not: first a [`Plan`] says what must be read, the caller
//! reads it into [`Gathered`], then [`Plan::path`] makes the path. In a tree of 10,000,000 leaves a
//! plan reads at most 512 leaf hashes and 700 kept nodes, in a handful of runs.

use std::collections::BTreeMap;

use super::merkle::{Frontier, Hash, KEPT_LEVELS, Node, TREE_LEAVES_MAX};
use super::merkle::{empty_root, fold_right, node_hash};

#[cfg(test)]
mod tests;

/// A perfect subtree: leaves `index << level` up to `(index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subtree {
    pub level: u8,
    pub index: u64,
}

/// Why there is no proof, or why one does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf or the older tree is not inside the tree.
    #[error("{index} is not inside a tree of {size} leaves")]
    Outside { index: u64, size: u64 },
    /// Something that the plan asked for was not gathered: it was dropped, or the store lost it.
    #[error("the hash of subtree {index} at level {level} is not at hand")]
    Missing { level: u8, index: u64 },
    #[error("the path has not the length that the sizes demand")]
    Length,
    #[error("the path does not lead to the root")]
    Root,
    #[error("the path does not lead to the older root")]
    OlderRoot,
}

/// Hashes of perfect subtrees.
pub trait Source {
    fn hash(&self, at: Subtree) -> Option<Hash>;
}

/// A run of nodes of one level (0: leaf hashes) to read: indexes `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    pub level: u8,
    pub from: u64,
    pub to: u64,
}

/// What a path is made of: each of its hashes is the root of a few perfect subtrees side by side,
/// largest first (more than one only at the ragged right edge).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<Vec<Subtree>>,
}

/// The audit path of leaf `index` in the tree of the first `size` leaves (RFC 6962 2.1.1).
pub fn plan_inclusion(index: u64, size: u64) -> Result<Plan, ProofError> {
    if index >= size || size > TREE_LEAVES_MAX {
        return Err(ProofError::Outside { index, size });
    }
    let (mut start, mut end, mut steps) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            steps.push(cover(middle, end));
            end = middle;
        } else {
            steps.push(cover(start, middle));
            start = middle;
        }
    }
    steps.reverse();
    Ok(Plan { steps })
}

/// The proof that the tree of `from` leaves is the beginning of the tree of `to` leaves (RFC 6962
/// 2.1.2). Between equal trees, and from the empty one, it has no hashes.
pub fn plan_consistency(from: u64, to: u64) -> Result<Plan, ProofError> {
    if from > to || to > TREE_LEAVES_MAX {
        return Err(ProofError::Outside { index: from, size: to });
    }
    let (mut start, mut end, mut steps) = (0, to, Vec::new());
    if from == 0 || from == to {
        return Ok(Plan { steps });
    }
    // SUBPROOF with D[start:end]; the older tree is known whole as long as nothing was cut off left.
    while end != from {
        let middle = start + split(end - start);
        if from <= middle {
            steps.push(cover(middle, end));
            end = middle;
        } else {
            steps.push(cover(start, middle));
            start = middle;
        }
    }
    if start > 0 {
        steps.push(cover(start, end));
    }
    steps.reverse();
    Ok(Plan { steps })
}

impl Plan {
    /// The perfect subtrees whose hashes make the path, in the path's order.
    pub fn needed(&self) -> impl Iterator<Item = Subtree> {
        self.steps.iter().flatten().copied()
    }

    /// What a store that keeps leaves and [`KEPT_LEVELS`] has to read, in order and without
    /// overlaps. Where old leaves were dropped the caller reads what is left of a run, and adds the
    /// frontier it starts from ([`Gathered::frontier`]).
    pub fn reads(&self) -> Vec<Read> {
        let mut reads: Vec<Read> = self.needed().map(Subtree::read).collect();
        reads.sort_unstable();
        reads.dedup_by(|next, run| {
            // Needed subtrees are disjoint: runs touch, they never overlap.
            let joins = next.level == run.level && next.from == run.to;
            if joins {
                run.to = next.to;
            }
            joins
        });
        reads
    }

    /// The path.
    pub fn path(&self, source: &impl Source) -> Result<Vec<Hash>, ProofError> {
        let hash = |at: &Subtree| {
            source.hash(*at).ok_or(ProofError::Missing { level: at.level, index: at.index })
        };
        self.steps
            .iter()
            .map(|step| Ok(fold_right(&step.iter().map(hash).collect::<Result<Vec<_>, _>>()?)))
            .collect()
    }
}

impl Subtree {
    /// The kept nodes (or leaves) right below, of which this subtree is the root: itself if it is
    /// of a kept level, else at most 128 (below level 32).
    pub fn read(self) -> Read {
        let level = base(self.level);
        let up = self.level - level;
        Read { level, from: self.index << up, to: (self.index + 1) << up }
    }
}

/// What was read for a plan: leaf hashes, kept nodes, and frontiers.
#[derive(Clone, Debug, Default)]
pub struct Gathered(BTreeMap<Subtree, Hash>);

impl Gathered {
    /// Nothing yet.
    pub fn new() -> Gathered {
        Gathered::default()
    }

    /// One node (level 0: a leaf hash).
    pub fn insert(&mut self, node: Node) {
        self.0.insert(Subtree { level: node.level, index: node.index }, node.hash);
    }

    /// A run of nodes of one level, from index `from` on.
    pub fn run(&mut self, level: u8, from: u64, hashes: impl IntoIterator<Item = Hash>) {
        (from..).zip(hashes).for_each(|(index, hash)| self.insert(Node { level, index, hash }));
    }

    /// The perfect subtrees of a frontier: they stand for leaves that are no longer there.
    pub fn frontier(&mut self, frontier: &Frontier) {
        frontier.nodes().for_each(|node| self.insert(node));
    }
}

impl Source for Gathered {
    /// The node if it was gathered, else computed from those of the kept level right below.
    fn hash(&self, at: Subtree) -> Option<Hash> {
        if let Some(hash) = self.0.get(&at) {
            return Some(*hash);
        }
        if at.level == 0 || KEPT_LEVELS.contains(&at.level) {
            return None;
        }
        let child = Subtree { level: at.level - 1, index: at.index * 2 };
        let left = self.hash(child)?;
        Some(node_hash(&left, &self.hash(Subtree { index: child.index + 1, ..child })?))
    }
}

/// The path of [`plan_inclusion`] from a source that has everything at hand.
pub fn inclusion_path(
    index: u64,
    size: u64,
    source: &impl Source,
) -> Result<Vec<Hash>, ProofError> {
    plan_inclusion(index, size)?.path(source)
}

/// The path of [`plan_consistency`] from a source that has everything at hand.
pub fn consistency_path(from: u64, to: u64, source: &impl Source) -> Result<Vec<Hash>, ProofError> {
    plan_consistency(from, to)?.path(source)
}

/// Is `leaf` (a leaf hash) number `index` of the tree of `size` leaves with this root? (RFC 9162
/// 2.1.3.2)
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Outside { index, size });
    }
    let (mut f, mut s, mut r) = (index, size - 1, *leaf);
    for p in path {
        if s == 0 {
            return Err(ProofError::Length);
        }
        if f & 1 == 1 || f == s {
            r = node_hash(p, &r);
            while f & 1 == 0 && f != 0 {
                f >>= 1;
                s >>= 1;
            }
        } else {
            r = node_hash(&r, p);
        }
        f >>= 1;
        s >>= 1;
    }
    match (s, r == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Is the tree of `from` leaves the beginning of the tree of `to` leaves? (RFC 9162 2.1.4.2) From
/// the empty tree everything begins.
pub fn verify_consistency(
    from: u64,
    to: u64,
    from_root: &Hash,
    to_root: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    if from > to {
        return Err(ProofError::Outside { index: from, size: to });
    }
    if from == 0 && *from_root != empty_root() {
        return Err(ProofError::OlderRoot);
    }
    if from == to && from_root != to_root {
        return Err(ProofError::Root);
    }
    if from == 0 || from == to {
        return if path.is_empty() { Ok(()) } else { Err(ProofError::Length) };
    }
    // A tree of a power of two is itself the first hash of its path, and is left out of it.
    let (first, rest) = match path.split_first() {
        _ if from.is_power_of_two() => (from_root, path),
        Some((first, rest)) => (first, rest),
        None => return Err(ProofError::Length),
    };
    let shift = (from - 1).trailing_ones();
    let (mut f, mut s) = ((from - 1) >> shift, (to - 1) >> shift);
    let (mut fr, mut sr) = (*first, *first);
    for c in rest {
        if s == 0 {
            return Err(ProofError::Length);
        }
        if f & 1 == 1 || f == s {
            fr = node_hash(c, &fr);
            sr = node_hash(c, &sr);
            while f & 1 == 0 && f != 0 {
                f >>= 1;
                s >>= 1;
            }
        } else {
            sr = node_hash(&sr, c);
        }
        f >>= 1;
        s >>= 1;
    }
    match s {
        0 if fr != *from_root => Err(ProofError::OlderRoot),
        0 if sr != *to_root => Err(ProofError::Root),
        0 => Ok(()),
        _ => Err(ProofError::Length),
    }
}

/// The largest power of two below `n` (RFC 6962 2.1: k < n <= 2k), for n of 2 and more.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The kept level at or below `level`; 0 for the leaves.
fn base(level: u8) -> u8 {
    KEPT_LEVELS.iter().copied().rfind(|kept| *kept <= level).unwrap_or(0)
}

/// The perfect subtrees of leaves `start..end`, largest first. `start` is a multiple of the least
/// power of two that holds them all, as it is of any range in a proof.
fn cover(start: u64, end: u64) -> Vec<Subtree> {
    let mut at = start;
    let mut parts = Vec::new();
    while at < end {
        let level = (end - at).ilog2();
        parts.push(Subtree { level: level as u8, index: at >> level });
        at += 1 << level;
    }
    parts
}
