//! The chain of sellers between the publisher and us (IAB Tech Lab, "SupplyChain Object", version 1.0).

use crate::reason::Reason;

use super::regs::SupplyChain;
use super::value::told;

/// What can be said of a request's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// None was given.
    Absent,
    /// Against its specification: no nodes, a node without `asi` or `sid`, no `complete`, another major
    /// version.
    Broken,
    /// In order, but it does not reach back to the publisher: allowed, and to be noted.
    Incomplete,
    Complete,
}

impl Chain {
    pub fn of(chain: Option<&SupplyChain<'_>>) -> Chain {
        let Some(chain) = chain else { return Chain::Absent };
        // Only payments in the chain have a meaning in version 1.0, so `hp` has to be 1 where it is told.
        let sound = !chain.nodes.is_empty()
            && chain.nodes.iter().all(|node| {
                told(&node.asi).is_some()
                    && told(&node.sid).is_some()
                    && node.hp.is_none_or(|paid| paid.0)
            })
            && told(&chain.ver).is_none_or(|ver| ver.split('.').next() == Some("1"));
        match chain.complete {
            Some(complete) if sound && complete.0 => Chain::Complete,
            Some(_) if sound => Chain::Incomplete,
            _ => Chain::Broken,
        }
    }

    /// May it be bid on? `complete`: the terms ask for a complete chain. A broken one is refused anyhow.
    pub fn admits(self, complete: bool) -> Result<(), Reason> {
        match self {
            Chain::Complete => Ok(()),
            Chain::Absent | Chain::Incomplete if !complete => Ok(()),
            _ => Err(Reason::SupplyChain),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Chain::Absent => "absent",
            Chain::Broken => "broken",
            Chain::Incomplete => "incomplete",
            Chain::Complete => "complete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_complete_when_it_says_so_and_every_node_is_named() {
        let node = r#"{"asi":"a.example","sid":"1","hp":1}"#;
        for (json, chain, lax, strict) in [
            (
                format!(r#"{{"complete":1,"ver":"1.0","nodes":[{node}]}}"#),
                Chain::Complete,
                true,
                true,
            ),
            (
                format!(r#"{{"complete":1,"nodes":[{node},{node},{node}]}}"#),
                Chain::Complete,
                true,
                true,
            ),
            (
                format!(r#"{{"complete":0,"ver":"1.0","nodes":[{node}]}}"#),
                Chain::Incomplete,
                true,
                false,
            ),
            (format!(r#"{{"ver":"1.0","nodes":[{node}]}}"#), Chain::Broken, false, false),
            (
                format!(r#"{{"complete":1,"ver":"2.0","nodes":[{node}]}}"#),
                Chain::Broken,
                false,
                false,
            ),
            (r#"{"complete":1,"ver":"1.0","nodes":[]}"#.into(), Chain::Broken, false, false),
            (r#"{"complete":1,"nodes":[{"asi":"a.example"}]}"#.into(), Chain::Broken, false, false),
            (
                r#"{"complete":1,"nodes":[{"asi":"a","sid":"1","hp":0}]}"#.into(),
                Chain::Broken,
                false,
                false,
            ),
            ("null".into(), Chain::Absent, true, false),
        ] {
            let read: Option<SupplyChain<'_>> = serde_json::from_str(&json).expect("chain");
            let found = Chain::of(read.as_ref());
            assert_eq!(found, chain, "{json}");
            assert_eq!((found.admits(false).is_ok(), found.admits(true).is_ok()), (lax, strict));
        }
    }
}
