use super::super::stream::stream;
use super::*;

fn fired(values: impl IntoIterator<Item = f64>) -> Vec<usize> {
    let mut detector = Adwin::new(AdwinTerms::default()).unwrap();
    let cuts = values.into_iter().enumerate();
    cuts.filter_map(|(at, value)| detector.update(value).unwrap().map(|_| at)).collect()
}

#[test]
fn the_stream_fires_first_at_the_place_of_the_reference() {
    assert_eq!(fired(stream()).first(), Some(&1_055));
}

#[test]
fn the_window_forgets_what_was_before_the_change() {
    let mut detector = Adwin::new(AdwinTerms::default()).unwrap();
    let mut cuts = Vec::new();
    for value in stream() {
        cuts.extend(detector.update(value).unwrap());
    }
    assert!(cuts[0].mean_before < 0.55 && cuts[0].mean_after > cuts[0].mean_before, "{cuts:?}");
    let dropped: u64 = cuts.iter().map(|c| c.dropped).sum();
    assert_eq!(dropped + detector.width(), 2_000);
    assert!((900..=1_060).contains(&dropped), "{dropped}");
    assert!((detector.mean() - 0.8).abs() < 0.03, "{}", detector.mean());
}

#[test]
fn a_stream_that_stays_never_fires() {
    let still = (0..50_000_u32).map(|i| f64::from((7_919 * i) % 1_000) / 1_000.0);
    assert!(fired(still).is_empty());
    assert!(fired(std::iter::repeat_n(5.0, 10_000)).is_empty());
    assert!(fired(std::iter::repeat_n(0.1, 10_000)).is_empty(), "not exact in binary");
}

#[test]
fn a_change_of_level_on_top_of_a_large_number_is_found() {
    // Sums of squares about 0 would have lost these decimals.
    let values = stream().into_iter().map(|v| v + 1e9);
    assert_eq!(fired(values).first(), Some(&1_055));
}

#[test]
fn a_detector_that_was_stored_goes_on_as_if_it_had_not_been() {
    let mut stored = Adwin::new(AdwinTerms::default()).unwrap();
    let mut kept = stored.clone();
    for (at, value) in stream().into_iter().enumerate() {
        if at % 50 == 0 {
            let json = serde_json::to_string(&stored).unwrap();
            assert!(json.len() < 10_000);
            stored = serde_json::from_str(&json).unwrap();
        }
        let [one, other] = [&mut stored, &mut kept].map(|d| d.update(value).unwrap());
        assert_eq!(one.map(|cut| cut.dropped), other.map(|cut| cut.dropped), "at {at}");
    }
    assert_eq!(stored.width(), kept.width());
    assert!((stored.mean() - kept.mean()).abs() < 1e-12);
}

#[test]
fn what_is_no_value_no_terms_or_no_state_is_refused_and_changes_nothing() {
    let mut detector = Adwin::new(AdwinTerms::default()).unwrap();
    detector.update(0.5).unwrap();
    let before = detector.clone();
    assert!(detector.update(f64::NAN).is_err() && detector.update(f64::INFINITY).is_err());
    assert_eq!(detector, before);
    for delta in [0.0, 1.0, f64::NAN] {
        assert_eq!(Adwin::new(AdwinTerms { delta, ..Default::default() }), Err(BadAdwin));
    }
    let json = serde_json::to_string(&detector).unwrap();
    for (from, to) in
        [("\"values\":1", "\"values\":2"), ("\"mean\":0.5", "\"mean\":1e200"), ("[[", "[[],[")]
    {
        let bad = json.replace(from, to);
        assert!(bad != json && serde_json::from_str::<Adwin>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn the_largest_values_never_make_it_nan() {
    let mut detector = Adwin::new(AdwinTerms::default()).unwrap();
    for at in 0..5_000 {
        detector.update(if at % 3 == 0 { 1e100 } else { -1e100 }).unwrap();
        assert!(detector.mean().is_finite());
    }
    assert!(detector.width() > 4_000, "a rhythm is no change");
}

/// Sixteen zeros and sixteen of h have σ² = h²/4 and 1/m = 1/8, so that ε is 0.7137 h + 0.6793 and the
/// means differ by more from h = 2.373 on.
#[test]
fn a_step_is_cut_from_the_bound_on_and_not_below() {
    let step = |h: f64| {
        let zeros = std::iter::repeat_n(0.0, 16);
        fired(zeros.chain(std::iter::repeat_n(h, 16)))
    };
    assert!(step(2.36).is_empty());
    assert_eq!(step(2.39), [31]);
}
