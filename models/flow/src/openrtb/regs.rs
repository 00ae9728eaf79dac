//! Regulations, and where the request comes from.

use super::object::object;
use super::value::{Flag, Int, List, Text};

object! {
    pub struct Regs<'a> {
        pub coppa: Option<Flag>,
        pub gdpr: Option<Flag>,
        pub us_privacy: Option<Text<'a>>,
        pub gpp: Option<Text<'a>>,
        pub gpp_sid: List<[Int; 4]>,
        pub gpc: Option<Flag>,
        pub ext: Option<RegsExt<'a>>,
    }
}

object! {
    /// Where 2.5 had them, and still has the global privacy control.
    pub struct RegsExt<'a> {
        pub gpc: Option<Flag>,
        pub gdpr: Option<Flag>,
        pub us_privacy: Option<Text<'a>>,
        pub gpp: Option<Text<'a>>,
        pub gpp_sid: List<[Int; 1]>,
    }
}

object! {
    pub struct Source<'a> {
        pub schain: Option<SupplyChain<'a>>,
        pub ext: Option<SourceExt<'a>>,
    }
}

object! {
    /// Where 2.5 had it.
    pub struct SourceExt<'a> {
        pub schain: Option<SupplyChain<'a>>,
    }
}

object! {
    pub struct SupplyChain<'a> {
        pub complete: Option<Flag>,
        pub nodes: List<[Node<'a>; 2], 64>,
        pub ver: Option<Text<'a>>,
    }
}

object! {
    /// One who was paid on the way.
    pub struct Node<'a> {
        pub asi: Option<Text<'a>>,
        pub sid: Option<Text<'a>>,
        pub hp: Option<Flag>,
    }
}
