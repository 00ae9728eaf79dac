//! What a bid request is answered with.

use crate::models::flow::openrtb::Malformed;
use crate::models::flow::reason::Reason;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// HTTP 200 with this body.
    Bids(Vec<u8>),
    /// HTTP 204.
    NoBid(Reason),
    /// HTTP 400 with an empty body.
    Malformed(Malformed),
}

impl Answer {
    /// To a request that was not read.
    pub(super) fn unread(why: Malformed) -> Answer {
        why.no_bid().map_or(Answer::Malformed(why), Answer::NoBid)
    }
}
