//! A log of auctions replayed through the pacing and pricing that serve.
