//! An OpenTelemetry meter provider that keeps its readings in memory, in the form in which a backend stores them.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

/// A provider that collects only when a test asks for it.
#[derive(Debug)]
pub struct Readings {
    exporter: InMemoryMetricExporter,
    provider: SdkMeterProvider,
}

/// The readings of one instrument in one collection.
#[derive(Clone, Debug)]
pub struct Instrument {
    /// The unit of the instrument.
    pub unit: String,
    /// The kind of the instrument.
    pub kind: Kind,
    /// The points of the instrument, one for each set of attributes.
    pub points: Vec<Point>,
}

/// The kind of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only rises.
    Counter,
    /// A sum that rises and falls.
    UpDownCounter,
    /// A value whose sum over several series has no meaning.
    Gauge,
    /// A distribution.
    Histogram,
}

/// The reading of one series.
#[derive(Clone, Debug)]
pub struct Point {
    /// The attributes of the series, as text.
    pub attributes: BTreeMap<String, String>,
    /// The value, or the number of samples in a histogram.
    pub value: i64,
    /// The sum of the samples in a histogram, or the value of a gauge. It is 0 for other kinds.
    pub sum: f64,
    /// The boundaries of a histogram.
    pub bounds: Vec<f64>,
    /// The buckets of a histogram. Their number is one more than that of the boundaries.
    pub buckets: Vec<u64>,
}

/// Every instrument of one collection, by name.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// The instruments.
    pub instruments: BTreeMap<String, Instrument>,
    /// Everything that was exported, as `Debug` shows it.
    pub text: String,
}

impl Readings {
    /// Creates a provider.
    pub fn new() -> Readings {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(86_400));
        let provider = SdkMeterProvider::builder().with_reader(reader.build()).build();
        Readings::of(exporter, provider)
    }

    /// Creates readings of a provider whose only reader has this exporter and collects on demand.
    pub fn of(exporter: InMemoryMetricExporter, provider: SdkMeterProvider) -> Readings {
        Readings { exporter, provider }
    }

    /// Returns the provider.
    pub fn provider(&self) -> &SdkMeterProvider {
        &self.provider
    }

    /// Collects now.
    pub fn collect(&self) -> Collected {
        self.exporter.reset();
        self.provider.force_flush().expect("memory takes everything");
        let mut collected = Collected::default();
        for exported in self.exporter.get_finished_metrics().expect("memory is readable") {
            collected.text.push_str(&format!("{exported:?}"));
            for scope in exported.scope_metrics() {
                for metric in scope.metrics() {
                    collected.instruments.insert(metric.name().to_owned(), Instrument::of(metric));
                }
            }
        }
        collected
    }
}

impl Default for Readings {
    fn default() -> Self {
        Readings::new()
    }
}

impl Collected {
    /// Returns an instrument.
    ///
    /// # Panics
    /// If no instrument has this name.
    #[track_caller]
    pub fn instrument(&self, name: &str) -> &Instrument {
        let known = || self.instruments.keys().collect::<Vec<_>>();
        self.instruments.get(name).unwrap_or_else(|| panic!("no instrument {name} among {:?}", known()))
    }

    /// Returns the points of an instrument that belong to a process.
    pub fn points(&self, name: &str, process: &str) -> Vec<Point> {
        let is_its =
            |point: &&Point| point.attributes.get("critical_process.id").is_some_and(|id| id == process);
        let points = self.instruments.get(name).map(|instrument| &instrument.points[..]).unwrap_or_default();
        points.iter().filter(is_its).cloned().collect()
    }

    /// Returns the value of the series that has the id of the process and exactly these other attributes, or 0 if
    /// this series does not exist.
    pub fn value(&self, name: &str, process: &str, others: &[(&str, &str)]) -> i64 {
        let mut attributes = BTreeMap::from([("critical_process.id".to_owned(), process.to_owned())]);
        attributes.extend(others.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let points = self.points(name, process);
        points.iter().find(|point| point.attributes == attributes).map_or(0, |point| point.value)
    }
}

impl Point {
    fn new<'a>(attributes: impl Iterator<Item = &'a KeyValue>, value: i64) -> Point {
        let text = |attribute: &KeyValue| (attribute.key.to_string(), attribute.value.to_string());
        let attributes = attributes.map(text).collect();
        Point { attributes, value, sum: 0.0, bounds: Vec::new(), buckets: Vec::new() }
    }
}

impl Instrument {
    fn of(metric: &Metric) -> Instrument {
        let (kind, points) = match metric.data() {
            AggregatedMetrics::F64(data) => points(data, |value| value as i64, |value| value),
            AggregatedMetrics::U64(data) => points(data, |value| value as i64, |value| value as f64),
            AggregatedMetrics::I64(data) => points(data, |value| value, |value| value as f64),
        };
        Instrument { unit: metric.unit().to_owned(), kind, points }
    }
}

fn points<T: Copy>(
    data: &MetricData<T>,
    value: impl Fn(T) -> i64,
    sum: impl Fn(T) -> f64,
) -> (Kind, Vec<Point>) {
    match data {
        MetricData::Sum(data) => {
            let kind = if data.is_monotonic() { Kind::Counter } else { Kind::UpDownCounter };
            let point = |point: &opentelemetry_sdk::metrics::data::SumDataPoint<T>| {
                Point::new(point.attributes(), value(point.value()))
            };
            (kind, data.data_points().map(point).collect())
        }
        MetricData::Gauge(data) => {
            let points = data.data_points().map(|point| Point {
                sum: sum(point.value()),
                ..Point::new(point.attributes(), value(point.value()))
            });
            (Kind::Gauge, points.collect())
        }
        MetricData::Histogram(data) => {
            let points = data.data_points().map(|point| Point {
                sum: sum(point.sum()),
                bounds: point.bounds().collect(),
                buckets: point.bucket_counts().collect(),
                ..Point::new(point.attributes(), point.count() as i64)
            });
            (Kind::Histogram, points.collect())
        }
        MetricData::ExponentialHistogram(_) => panic!("an exponential histogram was not asked for"),
    }
}
