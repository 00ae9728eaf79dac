//! Requests of the people whose data is held (GDPR Art. 15 to 22), as sagas that really act:
//! killed anywhere and started again from what was saved last, each ends right.
//!
//! A [`request::Request`] is everything that is durable. [`saga::Saga::next`] says what to do now;
//! [`saga::Saga::stepped`] and [`saga::Saga::emitted`] book how it went; [`command::command`] books
//! what somebody decided. Each gives the next state, which is saved before anything else is done.

pub mod command;
pub mod due;
pub mod event;
pub mod kind;
pub mod package;
pub mod request;
pub mod saga;
#[cfg(test)]
mod sim;
pub mod step;
pub mod words;
