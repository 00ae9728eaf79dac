//! Exchange rates of one day, and conversions that never round in our disfavour.

use kiki_models::shield::money::{Currency, Micros, Rate};

/// Currencies of one table.
pub const RATES_MAX: usize = 200;

/// A table of rates: units of its base × 1e9 for one unit of each currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The day they are of, as the number yyyymmdd.
    pub day: i32,
    base: Currency,
    /// Ascending, each once, the base among them.
    rates: Vec<(Currency, Rate)>,
}

/// What an amount is rounded to that is no whole number of micros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    Down,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRates {
    #[error("a rate is not above 0")]
    NotPositive,
    #[error("a currency is there twice")]
    Twice,
    #[error("more than 200 currencies")]
    TooMany,
}

impl Rates {
    /// The base itself need not be listed, and where it is, it must be [`Rate::ONE`].
    pub fn new(
        day: i32,
        base: Currency,
        listed: impl IntoIterator<Item = (Currency, Rate)>,
    ) -> Result<Rates, BadRates> {
        let mut rates: Vec<(Currency, Rate)> = Vec::new();
        for (currency, rate) in listed {
            if rates.len() >= RATES_MAX {
                return Err(BadRates::TooMany);
            }
            if rate.0 <= 0 {
                return Err(BadRates::NotPositive);
            }
            rates.push((currency, rate));
        }
        if !rates.contains(&(base, Rate::ONE)) {
            rates.push((base, Rate::ONE));
        }
        rates.sort_unstable_by_key(|(currency, _)| *currency);
        match rates.windows(2).any(|pair| pair.first().map(|p| p.0) == pair.last().map(|p| p.0)) {
            true => Err(BadRates::Twice),
            false => Ok(Rates { day, base, rates }),
        }
    }

    /// No rate of anything but one currency to itself.
    pub fn none(base: Currency) -> Rates {
        Rates { day: 0, base, rates: vec![(base, Rate::ONE)] }
    }

    pub fn base(&self) -> Currency {
        self.base
    }

    pub fn rate(&self, of: Currency) -> Option<Rate> {
        let at = self.rates.binary_search_by_key(&of, |(currency, _)| *currency).ok()?;
        self.rates.get(at).map(|(_, rate)| *rate)
    }

    /// How to get from one currency to another; from one to itself also where there is no rate of it.
    pub fn cross(&self, from: Currency, to: Currency) -> Option<Cross> {
        if from == to {
            return Some(Cross::SAME);
        }
        Some(Cross { from: self.rate(from)?, to: self.rate(to)? })
    }

    pub fn convert(
        &self,
        amount: Micros,
        from: Currency,
        to: Currency,
        round: Round,
    ) -> Option<Micros> {
        self.cross(from, to).map(|cross| cross.convert(amount, round))
    }
}

/// Two rates of one table: `amount · from / to`. Kept with a bid, so that what it costs is converted back at
/// the rate that it was made at, whatever the table says by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cross {
    pub from: Rate,
    pub to: Rate,
}

impl Cross {
    pub const SAME: Cross = Cross { from: Rate::ONE, to: Rate::ONE };

    pub fn back(self) -> Cross {
        Cross { from: self.to, to: self.from }
    }

    pub fn is_same(self) -> bool {
        self.from == self.to
    }

    /// Exact but for one rounding: there down and back up is never more than before.
    pub fn convert(self, amount: Micros, round: Round) -> Micros {
        if self.is_same() {
            return amount;
        }
        let product = i128::from(amount.0) * i128::from(self.from.0);
        let by = i128::from(self.to.0.max(1));
        let whole = match round {
            Round::Down => product.div_euclid(by),
            Round::Up => -((-product).div_euclid(by)),
        };
        Micros(whole.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// For estimates.
    pub fn factor(self) -> f64 {
        if self.is_same() { 1.0 } else { self.from.0 as f64 / self.to.0.max(1) as f64 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Currency {
        text.parse().expect("a code")
    }

    fn table() -> Rates {
        let listed = [(code("EUR"), Rate(1_085_000_000)), (code("JPY"), Rate(6_700_000))];
        Rates::new(20261121, Currency::USD, listed).expect("rates")
    }

    #[test]
    fn amounts_are_converted_across_the_base_and_rounded_once() {
        let convert = |amount, from, to, round| {
            table().convert(Micros(amount), code(from), code(to), round).map(|m| m.0)
        };
        assert_eq!(convert(1_000_000, "EUR", "USD", Round::Down), Some(1_085_000));
        assert_eq!(convert(1_000_000, "EUR", "JPY", Round::Down), Some(161_940_298));
        assert_eq!(convert(1_000_000, "EUR", "JPY", Round::Up), Some(161_940_299));
        assert_eq!(convert(7, "GBP", "GBP", Round::Up), Some(7), "no rate is needed");
        assert_eq!(convert(7, "GBP", "USD", Round::Up), None);
        assert_eq!(convert(i64::MAX, "EUR", "JPY", Round::Up), Some(i64::MAX));
    }

    #[test]
    fn tables_that_cannot_be_are_refused() {
        let new =
            |listed: &[(Currency, Rate)]| Rates::new(0, Currency::USD, listed.iter().copied());
        let eur = (code("EUR"), Rate(1));
        assert_eq!(new(&[eur, eur]), Err(BadRates::Twice));
        assert_eq!(new(&[(code("EUR"), Rate(0))]), Err(BadRates::NotPositive));
        assert_eq!(new(&[(Currency::USD, Rate(2))]), Err(BadRates::Twice));
        assert!(new(&[(Currency::USD, Rate::ONE)]).is_ok());
    }

    proptest! {
        #[test]
        fn there_down_and_back_up_is_never_more_than_before(
            amount in 0_i64..1_000_000_000_000_000, from in 1_i64..i64::MAX, to in 1_i64..i64::MAX,
        ) {
            let cross = Cross { from: Rate(from), to: Rate(to) };
            let there = cross.convert(Micros(amount), Round::Down);
            if there.0 < i64::MAX {
                prop_assert!(cross.back().convert(there, Round::Up) <= Micros(amount));
                prop_assert!(cross.convert(Micros(amount), Round::Up).0 - there.0 <= 1);
            }
        }
    }
}
