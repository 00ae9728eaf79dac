//! The report for people and for spreadsheets; the JSON is the [`super::report::Report`] itself.

pub mod csv;
pub mod html;
