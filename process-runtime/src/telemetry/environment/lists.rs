//! Lists of `key=value`, separated by commas and percent-encoded, as in W3C Baggage: resource attributes and headers
//! of OTLP. How the program uses the values does not belong here.

use ureq::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::otlp::{Protocol, both};
use super::variables::{Variables, entries, shown};

/// The key of the attribute with the name of the service.
const SERVICE_NAME: &str = "service.name";

const BAD_ESCAPE: &str = "its percent-encoding is invalid: write `%25` for `%`; it is used as it is written";

impl Variables {
    /// Returns the resource attributes that the variables configure, without duplicates.
    pub(super) fn resource_attributes(&mut self) -> Vec<(String, String)> {
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        let written = self.get(name).unwrap_or_default();
        let mut attributes = Vec::new();
        for (number, entry) in entries(&written) {
            let Some((key, value)) = entry.split_once('=') else {
                let entry = shown(entry);
                let problem = format_args!("`{entry}` is not `key=value`; the entry is ignored");
                self.invalid_entry(name, number, problem);
                continue;
            };
            if value.contains('=') {
                let problem = format_args!(
                    "`{}`: write `%3D` for a `=` in a value; the value is used as it is written",
                    shown(entry)
                );
                self.invalid_entry(name, number, problem);
            }
            let [key, value] = [key, value].map(|part| {
                decoded(part.trim()).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| {
                    self.invalid_entry(name, number, format_args!("`{}`: {BAD_ESCAPE}", shown(part.trim())));
                    part.trim().to_owned()
                })
            });
            if key.trim().is_empty() || key == SERVICE_NAME && value.trim().is_empty() {
                let problem = format_args!(
                    "`{}` has an empty key or an empty service name; the entry is ignored",
                    shown(entry)
                );
                self.invalid_entry(name, number, problem);
            } else if set(&mut attributes, &key, value) {
                let problem = format_args!("the key `{}` is repeated; its last value applies", shown(&key));
                self.invalid_entry(name, number, problem);
            }
        }
        if let Some(service) = self.get("OTEL_SERVICE_NAME") {
            set(&mut attributes, SERVICE_NAME, service);
        }
        attributes
    }

    /// Returns the headers that a signal sends. Headers contain credentials, so a problem names an entry by its
    /// number, and by the name of its header only if this name is valid.
    pub(super) fn headers(&mut self, signal: &str, protocol: Protocol) -> HeaderMap {
        let [own, all] = both(signal, "HEADERS");
        let general = self.get(&all);
        let (name, written) = match self.get(&own) {
            Some(written) => (own, written),
            None => (all, general.unwrap_or_default()),
        };
        let mut headers = HeaderMap::new();
        for (number, entry) in entries(&written) {
            match header(entry, protocol) {
                Ok(Header { name: header, value, has_bad_escape }) => {
                    let shown = shown(header.as_str());
                    if has_bad_escape {
                        let problem = format_args!("the value of the header `{shown}`: {BAD_ESCAPE}");
                        self.invalid_entry(&name, number, problem);
                    }
                    if headers.insert(header, value).is_some() {
                        let problem =
                            format_args!("the header `{shown}` is repeated; its last value applies");
                        self.invalid_entry(&name, number, problem);
                    }
                }
                Err(problem) => {
                    self.invalid_entry(&name, number, format_args!("{problem}; the entry is ignored"));
                }
            }
        }
        headers
    }
}

/// Sets the value of a key. Returns whether the key had a value before.
fn set(attributes: &mut Vec<(String, String)>, key: &str, value: String) -> bool {
    match attributes.iter_mut().find(|(known, _)| known == key) {
        Some((_, earlier)) => {
            *earlier = value;
            true
        }
        None => {
            attributes.push((key.to_owned(), value));
            false
        }
    }
}

/// A header that can be sent.
struct Header {
    name: HeaderName,
    value: HeaderValue,
    /// Whether the value is used as it is written, because its percent-encoding is invalid.
    has_bad_escape: bool,
}

/// Returns the header of an entry, or why it cannot be sent.
fn header(entry: &str, protocol: Protocol) -> Result<Header, String> {
    let (key, value) = entry.split_once('=').ok_or("use `key=value`")?;
    let (key, value) = (key.trim(), value.trim());
    let name = decoded(key).and_then(|name| HeaderName::from_bytes(&name).ok());
    let name = name.ok_or("its key is not a valid name of a header: use letters, digits and `-`")?;
    if value.is_empty() {
        return Err("it has no value".to_owned());
    }
    let decoded = decoded(value);
    let has_bad_escape = decoded.is_none();
    let decoded = decoded.unwrap_or_else(|| value.as_bytes().to_vec());
    let mut value = HeaderValue::from_bytes(&decoded).map_err(|_| {
        let name = shown(name.as_str());
        format!(
            "the value of the header `{name}` has a character that no header can have, such as a line feed"
        )
    })?;
    value.set_sensitive(true);
    match refusal(&name, &value, protocol) {
        Some(why) => Err(format!("the header `{}` cannot be sent: {why}", shown(name.as_str()))),
        None => Ok(Header { name, value, has_bad_escape }),
    }
}

/// Returns why a header that is valid by itself would break every request, or would be left out of it.
fn refusal(name: &HeaderName, value: &HeaderValue, protocol: Protocol) -> Option<&'static str> {
    const OF_EXPORTER: [&str; 10] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let name = name.as_str();
    if OF_EXPORTER.contains(&name) {
        return Some("the exporter sets it itself");
    }
    if protocol != Protocol::Grpc {
        return None;
    }
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    if name == "host" || name.starts_with("grpc-") || !name.bytes().all(is_plain) {
        return Some("gRPC reserves or refuses its name");
    }
    if name.ends_with("-bin") {
        return (!is_base64(value.as_bytes()))
            .then_some("gRPC requires Base64 for a name that ends with `-bin`");
    }
    let is_ascii = value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
    (!is_ascii).then_some("gRPC requires a value in ASCII")
}

fn is_base64(value: &[u8]) -> bool {
    let text = value.strip_suffix(b"==").or_else(|| value.strip_suffix(b"=")).unwrap_or(value);
    text.len() % 4 != 1 && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
}

/// Returns the bytes that a percent-encoded text stands for, or `None` if `%` is not followed by two hexadecimal
/// digits.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8,
            byte => byte,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    fn attributes(list: &str) -> (Vec<(String, String)>, usize) {
        let environment = read(&[("OTEL_RESOURCE_ATTRIBUTES", list)]);
        (environment.attributes, environment.problems.len())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_and_values_are_percent_decoded_after_the_list_is_split() {
        let (found, problems) =
            attributes(" team%2Ename = a%2Cb%3Dc%20 ,, plus=1+1,semi=a;b,empty=, ö=%C3%B6,");
        let expected = [("team.name", "a,b=c "), ("plus", "1+1"), ("semi", "a;b"), ("empty", ""), ("ö", "ö")];
        assert_eq!((found, problems), (pairs(&expected), 0));
    }

    #[test]
    fn an_invalid_entry_costs_itself_and_is_reported_by_its_number() {
        for (entry, kept) in [
            ("b", None),
            ("=b", None),
            (" %20 =b", None),
            ("service.name=", None),
            ("b=100%", Some(("b", "100%"))),
            ("b=%zz", Some(("b", "%zz"))),
            ("b=%+1", Some(("b", "%+1"))),
            ("b=%FF", Some(("b", "%FF"))),
            ("b%2=c", Some(("b%2", "c"))),
            ("b=c=d", Some(("b", "c=d"))),
        ] {
            let environment = read(&[("OTEL_RESOURCE_ATTRIBUTES", &format!("a=1,{entry},z=2"))]);
            let expected: Vec<_> = [Some(("a", "1")), kept, Some(("z", "2"))].into_iter().flatten().collect();
            assert_eq!(environment.attributes, pairs(&expected), "{entry}");
            let one = &environment.problems[..];
            assert!(
                matches!(one, [one] if one.contains("OTEL_RESOURCE_ATTRIBUTES, entry 2")),
                "{entry}: {one:?}"
            );
        }
        let (repeated, problems) = attributes("a=1,b=2,a=3");
        assert_eq!((repeated, problems), (pairs(&[("a", "3"), ("b", "2")]), 1));
        let (found, problems) = attributes(&"x,".repeat(5000));
        assert_eq!((found, problems), (Vec::new(), 9));
    }

    #[test]
    fn the_variable_for_the_service_name_takes_precedence() {
        let environment = read(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.version=2"),
            ("OTEL_SERVICE_NAME", " b%20c "),
        ]);
        let expected = pairs(&[("service.name", "b%20c"), ("service.version", "2")]);
        assert_eq!((environment.attributes, environment.problems), (expected, Vec::new()));
    }

    fn sent(list: &str, protocol: &str) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
        let environment =
            read(&[("OTEL_EXPORTER_OTLP_HEADERS", list), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        let headers = environment.traces_over.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        (headers.collect(), environment.problems)
    }

    #[test]
    fn a_header_is_decoded_and_sent() {
        for protocol in ["grpc", "http/protobuf"] {
            let (headers, problems) = sent(" Authorization = Basic%20a%3D%3D , X-Tenant=a=b,,", protocol);
            let expected = [("authorization", "Basic a=="), ("x-tenant", "a=b")];
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect();
            assert_eq!((headers, problems), (expected, Vec::new()), "{protocol}");
        }
        assert_eq!(sent("a=%C3%B6", "http/json").0, [("a".to_owned(), "ö".as_bytes().to_vec())]);
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_reported_without_its_value_and_the_others_are_sent() {
        for (protocol, entry, is_sent) in [
            ("http/protobuf", "secret", false),
            ("http/protobuf", "bad key=secret", false),
            ("http/protobuf", "api:secret==", false),
            ("http/protobuf", "=secret", false),
            ("http/protobuf", "b=", false),
            ("http/protobuf", "b=secret%0Asecret", false),
            ("http/protobuf", "b=secret%0D%0Ax:secret", false),
            ("http/protobuf", "b=secret%00", false),
            ("http/protobuf", "b=secret\u{7f}", false),
            ("http/protobuf", "content-length=5", false),
            ("http/json", "Content-Type=secret", false),
            ("grpc", "te=secret", false),
            ("grpc", "grpc-timeout=secret", false),
            ("grpc", "connection=secret", false),
            ("grpc", "b!=secret", false),
            ("grpc", "b=secret%C3%B6", false),
            ("grpc", "b-bin=secret!", false),
            ("http/protobuf", "b=100%secret", true),
            ("http/protobuf", "b=1,b=secret", true),
        ] {
            let (headers, problems) = sent(&format!("first=secret,{entry},last=secret"), protocol);
            assert!(headers.iter().any(|(name, _)| name == "first"), "{entry}: {headers:?}");
            assert!(headers.iter().any(|(name, _)| name == "last"), "{entry}: {headers:?}");
            assert_eq!(headers.len(), 2 + usize::from(is_sent), "{entry}: {headers:?}");
            let names =
                |line: &String| line.contains("OTEL_EXPORTER_OTLP_HEADERS") && !line.contains("secret");
            assert!(problems.len() == 1 && problems.iter().all(names), "{entry}: {problems:?}");
        }
        assert_eq!(sent("b-bin=aGk=", "grpc").1, Vec::<String>::new());
    }

    #[test]
    fn the_headers_of_a_signal_replace_those_of_all_signals() {
        let environment =
            read(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=1"), ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2")]);
        let names = |headers: &HeaderMap| headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&environment.traces_over.headers), ["b"]);
        assert_eq!(names(&environment.metrics_over.headers), ["a"]);
    }
}
