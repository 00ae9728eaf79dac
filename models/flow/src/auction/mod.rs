//! One request: who bids, and how much.
