//! The rules of bidding: pure and deterministic. Requests and times come in as arguments; no clock, no
//! runtime, no network and no database.

#![forbid(unsafe_code)]

pub mod auction;
pub mod campaign;
pub mod decision;
pub mod frequency;
pub mod landscape;
pub mod notice;
pub mod openrtb;
pub mod opportunity;
pub mod pacing;
pub mod pricing;
pub mod privacy;
pub mod reason;
pub mod simulate;
pub mod targeting;
pub mod traffic;
