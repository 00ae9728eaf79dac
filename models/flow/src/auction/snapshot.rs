//! What bidders publish for auctions to price by.

use std::ops::Deref;
use std::sync::Arc;

use smallvec::SmallVec;

use kiki_models::shield::money::Micros;

use crate::pacing::Multipliers;
use crate::pricing::WinCurve;
use crate::reason::Reason;

use super::bid::Bid;

/// The state of one campaign's bidder. Everything else that an auction needs to know of the campaign is in
/// the index's entry: so the two cannot contradict each other.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Why it does not bid at all: paused since the index was made, a breaker, an empty budget.
    pub closed: Option<Reason>,
    pub multipliers: Multipliers,
    /// Chances to win, in the campaign's currency.
    pub curve: WinCurve,
    pub learned: Learned,
    /// The most that one impression may cost: what the budget has left.
    pub left: Option<Micros>,
}

/// Conversion rates as learned, by band of LTV; they go before the definition's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned(SmallVec<[(Micros, f64); 4]>);

/// Bands of one campaign.
pub const BANDS_MAX: usize = 32;

impl Learned {
    /// Each band begins at an LTV in the campaign's currency and ends where the next one begins. What is no
    /// rate above 0 and at most 1 is left out, as are bands beyond the 32nd.
    pub fn new(bands: impl IntoIterator<Item = (Micros, f64)>) -> Learned {
        let rate = |(_, rate): &(Micros, f64)| *rate > 0.0 && *rate <= 1.0;
        let mut bands: SmallVec<_> = bands.into_iter().filter(rate).take(BANDS_MAX).collect();
        bands.sort_unstable_by_key(|(from, _)| *from);
        Learned(bands)
    }

    /// Customers won by one impression to a person of this LTV; `None`: nothing was learned.
    pub fn conversion_rate(&self, ltv: Option<Micros>) -> Option<f64> {
        let ltv = ltv?;
        let after = self.0.partition_point(|(from, _)| *from <= ltv);
        self.0.get(after.checked_sub(1)?).map(|(_, rate)| *rate)
    }
}

/// Snapshots by the places of an index's entries. What has none does not bid.
pub trait Snapshots {
    type Ref<'a>: Deref<Target = Snapshot>
    where
        Self: 'a;

    fn get(&self, at: u32) -> Option<Self::Ref<'_>>;

    /// Told of what became of a candidate on one slot: its bid, or the reason why there is none.
    fn met(&self, at: u32, outcome: &Result<Bid, Reason>) {
        let _ = (at, outcome);
    }
}

impl Snapshots for [Snapshot] {
    type Ref<'a> = &'a Snapshot;

    fn get(&self, at: u32) -> Option<&Snapshot> {
        <[Snapshot]>::get(self, at as usize)
    }
}

impl Snapshots for [Arc<Snapshot>] {
    type Ref<'a> = &'a Snapshot;

    fn get(&self, at: u32) -> Option<&Snapshot> {
        <[Arc<Snapshot>]>::get(self, at as usize).map(|it| &**it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learned_rate_is_that_of_the_band_the_ltv_is_in() {
        let learned = Learned::new([
            (Micros(100), 0.2),
            (Micros(0), 0.1),
            (Micros(50), f64::NAN),
            (Micros(60), 2.0),
        ]);
        let rate = |ltv| learned.conversion_rate(Some(Micros(ltv)));
        assert_eq!((rate(-1), rate(0), rate(99)), (None, Some(0.1), Some(0.1)));
        assert_eq!((rate(100), rate(i64::MAX)), (Some(0.2), Some(0.2)));
        assert_eq!(learned.conversion_rate(None), None);
        assert_eq!(Learned::default().conversion_rate(Some(Micros(1))), None);
    }
}
