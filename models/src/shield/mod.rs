//! SyncShield's rules, as pure state machines: money (caps, holds, slices, windows and days), people
//! ([`consent`], [`tcf`], [`dsr`], [`seal`]), the [`audit`] log and the [`compliance`] report.
//!
//! An [`authority::Authority`] owns one budget's rows and hands out slices; a [`purse::Purse`] holds
//! slices and authorises from them in memory. Both take events and return [`effect::Effect`]s; actors
//! carry those out, and `sim` replays them under every fault it knows.

pub mod ask;
pub mod audit;
pub mod authority;
pub mod budget;
pub mod compliance;
pub mod consent;
pub mod core;
pub mod correction;
pub mod day;
pub mod dsr;
pub mod effect;
pub mod entry;
pub mod event;
pub mod hold;
pub mod lane;
pub mod limits;
pub mod money;
pub mod pacing;
pub mod personal;
pub mod purse;
pub mod refusal;
pub mod seal;
#[cfg(test)]
mod sim;
pub mod slice;
pub mod tcf;
pub mod terms;
pub mod token;
pub mod verify;
pub mod watch;
pub mod window;
