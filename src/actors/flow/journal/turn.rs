//! Whose turn it is, where there is always more of both.

/// What comes before all else that is asked of the store, but for the turns of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Looking for bids that something became of.
    Look,
    Write,
}

impl Turn {
    /// The one after `last`, of what there is to do. They alternate: after a restart there may be a bid to look
    /// for all the time, and whoever waits for a record waits for a write.
    pub fn after(last: Turn, looks: bool, writes: bool) -> Option<Turn> {
        match (looks, writes) {
            (true, true) if last == Turn::Look => Some(Turn::Write),
            (true, _) => Some(Turn::Look),
            (false, true) => Some(Turn::Write),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_waits_for_the_other_to_have_nothing_to_do() {
        use Turn::{Look, Write};
        let (mut last, mut turns) = (Write, Vec::new());
        for (looks, writes) in [(true, true); 4].into_iter().chain([(true, false), (true, true)]) {
            last = Turn::after(last, looks, writes).expect("there is something to do");
            turns.push(last);
        }
        assert_eq!(turns, [Look, Write, Look, Write, Look, Write]);
        for last in [Look, Write] {
            assert_eq!(Turn::after(last, true, false), Some(Look));
            assert_eq!(Turn::after(last, false, true), Some(Write));
            assert_eq!(Turn::after(last, false, false), None);
        }
    }
}
