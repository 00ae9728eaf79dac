//! Settings of SyncFlow.

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

#[derive(Clone)]
pub struct FlowTerms {
    pub default_account: String,
    /// Of campaigns that name none.
    pub seat: String,
    /// What the URLs of notices begin with, without a slash at the end.
    pub notice_base_url: String,
    /// Signs them; the same on every node.
    pub notice_key: Zeroizing<Vec<u8>>,
    /// Our id in the Global Vendor List of the TCF; without one there is no bid where the GDPR applies.
    pub tcf_vendor: Option<u16>,
    /// Whether a request has to name all of its sellers.
    pub complete_chain: bool,
    /// Changes within this time reach auctions together.
    pub index_every: Duration,
    /// Time for an answer where the exchange names none.
    pub tmax: Duration,
    /// Taken off the exchange's time.
    pub tmax_margin: Duration,
    /// Requests of exchanges worked on at once.
    pub bids_max: usize,
    /// How long money is held for a bid.
    pub hold_ttl_us: i64,
    pub ltv_cache_ttl: Duration,
    pub ltv_cache_max: usize,
    pub ltv_patience: Duration,
    /// Pairs of person and campaign that are counted.
    pub frequency_pairs: usize,
    /// Of requests, in millionths.
    pub sample_millionths: u32,
    /// How long decisions are kept.
    pub retention_us: i64,
    /// Decisions that wait to be stored.
    pub journal_max: usize,
    /// Where files of this installation are.
    pub data_dir: PathBuf,
    /// How long an actor without work stays in memory.
    pub idle_after: Duration,
    /// Campaigns whose actors are in memory: of more, those that are idle longest go.
    pub resident_max: usize,
    pub mailbox_max: u32,
    /// How long any other call may take.
    pub call_patience: Duration,
}
