//! Hashing of a Merkle tree (RFC 6962 2.1) and the frontier that grows one leaf by leaf.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Leaves of the largest tree: indexes stay exact in any reader of JSON.
pub const TREE_LEAVES_MAX: u64 = 1 << 53;

/// The levels whose complete subtrees a store keeps: of 256, 65,536 and 16,777,216 leaves. What lies
/// between two of them is computed from at most 256 hashes of the lower one.
pub const KEPT_LEVELS: [u8; 3] = [8, 16, 24];

/// A SHA-256 hash; text is 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub [u8; 32]);

/// A text that is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 64 lower-case hex digits")]
pub struct BadHash;

impl Hash {
    /// Thirty-two zero bytes: "no hash before this one".
    pub const ZERO: Hash = Hash([0; 32]);

    /// SHA-256 of the parts, one after the other.
    pub fn of(parts: &[&[u8]]) -> Hash {
        let mut sha = Sha256::new();
        for part in parts {
            sha.update(part);
        }
        Hash(sha.finalize().into())
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hash {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Hash, BadHash> {
        let digit = |c: u8| match c {
            b'0'..=b'9' => Ok(c - b'0'),
            b'a'..=b'f' => Ok(c - b'a' + 10),
            _ => Err(BadHash),
        };
        let text = text.as_bytes();
        if text.len() != 64 {
            return Err(BadHash);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Hash(hash))
    }
}

impl TryFrom<String> for Hash {
    type Error = BadHash;

    fn try_from(text: String) -> Result<Hash, BadHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        hash.to_string()
    }
}

/// Root of the tree without leaves: SHA-256 of nothing (RFC 6962 2.1).
pub fn empty_root() -> Hash {
    Hash::of(&[])
}

/// `SHA-256(0x00 || line)` (RFC 6962 2.1).
pub fn leaf_hash(line: &[u8]) -> Hash {
    Hash::of(&[&[0], line])
}

/// `SHA-256(0x01 || left || right)` (RFC 6962 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Hash(Sha256::digest(bytes).into())
}

/// Root over the roots of perfect subtrees that lie side by side, largest first; of none, the
/// empty root.
pub fn fold_right(roots: &[Hash]) -> Hash {
    match roots.split_last() {
        None => empty_root(),
        Some((last, rest)) => rest.iter().rfold(*last, |right, left| node_hash(left, &right)),
    }
}

/// A complete subtree of a kept level: leaves `index << level` up to `(index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub level: u8,
    pub index: u64,
    pub hash: Hash,
}

/// The right edge of a tree: all that is needed to add leaves and to say the root. At most 53 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FrontierJson")]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontierJson {
    size: u64,
    roots: Vec<Hash>,
}

/// A size and hashes that are no frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frontier of {size} leaves has not {roots} roots")]
pub struct BadFrontier {
    pub size: u64,
    pub roots: usize,
}

impl TryFrom<FrontierJson> for Frontier {
    type Error = BadFrontier;

    fn try_from(json: FrontierJson) -> Result<Frontier, BadFrontier> {
        Frontier::from_parts(json.size, json.roots)
    }
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Frontier {
        Frontier::default()
    }

    /// A frontier from its leaves and the roots of its perfect subtrees, largest first: one for
    /// each bit set in `size`.
    pub fn from_parts(size: u64, roots: Vec<Hash>) -> Result<Frontier, BadFrontier> {
        if size > TREE_LEAVES_MAX || roots.len() != size.count_ones() as usize {
            return Err(BadFrontier { size, roots: roots.len() });
        }
        Ok(Frontier { size, roots })
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the perfect subtrees, largest first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// The tree's root. Costs a hash per perfect subtree.
    pub fn root(&self) -> Hash {
        fold_right(&self.roots)
    }

    /// The same perfect subtrees with their places.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        let mut left = self.size;
        let mut start = 0;
        self.roots.iter().map(move |hash| {
            let level = left.checked_ilog2().unwrap_or(0);
            let node = Node { level: level as u8, index: start >> level, hash: *hash };
            start += 1 << level;
            left -= 1 << level;
            node
        })
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_| ());
    }

    /// Adds a leaf and tells of each subtree of a kept level that it completed (at most one for
    /// each of [`KEPT_LEVELS`], lowest first).
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(Node)) {
        let mut hash = leaf;
        for level in 1..=self.size.trailing_ones() as u8 {
            let Some(left) = self.roots.pop() else { break };
            hash = node_hash(&left, &hash);
            if KEPT_LEVELS.contains(&level) {
                completed(Node { level, index: self.size >> level, hash });
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree hash by its recursive definition (RFC 6962 2.1).
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => empty_root(),
            1 => leaves[0],
            n => {
                let k = n.next_power_of_two() / 2;
                node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
            }
        }
    }

    #[test]
    fn a_frontier_has_the_root_of_the_definition_at_every_size() {
        let leaves: Vec<Hash> = (0..600_u32).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let mut frontier = Frontier::new();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), mth(&leaves[..size]), "{size} leaves");
            for node in frontier.nodes() {
                let from = (node.index << node.level) as usize;
                assert_eq!(node.hash, mth(&leaves[from..from + (1 << node.level)]));
            }
            assert_eq!(frontier.nodes().count(), size.count_ones() as usize);
            frontier.push(leaves[size]);
        }
    }

    #[test]
    fn each_complete_subtree_of_a_kept_level_is_told_once() {
        let leaves: Vec<Hash> = (0..66_000_u32).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let (mut frontier, mut told) = (Frontier::new(), Vec::new());
        for leaf in &leaves {
            frontier.push_with(*leaf, |node| told.push(node));
        }
        let places = |level| told.iter().filter(move |n| n.level == level).map(|n| n.index);
        assert!(places(8).eq(0..257));
        assert!(places(16).eq(0..1));
        assert_eq!(told.len(), 258);
        for node in told {
            let from = (node.index << node.level) as usize;
            assert_eq!(node.hash, mth(&leaves[from..from + (1 << node.level)]));
        }
    }

    #[test]
    fn a_frontier_comes_back_from_its_json_and_a_false_one_does_not() {
        let mut frontier = Frontier::new();
        (0..11_u8).for_each(|i| frontier.push(leaf_hash(&[i])));
        let json = serde_json::to_string(&frontier).unwrap();
        assert_eq!(serde_json::from_str::<Frontier>(&json).unwrap(), frontier);
        assert!(serde_json::from_str::<Frontier>(&json.replace("11", "12")).is_err());
        assert!(Frontier::from_parts(TREE_LEAVES_MAX * 2, vec![Hash::ZERO]).is_err());
    }

    #[test]
    fn a_hash_comes_back_from_its_hex_and_nothing_else_is_one() {
        let hash = leaf_hash(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        let upper = hash.to_string().to_uppercase();
        for bad in ["", "00", &upper, &"g".repeat(64), &"0".repeat(65)] {
            assert_eq!(bad.parse::<Hash>(), Err(BadHash), "{bad}");
        }
    }
}
