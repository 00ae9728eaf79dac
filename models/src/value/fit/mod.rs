//! Maximum likelihood: the search for the most likely parameters, and how sure of them it is.

pub mod curvature;
pub mod maximise;
pub mod report;
