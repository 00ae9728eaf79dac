//! How fast a budget is spent.
