//! Where made-up impressions are: sites, apps, screens, and the countries around them.

/// A country, the towns in it, and whether the GDPR is its law.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Country {
    pub code: &'static str,
    pub region: &'static str,
    pub towns: [(&'static str, &'static str); 3],
    pub language: &'static str,
    /// Minutes ahead of UTC.
    pub offset: i64,
    pub gdpr: bool,
    pub euro: bool,
}

const USA: Country = Country {
    code: "USA",
    region: "CA",
    towns: [("Fresno", "93721"), ("San José", "95113"), ("Oakland", "94607")],
    language: "en",
    offset: -480,
    gdpr: false,
    euro: false,
};
const GERMANY: Country = Country {
    code: "DEU",
    region: "BY",
    towns: [("München", "80331"), ("Nürnberg", "90402"), ("Augsburg", "86150")],
    language: "de",
    offset: 60,
    gdpr: true,
    euro: true,
};
const FRANCE: Country = Country {
    code: "FRA",
    region: "IDF",
    towns: [("Paris", "75011"), ("Créteil", "94000"), ("Versailles", "78000")],
    language: "fr",
    offset: 60,
    gdpr: true,
    euro: true,
};
const BRITAIN: Country = Country {
    code: "GBR",
    region: "ENG",
    towns: [("Leeds", "LS1 4DY"), ("Bristol", "BS1 5TR"), ("London", "E1 6AN")],
    language: "en",
    offset: 0,
    gdpr: true,
    euro: false,
};
const JAPAN: Country = Country {
    code: "JPN",
    region: "13",
    towns: [("東京", "100-0001"), ("横浜", "220-0011"), ("千葉", "260-0013")],
    language: "ja",
    offset: 540,
    gdpr: false,
    euro: false,
};
const BRAZIL: Country = Country {
    code: "BRA",
    region: "SP",
    towns: [("São Paulo", "01001-000"), ("Campinas", "13010-000"), ("Santos", "11010-000")],
    language: "pt",
    offset: -180,
    gdpr: false,
    euro: false,
};

/// As often as they are drawn.
pub(super) const COUNTRIES: [Country; 12] =
    [USA, USA, USA, USA, USA, GERMANY, GERMANY, FRANCE, FRANCE, BRITAIN, JAPAN, BRAZIL];

pub(super) const SITES: [(&str, &str, &[&str]); 8] = [
    ("news.example", "Morning Post", &["IAB12", "IAB12-3"]),
    ("recipes.example", "Cook it today", &["IAB8", "IAB8-9"]),
    ("www.football.example", "Ninety Minutes", &["IAB17", "IAB17-12", "IAB17-44"]),
    ("wetter.example", "Wetter für alle", &["IAB15-10"]),
    ("forum.gardeners.example", "Gardeners’ forum", &["IAB10-4"]),
    ("money.example", "Money & Markets", &["IAB13", "IAB13-7"]),
    ("m.travel.example", "Travel notes", &["IAB20", "IAB20-26"]),
    ("cars.example", "Used cars", &["IAB2", "IAB2-17"]),
];

pub(super) const APPS: [(&str, &str, &str, &[&str]); 8] = [
    ("com.example.puzzle", "Puzzle Blocks", "Plum Games", &["IAB9-30"]),
    ("com.example.weather", "Weather Today", "Skyline", &["IAB15-10"]),
    ("1234567890", "Chess Club", "Rook", &["IAB9-5"]),
    ("com.example.fit", "Run & Fit", "Strides", &["IAB7-18", "IAB17"]),
    ("987654321", "Photo Studio", "Lens", &["IAB1"]),
    ("com.example.radio", "World Radio", "Waves", &["IAB1-6"]),
    ("com.example.tvnow", "TV Now", "Channel Nine", &["IAB1-7"]),
    ("com.example.movies", "Movie Box", "Reel", &["IAB1-5"]),
];

pub(super) const BLOCKED_CATEGORIES: [&str; 24] = [
    "IAB7-39", "IAB7-44", "IAB8-5", "IAB8-18", "IAB9-9", "IAB11-4", "IAB11-5", "IAB14-1",
    "IAB14-3", "IAB15-5", "IAB17-18", "IAB19-3", "IAB23", "IAB24", "IAB25", "IAB25-2", "IAB25-3",
    "IAB25-4", "IAB25-5", "IAB25-7", "IAB26", "IAB26-1", "IAB26-2", "IAB26-4",
];

pub(super) const BANNERS: [(u16, u16); 8] =
    [(300, 250), (300, 250), (320, 50), (320, 50), (728, 90), (160, 600), (300, 600), (970, 250)];
