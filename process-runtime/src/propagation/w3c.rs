//! The rules of [W3C Trace Context](https://www.w3.org/TR/trace-context-2/) for its two headers. They apply only where
//! the application's propagator reads the header `traceparent`. Who may continue a trace does not belong here.

use http::HeaderMap;
use opentelemetry::trace::TraceState;

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";

/// The length of the header in version 00, and the length of the part that later versions share with it.
const LENGTH: usize = 55;
/// The most members and bytes of a `tracestate` that are kept.
const MEMBERS: usize = 32;
const BYTES: usize = 512;

/// Returns the header `traceparent` in the form of version 00, or `None` without a valid one. Two headers are invalid
/// even if they are equal. Version 00 has 55 characters. A later version has at least 55, and `-` after them if it has
/// more.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?.to_str().ok()?;
    let (known, after) = line.split_at_checked(LENGTH)?;
    let mut fields = known.split('-');
    let lengths_and_digits = [2, 32, 16, 2].map(|length| fields.next().filter(|field| is_hex(field, length)));
    let [Some(version), Some(trace), Some(span), Some(_)] = lengths_and_digits else { return None };
    let is_complete = after.is_empty() || version != "00" && after.starts_with('-');
    let is_zero = |id: &str| id.bytes().all(|digit| digit == b'0');
    (version != "ff" && is_complete && !is_zero(trace) && !is_zero(span))
        .then(|| format!("00{}", &known[2..]))
}

fn is_hex(field: &str, length: usize) -> bool {
    field.len() == length && field.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns the `tracestate` of all headers of that name, in their order. Returns `None` if no member is left.
pub(super) fn tracestate(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(TRACESTATE).iter();
    kept(lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')))
}

/// Returns what is sent of a `tracestate`. Returns `None` if no member is left.
pub(super) fn sendable(state: &str) -> Option<String> {
    kept(state.as_bytes().split(|byte| *byte == b','))
}

/// Returns a state within the limits.
pub(super) fn bounded(state: &TraceState) -> TraceState {
    if *state == TraceState::NONE {
        return TraceState::NONE;
    }
    sendable(&state.header()).and_then(|state| state.parse().ok()).unwrap_or_default()
}

/// Returns the members, up to the first one that is beyond [`MEMBERS`] or [`BYTES`]. An invalid member is left out, and
/// so is one with the key of an earlier member.
fn kept<'m>(members: impl Iterator<Item = &'m [u8]>) -> Option<String> {
    let (mut kept, mut keys) = (String::new(), Vec::new());
    let valid = members.filter_map(|member| str::from_utf8(member).ok().and_then(valid_member));
    for (key, member) in valid {
        let comma = usize::from(!kept.is_empty());
        if keys.len() == MEMBERS || kept.len() + comma + member.len() > BYTES {
            break;
        }
        if keys.contains(&key) {
            continue;
        }
        keys.push(key);
        kept.extend([",", member].into_iter().skip(1 - comma));
    }
    (!kept.is_empty()).then_some(kept)
}

/// Returns the key of the member, and the member without the space around it, or `None` if it is empty or invalid.
fn valid_member(member: &str) -> Option<(&str, &str)> {
    let member = member.trim_matches([' ', '\t']);
    let (key, value) = member.split_once('=')?;
    let is_printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let is_present = !key.is_empty() && !value.is_empty();
    let is_valid = is_present && is_printable && TraceState::from_key_value([(key, value)]).is_ok();
    is_valid.then_some((key, member))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (http::HeaderName::from_static(name), line.parse().expect("a header")))
            .collect()
    }

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parent(lines: &[&str]) -> Option<String> {
        traceparent(&headers(TRACEPARENT, lines))
    }

    #[test]
    fn a_valid_traceparent_is_handed_on_as_version_00() {
        assert_eq!(parent(&[VALID]).as_deref(), Some(VALID));
        for version in ["01", "cc", "fe"] {
            for after in ["", "-", "-what-the-future-holds"] {
                let line = format!("{version}{}{after}", &VALID[2..]);
                assert_eq!(parent(&[&line]).as_deref(), Some(VALID), "{line}");
            }
        }
    }

    #[test]
    fn any_other_traceparent_is_ignored() {
        let ids = &VALID[2..];
        let mut invalid = vec![
            String::new(),
            VALID[..54].to_owned(),
            format!("{VALID}0"),
            format!("{VALID}-"),
            format!("{VALID},{VALID}"),
            format!(" {VALID}"),
            format!("ff{ids}"),
            format!("ff{ids}-"),
            format!("01{ids}0"),
            format!("01{ids}.what"),
            format!("0{ids}0"),
            format!("+0{ids}"),
            format!("CC{ids}"),
            VALID.to_uppercase(),
            VALID.replace("-01", "-+1"),
            VALID.replace("-01", "-1"),
            VALID.replace("-01", "-0A"),
            VALID.replace("-0af", "-+af"),
            VALID.replace("-0af", "--af"),
            VALID.replace("-b7", "-B7"),
            VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            VALID.replace('-', "_"),
        ];
        invalid.extend((0..LENGTH).map(|at| format!("{}g{}", &VALID[..at], &VALID[at + 1..])));
        for line in &invalid {
            assert_eq!(parent(&[line]), None, "{line}");
        }
        assert_eq!(parent(&[VALID, VALID]), None);
        assert_eq!(parent(&[]), None);
    }

    #[test]
    fn a_tracestate_is_joined_in_order_and_cut_at_a_member() {
        let state = |lines: &[&str]| tracestate(&headers(TRACESTATE, lines));
        assert_eq!(state(&["a=1, b=2", "", "c=3\t,,d=4 "]).as_deref(), Some("a=1,b=2,c=3,d=4"));
        assert_eq!(state(&["", " , ,"]), None);
        // An invalid member costs only itself.
        assert_eq!(state(&["A=1,a=1,=2,b=,c,d=1=2,@e=1,f=\tg,h=2"]).as_deref(), Some("a=1,h=2"));
        // The first member of a key remains.
        assert_eq!(state(&["a=1,b=1, a=2", "b=3,a@b=1,c=1"]).as_deref(), Some("a=1,b=1,a@b=1,c=1"));
        let many: Vec<_> = (0..40).map(|at| format!("k{at}=v")).collect();
        assert_eq!(state(&[&many[..20].join(","), &many[20..].join(",")]), Some(many[..32].join(",")));
        let long = format!("a={}", "v".repeat(254));
        assert_eq!(state(&[&long, "b=1", &long, "c=1"]), Some(format!("{long},b=1")));
        let exact = format!("{long},b={}", "v".repeat(253));
        assert_eq!((exact.len(), state(&[&exact])), (512, Some(exact.clone())));
        assert_eq!(state(&[&format!("{exact}v")]), Some(long));
    }
}
