use crate::openrtb::{Limits, Request};
use crate::opportunity::{Format, Supply};
use crate::privacy::{Permits, Terms};

use super::*;

fn body_has(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn the_same_seed_draws_the_same_requests() {
    let bodies = |seed: u64| {
        let mut sampler = Sampler::new(seed, Mix::default());
        let mut body = Vec::new();
        (0..50).map(|_| (sampler.draw(&mut body), body.clone())).collect::<Vec<_>>()
    };
    assert_eq!(bodies(1), bodies(1));
    assert_ne!(bodies(1), bodies(2));
}

#[test]
fn every_drawn_request_is_one_that_a_bidder_reads_as_it_was_meant() {
    let terms = Terms { vendor: Some(755), ..Terms::default() };
    let mut sampler = Sampler::new(11, Mix::default());
    let (mut body, mut bytes, mut personal, mut refused) = (Vec::new(), Vec::new(), 0, 0);
    let (mut sites, mut formats, mut disclosed) = (0, [0; 4], [0; 3]);
    for _ in 0..2_000 {
        let drawn = sampler.draw(&mut body);
        bytes.push(body.len());
        let request = Request::parse(&body, &Limits::default()).expect("request");
        assert_eq!(request.tmax_ms(), Some(drawn.tmax_ms));
        assert!(request.chain().admits(false).is_ok());
        let permits = Permits::of(&request.signals(), &terms);
        personal += usize::from(permits.personal);
        refused += usize::from(permits.bid.is_err());
        let auction = request.auction(0, &Permits { bid: Ok(()), ..permits }).expect("auction");
        assert_eq!(
            (auction.id, auction.price, auction.test),
            (&*drawn.id, drawn.price, drawn.test)
        );
        assert_eq!(auction.currencies[..], [drawn.currency]);
        assert_eq!(auction.slots.len(), drawn.offers.len());
        let asked = auction.transparency.need;
        disclosed[asked as usize] += usize::from(body_has(&body, "\"dsa\""));
        sites += usize::from(matches!(auction.supply, Supply::Site { domain: Some(_) }));
        for (slot, offer) in auction.slots.iter().zip(&drawn.offers) {
            assert_eq!((slot.id, slot.private), (&*offer.id, offer.private));
            let floor = slot.floor.expect("floor").cpm.0 - offer.floor.0;
            assert!((0..=1).contains(&floor), "a binary fraction rounds up to the next micro");
            assert_eq!(slot.deals.first().map(|deal| deal.id), offer.deal.as_ref().map(|d| &*d.0));
            formats[match slot.formats[0] {
                Format::Banner { .. } => 0,
                Format::Video { .. } => 1,
                Format::Audio { .. } => 2,
                Format::Native => 3,
            }] += 1;
        }
    }
    // Some where nothing, some where anything, and a few where it has to be told.
    assert!(disclosed.iter().all(|count| *count > 5) && disclosed[2] < 100, "{disclosed:?}");
    bytes.sort_unstable();
    let at = |part: usize| bytes[bytes.len() * part / 100];
    assert!(at(5) >= 2_000 && at(95) <= 4_000, "2 to 4 kB: {} to {}", at(5), at(95));
    assert!((2_500..3_500).contains(&at(50)), "about 3 kB: {}", at(50));
    assert!((600..1_800).contains(&personal), "{personal} may be known");
    assert!((20..400).contains(&refused), "{refused} refused");
    assert!(
        (700..1_100).contains(&sites) && formats.iter().all(|count| *count > 20),
        "{formats:?}"
    );
}
