//! Reads and writes the header of [W3C Baggage](https://www.w3.org/TR/baggage/), which carries keys and values.
//! `peers` decides whose keys are accepted, and `outgoing` decides which keys are sent to which host. Such decisions
//! do not belong here.

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use super::peers::Peers;
use crate::base::foreign::{limits, text};
use crate::base::notices;
use crate::run::context::{NamedValues, Value};

pub(super) const HEADER: HeaderName = HeaderName::from_static("baggage");

// The maximum number of bytes and entries that the specification requires a service to propagate.
const BYTES: usize = 8192;
const ENTRIES: usize = 64;

/// Returns the keys that are valid in the header, and reports the invalid keys.
pub(super) fn valid_keys(keys: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    // The specification defines a key as an HTTP token, like the name of a header.
    let is_token = |key: &&'static str| HeaderName::from_bytes(key.as_bytes()).is_ok();
    let (tokens, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_token);
    for key in others {
        notices::once(format!(
            "invalid baggage key `{key}`: use letters, digits, `_`, `-` or `.`; the key is not propagated"
        ));
    }
    tokens
}

/// Removes the header from a request, and returns its values for the keys that the peer of the request may set.
pub(super) fn take(
    peers: &Peers<Vec<&'static str>>,
    extensions: &Extensions,
    headers: &mut HeaderMap,
) -> NamedValues {
    if !headers.contains_key(HEADER) {
        return NamedValues::new();
    }
    let keys: Vec<_> = peers.of(extensions).flatten().copied().collect();
    let taken = read(headers, &keys);
    headers.remove(HEADER);
    taken
}

/// Returns the values of these keys, as text. A key that occurs more than once is ignored, because one of its values
/// may be forged. A value is ignored if it is not valid UTF-8 or contains a control character, and is cut at the limit
/// of a text from a header. If the `baggage` headers together exceed [`BYTES`] or [`ENTRIES`], all of them are ignored.
fn read(headers: &HeaderMap, keys: &[&'static str]) -> NamedValues {
    let lines = || headers.get_all(HEADER).iter();
    // An entry is split off before it is read, so that one that is not text costs only itself.
    let entries = || lines().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    if lines().map(HeaderValue::len).sum::<usize>() > BYTES || entries().count() > ENTRIES {
        return NamedValues::new();
    }
    let value_of = |key: &&'static str| {
        let mut values = entries().filter_map(|entry| {
            let end = entry.iter().position(|byte| *byte == b'=')?;
            (entry[..end].trim_ascii() == key.as_bytes()).then_some(&entry[end + 1..])
        });
        let only = values.next().filter(|_| values.next().is_none())?;
        // Properties follow after a semicolon and are ignored.
        let value = only.split(|byte| *byte == b';').next().filter(|value| value.is_ascii())?;
        let value = decoded(value.trim_ascii()).filter(|text| !text.contains(char::is_control))?;
        Some((*key, Value::Text(text::cut(&value, limits::header_text()).into())))
    };
    keys.iter().filter_map(value_of).collect()
}

/// Returns a header with these values. A value that does not fit within [`BYTES`] and [`ENTRIES`] is left out. Returns
/// `None` if no value remains.
pub(super) fn write<'v>(values: impl Iterator<Item = (&'static str, &'v Value)>) -> Option<HeaderValue> {
    let mut header = String::new();
    let mut entries = 0;
    for (key, value) in values {
        let value = value.to_string();
        // Encoding never shortens a value, so a value of this length cannot fit.
        if value.len() > BYTES || entries == ENTRIES {
            continue;
        }
        let entry = format!("{key}={}", encoded(&value));
        if header.len() + 1 + entry.len() <= BYTES {
            if entries > 0 {
                header.push(',');
            }
            header.push_str(&entry);
            entries += 1;
        }
    }
    let mut header = HeaderValue::try_from(header).ok().filter(|header| !header.is_empty())?;
    // Code that logs headers does not show the value of a sensitive header.
    header.set_sensitive(true);
    Some(header)
}

/// Encodes every byte except for ASCII letters, digits and `-._~` as `%` and two hexadecimal digits.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Decodes a value. Returns `None` if the result is not valid UTF-8. A `%` without two hexadecimal digits after it is
/// kept as it is, as the specification requires.
fn decoded(text: &[u8]) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        let (byte, read) = escaped.map_or((*first, 1), |(high, low)| (high << 4 | low, 3));
        bytes.push(byte);
        rest = &rest[read..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(lines: &[&str], keys: &[&'static str]) -> Vec<(&'static str, String)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, line.parse().expect("a header"));
        }
        read(&headers, keys).into_iter().map(|(key, value)| (key, value.to_string())).collect()
    }

    fn company(lines: &[&str]) -> Option<String> {
        taken(lines, &["company_id"]).pop().map(|(_, value)| value)
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        let lines = ["serverNode=DF%2028,userId=Am%C3%A9lie ; secret", "isProduction = false;a=b;c,x=a=b"];
        let keys = ["serverNode", "userId", "isProduction", "x", "absent"];
        let expected =
            [("serverNode", "DF 28"), ("userId", "Amélie"), ("isProduction", "false"), ("x", "a=b")];
        assert_eq!(taken(&lines, &keys), expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn only_listed_keys_that_occur_once_are_read() {
        assert_eq!(company(&["company_id=7,user_id=1"]).as_deref(), Some("7"));
        for line in ["", "company_id", "Company_id=7", "company_id2=7", "x;company_id=7", "company%5Fid=7"] {
            assert_eq!(company(&[line]), None, "{line}");
        }
        assert_eq!(company(&["company_id=7,company_id=8"]), None);
        assert_eq!(company(&["company_id=7", "company_id=7"]), None);
    }

    #[test]
    fn values_that_are_not_a_text_of_one_line_are_ignored() {
        for value in ["7%0A8", "%00", "%1B[2J", "%FF", "%C3%28"] {
            assert_eq!(company(&[&format!("company_id={value}")]), None, "{value}");
        }
        assert_eq!(company(&["company_id=%zz%4%"]).as_deref(), Some("%zz%4%"));
    }

    #[test]
    fn a_header_that_exceeds_the_limits_is_ignored() {
        let long = |length: usize| format!("company_id={}", "7".repeat(length - "company_id=".len()));
        assert!(company(&[&long(BYTES)]).is_some());
        assert_eq!(company(&[&long(BYTES + 1)]), None);
        assert_eq!(company(&[&long(BYTES - 10), "user_id=1234"]), None);
        let many = |others: usize| format!("{}company_id=7", "a=b,".repeat(others));
        assert!(company(&[&many(ENTRIES - 1)]).is_some());
        assert_eq!(company(&[&many(ENTRIES)]), None);
    }

    #[test]
    fn values_that_exceed_the_limits_are_not_written() {
        let (long, short) = (Value::Text("ü".repeat(BYTES / 2).into()), Value::I64(7));
        let written = write([("a", &long), ("b", &short), ("c", &long)].into_iter());
        assert_eq!(written.expect("there is one"), "b=7");
        assert_eq!(
            write(std::iter::repeat_n(("a", &short), 1000)).map(|header| header.len()),
            Some(4 * 64 - 1)
        );
        assert_eq!(write(std::iter::empty()), None);
    }

    proptest! {
        #[test]
        fn written_values_are_read_back(values in proptest::collection::vec("\\PC{0,40}", 0..5)) {
            const KEYS: [&str; 5] = ["a", "company_id", "x-y", "user.id", "z"];
            let values: Vec<_> = values.into_iter().map(|text| Value::Text(text.into())).collect();
            let entries: NamedValues = KEYS.into_iter().zip(values).collect();
            let header = write(entries.iter().map(|(key, value)| (*key, value)));
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|header| (HEADER, header)));
            prop_assert_eq!(read(&headers, &KEYS), entries);
        }

        #[test]
        fn no_header_causes_a_panic(lines in proptest::collection::vec("[ -~\t\u{80}-\u{ff}]{0,300}", 0..4)) {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HEADER, HeaderValue::from_bytes(line.as_bytes()).expect("a header"));
            }
            for (_, value) in read(&headers, &["a", "%", "="]) {
                prop_assert!(value.to_string().len() <= BYTES);
            }
        }
    }
}
