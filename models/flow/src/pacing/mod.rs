//! How fast a campaign spends: pure rules. A [`Pacer`] takes in what happened ([`Event`]) and publishes by
//! what auctions are priced ([`Multipliers`]). It advises, it does not guard: that no budget is overspent is
//! SyncShield's, which reserves the most that a bid can cost before the bid is made.

#[cfg(test)]
mod agreed;
mod costs;
#[cfg(test)]
mod days;
mod dual;
mod event;
mod floor;
mod ledger;
mod pacer;
#[cfg(test)]
mod properties;
mod terms;
#[cfg(test)]
mod tests;
mod throttle;

pub use event::Event;
pub use pacer::{BadPacer, Pacer, View};
pub use terms::{BadTerms, Period, Strategy, Terms};

/// What a pacer publishes for auctions to price by. What an impression is worth is
/// `value (1 + lambda) / (mu + lambda)`: in a second-price auction that is the bid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multipliers {
    /// The dual of the budget: value that a unit of money has to buy. With `lambda` 0 the bid of a
    /// second-price auction is value / mu. Below 1 more than the value is bid (a campaign that is to spend
    /// its budget), at 1 the value, above 1 less. With a ROAS floor τ, which is not 1, it holds (τ − 1) λ as
    /// well, so that the formula is the same for every τ; it may be below 0 then, but mu + lambda never is.
    pub mu: f64,
    /// The dual of the ROAS floor; 0 where there is none.
    pub lambda: f64,
    /// Share of auctions taken part in, 0 to 1.
    pub pass: f64,
}

impl Multipliers {
    /// Bids its value, always.
    pub const VALUE: Multipliers = Multipliers { mu: 1.0, lambda: 0.0, pass: 1.0 };

    /// What is bid for a unit of value, before shading.
    pub fn per_value(&self) -> f64 {
        (1.0 + self.lambda) / (self.mu + self.lambda)
    }
}
