//! Reads the variables that configure how log records are limited and batched. How they are sent over OTLP belongs to
//! `otlp`.

use std::time::Duration;

use super::variables::Variables;

/// The default for the number of attributes of a record, as in OpenTelemetry's specification.
const ATTRIBUTES: u32 = 128;

/// The configuration of how log records are limited and batched.
#[derive(Debug)]
pub(in crate::telemetry) struct Records {
    /// The maximum number of records that wait to be sent.
    pub(in crate::telemetry) queue: usize,
    /// The maximum number of records in a batch.
    pub(in crate::telemetry) batch: usize,
    /// The maximum time that a record waits before it is sent. `None` if this time is not configured.
    pub(in crate::telemetry) delay: Option<Duration>,
    /// The maximum number of attributes of a record.
    pub(in crate::telemetry) attributes: usize,
    /// The maximum number of characters of a text attribute. `None` if no maximum is configured.
    pub(in crate::telemetry) longest: Option<usize>,
}

impl Variables {
    pub(super) fn records(&mut self) -> Records {
        let (queue, batch) = self.batches("OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE");
        let delay = self.millis("OTEL_BLRP_SCHEDULE_DELAY", "the default");
        let all = self.limit("OTEL_ATTRIBUTE_COUNT_LIMIT", "128").unwrap_or(ATTRIBUTES);
        let attributes = self.limit("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", &all.to_string()).unwrap_or(all);
        let all = self.limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "no limit");
        let instead = all.map_or("no limit".to_owned(), |all| all.to_string());
        let longest = self.limit("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", &instead).or(all);
        Records {
            queue,
            batch,
            delay,
            attributes: attributes as usize,
            longest: longest.map(|longest| longest as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Destination::{self, Files, Nowhere, Otlp};
    use super::super::Protocol;
    use super::super::tests::read;
    use super::*;

    #[test]
    fn logs_go_where_their_variables_send_them_and_otherwise_to_files() {
        let logs = |variables: &[(&str, &str)]| {
            let environment = read(variables);
            assert!(environment.problems.is_empty(), "{:?}", environment.problems);
            environment.logs
        };
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let cases: [(&[(&str, &str)], Destination); 9] = [
            (&[], Files),
            (&[general], Otlp),
            (&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://collector:4318/v1/logs")], Otlp),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")], Files),
            (&[("OTEL_LOGS_EXPORTER", "console"), general], Files),
            (&[("OTEL_LOGS_EXPORTER", " None "), general], Nowhere),
            (&[("OTEL_LOGS_EXPORTER", "otlp")], Otlp),
            (&[("OTEL_TRACES_EXPORTER", "none")], Files),
            (&[("OTEL_SDK_DISABLED", "true"), general], Nowhere),
        ];
        for (variables, destination) in cases {
            assert_eq!(logs(variables), destination, "{variables:?}");
        }
    }

    #[test]
    fn the_variables_of_one_signal_apply_to_logs() {
        let environment = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/v1/logs"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "2000"),
            ("OTEL_BLRP_EXPORT_TIMEOUT", "1500"),
        ]);
        let logs = environment.logs_over;
        assert_eq!((logs.protocol, logs.timeout), (Protocol::HttpJson, Duration::from_millis(1500)));
        assert_eq!(logs.endpoint, "http://collector:4318/v1/logs");
        assert_eq!(environment.problems.len(), 1, "the path in the general endpoint");
        assert_eq!(read(&[]).logs_over.endpoint, "http://localhost:4318/v1/logs");
    }

    #[test]
    fn batches_and_limits_of_records_have_variables_and_defaults() {
        let records = read(&[]).records;
        assert_eq!((records.queue, records.batch, records.attributes), (2048, 512, 128));
        assert_eq!((records.delay, records.longest), (None, None));
        let environment = read(&[
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "9"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", " 3"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "7"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "40"),
            ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
        ]);
        let records = environment.records;
        assert_eq!((records.queue, records.batch, records.attributes), (9, 3, 5));
        assert_eq!((records.delay, records.longest), (Some(Duration::from_millis(7)), Some(4)));
        assert!(environment.problems.is_empty(), "{:?}", environment.problems);
        let wrong =
            ["OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_SCHEDULE_DELAY", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"];
        for name in wrong {
            let problems = read(&[(name, "-1")]).problems;
            assert!(
                matches!(&problems[..], [one] if one.contains(name) && one.contains("`-1`")),
                "{problems:?}"
            );
        }
        let problems = read(&[("OTEL_LOGS_EXPORTER", "stdout")]).problems;
        assert!(
            matches!(&problems[..], [one] if one.contains("OTEL_LOGS_EXPORTER `stdout`")),
            "{problems:?}"
        );
    }
}
