//! The configuration as a user meets it: sources, their order, and what is said about mistakes.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kiki::config::{
    Config, DEFAULT_TOML, Environment, Leases, Loader, LogFormat, keys, show, token_secret,
};
use kiki::models::shield::limits::Limits;
use kiki::models::shield::money::Micros;
use kiki::store::{CommitterTerms, StoreConfig};

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn complaints(loader: Loader) -> Vec<String> {
    let problems = loader.load().expect_err("should be refused");
    problems.0.iter().map(ToString::to_string).collect()
}

/// Checks `text` as a file and returns the complaints without the file's name.
fn complaints_about(text: &str) -> Vec<String> {
    let file = file(text);
    let prefix = format!("{}:", file.path().display());
    let said = complaints(Loader::new().file(Some(file.path())));
    said.iter().map(|line| line.strip_prefix(&prefix).unwrap_or(line).to_owned()).collect()
}

fn with(variables: &[(&str, &str)]) -> Config {
    let set = variables.iter().fold(Environment::empty(), |e, (n, v)| e.with(n, v));
    Loader::new().environment(set).load().expect("a good configuration").config
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = with(&[]);
    assert_eq!(config.server.shield_addr().to_string(), "127.0.0.1:8081");
    assert_eq!(config.server.health_addr().to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.admin_addr().to_string(), "127.0.0.1:8090");
    assert_eq!(config.shield.window_cap, Micros(500_000_000));
    assert_eq!(config.shield.window_seconds.micros(), 60_000_000);
    assert_eq!(config.shield.holds_max, 100_000);
    assert_eq!(config.peers.shield_url.as_str(), "http://localhost:8081/check");
    assert_eq!(config.peers.ltv_grpc_addr.as_str(), "localhost:50051");
    assert_eq!(config.audit.retention_days, 2555);
    assert!(config.store.database_url.is_empty() && config.redis.addr.is_empty());
}

#[test]
fn every_key_of_the_structs_is_in_the_default_file_and_the_other_way_round() {
    let document: toml::Table = DEFAULT_TOML.parse().expect("valid TOML");
    let written: BTreeSet<String> = document
        .iter()
        .flat_map(|(section, table)| {
            let table = table.as_table().expect("a section");
            table.keys().map(move |key| format!("{section}.{key}"))
        })
        .collect();
    let declared: BTreeSet<String> = keys().map(|key| key.path.to_owned()).collect();
    assert_eq!(written, declared);
}

#[test]
fn every_key_of_the_default_file_is_explained_above_it() {
    let mut explained = false;
    for (at, line) in DEFAULT_TOML.lines().enumerate() {
        match line.trim() {
            comment if comment.starts_with('#') => explained = true,
            "" => explained = false,
            section if section.starts_with('[') => explained = false,
            key => {
                assert!(explained, "line {}: {key} has no comment", at + 1);
                explained = false;
            }
        }
    }
}

#[test]
fn every_conventional_variable_and_every_limit_is_in_the_comments() {
    for key in keys() {
        let name = format!("\n{} = ", key.name());
        let section = DEFAULT_TOML.find(&format!("\n[{}]", key.section())).expect("its section");
        let at = section + DEFAULT_TOML[section..].find(&name).expect("its line");
        let above = &DEFAULT_TOML[..at];
        let comment: Vec<&str> =
            above.lines().rev().take_while(|line| line.starts_with('#')).collect();
        for variable in key.variables {
            let told = comment.iter().any(|line| line.contains(variable));
            assert!(told, "{}: {variable} is not in its comment", key.path);
        }
    }
}

#[test]
fn every_variable_is_in_the_example_and_every_name_in_the_example_works() {
    let example = include_str!("../.env.example");
    let named = |line: &str| {
        let name = line.trim_start_matches('#').trim().split_once('=')?.0.to_owned();
        let plain = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        plain.then_some(name)
    };
    let example: BTreeSet<String> = example.lines().filter_map(named).collect();
    let conventional: BTreeSet<String> =
        keys().flat_map(|key| key.variables.iter().map(|&v| v.to_owned())).collect();
    let missing: Vec<_> = conventional.difference(&example).collect();
    assert!(missing.is_empty(), ".env.example lacks {missing:?}");
    let composed = ["PORT", "KIKI_CONFIG", "REDIS_HOST", "REDIS_PORT", "DB_HOST", "DB_PORT"];
    let more =
        ["DB_NAME", "DB_USER", "DB_PASSWORD", "DB_SSL_MODE", "KIKI_ADMIN_URL", "KIKI_CA_FILE"];
    let all: BTreeSet<String> = keys().flat_map(|key| key.variable_names()).collect();
    for name in &example {
        let known = composed.contains(&name.as_str()) || more.contains(&name.as_str());
        assert!(known || all.contains(name), ".env.example names {name}, which sets nothing");
    }
}

#[test]
fn later_sources_win_in_the_documented_order() {
    let file = file("[shield]\nwindow_cap = 1\nwindow_seconds = 1\ngrace_s = 1\nholds_max = 1\n");
    let environment = Environment::empty()
        .with_dotenv("WINDOW_SECONDS", "2")
        .with_dotenv("KIKI_SHIELD_GRACE_S", "2")
        .with_dotenv("KIKI_SHIELD_HOLDS_MAX", "2")
        .with("KIKI_SHIELD_GRACE_S", "3")
        .with("KIKI_SHIELD_HOLDS_MAX", "3");
    let loaded = Loader::new()
        .file(Some(file.path()))
        .environment(environment)
        .flag("shield.holds_max", 4, "--set")
        .load()
        .expect("good");
    let shield = &loaded.config.shield;
    assert_eq!(shield.window_cap, Micros(1_000_000));
    assert_eq!(shield.window_seconds.micros(), 2_000_000);
    assert_eq!(shield.grace_s.micros(), 3_000_000);
    assert_eq!(shield.holds_max, 4);
    let shown = show(&loaded.values);
    for want in [
        format!("window_cap = 1                               # {}:2:14", file.path().display()),
        "window_seconds = 2                           # .env WINDOW_SECONDS".to_owned(),
        "grace_s = 3                                  # environment KIKI_SHIELD_GRACE_S".to_owned(),
        "holds_max = 4                                # flag --set".to_owned(),
        "default_currency = \"USD\"                     # default".to_owned(),
    ] {
        assert!(shown.contains(&want), "{want}\nis not in\n{shown}");
    }
}

#[test]
fn everything_wrong_in_a_file_is_said_at_once_with_its_place() {
    let said = complaints_about(
        "[server]\nshield_prot = 1\nadmin_port = 70000\n\n[shield]\n  window_cap = true\n\
         window_seconds = 0.5\nhold_ttl_s = \"60\"\nwindow_cap_ = 5\n[kernal]\nx = 1\n[log]\nformat = \"xml\"\n",
    );
    assert_eq!(
        said,
        [
            "2:1: server.shield_prot: unknown key; did you mean server.shield_port?",
            "3:14: server.admin_port: must be between 1 and 65535, got 70000",
            "6:16: shield.window_cap: expected an amount such as 500.00, got a boolean",
            "7:18: shield.window_seconds: must be between 1 and 86400, got 0.5",
            "8:14: shield.hold_ttl_s: expected seconds such as 60 or 0.5, got \"60\"",
            "9:1: shield.window_cap_: unknown key; did you mean shield.window_cap?",
            "10:2: kernal: unknown section; did you mean [kernel]?",
            "13:10: log.format: expected \"text\" or \"json\", got \"xml\"",
        ]
    );
}

#[test]
fn a_key_in_the_wrong_place_is_pointed_to_the_right_one() {
    assert_eq!(
        complaints_about("window_cap = 5\n"),
        ["1:1: window_cap: unknown key; did you mean shield.window_cap?"]
    );
    assert_eq!(
        complaints_about("[store]\nwindow_cap = 5\n"),
        ["2:1: store.window_cap: unknown key; did you mean shield.window_cap?"]
    );
    assert_eq!(
        complaints_about("server = 5\n"),
        ["1:10: server: expected a section, as in [server]"]
    );
}

#[test]
fn broken_toml_is_placed_and_the_rest_of_the_file_is_still_read() {
    let said = complaints_about("[server]\nbind = \nshield_prot = 1\n");
    assert!(said[0].starts_with("2:"), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("3:1: server.shield_prot")), "{said:?}");
    let twice = complaints_about("[chaos]\nenabled = true\nenabled = false\n");
    assert!(twice[0].starts_with("3:1: ") && twice[0].contains("duplicate"), "{twice:?}");
}

#[test]
fn money_is_read_exactly_or_refused() {
    let cap = |text: &str| {
        let file = file(&format!("[shield]\nwindow_cap = {text}\n"));
        let loaded = Loader::new().file(Some(file.path())).load();
        loaded.map(|loaded| loaded.config.shield.window_cap.0).map_err(|p| p.to_string())
    };
    assert_eq!(cap("123456789.123457"), Ok(123_456_789_123_457));
    assert_eq!(cap("1_000"), Ok(1_000_000_000));
    for bad in ["0.1234567", "nan", "inf", "-1", "9e99", "\"5\"", "9999999999999"] {
        assert!(cap(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_currency_is_one_that_exists() {
    let said = complaints_about("[shield]\ndefault_currency = \"usd\"\n");
    let want =
        "2:20: shield.default_currency: expected an ISO 4217 code such as \"USD\", got \"usd\"";
    assert_eq!(said, [want]);
}

#[test]
fn the_defaults_of_the_file_are_those_of_the_store_and_of_the_rules() {
    let config = with(&[]);
    assert_eq!(config.store.opening(), StoreConfig::sqlite("data"));
    let (own, store) = (config.store.committer(), CommitterTerms::default());
    assert_eq!(format!("{own:?}"), format!("{store:?}"));
    assert_eq!(format!("{:?}", config.shield.limits()), format!("{:?}", Limits::default()));
}

#[test]
fn a_bad_variable_is_named() {
    let environment = Environment::empty()
        .with("MAX_BURST_BUDGET", "lots")
        .with_dotenv("KIKI_SHIELD_PORT", "0")
        .with("DB_HOST", "db")
        .with("DB_PORT", "x");
    let mut said = complaints(Loader::new().environment(environment));
    said.sort();
    assert_eq!(
        said,
        [
            ".env KIKI_SHIELD_PORT: server.shield_port: must be between 1 and 65535, got 0",
            "environment DB_PORT: expected a port from 1 to 65535",
            "environment MAX_BURST_BUDGET: shield.window_cap: expected an amount such as 500.00, \
             got \"lots\"",
        ]
    );
}

#[test]
fn a_misspelt_variable_is_warned_of() {
    let environment = Environment::empty().with("KIKI_SHEILD_PORT", "1").with("KIKI_TEST_X", "1");
    let loaded = Loader::new().environment(environment).load().expect("good");
    assert_eq!(
        loaded.warnings,
        ["environment KIKI_SHEILD_PORT: sets nothing; did you mean KIKI_SHIELD_PORT?"]
    );
}

#[test]
fn port_counts_only_for_a_single_role() {
    let environment = Environment::empty().with("PORT", "9000");
    let all = Loader::new().environment(environment.clone()).load().expect("good").config;
    assert_eq!(all.server.shield_port, 8081);
    let one = Loader::new().environment(environment.clone()).one_role("shield").load();
    assert_eq!(one.expect("good").config.server.shield_port, 9000);
    let both = environment.with("KIKI_SHIELD_PORT", "9001");
    let own = Loader::new().environment(both).one_role("shield").load().expect("good").config;
    assert_eq!(own.server.shield_port, 9001);
}

#[test]
fn the_database_comes_from_one_url_or_from_its_parts() {
    assert_eq!(
        with(&[("DB_HOST", "db"), ("DB_USER", "u"), ("DB_PASSWORD", "p@:/ss"), ("DB_NAME", "k")])
            .store
            .database_url
            .expose(),
        "postgres://u:p%40%3A%2Fss@db:5432/k"
    );
    assert_eq!(
        with(&[("DB_HOST", "/run/pg"), ("DB_PORT", "5433"), ("DB_SSL_MODE", "disable")])
            .store
            .database_url
            .expose(),
        "postgres://kiki@%2Frun%2Fpg:5433/kiki?sslmode=disable"
    );
    let both = with(&[("DATABASE_URL", "postgres://a@b/c"), ("DB_HOST", "other")]);
    assert_eq!(both.store.database_url.expose(), "postgres://a@b/c");
    let lost = Environment::empty().with("DB_NAME", "k");
    let said = complaints(Loader::new().environment(lost));
    assert_eq!(said, ["environment DB_NAME: is set but DB_HOST is not"]);
}

#[test]
fn redis_telemetry_and_audit_variables_are_read() {
    let config = with(&[
        ("REDIS_ADDR", "cache:6379"),
        ("REDIS_PASSWORD", "secret"),
        ("REDIS_DB", "3"),
        ("AUDIT_DIR", "/var/audit"),
        ("RETENTION_DAYS", "30"),
        ("SHIELD_URL", "http://shield/check"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("LOG_LEVEL", "DEBUG"),
        ("LOG_FORMAT", "json"),
        ("CLUSTER_LEASES", "fast"),
        ("REDIS_POOL_SIZE", ""),
    ]);
    assert_eq!(config.redis.addr.split(), Some(("cache", 6379)));
    assert_eq!((config.redis.db, config.redis.pool_size), (3, 4));
    assert_eq!(config.audit.dir_or(Path::new("data")), Path::new("/var/audit"));
    assert_eq!(config.peers.shield_url.as_str(), "http://shield/check");
    assert_eq!(config.telemetry.otlp_endpoint.as_str(), "http://collector:4317");
    assert_eq!(config.telemetry.sample_ratio.micros(), 250_000);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.cluster.leases, Leases::Fast);
    let split = with(&[("REDIS_HOST", "cache"), ("REDIS_PORT", "6380")]);
    assert_eq!(split.redis.addr.as_str(), "cache:6380");
    assert_eq!(with(&[("REDIS_HOST", "cache")]).redis.addr.as_str(), "cache:6379");
    assert_eq!(with(&[("REDIS_HOST", "::1")]).redis.addr.as_str(), "[::1]:6379");
}

#[test]
fn no_listing_and_no_debug_output_shows_a_secret() {
    let environment = Environment::empty()
        .with("REDIS_PASSWORD", "hunter2hunter2")
        .with("DATABASE_URL", "postgres://u:hunter2hunter2@h/n")
        .with("KIKI_TOKEN_SECRET", "hunter2hunter2hunter2hunter2hunter2");
    let loaded = Loader::new().environment(environment).load().expect("good");
    let shown = show(&loaded.values);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("postgres://u:[redacted]@h/n"), "{shown}");
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
    let url = Environment::empty().with("DATABASE_URL", "mysql://u:hunter2@h/n");
    assert!(!complaints(Loader::new().environment(url)).concat().contains("hunter2"));
}

#[test]
fn callers_beyond_this_machine_have_to_say_who_they_are_unless_it_is_said_twice() {
    let required = |settings: &[(&str, &str)]| {
        let set = |loader: Loader, (key, value): &(&str, &str)| loader.flag(key, value, "--set");
        let config = settings.iter().fold(Loader::new(), set).load().expect("good").config;
        config.auth.required(config.server.bind)
    };
    assert!(!required(&[]) && required(&[("auth.mode", "required")]));
    assert!(!required(&[("server.bind", "::1")]) && required(&[("server.bind", "0.0.0.0")]));
    assert!(!required(&[("server.bind", "0.0.0.0"), ("auth.allow_open", "true")]));
    let both = [("auth.mode", "required"), ("auth.allow_open", "true")];
    assert!(required(&both), "required is required");
    let open = || {
        Loader::new().flag("server.bind", "0.0.0.0", "--bind").flag("auth.mode", "open", "--set")
    };
    let said = complaints(open());
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("flag --set: auth.mode: nobody would be asked"), "{said:?}");
    let loaded = open().flag("auth.allow_open", true, "--set").load().expect("allowed");
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn an_issuer_of_tokens_is_whole_and_its_keys_come_safely() {
    let with = |url: &str, algorithms: &str| {
        let settings = [
            ("oidc_issuer", "https://i.example"),
            ("oidc_audience", "kiki"),
            ("oidc_jwks_url", url),
            ("oidc_algorithms", algorithms),
        ];
        let set = |loader: Loader, (key, value): &(&str, &str)| {
            loader.flag(&format!("auth.{key}"), value, "--set")
        };
        settings.iter().fold(Loader::new(), set).load().map(|loaded| loaded.config)
    };
    for good in ["https://i.example/keys", "http://127.0.0.1:1/keys", "http://[::1]:1/k"] {
        assert!(with(good, "EdDSA").expect(good).auth.verifier().is_some());
    }
    for (url, algorithms) in [
        ("http://i.example/keys", "EdDSA"),
        ("http://127.0.0.1.example/keys", "EdDSA"),
        ("", "EdDSA"),
        ("https://i.example/keys", "none"),
        ("https://i.example/keys", "HS256"),
        ("https://i.example/keys", ""),
    ] {
        assert!(with(url, algorithms).is_err(), "{url} {algorithms}");
    }
    let alone = Loader::new().flag("auth.oidc_audience", "kiki", "--set");
    assert_eq!(complaints(alone).len(), 1);
}

#[test]
fn keys_that_contradict_each_other_are_refused_at_the_one_that_was_set() {
    let said = complaints_about(
        "[server]\nport_offset = 60000\n[shield]\nslice_margin_ms = 10_000\nhold_ttl_s = 7200\ntoken_secret = \"short\"\n",
    );
    let places: Vec<&str> = said.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(
        places,
        [
            "server.port_offset",
            "shield.hold_ttl_s",
            "shield.slice_margin_ms",
            "shield.token_secret",
        ],
        "{said:?}"
    );
    assert_eq!(
        complaints_about("[server]\nadmin_port = 8081\n"),
        ["2:14: server.admin_port: 8081 is server.shield_port already"]
    );
    assert_eq!(
        complaints_about(
            "[server]\nshield_port = 8090\nhealth_port = 50000\nport_offset = 20000\n"
        ),
        [
            "3:15: server.health_port: 50000 + server.port_offset 20000 is beyond 65535",
            "2:15: server.shield_port: 8090 is server.admin_port already",
            "4:15: server.port_offset: 20000 + server.grpc_port 50051 is beyond 65535",
        ]
    );
    assert_eq!(
        complaints_about("[server]\nport_offset = 60000\n"),
        ["2:15: server.port_offset: 60000 + server.grpc_port 50051 is beyond 65535"]
    );
    assert_eq!(
        complaints_about(
            "[shield]\nhold_ttl_max_s = 30\nslice_ttl_s = 0.1\nslice_margin_ms = 100\n"
        ),
        [
            "2:18: shield.hold_ttl_max_s: is shorter than shield.hold_ttl_s",
            "2:18: shield.hold_ttl_max_s: is too short for flow.hold_ttl_s: a bid's money is held 5 s longer \
             than the exchange is told",
            "4:19: shield.slice_margin_ms: leaves a slice no time: it must be shorter than \
             shield.slice_ttl_s",
        ]
    );
    assert_eq!(
        complaints_about("[flow]\nhold_ttl_s = 300\n"),
        [
            "2:14: flow.hold_ttl_s: is longer than shield.hold_ttl_max_s allows: a bid's money is held 5 s \
             longer than the exchange is told"
        ]
    );
    let just = file("[shield]\nhold_ttl_max_s = 305\n[flow]\nhold_ttl_s = 300\n");
    assert!(Loader::new().file(Some(just.path())).load().is_ok());
}

#[test]
fn a_token_secret_is_made_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("deep/data");
    let config = Loader::new()
        .flag("store.data_dir", data.display(), "--data-dir")
        .load()
        .expect("good")
        .config;
    let secrets: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| token_secret(&config))).collect();
        tries.into_iter().map(|t| t.join().expect("no panic").expect("a secret")).collect()
    });
    assert!(secrets.iter().all(|s| s.len() == 64 && *s == secrets[0]));
    let path = data.join("token.secret");
    let mode = std::fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&data).expect("listed").count(), 1, "no draft is left");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("changed");
    assert!(token_secret(&config).is_err_and(|e| e.to_string().contains("others may read it")));
}

proptest::proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in "[\\[\\]a-z_\\.=\"#\n 0-9é]{0,200}") {
        let file = file(&text);
        let _ = Loader::new().file(Some(file.path())).load();
    }
}
