//! A network that has learned what customers spend: zero-inflated log-normal (ZILN; Wang, Liu & Miao
//! 2019, arXiv:1912.07753) on figures of recency, frequency and spend, and on the last purchases one by
//! one through a gated recurrent unit (GRU; Cho et al. 2014, arXiv:1406.1078).
//!
//! candle trains it ([`train`]); what is served is plain Rust ([`member`]), and a test holds both
//! together. Everything is a function of the purchases up to a day, the terms and their seed: two fits
//! give the same bytes.

pub mod bytes;
pub mod dense;
pub mod error;
pub mod explain;
mod fast;
pub mod features;
pub mod fit;
pub mod groups;
mod gru;
pub mod member;
mod network;
pub mod scale;
pub mod sequence;
#[cfg(test)]
mod simulated;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod train;
pub mod ziln;
