//! Why a campaign did not bid, or a request got no bid: a closed set, counted by its names.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Why there is no bid. Its names are labels of metrics and part of decisions: they never change
        /// their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$name,)+];

            pub fn name(self) -> &'static str {
                match self { $(Reason::$name => $text,)+ }
            }
        }
    };
}

reasons! {
    // the request
    /// No campaign is active, or none could be meant.
    NoCandidate = "no_candidate",
    /// The time that the exchange allows is over, or too short to begin.
    Deadline = "deadline",
    /// More requests at a time than the server takes.
    Overloaded = "overloaded",
    /// Nothing that may be shown there is known: format or protocol.
    UnsupportedFormat = "unsupported_format",
    /// A consent that is needed was not given, or its string cannot be read.
    Consent = "consent",
    /// Directed at children, and the campaign is not.
    Coppa = "coppa",
    /// The exchange takes no bids in a currency that there is a rate for.
    Currency = "currency",
    /// There is no exchange rate of the floor's currency.
    NoRate = "no_rate",
    /// The supply chain is broken or not complete.
    SupplyChain = "supply_chain",
    /// Neither our seat nor a buyer of ours is admitted.
    Seat = "seat",
    /// A list of it is longer than what is looked at.
    Oversized = "oversized",

    // the campaign
    /// Not active: draft, paused or ended.
    NotActive = "not_active",
    /// Outside its dates.
    Schedule = "schedule",
    /// Outside its hours of the day or days of the week.
    DayPart = "day_part",
    Geo = "geo",
    Device = "device",
    /// A site or app that is not on the list, or is on the other one.
    Inventory = "inventory",
    /// A category of content that the campaign avoids, or does not look for.
    Category = "category",
    /// The request needs to be told whom an ad is for and who pays (DSA), and the campaign does not tell it, or nobody
    /// would show it.
    Transparency = "transparency",
    /// No creative has a size or format that fits.
    Creative = "creative",
    /// A creative fits by size and length, and by its type of media, protocol or framework none does.
    Media = "media",
    /// The publisher blocks the advertiser, the app, a category or an attribute of every creative that fits, or allows
    /// none of their categories or languages.
    Blocked = "blocked",
    /// A private auction without a deal of ours.
    Deal = "deal",
    /// The person has seen it often enough, or cannot be told apart.
    Frequency = "frequency",
    /// Not in the band of values or the cohort that it is for.
    Audience = "audience",
    /// What it is worth is not known, and the strategy needs that.
    NoValue = "no_value",
    /// Its bidder wakes, or has not met enough auctions yet to know what to bid.
    WarmingUp = "warming_up",
    /// Left out by chance, so that the budget lasts.
    Throttled = "throttled",
    /// The price that it is worth is below the floor.
    BelowFloor = "below_floor",
    /// A bid of nothing, or beyond what may be bid.
    PriceBounds = "price_bounds",
    /// Another campaign of ours bids more.
    Outbid = "outbid",
    /// It won another impression of the request, and may have no more.
    OnePerRequest = "one_per_request",

    // the money
    /// SyncShield refused: the budget, a window, a day or an order.
    Budget = "budget",
    /// SyncShield did not answer in time.
    BudgetUnavailable = "budget_unavailable",
    /// SyncShield did not answer, as the breaker before its store is not closed.
    Breaker = "breaker",

    // the batch
    /// It would have bid, or was not asked: of a batch that is bid as a whole, another request cannot be.
    Withheld = "withheld",
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_name_and_reads_back_from_it() {
        let mut names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        for reason in Reason::ALL {
            let text = serde_json::to_string(reason).expect("json");
            assert_eq!(text, format!("\"{}\"", reason.name()));
            assert_eq!(serde_json::from_str::<Reason>(&text).ok(), Some(*reason));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
