use std::collections::BTreeMap;
use std::io::Read;

use super::*;
use zip::ZipArchive;

fn header() -> Header {
    Header {
        request: "dsr_1".to_owned(),
        account: "default".to_owned(),
        kind: Kind::Access,
        made_at: 1_795_219_201_500_000,
    }
}

fn section(name: &str, columns: &[&str], rows: Value) -> Section {
    let rows = rows.as_array().expect("rows").iter();
    Section {
        name: name.to_owned(),
        description: "what you agreed to".to_owned(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        rows: rows.map(|row| row.as_object().expect("a row").clone()).collect(),
    }
}

/// Texts that break careless writers.
const HOSTILE: [&str; 14] = [
    "=HYPERLINK(\"http://x\",\"y\")",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "'=1",
    "a,b;\"c\"\r\nd",
    "",
    " =1",
    "ärger 🦀",
    "\u{0}",
];

fn hostile() -> Section {
    let rows: Vec<Value> = HOSTILE.iter().map(|t| json!({"text": t, "n": -5})).collect();
    section("hostile", &["n", "text"], Value::Array(rows))
}

fn files(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).expect("a zip");
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).expect("a file");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("unpacks");
        let name = file.name().expect("a name").into_owned();
        files.insert(name, bytes);
    }
    files
}

#[test]
fn a_package_unpacks_to_what_its_manifest_says() {
    let rows = json!([
        {"type": "marketing", "at": 5, "more": {"b": [1, null], "a": true}},
        {"at": 1.5, "type": null}
    ]);
    let consent = section("consent", &["type", "at", "more"], rows);
    let zip = package(&header(), &[consent, hostile()]).expect("packed");
    let files = files(&zip);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("json");
    assert_eq!(manifest["request"], "dsr_1");
    assert_eq!(manifest["request_type"], "ACCESS");
    assert_eq!(manifest["format_version"], FORMAT_VERSION);
    assert_eq!(manifest["made_at"], "2026-11-21T00:00:01.5Z");
    let sections = manifest["sections"].as_array().expect("sections");
    let mut listed = manifest["files"].as_array().expect("files").clone();
    for s in sections {
        listed.extend(s["files"].as_array().expect("files").iter().cloned());
    }
    assert_eq!(listed.len() + 1, files.len(), "all but the manifest are in it");
    for entry in listed {
        let bytes = &files[entry["path"].as_str().expect("a path")];
        assert_eq!(entry["bytes"], bytes.len());
        let sum: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(entry["sha256"], sum.as_str());
    }
    assert_eq!(sections[0]["rows"], 2);
    assert_eq!(
        String::from_utf8_lossy(&files["data/consent.json"]),
        r#"[{"type":"marketing","at":5,"more":{"a":true,"b":[1,null]}},{"type":null,"at":1.5}]"#
    );
    assert_eq!(
        String::from_utf8_lossy(&files["data/consent.csv"]),
        "type,at,more\r\nmarketing,5,\"{\"\"a\"\":true,\"\"b\"\":[1,null]}\"\r\n,1.5,\r\n"
    );
    assert!(String::from_utf8_lossy(&files["README.txt"]).contains("dsr_1"));
}

#[test]
fn hostile_texts_come_back_exactly_and_run_nowhere() {
    let zip = package(&header(), &[hostile()]).expect("packed");
    let files = files(&zip);
    let rows: Vec<Value> = serde_json::from_slice(&files["data/hostile.json"]).expect("json");
    let mut reader = csv::Reader::from_reader(&files["data/hostile.csv"][..]);
    assert_eq!(reader.headers().expect("a header"), vec!["n", "text"]);
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("csv");
    assert_eq!((rows.len(), records.len()), (HOSTILE.len(), HOSTILE.len()));
    let mut guarded = 0;
    for ((text, row), record) in HOSTILE.iter().zip(&rows).zip(&records) {
        assert_eq!(row["text"], *text);
        assert_eq!(&record[0], "-5", "a number is no formula");
        let cell = &record[1];
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']), "{cell:?}");
        guarded += u64::from(cell.starts_with('\''));
        assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), *text);
    }
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("json");
    assert_eq!(manifest["sections"][0]["cells_guarded_in_csv"], guarded);
    assert_eq!(guarded, 9);
}

#[test]
fn the_same_input_gives_the_same_bytes_and_another_time_gives_others() {
    let zip = |made_at| package(&Header { made_at, ..header() }, &[hostile()]).expect("packed");
    assert_eq!(zip(header().made_at), zip(header().made_at));
    assert_ne!(zip(header().made_at), zip(header().made_at + 60_000_000));
}

#[test]
fn names_that_leave_the_folder_or_are_devices_are_refused() {
    let long = "x".repeat(NAME_CHARS_MAX + 1);
    for bad in [
        "", "..", "../etc", "a/b", "a\\b", "/a", "A", "1a", "a b", "a.b", "ä", "a\0", "con",
        "com1", "lpt9", "-a", &long,
    ] {
        let named = package(&header(), &[section(bad, &["a"], json!([]))]);
        assert_eq!(named, Err(PackageError::Name(bad.to_owned())), "{bad:?}");
    }
    for bad in ["", "=a", "a,b", &long] {
        let named = package(&header(), &[section("a", &[bad], json!([]))]);
        assert_eq!(named, Err(PackageError::Name(bad.to_owned())), "{bad:?}");
    }
    for good in ["consent", "a-b_1", "common", "com10", "console"] {
        assert!(package(&header(), &[section(good, &["con"], json!([]))]).is_ok(), "{good}");
    }
}

#[test]
fn what_would_be_lost_or_overwritten_is_refused() {
    let a = || section("a", &["x"], json!([{"x": 1}]));
    assert_eq!(package(&header(), &[a(), a()]), Err(PackageError::Twice("a".to_owned())));
    let twice = section("a", &["x", "x"], json!([]));
    assert_eq!(package(&header(), &[twice]), Err(PackageError::Twice("x".to_owned())));
    let unlisted = section("a", &["x"], json!([{"x": 1}, {"y": 2}]));
    let want = PackageError::Column { section: "a".to_owned(), column: "y".to_owned() };
    assert_eq!(package(&header(), &[unlisted]), Err(want));
}

#[test]
fn data_up_to_the_bound_is_packed_and_one_byte_more_is_refused() {
    let sections = [hostile(), section("more", &["x"], json!([{"x": "y"}]))];
    let bytes: usize =
        sections.iter().filter_map(|s| rows_json(s, usize::MAX)).map(|j| j.len()).sum();
    assert!(within(&header(), &sections, bytes).is_ok());
    let less = within(&header(), &sections, bytes - 1);
    assert_eq!(less, Err(PackageError::TooLarge(bytes - 1)));
    let many: Vec<Section> =
        (0..=SECTIONS_MAX).map(|i| section(&format!("s{i}"), &[], json!([]))).collect();
    assert_eq!(package(&header(), &many), Err(PackageError::TooMany));
    assert!(package(&header(), &many[1..]).is_ok());
}

#[test]
fn an_empty_package_and_empty_rows_are_good() {
    assert_eq!(files(&package(&header(), &[]).expect("packed")).len(), 2);
    let rows = section("a", &["x"], json!([{}, {"x": ""}, {"x": "v"}]));
    let files = files(&package(&header(), &[rows]).expect("packed"));
    assert_eq!(files["data/a.csv"], b"x\r\n\"\"\r\n\"\"\r\nv\r\n");
}

#[test]
fn times_that_zip_does_not_have_are_refused() {
    for made_at in [0, i64::MAX, i64::MIN] {
        assert_eq!(package(&Header { made_at, ..header() }, &[]), Err(PackageError::Time));
    }
}
