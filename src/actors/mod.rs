//! Shells: supervision trees, mailboxes, timers, and effects carried out. Only [`kernel`] spawns
//! actors.

pub mod cluster;
pub mod flow;
pub mod kernel;
pub mod shield;
pub mod value;
