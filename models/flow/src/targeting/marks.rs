//! Numbers that a request names: marked once, and looked up by each candidate at the same cost, however many
//! there are.

use super::bits;

/// A set of numbers that is emptied at the cost of what is in it.
#[derive(Debug, Default)]
pub struct Marks {
    bits: Vec<u64>,
    marked: Vec<u32>,
}

impl Marks {
    /// Empties it; numbers below `n` can be marked from now on.
    pub fn begin(&mut self, n: usize) {
        let Marks { bits, marked } = self;
        marked.drain(..).for_each(|number| bits::clear(bits, number));
        bits.resize(bits::words(n), 0);
    }

    pub fn mark(&mut self, number: u32) {
        if (number as usize) < 64 * self.bits.len() && !self.holds(number) {
            bits::set(&mut self.bits, number);
            self.marked.push(number);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.marked.is_empty()
    }

    pub fn holds(&self, number: u32) -> bool {
        bits::holds(&self.bits, number)
    }

    /// Whether one of the numbers is marked.
    pub fn meets(&self, numbers: &[u32]) -> bool {
        !self.is_empty() && numbers.iter().any(|number| self.holds(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_of_one_request_whatever_there_was_before() {
        let mut marks = Marks::default();
        for (n, numbers) in [(300, &[0, 64, 299][..]), (10, &[9, 9, 300]), (0, &[1]), (65, &[64])] {
            marks.begin(n);
            assert!(marks.is_empty() && !marks.meets(&[0, 1, 9, 64, 299]));
            numbers.iter().for_each(|number| marks.mark(*number));
            let fits = |number: &&u32| (**number as usize) < 64 * bits::words(n);
            for number in numbers.iter().filter(fits) {
                assert!(marks.holds(*number) && marks.meets(&[7, *number]));
            }
            assert!(!marks.holds(300) && !marks.meets(&[7, 8]));
        }
    }
}
