//! A question of `syncvalue.v1.SyncValueService`, read: bounded, and every mistake named by its field.

use std::collections::HashMap;

use super::v1::{Event, PredictLtvRequest};
use super::vector;
use crate::actors::value::{Ask, today};
use crate::api::problem::Problem;
use crate::api::value::common;
use crate::models::value::forecast::customer::{Purchase, merged};
use crate::models::value::log::day::Day;

/// Events of one question.
const EVENTS_MAX: usize = 10_000;
/// Inputs of one question that are named.
const FEATURES_MAX: usize = 64;
/// Inputs that count where no purchases are known.
const HINTS: [&str; 2] = ["spend", "engagement_score"];
/// The most that one purchase may be, in units of the currency.
pub const VALUE_MAX: f64 = 1e9;

/// Micros of a sum from 0 to [`VALUE_MAX`].
pub fn micros(value: f64) -> i64 {
    (value * 1e6).round() as i64
}

fn event(place: usize, event: &Event, today: Day) -> Result<Option<Purchase>, Problem> {
    let part = format!("events[{place}]");
    let wrong = |field: &str, why: &str| Problem::field(field, why).within(&part);
    let time = event.time.as_ref().ok_or_else(|| wrong("time", "is missing"))?;
    let days = i32::try_from(time.seconds.div_euclid(86_400)).ok();
    let day = days.and_then(Day::new);
    let day = day.ok_or_else(|| wrong("time", "is not between 1900 and 2199"))?;
    if day > today {
        return Err(wrong("time", "is in the future"));
    }
    if event.r#type != "purchase" {
        return Ok(None);
    }
    if !(0.0..=VALUE_MAX).contains(&event.value) {
        return Err(wrong("value", "is not a number from 0 to 1e9"));
    }
    Ok(Some(Purchase { day, micros: micros(event.value) }))
}

/// Refuses inputs that nobody knows: left out silently, they would be taken for part of the answer.
fn check_names(features: &HashMap<String, f64>) -> Result<(), Problem> {
    let known = |name: &str| HINTS.contains(&name) || vector::NAMES.contains(&name);
    let Some(name) = features.keys().filter(|name| !known(name)).min() else { return Ok(()) };
    let name: String = name.chars().take(64).collect();
    let names = [&HINTS[..], &vector::NAMES[..]].concat().join(", ");
    Err(Problem::field("features", format!("have {name:?}, which is none of {names}")))
}

/// A question, read.
///
/// # Errors
/// Something in it cannot be.
pub fn ask(request: PredictLtvRequest) -> Result<Ask, Problem> {
    common::check_customer("customer_id", &request.customer_id)?;
    for (field, text) in [("platform", &request.platform), ("campaign_id", &request.campaign_id)] {
        if text.chars().count() > 256 || text.chars().any(char::is_control) {
            return Err(Problem::field(field, "is not at most 256 characters of text"));
        }
    }
    if request.events.len() > EVENTS_MAX {
        return Err(Problem::field("events", format!("are more than {EVENTS_MAX}")));
    }
    if request.features.len() > FEATURES_MAX {
        return Err(Problem::field("features", format!("are more than {FEATURES_MAX}")));
    }
    check_names(&request.features)?;
    let feature = |name: &str| request.features.get(name).copied();
    let hint = common::hint(feature("spend"), feature("engagement_score"))?;
    let horizon_days = match request.horizon_days {
        0 => None,
        days => Some(common::check_horizon("horizon_days", days.into())?),
    };
    let today = today();
    let mut purchases = Vec::new();
    for (place, one) in request.events.iter().enumerate() {
        purchases.extend(event(place, one, today)?);
    }
    let vector = vector::purchases(&request.features, today)?;
    // without a purchase among them, events say nothing of what was bought
    let purchases = match (purchases.is_empty(), vector) {
        (true, vector) => vector,
        (false, None) => Some(merged(purchases)),
        (false, Some(_)) => {
            let why = "have purchases, and features say of others: send one of them";
            return Err(Problem::field("events", why));
        }
    };
    let explain = !request.omit_contributions;
    Ok(Ask { hint, horizon_days, explain, purchases, ..Ask::of(request.customer_id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(event: Event) -> PredictLtvRequest {
        PredictLtvRequest {
            customer_id: "c".to_owned(),
            events: vec![event],
            ..PredictLtvRequest::default()
        }
    }

    fn bought(seconds: i64, value: f64) -> Event {
        let time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        Event { time, r#type: "purchase".to_owned(), value, source: String::new() }
    }

    #[test]
    fn purchases_of_a_question_are_read_by_day() {
        let mut asked = request(bought(86_400, 1.5));
        asked.events.push(bought(86_401, 2.25));
        asked.events.push(Event { r#type: "visit".to_owned(), ..bought(90_000, f64::NAN) });
        let purchases = ask(asked).expect("a question").purchases.expect("purchases");
        assert_eq!(purchases.len(), 1);
        assert_eq!((purchases[0].day.number(), purchases[0].micros), (1, 3_750_000));
    }

    #[test]
    fn a_question_that_cannot_be_is_refused_by_its_field() {
        let field = |request: PredictLtvRequest| {
            let problem = ask(request).expect_err("a problem");
            problem.wrong_field().unwrap_or_default().to_owned()
        };
        let none = Event { time: None, ..bought(0, 1.0) };
        assert_eq!(field(request(none)), "events[0].time");
        assert_eq!(field(request(bought(0, -1.0))), "events[0].value");
        assert_eq!(field(request(bought(0, f64::INFINITY))), "events[0].value");
        assert_eq!(field(request(bought(i64::MAX, 1.0))), "events[0].time");
        assert_eq!(field(request(bought(4_102_444_800, 1.0))), "events[0].time", "2100");
        assert_eq!(field(PredictLtvRequest::default()), "customer_id");
        let long = PredictLtvRequest { horizon_days: 4_000, ..request(bought(0, 1.0)) };
        assert_eq!(field(long), "horizon_days");
        let mut worse = request(bought(0, 1.0));
        worse.features.insert("spend".to_owned(), -1.0);
        assert_eq!(field(worse), "spend");
    }

    fn features(all: &[(&str, f64)]) -> PredictLtvRequest {
        let features = all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        PredictLtvRequest { customer_id: "c".to_owned(), features, ..PredictLtvRequest::default() }
    }

    #[test]
    fn events_without_a_purchase_leave_the_purchases_that_are_known() {
        let visit = Event { r#type: "visit".to_owned(), ..bought(90_000, 0.0) };
        assert_eq!(ask(request(visit)).expect("a question").purchases, None);
    }

    #[test]
    fn a_feature_vector_stands_for_purchases_and_names_that_nobody_knows_are_refused() {
        let vector =
            [("frequency", 2.0), ("recency_days", 30.0), ("age_days", 60.0), ("mean_spend", 5.0)];
        let asked = ask(features(&vector)).expect("a question");
        assert_eq!(asked.purchases.map(|purchases| purchases.len()), Some(3));
        let both = PredictLtvRequest { events: vec![bought(0, 1.0)], ..features(&vector) };
        assert_eq!(ask(both).expect_err("a problem").wrong_field(), Some("events"));
        for name in ["recency", "Spend", "", "frequency "] {
            let problem = ask(features(&[("spend", 1.0), (name, 3.0)])).expect_err("a problem");
            assert_eq!(problem.wrong_field(), Some("features"), "{problem:?}");
        }
        let hints =
            ask(features(&[("spend", 1.0), ("engagement_score", 0.5)])).expect("a question");
        assert_eq!((hints.purchases, hints.hint.spend), (None, Some(1.0)));
    }
}
