//! Who may do what: keys, roles, scopes, tokens, limits, and the table of it all.

mod common;

#[path = "access/harness.rs"]
mod harness;
#[path = "access/keys.rs"]
mod keys;
#[path = "access/limits.rs"]
mod limits;
#[path = "access/matrix.rs"]
mod matrix;
#[path = "access/owasp.rs"]
mod owasp;
#[path = "access/process.rs"]
mod process;
#[path = "access/redis.rs"]
mod redis;
#[path = "access/tokens.rs"]
mod tokens;
