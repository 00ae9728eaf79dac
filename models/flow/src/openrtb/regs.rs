//! Regulations, and where the request comes from.

use super::object::object;
use super::value::{Code, Flag, Int, List, Text};
use crate::opportunity::{Disclosure, Need, Rendering};

object! {
    pub struct Regs<'a> {
        pub dsa: Option<Dsa>,
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
        pub dsa: Option<Dsa>,
        pub gdpr: Option<Flag>,
        pub us_privacy: Option<Text<'a>>,
        pub gpp: Option<Text<'a>>,
        pub gpp_sid: List<[Int; 1]>,
    }
}

object! {
    /// What is to be told of who advertises (IAB Tech Lab, "DSA Transparency").
    pub struct Dsa {
        /// 0 nothing, 1 taken with it and without, 2 needed, 3 needed by an online platform.
        pub dsarequired: Option<Code>,
        /// 0 the publisher cannot show it, 1 may, 2 does.
        pub pubrender: Option<Code>,
        /// 0 not to be sent, 1 may be, 2 to be sent.
        pub datatopub: Option<Code>,
    }
}

impl Dsa {
    fn wanted(&self) -> Disclosure {
        let code = |code: Option<Code>| code.map(|code| code.0);
        Disclosure {
            need: match code(self.dsarequired) {
                None | Some(0) => Need::None,
                Some(1) => Need::Welcome,
                Some(_) => Need::Needed,
            },
            rendering: match code(self.pubrender) {
                Some(0) => Rendering::Never,
                None | Some(1) => Rendering::Open,
                Some(_) => Rendering::Always,
            },
            data: code(self.datatopub) != Some(0),
        }
    }
}

impl Regs<'_> {
    /// What is to be told of who advertises. Where both places say something, what asks for more counts.
    pub(super) fn transparency(&self) -> Disclosure {
        let there = self.ext.as_ref().and_then(|ext| ext.dsa.as_ref());
        let all = [there, self.dsa.as_ref()].into_iter().flatten().map(Dsa::wanted);
        all.max_by_key(|wanted| wanted.need).unwrap_or_default()
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
