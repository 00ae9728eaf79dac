use super::page::{About, page};
use crate::value::evaluate::judged::{Evaluation, Holdout};
use crate::value::evaluate::temporal::temporal;
use crate::value::forecast::simulated::{customers, day};
use crate::value::forecast::terms::FitTerms;
use crate::value::registry::version::Kind;

fn evaluation() -> Evaluation {
    let holdout = Holdout::new(day(270), day(360)).unwrap();
    let terms = FitTerms::new(Kind::BgNbd, holdout.cut, 90);
    temporal(&customers(21, 400, 120, 360), holdout, &terms, &mut |_| ()).unwrap().0
}

#[test]
fn a_page_stands_alone_and_names_what_it_shows_with_its_units() {
    let about = About { model: "bg-nbd", source: "<orders>.csv", currency: Some("EUR") };
    let page = page(&evaluation(), about);
    for part in [
        "Calibration by frequency: purchases",
        "Deciles",
        "Cumulative tracking",
        "Spend per customer (EUR)",
        "Weeks since the cut",
        "Purchases per customer",
        "&lt;orders&gt;.csv",
        "prefers-color-scheme:dark",
        "repeat last period",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<svg ").count(), 4);
    assert_eq!(page.matches("<figure>").count(), page.matches("</figure>").count());
    for outside in ["http", "src=", "href=", "<script", "NaN", "inf", "<orders>"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn every_element_that_is_opened_is_closed() {
    let page = page(&evaluation(), About { model: "x", source: "y", currency: None });
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('!') || tag.ends_with('/') || name == "meta" {
            continue;
        }
        match tag.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "{tag}"),
            false => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
