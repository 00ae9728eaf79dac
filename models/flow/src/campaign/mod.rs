//! What a campaign is, and what may become of it.
