//! Why there is no bid, as exchanges understand it (OpenRTB 2.6, list "No-Bid Reason Codes" of AdCOM 1.0).

use crate::reason::Reason;

use super::malformed::Malformed;

/// The code that comes nearest. Codes from 500 on would be ours to define; none is.
pub fn code(reason: Reason) -> u16 {
    match reason {
        // technical error
        Reason::Overloaded
        | Reason::Oversized
        | Reason::BudgetUnavailable
        | Reason::Breaker
        | Reason::NoRate
        | Reason::Budget => 1,
        // invalid request
        Reason::Currency => 2,
        // unsupported device
        Reason::Device => 6,
        // blocked publisher or site
        Reason::Inventory => 7,
        // unmatched user
        Reason::Audience | Reason::Consent | Reason::NoValue => 8,
        // daily user cap met
        Reason::Frequency => 9,
        // insufficient auction time
        Reason::Deadline => 15,
        // incomplete supply chain
        Reason::SupplyChain => 16,
        // unknown error: an exchange need not know more
        Reason::NoCandidate
        | Reason::UnsupportedFormat
        | Reason::Coppa
        | Reason::Seat
        | Reason::NotActive
        | Reason::Schedule
        | Reason::DayPart
        | Reason::Geo
        | Reason::Category
        | Reason::Transparency
        | Reason::Creative
        | Reason::Media
        | Reason::Blocked
        | Reason::Deal
        | Reason::WarmingUp
        | Reason::Throttled
        | Reason::BelowFloor
        | Reason::PriceBounds
        | Reason::Outbid
        | Reason::OnePerRequest
        | Reason::Withheld => 0,
    }
}

/// A malformed request is answered with 400; where an exchange wants a body, this is its code.
pub fn malformed(_: Malformed) -> u16 {
    2
}
