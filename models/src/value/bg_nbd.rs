//! BG/NBD (Fader, Hardie & Lee 2005, "Counting your customers the easy way").

use super::beta_geometric::BetaGeometric;

/// Customers may leave after each repeat purchase; whoever has bought once has not left.
pub type BgNbd = BetaGeometric<0>;
