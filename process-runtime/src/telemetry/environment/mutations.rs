//! Mutates variables, and checks what holds for every environment: no panic, bounded reports that name their variable
//! and no secret, and a mutated value that costs only what it configures. Tests of single values do not belong here.

use super::Environment;
use super::variables::Variables;

/// The number of environments. The first values of each are valid, and mutations make them invalid.
const ENVIRONMENTS: usize = 100_000;
const SECRET: &str = "hunter2";

/// Valid variables, each with the beginnings of the names of the fields that depend on it.
const VARIABLES: [(&str, &str, &[&str]); 36] = [
    ("OTEL_SDK_DISABLED", "false", &["traces", "metrics", "logs", "scraped"]),
    ("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,team%2Ea=b%20c,x=1", &["attributes"]),
    ("OTEL_SERVICE_NAME", "checkout", &["attributes"]),
    ("OTEL_TRACES_EXPORTER", "otlp", &["traces", "metrics", "logs"]),
    ("OTEL_METRICS_EXPORTER", "otlp,prometheus", &["traces", "metrics", "logs", "scraped"]),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "https://collector.example:4318/base?token=hunter2",
        &["traces", "metrics", "logs"],
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "http://user:hunter2@metrics.example:4318/in",
        &["traces", "metrics", "logs"],
    ),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", &["traces", "metrics", "logs"]),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", &["metrics"]),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "authorization=Basic%20hunter2,x-team=a",
        &["traces_over", "metrics_over", "logs_over"],
    ),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=hunter2", &["traces_over"]),
    // A key in place of the path of its file.
    (
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
        &["traces_over", "metrics_over", "logs_over"],
    ),
    (
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "/nowhere/client.pem",
        &["traces_over", "metrics_over", "logs_over"],
    ),
    (
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "/nowhere/authority.pem",
        &["traces_over", "metrics_over", "logs_over"],
    ),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000", &["traces_over", "metrics_over", "logs_over"]),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", &["traces_over", "metrics_over", "logs_over"]),
    ("OTEL_BSP_EXPORT_TIMEOUT", "1500", &["traces_over"]),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "1000", &["spans"]),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100", &["spans"]),
    ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", &["spans"]),
    ("OTEL_TRACES_SAMPLER_ARG", "0.25", &["spans"]),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "64", &["spans", "records"]),
    ("OTEL_LOGS_EXPORTER", "otlp", &["traces", "metrics", "logs"]),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "1000", &["records"]),
    ("OTEL_BLRP_SCHEDULE_DELAY", "100", &["records"]),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "1500", &["logs_over"]),
    ("OTEL_METRIC_EXPORT_INTERVAL", "30000", &["interval"]),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", &["temporality"]),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "9000", &["scraped"]),
    ("OTEL_PROPAGATORS", "tracecontext", &["propagates"]),
    ("SENTRY_DSN", "https://hunter2@sentry.example/1", &["sentry"]),
    ("SENTRY_RELEASE", "shop@1.2.0", &["sentry"]),
    ("SENTRY_ENVIRONMENT", "staging", &["sentry"]),
    (
        "HTTPS_PROXY",
        "http://user:hunter2@proxy.example:3128",
        &["traces_over", "metrics_over", "logs_over", "sentry"],
    ),
    ("NO_PROXY", "localhost,.internal,10.0.0.0/8", &["traces_over", "metrics_over", "logs_over", "sentry"]),
    ("RUST_LOG", "info,my_crate=debug,hyper=off", &["log"]),
];

/// What mutations insert: what has a meaning in some variable, and what has none anywhere.
const PIECES: [&str; 44] = [
    "",
    " ",
    ",",
    ",,",
    "=",
    "==",
    "%",
    "%20",
    "%zz",
    "%0A",
    "%00",
    "%FF",
    ";",
    ":",
    "::",
    "/",
    "//",
    "://",
    "?",
    "#",
    "@",
    "[",
    "]",
    "{",
    "*",
    ".",
    "..",
    "-",
    "+",
    "-1",
    "0",
    "99999",
    "18446744073709551616",
    "1e9",
    "NaN",
    "true",
    "none",
    "infoo",
    "\n",
    "\u{0}",
    "\u{7f}",
    "\u{202e}",
    "é",
    "🦀",
];

/// A generator of numbers with a fixed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// Returns a border of characters.
    fn place(&mut self, text: &str) -> usize {
        border(text, self.below(text.len() + 1))
    }

    fn mutated(&mut self, value: &str) -> String {
        let mut value = value.to_owned();
        for _ in 0..=self.below(4) {
            let (one, other) = (self.place(&value), self.place(&value));
            let (start, end) = (one.min(other), one.max(other));
            let piece = PIECES[self.below(PIECES.len())];
            match self.below(6) {
                0 => value.replace_range(start..end, ""),
                1 => value.replace_range(start..end, piece),
                2 => value = value.repeat(1 + self.below(3)),
                3 => value.insert_str(start, &piece.repeat(1 + self.below(200))),
                _ => value.insert_str(start, piece),
            }
            value.truncate(border(&value, 20_000));
        }
        value
    }
}

/// Returns the last border of characters that is not after `place`.
fn border(text: &str, place: usize) -> usize {
    (0..=place.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

fn fields(environment: &Environment) -> Vec<(&'static str, String)> {
    macro_rules! shown {
        ($($field:ident),+) => { vec![$((stringify!($field), format!("{:?}", environment.$field))),+] };
    }
    shown![
        traces,
        traces_over,
        metrics,
        metrics_over,
        spans,
        interval,
        temporality,
        attributes,
        propagates,
        scraped,
        sentry,
        log,
        has_colours
    ]
}

fn read(values: &[(&'static str, Option<String>)]) -> Environment {
    let variables = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Environment::from_variables(Variables::new(variables))
}

/// Asserts what holds for the problems of every environment. Returns the problems.
fn judge<'e>(environment: &'e Environment, names: &[&str], context: &dyn std::fmt::Debug) -> &'e [String] {
    let problems = &environment.problems;
    assert!(problems.len() <= 160, "{} problems: {context:?}", problems.len());
    for line in problems {
        assert!(line.len() < 2048, "{line}");
        assert!(!line.contains(['\n', '\u{0}', '\u{202e}']), "{line:?}");
        assert!(names.iter().any(|name| line.contains(name)), "{line}: {context:?}");
    }
    problems
}

#[test]
fn a_mutated_value_costs_itself_and_each_report_names_its_variable() {
    let mut random = Random(0x5eed_2026);
    let valid = VARIABLES.map(|(name, value, _)| (name, Some(value.to_owned())));
    let reference = read(&valid);
    let known = judge(&reference, &VARIABLES.map(|(name, ..)| name), &"valid").to_vec();
    // The user name and password are not sent, three files do not exist, and without the feature nothing is served.
    assert_eq!(known.len(), 4 + usize::from(cfg!(not(feature = "prometheus"))), "{known:?}");
    let reference = fields(&reference);
    for _ in 0..ENVIRONMENTS / 2 {
        let at = random.below(VARIABLES.len());
        let (name, value, costs) = VARIABLES[at];
        let mutated = random.mutated(value);
        let mut values = valid.clone();
        values[at].1 = (random.below(50) > 0).then(|| mutated.clone());
        let environment = read(&values);
        let names = [name, "OTEL_EXPORTER_OTLP", "HTTPS_PROXY", "SENTRY_DSN"];
        let problems = judge(&environment, &VARIABLES.map(|(name, ..)| name), &values[at]);
        let fresh = problems.iter().filter(|line| !known.contains(line));
        fresh.for_each(|line| {
            assert!(names.iter().any(|name| line.contains(name)), "{name} `{mutated}`: {line}")
        });
        for ((field, before), (_, after)) in reference.iter().zip(fields(&environment)) {
            let may_change = costs.iter().any(|cost| field.starts_with(cost));
            assert!(
                may_change || *before == after,
                "{name} `{mutated}` changed {field}: {before} to {after}"
            );
        }
        // A mutation can make the secret a name, or take it apart.
        let is_whole = value.contains(SECRET) && mutated.matches(SECRET).count() == 1;
        let is_value = name.ends_with("HEADERS")
            && ["key=hunter2", "Basic%20hunter2"].iter().any(|it| mutated.contains(it))
            || name.ends_with("CLIENT_KEY") && (mutated.contains("-----") || mutated.contains('\n'));
        if is_whole && (is_value || mutated.contains('@') || mutated.contains("?token=hunter2")) {
            assert!(problems.iter().all(|line| !line.contains(SECRET)), "`{mutated}`: {problems:?}");
        }
    }
}

#[test]
fn any_environment_is_read_without_a_panic_and_with_bounded_reports() {
    let mut random = Random(0xfeed_2026);
    for _ in 0..ENVIRONMENTS / 2 {
        let mut values = Vec::new();
        for (name, value, _) in VARIABLES {
            match random.below(4) {
                0 => {}
                1 => values.push((name, Some(value.to_owned()))),
                // The value of another variable.
                2 => {
                    let other = VARIABLES[random.below(VARIABLES.len())].1;
                    values.push((name, Some(random.mutated(other))));
                }
                _ => values.push((name, Some(random.mutated(value)))),
            }
        }
        let names: Vec<_> = VARIABLES.iter().map(|(name, ..)| *name).collect();
        judge(&read(&values), &names, &values);
    }
}
