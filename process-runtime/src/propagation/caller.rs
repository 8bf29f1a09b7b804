//! Decides what the trace of a caller means here: the parent of the request's span, or only a link. Which peers are
//! trusted belongs to `peers`, the format of the headers to `trace` and `w3c`.

use http::{Extensions, HeaderMap};
use opentelemetry::trace::SpanContext;

use super::peers::Peers;
use super::sampler::RootSampler;
use super::trace;

/// The trace that a caller has sent.
#[derive(Debug)]
pub(super) enum Caller {
    /// The caller has sent none.
    Untraced,
    /// The request continues the trace.
    Parent(SpanContext),
    /// The request starts a new trace, which links to this one.
    Linked(SpanContext),
}

/// Whose traces this service continues.
#[derive(Clone, Debug, Default)]
pub(super) struct Callers {
    /// Whether anybody can call this service.
    pub(super) is_public: bool,
    pub(super) trusted: Peers,
    pub(super) root_sampler: RootSampler,
}

impl Callers {
    /// Returns the trace of the caller of a request.
    pub(super) fn caller(&self, headers: &HeaderMap, extensions: &Extensions) -> Caller {
        let sent = trace::extract(headers);
        if !sent.is_valid() {
            return Caller::Untraced;
        }
        if self.trusted.trusts(extensions) {
            return Caller::Parent(sent);
        }
        if self.is_public {
            return Caller::Linked(sent);
        }
        // Samplers obey the caller's flag. Anybody could therefore hide a failure with a flag that is not set.
        let is_sampled = sent.is_sampled() || self.root_sampler.keeps(sent.trace_id());
        let flags = sent.trace_flags().with_sampled(is_sampled);
        let state = sent.trace_state().clone();
        Caller::Parent(SpanContext::new(sent.trace_id(), sent.span_id(), flags, true, state))
    }
}
