//! `record!`: context that is known only inside of the run.

/// Records context that the attribute declared with `later(…)`, in the body of that function, closures
/// and async blocks included; elsewhere it does not compile. It is for the function's innermost run on this thread: in
/// a task or thread that the body spawns it compiles and is dropped, unless a [`Carrier`](crate::Carrier) of the
/// run is around it.
///
/// The value may be a number, a Boolean, a text or anything with `Display`; `%` asks for `Display` and `?` for
/// `Debug`. It is evaluated only where some sink wants it. An undeclared name does not compile. Of a name that is
/// recorded again the last value is the run's; an exporter of spans may send all of them.
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
        KeysDeclaredWithLater::$name.record(|| $crate::__private::record_value!($crate = %$value));
        $($crate::record!($($rest)*);)?
    }};
    ($name:ident = ?$value:expr $(, $($rest:tt)*)?) => {{
        KeysDeclaredWithLater::$name.record(|| $crate::__private::record_value!($crate = ?$value));
        $($crate::record!($($rest)*);)?
    }};
    ($name:ident = $value:expr $(, $($rest:tt)*)?) => {{
        KeysDeclaredWithLater::$name.record(|| $crate::__private::record_value!($crate = $value));
        $($crate::record!($($rest)*);)?
    }};
    () => {};
}
