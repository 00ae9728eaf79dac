//! `kiki flow` as a user meets it.

mod common;
#[path = "flow/exchange.rs"]
mod exchange;
#[path = "flow/fake.rs"]
mod fake;
#[path = "flow/live.rs"]
mod live;
#[path = "flow/reconcile.rs"]
mod reconcile;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn kiki(args: &[&str]) -> (i32, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_kiki")).args(args).output().expect("kiki runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (done.status.code().expect("a code"), text(done.stdout), text(done.stderr))
}

/// 40,000 auctions whose price follows their value, made by a rule that needs no chance.
fn log(path: &Path) {
    let mut text = "market_price_micros,value,click\n".to_owned();
    let mut state = 1_u64;
    for _ in 0..40_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (value, noise) = (1 + (state >> 33) % 1_000, (state >> 50) % 500);
        let clicked = u8::from(value > 900);
        writeln!(text, "{},{value},{clicked}", value / 4 + noise).expect("written");
    }
    std::fs::write(path, text).expect("written");
}

#[test]
fn a_log_of_auctions_is_replayed_within_its_budget_and_compared_with_the_optimum() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, page) = (folder.path().join("log.csv"), folder.path().join("page.html"));
    log(&path);
    let (path, page) = (path.to_str().expect("text"), page.to_str().expect("text"));
    let budget = "2000000";
    let base = ["flow", "simulate", "--auctions", path, "--budget-micros", budget];
    for (price, strategy) in [("second", "dual"), ("second", "throttle"), ("first", "dual")] {
        let more = ["--price-type", price, "--strategy", strategy, "--notice-delay", "100"];
        let args = [&base[..], &more, &["--json", "--report", page]].concat();
        let (code, out, err) = kiki(&args);
        assert_eq!(code, 0, "{err}");
        let report: Value = serde_json::from_str(&out).expect("json");
        let of = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name} in {out}"));
        assert_eq!((of("auctions"), of("overspend_micros")), (40_000.0, 0.0), "{out}");
        assert!(of("spend_micros") <= 2e6 && of("spend_micros") > 1e6, "{out}");
        assert!(of("wins") > 0.0 && of("clicks") > 0.0 && of("value") > 0.0, "{out}");
        assert!((of("value") / of("hindsight_value") - of("value_ratio")).abs() < 1e-9, "{out}");
        assert!(of("value_ratio") <= 1.0 && of("slot_error") > 0.0, "{out}");
        let page = std::fs::read_to_string(page).expect("a page");
        assert!(page.contains("<svg") && !page.contains("<script"));
    }
    let (code, out, _) = kiki(&base);
    assert!(code == 0 && out.contains("value ratio") && out.contains("overspend"), "{out}");
}

#[test]
fn what_is_no_log_or_no_budget_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.csv");
    let file = path.to_str().expect("text");
    let run = |text: &str, budget: &str| {
        std::fs::write(&path, text).expect("written");
        kiki(&["flow", "simulate", "--auctions", file, "--budget-micros", budget])
    };
    let head = "market_price_micros,value,click\n";
    for (text, budget, code, said) in [
        ("", "1", 1, "market_price_micros"),
        ("a,b\n", "1", 1, "market_price_micros"),
        (head, "1", 1, "no auctions"),
        (&format!("{head}1,2,0\n-5,2,0\n"), "1", 1, "line 3"),
        (&format!("{head}1,nan,0\n"), "1", 1, "line 2"),
        (&format!("{head}1,2\n"), "1", 1, "line 2"),
        (&format!("{head}1,2,0\n"), "-1", 2, "budget"),
        (&format!("{head}1,2,0\n"), "0", 2, "budget"),
        (&format!("{head}1,2,0\n"), "99999999999999999", 2, "budget"),
    ] {
        let (got, _, err) = run(text, budget);
        assert!(got == code && err.contains(said), "{text:?} {budget}: {got} {err}");
    }
    for floor in ["-1", "0", "inf"] {
        let args = ["--auctions", file, "--budget-micros", "1", "--roas-floor", floor];
        let (code, _, err) = kiki(&[&["flow", "simulate"][..], &args].concat());
        assert!(code == 2 && err.contains("expected a number above 0"), "{floor}: {code} {err}");
    }
    let (code, _, err) = kiki(&["flow", "simulate", "--auctions", "none", "--budget-micros", "1"]);
    assert!(code == 1 && err.contains("none"), "{err}");
}
