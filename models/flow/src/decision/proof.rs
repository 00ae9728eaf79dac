//! That a record is as it was written. Records that are written together are the leaves of a Merkle tree
//! (RFC 6962, section 2.1), whose root is in the audit log under the batch's id; each record keeps its place
//! and its path. Whoever has the record, its path and the log's record of its batch needs nothing else.
//!
//! The leaves are in the order of the ids. A leaf is `SHA-256(0x00 || line)`, where the line is the
//! decision's id, a blank, and its record exactly as it is stored and exported.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kiki_models::shield::audit::merkle::{Hash, empty_root, leaf_hash, node_hash};
use serde::{Deserialize, Serialize};

/// Hashes of the longest path.
const PATH_MAX: usize = 32;

/// The hash of one record.
pub fn leaf(id: &str, record: &str) -> Hash {
    leaf_hash(format!("{id} {record}").as_bytes())
}

/// Where a record is in its batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// From 0, in the order of the ids.
    pub index: u64,
    /// Records of the batch.
    pub size: u64,
    /// The audit path, from the leaf up.
    #[serde(with = "hex")]
    pub path: Vec<Hash>,
}

/// The tree of a batch, level by level from its leaves.
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    pub fn new(leaves: Vec<Hash>) -> Tree {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last()
            && below.len() > 1
        {
            // One that is left over goes up as it is: the same tree as by RFC 6962's recursive definition.
            let pair = |pair: &[Hash]| match pair {
                [left, right] => node_hash(left, right),
                [alone, ..] => *alone,
                [] => Hash::ZERO,
            };
            let above = below.chunks(2).map(pair).collect();
            levels.push(above);
        }
        Tree { levels }
    }

    pub fn root(&self) -> Hash {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or_else(empty_root)
    }

    /// The proof of a leaf; `None`: there is none at that place.
    pub fn proof(&self, index: usize) -> Option<Proof> {
        let size = self.levels.first().map_or(0, Vec::len);
        if index >= size {
            return None;
        }
        let sibling = |(height, level): (usize, &Vec<Hash>)| {
            let at = index >> height;
            level.get(at ^ 1).copied()
        };
        let path = self.levels.iter().enumerate().filter_map(sibling).collect();
        Some(Proof { index: index as u64, size: size as u64, path })
    }
}

impl Proof {
    /// `<index>/<size>/<path in base64>`, as it is stored.
    pub fn to_text(&self) -> String {
        let bytes: Vec<u8> = self.path.iter().flat_map(|hash| hash.0).collect();
        format!("{}/{}/{}", self.index, self.size, STANDARD_NO_PAD.encode(bytes))
    }

    pub fn from_text(text: &str) -> Option<Proof> {
        let mut parts = text.splitn(3, '/');
        let index = parts.next()?.parse().ok()?;
        let size = parts.next()?.parse().ok()?;
        let bytes = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() > PATH_MAX || index >= size {
            return None;
        }
        Some(Proof { index, size, path: hashes.iter().map(|hash| Hash(*hash)).collect() })
    }
}

mod hex {
    use kiki_models::shield::audit::merkle::Hash;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(path: &[Hash], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(path.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Hash>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use kiki_models::shield::audit::merkle::Frontier;
    use kiki_models::shield::audit::proof::verify_inclusion;

    use super::*;

    #[test]
    fn every_record_of_every_batch_is_proven_by_its_path_and_no_other_is() {
        for size in 0..70_usize {
            let leaves: Vec<Hash> = (0..size).map(|i| leaf(&i.to_string(), "{}")).collect();
            let tree = Tree::new(leaves.clone());
            let mut frontier = Frontier::new();
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            assert_eq!(tree.root(), frontier.root(), "{size}");
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = tree.proof(index).expect("it is there");
                let Proof { index: at, size: of, path } = &proof;
                let held =
                    |leaf: &Hash| verify_inclusion(leaf, *at, *of, path, &tree.root()).is_ok();
                assert!(held(leaf), "{index} of {size}");
                assert!(!held(&super::leaf(&index.to_string(), "{ }")));
                assert_eq!(Proof::from_text(&proof.to_text()).as_ref(), Some(&proof));
                let json = serde_json::to_string(&proof).expect("json");
                assert_eq!(serde_json::from_str::<Proof>(&json).expect("a proof"), proof);
            }
            assert_eq!(tree.proof(size), None);
        }
    }

    #[test]
    fn what_is_no_proof_is_none() {
        for bad in ["", "0/1", "1/1/", "0/1/AAAA", "x/2/", "0/2/!", "-1/2/"] {
            assert_eq!(Proof::from_text(bad), None, "{bad}");
        }
        assert!(Proof::from_text("0/1/").is_some());
    }
}
