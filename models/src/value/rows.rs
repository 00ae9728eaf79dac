//! Single customers: the published rows, and values that mpmath 1.4.1 gives at 30 digits (BG/NBD and
//! MBG/NBD by their closed forms and eq. 8 of Fader, Hardie & Lee 2005, Pareto/NBD by its integrals).

use super::bg_nbd::BgNbd;
use super::counts::Counts;
use super::gamma_gamma::{GammaGamma, Spender};
use super::history::{History, Horizon};
use super::mbg_nbd::MbgNbd;
use super::model::CountModel;
use super::pareto_nbd::ParetoNbd;

/// A history, P(alive), expected purchases in 39, 52 and 2,000 weeks, chances of 0, 1, 2 and 5 in 39.
type Row = ((u32, f64, f64), f64, [f64; 3], [f64; 4]);

fn history((x, t_x, t): (u32, f64, f64)) -> History {
    History::new(x, t_x, t).unwrap()
}

fn weeks(time: f64) -> Horizon {
    Horizon::new(time).unwrap()
}

fn near(value: f64, expected: f64, what: impl std::fmt::Debug) {
    let off = (value - expected).abs() / expected.abs();
    assert!(off < 3e-11, "{what:?}: {value:e} instead of {expected:e}, off by {off:e}");
}

fn published() -> BgNbd {
    BgNbd::new(0.242593, 4.413532, 0.792886, 2.425752).unwrap()
}

#[test]
fn the_published_rows_of_bg_nbd_are_met_to_four_decimals() {
    let model = published();
    for (of, alive, in_39, in_52) in [
        ((0, 0.0, 38.86), 1.0, 0.1948, 0.2517),
        ((2, 30.43, 38.86), 0.7266, 1.2259, 1.5586),
        ((4, 35.71, 38.86), 0.8324, 2.5859, 3.2676),
        ((10, 20.0, 30.0), 0.2998, 2.6172, 3.2579),
    ] {
        let of = history(of);
        let found = [
            model.p_alive(&of),
            model.expected(&of, weeks(39.0)),
            model.expected(&of, weeks(52.0)),
        ];
        for (found, expected) in found.into_iter().zip([alive, in_39, in_52]) {
            assert!((found - expected).abs() <= 0.5e-4, "{of:?}: {found} {expected}");
        }
    }
}

#[test]
fn the_published_rows_of_gamma_gamma_are_met_to_four_decimals() {
    let model = GammaGamma::new(6.248802, 3.744588, 15.447748).unwrap();
    let mean = |x, m| model.mean(Spender::new(x, m).ok().as_ref()).unwrap();
    for (found, expected) in
        [(mean(1, 11.77), 18.9115), (mean(3, 50.0), 48.1062), (model.mean_new().unwrap(), 35.1710)]
    {
        assert!((found - expected).abs() <= 0.5e-4, "{found} {expected}");
    }
}

fn check(model: &impl CountModel, rows: &[Row]) {
    for (of, alive, means, chances) in rows {
        let of = history(*of);
        near(model.p_alive(&of), *alive, of);
        for (time, mean) in [39.0, 52.0, 2000.0].into_iter().zip(means) {
            near(model.expected(&of, weeks(time)), *mean, (of, time));
        }
        let counts = Counts { model, of, ahead: weeks(39.0) };
        for (count, chance) in [0, 1, 2, 5].into_iter().zip(chances) {
            let found = counts.p_exactly(count);
            assert!((found - chance).abs() < 1e-12, "{of:?} {count}: {found:e} {chance:e}");
        }
        near(model.p_active(&of, weeks(39.0)), 1.0 - chances[0], of);
    }
}

#[test]
fn bg_nbd_answers_as_its_closed_forms_do() {
    let rows = [
        (
            (0, 0.0, 38.86),
            1.0,
            [0.1947809122936, 0.2516657942289, 3.171904917119],
            [0.8556721232903, 0.1097131177848, 0.02424161198943, 0.0007758145067842],
        ),
        (
            (2, 30.43, 38.86),
            0.72660910245625,
            [1.225910385694, 1.558583704825, 13.69645648472],
            [0.4453925508611, 0.239329767014, 0.1441782049898, 0.02285931085192],
        ),
        (
            (4, 35.71, 38.86),
            0.83237934549363,
            [2.585942432796, 3.267569241184, 26.11201648319],
            [0.2221308182274, 0.1830249244718, 0.1669448651536, 0.07031899096664],
        ),
        (
            (10, 20.0, 30.0),
            0.29975548652892,
            [2.617223662708, 3.257897915604, 21.98065077487],
            [0.7003722967321, 0.01862599152205, 0.01751268904644, 0.01962622315026],
        ),
        (
            (2500, 2600.0, 2600.5),
            0.999488032324,
            [37.19380512079, 49.49514192786, 1511.350499869],
            [0.0005119676759956, 0.0003165844389195, 0.0003163577815174, 0.0003156793653069],
        ),
    ];
    check(&published(), &rows);
}

#[test]
fn mbg_nbd_answers_as_its_closed_forms_do() {
    let rows = [
        (
            (0, 0.0, 38.86),
            0.38971644493649,
            [0.1539537166314, 0.1976285765582, 2.048640078277],
            [0.8912041760899, 0.07868562537761, 0.0204368687239, 0.0007654793018925],
        ),
        (
            (2, 30.43, 38.86),
            0.70612632027256,
            [1.262670991077, 1.596826162774, 12.07904054474],
            [0.4400808726059, 0.234222823229, 0.145954904815, 0.02436680276675],
        ),
        (
            (4, 35.71, 38.86),
            0.81939135241313,
            [2.556746989535, 3.213897169109, 22.17890093671],
            [0.2293423230547, 0.1817007761764, 0.1652034611825, 0.06984819961491],
        ),
        (
            (10, 20.0, 30.0),
            0.30209470758489,
            [2.520640808043, 3.119713378162, 18.08529174504],
            [0.6980424738495, 0.02062877660173, 0.01925018834483, 0.02087280332596],
        ),
        (
            (2500, 2600.0, 2600.5),
            0.99942468621056,
            [37.14338796316, 49.4161859682, 1468.242485915],
            [0.0005753137894394, 0.0003558383402191, 0.0003555696177513, 0.0003547653512244],
        ),
    ];
    check(&MbgNbd::new(0.524838, 6.182992, 0.891356, 1.614).unwrap(), &rows);
}

#[test]
fn pareto_nbd_answers_as_its_integrals_do() {
    let model = ParetoNbd::new(0.5533, 10.5776, 0.6062, 11.6669).unwrap();
    // P(alive), expected in 39 weeks, log-likelihood, chances of 1, 2 and 5 or more.
    for (of, alive, mean, ln, chances) in [
        (
            (0, 0.0, 38.86),
            0.2950836582953,
            0.1070597711234,
            -0.5212148330718,
            [0.0692662313801, 0.0233841227955, 0.00135916607564],
        ),
        (
            (2, 30.43, 38.86),
            0.8691184580727,
            1.455128343288,
            -9.554331126488,
            [0.591911862846, 0.37264621219, 0.068670257448],
        ),
        (
            (4, 35.71, 38.86),
            0.9556167683208,
            2.853188786239,
            -15.24536780508,
            [0.802884836877, 0.638346103957, 0.227184809697],
        ),
        (
            (10, 20.0, 30.0),
            0.4588174341704,
            3.751466147668,
            -24.17942968274,
            [0.434222978597, 0.411795937011, 0.339641879454],
        ),
        (
            (2500, 2600.0, 2600.5),
            0.999851160289,
            37.17595595571,
            -2614.147191493,
            [0.999608929763, 0.999366854666, 0.998641560327],
        ),
    ] {
        let of = history(of);
        near(model.p_alive(&of), alive, of);
        near(model.expected(&of, weeks(39.0)), mean, of);
        near(model.log_likelihood(&of), ln, of);
        for (count, chance) in [1, 2, 5].into_iter().zip(chances) {
            near(model.p_at_least(&of, weeks(39.0), count), chance, (of, count));
        }
        near(model.p_active(&of, weeks(39.0)), chances[0], of);
    }
}
