//! The attributes of `process-runtime`: [`macro@critical_process`], [`macro@stage`], [`macro@contract`],
//! [`macro@health_check`] and [`macro@dependency_check`].
//!
//! Depend on `process-runtime`, which re-exports them. This crate has no behaviour of its own: an expansion is data
//! and calls into the runtime.
//!
//! Each step from an attribute to its expansion has a file and a type: tokens → `slot` → `args` → `analyse` →
//! `model` → `expand`. Every step up to `analyse` can report mistakes; `expand` cannot fail. One compilation
//! reports all mistakes in an attribute, and the function itself is always emitted.

mod analyse;
mod args;
mod context;
mod entries;
mod errors;
mod expand;
mod function;
mod keys;
mod model;
mod pattern;
mod returns;
mod slot;
mod tail;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod words;
mod wrapper;

use quote::quote;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Path, Token};

use crate::errors::Errors;
use crate::keys::AttributeKind;

/// Turns a function into a critical process. Each call becomes a run. A run is timed against an SLA, its outcome is
/// decided from the return value, and it is reported with its business context.
///
/// ```
/// use process_runtime::{critical_process, record};
/// # struct Order { items: Vec<u64> }
/// # struct Receipt { cents: u64, provisional: bool }
/// # #[derive(Debug, PartialEq)]
/// # enum OrderError { Empty }
/// # impl std::fmt::Display for OrderError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("empty order") }
/// # }
/// # impl std::error::Error for OrderError {}
/// # impl Receipt { fn is_provisional(&self) -> bool { self.provisional } }
/// # async fn charge(_: u64, items: &[u64]) -> Result<Receipt, OrderError> {
/// #     Ok(Receipt { cents: items.iter().sum(), provisional: false })
/// # }
///
/// /// Charges the customer and reserves the ordered items.
/// #[critical_process(
///     id = "place_order",
///     version = "2.1.0",
///     sla = "30s",
///     criticality = critical,
///     owner = "checkout",
///     context(customer_id, items = order.items.len(), inherit(session_id), later(cents)),
///     rejects(OrderError::Empty),
///     degraded = Receipt::is_provisional,
/// )]
/// async fn place_order(customer_id: u64, order: &Order) -> Result<Receipt, OrderError> {
///     if order.items.is_empty() {
///         return Err(OrderError::Empty);
///     }
///     let receipt = charge(customer_id, &order.items).await?;
///     record!(cents = receipt.cents);
///     Ok(receipt)
/// }
/// # let order = Order { items: Vec::new() };
/// # let rejected = std::pin::pin!(place_order(7, &order));
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # let rejected = rejected.poll(&mut context).map(|returned| returned.err());
/// # assert_eq!(rejected, std::task::Poll::Ready(Some(OrderError::Empty)));
/// # let stats = process_runtime::registry::stats("place_order").unwrap();
/// # assert_eq!(stats.started, 1);
/// ```
///
/// The doc comment of the function is the description of the process. The attribute, the doc comment and the
/// signature are written into the binary, and anyone who has the binary can read them.
///
/// # Keys
///
/// `id`, `version` and `sla` are required. Texts and numbers must be literals, because they are written into the
/// binary at compile time.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `id = "…"` | id of the process, unique in the program | |
/// | `version = "…"` | semantic version of the process | |
/// | `sla = "…"` | the longest time that a good run may take | |
/// | `name = "…"` | display name | from the id |
/// | `criticality = word` | `critical`, `high`, `medium` or `low` | `high` |
/// | `owner = "…"` | the team to call | |
/// | `runbook = "…"` | path or URL of the runbook | |
/// | `objective = number` | percentage of runs that must be good | `99.9` |
/// | `context(…)` | values to record in each run; see [Context](#context) | |
/// | `rejects(patterns)` | errors that are the caller's mistake and do not count against the objective | |
/// | `fails(patterns)` | return values that are failures although they are not an `Err` | |
/// | `degraded = path` | `fn(&T) -> bool`: whether a success is degraded, for example the result of a fallback | |
/// | `outcome = path` | `fn(&R) -> Verdict`: classifies the return value, instead of the three keys above | by type |
/// | `error_type = path` | `fn(&E) -> &'static str`: the `error.type` of an error | name of the type |
/// | `error_text = word` | destination of error texts: `sentry`, `everywhere` or `never` | `sentry` |
/// | `depends_on("…", …)` | ids of the dependencies of the process; a dependency can be another process | |
/// | `cancelled = bad` | counts every cancelled run against the objective | only late cancelled runs |
/// | `handler = "Type::method"` | path of a method with its type, which the attribute cannot see | function name |
/// | `crate = path` | path of `process-runtime` if it is renamed or re-exported | `::process_runtime` |
///
/// * An id matches `[a-z][a-z0-9_]*` and has at most 64 bytes. It appears on every signal of the process.
/// * An SLA is one whole number and `ms`, `s`, `m` or `h`, for example `"1500ms"`. It is more than zero and at most a
///   year.
/// * An objective is between 0 and 100, both excluded, with at most six decimals.
/// * In the signatures above, `R` is the return type. `T` and `E` are the value and the error of a `Result`; if the
///   function does not return a `Result`, `T` is `R`.
/// * `error_type` must return few different names. Sentry groups errors by these names, so each name becomes a
///   separate issue.
/// * A return value that matches `fails` has the `error.type` `_OTHER`.
/// * Whether the dependencies in `depends_on` exist is not checked.
///
/// # Context
///
/// Context values are evaluated before the body runs, and only if the span, Sentry or a sink receives the run. The name
/// of a value has the form of an id.
///
/// | entry | recorded value |
/// |---|---|
/// | `name` | the argument with this name, or a name in an argument's pattern, such as `s` in `State(s)` |
/// | `name = expression` | the expression, which can use the arguments and `self` |
/// | `%name`, `name = %expression` | the `Display` form of the value |
/// | `?name`, `name = ?expression` | the `Debug` form of the value |
/// | `inherit(name, …)` | none: declares that an outer run or scope records these names |
/// | `later(name, …)` | the value of `record!(name = value)` in the body |
///
/// If the body also needs a value, an expression must borrow it, for example `truncate(&name, 10)` for an owned
/// `name`. An expression cannot contain `.await`, `?` or `return`. It can call `truncate(x, n)`, `mask(x)` and
/// `hash(x)` without an import. `hash` uses the key in the environment variable `CRITICAL_PROCESS_HASH_KEY`. If the
/// variable is not set, `hash` records `[unkeyed]`.
///
/// Every run inherits the values that outer runs and scopes recorded. The inherited values appear on the span and the
/// events of the run under the same names. `inherit` adds no value: it documents the name in the registry and
/// reserves a field for the value on the span.
///
/// # Outcomes
///
/// The type of the return value decides the outcome, even if the signature contains an alias of the type. `Ok` is a
/// success, `Err` is a failure, and a value of any other type is a success. For example, `Some(Err(…))`, a `Vec` of
/// results and `ExitCode::FAILURE` are successes. The keys `fails`, `rejects`, `degraded` and `outcome` make
/// exceptions.
///
/// With feature `axum`, the HTTP status of a returned response decides the outcome. An error that becomes a response
/// only after the function has returned has no status yet: in `Result<_, AppError>` it is a failure unless `rejects`
/// matches it.
///
/// `outcome` is required if the return type is a generic parameter of the function or an associated type. The
/// attribute cannot see the parameters of the `impl` around a method. If a method returns such a parameter without
/// `outcome`, every return value is a success.
///
/// ## Patterns
///
/// `rejects` matches a reference to the error, and `fails` matches a reference to the return value. Patterns can use
/// `|` and `if` guards, as in a `match`. A bare name or `_` is a compile error, because it matches every value. To
/// the compiler, a misspelt variant is such a bare name. A name with a guard is allowed, for example
/// `error if error.is_timeout()`.
///
/// `rejects(as AuthError: pattern)` searches the chain of an `anyhow` or boxed error for an error of type
/// `AuthError`; here `_` is allowed as the pattern. Without `as`, the pattern must have the type of the returned
/// error itself: `rejects(AuthError::Expired)` on an `anyhow::Result` does not compile.
///
/// # Functions
///
/// The attribute works on free functions, methods with any receiver, trait methods with a body and `async-trait`
/// methods. They can be `async`, generic, `unsafe` and `extern`.
///
/// The run of a plain function begins when the function is called. The run of an `async fn` begins when its future is
/// first polled. If a plain function returns `impl Future` or a boxed future, the run is that future: the context is
/// taken at the call, and the run begins at the first poll.
///
/// The attribute does not change the body: types, borrows, the drop order of arguments and whether the future is
/// `Send` stay the same. There are two exceptions. Arguments that the body does not use, including `_`, are dropped
/// last, after the run; an argument with a name such as `_guard` keeps its place in the order. The body of a plain
/// function with `#[track_caller]` does not see the caller's location, because the generated code is the caller of
/// the body.
///
/// Attributes that are written above this one work inside the run: a `#[tracing::instrument]` above opens its span
/// within the run. If this attribute is below `#[tokio::main]`, the run contains the whole runtime; if it is above,
/// the run is the async body. Do not use the attribute on a `main` that installs the subscriber, because the run
/// would begin before the subscriber exists.
///
/// # Limits
///
/// The following are compile errors. Their messages suggest an alternative.
///
/// * a `const fn`, a trait method without a body, and any item that is not a function
/// * a second `critical_process` or `stage` on the same function
/// * a future inside another type, for example `Option<Pin<Box<dyn Future<…>>>>`, because the run would end before
///   the future runs
/// * for the same reason, a plain function that returns another type of future, for example `JoinHandle<T>`,
///   `Ready<T>` or `Pin<Box<dyn Future<…> + Sync>>`, unless `outcome` decides how its call ended
/// * a bound such as `Unpin` on a returned `impl Future`, unless the function ends in an async block; without the
///   async block, the only possible bounds are `Send`, `Sync`, `UnwindSafe`, `RefUnwindSafe` and lifetimes
///
/// If a function returns an `impl Iterator` or `impl Fn` that yields futures, the run is the call of the function.
///
/// A closure returned as `impl Fn…` usually needs written argument types, as in `move |value: &i32| …`. The types
/// can be omitted only in a plain function whose whole return type is the `impl Fn…`, and only if the bounds
/// contain no lifetime and no generic parameter. In an `async fn`, or in a return type such as
/// `Result<impl Fn…, E>`, the types must be written.
///
/// # Errors
///
/// Each mistake in the attribute is a separate compile error at the key or value concerned. One compilation reports
/// all of them. The function is then emitted without its run, so that no further errors follow.
#[proc_macro_attribute]
pub fn critical_process(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    instrument(AttributeKind::Process, attribute.into(), item.into()).into()
}

/// Turns a function into a stage: a part of a critical process with a time and an outcome of its own.
///
/// ```
/// use process_runtime::{critical_process, stage};
///
/// #[stage(id = "ranking", sla = "45s")]
/// fn rank(answers: &[u64]) -> Option<u64> {
///     answers.iter().max().copied()
/// }
///
/// #[critical_process(id = "deliberate", version = "1.0.0", sla = "120s", fails(None))]
/// fn deliberate(answers: &[u64]) -> Option<u64> {
///     rank(answers)
/// }
/// # assert_eq!(deliberate(&[2, 7, 1]), Some(7));
/// ```
///
/// A stage without `process` is shared: each of its runs belongs to the process whose run encloses it. A run of a
/// stage with `process` always counts for that process, even if no run of the process encloses it.
///
/// A failed stage is reported by its span, a counter and a Sentry breadcrumb. The stage sends no Sentry event, because
/// the process that returns the error reports it. If a stage fails outside any process, no event is sent. A stage
/// writes a line to standard error only while `telemetry` writes traces to files, whether it fails or succeeds.
///
/// # Keys
///
/// Only `id` is required.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `id = "…"` | id of the stage, unique among the stages of its process | |
/// | `process = "…"` | id of the process that the stage belongs to | the enclosing process |
/// | `sla = "…"` | the longest time that the stage may take | |
/// | `after("…", …)` | ids of the stages that must end before this one starts | |
///
/// `registry::validate` checks the declarations in `after` against each other. The order in which stages run is not
/// checked.
///
/// A stage also has the keys `name`, `context(…)`, `rejects(…)`, `fails(…)`, `degraded`, `outcome`,
/// `error_type`, `error_text`, `depends_on(…)`, `handler` and `crate` of [`macro@critical_process`]. The forms of
/// ids and times, the supported functions and the compile errors are also the same.
#[proc_macro_attribute]
pub fn stage(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    instrument(AttributeKind::Stage, attribute.into(), item.into()).into()
}

/// Turns a test into a contract, which proves that one case of a critical process works.
///
/// ```no_run
/// use process_runtime::testing::observe;
/// use process_runtime::{contract, critical_process};
///
/// #[critical_process(id = "parse_amount", version = "1.0.0", sla = "1s")]
/// async fn parse_amount(text: &str) -> Result<u64, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// #[contract(process = "parse_amount", case = happy)]
/// #[tokio::test]
/// async fn an_amount_is_parsed() {
///     let run = observe(parse_amount("42")).await;
///     assert_eq!(run.into_value(), Ok(42));
/// }
/// ```
///
/// Put the attribute on a test function, plain or `async`, above or below the attribute of any test runner:
/// `#[test]`, `#[tokio::test]` or `#[rstest]`. If the attribute is below `#[rstest]`, each case of rstest is a contract
/// of its own. If it is above `#[rstest]`, all cases of rstest together are one contract.
///
/// A contract is registered in the test program and written into its binary, in the same way as a process.
///
/// # Keys
///
/// `process` and `case` are required.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `process = "…"` | id of the process | |
/// | `case = word` | the case to prove | |
/// | `crate = path` | path of `process-runtime` if it is renamed or re-exported | `::process_runtime` |
///
/// # Cases
///
/// A contract passes if its body passes and if the body observed a run of the process that proves the case. Only
/// `testing::observe`, `testing::observe_call` and the types `Load` and `Battery` of `testing` observe a run. A run
/// that the body starts in another way proves nothing.
///
/// | case | what it proves |
/// |---|---|
/// | `happy` | a run succeeded within its SLA |
/// | `error("…")` | a run failed or was rejected with this `error.type` |
/// | `timeout` | a run reached an injected hang, and its own timeout ended it, not the test |
/// | `dependency("…")` | a run reached a fault that the test injected at the dependency with this id |
/// | `cancelled` | a run was cancelled |
/// | `panic` | a run panicked |
/// | `edge` | a run ended, and the body checks how. No policy can require this case |
/// | `sla` | a run was late under an injected delay |
/// | `load` | many runs stayed within the bounds that the test sets |
/// | `context` | a run sent a Sentry event; its spans and events have all keys of `context`, except those in `later` |
///
/// # Errors
///
/// Mistakes in the attribute are reported as for [`macro@critical_process`]. The following are also compile errors: a
/// second contract on the same function, a method that takes `self`, a `const fn`, and a function that returns a
/// future instead of awaiting it. A test runner cannot call a method, and would drop a returned future without
/// running it.
#[proc_macro_attribute]
pub fn contract(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    instrument(AttributeKind::Contract, attribute.into(), item.into()).into()
}

/// Turns an async function into the health check of a critical process: a function that runs the process with test
/// input and reports whether it works. A process has at most one health check.
///
/// ```
/// use process_runtime::{critical_process, health_check};
///
/// #[critical_process(id = "parse_amount", version = "1.0.0", sla = "1s")]
/// async fn parse_amount(text: &str) -> Result<u64, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// #[health_check(process = "parse_amount", every = "5m")]
/// async fn amounts_are_parsed() -> Result<(), std::num::ParseIntError> {
///     parse_amount("42").await?;
///     Ok(())
/// }
/// ```
///
/// # Keys
///
/// Only `process` is required.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `process = "…"` | id of the process | |
/// | `timeout = "…"` | the longest time that the check may take | `"10s"` |
/// | `every = "…"` | the time from one scheduled run of the check to the next | the check runs only on request |
/// | `cached_for = "…"` | how long one result answers all requests; cannot be combined with `every` | `"5s"` |
/// | `crate = path` | path of `process-runtime` if it is renamed or re-exported | `::process_runtime` |
///
/// A time is one whole number and `ms`, `s`, `m` or `h`, and more than zero. A timeout is less than `30s`, because a
/// monitor gives up after this time. `every` is at least `1s`; with `every`, a result is valid until the next run of
/// the check.
///
/// # Functions
///
/// The attribute works on a free `async fn` without generic parameters, whose future is `Send`. The function itself
/// does not change, and other code can call it.
///
/// The arguments are the application's state. The runtime looks up each argument by its type, and every call receives
/// a clone. Therefore the types must be owned and implement `Clone`, `Send` and `Sync`. Wrap a value that is
/// expensive to clone in an `Arc`.
///
/// # Results
///
/// | return value | result |
/// |---|---|
/// | `()` | pass |
/// | `health::CheckVerdict` | the verdict |
/// | `Ok(value)` | pass, or the verdict if the value is a `health::CheckVerdict` |
/// | `Err(error)` | fail, with the `Display` form of the error |
///
/// If the check panics or exceeds its timeout, the result is fail.
///
/// # Errors
///
/// Mistakes in the attribute are reported as for [`macro@critical_process`]. The following are also compile errors: a
/// second check on the same function, a method, a function that is not `async` or that is `const`, `unsafe` or generic,
/// and an argument that is a reference or an `impl Trait`.
///
/// The attribute recognises an associated function only by `self` or `Self` in its signature. If the signature
/// contains neither, the compiler rejects the function with an error about an unnamed `const` in the `impl`.
#[proc_macro_attribute]
pub fn health_check(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    instrument(AttributeKind::HealthCheck, attribute.into(), item.into()).into()
}

/// Turns an async function into the health check of a dependency, for example of a database or a payment provider. A
/// dependency has at most one check, even if several processes declare it with `depends_on`.
///
/// ```
/// use std::net::SocketAddr;
///
/// use process_runtime::dependency_check;
///
/// #[derive(Clone)]
/// struct Database {
///     address: SocketAddr,
/// }
///
/// #[dependency_check(id = "orders_db", timeout = "500ms")]
/// async fn orders_db_answers(database: Database) -> Result<(), std::io::Error> {
///     tokio::net::TcpStream::connect(database.address).await?;
///     Ok(())
/// }
/// ```
///
/// # Keys
///
/// Only `id` is required.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `id = "…"` | id of the dependency, which a process or stage declares with `depends_on` | |
/// | `timeout = "…"` | the longest time that the check may take, less than `30s` | `"2s"` |
///
/// `registry::validate` reports a check whose dependency no process or stage declares.
///
/// A dependency check also has the keys `every`, `cached_for` and `crate` of [`macro@health_check`]. The supported
/// functions, the results and the compile errors are also the same.
#[proc_macro_attribute]
pub fn dependency_check(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    instrument(AttributeKind::DependencyCheck, attribute.into(), item.into()).into()
}

/// Expands the value in `record!(name = value)`. It is a procedural macro so that errors about the value are reported
/// at the value.
#[doc(hidden)]
#[proc_macro]
pub fn __record_value(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let read = |input: ParseStream<'_>| {
        let runtime = input.call(Path::parse_mod_style)?;
        input.parse::<Token![=]>()?;
        let (sigil, mut value) = (input.parse()?, input.parse()?);
        // `record!` passes `$value` as an invisible group, whose span is not in the user's source.
        while let Expr::Group(group) = value {
            value = *group.expr;
        }
        Ok(expand::value(&runtime, sigil, &value))
    };
    read.parse(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

// Input:  the attribute's tokens, and the item below it
// Output: the item with a run or a contract around its body, or with a check beside it;
//         if there are mistakes, the item without any of these, and a `compile_error!` for each mistake
fn instrument(
    kind: AttributeKind,
    attribute: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let errors = Errors::new();
    let slots = slot::split(attribute, kind, &errors);
    let args = args::read(kind, &slots, &errors);
    let Some(mut function) = function::read(item.clone(), kind, &errors) else {
        let mistakes = errors.into_tokens();
        return quote!(#mistakes #item);
    };
    function.refuse_second_attribute(kind, &errors);
    let (later, runtime) = (args.later(), args.runtime());
    let model = analyse::analyse(kind, args, &function, &errors);
    match (errors.into_tokens(), model) {
        (None, Some(model)) => expand::expand(&function, &model),
        (mistakes, _) => {
            let function = expand::bare(&function, &later, &runtime);
            quote!(#mistakes #function)
        }
    }
}
