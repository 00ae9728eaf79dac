//! `/flow/bidder/<account>:<campaign>`: the state of one campaign's bidder. It owns pacer and win curve and
//! publishes what auctions price by; what auctions have to tell it waits on its seat. What it has learned is
//! stored now and then, and read again when it wakes. It sleeps after a while without an auction, and the next
//! one wakes it: so the time that it slept is to its pacer time without traffic.

mod actor;
mod kept;
mod live;
mod seat;

pub use actor::{BidderActor, Msg};
pub use kept::Gate;
pub use live::change;
pub use seat::{Seat, Told};
