//! The header of [W3C Baggage](https://www.w3.org/TR/baggage/): what is taken out of it, and what is written. It knows
//! keys and values; who may say or hear them is decided elsewhere.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::base::notices;
use crate::run::context::{Taken, Value};

pub(super) const HEADER: HeaderName = HeaderName::from_static("baggage");

/// The most bytes, and the most entries, that the specification has a service pass on.
const BYTES: usize = 8192;
const ENTRIES: usize = 64;

/// Those of these keys that can stand in the header. One that cannot is told.
pub(super) fn listed(keys: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    // The names of headers are tokens too.
    let is_token = |key: &&'static str| HeaderName::from_bytes(key.as_bytes()).is_ok();
    let (tokens, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_token);
    for key in others {
        notices::once(format!("`{key}` can be no key of baggage: it stays here"));
    }
    tokens
}

/// The values of these keys, as texts. Left out are keys that come twice, since nobody knows which of the two was
/// forged, and values that are no text of one line. Of more than is allowed nothing is taken.
pub(super) fn read(headers: &HeaderMap, keys: &[&'static str]) -> Taken {
    let lines = || headers.get_all(HEADER).iter();
    let entries = || lines().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    if lines().map(HeaderValue::len).sum::<usize>() > BYTES || entries().count() > ENTRIES {
        return Taken::new();
    }
    let value_of = |key: &&'static str| {
        let mut values = entries().filter_map(|entry| {
            let (name, rest) = entry.split_once('=')?;
            // Behind a semicolon are properties, which are nothing to us.
            let value = rest.split_once(';').map_or(rest, |(value, _)| value);
            (name.trim() == *key).then(|| value.trim())
        });
        let only = values.next().filter(|_| values.next().is_none())?;
        let text = decoded(only).filter(|text| !text.contains(char::is_control))?;
        Some((*key, Value::Text(text.into())))
    };
    keys.iter().filter_map(value_of).collect()
}

/// A header with these values. What finds no room is left out.
pub(super) fn write<'v>(values: impl Iterator<Item = (&'static str, &'v Value)>) -> Option<HeaderValue> {
    let mut header = String::new();
    let mut entries = 0;
    for (key, value) in values {
        let value = value.to_string();
        // None is shorter encoded.
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
    // It is nothing for a log of headers.
    header.set_sensitive(true);
    Some(header)
}

/// Everything but letters, digits and `-._~` as `%` and two hexadecimal digits.
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

/// `None` where it is no text. A `%` without its two digits stands for itself, as the specification has it.
fn decoded(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
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
    fn what_the_specification_shows_is_read() {
        let lines = ["serverNode=DF%2028,userId=Am%C3%A9lie ; secret", "isProduction = false;a=b;c,x=a=b"];
        let keys = ["serverNode", "userId", "isProduction", "x", "absent"];
        let expected =
            [("serverNode", "DF 28"), ("userId", "Amélie"), ("isProduction", "false"), ("x", "a=b")];
        assert_eq!(taken(&lines, &keys), expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn only_what_is_listed_and_is_said_once_is_taken() {
        assert_eq!(company(&["company_id=7,user_id=1"]).as_deref(), Some("7"));
        for line in ["", "company_id", "Company_id=7", "company_id2=7", "x;company_id=7", "company%5Fid=7"] {
            assert_eq!(company(&[line]), None, "{line}");
        }
        assert_eq!(company(&["company_id=7,company_id=8"]), None);
        assert_eq!(company(&["company_id=7", "company_id=7"]), None);
    }

    #[test]
    fn what_is_no_text_of_one_line_is_left_out() {
        for value in ["7%0A8", "%00", "%1B[2J", "%FF", "%C3%28"] {
            assert_eq!(company(&[&format!("company_id={value}")]), None, "{value}");
        }
        assert_eq!(company(&["company_id=%zz%4%"]).as_deref(), Some("%zz%4%"));
    }

    #[test]
    fn of_more_than_is_allowed_nothing_is_taken() {
        let long = |length: usize| format!("company_id={}", "7".repeat(length - "company_id=".len()));
        assert!(company(&[&long(BYTES)]).is_some());
        assert_eq!(company(&[&long(BYTES + 1)]), None);
        assert_eq!(company(&[&long(BYTES - 10), "user_id=1234"]), None);
        let many = |others: usize| format!("{}company_id=7", "a=b,".repeat(others));
        assert!(company(&[&many(ENTRIES - 1)]).is_some());
        assert_eq!(company(&[&many(ENTRIES)]), None);
    }

    #[test]
    fn what_finds_no_room_is_left_out_of_the_header() {
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
        fn what_is_written_is_read(values in proptest::collection::vec("\\PC{0,40}", 0..5)) {
            const KEYS: [&str; 5] = ["a", "company_id", "x-y", "user.id", "z"];
            let values: Vec<_> = values.into_iter().map(|text| Value::Text(text.into())).collect();
            let entries: Taken = KEYS.into_iter().zip(values).collect();
            let header = write(entries.iter().map(|(key, value)| (*key, value)));
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|header| (HEADER, header)));
            prop_assert_eq!(read(&headers, &KEYS), entries);
        }

        #[test]
        fn no_header_makes_it_panic(lines in proptest::collection::vec("[ -~\t\u{80}-\u{ff}]{0,300}", 0..4)) {
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
