//! Reads the variables that configure how spans are sampled, limited and batched. Exporters do not belong here.

use std::time::Duration;

use opentelemetry_sdk::trace::{Sampler, SpanLimits};

use super::variables::Variables;

// The defaults of the
// [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/): the length of
// the queue, and the size of a batch.
pub(super) const WAITING: u64 = 2048;
const BATCH: u64 = 512;
/// The largest number of spans that can be configured for the span queue or for a batch.
pub(super) const MOST_WAITING: u64 = 65_536;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The configuration of how spans are sampled, limited and batched.
#[derive(Debug)]
pub(in crate::telemetry) struct Spans {
    /// The maximum number of spans that wait to be sent.
    pub(in crate::telemetry) queue: usize,
    /// The maximum number of spans in a batch.
    pub(in crate::telemetry) batch: usize,
    /// The maximum time that a span waits before it is sent. `None` if this time is not configured.
    pub(in crate::telemetry) delay: Option<Duration>,
    pub(in crate::telemetry) limits: SpanLimits,
    /// The maximum number of characters of a text attribute. `None` if no maximum is configured. OpenTelemetry's
    /// `SpanLimits` has no such limit.
    pub(in crate::telemetry) longest: Option<usize>,
    pub(in crate::telemetry) sampler: Sampler,
}

impl Variables {
    pub(super) fn spans(&mut self) -> Spans {
        let (queue, batch) = self.batches("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
        let delay = self.millis("OTEL_BSP_SCHEDULE_DELAY", "the default");
        let mut limits = SpanLimits::default();
        if let Some(limit) = self.limit("OTEL_ATTRIBUTE_COUNT_LIMIT", "128") {
            limits.max_attributes_per_span = limit;
            limits.max_attributes_per_event = limit;
            limits.max_attributes_per_link = limit;
        }
        for (name, limit) in [
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_span),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_event),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_link),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", &mut limits.max_events_per_span),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", &mut limits.max_links_per_span),
        ] {
            *limit = self.limit(name, &limit.to_string()).unwrap_or(*limit);
        }
        let all = self.limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "no limit");
        let instead = all.map_or("no limit".to_owned(), |all| all.to_string());
        let longest = self.limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", &instead).or(all);
        Spans {
            queue,
            batch,
            delay,
            limits,
            longest: longest.map(|longest| longest as usize),
            sampler: self.sampler(),
        }
    }

    /// Returns the length of a queue and the size of its batches. A batch is not larger than the queue.
    pub(super) fn batches(&mut self, queue: &str, batch: &str) -> (usize, usize) {
        let queue_size = self.number(queue, 1..=MOST_WAITING, WAITING).unwrap_or(WAITING);
        let default = BATCH.min(queue_size);
        let batch_size = self.number(batch, 1..=MOST_WAITING, default).unwrap_or(default);
        if batch_size > queue_size {
            let assumed = format_args!("{queue_size} is used instead");
            let expected = format_args!("at most the size of the queue ({queue}), which is {queue_size}");
            self.invalid(batch, &batch_size.to_string(), expected, assumed);
        }
        (queue_size as usize, batch_size.min(queue_size) as usize)
    }

    fn limit(&mut self, name: &str, instead: &str) -> Option<u32> {
        self.number(name, 1..=u32::MAX.into(), instead).and_then(|limit| limit.try_into().ok())
    }

    fn sampler(&mut self) -> Sampler {
        const NAMES: [&str; 6] = [
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ];
        const DEFAULT: &str = "parentbased_always_on";
        let is_set = self.get(SAMPLER).is_some();
        let known = self.one_of(SAMPLER, &NAMES, DEFAULT);
        let sampler = known.unwrap_or(DEFAULT);
        let own = match sampler.trim_start_matches("parentbased_") {
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.share(ARGUMENT, 1.0)),
            _ => Sampler::AlwaysOn,
        };
        if !sampler.ends_with("traceidratio")
            && let Some(argument) = self.get(ARGUMENT)
            // The argument of an unknown sampler is not a mistake of its own.
            && (known.is_some() || !is_set)
        {
            let expected = format_args!("it with {SAMPLER} set to traceidratio or parentbased_traceidratio");
            self.invalid(ARGUMENT, &argument, expected, format_args!("it is ignored, and {sampler} applies"));
        }
        if sampler.starts_with("parentbased_") { Sampler::ParentBased(Box::new(own)) } else { own }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn a_sampler_is_parsed_without_regard_to_case_and_spaces() {
        let sampler = |variables: &[(&str, &str)]| {
            let environment = read(variables);
            (format!("{:?}", environment.spans.sampler), environment.problems.len())
        };
        let is = |text: &str, problems| (text.to_owned(), problems);
        assert_eq!(sampler(&[]), is("ParentBased(AlwaysOn)", 0));
        assert_eq!(sampler(&[(SAMPLER, " ALWAYS_OFF")]), is("AlwaysOff", 0));
        assert_eq!(sampler(&[(SAMPLER, "traceidratio")]), is("TraceIdRatioBased(1.0)", 0));
        let ratio = (SAMPLER, "Parentbased_TraceIdRatio");
        let based = sampler(&[ratio, (ARGUMENT, " 0.25 ")]);
        assert_eq!(based, is("ParentBased(TraceIdRatioBased(0.25))", 0));
        for wrong in ["NaN", "inf", "1.1", "-0.1", "50%", "0,5", "half"] {
            assert_eq!(
                sampler(&[ratio, (ARGUMENT, wrong)]),
                is("ParentBased(TraceIdRatioBased(1.0))", 1),
                "{wrong}"
            );
        }
        assert_eq!(sampler(&[(SAMPLER, "always_on"), (ARGUMENT, "0.5")]), is("AlwaysOn", 1));
        assert_eq!(sampler(&[(ARGUMENT, "0.5")]), is("ParentBased(AlwaysOn)", 1));
        let remote = (SAMPLER, "parentbased_jaeger_remote");
        assert_eq!(sampler(&[remote, (ARGUMENT, "endpoint=http://a")]), is("ParentBased(AlwaysOn)", 1));
    }

    #[test]
    fn a_limit_for_spans_takes_precedence_over_the_general_limit() {
        let all = ("OTEL_ATTRIBUTE_COUNT_LIMIT", "20");
        let spans = read(&[all, ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "5")]).spans;
        let limits = spans.limits;
        assert_eq!((limits.max_attributes_per_span, limits.max_attributes_per_link), (20, 5));
        let all = ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100");
        assert_eq!(read(&[all]).spans.longest, Some(100));
        assert_eq!(read(&[all, ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9")]).spans.longest, Some(9));
    }

    #[test]
    fn a_batch_is_not_larger_than_the_queue() {
        let batch = |variables: &[(&str, &str)]| {
            let environment = read(variables);
            (environment.spans.queue, environment.spans.batch, environment.problems.len())
        };
        let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "100");
        assert_eq!(batch(&[queue]), (100, 100, 0));
        assert_eq!(batch(&[queue, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "101")]), (100, 100, 1));
        assert_eq!(batch(&[queue, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "+50")]), (100, 50, 0));
    }
}
