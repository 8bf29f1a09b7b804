//! Parses an OTLP-JSON request and its spans in each of the forms that exporters write. The memory for a parsed line is
//! limited to a few times its length. Searching and drawing do not belong here.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::records::{Record, ResourceLogs, ScopeLogs};
use crate::observe::span::OUTCOME;

/// The maximum length of an id. The ids of OTLP have at most 32 digits.
const ID: usize = 64;
/// The maximum number of entries in a list.
const MOST: usize = 100_000;

/// A request. Of metrics, only their presence is recorded.
#[derive(Deserialize)]
pub(super) struct Request {
    #[serde(default, rename = "resourceSpans", alias = "resource_spans")]
    resource_spans: Option<List<ResourceSpans>>,
    /// The scopes of a line that contains a single resource instead of a list of resources. OpenTelemetry's logging
    /// exporters for Java write such lines.
    #[serde(default, rename = "scopeSpans", alias = "scope_spans")]
    scope_spans: Option<List<ScopeSpans>>,
    #[serde(default, rename = "resourceMetrics", alias = "resource_metrics", alias = "scopeMetrics")]
    metrics: Option<IgnoredAny>,
    #[serde(default, rename = "resourceLogs", alias = "resource_logs")]
    resource_logs: Option<List<ResourceLogs>>,
    #[serde(default, rename = "scopeLogs", alias = "scope_logs")]
    scope_logs: Option<List<ScopeLogs>>,
}

/// What belongs to a trace.
pub(super) enum Entry {
    Span(Span),
    Record(Record),
}

impl Request {
    /// Returns the spans and log records, or `None` if this is not an OTLP request.
    pub(super) fn entries(self) -> Option<impl Iterator<Item = Entry>> {
        let is_request = self.resource_spans.is_some()
            || self.scope_spans.is_some()
            || self.metrics.is_some()
            || self.resource_logs.is_some()
            || self.scope_logs.is_some();
        let resources = self.resource_spans.unwrap_or_default().0.into_iter();
        let of_resources = resources.flat_map(|resource| resource.scope_spans.0);
        let scopes = of_resources.chain(self.scope_spans.unwrap_or_default().0);
        let spans = scopes.flat_map(|scope| scope.spans.0);
        let of_resources = self.resource_logs.unwrap_or_default().0.into_iter();
        let scopes = of_resources.flat_map(|resource| resource.scope_logs.0);
        let scopes = scopes.chain(self.scope_logs.unwrap_or_default().0);
        let records = scopes.flat_map(|scope| scope.records.0);
        is_request.then(|| spans.map(Entry::Span).chain(records.map(Entry::Record)))
    }
}

#[derive(Deserialize)]
struct ResourceSpans {
    #[serde(default, rename = "scopeSpans", alias = "scope_spans", deserialize_with = "nullable")]
    scope_spans: List<ScopeSpans>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    #[serde(default, deserialize_with = "nullable")]
    spans: List<Span>,
}

/// A list without its empty entries.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List(Vec::new())
    }
}

/// An entry of a [`List`]. The list leaves out empty entries.
pub(super) trait Item {
    fn is_empty(&self) -> bool;
}

impl Item for ResourceSpans {
    fn is_empty(&self) -> bool {
        self.scope_spans.0.is_empty()
    }
}

impl Item for ScopeSpans {
    fn is_empty(&self) -> bool {
        self.spans.0.is_empty()
    }
}

impl Item for Span {
    fn is_empty(&self) -> bool {
        self.trace_id.is_empty()
    }
}

impl Item for Attribute {
    fn is_empty(&self) -> bool {
        self.key.is_empty()
    }
}

impl<'de, T: Item + Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        struct Written<T>(PhantomData<T>);
        impl<'de, T: Item + Deserialize<'de>> Visitor<'de> for Written<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut written: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = written.next_element::<T>()? {
                    if list.len() == MOST {
                        return Err(A::Error::custom(format_args!("a list has more than {MOST} entries")));
                    }
                    if !item.is_empty() {
                        list.push(item);
                    }
                }
                list.shrink_to_fit();
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(Written(PhantomData))
    }
}

/// Parses `null` as the default value.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Parses an id into lower-case hexadecimal digits. Protobuf's JSON encodes ids in base64, with 24 digits for a trace
/// and 12 for a span. An id of such a length is converted.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let written: String = nullable(deserializer)?;
    Ok(match written.len() {
        24 | 12 => from_base64(&written).unwrap_or(written),
        length if length > ID => {
            return Err(D::Error::custom(format_args!("an id of {length} bytes is too long")));
        }
        _ => written.to_ascii_lowercase(),
    })
}

/// Converts base64 into hexadecimal digits. Returns `None` if the text is not base64.
fn from_base64(text: &str) -> Option<String> {
    let (mut hex, mut bits, mut held) = (String::new(), 0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(digit), held + 6);
        if held >= 8 {
            held -= 8;
            hex += &format!("{:02x}", (bits >> held) as u8);
        }
    }
    Some(hex)
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Span {
    #[serde(default, rename = "traceId", alias = "trace_id", deserialize_with = "id")]
    pub(super) trace_id: String,
    #[serde(default, rename = "spanId", alias = "span_id", deserialize_with = "id")]
    pub(super) id: String,
    #[serde(default, rename = "parentSpanId", alias = "parent_span_id", deserialize_with = "id")]
    pub(super) parent: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(default, rename = "startTimeUnixNano", alias = "start_time_unix_nano")]
    pub(super) start: Nanos,
    #[serde(default, rename = "endTimeUnixNano", alias = "end_time_unix_nano")]
    pub(super) end: Nanos,
    #[serde(default, deserialize_with = "nullable")]
    attributes: List<Attribute>,
    #[serde(default, deserialize_with = "nullable")]
    status: Status,
}

impl Span {
    /// Returns the value of an attribute, or `None` if the span does not have it.
    pub(super) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.0.iter().map(|one| (one.key.as_str(), one.value.as_str()))
    }

    /// Returns how much memory the span occupies, in bytes.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.trace_id, &self.id, &self.parent, &self.name, &self.status.code.0];
        let attributes =
            self.attributes().map(|(key, value)| size_of::<Attribute>() + key.len() + value.len());
        size_of::<Span>() + texts.map(String::len).iter().sum::<usize>() + attributes.sum::<usize>()
    }

    /// Returns whether the span is a run of a process or stage, or a call to a dependency.
    pub(super) fn is_run(&self) -> bool {
        self.attribute(OUTCOME).is_some()
    }

    /// Returns the id of the dependency if the span is a call to a dependency.
    pub(super) fn dependency(&self) -> Option<&str> {
        self.attribute("critical_process.dependency")
    }

    pub(super) fn is_failed(&self) -> bool {
        let is_error = ["2", "STATUS_CODE_ERROR"].contains(&self.status.code.0.as_str());
        // For a run, only its outcome decides, because some bridges set the status Error when an error is logged.
        self.attribute(OUTCOME).map_or(is_error, |outcome| outcome == "failure" || outcome == "panic")
    }

    /// Returns whether the span is a run that succeeded. A degraded run also counts as a success.
    pub(super) fn has_succeeded(&self) -> bool {
        self.attribute(OUTCOME).is_some_and(|outcome| outcome == "success" || outcome == "degraded")
    }

    pub(super) fn error_type(&self) -> Option<&str> {
        self.attribute("error.type")
    }

    pub(super) fn took(&self) -> Duration {
        Duration::from_nanos(self.end.0.saturating_sub(self.start.0))
    }

    /// Returns how the span ended, as a text such as `failure, late, PaymentError`. The text is empty for a span that
    /// is not a run and has no error.
    pub(super) fn ending(&self) -> String {
        let late = self.attribute("critical_process.late").filter(|late| *late == "true").map(|_| "late");
        let failed = (self.is_failed() && !self.is_run()).then_some("error");
        [self.attribute(OUTCOME), failed, late, self.error_type()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: Text,
}

#[derive(Clone, Debug, Deserialize)]
struct Attribute {
    #[serde(default, deserialize_with = "nullable")]
    key: String,
    #[serde(default, deserialize_with = "nullable")]
    value: AnyValue,
}

/// A value of any type, as text. In JSON it is an object with a single key, which names the type. The type is ignored.
#[derive(Clone, Debug, Default)]
pub(super) struct AnyValue(Text);

impl AnyValue {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AnyValue, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = AnyValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an OTLP value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut written: A) -> Result<AnyValue, A::Error> {
                let first = written.next_entry::<IgnoredAny, Text>()?;
                while written.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(AnyValue(first.map(|(_, text)| text).unwrap_or_default()))
            }
        }
        deserializer.deserialize_map(Written)
    }
}

/// A string, number or Boolean as text. Lists and objects, which the business context never contains, become `…`.
#[derive(Clone, Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
                Ok(Text(format!("{number:?}")))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_unit<E: Error>(self) -> Result<Text, E> {
                Ok(Text::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text("…".to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text("…".to_owned()))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// Nanoseconds since 1970. They are a string in OTLP-JSON, but some exporters write a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanos(pub(super) u64);

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Nanos;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("nanoseconds")
            }

            fn visit_u64<E: Error>(self, nanos: u64) -> Result<Nanos, E> {
                Ok(Nanos(nanos))
            }

            fn visit_f64<E: Error>(self, nanos: f64) -> Result<Nanos, E> {
                Ok(Nanos(nanos as u64))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Nanos, E> {
                text.parse().map(Nanos).map_err(E::custom)
            }

            fn visit_unit<E: Error>(self) -> Result<Nanos, E> {
                Ok(Nanos(0))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_converted_into_hexadecimal_digits() {
        assert_eq!(
            from_base64("4/Bsf1GGtsvhVC8PlO5IIQ==").as_deref(),
            Some("e3f06c7f5186b6cbe1542f0f94ee4821")
        );
        assert_eq!(from_base64("m7DQRCbzkz4=").as_deref(), Some("9bb0d04426f3933e"));
        assert_eq!(from_base64("not base64!!"), None);
    }

    #[test]
    fn a_value_of_any_type_becomes_text() {
        for (written, text) in [
            (r#"{"stringValue":"a"}"#, "a"),
            (r#"{"intValue":"-3"}"#, "-3"),
            (r#"{"int_value":-3}"#, "-3"),
            (r#"{"doubleValue":0.5}"#, "0.5"),
            (r#"{"doubleValue":2.0}"#, "2.0"),
            (r#"{"boolValue":true}"#, "true"),
            (r#"{"stringValue":null}"#, ""),
            (r#"{"arrayValue":{"values":[{"intValue":"1"}]}}"#, "…"),
            ("{}", ""),
        ] {
            let value: AnyValue = serde_json::from_str(written).expect("it is a value");
            assert_eq!(value.as_str(), text, "{written}");
        }
    }
}
