//! The best bids of each slot, and who wins which.

use super::bid::Bid;

/// Bids that stand behind a winner.
pub const FALLBACKS_MAX: usize = 3;

/// One bid's place in the order.
#[derive(Clone, Copy, Debug)]
struct Rank {
    score: f64,
    /// Decides between equal scores.
    tie: u64,
    /// Of the bid in the pool.
    place: u32,
}

impl Rank {
    fn before(&self, other: &Rank) -> bool {
        self.score.total_cmp(&other.score).then(self.tie.cmp(&other.tie)).is_gt()
    }
}

/// The best bids of one slot, the best first. As many are kept as there are slots, and the fall-backs: the
/// others may take all but the last ones of them away, and those are still the best that are left.
#[derive(Debug, Default)]
pub struct Ranking {
    ranks: Vec<Rank>,
    pool: Vec<Bid>,
    most: usize,
}

impl Ranking {
    pub fn begin(&mut self, slots: usize) {
        self.ranks.clear();
        self.pool.clear();
        self.most = slots.saturating_add(FALLBACKS_MAX);
    }

    /// Puts a bid in its place. What falls out behind is gone.
    pub fn put(&mut self, bid: Bid, tie: u64) {
        let mut rank = Rank { score: bid.score, tie, place: 0 };
        if self.ranks.len() >= self.most {
            let Some(last) = self.ranks.last().filter(|last| rank.before(last)) else { return };
            rank.place = last.place;
            self.ranks.pop();
            if let Some(place) = self.pool.get_mut(rank.place as usize) {
                *place = bid;
            }
        } else {
            rank.place = u32::try_from(self.pool.len()).unwrap_or(u32::MAX);
            self.pool.push(bid);
        }
        let at = self.ranks.partition_point(|other| other.before(&rank));
        self.ranks.insert(at, rank);
    }

    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// By rank, from 0.
    pub fn get(&self, rank: usize) -> Option<&Bid> {
        self.pool.get(self.ranks.get(rank)?.place as usize)
    }

    /// Whether the first bid here goes before that of another slot.
    pub fn beats(&self, rank: usize, other: &Ranking, other_rank: usize) -> bool {
        match (self.ranks.get(rank), other.ranks.get(other_rank)) {
            (Some(a), Some(b)) => a.before(b),
            (a, _) => a.is_some(),
        }
    }
}
