//! OpenRTB 2.6 as a bidder reads and writes it.
