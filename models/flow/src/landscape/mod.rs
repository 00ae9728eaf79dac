//! Made-up auctions for tests and trials.
