//! Limits the bytes of a span before it waits for an exporter. The texts of a span may come from any library, and some
//! libraries record what a client sends, of any length. Log records and the context of runs have limits of their own.

use std::borrow::Cow;

use opentelemetry::trace::{Event, SpanContext, Status, TraceState};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::base::foreign::{limits, text};

/// The maximum number of bytes of a span's texts and lists together, or [`VALUES`] times the limit of a value if that
/// is more.
const SPAN: usize = 64 << 10;
const VALUES: usize = 64;
/// The beginnings of the keys of the toolkit's own attributes, and the minimum of the limit for them.
const OWN: [&str; 2] = ["critical_process.", "code."];
const OWN_VALUE: usize = 1 << 10;
/// A text of this many bytes is not cut to bring the whole span below its limit.
const LEAST: usize = 64;
/// The number of bytes that a value counts which is not a text, such as a number in a list.
const NUMBER: usize = 16;
/// The maximum number of bytes of a `tracestate`
/// ([W3C](https://www.w3.org/TR/trace-context/#tracestate-limits)).
const TRACE_STATE: usize = 512;

/// The maximum number of bytes of each kind of text.
#[derive(Clone, Copy)]
struct Lengths {
    /// A name, and a value or a list of an attribute.
    value: usize,
    /// A text about an error: the description of the status, an attribute `exception.*`, and the name of an event,
    /// which is the message of a logged event.
    error: usize,
    key: usize,
    /// All texts and lists together.
    span: usize,
}

/// Brings a span within its limits. `longest` is the maximum number of characters of a text attribute, if the
/// environment configures one.
pub(in crate::telemetry) fn limit(span: &mut SpanData, longest: Option<usize>) {
    if let Some(longest) = longest {
        attributes(span).for_each(|attribute| truncate(&mut attribute.value, longest));
    }
    let lengths = Lengths {
        value: limits::context_value(),
        error: limits::error_text(),
        key: limits::header_text(),
        span: SPAN.max(limits::context_value().saturating_mul(VALUES)),
    };
    if !lengths.admit(span) {
        lengths.cut(span);
    }
    limit_trace_state(span);
}

/// Returns the attributes of a span, its events and its links.
fn attributes(span: &mut SpanData) -> impl Iterator<Item = &mut KeyValue> {
    let events = span.events.events.iter_mut().flat_map(|event| &mut event.attributes);
    let links = span.links.links.iter_mut().flat_map(|link| &mut link.attributes);
    span.attributes.iter_mut().chain(events).chain(links)
}

/// Truncates a text to `longest` characters.
fn truncate(value: &mut Value, longest: usize) {
    let truncate = |text: &mut StringValue| {
        if let Some((end, _)) = text.as_str().char_indices().nth(longest) {
            *text = text.as_str()[..end].to_owned().into();
        }
    };
    match value {
        Value::String(text) => truncate(text),
        Value::Array(Array::String(texts)) => texts.iter_mut().for_each(truncate),
        _ => {}
    }
}

impl Lengths {
    /// Returns whether a span is within the limits. This is the only work for almost every span.
    fn admit(self, span: &SpanData) -> bool {
        let status = description(&span.status).len();
        let fits = |attributes: &[KeyValue]| {
            attributes.iter().all(|attribute| {
                attribute.key.as_str().len() <= self.key && bytes(&attribute.value) <= self.of(&attribute.key)
            })
        };
        span.name.len() <= self.own()
            && status <= self.error
            && fits(&span.attributes)
            && span.events.iter().all(|event| event.name.len() <= self.error && fits(&event.attributes))
            && span.links.iter().all(|link| fits(&link.attributes))
            && total(span) <= self.span
    }

    /// Returns the limit of the value of an attribute.
    fn of(self, key: &Key) -> usize {
        match key.as_str() {
            key if key.starts_with("exception.") => self.error,
            "error.type" => self.own(),
            key if OWN.iter().any(|own| key.starts_with(own)) => self.own(),
            _ => self.value,
        }
    }

    /// Returns the limit of names and of the toolkit's own attributes. A short limit for context does not cut them,
    /// because they identify the process.
    fn own(self) -> usize {
        self.value.max(OWN_VALUE)
    }

    /// Cuts every text and list to its limit. If they are too long together, the limits are halved until they are not.
    /// If even this is not enough, the oldest events are removed, and then links and attributes.
    fn cut(mut self, span: &mut SpanData) {
        self.cut_each(span);
        while total(span) > self.span && self.error > LEAST {
            let half = |limit: usize| limit.min((self.error / 2).max(LEAST));
            self = Lengths { value: half(self.value), error: half(self.error), key: half(self.key), ..self };
            self.cut_each(span);
        }
        let mut excess = total(span).saturating_sub(self.span);
        let mut remove = |bytes: usize| {
            let is_needed = excess > 0;
            excess = excess.saturating_sub(bytes);
            is_needed
        };
        let events = span.events.iter().take_while(|event| remove(of_event(event))).count();
        span.events.events.drain(..events);
        span.events.dropped_count += events as u32;
        let links = span.links.iter().take_while(|link| remove(of_attributes(&link.attributes))).count();
        span.links.links.drain(..links);
        span.links.dropped_count += links as u32;
        let kept =
            span.attributes.iter().rev().skip_while(|attribute| remove(of_attribute(attribute))).count();
        span.dropped_attributes_count += (span.attributes.len() - kept) as u32;
        span.attributes.truncate(kept);
    }

    fn cut_each(self, span: &mut SpanData) {
        cut_name(&mut span.name, self.own());
        if let Status::Error { description } = &mut span.status {
            cut_name(description, self.error);
        }
        span.events.events.iter_mut().for_each(|event| cut_name(&mut event.name, self.error));
        for attribute in attributes(span) {
            if attribute.key.as_str().len() > self.key {
                attribute.key = text::cut_again(attribute.key.as_str(), self.key).into_owned().into();
            }
            cut_value(&mut attribute.value, self.of(&attribute.key));
        }
    }
}

fn cut_name(name: &mut Cow<'static, str>, limit: usize) {
    if name.len() > limit {
        *name = text::cut_again(name, limit).into_owned().into();
    }
}

fn cut_value(value: &mut Value, limit: usize) {
    let is_longer = bytes(value) > limit;
    match value {
        Value::String(text) if is_longer => *text = text::cut_again(text.as_str(), limit).into_owned().into(),
        Value::Array(array) if is_longer => {
            text::count_cut();
            match array {
                Array::Bool(values) => values.truncate(limit / NUMBER),
                Array::I64(values) => values.truncate(limit / NUMBER),
                Array::F64(values) => values.truncate(limit / NUMBER),
                Array::String(texts) => cut_texts(texts, limit),
                _ => {}
            }
        }
        _ => {}
    }
}

/// Cuts a list of texts to those that fit. The first text that does not fit is cut.
fn cut_texts(texts: &mut Vec<StringValue>, limit: usize) {
    let mut room = limit;
    let fitting = texts.iter().take_while(|text| {
        let fits = NUMBER + text.as_str().len() <= room;
        room = room.saturating_sub(NUMBER + text.as_str().len());
        fits
    });
    let fitting = fitting.count();
    let room = limit - texts[..fitting].iter().map(|text| NUMBER + text.as_str().len()).sum::<usize>();
    texts.truncate(fitting + 1);
    if let Some(last) = texts.get_mut(fitting) {
        *last = text::cut_again(last.as_str(), room.saturating_sub(NUMBER)).into_owned().into();
    }
}

/// Removes the `tracestate` of a span if it is too long. A part of it could not be read back.
fn limit_trace_state(span: &mut SpanData) {
    let context = &span.span_context;
    if *context.trace_state() != TraceState::NONE && context.trace_state().header().len() > TRACE_STATE {
        text::count_cut();
        span.span_context = SpanContext::new(
            context.trace_id(),
            context.span_id(),
            context.trace_flags(),
            context.is_remote(),
            TraceState::NONE,
        );
    }
}

/// Returns the number of bytes of a span's texts and lists.
fn total(span: &SpanData) -> usize {
    span.name.len()
        + description(&span.status).len()
        + of_attributes(&span.attributes)
        + span.events.iter().map(of_event).sum::<usize>()
        + span.links.iter().map(|link| of_attributes(&link.attributes)).sum::<usize>()
}

fn description(status: &Status) -> &str {
    if let Status::Error { description } = status { description } else { "" }
}

fn of_event(event: &Event) -> usize {
    event.name.len() + of_attributes(&event.attributes)
}

fn of_attributes(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(of_attribute).sum()
}

fn of_attribute(attribute: &KeyValue) -> usize {
    attribute.key.as_str().len() + bytes(&attribute.value)
}

/// Returns the number of bytes of a value.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_str().len(),
        Value::Array(Array::String(texts)) => texts.iter().map(|text| NUMBER + text.as_str().len()).sum(),
        Value::Array(Array::Bool(values)) => NUMBER * values.len(),
        Value::Array(Array::I64(values)) => NUMBER * values.len(),
        Value::Array(Array::F64(values)) => NUMBER * values.len(),
        _ => NUMBER,
    }
}
