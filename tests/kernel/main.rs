//! The kernel as its users see it: no test looks behind its public surface.

mod drain;
mod entities;
mod faults;
mod mailbox;
mod observe;
mod restarts;
mod support;
