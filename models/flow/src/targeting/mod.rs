//! Which campaigns an impression is for.
