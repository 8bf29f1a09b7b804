//! Cuts an event or a transaction to the limit of its serialised size. What is largest is cut first, and the event of a
//! failure is never given up: an event that cannot be cut enough is replaced by a reduced one. The limits of single
//! values belong to the code that adds the values.

use std::borrow::Cow;
use std::io;

use sentry::protocol::{Context, Envelope, EnvelopeItem, Event, Exception, Map, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::foreign::{limits, text};

/// The key in `extra` that marks an event that was cut.
const MARK: &str = "critical_process.cut";
/// The bytes that the mark needs.
const MARK_BYTES: usize = 128;
/// The steps in which a part of an event is cut: the maximum number of bytes of each text, and the maximum number of
/// entries of each list and map.
const STEPS: [(usize, usize); 9] = [
    (64 << 10, usize::MAX),
    (16 << 10, usize::MAX),
    (4 << 10, usize::MAX),
    (1 << 10, usize::MAX),
    (256, 1024),
    (256, 256),
    (256, 64),
    (256, 32),
    (64, 32),
];
/// The maximum number of bytes of each text in a reduced event.
const REDUCED: usize = 256;
/// The maximum number of errors and of tags in a reduced event.
const REDUCED_ENTRIES: usize = 8;

/// Returns whether an envelope contains an event or a transaction that is larger than the limit.
pub(super) fn is_too_large(envelope: &Envelope) -> bool {
    envelope.items().any(|item| {
        let size = match item {
            EnvelopeItem::Event(event) => size(event),
            EnvelopeItem::Transaction(transaction) => size(transaction),
            _ => 0,
        };
        size > limits::sentry_event()
    })
}

/// Returns the envelope with its events and transactions cut to the limit.
pub(super) fn fitted(envelope: Envelope) -> Envelope {
    let limit = limits::sentry_event();
    let mut whole = Envelope::new().with_headers(envelope.headers().clone());
    for item in envelope.into_items() {
        whole.add_item(match item {
            EnvelopeItem::Event(event) => EnvelopeItem::from(cut(*event, limit, reduced)),
            EnvelopeItem::Transaction(transaction) => {
                EnvelopeItem::from(cut(*transaction, limit, reduced_transaction))
            }
            other => other,
        });
    }
    whole
}

/// An event or a transaction.
trait Item: Serialize + DeserializeOwned {
    const NAME: &str;

    fn extra(&mut self) -> &mut Map<String, Value>;
}

impl Item for Event<'static> {
    const NAME: &str = "event";

    fn extra(&mut self) -> &mut Map<String, Value> {
        &mut self.extra
    }
}

impl Item for Transaction<'static> {
    const NAME: &str = "transaction";

    fn extra(&mut self) -> &mut Map<String, Value> {
        &mut self.extra
    }
}

/// Returns the item with at most `limit` bytes. `reduced` returns a smaller one if it cannot be cut enough.
fn cut<T: Item>(item: T, limit: usize, reduced: impl FnOnce(T) -> T) -> T {
    let bytes = size(&item);
    if bytes <= limit {
        return item;
    }
    text::count_cut();
    let shortened = serde_json::to_value(&item).ok().and_then(|json| shortened(json, limit));
    let mut item = shortened.unwrap_or_else(|| reduced(item));
    let mark = format!("the {} is cut from {bytes} to {limit} bytes", T::NAME);
    item.extra().insert(MARK.to_owned(), mark.into());
    item
}

/// Cuts the largest part of an item until the whole item fits. Returns `None` if this is not possible.
fn shortened<T: Item>(mut item: Value, limit: usize) -> Option<T> {
    let parts = item.as_object_mut()?;
    let mut sizes: Vec<_> = parts.iter().map(|(name, part)| (name.clone(), size(part), 0)).collect();
    let names: usize = sizes.iter().map(|(name, ..)| name.len() + 4).sum();
    while sizes.iter().map(|(_, size, _)| size).sum::<usize>() + names + MARK_BYTES > limit {
        let (name, bytes, step) = sizes.iter_mut().max_by_key(|(_, size, _)| *size)?;
        let (text, entries) = STEPS.get(*step)?;
        *step += 1;
        let part = parts.get_mut(name)?;
        shorten(part, *text, *entries);
        *bytes = size(part);
    }
    serde_json::from_value(item).ok()
}

/// Cuts each text that is longer than `most` bytes, and removes entries of each list and map that has more than
/// `entries`: the first ones of a list, because the last ones are the newest, and the largest ones of a map, except for
/// those of the toolkit.
fn shorten(value: &mut Value, most: usize, entries: usize) {
    match value {
        Value::String(text) if text.len() > most => *text = text::cut_again(text, most).into_owned(),
        Value::Array(values) => {
            if values.len() > entries {
                values.drain(..values.len() - entries);
            }
            values.iter_mut().for_each(|value| shorten(value, most, entries));
        }
        Value::Object(values) => {
            if values.len() > entries {
                let rank = |(name, value): (&String, &Value)| {
                    (!is_of_toolkit(name), name.len() + size(value), name.clone())
                };
                let mut ranks: Vec<_> = values.iter().map(rank).collect();
                ranks.sort();
                ranks.drain(..entries);
                ranks.iter().for_each(|(.., name)| drop(values.remove(name)));
            }
            let long: Vec<_> = values.keys().filter(|name| name.len() > most).cloned().collect();
            for name in long {
                if let Some(value) = values.remove(&name) {
                    values.insert(text::cut_again(&name, most).into_owned(), value);
                }
            }
            values.values_mut().for_each(|value| shorten(value, most, entries));
        }
        _ => {}
    }
}

/// Returns whether a tag or a context is one that the toolkit adds to identify the failure.
fn is_of_toolkit(name: &str) -> bool {
    ["trace", "process", "process_id", "process_version", "process_outcome"].contains(&name)
}

/// Returns a transaction with only what identifies it and its trace.
fn reduced_transaction(transaction: Transaction<'static>) -> Transaction<'static> {
    let cut = |text: &str| text::cut_again(text, REDUCED).into_owned();
    let optional = |text: Option<Cow<'static, str>>| text.map(|text| cut(&text).into());
    let is_trace = |(_, context): &(String, Context)| matches!(context, Context::Trace(_));
    let is_short = |(_, context): &(String, Context)| size(context) <= 4 * REDUCED;
    Transaction {
        event_id: transaction.event_id,
        name: transaction.name.as_deref().map(cut),
        start_timestamp: transaction.start_timestamp,
        timestamp: transaction.timestamp,
        release: optional(transaction.release),
        environment: optional(transaction.environment),
        server_name: optional(transaction.server_name),
        contexts: transaction.contexts.into_iter().filter(is_trace).filter(is_short).collect(),
        ..Transaction::default()
    }
}

/// Returns an event with only what identifies the failure.
fn reduced(event: Event<'static>) -> Event<'static> {
    let cut = |text: &str| text::cut_again(text, REDUCED).into_owned();
    let optional = |text: Option<Cow<'static, str>>| text.map(|text| cut(&text).into());
    let kept = event.exception.values.len().saturating_sub(REDUCED_ENTRIES);
    let exceptions = event.exception.values.into_iter().skip(kept).map(|exception| Exception {
        ty: cut(&exception.ty),
        value: exception.value.as_deref().map(cut),
        ..Exception::default()
    });
    let mut tags: Vec<_> = event.tags.into_iter().collect();
    tags.sort_by_key(|(name, value)| (!is_of_toolkit(name), name.len() + value.len()));
    let tags = tags.iter().take(REDUCED_ENTRIES).map(|(name, value)| (cut(name), cut(value)));
    let is_trace = |(_, context): &(String, Context)| matches!(context, Context::Trace(_));
    let is_short = |(_, context): &(String, Context)| size(context) <= 4 * REDUCED;
    let fingerprint = event.fingerprint.iter().take(REDUCED_ENTRIES).map(|part| cut(part).into()).collect();
    Event {
        event_id: event.event_id,
        level: event.level,
        timestamp: event.timestamp,
        fingerprint,
        message: event.message.as_deref().map(cut),
        transaction: event.transaction.as_deref().map(cut),
        release: optional(event.release),
        environment: optional(event.environment),
        server_name: optional(event.server_name),
        exception: exceptions.collect::<Vec<_>>().into(),
        tags: tags.collect::<Map<_, _>>(),
        contexts: event.contexts.into_iter().filter(is_trace).filter(is_short).collect(),
        ..Event::default()
    }
}

/// Returns the number of bytes of a value as JSON.
fn size(value: &impl Serialize) -> usize {
    let mut size = Size(0);
    serde_json::to_writer(&mut size, value).map_or(usize::MAX, |()| size.0)
}

/// A writer that only counts.
pub(super) struct Size(pub(super) usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sentry::protocol::{Breadcrumb, Span, Values};

    use super::*;

    fn failure() -> Event<'static> {
        let exception =
            Exception { ty: "Refused".into(), value: Some("no card".into()), ..Exception::default() };
        let tags = [("process_id".to_owned(), "pay".to_owned())];
        Event { exception: vec![exception].into(), tags: tags.into_iter().collect(), ..Event::default() }
    }

    fn is_the_failure(event: &Event<'_>) -> bool {
        event.exception[0].ty == "Refused" && event.tags["process_id"] == "pay"
    }

    #[test]
    fn an_event_that_fits_stays_as_it_is() {
        let event = failure();
        assert_eq!(cut(event.clone(), 4 << 10, reduced), event);
    }

    #[test]
    fn whatever_is_large_is_cut_and_the_failure_stays() {
        const LIMIT: usize = 16 << 10;
        let text = || "\u{1}é".repeat(100_000);
        let mut events = vec![failure(); 9];
        events[0].exception.values[0].value = Some(text());
        events[1].message = Some(text());
        events[2].extra.insert(text(), 1.into());
        events[3].extra.insert("list".into(), vec![1; 200_000].into());
        events[4].extra.extend((0..50_000).map(|number| (format!("key {number}"), number.into())));
        events[5].tags.extend((0..50_000).map(|number| (number.to_string(), String::new())));
        events[6].breadcrumbs = Values::from(vec![Breadcrumb::default(); 5_000]);
        events[7].contexts.insert("own".into(), Context::Other([("text".into(), text().into())].into()));
        events[8].fingerprint = (0..50_000).map(|number| number.to_string().into()).collect();
        for (at, event) in events.into_iter().enumerate() {
            let id = event.event_id;
            let cut = cut(event, LIMIT, reduced);
            assert!(size(&cut) <= LIMIT, "{at}: {}", size(&cut));
            assert!(is_the_failure(&cut) && cut.event_id == id, "{at}: {cut:?}");
            assert!(cut.extra[MARK].as_str().expect("a text").ends_with("to 16384 bytes"), "{at}: {cut:?}");
        }
    }

    #[test]
    fn an_event_that_cannot_be_cut_enough_is_reduced() {
        let mut event = failure();
        let entries = || [("x".repeat(60), "x".repeat(60).into())].into();
        event.contexts = (0..200).map(|number| (number.to_string(), Context::Other(entries()))).collect();
        event.extra = (0..200).map(|number| (number.to_string(), "x".repeat(60).into())).collect();
        event.modules = (0..200).map(|number| (number.to_string(), "x".repeat(60))).collect();
        let cut = cut(event, 2 << 10, reduced);
        assert!(is_the_failure(&cut) && cut.extra.len() == 1 && cut.modules.is_empty(), "{cut:?}");
        assert!(size(&cut) <= 2 << 10, "{}", size(&cut));
    }

    #[test]
    fn a_transaction_is_cut_too() {
        let text = || "x".repeat(5 << 20);
        let transaction = |spans: usize, data: &str| {
            let span = Span { data: [("statement".to_owned(), data.into())].into(), ..Span::default() };
            Transaction { name: Some("pay".into()), spans: vec![span; spans], ..Transaction::default() }
        };
        for large in
            [transaction(1, &text()), transaction(50_000, "select"), transaction(1000, &text()[..9999])]
        {
            let id = large.event_id;
            let cut = cut(large, 64 << 10, reduced_transaction);
            assert!(size(&cut) <= 64 << 10, "{}", size(&cut));
            assert_eq!((cut.event_id, cut.name.as_deref()), (id, Some("pay")));
            assert!(!cut.spans.is_empty() && cut.extra.contains_key(MARK));
        }
        let name = Some(text());
        let tags = (0..50_000).map(|number| (number.to_string(), String::new())).collect();
        let cut = cut(Transaction { name, tags, ..transaction(9, "") }, 4 << 10, reduced_transaction);
        assert!(size(&cut) <= 4 << 10, "{}", size(&cut));
    }
}
