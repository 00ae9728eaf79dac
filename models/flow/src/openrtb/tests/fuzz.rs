//! Requests that are broken at random: parsing them may fail, and nothing else.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::openrtb::sample::{Mix, Sampler};
use crate::openrtb::{Limits, Request};
use crate::privacy::{Permits, Terms};

/// Pieces that a careless reader trips over.
const PIECES: [&[u8]; 26] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b",",
    b":",
    b"null",
    b"true",
    b"-",
    b"1e999",
    b"-0",
    b"0.00000000000001",
    b"99999999999999999999",
    b"\xff",
    b"\xc3",
    b"\x00",
    b"[[[[[[[[[[[[[[[[[[",
    b"{\"a\":",
    b"\"id\":\"\",",
    b"\"imp\":[],",
    b"\"bidfloor\":-1,",
    b"\"cur\":[\"XXX\"],",
];

/// Whatever it says, it is looked at as a bidder does; `true` when it became a picture.
fn looked_at(body: &[u8]) -> bool {
    let limits = Limits { impressions: 8, ..Limits::default() };
    let Ok(request) = Request::parse(body, &limits) else { return false };
    let terms = Terms { vendor: Some(755), ..Terms::default() };
    let permits = Permits::of(&request.signals(), &terms);
    let _ = request.chain();
    let Ok(auction) = request.auction(0, &Permits { bid: Ok(()), ..permits }) else { return false };
    assert!(!auction.id.is_empty() && !auction.currencies.is_empty() && !auction.slots.is_empty());
    for slot in &auction.slots {
        assert!(!slot.formats.is_empty() && !slot.id.is_empty());
        assert!(slot.floor.is_none_or(|floor| floor.cpm.0 > 0));
    }
    assert!(auction.personal || (auction.user.is_none() && auction.geo.city.is_none()));
    true
}

#[test]
fn a_request_with_some_bytes_changed_never_panics() {
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_121);
    let mut sampler = Sampler::new(7, Mix::default());
    let (mut body, mut passed) = (Vec::new(), 0);
    for _ in 0..400 {
        sampler.draw(&mut body);
        for _ in 0..40 {
            let mut bent = body.clone();
            for _ in 0..rng.random_range(1..=4) {
                let at = rng.random_range(0..bent.len().max(1)).min(bent.len());
                let end = (at + rng.random_range(1..=12)).min(bent.len());
                match rng.random_range(0..7) {
                    0 => bent
                        .iter_mut()
                        .skip(at)
                        .take(1)
                        .for_each(|b| *b ^= 1 << rng.random_range(0..8)),
                    1 => bent.truncate(at),
                    2 => drop(bent.drain(at..end)),
                    3 => bent.extend_from_within(at..end),
                    4 => {
                        let copy = bent[at..end].to_vec();
                        bent.splice(at..at, copy);
                    }
                    5 => {
                        let piece = PIECES[rng.random_range(0..PIECES.len())];
                        bent.splice(at..at, piece.iter().copied());
                    }
                    _ => {
                        let piece = PIECES[rng.random_range(0..PIECES.len())];
                        bent.splice(at..end, piece.iter().copied());
                    }
                }
            }
            passed += usize::from(looked_at(&bent));
        }
    }
    assert!(passed > 500, "some still say something: {passed}");
}

#[test]
fn a_request_cut_off_anywhere_is_malformed() {
    let mut body = Vec::new();
    Sampler::new(3, Mix::default()).draw(&mut body);
    for end in 0..body.len() {
        assert!(Request::parse(&body[..end], &Limits::default()).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        looked_at(&bytes);
    }

    #[test]
    fn any_json_is_parsed_or_refused(
        id in "[a-z\\\\\"]{0,6}",
        floor in "-?[0-9]{1,22}(\\.[0-9]{0,12})?(e[+-]?[0-9]{1,4})?",
        at in any::<i32>(),
        sid in prop::collection::vec(any::<i64>(), 0..6),
        gpp in "DB[A-Za-z0-9_-]{0,12}(~[A-Za-z0-9.~_-]{0,12})?",
        consent in "[A-Za-z0-9._-]{0,40}",
    ) {
        let body = serde_json::json!({
            "id": id, "at": at, "imp": [{"id": "1", "banner": {}, "bidfloor": "FLOOR"}],
            "regs": {"gpp": gpp, "gpp_sid": sid, "gdpr": 1}, "user": {"consent": consent},
        });
        looked_at(body.to_string().replace("\"FLOOR\"", &floor).as_bytes());
    }
}
