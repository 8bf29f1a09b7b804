//! `record!`, for context that is known only inside the run. Context at entry does not belong here (`entry_context`).

/// Records the value of a context key that the attribute declares with `later(…)`.
///
/// Use it in the body of the annotated function, including closures and async blocks in that body. Elsewhere, or with
/// an undeclared key, it does not compile. The value is added to the innermost run of the function on this thread. In
/// a task or thread that the body spawns, the value is discarded unless the task or thread runs in a
/// [`Carrier`](crate::Carrier) of the run.
///
/// The value is a number, a Boolean, a text or any type with `Display`. A `%` before the value forces `Display`, and
/// a `?` forces `Debug`. The expression is evaluated only if the span, Sentry or a sink receives the run. If a key is
/// recorded again, the last value counts, but a span exporter may send all values.
///
/// ```
/// use process_runtime::{critical_process, record};
///
/// #[critical_process(id = "rank_models", version = "1.0.0", sla = "45s", context(later(model_count)))]
/// fn rank(models: &[&str]) {
///     record!(model_count = models.len());
/// }
/// rank(&["a", "b"]);
/// ```
///
/// ```compile_fail
/// # use process_runtime::{critical_process, record};
/// #[critical_process(id = "rank_models", version = "1.0.0", sla = "45s", context(later(model_count)))]
/// fn rank(models: &[&str]) {
///     record!(modelcount = models.len());
/// }
/// ```
#[macro_export]
macro_rules! record {
    ($name:ident = %$value:expr $(, $($rest:tt)*)?) => {{
        KeysDeclaredWithLaterOnThisFunction::$name.record(|| $crate::__private::record_value!($crate = %$value));
        $($crate::record!($($rest)*);)?
    }};
    ($name:ident = ?$value:expr $(, $($rest:tt)*)?) => {{
        KeysDeclaredWithLaterOnThisFunction::$name.record(|| $crate::__private::record_value!($crate = ?$value));
        $($crate::record!($($rest)*);)?
    }};
    ($name:ident = $value:expr $(, $($rest:tt)*)?) => {{
        KeysDeclaredWithLaterOnThisFunction::$name.record(|| $crate::__private::record_value!($crate = $value));
        $($crate::record!($($rest)*);)?
    }};
    () => {};
    ($($other:tt)+) => {
        compile_error!("expected `name = value`, with commas between the values, as in `record!(size = 3, is_new = true)`")
    };
}
