//! A campaign made ready to be checked against slots.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use kiki_models::shield::consent::kind::KindSet;
use kiki_models::shield::money::Currency;

use crate::campaign::audience::Band;
use crate::campaign::creative::{Creative, Shape};
use crate::campaign::definition::{Cap, Definition};
use crate::campaign::hours::{Clock, Week};
use crate::campaign::name::{with_parent, with_parents};
use crate::campaign::state::Campaign;
use crate::campaign::strategy::Strategy;
use crate::campaign::target::Target;

use super::dictionary::Dictionary;

/// One campaign of an index. What decisions need is here and not looked up in the definition: one memory
/// access less for each candidate.
#[derive(Clone, Debug)]
pub struct Entry {
    pub campaign: Arc<Campaign>,
    /// Names it in hashes and in counts: see [`key_of`].
    pub key: u64,
    pub currency: Currency,
    pub starts_us: i64,
    pub ends_us: i64,
    pub week: Week,
    pub clock: Clock,
    /// Place of its time zone in the index.
    pub zone: u16,
    /// Bands of LTV it is for, and whether it takes people of whom none is known; `None`: it asks not.
    pub bands: Option<(SmallVec<[Band; 2]>, bool)>,
    /// What a known person must have granted.
    pub purposes: KindSet,
    pub caps: SmallVec<[Cap; 2]>,
    pub per_request: u8,
    pub strategy: Strategy,
    /// The app that is advertised.
    pub app: Option<Box<str>>,
    /// Never bids without a deal.
    pub deals_only: bool,
    pub creatives: Box<[Fit]>,
    /// Deals that it may bid on, as numbers of the index, ascending.
    pub deals: Box<[u32]>,
}

/// What a creative fits.
#[derive(Clone, Debug)]
pub struct Fit {
    /// Its place in the definition.
    pub place: u16,
    pub kind: FitKind,
    pub secure: bool,
    pub attributes: SmallVec<[u16; 4]>,
    /// Numbers of the advertiser's domains and the domains that those are in.
    pub domains: SmallVec<[u32; 4]>,
    /// Numbers of its categories and those above them.
    pub categories: SmallVec<[u32; 4]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FitKind {
    Banner { w: u16, h: u16 },
    Video { duration_s: u16 },
    Audio { duration_s: u16 },
    Native,
}

/// The first 64 bits of SHA-256 over account and id, each preceded by its length: the same for ever, and
/// in every index.
pub fn key_of(account: &str, id: &str) -> u64 {
    let mut sha = Sha256::new();
    for part in [account, id] {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part.as_bytes());
    }
    let hash: [u8; 32] = sha.finalize().into();
    hash.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// Creatives that targeting leaves.
pub fn wanted<'a>(
    target: &'a Target,
    creatives: &'a [Creative],
) -> impl Iterator<Item = (usize, &'a Creative)> {
    creatives.iter().enumerate().filter(|(_, creative)| {
        let kind = target.formats.is_empty() || target.formats.contains(&creative.format.kind());
        // What has no size is of every size.
        let size = target.sizes.is_empty()
            || creative
                .format
                .size()
                .is_none_or(|(w, h)| target.sizes.iter().any(|size| (size.w, size.h) == (w, h)));
        kind && size
    })
}

/// Numbers for what creatives are blocked by.
#[derive(Clone, Debug, Default)]
pub struct Sold {
    pub domains: Dictionary,
    pub categories: Dictionary,
}

impl Fit {
    fn of(place: usize, it: &Creative, of: &Definition, sold: &mut Sold) -> Fit {
        let kind = match it.format {
            Shape::Banner { w, h } => FitKind::Banner { w, h },
            Shape::Video { duration_s, .. } => FitKind::Video { duration_s },
            Shape::Audio { duration_s, .. } => FitKind::Audio { duration_s },
            Shape::Native {} => FitKind::Native,
        };
        let own = std::slice::from_ref(&of.advertiser_domain);
        let domains = if it.advertiser_domains.is_empty() { own } else { &it.advertiser_domains };
        let domains = domains.iter().flat_map(|domain| with_parents(domain));
        let domains = domains.map(|domain| sold.domains.add(domain)).collect();
        let categories = if it.categories.is_empty() { &of.categories } else { &it.categories };
        let categories = categories.iter().flat_map(|category| with_parent(category));
        let upper = categories.map(str::to_ascii_uppercase);
        let categories = upper.map(|category| sold.categories.add(&category)).collect();
        let attributes = SmallVec::from_slice(&it.attributes);
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        Fit { place, kind, secure: it.secure, attributes, domains, categories }
    }

    pub fn all(of: &Definition, sold: &mut Sold) -> Box<[Fit]> {
        let wanted = wanted(&of.targeting, &of.creatives);
        wanted.map(|(place, creative)| Fit::of(place, creative, of, sold)).collect()
    }
}
