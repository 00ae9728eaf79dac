//! Sums over what certainly holds for some time, asked for many moments at once.

use crate::history::AtUs;

/// An amount that certainly counts after `from` and before `until`.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub from: AtUs,
    pub until: AtUs,
    pub amount: i128,
}

/// For each time from `a.0` to `a.1`: the sum of all spans that certainly cover all of it. Answered in the
/// order of `asks`. One sweep and a tree of sums: n log n.
pub fn covering(spans: &mut [Span], asks: &[(AtUs, AtUs)]) -> Vec<i128> {
    spans.sort_unstable_by_key(|span| span.from);
    let mut ends: Vec<AtUs> = spans.iter().map(|span| span.until).collect();
    ends.sort_unstable();
    ends.dedup();
    let mut order: Vec<usize> = (0..asks.len()).collect();
    order.sort_unstable_by_key(|ask| asks[*ask].0);
    let mut tree = Sums::new(ends.len());
    let mut sums = vec![0; asks.len()];
    let mut spans = spans.iter().peekable();
    for ask in order {
        let (from, to) = asks[ask];
        while let Some(span) = spans.next_if(|span| span.from < from) {
            tree.add(ends.partition_point(|end| *end < span.until), span.amount);
        }
        // Those that end after `to`.
        sums[ask] = tree.total - tree.before(ends.partition_point(|end| *end <= to));
    }
    sums
}

/// Sums of prefixes (Fenwick's tree).
struct Sums {
    nodes: Vec<i128>,
    total: i128,
}

impl Sums {
    fn new(len: usize) -> Sums {
        Sums { nodes: vec![0; len + 1], total: 0 }
    }

    fn add(&mut self, at: usize, amount: i128) {
        self.total += amount;
        let mut at = at + 1;
        while let Some(node) = self.nodes.get_mut(at) {
            *node += amount;
            at += at & at.wrapping_neg();
        }
    }

    fn before(&self, mut at: usize) -> i128 {
        let mut sum = 0;
        while at > 0 {
            sum += self.nodes[at];
            at &= at - 1;
        }
        sum
    }
}

/// Amounts by time: what came before a moment.
#[derive(Debug, Default)]
pub struct Steps(Vec<(AtUs, i128)>);

impl Steps {
    pub fn of(mut all: Vec<(AtUs, i128)>) -> Steps {
        all.sort_unstable_by_key(|(at, _)| *at);
        let mut sum = 0;
        for (_, amount) in &mut all {
            sum += *amount;
            *amount = sum;
        }
        Steps(all)
    }

    pub fn before(&self, at_us: AtUs) -> i128 {
        let count = self.0.partition_point(|(at, _)| *at < at_us);
        count.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_those_of_a_plain_loop(
            spans in prop::collection::vec((0u64..30, 0u64..40, 1i128..9), 0..30),
            asks in prop::collection::vec((0u64..30, 0u64..10), 0..30),
        ) {
            let mut spans: Vec<Span> =
                spans.into_iter().map(|(from, until, amount)| Span { from, until, amount }).collect();
            let asks: Vec<(u64, u64)> = asks.into_iter().map(|(at, len)| (at, at + len)).collect();
            let plain: Vec<i128> = asks
                .iter()
                .map(|(from, to)| {
                    let covers = |s: &&Span| s.from < *from && s.until > *to;
                    spans.iter().filter(covers).map(|s| s.amount).sum()
                })
                .collect();
            prop_assert_eq!(covering(&mut spans, &asks), plain);
        }
    }
}
