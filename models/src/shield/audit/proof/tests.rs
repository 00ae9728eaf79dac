//! Proofs against published answers and against the definition.

use proptest::prelude::*;

use super::super::merkle::leaf_hash;
use super::*;

/// Leaves and root hashes of the reference tests of Certificate Transparency
/// (google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc).
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const F: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

fn hash(text: &str) -> Hash {
    text.parse().unwrap()
}

fn leaf(i: u64) -> Hash {
    leaf_hash(&i.to_be_bytes())
}

fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

/// PATH by its recursive definition (RFC 6962 2.1.1).
fn brute_path(m: usize, d: &[Hash]) -> Vec<Hash> {
    if d.len() == 1 {
        return Vec::new();
    }
    let (left, right) = d.split_at(d.len().next_power_of_two() / 2);
    let (mut path, other) = match m < left.len() {
        true => (brute_path(m, left), right),
        false => (brute_path(m - left.len(), right), left),
    };
    path.push(root(other));
    path
}

/// SUBPROOF by its recursive definition (RFC 6962 2.1.2).
fn brute_proof(m: usize, d: &[Hash], whole: bool) -> Vec<Hash> {
    if m == d.len() {
        return if whole { Vec::new() } else { vec![root(d)] };
    }
    let (left, right) = d.split_at(d.len().next_power_of_two() / 2);
    let (mut path, other) = match m <= left.len() {
        true => (brute_proof(m, left, whole), right),
        false => (brute_proof(m - left.len(), right, false), left),
    };
    path.push(root(other));
    path
}

/// What a store would have of these leaves: kept nodes, and the leaves that a plan reads.
fn gathered(plan: &Plan, leaves: &[Hash]) -> Gathered {
    let (mut frontier, mut nodes) = (Frontier::new(), Vec::new());
    leaves.iter().for_each(|leaf| frontier.push_with(*leaf, |node| nodes.push(node)));
    let mut gathered = Gathered::new();
    for read in plan.reads() {
        let run = read.from..read.to;
        match read.level {
            0 => gathered.run(0, read.from, run.map(|i| leaves[i as usize])),
            level => nodes
                .iter()
                .filter(|n| n.level == level && run.contains(&n.index))
                .for_each(|n| gathered.insert(*n)),
        }
    }
    gathered
}

#[test]
fn the_published_roots_and_paths_of_certificate_transparency_come_out() {
    let leaves: Vec<Hash> = LEAVES.iter().map(|line| leaf_hash(line)).collect();
    let roots = ROOTS.map(hash);
    for (size, known) in roots.iter().enumerate() {
        assert_eq!(root(&leaves[..size]), *known, "{size} leaves");
    }
    let mut all = Gathered::new();
    all.run(0, 0, leaves.clone());
    let paths: [(u64, u64, &[&str]); 5] = [
        (0, 1, &[]),
        (0, 8, &[A, B, C]),
        (5, 8, &[D, E, ROOTS[4]]),
        (2, 3, &[ROOTS[2]]),
        (1, 5, &[ROOTS[1], B, D]),
    ];
    for (index, size, known) in paths {
        let path = inclusion_path(index, size, &all).unwrap();
        assert_eq!(path, known.iter().map(|h| hash(h)).collect::<Vec<_>>());
        let leaf = &leaves[index as usize];
        assert_eq!(verify_inclusion(leaf, index, size, &path, &roots[size as usize]), Ok(()));
    }
    let proofs: [(u64, u64, &[&str]); 4] =
        [(1, 1, &[]), (1, 8, &[A, B, C]), (6, 8, &[F, E, ROOTS[4]]), (2, 5, &[B, D])];
    for (from, to, known) in proofs {
        let path = consistency_path(from, to, &all).unwrap();
        assert_eq!(path, known.iter().map(|h| hash(h)).collect::<Vec<_>>());
        let (old, new) = (&roots[from as usize], &roots[to as usize]);
        assert_eq!(verify_consistency(from, to, old, new, &path), Ok(()));
    }
}

#[test]
fn a_proof_in_ten_million_leaves_reads_a_bounded_number_of_hashes() {
    let size = 10_000_000;
    for at in [0, 1, 255, 256, 4_999_999, 8_388_607, 8_388_608, 9_961_472, 9_999_999] {
        let plans = [plan_inclusion(at, size).unwrap(), plan_consistency(at.max(1), size).unwrap()];
        for plan in plans {
            let reads = plan.reads();
            let sum = |leaves| {
                let of = reads.iter().filter(|r| (r.level == 0) == leaves);
                of.map(|r| r.to - r.from).sum::<u64>()
            };
            assert!(sum(true) <= 512 && sum(false) <= 700, "{at}: {reads:?}");
            assert!(plan.needed().count() <= 48, "{at}: {plan:?}");
        }
    }
}

#[test]
fn after_old_leaves_were_dropped_the_frontier_stands_for_them() {
    let leaves: Vec<Hash> = (0..1_400).map(leaf).collect();
    let kept_from = 1_003;
    let mut kept = Frontier::new();
    leaves[..kept_from].iter().for_each(|leaf| kept.push(*leaf));
    for index in [1_003, 1_004, 1_023, 1_024, 1_399] {
        let plan = plan_inclusion(index, 1_400).unwrap();
        let mut at_hand = gathered(&plan, &leaves);
        at_hand.0.retain(|at, _| at.level > 0 || at.index >= kept_from as u64);
        at_hand.frontier(&kept);
        let path = plan.path(&at_hand).unwrap();
        let leaf = &leaves[index as usize];
        assert_eq!(verify_inclusion(leaf, index, 1_400, &path, &root(&leaves)), Ok(()));
    }
    let plan = plan_inclusion(1_000, 1_400).unwrap();
    assert!(matches!(plan.path(&Gathered::new()), Err(ProofError::Missing { .. })));
}

#[test]
fn what_is_outside_the_tree_has_no_proof() {
    for (index, size) in [(0, 0), (5, 5), (0, u64::MAX)] {
        assert_eq!(plan_inclusion(index, size), Err(ProofError::Outside { index, size }));
    }
    assert_eq!(plan_consistency(6, 5), Err(ProofError::Outside { index: 6, size: 5 }));
    assert_eq!(plan_consistency(0, 5), Ok(Plan::default()));
    let empty = empty_root();
    assert_eq!(verify_consistency(0, 5, &empty, &Hash::ZERO, &[]), Ok(()));
    assert_eq!(verify_consistency(0, 5, &leaf(1), &leaf(2), &[]), Err(ProofError::OlderRoot));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn proofs_are_those_of_the_definition_and_no_bent_one_verifies(
        size in 1_u64..700, a in any::<u64>(), bend in any::<u64>(),
    ) {
        let leaves: Vec<Hash> = (0..size).map(leaf).collect();
        let (all, index) = (root(&leaves), a % size);
        let plan = plan_inclusion(index, size).unwrap();
        let mut path = plan.path(&gathered(&plan, &leaves)).unwrap();
        prop_assert_eq!(&path, &brute_path(index as usize, &leaves));
        let own = leaves[index as usize];
        prop_assert_eq!(verify_inclusion(&own, index, size, &path, &all), Ok(()));
        prop_assert!(verify_inclusion(&leaf(size), index, size, &path, &all).is_err());
        prop_assert!(verify_inclusion(&own, bend % size, size, &path, &all).is_err()
            || bend % size == index);
        path.push(all);
        prop_assert!(verify_inclusion(&own, index, size, &path, &all).is_err());

        let from = index + 1;
        let old = root(&leaves[..from as usize]);
        let plan = plan_consistency(from, size).unwrap();
        let mut path = plan.path(&gathered(&plan, &leaves)).unwrap();
        prop_assert_eq!(&path, &brute_proof(from as usize, &leaves, true));
        prop_assert_eq!(verify_consistency(from, size, &old, &all, &path), Ok(()));
        prop_assert!(verify_consistency(from, size, &leaf(0), &all, &path).is_err() || from == 1);
        prop_assert!(verify_consistency(from, size, &old, &leaf(1), &path).is_err());
        let at = bend as usize % path.len().max(1);
        match path.get_mut(at) {
            Some(hash) => hash.0[(bend >> 32) as usize % 32] ^= 1,
            None => path.push(all),
        }
        prop_assert!(verify_consistency(from, size, &old, &all, &path).is_err());
    }
}
