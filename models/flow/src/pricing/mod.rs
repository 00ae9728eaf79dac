//! What an impression is bid for.
