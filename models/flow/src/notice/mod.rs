//! Signed notices of wins, billing and losses.
