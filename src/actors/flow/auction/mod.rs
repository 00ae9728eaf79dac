//! The way of a bid request to its answer, on the task of whoever brings it: no actor is asked but for the
//! budgets of winners.

mod account;
mod answer;
mod batch;
mod bid;
mod counts;
mod elsewhere;
mod follow;
mod hold;
mod market;
mod office;
mod open;
mod people;
mod ready;
mod sample;
mod sights;
mod write;

pub use account::Account;
pub use answer::Answer;
pub use batch::BatchTerms;
pub use counts::Counts;
pub use elsewhere::{Others, OthersActor};
pub use follow::FollowActor;
pub use market::Market;
pub use office::{Office, OfficeTerms};
pub use open::Pending;
