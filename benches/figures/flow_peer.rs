//! What the bid path is held against: a bare axum handler that parses the same JSON and answers a constant
//! bid, as long as the service's mean answer.
//!
//! `typed` parses into structs of all that OpenRTB 2.6 has, as anybody would derive them: texts are owned,
//! and what has no field is passed over. `value` parses into [`serde_json::Value`].
#![expect(dead_code, reason = "parsed as a bidder does, and not looked at")]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::serve::ListenerExt;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// An extension of whatever kind, kept as it came.
type Ext = Option<Box<RawValue>>;

#[derive(Deserialize)]
struct Request {
    id: String,
    imp: Vec<Imp>,
    site: Option<Site>,
    app: Option<App>,
    device: Option<Device>,
    user: Option<User>,
    test: Option<u8>,
    at: Option<i32>,
    tmax: Option<i32>,
    #[serde(default)]
    wseat: Vec<String>,
    #[serde(default)]
    bseat: Vec<String>,
    allimps: Option<u8>,
    #[serde(default)]
    cur: Vec<String>,
    #[serde(default)]
    wlang: Vec<String>,
    #[serde(default)]
    bcat: Vec<String>,
    #[serde(default)]
    badv: Vec<String>,
    #[serde(default)]
    bapp: Vec<String>,
    source: Option<Source>,
    regs: Option<Regs>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Imp {
    id: String,
    banner: Option<Banner>,
    video: Option<Video>,
    audio: Option<Audio>,
    native: Option<Native>,
    pmp: Option<Pmp>,
    displaymanager: Option<String>,
    displaymanagerver: Option<String>,
    instl: Option<u8>,
    tagid: Option<String>,
    bidfloor: Option<f64>,
    bidfloorcur: Option<String>,
    clickbrowser: Option<u8>,
    secure: Option<u8>,
    #[serde(default)]
    iframebuster: Vec<String>,
    rwdd: Option<u8>,
    ssai: Option<i32>,
    exp: Option<i32>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Banner {
    #[serde(default)]
    format: Vec<Format>,
    w: Option<i32>,
    h: Option<i32>,
    #[serde(default)]
    btype: Vec<i32>,
    #[serde(default)]
    battr: Vec<i32>,
    pos: Option<i32>,
    #[serde(default)]
    mimes: Vec<String>,
    topframe: Option<u8>,
    #[serde(default)]
    expdir: Vec<i32>,
    #[serde(default)]
    api: Vec<i32>,
    id: Option<String>,
    vcm: Option<u8>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Format {
    w: Option<i32>,
    h: Option<i32>,
    wratio: Option<i32>,
    hratio: Option<i32>,
    wmin: Option<i32>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Video {
    mimes: Vec<String>,
    minduration: Option<i32>,
    maxduration: Option<i32>,
    startdelay: Option<i32>,
    maxseq: Option<i32>,
    poddur: Option<i32>,
    #[serde(default)]
    protocols: Vec<i32>,
    w: Option<i32>,
    h: Option<i32>,
    podid: Option<String>,
    podseq: Option<i32>,
    #[serde(default)]
    rqddurs: Vec<i32>,
    placement: Option<i32>,
    plcmt: Option<i32>,
    linearity: Option<i32>,
    skip: Option<u8>,
    skipmin: Option<i32>,
    skipafter: Option<i32>,
    #[serde(default)]
    battr: Vec<i32>,
    maxextended: Option<i32>,
    minbitrate: Option<i32>,
    maxbitrate: Option<i32>,
    boxingallowed: Option<u8>,
    #[serde(default)]
    playbackmethod: Vec<i32>,
    playbackend: Option<i32>,
    #[serde(default)]
    delivery: Vec<i32>,
    pos: Option<i32>,
    #[serde(default)]
    api: Vec<i32>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Audio {
    mimes: Vec<String>,
    minduration: Option<i32>,
    maxduration: Option<i32>,
    poddur: Option<i32>,
    #[serde(default)]
    protocols: Vec<i32>,
    startdelay: Option<i32>,
    #[serde(default)]
    rqddurs: Vec<i32>,
    #[serde(default)]
    battr: Vec<i32>,
    #[serde(default)]
    api: Vec<i32>,
    feed: Option<i32>,
    stitched: Option<u8>,
    nvol: Option<i32>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Native {
    request: String,
    ver: Option<String>,
    #[serde(default)]
    api: Vec<i32>,
    #[serde(default)]
    battr: Vec<i32>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Pmp {
    private_auction: Option<u8>,
    #[serde(default)]
    deals: Vec<Deal>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Deal {
    id: String,
    bidfloor: Option<f64>,
    bidfloorcur: Option<String>,
    at: Option<i32>,
    #[serde(default)]
    wseat: Vec<String>,
    #[serde(default)]
    wadomain: Vec<String>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Site {
    id: Option<String>,
    name: Option<String>,
    domain: Option<String>,
    #[serde(default)]
    cat: Vec<String>,
    #[serde(default)]
    sectioncat: Vec<String>,
    #[serde(default)]
    pagecat: Vec<String>,
    page: Option<String>,
    #[serde(rename = "ref")]
    referrer: Option<String>,
    search: Option<String>,
    mobile: Option<u8>,
    privacypolicy: Option<u8>,
    publisher: Option<Publisher>,
    content: Option<Content>,
    keywords: Option<String>,
    ext: Ext,
}

#[derive(Deserialize)]
struct App {
    id: Option<String>,
    name: Option<String>,
    bundle: Option<String>,
    domain: Option<String>,
    storeurl: Option<String>,
    #[serde(default)]
    cat: Vec<String>,
    #[serde(default)]
    sectioncat: Vec<String>,
    #[serde(default)]
    pagecat: Vec<String>,
    ver: Option<String>,
    privacypolicy: Option<u8>,
    paid: Option<u8>,
    publisher: Option<Publisher>,
    content: Option<Content>,
    keywords: Option<String>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Publisher {
    id: Option<String>,
    name: Option<String>,
    #[serde(default)]
    cat: Vec<String>,
    domain: Option<String>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Content {
    id: Option<String>,
    episode: Option<i32>,
    title: Option<String>,
    series: Option<String>,
    season: Option<String>,
    genre: Option<String>,
    url: Option<String>,
    #[serde(default)]
    cat: Vec<String>,
    context: Option<i32>,
    contentrating: Option<String>,
    keywords: Option<String>,
    livestream: Option<u8>,
    len: Option<i32>,
    language: Option<String>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Device {
    ua: Option<String>,
    sua: Option<UserAgent>,
    geo: Option<Geo>,
    dnt: Option<u8>,
    lmt: Option<u8>,
    ip: Option<String>,
    ipv6: Option<String>,
    devicetype: Option<i32>,
    make: Option<String>,
    model: Option<String>,
    os: Option<String>,
    osv: Option<String>,
    hwv: Option<String>,
    h: Option<i32>,
    w: Option<i32>,
    ppi: Option<i32>,
    pxratio: Option<f64>,
    js: Option<u8>,
    geofetch: Option<u8>,
    language: Option<String>,
    langb: Option<String>,
    carrier: Option<String>,
    mccmnc: Option<String>,
    connectiontype: Option<i32>,
    ifa: Option<String>,
    ext: Ext,
}

#[derive(Deserialize)]
struct UserAgent {
    #[serde(default)]
    browsers: Vec<Brand>,
    platform: Option<Brand>,
    mobile: Option<u8>,
    architecture: Option<String>,
    bitness: Option<String>,
    model: Option<String>,
    source: Option<i32>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Brand {
    brand: String,
    #[serde(default)]
    version: Vec<String>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Geo {
    lat: Option<f64>,
    lon: Option<f64>,
    #[serde(rename = "type")]
    kind: Option<i32>,
    accuracy: Option<i32>,
    country: Option<String>,
    region: Option<String>,
    metro: Option<String>,
    city: Option<String>,
    zip: Option<String>,
    utcoffset: Option<i32>,
    ext: Ext,
}

#[derive(Deserialize)]
struct User {
    id: Option<String>,
    buyeruid: Option<String>,
    yob: Option<i32>,
    gender: Option<String>,
    keywords: Option<String>,
    customdata: Option<String>,
    geo: Option<Geo>,
    consent: Option<String>,
    #[serde(default)]
    eids: Vec<Eid>,
    ext: Option<UserExt>,
}

#[derive(Deserialize)]
struct UserExt {
    consent: Option<String>,
    #[serde(default)]
    eids: Vec<Eid>,
}

#[derive(Deserialize)]
struct Eid {
    source: Option<String>,
    #[serde(default)]
    uids: Vec<Uid>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Uid {
    id: Option<String>,
    atype: Option<i32>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Source {
    fd: Option<u8>,
    tid: Option<String>,
    pchain: Option<String>,
    schain: Option<SupplyChain>,
    ext: Option<SourceExt>,
}

#[derive(Deserialize)]
struct SourceExt {
    schain: Option<SupplyChain>,
}

#[derive(Deserialize)]
struct SupplyChain {
    complete: Option<u8>,
    #[serde(default)]
    nodes: Vec<Node>,
    ver: Option<String>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Node {
    asi: Option<String>,
    sid: Option<String>,
    rid: Option<String>,
    name: Option<String>,
    domain: Option<String>,
    hp: Option<u8>,
    ext: Ext,
}

#[derive(Deserialize)]
struct Regs {
    coppa: Option<u8>,
    gdpr: Option<u8>,
    us_privacy: Option<String>,
    gpp: Option<String>,
    #[serde(default)]
    gpp_sid: Vec<i32>,
    ext: Option<RegsExt>,
}

#[derive(Deserialize)]
struct RegsExt {
    gdpr: Option<u8>,
    us_privacy: Option<String>,
    gpp: Option<String>,
    #[serde(default)]
    gpp_sid: Vec<i32>,
}

/// A bid of so many bytes.
fn constant(bytes: usize) -> Bytes {
    let with = |markup: &str| {
        format!(
            r#"{{"id":"r","seatbid":[{{"bid":[{{"id":"b","impid":"1","price":1.25,"adm":"{markup}"}}],"seat":"s"}}],"cur":"USD"}}"#
        )
    };
    let rest = bytes.saturating_sub(with("").len());
    with(&"x".repeat(rest)).into()
}

fn bid(answer: Bytes) -> impl IntoResponse {
    let version = (HeaderName::from_static("x-openrtb-version"), "2.6");
    ([version, (header::CONTENT_TYPE, "application/json")], answer)
}

async fn typed(State(answer): State<Bytes>, body: Bytes) -> Result<impl IntoResponse, StatusCode> {
    // Not `axum::Json`, which keeps track of where it is in the document.
    let request: Request = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    std::hint::black_box(&request);
    Ok(bid(answer))
}

async fn value(State(answer): State<Bytes>, body: Bytes) -> Result<impl IntoResponse, StatusCode> {
    let request: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    std::hint::black_box(&request);
    Ok(bid(answer))
}

/// Whether every one of the bodies is read: a peer that refuses them would be quick.
pub fn reads(bodies: &[Vec<u8>]) {
    for body in bodies {
        if let Err(error) = serde_json::from_slice::<Request>(body) {
            panic!("{error}: {}", String::from_utf8_lossy(body));
        }
    }
}

pub async fn serve(as_value: bool, answer_bytes: usize) {
    let route = if as_value { post(value) } else { post(typed) };
    let router = Router::new().route("/openrtb2/bid", route).with_state(constant(answer_bytes));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("ready {}", listener.local_addr().expect("an address").port());
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await.expect("it serves");
}
