//! An evaluation as one page of HTML that needs nothing else: tables, and charts drawn as SVG text. Its
//! colours are told apart by people who see colours differently, on light and on dark ground.

pub mod axis;
pub mod charts;
pub mod page;
mod style;
#[cfg(test)]
mod tests;
pub mod text;
