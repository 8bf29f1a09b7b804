//! The headers of callers: which ones continue a trace, what of them is sent on, and 100,000 hostile ones.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use futures::FutureExt as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use process_runtime::propagation::{self, Outgoing};
use tower::{Layer as _, Service};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;

use crate::{Caller, SPAN, TRACE, request_with, set_propagator, traceparent};

type Headers = Vec<(&'static str, Vec<u8>)>;

/// A service that answers with the headers that it would send to the next service.
struct Relay<S> {
    service: S,
    _subscriber: dispatcher::DefaultGuard,
}

fn relay() -> Relay<impl Service<Request, Response = Response<Body>, Error = Infallible>> {
    set_propagator();
    let tracer = SdkTracerProvider::builder().build().tracer("tests");
    let registry = Registry::default().with(tracing_opentelemetry::layer().with_tracer(tracer));
    let outgoing = Arc::new(Outgoing::new().allow("next", ["company_id", "x"]));
    // The baggage of a request is context from the first poll on.
    let send = move |_: Request| {
        let outgoing = Arc::clone(&outgoing);
        async move {
            let mut response = Response::new(Body::empty());
            outgoing.inject("next", response.headers_mut());
            Ok(response)
        }
    };
    let layer = propagation::layer().trust(|_: &Caller| true, ["company_id", "x"]);
    let service = layer.layer(tower::service_fn(send));
    Relay { service, _subscriber: dispatcher::set_default(&Dispatch::new(registry)) }
}

impl<S: Service<Request, Response = Response<Body>, Error = Infallible>> Relay<S> {
    /// Sends a request, and returns the headers of the next request.
    fn relayed(&mut self, headers: &Headers) -> HeaderMap {
        let mut request = request_with(headers.iter().map(|(name, value)| (*name, value.as_slice())));
        request.extensions_mut().insert(Caller("council"));
        let Ok(response) = self.service.call(request).now_or_never().expect("it answers at once");
        response.into_parts().0.headers
    }

    /// Returns the trace of the next request, and its `tracestate`.
    fn trace(&mut self, parents: &[&str], states: &[&str]) -> (String, Option<String>) {
        let parents = parents.iter().map(|line| ("traceparent", line.as_bytes().to_vec()));
        let states = states.iter().map(|line| ("tracestate", line.as_bytes().to_vec()));
        let sent = self.relayed(&parents.chain(states).collect());
        let state = sent.get("tracestate").map(|state| state.to_str().unwrap().to_owned());
        (trace_in(&sent), state)
    }
}

/// Returns the id of the trace in a `traceparent` that this toolkit has sent.
fn trace_in(sent: &HeaderMap) -> String {
    let lines: Vec<_> = sent.get_all("traceparent").iter().collect();
    assert_eq!(lines.len(), 1);
    let line = lines[0].to_str().unwrap();
    assert!(is_valid(line.as_bytes()) && line.starts_with("00-"), "{line}");
    line[3..35].to_owned()
}

/// Returns whether a line is a `traceparent` that continues a trace, in the words of the specification.
fn is_valid(line: &[u8]) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        line[range].iter().all(|byte| b"0123456789abcdef".contains(byte)).then_some(())
    };
    let is_zero = |range: std::ops::Range<usize>| line[range].iter().all(|byte| *byte == b'0');
    let is_long_enough = match line {
        [b'0', b'0', ..] => line.len() == 55,
        _ => line.len() == 55 || line.len() > 55 && line[55] == b'-',
    };
    is_long_enough
        && line.is_ascii()
        && [2, 35, 52].iter().all(|at| line[*at] == b'-')
        && digits(0..2).and(digits(3..35)).and(digits(36..52)).and(digits(53..55)).is_some()
        && &line[..2] != b"ff"
        && !is_zero(3..35)
        && !is_zero(36..52)
}

#[test]
fn a_header_that_is_not_valid_starts_a_new_trace() {
    let mut relay = relay();
    let valid = traceparent("01");
    assert_eq!(relay.trace(&[&valid], &[]).0, TRACE);
    let ids = &valid[2..];
    for line in [
        &format!("01{ids}"),
        &format!("cc{ids}-what-the-future-holds"),
        &format!("fe{ids}-"),
        &traceparent("ff"),
    ] {
        assert_eq!(relay.trace(&[line], &[]).0, TRACE, "{line}");
    }
    for line in [
        String::new(),
        valid[..54].to_owned(),
        format!("{valid}-"),
        format!("{valid}-extra"),
        format!("{valid},{valid}"),
        format!("ff{ids}"),
        format!("01{ids}x"),
        format!("+0{ids}"),
        format!("0{ids}"),
        traceparent("+1"),
        traceparent("1"),
        valid.to_uppercase(),
        valid.replace("0af", "+af"),
        valid.replace("0af", "af"),
        valid.replace(TRACE, &"0".repeat(32)),
        valid.replace(SPAN, &"0".repeat(16)),
    ] {
        // The state belongs to the trace that is not continued.
        let (trace, state) = relay.trace(&[&line], &["a=1"]);
        assert_ne!(trace, TRACE, "{line}");
        assert_eq!(state, None, "{line}");
    }
    assert_ne!(relay.trace(&[&valid, &valid], &[]).0, TRACE);
    assert_ne!(relay.trace(&[&valid, ""], &[]).0, TRACE);
}

#[test]
fn a_tracestate_is_joined_in_order_cut_at_a_member_and_never_empty() {
    let mut relay = relay();
    let mut state = |lines: &[&str]| relay.trace(&[&traceparent("01")], lines).1;
    assert_eq!(state(&["a=1,b=2", "c=3", "", "d=4, "]).as_deref(), Some("a=1,b=2,c=3,d=4"));
    assert_eq!(state(&["a=1,B=2,c", "d=4"]).as_deref(), Some("a=1,d=4"));
    for empty in [&[][..], &[""], &[" ", ","], &["=", "a=", "=1", "A=1"]] {
        assert_eq!(state(empty), None, "{empty:?}");
    }
    let members: Vec<_> = (0..33).map(|at| format!("k{at}=v")).collect();
    assert_eq!(state(&[&members[..30].join(","), &members[30..].join(",")]), Some(members[..32].join(",")));
    let long: Vec<_> = (0..6).map(|at| format!("k{at}={}", "v".repeat(97))).collect();
    assert_eq!(state(&[&long.join(",")]), Some(long[..5].join(",")));
}

#[test]
fn the_headers_of_another_trace_are_not_sent() {
    let _relay = relay();
    let span = tracing::info_span!("own");
    let _inside = span.enter();
    let mut headers = HeaderMap::new();
    for line in [traceparent("01").parse().unwrap(), "stale".parse().unwrap()] {
        headers.append("traceparent", line);
    }
    headers.append("tracestate", "of=another".parse().unwrap());
    propagation::inject(&mut headers);
    assert_ne!(trace_in(&headers), TRACE);
    assert!(!headers.contains_key("tracestate"), "{headers:?}");
}

#[test]
fn a_request_with_as_many_headers_as_there_can_be_is_sent_and_answered() {
    let _relay = relay();
    let full = || {
        let mut headers = HeaderMap::new();
        let mut names = (0..).map(|at| axum::http::HeaderName::try_from(format!("x-{at}")).unwrap());
        let one = axum::http::HeaderValue::from_static("1");
        while headers.try_append(names.next().unwrap(), one.clone()).is_ok() {}
        headers
    };
    let span = tracing::info_span!("own");
    span.in_scope(|| propagation::inject(&mut full()));
    let answer = move |_: Request| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = axum::http::StatusCode::NOT_FOUND;
        *response.headers_mut() = full();
        std::future::ready(Ok::<_, Infallible>(response))
    };
    let mut service = propagation::layer().error_bodies().layer(tower::service_fn(answer));
    let response = service.call(Request::default()).now_or_never().unwrap().unwrap();
    assert_eq!(response.status(), 404);
}

/// Random numbers from a fixed seed (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    fn pick<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    /// Returns a text after up to four changes. Every byte of the result is valid in a header.
    fn mutated(&mut self, seed: &str, seeds: &[String]) -> Vec<u8> {
        let mut text = seed.as_bytes().to_vec();
        // Half of the texts stay as they are.
        for _ in 0..self.below(10).saturating_sub(5) {
            let at = self.below(text.len() + 1);
            let end = at + self.below(text.len() - at + 1);
            match self.below(8) {
                0 => text.insert(at, *self.pick(b"0aF-=,;+% \t\xff\xe2")),
                1 => drop(text.drain(at..end)),
                2 => text.truncate(at),
                3 => text.extend(self.pick(seeds).bytes()),
                4 => text.extend_from_within(at..end),
                5 => text = text.repeat(self.below(60)),
                6 => text.make_ascii_uppercase(),
                _ => {
                    if let Some(byte) = text.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        text.retain(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
        text.truncate(20_000);
        text
    }
}

fn entries(lines: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    lines.iter().flat_map(|line| line.split(|byte| *byte == b','))
}

fn name_of(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// Each input is checked for what is true of every input: its trace is continued exactly if the header is valid, what
/// is sent on is bounded and never empty, a valid part survives whatever is around it, and the next service reads
/// what this one has sent.
#[test]
fn a_hundred_thousand_hostile_headers_are_bounded_and_cost_only_themselves() {
    let mut relay = relay();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let valid = traceparent("01");
    let parents =
        ["00", "01", "cc", "fe", "ff", "+0", "0"].map(|version| format!("{version}{}", &valid[2..]));
    let parents =
        [&parents[..], &[traceparent("00"), String::new(), format!("cc{}-what-is-next", &valid[2..])]]
            .concat();
    let states =
        ["a=1", "a=1,b=2", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "x@y=z", "", ",,", "A=1", "a=", "=1"];
    let states: Vec<_> =
        states.map(str::to_owned).into_iter().chain([format!("l={}", "v".repeat(250))]).collect();
    let bags = ["x=1", "x=7%0A8", "x=%FF", "x", "=", "y=a%20b;secret", "x=1,x=2", "company_id2=7", "%", ""];
    let bags: Vec<_> =
        bags.map(str::to_owned).into_iter().chain([format!("x={}", "%C3%A9".repeat(200))]).collect();

    let mut continued = 0;
    for round in 0..100_000 {
        let lines = |random: &mut Random, seeds: &[String], most: usize| -> Vec<Vec<u8>> {
            let some = 0..random.below(most + 1);
            some.map(|_| {
                let seed = random.pick(seeds).clone();
                random.mutated(&seed, seeds)
            })
            .collect()
        };
        // Mostly one, because several are never valid.
        let parents = if random.below(8) == 0 {
            lines(&mut random, &parents, 3)
        } else {
            vec![{
                let seed = random.pick(&parents).clone();
                random.mutated(&seed, &parents)
            }]
        };
        let (mut states, mut bags) = (lines(&mut random, &states, 3), lines(&mut random, &bags, 3));
        states.insert(0, format!("good={round}").into_bytes());
        // One entry of the baggage is valid, somewhere in a line.
        let good = format!("company_id=v%20{round},");
        let at = random.below(bags.len() + 1);
        bags.insert(at, good.into_bytes());
        if at + 1 < bags.len() && random.below(2) == 0 {
            let next = bags.remove(at + 1);
            bags[at].extend(next);
        }
        let named =
            |name, lines: &[Vec<u8>]| lines.iter().map(|line| (name, line.clone())).collect::<Headers>();
        let sent =
            [named("traceparent", &parents), named("tracestate", &states), named("baggage", &bags)].concat();
        let received = relay.relayed(&sent);
        let context = || {
            format!(
                "round {round}: {:?} became {received:?}",
                sent.iter().map(|(name, value)| (name, value.escape_ascii().to_string())).collect::<Vec<_>>()
            )
        };

        let is_continued = parents.len() == 1 && is_valid(&parents[0]);
        continued += usize::from(is_continued);
        let of_caller = parents.first().and_then(|line| line.get(3..35));
        assert_eq!(of_caller == Some(trace_in(&received).as_bytes()), is_continued, "{}", context());

        let state = received.get("tracestate").map(|state| state.as_bytes());
        if is_continued {
            let state = state.expect("one member is valid");
            assert!(state.starts_with(format!("good={round}").as_bytes()), "{}", context());
            assert!(state.len() <= 512 && state.split(|byte| *byte == b',').count() <= 32, "{}", context());
            let mut offered = entries(&states).map(<[u8]>::trim_ascii);
            let are_in_order =
                state.split(|byte| *byte == b',').all(|member| offered.any(|offer| offer == member));
            assert!(are_in_order, "{}", context());
        } else {
            assert_eq!(state, None, "{}", context());
        }

        let baggage = received.get("baggage").map(|baggage| baggage.as_bytes());
        // Each of two values has at most 256 bytes and a mark, and its encoding three bytes for each of them.
        assert!(baggage.is_none_or(|baggage| !baggage.is_empty() && baggage.len() < 2_000), "{}", context());
        let is_within_limits =
            bags.iter().map(Vec::len).sum::<usize>() <= 8192 && entries(&bags).count() <= 64;
        let is_alone =
            entries(&bags).filter(|entry| entry.contains(&b'=') && name_of(entry) == b"company_id").count()
                == 1;
        let good = format!("company_id=v%20{round}");
        let is_kept = baggage
            .is_some_and(|baggage| baggage.split(|byte| *byte == b',').any(|entry| entry == good.as_bytes()));
        assert_eq!(is_kept, is_within_limits && is_alone, "{}", context());

        // The next service reads what this one has sent.
        if round % 4 == 0 {
            let next = received.iter().filter(|(name, _)| *name != "x-trace-id");
            let is_cut = baggage.is_some_and(|baggage| String::from_utf8_lossy(baggage).contains("%20bytes"));
            let next: Headers = next
                .map(|(name, value)| {
                    let name = ["traceparent", "tracestate", "baggage"]
                        .into_iter()
                        .find(|known| name.as_str() == *known)
                        .expect("a known header");
                    (name, value.as_bytes().to_vec())
                })
                .collect();
            let received_next = relay.relayed(&next);
            assert_eq!(trace_in(&received_next), trace_in(&received), "{}", context());
            assert_eq!(received_next.get("tracestate"), received.get("tracestate"), "{}", context());
            assert!(is_cut || received_next.get("baggage") == received.get("baggage"), "{}", context());
        }
    }
    assert!((10_000..90_000).contains(&continued), "{continued} traces were continued");
}
