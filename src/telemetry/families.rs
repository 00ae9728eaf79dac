//! Prometheus' text format as OTLP metrics: what `/metrics` shows is what a collector gets, under
//! the same names.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
    Summary, SummaryDataPoint,
};

use super::spans::text as label;

/// A family of the text: its samples in their order.
#[derive(Default)]
struct Family<'a> {
    kind: &'a str,
    help: &'a str,
    samples: Vec<Sample<'a>>,
}

/// Names with their values.
type Labels<'a> = Vec<(&'a str, String)>;

struct Sample<'a> {
    /// What stands behind the family's name: `_bucket`, `_sum`, `_count` or nothing.
    part: &'a str,
    labels: Labels<'a>,
    value: f64,
}

/// What belongs to one set of labels of a histogram or summary.
#[derive(Default)]
struct Gathered {
    /// Bounds (or quantiles) with what stands beside them.
    steps: Vec<(f64, f64)>,
    sum: f64,
    count: u64,
}

/// The metrics of a text that the process rendered itself; what cannot be read is left out. Times
/// are wall-clock microseconds: when counting began, and now.
pub fn metrics(text: &str, since_us: i64, now_us: i64) -> Vec<Metric> {
    let nanos = |us: i64| u64::try_from(us).unwrap_or(0).saturating_mul(1_000);
    let (since, now) = (nanos(since_us), nanos(now_us));
    read(text).into_iter().filter_map(|(name, family)| metric(name, &family, since, now)).collect()
}

fn read(text: &str) -> BTreeMap<&str, Family<'_>> {
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = about.split_once(' ') else { continue };
            families.entry(name).or_default().kind = kind.trim();
        } else if let Some(about) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = about.split_once(' ') else { continue };
            families.entry(name).or_default().help = help;
        } else if let Some((name, labels, value)) = sample(line) {
            let parts = ["_bucket", "_sum", "_count"];
            let part = parts.iter().find_map(|part| {
                let family = name.strip_suffix(part)?;
                let whole = matches!(families.get(family)?.kind, "histogram" | "summary");
                whole.then_some((family, *part))
            });
            let (family, part) = part.unwrap_or((name, ""));
            families.entry(family).or_default().samples.push(Sample { part, labels, value });
        }
    }
    families
}

/// `name{label="value",…} number`
fn sample(line: &str) -> Option<(&str, Labels<'_>, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        while !inner.starts_with('}') {
            let (key, quoted) = inner.trim_start_matches(',').split_once("=\"")?;
            let (value, after) = unquoted(quoted)?;
            labels.push((key, value));
            inner = after;
        }
        rest = &inner[1..];
    }
    let value = rest.trim().split(' ').next()?.parse().ok()?;
    (!name.is_empty() && !name.starts_with('#')).then_some((name, labels, value))
}

/// A label's value up to its closing quote, and what follows that.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &quoted[at + 1..])),
            (_, '\\') => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

fn metric(name: &str, family: &Family<'_>, since: u64, now: u64) -> Option<Metric> {
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match family.kind {
        "counter" => Data::Sum(Sum {
            data_points: numbers(family, since, now),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        "gauge" => Data::Gauge(Gauge { data_points: numbers(family, 0, now) }),
        "histogram" => Data::Histogram(Histogram {
            data_points: gathered(family, "le")
                .into_iter()
                .map(|(labels, of)| histogram(labels, of, since, now))
                .collect(),
            aggregation_temporality: cumulative,
        }),
        "summary" => Data::Summary(Summary {
            data_points: gathered(family, "quantile")
                .into_iter()
                .map(|(labels, of)| summary(labels, of, since, now))
                .collect(),
        }),
        _ => return None,
    };
    let unit = match name.trim_end_matches("_total") {
        name if name.ends_with("_seconds") => "s",
        name if name.ends_with("_bytes") => "By",
        _ => "1",
    };
    Some(Metric {
        name: name.to_owned(),
        description: family.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

fn attributes(labels: &[(&str, String)]) -> Vec<KeyValue> {
    labels.iter().map(|(key, value)| label(key, value.as_str())).collect()
}

fn numbers(family: &Family<'_>, since: u64, now: u64) -> Vec<NumberDataPoint> {
    let point = |sample: &Sample<'_>| NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: since,
        time_unix_nano: now,
        value: Some(Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    };
    family.samples.iter().map(point).collect()
}

/// Samples by their labels without `by`, whose value is the step.
fn gathered<'a>(family: &'a Family<'a>, by: &str) -> Vec<(Vec<KeyValue>, Gathered)> {
    let mut found: BTreeMap<Vec<&(&str, String)>, Gathered> = BTreeMap::new();
    for Sample { part, labels, value } in &family.samples {
        let own: Vec<_> = labels.iter().filter(|(key, _)| *key != by).collect();
        let of = found.entry(own).or_default();
        match *part {
            "_sum" => of.sum = *value,
            "_count" => of.count = *value as u64,
            _ => {
                let step = labels.iter().find(|(key, _)| *key == by);
                of.steps.extend(step.and_then(|(_, at)| Some((at.parse().ok()?, *value))));
            }
        }
    }
    let labels = |own: Vec<&(&str, String)>| {
        own.into_iter().map(|(key, value)| label(key, value.as_str())).collect()
    };
    found.into_iter().map(|(own, of)| (labels(own), of)).collect()
}

fn histogram(
    attributes: Vec<KeyValue>,
    mut of: Gathered,
    since: u64,
    now: u64,
) -> HistogramDataPoint {
    of.steps.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut bucket_counts = Vec::with_capacity(of.steps.len());
    let mut below = 0.0;
    for (_, up_to) in &of.steps {
        // The text counts all that is below a bound, OTLP what is between two.
        bucket_counts.push((up_to - below).max(0.0) as u64);
        below = up_to.max(below);
    }
    let bounds = of.steps.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite());
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: since,
        time_unix_nano: now,
        count: of.count,
        sum: Some(of.sum),
        bucket_counts,
        explicit_bounds: bounds.collect(),
        ..HistogramDataPoint::default()
    }
}

fn summary(attributes: Vec<KeyValue>, of: Gathered, since: u64, now: u64) -> SummaryDataPoint {
    let at = |(quantile, value)| ValueAtQuantile { quantile, value };
    SummaryDataPoint {
        attributes,
        start_time_unix_nano: since,
        time_unix_nano: now,
        count: of.count,
        sum: of.sum,
        quantile_values: of.steps.into_iter().map(at).collect(),
        ..SummaryDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: &str = "a_total";
    const SIZE: &str = "b_bytes";
    const TIMES: &str = "c_seconds";
    const PLAIN: &str = "d";

    #[test]
    fn what_the_recorder_renders_becomes_points_with_the_same_values() {
        let recorder = super::super::builder().expect("a builder").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::describe_counter!(COUNTED, "Things, counted.");
            metrics::counter!(COUNTED, "route" => "/x{y}", "odd" => "q\"b\\n\n").increment(3);
            metrics::gauge!(SIZE).set(-1.5);
            for taken in [0.004, 0.02, 0.02, 11.0] {
                metrics::histogram!(TIMES, "m" => "GET").record(taken);
            }
            metrics::histogram!(PLAIN).record(7.0);
        });
        handle.run_upkeep();
        let found = metrics(&handle.render(), 5, 9);
        let by_name: BTreeMap<&str, &Metric> = found.iter().map(|m| (m.name.as_str(), m)).collect();
        let Some(Data::Sum(sum)) = &by_name["a_total"].data else { panic!("a sum") };
        assert_eq!(by_name["a_total"].description, "Things, counted.");
        let point = &sum.data_points[0];
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
        assert_eq!(point.value, Some(Value::AsDouble(3.0)));
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5_000, 9_000));
        let mut labels = point.attributes.clone();
        labels.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(labels, [label("odd", "q\"b\\n\n"), label("route", "/x{y}")]);
        let Some(Data::Gauge(gauge)) = &by_name["b_bytes"].data else { panic!("a gauge") };
        assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(-1.5)));
        assert_eq!(by_name["b_bytes"].unit, "By");
        let Some(Data::Histogram(times)) = &by_name["c_seconds"].data else {
            panic!("a histogram")
        };
        let point = &times.data_points[0];
        assert_eq!(point.explicit_bounds, super::super::DURATION_BUCKETS_S);
        assert_eq!(point.bucket_counts, [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((point.count, point.sum), (4, Some(11.044)));
        assert_eq!(point.attributes, [label("m", "GET")]);
        let Some(Data::Summary(summary)) = &by_name["d"].data else { panic!("a summary") };
        assert_eq!((summary.data_points[0].count, summary.data_points[0].sum), (1, 7.0));
    }

    #[test]
    fn lines_that_cannot_be_read_are_left_out() {
        for line in [
            "",
            "a",
            "a{",
            "a{b=\"",
            "a{b=\"c\"",
            "a{b=\"c\"} x",
            "{} 1",
            "a{b} 1",
            "a{b=\"c\",} 1",
        ] {
            assert!(
                metrics(&format!("# TYPE a gauge\n{line}\n"), 0, 0).iter().all(|m| {
                    matches!(&m.data, Some(Data::Gauge(gauge)) if gauge.data_points.is_empty())
                }),
                "{line}"
            );
        }
    }
}
