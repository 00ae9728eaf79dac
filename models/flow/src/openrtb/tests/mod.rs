mod fuzz;
mod malformed;
mod picture;
mod privacy;

use super::{Limits, Malformed, Request};
use crate::privacy::Permits;
use crate::privacy::detail::Findings;

/// Everything is allowed.
const FREE: Permits =
    Permits { bid: Ok(()), personal: true, coppa: false, findings: Findings::NONE };

fn parse(body: &str) -> Result<Request<'_>, Malformed> {
    Request::parse(body.as_bytes(), &Limits::default())
}

/// A request with these members beside its id, and a banner unless there are impressions among them.
fn request(members: &str) -> String {
    let imp = if members.contains("\"imp\"") { "" } else { r#","imp":[{"id":"1","banner":{}}]"# };
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"id":"r"{imp}{comma}{members}}}"#)
}
