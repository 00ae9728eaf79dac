//! Many customers, grouped: those with the same history count once with their number.

use super::fit::report::FitError;
use super::history::History;

/// Customers with one history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    pub history: History,
    pub customers: u64,
}

/// A set of customers for a fit, sorted by repeats, recency and age; every history is there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cohort {
    groups: Vec<Group>,
    customers: u64,
}

impl Cohort {
    /// Groups of each repeat count lie side by side: what depends on it alone is computed once.
    pub fn by_repeats(&self) -> impl Iterator<Item = &[Group]> {
        self.groups.chunk_by(|a, b| a.history.repeats() == b.history.repeats())
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub fn customers(&self) -> u64 {
        self.customers
    }

    /// Mean of repeat purchases and of age over the customers; of none, zeros.
    pub fn means(&self) -> (f64, f64) {
        let sums = self.groups.iter().fold((0.0, 0.0), |(x, t), g| {
            let n = g.customers as f64;
            (x + n * f64::from(g.history.repeats()), t + n * g.history.age())
        });
        let n = self.customers.max(1) as f64;
        (sums.0 / n, sums.1 / n)
    }

    /// The same, of customers that a model of `least` parameters can be fitted to.
    pub fn fit_means(&self, least: u64) -> Result<(f64, f64), FitError> {
        let (repeats, age) = self.means();
        match () {
            () if self.customers < least => {
                Err(FitError::TooFew { customers: self.customers, least })
            }
            () if repeats == 0.0 => Err(FitError::NoRepeats),
            () if age == 0.0 => Err(FitError::NoTime),
            () => Ok((repeats, age)),
        }
    }
}

impl FromIterator<History> for Cohort {
    fn from_iter<I: IntoIterator<Item = History>>(histories: I) -> Cohort {
        let mut all: Vec<History> = histories.into_iter().collect();
        // Times are neither negative nor NaN, so their bits sort as they do.
        let key = |h: &History| (h.repeats(), h.recency().to_bits(), h.age().to_bits());
        all.sort_unstable_by_key(key);
        let groups: Vec<Group> = all
            .chunk_by(|a, b| key(a) == key(b))
            .map(|same| Group { history: same[0], customers: same.len() as u64 })
            .collect();
        Cohort { customers: all.len() as u64, groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_with_one_history_are_one_group_and_none_is_lost() {
        let of = |x, t_x, t| History::new(x, t_x, t).unwrap();
        let cohort: Cohort =
            [of(1, 2.0, 9.0), of(0, 0.0, 9.0), of(1, 2.0, 9.0), of(1, 3.0, 9.0), of(0, 0.0, 5.0)]
                .into_iter()
                .collect();
        let counts: Vec<u64> = cohort.groups().iter().map(|g| g.customers).collect();
        assert_eq!((counts, cohort.customers()), (vec![1, 1, 2, 1], 5));
        assert_eq!(cohort.by_repeats().map(<[Group]>::len).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(cohort.means(), (0.6, 8.2));
        assert_eq!(Cohort::default().means(), (0.0, 0.0));
    }
}
