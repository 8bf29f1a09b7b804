//! The attributes of `process-runtime`: [`macro@critical_process`], [`macro@stage`], [`macro@contract`],
//! [`macro@health_check`] and [`macro@dependency_check`]. Depend on `process-runtime`, which re-exports them; this crate has no behaviour of its own.
//!
//! An attribute goes one way, and each step has a file and a type: tokens → `slot` → `args` → `analyse` →
//! `model` → `expand`. After `analyse` nothing can fail. Every mistake of an attribute is told in one
//! compile, and the function itself always stays.

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

/// Makes a function a critical process: registered, timed against its SLA, judged by what it returns, and
/// told of with its business context.
///
/// ```ignore
/// /// Three models answer, rank one another, and a chairman writes the synthesis.
/// #[critical_process(
///     id = "council_deliberation_3stage",
///     version = "2.1.0",
///     sla = "120s",
///     criticality = critical,
///     owner = "council",
///     context(company_id, query = truncate(query, 100), inherit(user_id), later(model_count)),
///     rejects(CouncilError::EmptyQuery),
///     degraded = Deliberation::used_fallback,
/// )]
/// pub async fn deliberate(query: &str, company_id: &CompanyId) -> Result<Deliberation, CouncilError> {
///     let models = models_of(company_id).await?;
///     record!(model_count = models.len());
///     ask(query, &models).await
/// }
/// ```
///
/// The doc comment is the description of the process. Everything that the attribute, the doc comment and
/// the signature say is written into the binary, readable by whoever holds it.
///
/// # Keys
///
/// `id`, `version` and `sla` are required. Values are literals: they are written into the record while
/// compiling, so a constant cannot be read.
///
/// | key | what it says | default |
/// |---|---|---|
/// | `id = "…"` | who this is, on every signal: `[a-z][a-z0-9_]*`, at most 64 bytes; unique in the program | |
/// | `version = "…"` | semantic version of the process | |
/// | `sla = "…"` | the longest time that a good run may take: one whole number and `ms`, `s`, `m` or `h`; more than zero, at most a year | |
/// | `name = "…"` | its name for people | from the id |
/// | `criticality = word` | `critical`, `high`, `medium` or `low` | `high` |
/// | `owner = "…"` | the team to call | |
/// | `runbook = "…"` | path or URL of the runbook | |
/// | `objective = number` | percent of runs that must be good, between 0 and 100, at most six decimals | `99.9` |
/// | `context(…)` | what is recorded of a run, beside what it inherits from outer runs and scopes | |
/// | `rejects(patterns)` | errors that are the caller's mistake: outside the objective | |
/// | `fails(patterns)` | returns that are failures although they are no `Err`; their `error.type` is `_OTHER` | |
/// | `degraded = path` | `fn(&T) -> bool`: succeeded by the declared fallback | |
/// | `outcome = path` | `fn(&R) -> Verdict`: judges the whole return; excludes the three above | |
/// | `error_type = path` | `fn(&E) -> &'static str`: the low-cardinality name of an error, by which Sentry groups: variants that it names are issues of their own | the type's name |
/// | `error_text = word` | where the text of errors and panics may go: `sentry`, `everywhere`, `never` | `sentry` |
/// | `depends_on("…", …)` | ids of what it depends on, processes or not; not checked | |
/// | `cancelled = bad` | counts every cancellation against the objective | only late ones |
/// | `handler = "Type::method"` | the type of a method, which the attribute cannot see | the function's name |
/// | `crate = path` | where `process-runtime` is, if it was renamed or re-exported | `::process_runtime` |
///
/// # Context
///
/// Values are taken at entry, and only when some sink wants them: an expression borrows what the body needs
/// (`truncate(&name, 10)` of an owned `name`), and neither waits nor returns. A key is named like an id. What an
/// outer run or scope recorded is inherited by every run inside, under the same names, and stands on its span
/// and events.
///
/// | entry | what is recorded |
/// |---|---|
/// | `name` | the argument of that name, destructured ones included (`State(s)` binds `s`) |
/// | `name = expression` | the expression over the arguments and `self`; it may call `truncate(x, n)`, `mask(x)` and `hash(x)` (under the key in the environment's `CRITICAL_PROCESS_HASH_KEY`, else `[unkeyed]`) without an import |
/// | `%name`, `name = %expression` | its `Display` form |
/// | `?name`, `name = ?expression` | its `Debug` form |
/// | `inherit(name, …)` | nothing more: it states that an outer run or scope records that name, and gives spans a field for it |
/// | `later(name, …)` | what `record!(name = value)` fills in during the run |
///
/// # What a return means
///
/// `Result` is decided on the type, aliases included: `Ok` is success, `Err` is failure. Everything else is
/// success, unless `fails`, `outcome` or, for an axum response, its status says otherwise: `Some(Err(…))`, a
/// `Vec` of results and `ExitCode::FAILURE` are values too. A status decides only with feature `axum`, and
/// not for an error that has yet to become a response (`Result<_, AppError>`): that is a failure unless
/// `rejects` matches. A return type that is a generic parameter of the function or an associated type needs
/// `outcome`. So does a parameter of the `impl` around a method, but the attribute cannot see that one: without
/// `outcome` it is a success, whatever it stands for.
///
/// Patterns are those of a `match` on a reference, with `|` and `if` guards.
/// `rejects(as AuthError: pattern)` looks for a type in the chain of an `anyhow` or boxed error; without
/// `as`, the pattern is one of the error itself, so `rejects(AuthError::Expired)` on an `anyhow::Result` is
/// "mismatched types: expected `anyhow::Error`, found `AuthError`". A bare name
/// or `_` is refused, since a mistyped variant would catch everything; a name with a guard is fine
/// (`error if error.is_timeout()`), and so is `as AuthError: _`. A guard sees what its pattern binds.
///
/// # Functions
///
/// `async fn` and plain ones, free functions, methods with every receiver, trait methods with a body,
/// `async-trait` methods, generic, `unsafe` and `extern` functions. Where a function returns `impl Future`
/// or a boxed future, that future is the run: context is taken at the call, and the run begins when the
/// future is first polled. An `async fn` begins at its first poll as well, a plain function at its call.
///
/// Of several attributes the one written above works inside: `#[tracing::instrument]` above this one opens its
/// span within the run. Below `#[tokio::main]` this one wraps the whole runtime, above it the async body; a
/// `main` that sets the subscriber up is no place for it, since its run begins before.
///
/// The body is as it was: its types, its borrows, the order in which arguments are dropped, whether the
/// future is `Send`. Only arguments that it does not name are dropped after all others, and after the run
/// (`_`, an unused one; a name such as `_guard` keeps its place). A plain function with `#[track_caller]` sees this attribute as its caller.
///
/// # What cannot be wrapped
///
/// Each of these is a compile error that says what to do instead: a `const fn`, a trait method without a
/// body, anything that is no function, a second `critical_process` or `stage` on one function, and a return
/// type with a future whose run would end before the future has begun: one inside of another type
/// (`Option<Pin<Box<dyn Future<…>>>>`), and of a plain function one of any other type than above
/// (`JoinHandle<T>`, `Ready<T>`, `Pin<Box<dyn Future<…> + Sync>>`), unless `outcome` says how its call ended.
/// What an `impl Iterator` yields or an `impl Fn` returns may be futures: the run is the call.
///
/// Of `impl Future<…> + …` that is made by something else than an async block at the function's end, only
/// the bounds that a future takes over from the one it awaits can be kept: `Send`, `Sync`, `UnwindSafe`,
/// lifetimes. `Unpin` and others are refused.
///
/// A closure that is returned as `impl Fn…` takes the types of its arguments from the signature only in a
/// plain function that returns it alone, where the bounds name no lifetime and no generic parameter.
/// Elsewhere (an `async fn`, `Result<impl Fn…, E>`) write them: `move |value: &i32| …`.
///
/// # Errors
///
/// Every mistake of an attribute is an error of its own, at the key or value that is wrong. The function is
/// emitted without its run, so that no second error follows.
#[proc_macro_attribute]
pub fn critical_process(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    instrument(AttributeKind::Process, attribute.into(), item.into()).into()
}

/// Makes a function a stage: a part of a critical process that is timed and judged by itself.
///
/// ```ignore
/// #[stage(id = "ranking", process = "council_deliberation_3stage", sla = "45s", after("answers"))]
/// async fn rank(answers: &[Answer]) -> Result<Ranking, CouncilError> {
///     Ranking::of(answers)
/// }
/// ```
///
/// A stage without `process` is shared: it belongs to the run that encloses it. One that names its process
/// counts as a stage of it, also outside of any run of it. A stage that fails has a span, a count and a
/// breadcrumb, and no Sentry event or line of its own, since its error is the process's to return: outside of
/// any process nobody else is told of it.
///
/// # Keys
///
/// Only `id` is required. `name`, `context(…)`, `rejects(…)`, `fails(…)`, `degraded`, `outcome`,
/// `error_type`, `error_text`, `depends_on(…)`, `handler` and `crate` are those of
/// [`macro@critical_process`], and so are the functions that can be wrapped and the errors. The others are:
///
/// | key | what it says | default |
/// |---|---|---|
/// | `id = "…"` | who this is among the stages of its process: `[a-z][a-z0-9_]*`, at most 64 bytes | |
/// | `process = "…"` | id of the process that it belongs to | the one that encloses it |
/// | `sla = "…"` | the longest it may take: one whole number and `ms`, `s`, `m` or `h` | none |
/// | `after("…", …)` | ids of the stages that are declared to come before it; `registry::validate` checks the declarations, nothing the runs | |
#[proc_macro_attribute]
pub fn stage(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    instrument(AttributeKind::Stage, attribute.into(), item.into()).into()
}

/// Makes a test the proof of one case of a critical process.
///
/// The contract is registered, and written into the test binary, as a process is into the program. It stands on a test
/// function, plain or `async`, with any runner's attribute above or below it: `#[test]`, `#[tokio::test]`,
/// `#[rstest]` with its cases. Below `#[rstest]` each case is a contract of its own, above it all of them are one.
///
/// # Keys
///
/// `process` and `case` are required.
///
/// | key | what it says |
/// |---|---|
/// | `process = "…"` | id of the process |
/// | `case = word` | what is proven of it: one of the cases below |
/// | `crate = path` | where `process-runtime` is, if it was renamed or re-exported; `::process_runtime` otherwise |
///
/// A contract passes if its body does, and if a run of the process that the body observed (with `testing::observe` and
/// its like) went the way of the case. So a call that nobody observes proves nothing.
///
/// | case | what it proves |
/// |---|---|
/// | `happy` | a success on time |
/// | `error("…")` | a failure or rejection with this `error.type` |
/// | `timeout` | an injected hang was reached, and the run ended without the test ending it |
/// | `dependency("…")` | a fault at the dependency of this id was reached |
/// | `cancelled` | the run was cancelled |
/// | `panic` | the run panicked |
/// | `edge` | a run ended, and whatever else the test says; never required |
/// | `sla` | the run was late, under an injected delay |
/// | `load` | many runs held their bounds |
/// | `context` | an event was sent, and the keys of `context(…)` but those of `later(…)` were on every span and event |
///
/// # Errors
///
/// As those of [`macro@critical_process`]: each at its token, all in one compile. A second contract on one
/// function is one, since one test proves one case; so are a method that takes `self`, a `const fn`, and a function
/// that returns a future instead of awaiting it, none of which a test runner would run.
#[proc_macro_attribute]
pub fn contract(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    instrument(AttributeKind::Contract, attribute.into(), item.into()).into()
}

/// Makes an async function the check of a critical process: it runs the process for real, with input made for it, and
/// says whether it works. A process has one.
///
/// # Keys
///
/// `process` is required.
///
/// | key | what it says | default |
/// |---|---|---|
/// | `process = "…"` | id of the process | |
/// | `timeout = "…"` | the longest it may take: one whole number and `ms`, `s`, `m` or `h`; more than zero, less than `30s`, when a monitor gives up | `"10s"` |
/// | `every = "…"` | how often it runs by itself, at least `1s`; its answer is good until the next is due | only when asked |
/// | `cached_for = "…"` | how long an answer is good for, however many ask; excludes `every` | `"5s"` |
/// | `crate = path` | where `process-runtime` is, if it was renamed or re-exported | `::process_runtime` |
///
/// # Functions
///
/// A free `async fn` without generic parameters; it stays as it is, and may be called by others. Its arguments are the
/// application's state: each is found by its type, and a clone of it is given to every call. So they are taken by value,
/// and their types are `Clone`, `Send`, `Sync` and `'static`; what is costly to clone goes into an `Arc`. The future
/// is `Send`.
///
/// # What it says
///
/// | it returns | what is said |
/// |---|---|
/// | `()` | pass |
/// | `health::Verdict` | that |
/// | `Err(error)` | fail, with the error's `Display` |
/// | `Ok(value)` | pass; of a `health::Verdict` that |
///
/// A panic is a failure, and so is what takes longer than the timeout.
///
/// # Errors
///
/// As those of [`macro@critical_process`]: each at its token, all in one compile. A second check on one function is
/// one; so are a method, a function that is not `async` or that is `const`, `unsafe` or generic, and an argument that
/// is a reference or an `impl Trait`. An associated function without `self` looks like a free one, and is refused by the
/// compiler, which finds a `const` without a name beside it.
#[proc_macro_attribute]
pub fn health_check(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    instrument(AttributeKind::HealthCheck, attribute.into(), item.into()).into()
}

/// Makes an async function the check of something that processes depend on: a database that answers, a provider that
/// lets us in. A dependency has one, however many processes declare it with `depends_on`.
///
/// # Keys
///
/// Only `id` is required. `every`, `cached_for` and `crate` are those of [`macro@health_check`], and so are the
/// functions that it goes on, what they say and the errors. The others are:
///
/// | key | what it says | default |
/// |---|---|---|
/// | `id = "…"` | id of the dependency, which some process or stage declares with `depends_on`; `registry::validate` tells where none does | |
/// | `timeout = "…"` | the longest it may take: one whole number and `ms`, `s`, `m` or `h`; more than zero, less than `30s` | `"2s"` |
#[proc_macro_attribute]
pub fn dependency_check(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    instrument(AttributeKind::DependencyCheck, attribute.into(), item.into()).into()
}

/// The value of `record!(name = value)`, so that what is wrong with it is told at the value.
#[doc(hidden)]
#[proc_macro]
pub fn __record_value(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let read = |input: ParseStream<'_>| {
        let runtime = input.call(Path::parse_mod_style)?;
        input.parse::<Token![=]>()?;
        let (sigil, mut value) = (input.parse()?, input.parse()?);
        // A macro's `$value` is a group without a place in the source.
        while let Expr::Group(group) = value {
            value = *group.expr;
        }
        Ok(expand::value(&runtime, sigil, &value))
    };
    read.parse(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

// Input:  the attribute's tokens, and the item below it
// Output: the item with a run or a contract around its body, or with a check beside it; where something is wrong the item as it is, and the mistakes
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
