//! MBG/NBD (Batislam, Denizel & Filiztekin 2007; Hoppe & Wagner 2007).

use super::beta_geometric::BetaGeometric;

/// Customers may leave after each purchase, the first one included.
pub type MbgNbd = BetaGeometric<1>;
