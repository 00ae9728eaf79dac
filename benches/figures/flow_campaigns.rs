//! Campaigns as advertisers have them, for the traffic that `kiki::models::flow::openrtb::sample` draws: each
//! narrows several dimensions, so that an impression meets some tens of a thousand. The same number gives the
//! same campaign on every machine. Shared with `models/flow/tests/bid.rs`.

use serde_json::{Value, json};

/// Who may be met by made-up traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    /// In the countries that the traffic comes from.
    Hot,
    /// In others: loaded, active and never met.
    #[allow(dead_code, reason = "each user of this file has its own")]
    Cold,
}

/// In the shares of the traffic.
const COUNTRIES: [&str; 12] =
    ["USA", "USA", "USA", "USA", "USA", "DEU", "DEU", "FRA", "FRA", "GBR", "JPN", "BRA"];
const ELSEWHERE: [&str; 12] =
    ["AUS", "CAN", "ESP", "IND", "ITA", "KOR", "MEX", "NLD", "NZL", "POL", "SWE", "ZAF"];
const KINDS: [&str; 5] = ["phone", "tablet", "desktop", "tv", "mobile"];
const SYSTEMS: [&str; 4] = ["android", "ios", "windows", "macos"];
const LANGUAGES: [&str; 5] = ["en", "de", "fr", "ja", "pt"];
const SITES: [&str; 8] = [
    "news.example",
    "recipes.example",
    "football.example",
    "wetter.example",
    "gardeners.example",
    "money.example",
    "travel.example",
    "cars.example",
];
const APPS: [&str; 8] = [
    "com.example.puzzle",
    "com.example.weather",
    "1234567890",
    "com.example.fit",
    "987654321",
    "com.example.radio",
    "com.example.tvnow",
    "com.example.movies",
];
const CONTENT: [&str; 12] = [
    "IAB1", "IAB2", "IAB7", "IAB8", "IAB9", "IAB10", "IAB12", "IAB13", "IAB15", "IAB17", "IAB20",
    "IAB1-5",
];
const SOLD: [&str; 8] =
    ["IAB18", "IAB3", "IAB22", "IAB4-5", "IAB2-17", "IAB8-9", "IAB19-6", "IAB10"];
const SIZES: [(u16, u16); 6] =
    [(300, 250), (320, 50), (728, 90), (160, 600), (300, 600), (970, 250)];

/// SplitMix64 (Steele, Lea and Flood 2014): this file is used where no other generator is.
struct Dice(u64);

impl Dice {
    fn raw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.raw() % n
    }

    fn yes(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// One to `most` of them, each once; none but in `percent` of a hundred cases.
    fn some<'a>(&mut self, percent: u64, most: u64, of: &[&'a str]) -> Vec<&'a str> {
        if !self.yes(percent) {
            return Vec::new();
        }
        let mut chosen: Vec<&str> = (0..1 + self.below(most)).map(|_| *self.one(of)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
}

/// Campaigns that are not met for each that is.
pub const COLD_PER_HOT: usize = 99;

/// The name of a campaign. By their names, those that are met lie evenly among the others.
pub fn name(n: usize, market: Market) -> String {
    match market {
        Market::Hot => format!("camp_{n:06}"),
        Market::Cold => format!("camp_{:06}-{:02}", n / COLD_PER_HOT, n % COLD_PER_HOT),
    }
}

/// The JSON of a campaign's definition, as `POST /api/v1/campaigns` takes it.
pub fn definition(n: usize, market: Market) -> String {
    let dice = &mut Dice(n as u64);
    let countries = match market {
        Market::Hot => dice.some(100, 2, &COUNTRIES),
        Market::Cold => dice.some(100, 2, &ELSEWHERE),
    };
    let (sites, apps) = match dice.below(10) {
        0 | 1 => (dice.some(100, 4, &SITES), Vec::new()),
        2 => (Vec::new(), dice.some(100, 4, &APPS)),
        3 => (dice.some(100, 6, &SITES), dice.some(100, 6, &APPS)),
        _ => (Vec::new(), Vec::new()),
    };
    let hours = match dice.yes(10) {
        // Two hours of the day are left out, whenever this is measured.
        true => json!([{"from": "04:00", "until": "02:00"}]),
        false => json!([]),
    };
    let audience = match dice.below(100) {
        0..8 => json!({"ltv": {"bands": [{"at_least": 20}], "unknown": true}}),
        8..12 => json!({"ltv": {"bands": [{"at_least": 0, "below": 400}], "unknown": false}}),
        _ => json!("everybody"),
    };
    let deals = match dice.yes(15) {
        true => vec![format!("deal-{}", 1 + dice.below(50))],
        false => Vec::new(),
    };
    let caps = match dice.yes(30) {
        true => json!([{"impressions": 20 + dice.below(80), "period_s": 3_600}]),
        false => json!([]),
    };
    let creatives: Vec<Value> = (0..1 + dice.below(3)).map(|at| creative(at, dice)).collect();
    let whole = json!({
        "id": name(n, market),
        "name": format!("Campaign {n}"),
        "advertiser_domain": format!("brand-{}.example", dice.below(300)),
        "categories": [dice.one(&SOLD)],
        "currency": if dice.yes(25) { "EUR" } else { "USD" },
        "budget": {"amount": 1_000_000},
        "strategy": strategy(dice),
        "targeting": {
            "geo": {"include": {"countries": countries}},
            "device": {
                "kinds": dice.some(40, 3, &KINDS),
                "systems": dice.some(10, 2, &SYSTEMS),
                "languages": dice.some(10, 2, &LANGUAGES),
            },
            "inventory": {"sites": {"allow": sites}, "apps": {"allow": apps}},
            "categories": {
                "include": dice.some(20, 5, &CONTENT),
                "exclude": dice.some(30, 3, &CONTENT),
            },
            "hours": {"parts": hours},
            "audience": audience,
            "deals": {"ids": deals},
        },
        "frequency": {"caps": caps, "unknown_person": true},
        "creatives": creatives,
    });
    whole.to_string()
}

fn strategy(dice: &mut Dice) -> Value {
    let worth = json!({
        "conversion_rate": 0.00002, "engagement_weight": 0.5,
        "unknown_ltv": 50 + dice.below(250), "max_cpm": 4 + dice.below(12),
    });
    match dice.below(10) {
        0..5 => json!({"max_cpm": {"cpm": 1 + dice.below(10)}}),
        5..8 => json!({"target_value": worth}),
        _ => json!({"roas_floor": {"roas": 1.2, "worth": worth}}),
    }
}

/// Markup as long as it is.
fn creative(at: u64, dice: &mut Dice) -> Value {
    let text = |bytes: usize| "x".repeat(bytes);
    let (format, markup) = match dice.below(10) {
        0..6 => {
            let (w, h) = *dice.one(&SIZES);
            let markup = format!(
                "<a href=\"https://click.example/c?to=https%3A%2F%2Fshop.example%2F{}\" target=\"_blank\">\
                 <img src=\"https://cdn.example/{w}x{h}.webp\" width=\"{w}\" height=\"{h}\"></a>\
                 <img src=\"https://count.example/i?price=${{AUCTION_PRICE}}\" width=\"1\" height=\"1\">",
                text(200)
            );
            (json!({"banner": {"w": w, "h": h}}), markup)
        }
        6 | 7 => {
            let duration_s = *dice.one(&[10, 15]);
            let markup = format!(
                "<VAST version=\"4.2\"><Ad id=\"a\"><InLine><AdSystem>kiki</AdSystem><Impression>\
                 <![CDATA[https://count.example/i?price=${{AUCTION_PRICE}}]]></Impression><Creatives>\
                 <Creative><Linear><Duration>00:00:{duration_s}</Duration><MediaFiles><MediaFile>\
                 <![CDATA[https://cdn.example/{}.mp4]]></MediaFile></MediaFiles></Linear></Creative>\
                 </Creatives></InLine></Ad></VAST>",
                text(400)
            );
            let video = json!({"w": 640, "h": 360, "duration_s": duration_s, "mime": "video/mp4"});
            (json!({"video": video}), markup)
        }
        8 => {
            let assets = json!({"native": {"ver": "1.2", "assets": [
                {"id": 1, "title": {"text": "Boots that last"}},
                {"id": 2, "img": {"url": "https://cdn.example/1200x627.webp", "w": 1_200, "h": 627}},
                {"id": 3, "data": {"value": text(120)}},
            ], "link": {"url": "https://shop.example"}}});
            (json!({"native": {}}), assets.to_string())
        }
        _ => {
            let audio = json!({"duration_s": 20, "mime": "audio/mpeg"});
            (json!({"audio": audio}), format!("<VAST version=\"4.2\">{}</VAST>", text(500)))
        }
    };
    json!({"id": format!("cr{at}"), "format": format, "markup": markup})
}
