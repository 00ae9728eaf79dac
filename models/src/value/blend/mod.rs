//! Two forecasts joined into one that is better than either: by weights ([`linear`]), or by taking the
//! order from both and the levels from what came of it ([`ranks`]).

pub mod curve;
pub mod linear;
pub mod ranks;
