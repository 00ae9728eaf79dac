//! The inputs in groups that a person can tell apart: contributions are per group.

use serde::{Deserialize, Serialize};

/// Groups of inputs.
pub const GROUPS: usize = 8;

/// What an input is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// How often was bought, ever and per time.
    Purchases,
    /// How long ago the last purchase is, in weeks and in gaps between purchases.
    Recency,
    /// Gaps between purchases.
    Rhythm,
    /// Spend of a purchase: mean, last, first, largest, spread.
    BasketSize,
    /// Spend of all purchases.
    TotalSpend,
    /// Purchases of the last weeks.
    RecentPurchases,
    /// Spend of the last weeks.
    RecentSpend,
    /// The last purchases one by one, in their order.
    Sequence,
}

impl Group {
    pub const ALL: [Group; GROUPS] = [
        Group::Purchases,
        Group::Recency,
        Group::Rhythm,
        Group::BasketSize,
        Group::TotalSpend,
        Group::RecentPurchases,
        Group::RecentSpend,
        Group::Sequence,
    ];

    /// The group's name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Group::Purchases => "purchases",
            Group::Recency => "recency",
            Group::Rhythm => "rhythm",
            Group::BasketSize => "basket_size",
            Group::TotalSpend => "total_spend",
            Group::RecentPurchases => "recent_purchases",
            Group::RecentSpend => "recent_spend",
            Group::Sequence => "sequence",
        }
    }
}
