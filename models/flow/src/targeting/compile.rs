//! A campaign made ready to be checked against slots.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use kiki_models::shield::consent::kind::KindSet;
use kiki_models::shield::money::Currency;

use crate::campaign::audience::{Band, Cohort};
use crate::campaign::creative::{Creative, FormatKind, Shape};
use crate::campaign::definition::{Cap, Definition};
use crate::campaign::hours::{Clock, Week};
use crate::campaign::media::Needs;
use crate::campaign::name::{with_parent, with_parents};
use crate::campaign::state::Campaign;
use crate::campaign::strategy::Strategy;
use crate::campaign::target::Target;
use crate::campaign::taxonomy::Taxonomies;

use super::dictionary::Dictionary;

/// One campaign of an index. What decisions need is here and not looked up in the definition: one memory
/// access less for each candidate.
#[derive(Clone, Debug)]
pub struct Entry {
    pub campaign: Arc<Campaign>,
    /// Names it in hashes and in counts: see [`key_of`].
    pub key: u64,
    /// Place of its account in [`super::Index::accounts`].
    pub account: u32,
    pub currency: Currency,
    pub starts_us: i64,
    pub ends_us: i64,
    pub week: Week,
    pub clock: Clock,
    /// Place of its time zone in the index.
    pub zone: u16,
    /// Bands of LTV it is for, and whether it takes people of whom none is known; `None`: it asks not.
    pub bands: Option<(SmallVec<[Band; 2]>, bool)>,
    /// The cohort that it is for.
    pub cohort: Option<Cohort>,
    /// What a known person must have granted.
    pub purposes: KindSet,
    pub caps: SmallVec<[Cap; 2]>,
    pub per_request: u8,
    pub strategy: Strategy,
    /// Number of the app that is advertised.
    pub app: Option<u32>,
    /// Number of the seat that bids.
    pub seat: u32,
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
    /// What its categories are codes of.
    pub taxonomies: Taxonomies,
    pub language: Option<u32>,
    /// Number of what it needs of a slot beside size and length.
    pub needs: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FitKind {
    Banner { w: u16, h: u16 },
    Video { duration_s: u16 },
    Audio { duration_s: u16 },
    Native,
}

impl FitKind {
    /// Its place in [`FormatKind::ALL`].
    pub fn place(self) -> usize {
        let kind = match self {
            FitKind::Banner { .. } => FormatKind::Banner,
            FitKind::Video { .. } => FormatKind::Video,
            FitKind::Audio { .. } => FormatKind::Audio,
            FitKind::Native => FormatKind::Native,
        };
        kind as usize
    }
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

/// Numbers for what creatives are blocked by, and for what they need.
#[derive(Clone, Debug, Default)]
pub struct Sold {
    pub domains: Dictionary,
    pub categories: Dictionary,
    pub apps: Dictionary,
    pub languages: Dictionary,
    /// Each once.
    pub needs: Vec<Needs>,
    numbers: HashMap<Needs, u32>,
}

impl Sold {
    /// Numbers of a domain and those that it is in.
    pub fn domain(&mut self, domain: &str) -> impl Iterator<Item = u32> {
        with_parents(domain).map(|domain| self.domains.add(domain))
    }

    fn needs(&mut self, needs: Needs) -> u32 {
        if let Some(known) = self.numbers.get(&needs) {
            return *known;
        }
        let next = u32::try_from(self.needs.len()).unwrap_or(u32::MAX);
        self.needs.push(needs.clone());
        self.numbers.insert(needs, next);
        next
    }

    pub fn bytes(&self) -> usize {
        self.domains.bytes()
            + self.categories.bytes()
            + self.apps.bytes()
            + self.languages.bytes()
            + 3 * self.needs.len() * std::mem::size_of::<Needs>()
    }
}

impl Fit {
    /// `needs`: of the creative, where they are known already.
    fn of(
        place: usize,
        it: &Creative,
        of: &Definition,
        needs: Option<&Needs>,
        sold: &mut Sold,
    ) -> Fit {
        let kind = match it.format {
            Shape::Banner { w, h } => FitKind::Banner { w, h },
            Shape::Video { duration_s, .. } => FitKind::Video { duration_s },
            Shape::Audio { duration_s, .. } => FitKind::Audio { duration_s },
            Shape::Native {} => FitKind::Native,
        };
        let mut domains = SmallVec::new();
        of.domains(it).iter().for_each(|domain| domains.extend(sold.domain(domain)));
        let listed = of.sold(it);
        let taxonomies = listed.taxonomies();
        let categories = listed.codes.iter().flat_map(|category| with_parent(category));
        let upper = categories.map(str::to_ascii_uppercase);
        let categories = upper.map(|category| sold.categories.add(&category)).collect();
        let attributes = SmallVec::from_slice(&it.attributes);
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        let language = it.language.as_ref().map(|it| sold.languages.add(&it.to_ascii_uppercase()));
        let needs = match needs {
            Some(known) => known.clone(),
            None => Needs::of(it),
        };
        let needs = sold.needs(needs);
        Fit {
            place,
            kind,
            secure: it.secure,
            attributes,
            domains,
            categories,
            taxonomies,
            language,
            needs,
        }
    }

    /// `known`: the same definition as an index before this one has it. What creatives need is read from their
    /// markup, which is too slow to be done for every campaign whenever one of them changes.
    pub fn all(of: &Definition, known: Option<(&[Fit], &Sold)>, sold: &mut Sold) -> Box<[Fit]> {
        let needs = |at: usize| {
            let (fits, sold) = known?;
            sold.needs.get(fits.get(at)?.needs as usize)
        };
        let wanted = wanted(&of.targeting, &of.creatives).enumerate();
        wanted.map(|(at, (place, it))| Fit::of(place, it, of, needs(at), sold)).collect()
    }
}
