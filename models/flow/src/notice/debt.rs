//! What is owed for a hold of which more than one notice tells, before any of them is booked: one table.
//!
//! | is owed | is told | is owed then |
//! |---|---|---|
//! | a win | a win | the first one: a win that comes again says nothing new |
//! | a win | a billing with a price | the billing's price |
//! | a win | a billing without one | the win's price, as billed |
//! | a billing | a win or a billing | the first one |
//!
//! What is told later of a hold never makes it late, where the first notice came in time.

use kiki_models::shield::money::Micros;

/// What one notice says of it, or all that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Of one impression, in the campaign's currency.
    pub amount: Micros,
    /// It is billed, not only won.
    pub billed: bool,
    /// No price was told: the amount is the most that it can be.
    pub silent: bool,
}

impl Debt {
    /// What is owed when this is told of what was owed before.
    pub fn after(self, known: Debt) -> Debt {
        match (known.billed, self.billed) {
            (false, true) if self.silent => Debt { billed: true, ..known },
            (false, true) => self,
            (true, _) | (false, false) => known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debt(amount: i64, billed: bool, silent: bool) -> Debt {
        Debt { amount: Micros(amount), billed, silent }
    }

    #[test]
    fn every_row_of_the_table_is_as_it_is_documented() {
        let (won, billed) = (debt(50, false, false), debt(60, true, false));
        let (silently_won, silently_billed) = (debt(200, false, true), debt(200, true, true));
        for (known, told, owed) in [
            (won, debt(70, false, false), won),
            (won, silently_won, won),
            (silently_won, won, silently_won),
            (won, billed, billed),
            (won, silently_billed, debt(50, true, false)),
            (silently_won, silently_billed, silently_billed),
            (silently_won, billed, billed),
            (billed, won, billed),
            (billed, silently_billed, billed),
            (silently_billed, debt(70, true, false), silently_billed),
        ] {
            assert_eq!(told.after(known), owed, "{known:?} {told:?}");
            // The same again changes nothing.
            assert_eq!(told.after(owed), owed, "{known:?} {told:?}");
        }
    }
}
