//! Why we bid that.
