//! Errors whose chain of sources never ends, is very long, or panics. Every walk over a chain is bounded.

use std::error::Error;
use std::fmt;

use process_runtime::testing::Domain;
use process_runtime::{Install, Outcome, critical_process};
use process_tests::events::{Inbox, exception_texts};
use process_tests::isolated::isolated;
use process_tests::readings::Readings;

use super::Plain;

/// An error whose source is itself.
#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("endless")
    }
}

impl Error for Endless {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

#[critical_process(id = "endless", version = "1.0.0", sla = "10s")]
fn endless() -> Result<(), Endless> {
    Err(Endless)
}

#[critical_process(id = "around_endless", version = "1.0.0", sla = "10s")]
fn around_endless() -> Result<(), Endless> {
    endless()
}

/// Passes the endless error on in a box, and rejects an error that is not in the chain.
#[critical_process(id = "searching", version = "1.0.0", sla = "10s", rejects(as Plain: _))]
fn searching() -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(endless()?)
}

#[critical_process(id = "searching_report", version = "1.0.0", sla = "10s", rejects(as Plain: _))]
fn searching_report() -> anyhow::Result<()> {
    Ok(endless()?)
}

#[test]
fn an_endless_chain_is_one_event_with_at_most_32_exceptions() {
    let (inbox, _guard) = Inbox::bound();
    endless().unwrap_err();
    assert_eq!(exception_texts(&inbox.only_event()), vec!["endless"; 32]);
    // The outer process recognises the error of the inner one.
    around_endless().unwrap_err();
    assert_eq!(inbox.only_event().exception.len(), 32);
}

#[test]
fn a_rule_that_searches_an_endless_chain_ends() {
    let domain = Domain::new();
    domain.call(searching).unwrap_err();
    domain.call(searching_report).unwrap_err();
    for id in ["searching", "searching_report"] {
        let ended = domain.call(|| process_runtime::registry::stats(id)).unwrap().ended;
        assert_eq!(ended.count(Outcome::Failure), 1, "{id}");
    }
}

#[test]
fn a_chain_that_is_cut_is_counted() {
    isolated(|| {
        let readings = Readings::new();
        let installation = Install::new().meter_provider(readings.provider()).start();
        let cut = || {
            let collected = readings.collect();
            let points = &collected.instrument("critical_process.telemetry.dropped").points;
            let point = points.iter().find(|point| point.attributes["reason"] == "cut");
            point.map(|point| point.value)
        };
        assert_eq!(cut(), Some(0));
        searching().unwrap_err();
        assert!(cut() > Some(0));
        installation.stop();
    });
}

/// An error with this many sources.
#[derive(Debug)]
struct Link(Option<Box<Link>>, usize);

impl Link {
    fn chain(links: usize) -> Link {
        (1..links).fold(Link(None, 0), |inner, at| Link(Some(Box::new(inner)), at))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {} {}", self.1, "x".repeat(4096))
    }
}

impl Error for Link {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|link| link as _)
    }
}

#[critical_process(id = "linked", version = "1.0.0", sla = "10s")]
fn linked(links: usize) -> Result<(), Link> {
    Err(Link::chain(links))
}

#[test]
fn the_texts_of_a_chain_have_16_kib_together() {
    let (inbox, _guard) = Inbox::bound();
    linked(1000).unwrap_err();
    let event = inbox.only_event();
    let texts = exception_texts(&event);
    assert_eq!(texts.len(), 4);
    // The innermost exception comes first. The outermost error is whole, and the last one that fits is cut.
    assert!(texts[3].starts_with("link 999 x"), "{}", texts[3].len());
    assert!(texts[0].ends_with(" bytes]"), "{}", texts[0]);
    let all: usize = texts.iter().map(|text| text.len()).sum();
    assert!((16 << 10..(16 << 10) + 64).contains(&all), "{all}");
}

/// An error whose `source` panics.
#[derive(Debug)]
struct Fragile;

impl fmt::Display for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fragile")
    }
}

impl Error for Fragile {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        panic!("without a source")
    }
}

#[critical_process(id = "fragile", version = "1.0.0", sla = "10s", rejects(as Plain: _))]
fn fragile() -> Result<(), Fragile> {
    Err(Fragile)
}

#[test]
fn a_source_that_panics_ends_the_chain() {
    let (inbox, _guard) = Inbox::bound();
    fragile().unwrap_err();
    assert_eq!(exception_texts(&inbox.only_event()), ["fragile"]);
}

/// An error whose `Debug` form never ends.
struct Babbling;

impl fmt::Debug for Babbling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("Babbling")?;
        }
    }
}

impl fmt::Display for Babbling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("and on ")?;
        }
    }
}

impl Error for Babbling {}

#[critical_process(id = "babbling", version = "1.0.0", sla = "10s", error_text = everywhere)]
fn babbling() -> Result<(), Babbling> {
    Err(Babbling)
}

#[test]
fn an_endless_text_costs_its_limit() {
    let (inbox, _guard) = Inbox::bound();
    let (capture, _subscriber) = process_tests::capture::Capture::installed();
    babbling().unwrap_err();
    let event = inbox.only_event();
    assert!(event.exception[0].ty.len() < 300);
    let text = event.exception[0].value.clone().unwrap();
    assert!(text.len() < (8 << 10) + 64 && text.contains("…[+"), "{}", text.len());
    assert_eq!(capture.only("babbling").field("exception.message"), Some(&*text));
}

/// A type whose `as_ref` panics.
#[derive(Debug)]
struct Hollow;

impl AsRef<dyn Error + Send + Sync> for Hollow {
    fn as_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        panic!("nothing inside")
    }
}

#[critical_process(id = "hollow", version = "1.0.0", sla = "10s")]
fn hollow() -> Result<(), Hollow> {
    Err(Hollow)
}

#[test]
fn a_report_that_panics_is_a_failure_without_text() {
    let (inbox, _guard) = Inbox::bound();
    hollow().unwrap_err();
    let event = inbox.only_event();
    assert_eq!(event.exception[0].value, None);
    assert!(event.exception[0].ty.ends_with("Hollow"));
}

/// An error of 20,000 bytes, with as long a source.
#[derive(Debug)]
struct Wordy(Option<Box<Wordy>>);

impl fmt::Display for Wordy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&"x".repeat(20_000))
    }
}

impl Error for Wordy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

#[critical_process(id = "wordy_chain", version = "1.0.0", sla = "10s")]
fn wordy_chain() -> Result<(), Wordy> {
    Err(Wordy(Some(Box::new(Wordy(None)))))
}

#[test]
fn the_mark_of_each_error_has_the_number_of_bytes_that_are_missing() {
    let (inbox, _guard) = Inbox::bound();
    wordy_chain().unwrap_err();
    let event = inbox.only_event();
    let texts = exception_texts(&event);
    assert_eq!(texts.len(), 2);
    for text in texts {
        let kept = text.bytes().filter(|byte| *byte == b'x').count();
        assert_eq!(text, format!("{}…[+{} bytes]", "x".repeat(kept), 20_000 - kept));
    }
}
