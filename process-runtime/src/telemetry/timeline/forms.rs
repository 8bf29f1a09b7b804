//! Reads ids, times and values in each of the forms that exporters write. The structure around them does not belong
//! here.

use super::json::{Json, Scalar};

/// The maximum length of an id. The ids of OTLP have at most 32 digits.
const ID: usize = 64;
/// The maximum number of bytes of an id that is written as a list of bytes.
const ID_BYTES: usize = 16;

/// What stands for an id that cannot be read. It is not the id of anything.
pub(super) const UNKNOWN: &str = "\u{fffd}";

/// Reads an id, as [`id`] does. Reports an id that cannot be read, and returns [`UNKNOWN`].
pub(super) fn id_or_unknown(json: &mut Json<'_>) -> String {
    id(json).unwrap_or_else(|problem| {
        json.report(problem);
        UNKNOWN.to_owned()
    })
}

/// Reads an id as lower-case hexadecimal digits. It can be written in hexadecimal, as a UUID, in base64, as a number,
/// or as a list of bytes. It is empty if it is not set.
///
/// # Errors
/// If the id is too long, or if an entry of the list is not a byte. The rest could be the id of another span.
fn id(json: &mut Json<'_>) -> Result<String, String> {
    match json.peek() {
        Some(b'[' | b'{') => bytes(json),
        _ => match json.scalar() {
            Some(Scalar::Text(text)) => id_of(&text),
            Some(Scalar::Word(word)) => id_of(word),
            Some(Scalar::Null) | None => Ok(String::new()),
        },
    }
}

/// Returns the digits of an id that is written as text, as [`id`] does.
pub(super) fn id_of(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > ID {
        return Err(format!("an id of {} bytes is too long", text.len()));
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let digits = match digits.len() {
        36 => digits.replace('-', ""),
        _ => digits.to_owned(),
    };
    Ok(from_base64(&digits).unwrap_or_else(|| digits.to_ascii_lowercase()))
}

/// Reads an id that is written as a list of bytes, signed or not. JavaScript writes such a list also as an object of
/// its indices, and as `{"type":"Buffer","data":[…]}`.
fn bytes(json: &mut Json<'_>) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut is_valid = true;
    let mut take = |json: &mut Json<'_>| {
        let byte = match json.scalar() {
            Some(Scalar::Word(word)) => integer(word),
            Some(Scalar::Text(text)) => integer(text.trim()),
            Some(Scalar::Null) | None => None,
        };
        match byte.filter(|byte| (-128..256).contains(byte)) {
            Some(byte) if bytes.len() <= ID_BYTES => bytes.push(byte as u8),
            Some(_) => {}
            None => is_valid = false,
        }
    };
    if json.peek() == Some(b'[') {
        json.list(take);
    } else {
        json.object(|json, key| match json.peek() {
            Some(b'[') if key == "data" => drop(json.list(&mut take)),
            _ if key.parse::<usize>().is_ok() => take(json),
            _ => json.skip(),
        });
    }
    if !is_valid {
        return Err("an entry of an id is not a byte".to_owned());
    }
    if bytes.len() > ID_BYTES {
        return Err(format!("an id of more than {ID_BYTES} bytes is too long"));
    }
    id_of(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Converts the base64 form of 16 or 8 bytes into hexadecimal digits. Returns `None` for any other text. Protobuf's
/// JSON writes ids so. Without its padding, base64 is only recognised by a character that is not hexadecimal.
fn from_base64(text: &str) -> Option<String> {
    let digits = text.trim_end_matches('=');
    let is_padded = text.len() > digits.len() && text.len().is_multiple_of(4);
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !matches!(digits.len(), 22 | 11) || !is_padded && (is_hexadecimal || text.len() > digits.len()) {
        return None;
    }
    let (mut hex, mut bits, mut held) = (String::new(), 0u32, 0);
    for byte in digits.bytes() {
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

/// Reads a time in nanoseconds since 1970. Returns `None` for a time that is not set or cannot be read, and reports the
/// latter. A time is written as
/// - nanoseconds: a number, or a text with a number;
/// - seconds, milli- or microseconds, recognised by a value of this century;
/// - a date and time as in RFC 3339, or as Go and others write it;
/// - the parts of a number: `[seconds, nanoseconds]`, `{"low": …, "high": …}`, or `{"seconds": …, "nanos": …}`.
pub(super) fn time(json: &mut Json<'_>) -> Option<u64> {
    let read = match json.peek() {
        Some(b'[') => {
            let mut parts = Vec::new();
            json.list(|json| {
                let part = number(json);
                if parts.len() < 2 {
                    parts.push(part);
                }
            });
            match parts[..] {
                [seconds, nanos] => of_seconds(seconds, nanos),
                _ => None,
            }
        }
        Some(b'{') => {
            let [mut low, mut high, mut seconds, mut nanos] = [None; 4];
            json.object(|json, key| match plain(key).as_str() {
                "low" => low = number(json),
                "high" => high = number(json),
                "seconds" => seconds = number(json),
                "nanos" | "nanoseconds" => nanos = number(json),
                _ => {}
            });
            let whole = of_halves(low, high).map(|nanos| nanos as u64);
            whole.or_else(|| of_seconds(seconds, Some(nanos.unwrap_or_default())))
        }
        _ => match json.scalar() {
            Some(Scalar::Null) => return None,
            Some(Scalar::Text(text)) if text.trim().is_empty() => return None,
            Some(Scalar::Text(text)) => of_text(text.trim()),
            Some(Scalar::Word(word)) => of_text(word),
            None => None,
        },
    };
    if read.is_none() {
        json.report("a time that cannot be read");
    }
    // Protobuf leaves out a number that is zero.
    read.filter(|nanos| *nanos != 0)
}

fn number(json: &mut Json<'_>) -> Option<f64> {
    match json.scalar()? {
        Scalar::Text(text) => text.trim().parse().ok(),
        Scalar::Word(word) => word.parse().ok(),
        Scalar::Null => None,
    }
    .filter(|number: &f64| number.is_finite())
}

/// Returns a number whose halves of 32 bits are apart. JavaScript writes each of them with a sign.
fn of_halves(low: Option<f64>, high: Option<f64>) -> Option<i64> {
    Some((high? as i64) << 32 | i64::from(low? as i64 as u32))
}

fn of_seconds(seconds: Option<f64>, nanos: Option<f64>) -> Option<u64> {
    Some((seconds? as u64).saturating_mul(SECOND).saturating_add(nanos? as u64))
}

const SECOND: u64 = 1_000_000_000;
/// The seconds since 1970 from 2001 to 2100.
const CENTURY: std::ops::Range<u64> = SECOND..4_102_444_800;

fn of_text(text: &str) -> Option<u64> {
    if let Ok(number) = text.parse::<u64>() {
        return Some(of_number(number));
    }
    match text.parse::<f64>() {
        // Only seconds are written with a fraction that matters.
        Ok(seconds) if seconds.fract() != 0.0 && CENTURY.contains(&(seconds as u64)) => {
            Some((seconds * SECOND as f64) as u64)
        }
        Ok(number) => number.is_finite().then_some(of_number(number as u64)),
        Err(_) => rfc_3339(text),
    }
}

/// Converts seconds, milli- and microseconds. Nanoseconds with such a value would be in the first weeks of 1970.
fn of_number(number: u64) -> u64 {
    match number {
        _ if CENTURY.contains(&number) => number * SECOND,
        _ if CENTURY.contains(&(number / 1_000)) => number * 1_000_000,
        _ if CENTURY.contains(&(number / 1_000_000)) => number * 1_000,
        _ => number,
    }
}

/// Reads a date and time such as `2026-11-30T14:43:02.120+01:00`. Without an offset, it is UTC. A name of the zone may
/// follow the offset, as in `+0100 CET`.
fn rfc_3339(text: &str) -> Option<u64> {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<u64>().ok()
    };
    let bytes = text.as_bytes();
    let has = |at: usize, among: &[u8]| bytes.get(at).is_some_and(|byte| among.contains(byte));
    if !(has(4, b"-") && has(7, b"-") && has(10, b"Tt _") && has(13, b":") && has(16, b":")) {
        return None;
    }
    let [year, month, day] = [digits(0..4)?, digits(5..7)?, digits(8..10)?];
    let [hours, minutes, seconds] = [digits(11..13)?, digits(14..16)?, digits(17..19)?];
    let is_time = (1..=12).contains(&month) && (1..=31).contains(&day) && hours < 24 && minutes < 60;
    // A leap second has the number 60.
    if !is_time || seconds > 60 {
        return None;
    }
    let rest = &text[19..];
    let fraction = rest.strip_prefix(['.', ',']).unwrap_or_default();
    let fraction = &fraction[..fraction.bytes().take_while(u8::is_ascii_digit).count()];
    let nanos: u64 = format!("{fraction:0<9}")[..9].parse().ok()?;
    let zone = if fraction.is_empty() { rest } else { &rest[1 + fraction.len()..] };
    let zone = zone.trim_start();
    let offset = match zone.split_whitespace().next().unwrap_or_default() {
        "" | "Z" | "z" | "UTC" | "GMT" => 0,
        offset => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let digits = offset.strip_prefix(['+', '-'])?.replace(':', "");
            let number: i64 =
                digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
            let (hours, minutes) = match digits.len() {
                2 => (number, 0),
                4 => (number / 100, number % 100),
                _ => return None,
            };
            sign * (hours * 3600 + minutes * 60)
        }
    };
    // The number of the day, as `days_from_civil` in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
    // Its years begin in March, so that a leap day is the last day of a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    let seconds = (days * 86_400 + hours * 3600 + minutes * 60 + seconds).checked_add_signed(-offset)?;
    Some(seconds.saturating_mul(SECOND).saturating_add(nanos))
}

/// Reads a value of any type as text. In OTLP it is an object with a single key, which names the type. Go writes
/// another object around it, with the key `Value`. Lists and objects, which the business context never contains,
/// become `…`.
pub(super) fn value(json: &mut Json<'_>) -> String {
    any_value(json, true)
}

fn any_value(json: &mut Json<'_>, may_be_wrapped: bool) -> String {
    if json.peek() != Some(b'{') {
        return text(json).unwrap_or_else(|| "…".to_owned());
    }
    let mut value = None;
    json.object(|json, key| {
        let kind = plain(key);
        let is_known = kind.ends_with("value");
        if !is_known || value.is_some() {
            return;
        }
        value = match (kind.as_str(), json.peek()) {
            ("value", Some(b'{')) if may_be_wrapped => Some(any_value(json, false)),
            ("intvalue", Some(b'{')) => halves(json).map(|number| number.to_string()),
            _ => match json.scalar() {
                Some(Scalar::Null) => None,
                Some(Scalar::Text(text)) => Some(typed(&kind, &text)),
                Some(Scalar::Word(word)) => Some(typed(&kind, word)),
                None => Some("…".to_owned()),
            },
        };
    });
    value.unwrap_or_default()
}

/// Reads a number as protobuf.js writes one of 64 bits: `{"low": …, "high": …}`.
fn halves(json: &mut Json<'_>) -> Option<i64> {
    let [mut low, mut high] = [None; 2];
    json.object(|json, key| match key {
        "low" => low = number(json),
        "high" => high = number(json),
        _ => {}
    });
    of_halves(low, high)
}

/// Reads a string, number or Boolean as text; `null` is empty. Skips a list or an object and returns `None`.
pub(super) fn text(json: &mut Json<'_>) -> Option<String> {
    Some(match json.scalar()? {
        Scalar::Text(text) => text.into_owned(),
        Scalar::Word(word) => typed("", word),
        Scalar::Null => String::new(),
    })
}

/// Returns a number or Boolean as ProtoJSON writes one of this type, so that one value has one text. `kind` is empty
/// for a number without a type. Other values stay as they are written.
fn typed(kind: &str, written: &str) -> String {
    let trimmed = written.trim();
    let text = match kind {
        "boolvalue" => boolean(trimmed).map(str::to_owned),
        "intvalue" => integer(trimmed).map(|number| number.to_string()).or_else(|| float(trimmed)),
        "doublevalue" => float(trimmed),
        "" => trimmed.parse::<i128>().map_or_else(|_| float(trimmed), |number| Some(number.to_string())),
        _ => None,
    };
    text.unwrap_or_else(|| written.to_owned())
}

fn boolean(written: &str) -> Option<&'static str> {
    match written.to_ascii_lowercase().as_str() {
        "true" | "1" => Some("true"),
        "false" | "0" => Some("false"),
        _ => None,
    }
}

/// Reads an integer in any form of a number, such as `7.0` or `1.795878182e18`, without loss of digits.
fn integer(written: &str) -> Option<i128> {
    let (mantissa, exponent) = match written.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (written, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let mut number: i128 = [whole, fraction].concat().parse().ok()?;
    let mut places = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    while places < 0 && number % 10 == 0 && number != 0 {
        (number, places) = (number / 10, places + 1);
    }
    match number {
        0 => Some(0),
        _ => number.checked_mul(10_i128.checked_pow(u32::try_from(places).ok()?)?),
    }
}

fn float(written: &str) -> Option<String> {
    let number: f64 = written.parse().ok()?;
    let has_digits = written.contains(|character: char| character.is_ascii_digit());
    Some(match number {
        number if number.is_nan() => "NaN".to_owned(),
        // A number with digits is too large for a float.
        number if number.is_infinite() && has_digits => written.to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        number => format!("{number:?}"),
    })
}

/// Returns a key without its case and underscores, so that the camel and the snake case of a name are equal. A key that
/// is longer than every name of OTLP is empty.
pub(super) fn plain(key: &str) -> String {
    let letters = key.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
    match key.len() {
        0..=32 => letters.map(|letter| char::from(letter.to_ascii_lowercase())).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(written: &str, form: impl Fn(&mut Json<'_>) -> T) -> T {
        form(&mut Json::new(written.as_bytes()))
    }

    #[test]
    fn an_id_is_read_in_every_form() {
        let (trace, span) = ("e3f06c7f5186b6cbe1542f0f94ee4821", "9bb0d04426f3933e");
        let bytes = "[227,240,108,127,81,134,182,203,225,84,47,15,148,238,72,33]";
        let signed = "[-29,-16,108,127,81,-122,-74,-53,-31,84,47,15,-108,-18,72,33]";
        let buffer = format!(r#"{{"type":"Buffer","data":{bytes}}}"#);
        let forms = [
            r#""E3F06C7F5186B6CBE1542F0F94EE4821""#,
            r#""0xe3f06c7f5186b6cbe1542f0f94ee4821""#,
            r#""e3f06c7f-5186-b6cb-e154-2f0f94ee4821""#,
            r#""4/Bsf1GGtsvhVC8PlO5IIQ==""#,
            r#""4_Bsf1GGtsvhVC8PlO5IIQ""#,
            bytes,
            signed,
            &buffer,
        ];
        for written in forms {
            assert_eq!(read(written, id).as_deref(), Ok(trace), "{written}");
        }
        let forms = [
            r#""m7DQRCbzkz4=""#,
            r#""m7DQRCbzkz4""#,
            "[155,176,208,68,38,243,147,62]",
            r#"{"0":155,"1":176,"2":208,"3":68,"4":38,"5":243,"6":147,"7":62}"#,
        ];
        for written in forms {
            assert_eq!(read(written, id).as_deref(), Ok(span), "{written}");
        }
        for written in ["null", r#""""#, "{}", "[]", "@"] {
            assert_eq!(read(written, id).as_deref(), Ok(""), "{written}");
        }
        assert_eq!(read("17", id).as_deref(), Ok("17"));
        assert!(read(&format!("\"{}\"", "f".repeat(65)), id).is_err());
        assert!(read(&format!("[{}1]", "1,".repeat(90)), id).is_err());
    }

    #[test]
    fn a_time_is_read_in_every_form() {
        let nanos = 1_795_878_182_120_000_000_u64;
        let expected = Some(nanos);
        for written in [
            r#""1795878182120000000""#,
            "1795878182120000000",
            r#"" 1795878182120000000 ""#,
            "1795878182120",
            r#""1795878182120""#,
            "1795878182120000",
            r#""2026-11-28T15:03:02.120Z""#,
            r#""2026-11-28T16:03:02.12+01:00""#,
            r#""2026-11-28T10:33:02.120000000-0430""#,
            r#""2026-11-28 15:03:02,120 UTC""#,
            r#""2026-11-28 15:03:02.12 +0000 UTC""#,
            r#""2026-11-28 16:03:02.12 +0100 CET m=+0.000012""#,
            r#""2026-11-28T16:03:02.12+01""#,
            r#"{"Seconds":1795878182,"Nanos":120000000}"#,
            r#""2026-11-28t15:03:02.1200000000001z""#,
            "[1795878182,120000000]",
            r#"{"seconds":"1795878182","nanos":120000000}"#,
        ] {
            assert_eq!(read(written, time), expected, "{written}");
        }
        let (high, low) = ((nanos >> 32) as i64, nanos as u32);
        for low in [i64::from(low), i64::from(low as i32)] {
            let written = format!(r#"{{"low":{low},"high":{high},"unsigned":true}}"#);
            assert_eq!(read(&written, time), expected, "{written}");
        }
        for written in ["1795878182", r#""1795878182""#, "1795878182.0", "1.795878182e9"] {
            assert_eq!(read(written, time), Some(1_795_878_182 * SECOND), "{written}");
        }
        for written in ["1.79587818212e18", r#""1.79587818212e18""#, "1795878182.12"] {
            let read = read(written, time).unwrap();
            assert!(read.abs_diff(nanos) < 1000, "{written}: {read}");
        }
        assert_eq!(read(r#""1970-01-01T00:00:01Z""#, time), Some(SECOND));
        assert_eq!(read(r#""2000-02-29T23:59:60+00:00""#, time), Some(951_868_800 * SECOND));
    }

    #[test]
    fn a_time_that_is_not_set_is_not_a_problem_and_one_that_cannot_be_read_is() {
        for (written, is_unset) in [
            (r#""""#, true),
            ("null", true),
            ("0", true),
            (r#""0""#, true),
            (r#""yesterday""#, false),
            (r#""2026-11-28T15:03:02 CET""#, false),
            (r#""2026-11-28T15:03:02+1""#, false),
            (r#""2026-11-28T15:03:02+-100""#, false),
            (r#""2026-02-30 noon""#, false),
            (r#""1900-01-01T00:00:00Z""#, false),
            (r#""2026-13-01T00:00:00Z""#, false),
            ("true", false),
            ("NaN", false),
            ("[]", false),
            ("[1]", false),
            (r#"{"low":"x"}"#, false),
        ] {
            let mut json = Json::new(written.as_bytes());
            assert_eq!(time(&mut json), None, "{written}");
            assert_eq!(json.problem().is_none(), is_unset, "{written}");
        }
        // Numbers outside of the range of times are its ends.
        for written in ["-5", "1e300", r#""99999999999999999999""#] {
            let mut json = Json::new(written.as_bytes());
            assert_ne!(time(&mut json), Some(5), "{written}");
        }
    }

    #[test]
    fn a_value_of_any_type_becomes_text() {
        for (written, text) in [
            (r#"{"stringValue":"a"}"#, "a"),
            (r#"{"string_value":7}"#, "7"),
            (r#"{"StringValue":true}"#, "true"),
            (r#"{"intValue":"-3"}"#, "-3"),
            (r#"{"int_value":-3}"#, "-3"),
            (r#"{"intValue":3.0}"#, "3"),
            (r#"{"intValue":"9007199254740993"}"#, "9007199254740993"),
            (r#"{"doubleValue":0.50}"#, "0.5"),
            (r#"{"doubleValue":"0.5"}"#, "0.5"),
            (r#"{"doubleValue":2}"#, "2.0"),
            (r#"{"doubleValue":"NaN"}"#, "NaN"),
            (r#"{"doubleValue":NaN}"#, "NaN"),
            (r#"{"doubleValue":"Infinity"}"#, "Infinity"),
            (r#"{"doubleValue":-Infinity}"#, "-Infinity"),
            (r#"{"doubleValue":1e999}"#, "1e999"),
            (r#"{"boolValue":true}"#, "true"),
            (r#"{"boolValue":"false"}"#, "false"),
            (r#"{"bytesValue":"1e10"}"#, "1e10"),
            (r#"{"stringValue":null}"#, ""),
            (r#"{"stringValue":null,"intValue":"3"}"#, "3"),
            (r#"{"new":{"a":[]},"stringValue":"a","stringValue":"b"}"#, "a"),
            (r#"{"arrayValue":{"values":[{"intValue":"1"}]}}"#, "…"),
            ("{}", ""),
            ("null", ""),
            (r#""a""#, "a"),
            ("0.50", "0.5"),
            ("[1]", "…"),
            (r#"{"stringValue":"\ud800a\ud83d\ude00\udc00\ud83d"}"#, "\u{fffd}a😀\u{fffd}\u{fffd}"),
            (r#"{"stringValue":"\q\n\u00e9\/\u12"}"#, "\u{fffd}\n\u{e9}/\u{fffd}12"),
        ] {
            assert_eq!(read(written, value), text, "{written}");
        }
    }
}
