use proptest::prelude::*;

use super::*;

const HOUR: i64 = DAY_US / 24;

/// Auctions in an hour of the day: night, morning, evening.
fn per_hour(hour: i64) -> u64 {
    [20, 20, 20, 20, 20, 50, 200, 400, 600, 600, 500, 500, 500, 500, 500, 600, 700, 900, 1_200]
        .into_iter()
        .chain([1_400, 1_400, 1_000, 500, 100])
        .nth(hour.rem_euclid(24) as usize)
        .unwrap_or(0)
}

/// Plays hours `from..to` (since the start), five minutes at a time, `times` the usual traffic.
fn play(forecast: &mut Forecast, from: i64, to: i64, times: f64) {
    for five in from * 12..to * 12 {
        let count = per_hour(five / 12) as f64 / 12.0 * times;
        let before = per_hour(five / 12) as f64 / 12.0 * times * (five % 12) as f64;
        let whole = (before + count).round() - before.round();
        forecast.seen(five * (HOUR / 12) + 1, whole as u64);
    }
}

fn rest(from: i64, to: i64) -> f64 {
    (from..to).map(|hour| per_hour(hour) as f64).sum()
}

#[test]
fn before_anything_is_seen_only_the_prior_speaks() {
    assert_eq!(Forecast::new(96, None).between(0, DAY_US), None);
    let prior = Prior { per_day: 9_600.0, days: 1.0 };
    let forecast = Forecast::new(96, Some(prior));
    assert_eq!(forecast.between(0, DAY_US / 4), Some(2_400.0));
    assert_eq!(forecast.between(10, 10), Some(0.0));
    assert_eq!(forecast.between(10, 0), Some(0.0));
    let half = forecast.between(HOUR / 7, 2 * DAY_US + HOUR / 7).unwrap();
    assert!((half / 19_200.0 - 1.0).abs() < 1e-9, "{half}");
}

#[test]
fn on_the_first_day_the_rest_is_as_what_was_seen() {
    let mut forecast = Forecast::new(96, None);
    for minute in 0..600 {
        forecast.seen(minute * (HOUR / 60), 7);
    }
    let said = forecast.between(599 * (HOUR / 60), DAY_US).unwrap();
    assert!((said / (841.0 * 7.0) - 1.0).abs() < 0.01, "{said}");
}

#[test]
fn on_the_first_day_traffic_that_fell_and_begins_to_rise_is_expected_to_rise_further() {
    let mut forecast = Forecast::new(96, None);
    let per_slot = |slot: i64| {
        let part = slot as f64 / 96.0;
        (400.0 * (1.0 - 0.6 * (std::f64::consts::TAU * (part - 0.2)).cos())) as u64
    };
    // It was least at slot 19.
    for slot in 0..40 {
        forecast.seen(slot * DAY_US / 96, per_slot(slot));
    }
    let truth: u64 = (40..96).map(per_slot).sum();
    let said = forecast.between(40 * DAY_US / 96, DAY_US).unwrap();
    let mean = (0..40).map(per_slot).sum::<u64>() as f64 / 40.0 * 56.0;
    assert!(mean < 0.6 * truth as f64, "{mean} of {truth}");
    assert!((said / truth as f64).ln().abs() < 0.25, "{said} of {truth}");
}

#[test]
fn auctions_that_count_for_more_are_forecast_as_more() {
    let mut forecast = Forecast::new(4, Some(Prior { per_day: 400.0, days: 1e3 }));
    forecast.advance(0);
    let weights = [1.0, 2.0, 0.5, 1.0];
    assert_eq!(forecast.weighed(0, DAY_US, &weights), Some((400.0, 450.0)));
    let (auctions, weighed) = forecast.weighed(DAY_US / 8, 2 * DAY_US, &weights).unwrap();
    assert!((auctions - 750.0).abs() < 1e-6 && (weighed - 850.0).abs() < 1e-6);
    assert_eq!(forecast.weighed(0, DAY_US, &[]), Some((400.0, 400.0)));
}

#[test]
fn the_shape_of_the_day_is_learned_within_a_day_and_kept() {
    let mut forecast = Forecast::new(96, None);
    play(&mut forecast, 0, 24, 1.0);
    for hour in [6, 12, 18] {
        play(&mut forecast, if hour == 6 { 24 } else { 24 + hour - 6 }, 24 + hour, 1.0);
        let said = forecast.between((24 + hour) * HOUR, 48 * HOUR).unwrap();
        let truth = rest(hour, 24);
        assert!((said / truth - 1.0).abs() < 0.02, "{hour}: {said} of {truth}");
    }
}

#[test]
fn a_day_of_half_the_traffic_is_noticed_by_noon() {
    let mut forecast = Forecast::new(96, None);
    play(&mut forecast, 0, 72, 1.0);
    play(&mut forecast, 72, 84, 0.5);
    let said = forecast.between(84 * HOUR, 96 * HOUR).unwrap();
    let truth = rest(12, 24) / 2.0;
    assert!((said / truth - 1.0).abs() < 0.1, "{said} of {truth}");
}

#[test]
fn growth_from_day_to_day_is_followed() {
    let mut forecast = Forecast::new(48, None);
    for day in 0..8 {
        play(&mut forecast, day * 24, day * 24 + 24, 1.1f64.powi(day as i32));
    }
    play(&mut forecast, 192, 204, 1.1f64.powi(8));
    let said = forecast.between(204 * HOUR, 216 * HOUR).unwrap();
    let truth = rest(12, 24) * 1.1f64.powi(8);
    assert!((said / truth - 1.0).abs() < 0.06, "{said} of {truth}");
}

#[test]
fn a_forecast_that_was_stored_goes_on_as_if_it_had_not_been() {
    let mut kept = Forecast::new(24, Some(Prior { per_day: 100.0, days: 0.1 }));
    let mut stored = kept.clone();
    for hour in 0..60 {
        let json = serde_json::to_string(&stored).unwrap();
        stored = serde_json::from_str(&json).unwrap();
        play(&mut kept, hour, hour + 1, 1.0);
        play(&mut stored, hour, hour + 1, 1.0);
        let asked = ((hour + 1) * HOUR, 100 * HOUR);
        let (a, b) = (kept.between(asked.0, asked.1), stored.between(asked.0, asked.1));
        assert!((a.unwrap() / b.unwrap() - 1.0).abs() < 1e-9, "{a:?} {b:?}");
    }
    let json = serde_json::to_string(&stored).unwrap();
    assert!(json.len() < 4_000, "{}", json.len());
    let broken = json.replace("\"total\":", "\"total\":-");
    assert!(serde_json::from_str::<Forecast>(&broken).is_err());
}

#[test]
fn a_gap_that_nobody_watched_and_a_clock_that_leapt_teach_nothing() {
    let mut forecast = Forecast::new(96, None);
    play(&mut forecast, 0, 24, 1.0);
    let before = forecast.between(DAY_US, 2 * DAY_US).expect("a forecast");
    forecast.advance(400 * DAY_US);
    let after = forecast.between(400 * DAY_US, 401 * DAY_US).expect("a forecast");
    assert!((after / before - 1.0).abs() < 0.05, "{before} {after}");
    // Set back, it counts on from there.
    forecast.advance(DAY_US);
    play(&mut forecast, 24, 48, 1.0);
    let again = forecast.between(2 * DAY_US, 3 * DAY_US).expect("a forecast");
    assert!((again / before - 1.0).abs() < 0.05, "{before} {again}");
}

#[test]
fn hours_in_which_nobody_watched_are_not_hours_without_an_auction() {
    let mut watched = Forecast::new(24, None);
    play(&mut watched, 0, 72, 1.0);
    let (mut away, mut blind) = (watched.clone(), watched.clone());
    // Back after seven hours.
    away.resume(79 * HOUR);
    blind.advance(79 * HOUR);
    play(&mut watched, 72, 79, 1.0);
    let day = |forecast: &Forecast| forecast.between(79 * HOUR, 103 * HOUR).unwrap();
    assert!((day(&away) / day(&watched) - 1.0).abs() < 0.1, "{} {}", day(&away), day(&watched));
    assert!(day(&blind) < 0.8 * day(&watched));
    // Within one slot: the part that was watched counts as that part.
    let mut short = Forecast::new(24, None);
    short.seen(0, 0);
    short.seen(HOUR / 4, 100);
    short.resume(HOUR * 3 / 4);
    short.seen(HOUR - 1, 100);
    let said = short.between(HOUR, 2 * HOUR).unwrap();
    assert!((said / 400.0 - 1.0).abs() < 0.01, "{said}");
}

#[test]
fn counts_beyond_all_bounds_in_a_moment_leave_a_state_that_can_be_stored() {
    let restored = |forecast: &Forecast| {
        let json = serde_json::to_string(forecast).unwrap();
        serde_json::from_str::<Forecast>(&json).is_ok()
    };
    let mut forecast = Forecast::new(1, None);
    // The last microsecond of a day, and the next day closes it.
    forecast.seen(DAY_US - 1, u64::MAX);
    forecast.seen(DAY_US, u64::MAX);
    forecast.seen(2 * DAY_US, 0);
    assert!(restored(&forecast));
    let said = forecast.between(0, i64::MAX).expect("a forecast");
    assert!(said <= 1e24, "{said}");
}

proptest! {
    #[test]
    fn whatever_is_seen_the_forecast_is_a_number_and_not_below_0(
        slots in any::<u16>(),
        per_day in prop_oneof![Just(f64::NAN), Just(-1.0), Just(f64::INFINITY), 0.0..1e16f64],
        steps in prop::collection::vec((any::<i64>(), any::<u64>()), 0..40),
        asked in any::<(i64, i64)>(),
    ) {
        let mut forecast = Forecast::new(slots, Some(Prior { per_day, days: 1.0 }));
        for (at, count) in steps {
            forecast.seen(at, count);
            let said = forecast.between(asked.0, asked.1);
            prop_assert!(said.is_none_or(|said| said.is_finite() && said >= 0.0), "{said:?}");
        }
        let json = serde_json::to_string(&forecast).unwrap();
        prop_assert!(serde_json::from_str::<Forecast>(&json).is_ok(), "{}", json);
    }
}
