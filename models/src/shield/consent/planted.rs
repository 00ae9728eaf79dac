//! Bugs that the simulation plants to see that it finds them. No build but a test has any.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// A revocation is answered before the leases that it touches are over.
    AnswersEarly,
    /// An answer from before a recall is put into the cache after it.
    LateAnswerEnters,
    /// An erasure sets the generations back, while leases and caches know the old ones.
    CountsBack,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Planted {
    #[cfg(test)]
    pub bug: Option<Bug>,
}

impl Planted {
    #[cfg(test)]
    pub fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(test))]
    #[inline(always)]
    pub fn has(self, _bug: Bug) -> bool {
        false
    }
}
