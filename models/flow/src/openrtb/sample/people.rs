//! Who sees made-up impressions, and on what.

/// A device: user agent, `devicetype`, maker, model, system and its version, width, height, pixel ratio.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Screen {
    pub agent: &'static str,
    pub kind: u64,
    pub make: &'static str,
    pub model: &'static str,
    pub os: &'static str,
    pub version: &'static str,
    pub size: (u64, u64),
    pub ratio: &'static str,
}

pub(super) const PHONES: [Screen; 4] = [
    Screen {
        agent: "Mozilla/5.0 (Linux; Android 15; SM-S928B Build/AP3A.240905.015) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/138.0.0.0 Mobile Safari/537.36",
        kind: 4,
        make: "Samsung",
        model: "SM-S928B",
        os: "Android",
        version: "15",
        size: (1_440, 3_120),
        ratio: "3.75",
    },
    Screen {
        agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        kind: 4,
        make: "Apple",
        model: "iPhone",
        os: "iOS",
        version: "18.5",
        size: (1_179, 2_556),
        ratio: "3",
    },
    Screen {
        agent: "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36",
        kind: 1,
        make: "Google",
        model: "Pixel 8",
        os: "Android",
        version: "14",
        size: (1_080, 2_400),
        ratio: "2.625",
    },
    Screen {
        agent: "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
        kind: 5,
        make: "Apple",
        model: "iPad",
        os: "iOS",
        version: "17.7",
        size: (1_620, 2_160),
        ratio: "2",
    },
];

pub(super) const DESKTOPS: [Screen; 2] = [
    Screen {
        agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
        kind: 2,
        make: "",
        model: "",
        os: "Windows",
        version: "10",
        size: (1_920, 1_080),
        ratio: "1",
    },
    Screen {
        agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
        kind: 2,
        make: "Apple",
        model: "Macintosh",
        os: "macOS",
        version: "10.15.7",
        size: (1_728, 1_117),
        ratio: "2",
    },
];

pub(super) const TELEVISIONS: [Screen; 2] = [
    Screen {
        agent: "Mozilla/5.0 (SMART-TV; LINUX; Tizen 8.0) AppleWebKit/537.36 (KHTML, like Gecko) 108.0.5359.1/8.0 TV Safari/537.36",
        kind: 3,
        make: "Samsung",
        model: "QE55Q70C",
        os: "Tizen",
        version: "8.0",
        size: (3_840, 2_160),
        ratio: "1",
    },
    Screen {
        agent: "Roku/DVP-14.5 (14.5.0.4205)",
        kind: 7,
        make: "Roku",
        model: "4802X",
        os: "Roku OS",
        version: "14.5",
        size: (1_920, 1_080),
        ratio: "1",
    },
];

pub(super) const SOURCES: [&str; 6] = [
    "id-provider.example",
    "login.example",
    "graph.example",
    "pubcid.example",
    "household.example",
    "uid.example",
];
