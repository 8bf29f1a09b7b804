//! The decision of the program's root sampler: whether a trace that begins here is exported. It also decides about a
//! trace that a caller without trust has left out. The sampler of the SDK itself does not belong here.

use std::env;
use std::fmt;
use std::sync::{Arc, LazyLock};

use opentelemetry::trace::TraceId;

use super::foreign;

/// Returns whether the root sampler keeps the trace with this id.
type Keeps = dyn Fn(TraceId) -> bool + Send + Sync;

/// The root sampler: one that the application has passed, or the one of the environment.
#[derive(Clone, Default)]
pub(super) struct RootSampler(Option<Arc<Keeps>>);

impl fmt::Debug for RootSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "RootSampler(of the application)" } else { "RootSampler" })
    }
}

impl RootSampler {
    pub(super) fn of(keeps: impl Fn(TraceId) -> bool + Send + Sync + 'static) -> RootSampler {
        RootSampler(Some(Arc::new(keeps)))
    }

    /// Returns whether the trace is kept. If the application's function panics, the trace is kept.
    pub(super) fn keeps(&self, trace: TraceId) -> bool {
        static CONFIGURED: LazyLock<Share> = LazyLock::new(|| Share::of(|name| env::var(name).ok()));
        let Some(keeps) = &self.0 else { return CONFIGURED.keeps(trace) };
        let instead = "the traces of its requests are kept";
        foreign::call("the function passed to `root_sampler`", instead, || keeps(trace)).unwrap_or(true)
    }
}

/// The share of traces that `OTEL_TRACES_SAMPLER` keeps, between 0 and 1.
struct Share(f64);

impl Share {
    /// Reads the variables as the SDK does. A value that is not valid means that every trace is kept.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Share {
        let sampler = variable("OTEL_TRACES_SAMPLER").unwrap_or_default().trim().to_ascii_lowercase();
        let share = || variable("OTEL_TRACES_SAMPLER_ARG")?.trim().parse().ok();
        Share(match sampler.strip_prefix("parentbased_").unwrap_or(&sampler) {
            "always_off" => 0.0,
            "traceidratio" => share().filter(|share| (0.0..=1.0).contains(share)).unwrap_or(1.0),
            _ => 1.0,
        })
    }

    /// Decides as the SDK's sampler `TraceIdRatioBased`, so that all services decide in the same way about a trace.
    fn keeps(&self, trace: TraceId) -> bool {
        const RANGE: f64 = (1_u64 << 63) as f64;
        let [.., a, b, c, d, e, f, g, h] = trace.to_bytes();
        let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        self.0 >= 1.0 || random < (self.0 * RANGE) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(sampler: &str, argument: &str) -> f64 {
        let value = |name: &str| if name.ends_with("ARG") { argument.to_owned() } else { sampler.to_owned() };
        Share::of(|name| Some(value(name)).filter(|value| !value.is_empty())).0
    }

    #[test]
    fn the_variables_of_the_specification_decide() {
        assert_eq!(share("", ""), 1.0);
        assert_eq!(share("always_off", ""), 0.0);
        assert_eq!(share(" ParentBased_Always_Off ", "1"), 0.0);
        assert_eq!(share("parentbased_traceidratio", " 0.25"), 0.25);
        for (sampler, argument) in
            [("traceidratio", ""), ("traceidratio", "7"), ("traceidratio", "NaN"), ("xray", "0")]
        {
            assert_eq!(share(sampler, argument), 1.0, "{sampler} {argument}");
        }
    }

    #[test]
    fn a_share_keeps_the_traces_that_the_sdk_keeps() {
        let trace = |low: u64| TraceId::from(u128::from(low) | 1 << 100);
        assert!(Share(0.5).keeps(trace(u64::MAX / 2)) && !Share(0.5).keeps(trace(u64::MAX / 2 + 2)));
        assert!(!Share(0.0).keeps(trace(0)) && Share(1.0).keeps(trace(u64::MAX)));
    }
}
