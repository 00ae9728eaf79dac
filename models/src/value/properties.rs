//! What holds for every customer, parameter and horizon.

use proptest::prelude::*;

use super::bg_nbd::BgNbd;
use super::clv::{Discount, Terms, discounted, interval, worth};
use super::counts::{COUNT_MAX, Counts};
use super::gamma_gamma::{GammaGamma, Spender};
use super::history::{History, Horizon};
use super::mbg_nbd::MbgNbd;
use super::model::CountModel;
use super::pareto_nbd::ParetoNbd;
use super::spend::Spend;

/// Twelve decades of a parameter.
fn parameter() -> impl Strategy<Value = f64> {
    (-6.0..6.0).prop_map(|log: f64| 10f64.powf(log))
}

fn parameters() -> impl Strategy<Value = [f64; 4]> {
    [parameter(), parameter(), parameter(), parameter()]
}

/// Up to ten million purchases in 1,900 years of weeks.
fn history() -> impl Strategy<Value = History> {
    let repeats = prop_oneof![Just(0), 1..5_u32, 5..5_000_u32, 5_000..10_000_000_u32];
    let part = prop_oneof![Just(1.0), 0.0..1.0, Just(1.0 - 1e-12)];
    let age = prop_oneof![Just(0.0), 0.0..100.0, 100.0..1e5];
    (repeats, part, age).prop_map(|(repeats, part, age)| {
        let recency = if repeats == 0 { 0.0 } else { age * part };
        History::new(repeats, recency, age).unwrap()
    })
}

fn horizon() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 1e-9..1.0, 1.0..500.0, 500.0..1e5]
}

fn ahead(time: f64) -> Horizon {
    Horizon::new(time).unwrap()
}

fn sound(model: &impl CountModel, of: &History, time: f64) {
    let (now, later) = (ahead(time), ahead((time * 1.5 + 1e-3).min(1e5)));
    let chance = |p: f64| assert!((0.0..=1.0).contains(&p), "{p} is no chance");
    let ln = model.log_likelihood(of);
    assert!(ln.is_finite(), "log-likelihood {ln}");
    chance(model.p_alive(of));
    let (mean, more) = (model.expected(of, now), model.expected(of, later));
    assert!(mean.is_finite() && mean >= 0.0 && more.is_finite(), "{mean} {more}");
    assert!(more >= mean * (1.0 - 1e-9), "in {now:?} {mean}, in {later:?} {more}");
    let (active, sooner) = (model.p_active(of, later), model.p_active(of, now));
    chance(active);
    assert!(active >= sooner * (1.0 - 1e-9) - 1e-15, "{sooner} {active}");
    assert!(active <= model.p_alive(of) * (1.0 + 1e-9), "more active than alive");
    assert!(sooner <= mean * (1.0 + 1e-8) + 1e-300, "chance {sooner} above mean {mean}");
    let counts = [1, 2, 3, 10, 1_000, 1_000_000, COUNT_MAX];
    let tail = counts.map(|count| model.p_at_least(of, now, count));
    tail.into_iter().for_each(chance);
    assert!(tail.is_sorted_by(|a, b| a + 1e-7 >= *b), "{tail:?}");
    assert!((tail[0] - sooner).abs() <= 1e-7, "{} {sooner}", tail[0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn bg_nbd_is_finite_bounded_and_grows_with_the_horizon([r, alpha, a, b] in parameters(), of in history(), time in horizon()) {
        sound(&BgNbd::new(r, alpha, a, b).unwrap(), &of, time);
    }

    #[test]
    fn mbg_nbd_is_finite_bounded_and_grows_with_the_horizon([r, alpha, a, b] in parameters(), of in history(), time in horizon()) {
        sound(&MbgNbd::new(r, alpha, a, b).unwrap(), &of, time);
    }

    #[test]
    fn pareto_nbd_is_finite_bounded_and_grows_with_the_horizon([r, alpha, s, beta] in parameters(), of in history(), time in horizon()) {
        sound(&ParetoNbd::new(r, alpha, s, beta).unwrap(), &of, time);
    }

    #[test]
    fn gamma_gamma_is_finite_and_between_the_customer_and_the_population([p, q, v, m] in parameters(), repeats in 1..10_000_000_u32) {
        let (model, of) = (GammaGamma::new(p, q, v).unwrap(), Spender::new(repeats, m).unwrap());
        prop_assert!(model.log_likelihood(&of).is_finite());
        if let Some(mean) = model.mean(Some(&of)) {
            prop_assert!(mean.is_finite() && mean > 0.0);
            if let Some(of_all) = model.mean_new() {
                prop_assert!(mean >= of_all.min(m) * (1.0 - 1e-9) && mean <= of_all.max(m) * (1.0 + 1e-9));
            }
        }
        prop_assert_eq!(model.mean_new().is_some(), q > 1.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn quantiles_are_where_the_distributions_pass_them([r, alpha, a, b] in parameters(), of in history(), time in horizon(), level in 0.001..0.999) {
        let model = BgNbd::new(r, alpha, a, b).unwrap();
        let counts = Counts { model: &model, of, ahead: ahead(time) };
        let count = counts.quantile(level);
        prop_assert!(count == COUNT_MAX || counts.p_at_least(count + 1) <= 1.0 - level + 1e-9);
        prop_assert!(count == 0 || counts.p_at_least(count) >= 1.0 - level - 1e-9);
        let atoms = counts.atoms();
        prop_assert!((atoms.iter().map(|atom| atom.chance).sum::<f64>() - 1.0).abs() < 1e-9);
        prop_assert!(atoms.iter().all(|atom| atom.chance >= 0.0) && atoms.len() <= 130);
        let amounts = GammaGamma::new(6.25, 3.74, 15.4).unwrap();
        let spend = Spend::new(&counts, &amounts, None);
        let (low, high) = spend.interval(0.9);
        prop_assert!(low >= 0.0 && low <= high && high.is_finite());
    }
}

fn typical() -> [(u32, f64, f64); 5] {
    [(0, 0.0, 38.86), (2, 30.43, 38.86), (10, 20.0, 30.0), (40, 38.0, 38.86), (900, 500.0, 500.2)]
}

#[test]
fn the_chances_of_all_counts_add_up_to_the_mean() {
    // Two ways that share no step: incomplete beta functions, and ₂F₁ or quadrature.
    fn check(model: &impl CountModel) {
        for (x, t_x, t) in typical() {
            let of = History::new(x, t_x, t).unwrap();
            for time in [0.5, 39.0, 300.0] {
                let counts = Counts { model, of, ahead: ahead(time) };
                let sum: f64 = (1..3_000).map(|count| counts.p_at_least(count)).sum();
                let mean = model.expected(&of, ahead(time));
                assert!((sum / mean - 1.0).abs() < 1e-8, "{of:?} {time}: {sum} {mean}");
            }
        }
    }
    check(&BgNbd::new(0.2426, 4.4136, 0.7929, 2.4259).unwrap());
    check(&BgNbd::new(0.2426, 4.4136, 1.0, 2.4259).unwrap());
    check(&MbgNbd::new(0.5248, 6.1831, 0.8914, 1.6140).unwrap());
    check(&ParetoNbd::new(0.5533, 10.5777, 0.6062, 11.6687).unwrap());
    check(&ParetoNbd::new(0.5533, 10.5777, 1.0, 11.6687).unwrap());
}

#[test]
fn spend_has_the_mean_of_purchases_times_amounts_and_quantiles_that_invert_it() {
    let model = BgNbd::new(0.2426, 4.4136, 0.7929, 2.4259).unwrap();
    let amounts = GammaGamma::new(6.25, 3.74, 15.4).unwrap();
    for (x, t_x, t) in typical() {
        let of = History::new(x, t_x, t).unwrap();
        let spender = Spender::new(x, 30.0).ok();
        let counts = Counts { model: &model, of, ahead: ahead(39.0) };
        let spend = Spend::new(&counts, &amounts, spender.as_ref());
        // The mean is the integral of what lies above, here over the logarithm.
        let (step, mut mean) = (0.01, 0.0);
        for i in -1_000..2_000 {
            let y = (f64::from(i) * step).exp();
            mean += (1.0 - spend.p_at_most(y)) * y * step;
        }
        let expected = model.expected(&of, ahead(39.0)) * amounts.mean(spender.as_ref()).unwrap();
        assert!((mean / expected - 1.0).abs() < 2e-3, "{of:?}: {mean} {expected}");
        for level in [0.9, 0.975, 0.999] {
            let found = spend.p_at_most(spend.quantile(level));
            assert!(
                (found - level).abs() < 1e-8 || spend.quantile(level) == 0.0,
                "{level} {found}"
            );
        }
    }
    assert_eq!(
        Spend::new(&Counts { model: &model, of: History::NEW, ahead: ahead(0.0) }, &amounts, None)
            .quantile(0.99),
        0.0
    );
}

#[test]
fn value_is_margin_times_purchases_times_spend_less_what_waiting_costs() {
    let model = BgNbd::new(0.2426, 4.4136, 0.7929, 2.4259).unwrap();
    let amounts = GammaGamma::new(6.25, 3.74, 15.4).unwrap();
    let of = History::new(2, 30.43, 38.86).unwrap();
    let spender = Spender::new(2, 22.35).ok();
    let terms = |discount| Terms::new(ahead(39.5), 13.0, discount, 0.4).unwrap();
    let plain = worth(&model, &amounts, &of, spender.as_ref(), &terms(Discount::None)).unwrap();
    assert_eq!(plain.discounted, plain.purchases);
    assert!((plain.value / (0.4 * plain.purchases * plain.spend) - 1.0).abs() < 1e-14);
    // Three full quarters and a part of the fourth, each at its end.
    let until = |time| model.expected(&of, ahead(time));
    let by_hand = until(13.0) / 1.05
        + (until(26.0) - until(13.0)) / 1.05_f64.powi(2)
        + (until(39.0) - until(26.0)) / 1.05_f64.powi(3)
        + (until(39.5) - until(39.0)) / 1.05_f64.powi(4);
    let found = discounted(&model, &of, &terms(Discount::PerPeriod(0.05)));
    assert!((found / by_hand - 1.0).abs() < 1e-13, "{found} {by_hand}");
    // Continuous discounting does not depend on the period but for what is spread within it.
    let fine = Terms::new(ahead(39.5), 0.05, Discount::Continuous(0.01), 0.4).unwrap();
    let coarse = Terms::new(ahead(39.5), 1.0, Discount::Continuous(0.01), 0.4).unwrap();
    let (fine, coarse) = (discounted(&model, &of, &fine), discounted(&model, &of, &coarse));
    assert!((fine / coarse - 1.0).abs() < 1e-5, "{fine} {coarse}");
    assert!(fine < plain.purchases && fine > plain.purchases * (-0.395_f64).exp());
    let (low, high) =
        interval(&model, &amounts, &of, spender.as_ref(), &terms(Discount::None), 0.95);
    assert!(low < plain.value && plain.value < high, "{low} {} {high}", plain.value);
}

#[test]
fn terms_that_are_none_are_refused() {
    let of = |period, discount, margin| Terms::new(ahead(52.0), period, discount, margin);
    for period in [0.0, -1.0, f64::NAN, 0.0099] {
        assert!(of(period, Discount::None, 1.0).is_err(), "{period}");
    }
    for rate in [-0.01, f64::NAN, f64::INFINITY] {
        assert!(of(1.0, Discount::PerPeriod(rate), 1.0).is_err(), "{rate}");
        assert!(of(1.0, Discount::Continuous(rate), 1.0).is_err(), "{rate}");
    }
    for margin in [-0.1, 1.1, f64::NAN] {
        assert!(of(1.0, Discount::None, margin).is_err(), "{margin}");
    }
}
