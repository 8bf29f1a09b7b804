//! The text that Prometheus reads. One name that Prometheus refuses makes it refuse every metric of the service. The
//! names come from attributes of the application and from variables, so this file changes a name that Prometheus
//! refuses, or leaves out what has the name, and reports it once. Collecting metrics does not belong here.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;

use prometheus::TextEncoder;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use crate::base::foreign::text::cut;
use crate::base::lock::lock;
use crate::base::notices;

/// The maximum number of names that are reported.
const MOST_REPORTED: usize = 32;
/// The maximum number of bytes of a name in a report.
const NAME: usize = 64;
/// The labels whose values Prometheus sets or reads itself.
const RESERVED: [&str; 3] = ["__name__", "le", "quantile"];
/// The prefix of a renamed label. Prometheus itself uses it for a label of the service that it must rename.
const RENAMED: &str = "exported_";

/// Returns these metrics as text that Prometheus can read.
pub(super) fn text(families: Vec<MetricFamily>) -> prometheus::Result<String> {
    TextEncoder::new().encode_to_string(&mended(families))
}

/// Renames or leaves out what Prometheus would refuse.
fn mended(families: Vec<MetricFamily>) -> Vec<MetricFamily> {
    let mut taken: HashSet<String> = families.iter().flat_map(series_of_histogram).collect();
    let mut all = Vec::with_capacity(families.len());
    for mut family in families {
        let name = metric_name(family.name());
        if name != family.name() {
            report("metric", family.name(), &format!("it is named `{name}`"));
        }
        if !taken.insert(name.clone()) {
            report("metric", family.name(), "another metric has this name, so it is left out");
            continue;
        }
        let help = without_nul(family.help());
        family.set_help(help);
        let metrics = distinct(family.take_metric(), &name);
        family.set_name(name);
        family.set_metric(metrics);
        all.push(family);
    }
    all.retain(|family| !family.get_metric().is_empty());
    all
}

/// Returns the names of the series that a histogram has in addition to its own name.
fn series_of_histogram(family: &MetricFamily) -> Vec<String> {
    match family.get_field_type() {
        MetricType::HISTOGRAM => {
            let name = metric_name(family.name());
            ["bucket", "count", "sum"].map(|series| format!("{name}_{series}")).into()
        }
        _ => Vec::new(),
    }
}

/// Mends the labels of these metrics, and leaves out a metric with the same labels as an earlier one.
fn distinct(metrics: Vec<Metric>, name: &str) -> Vec<Metric> {
    let mut known = BTreeSet::new();
    let mut all = Vec::with_capacity(metrics.len());
    for mut metric in metrics {
        let labels = labels(metric.get_label());
        // For Prometheus, an empty label is the same as a missing one.
        let identity = labels.iter().filter(|(_, value)| !value.is_empty());
        if !known.insert(identity.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()) {
            report("metric", name, "two of its series have the same labels, so only the first is served");
            continue;
        }
        metric.set_label(labels.into_iter().map(|(name, value)| pair(name, value)).collect());
        all.push(metric);
    }
    all
}

/// Returns these labels with names that Prometheus accepts, sorted by name. If two labels get the same name, their
/// values are joined by a semicolon, as the specification of OpenTelemetry requires.
fn labels(pairs: &[LabelPair]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<_, String>::new();
    for pair in pairs {
        let Some(name) = label_name(pair.name()) else {
            report("label", pair.name(), "it has no name, so it is left out");
            continue;
        };
        if name != pair.name() {
            report("label", pair.name(), &format!("it is named `{name}`"));
        }
        let value = without_nul(pair.value());
        all.entry(name).and_modify(|known| *known = format!("{known};{value}")).or_insert(value);
    }
    all
}

fn pair(name: String, value: String) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name);
    pair.set_value(value);
    pair
}

/// Returns a valid name for a label; `None` for an empty name.
fn label_name(name: &str) -> Option<String> {
    let name = valid(name, |at| at.is_ascii_alphanumeric() || at == '_');
    if name.is_empty() {
        return None;
    }
    Some(if RESERVED.contains(&&*name) { format!("{RENAMED}{name}") } else { name })
}

/// Returns a valid name for a metric.
fn metric_name(name: &str) -> String {
    let name = valid(name, |at| at.is_ascii_alphanumeric() || at == '_' || at == ':');
    if name.is_empty() { "_".to_owned() } else { name }
}

/// Replaces every other character by `_`, and adds `_` before a digit at the beginning.
fn valid(name: &str, is_valid: impl Fn(char) -> bool) -> String {
    let prefix = if name.starts_with(|at: char| at.is_ascii_digit()) { "_" } else { "" };
    let rest = name.chars().map(|at| if is_valid(at) { at } else { '_' });
    prefix.chars().chain(rest).collect()
}

/// Replaces the character that ends the text for Prometheus.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Reports a name once, and at most [`MOST_REPORTED`] names.
fn report(what: &str, name: &str, done: &str) {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let name = cut(name, NAME);
    let key = format!("{what} {name}");
    let mut reported = lock(&REPORTED);
    if reported.len() < MOST_REPORTED && reported.insert(key) {
        drop(reported);
        notices::once(format!(
            "invalid {what} `{name}` for Prometheus: {done}; change the attribute or the instrument that it comes from"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str, kind: MetricType, all: &[&[(&str, &str)]]) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help("a\0b\n\\".to_owned());
        family.set_field_type(kind);
        let metric = |labels: &&[(&str, &str)]| {
            let mut metric = Metric::default();
            metric.set_label(
                labels.iter().map(|(name, value)| pair((*name).to_owned(), (*value).to_owned())).collect(),
            );
            metric
        };
        family.set_metric(all.iter().map(metric).collect());
        family
    }

    #[test]
    fn each_name_that_prometheus_refuses_is_changed_or_left_out() {
        for (name, expected) in [
            ("1st", Some("_1st")),
            ("", None),
            ("le", Some("exported_le")),
            ("quantile", Some("exported_quantile")),
            ("__name__", Some("exported___name__")),
            ("a:b", Some("a_b")),
            ("é\"\n{}=, ", Some("________")),
            ("job", Some("job")),
            ("_", Some("_")),
        ] {
            assert_eq!(label_name(name).as_deref(), expected, "{name}");
        }
        assert_eq!(metric_name("größe"), "gr__e");
        assert_eq!(
            (metric_name("1a"), metric_name("a:b"), metric_name("")),
            ("_1a".into(), "a:b".into(), "_".into())
        );
    }

    #[test]
    fn series_that_would_collide_are_served_once() {
        let text = text(vec![
            family("size", MetricType::HISTOGRAM, &[&[("le", "1"), ("exported_le", "2")]]),
            family("size_count", MetricType::GAUGE, &[&[]]),
            family("größe", MetricType::GAUGE, &[&[("a", "x"), ("b", "")], &[("a", "x")], &[("a", "y\0")]]),
            family("gr__e", MetricType::GAUGE, &[&[]]),
        ])
        .unwrap();
        let expected = "# HELP size a\u{fffd}b\\n\\\\\n# TYPE size histogram\n\
            size_bucket{exported_le=\"1;2\",le=\"+Inf\"} 0\nsize_sum{exported_le=\"1;2\"} 0\n\
            size_count{exported_le=\"1;2\"} 0\n\
            # HELP gr__e a\u{fffd}b\\n\\\\\n# TYPE gr__e gauge\n\
            gr__e{a=\"x\",b=\"\"} 0\ngr__e{a=\"y\u{fffd}\"} 0\n";
        assert_eq!(text, expected);
    }
}
