//! How many auctions are still to come, by time of day.
