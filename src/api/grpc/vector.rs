//! A feature vector of a question, read as the purchases that it stands for.

use std::collections::HashMap;

use super::question::{VALUE_MAX, micros};
use crate::api::problem::Problem;
use crate::models::value::forecast::customer::Purchase;
use crate::models::value::log::day::Day;

/// Its inputs.
pub const NAMES: [&str; 4] = ["frequency", "recency_days", "age_days", "mean_spend"];

/// Days with a purchase after the first one: with it as many as a question may have events.
const FREQUENCY_MAX: i32 = 9_999;
/// Days since the first purchase: a century.
const AGE_DAYS_MAX: i32 = 36_500;

/// A first purchase `age_days` ago and `frequency` more, evenly spread over the `recency_days` after it,
/// each of `mean_spend`. `None` where no input is given; others than [`NAMES`] are not looked at.
///
/// # Errors
/// An input is missing, or the inputs are no customer's.
pub fn purchases(
    features: &HashMap<String, f64>,
    today: Day,
) -> Result<Option<Vec<Purchase>>, Problem> {
    if !NAMES.iter().any(|name| features.contains_key(*name)) {
        return Ok(None);
    }
    let given = |name: &str| features.get(name).copied();
    let needed = |name: &str| given(name).ok_or_else(|| Problem::missing(name));
    let frequency = whole("frequency", needed("frequency")?, FREQUENCY_MAX)?;
    let age = whole("age_days", needed("age_days")?, AGE_DAYS_MAX)?;
    let recency = match given("recency_days") {
        None if frequency == 0 => 0,
        None => return Err(Problem::missing("recency_days")),
        Some(days) => whole("recency_days", days, AGE_DAYS_MAX)?,
    };
    if recency > age {
        return Err(Problem::field("recency_days", "is more than age_days"));
    }
    if frequency > recency {
        let why = "is more than recency_days: it counts days with a purchase after the first one";
        return Err(Problem::field("frequency", why));
    }
    if frequency == 0 && recency > 0 {
        return Err(Problem::field("recency_days", "is not 0, and frequency is"));
    }
    let spend = needed("mean_spend")?;
    if !(0.0..=VALUE_MAX).contains(&spend) {
        return Err(Problem::field("mean_spend", "is not a number from 0 to 1e9"));
    }
    let (micros, first) = (micros(spend), today.number() - age);
    // at least a day apart, for there are at least as many days as purchases
    let days = (0..=frequency).map(|nth| first + recency * nth / frequency.max(1));
    let purchase = |day: i32| {
        let day = Day::new(day);
        let day = day.ok_or_else(|| Problem::field("age_days", "begins before 1900"))?;
        Ok(Purchase { day, micros })
    };
    days.map(purchase).collect::<Result<_, Problem>>().map(Some)
}

fn whole(name: &str, value: f64, most: i32) -> Result<i32, Problem> {
    let fits = (0.0..=f64::from(most)).contains(&value) && value.fract() == 0.0;
    let why = || Problem::field(name, format!("is not a whole number from 0 to {most}"));
    fits.then_some(value as i32).ok_or_else(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(features: &[(&str, f64)]) -> Result<Option<Vec<Purchase>>, String> {
        let features: HashMap<String, f64> =
            features.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let today = Day::new(20_000).expect("a day");
        let field = |problem: Problem| problem.wrong_field().expect("a field").to_owned();
        purchases(&features, today).map_err(field)
    }

    #[test]
    fn a_vector_is_read_as_purchases_that_are_evenly_spread() {
        let vector =
            [("frequency", 3.0), ("recency_days", 10.0), ("age_days", 30.0), ("mean_spend", 2.5)];
        let all = read(&vector).expect("a vector").expect("purchases");
        let days: Vec<i32> = all.iter().map(|purchase| purchase.day.number()).collect();
        assert_eq!(days, [19_970, 19_973, 19_976, 19_980]);
        assert!(all.iter().all(|purchase| purchase.micros == 2_500_000));
        let once = [("frequency", 0.0), ("age_days", 0.0), ("mean_spend", 0.0)];
        let once = read(&once).expect("a vector").expect("purchases");
        assert_eq!((once.len(), once[0].day.number(), once[0].micros), (1, 20_000, 0));
        let most = [
            ("frequency", 9_999.0),
            ("recency_days", 9_999.0),
            ("age_days", 36_500.0),
            ("mean_spend", 1e9),
        ];
        let most = read(&most).expect("a vector").expect("purchases");
        assert_eq!(most.len(), 10_000);
        assert!(most.is_sorted_by(|a, b| a.day < b.day));
        assert_eq!(read(&[("spend", 1.0)]), Ok(None));
    }

    #[test]
    fn what_is_no_customer_is_refused_by_its_input() {
        let with = |frequency: f64, recency: f64, age: f64, spend: f64| {
            let vector = [
                ("frequency", frequency),
                ("recency_days", recency),
                ("age_days", age),
                ("mean_spend", spend),
            ];
            read(&vector).expect_err("a problem")
        };
        assert_eq!(with(0.5, 1.0, 2.0, 1.0), "frequency");
        assert_eq!(with(10_000.0, 20_000.0, 20_000.0, 1.0), "frequency");
        assert_eq!(with(f64::NAN, 1.0, 2.0, 1.0), "frequency");
        assert_eq!(with(-1.0, 1.0, 2.0, 1.0), "frequency");
        assert_eq!(with(3.0, 2.0, 2.0, 1.0), "frequency");
        assert_eq!(with(1.0, 3.0, 2.0, 1.0), "recency_days");
        assert_eq!(with(0.0, 1.0, 2.0, 1.0), "recency_days");
        assert_eq!(with(1.0, 1.0, f64::INFINITY, 1.0), "age_days");
        assert_eq!(with(1.0, 1.0, 36_501.0, 1.0), "age_days");
        assert_eq!(with(1.0, 1.0, 2.0, -1.0), "mean_spend");
        assert_eq!(with(1.0, 1.0, 2.0, 2e9), "mean_spend");
        for (features, missing) in [
            (&[("frequency", 1.0)][..], "age_days"),
            (&[("mean_spend", 1.0)][..], "frequency"),
            (&[("frequency", 1.0), ("age_days", 2.0), ("mean_spend", 1.0)][..], "recency_days"),
            (&[("frequency", 0.0), ("age_days", 2.0)][..], "mean_spend"),
        ] {
            assert_eq!(read(features).as_ref().map_err(String::as_str), Err(missing));
        }
    }
}
