//! Modules, types and values of a user, with names that could clash with names in an expansion.

use process_runtime::Outcome::{Cancelled, Failure, Rejected, Success};

use super::trial::{Trial, called, ran};

mod shadowed_modules {
    #![allow(dead_code, reason = "only their names matter")]

    mod core {}
    mod std {}
    mod alloc {}
    mod tracing {}
    mod process_runtime {}
    mod inventory {}
    mod probe {}
    mod __private {}

    use ::process_runtime::critical_process;

    #[critical_process(id = "name_modules", version = "1.0.0", sla = "10s", context(of, size = truncate(of, 2)))]
    pub(super) async fn asynchronous(of: &str) -> Result<u8, ::std::num::ParseIntError> {
        of.parse()
    }

    #[critical_process(id = "name_modules_sync", version = "1.0.0", sla = "10s", rejects(_error if true))]
    pub(super) fn synchronous(of: &str) -> Result<u8, ::std::num::ParseIntError> {
        of.parse()
    }

    #[critical_process(id = "name_modules_boxed", version = "1.0.0", sla = "10s")]
    pub(super) fn boxed<'a>(of: &'a str) -> futures::future::BoxFuture<'a, usize> {
        Box::pin(async move { of.len() })
    }
}

mod core {
    use process_runtime::critical_process;

    #[critical_process(id = "name_in_core", version = "1.0.0", sla = "10s")]
    pub(super) fn function() -> Result<(), ()> {
        Err(())
    }

    pub(super) mod std {
        pub(in super::super) mod process_runtime {
            #[::process_runtime::critical_process(id = "name_in_itself", version = "1.0.0", sla = "10s")]
            pub(in super::super::super) async fn critical_process() -> u8 {
                1
            }
        }
    }
}

mod tracing {
    #[process_runtime::critical_process(id = "name_in_tracing", version = "1.0.0", sla = "10s")]
    pub(super) fn instrument() -> impl Future<Output = u8> {
        async { 1 }
    }
}

#[tokio::test(start_paused = true)]
async fn modules_may_be_called_like_crates() {
    assert_eq!(ran("name_modules", Success, shadowed_modules::asynchronous("1")).await, Ok(1));
    assert!(ran("name_modules", Failure, shadowed_modules::asynchronous("x")).await.is_err());
    assert_eq!(called("name_modules_sync", Success, || shadowed_modules::synchronous("1")), Ok(1));
    assert_eq!(ran("name_modules_boxed", Success, shadowed_modules::boxed("ab")).await, 2);
    assert_eq!(called("name_in_core", Failure, core::function), Err(()));
    assert_eq!(ran("name_in_itself", Success, core::std::process_runtime::critical_process()).await, 1);
    assert_eq!(ran("name_in_tracing", Success, tracing::instrument()).await, 1);
}

mod shadowed_types {
    #![allow(dead_code, reason = "only their names matter")]

    use process_runtime::{critical_process, stage};

    #[derive(Debug, PartialEq)]
    pub(super) enum Result {
        Ok,
        Err,
    }
    #[derive(Debug, PartialEq)]
    pub(super) enum Option {
        Some,
        None,
    }
    #[derive(Debug, PartialEq)]
    pub(super) struct Ok<T>(pub(super) T);
    pub(super) struct Err;
    pub(super) struct Some;
    pub(super) struct None;
    pub(super) struct String;
    pub(super) struct Vec;
    pub(super) struct Future;
    pub(super) struct Box;
    pub(super) struct Pin<T>(pub(super) T);
    pub(super) struct Infallible;
    pub(super) struct Return;
    pub(super) struct Good;
    pub(super) struct Bad;
    pub(super) struct Kind;
    pub(super) struct Run;
    pub(super) struct Plain;
    pub(super) struct Ending;
    #[allow(non_camel_case_types, reason = "a primitive's name")]
    pub(super) struct str;
    #[allow(non_camel_case_types, reason = "a primitive's name")]
    pub(super) struct bool;
    pub(super) trait Send {}
    pub(super) trait Sized {}
    pub(super) trait FnOnce {}
    pub(super) trait Drop {}
    pub(super) trait Into {}

    impl Ok<u8> {
        /// A method with the name of a method of the toolkit.
        pub(super) fn split(&self) -> u8 {
            self.0
        }
    }

    #[critical_process(id = "name_result", version = "1.0.0", sla = "10s")]
    pub(super) fn result() -> Result {
        Result::Err
    }

    #[critical_process(id = "name_option", version = "1.0.0", sla = "10s", fails(Option::None))]
    pub(super) async fn option() -> Option {
        Option::None
    }

    #[critical_process(id = "name_ok", version = "1.0.0", sla = "10s", context(of))]
    pub(super) async fn ok(of: u8) -> ::core::result::Result<Ok<u8>, Err> {
        if of == 0 {
            return ::core::result::Result::Err(Err);
        }
        ::core::result::Result::Ok(Ok(of))
    }

    #[critical_process(id = "name_ok_rules", version = "1.0.0", sla = "10s", rejects(Err {}), degraded = degraded)]
    pub(super) fn rules(of: u8) -> ::core::result::Result<Ok<u8>, Err> {
        if of == 0 { ::core::result::Result::Err(Err) } else { ::core::result::Result::Ok(Ok(of)) }
    }

    fn degraded(_: &Ok<u8>) -> ::core::primitive::bool {
        true
    }

    #[critical_process(id = "name_future", version = "1.0.0", sla = "10s")]
    pub(super) fn future() -> Future {
        Future
    }

    #[critical_process(id = "name_pin", version = "1.0.0", sla = "10s")]
    pub(super) fn pin() -> Pin<Box> {
        Pin(Box)
    }

    #[critical_process(id = "name_impl_future", version = "1.0.0", sla = "10s")]
    pub(super) fn impl_future() -> impl ::core::future::Future<Output = String> + ::core::marker::Send {
        async { String }
    }

    #[critical_process(id = "name_never", version = "1.0.0", sla = "10s")]
    pub(super) async fn never() -> ! {
        ::core::future::pending().await
    }

    #[critical_process(id = "name_probes", version = "1.0.0", sla = "10s")]
    pub(super) fn probes(
        _: Return,
        _: Good,
        _: Bad,
        _: Kind,
    ) -> ::core::result::Result<Run, (Plain, Ending)> {
        ::core::result::Result::Err((Plain, Ending))
    }

    #[stage(id = "name_stage", process = "name_probes")]
    pub(super) async fn stage() -> Result {
        Result::Ok
    }

    #[critical_process(id = "name_captured", version = "1.0.0", sla = "10s", context(later(of)))]
    pub(super) async fn recorded() -> u8 {
        process_runtime::record!(of = "a", of = %1, of = ?2);
        1
    }

    pub(super) struct CaptureKind(u8);

    #[critical_process(id = "name_captured_probe", version = "1.0.0", sla = "10s", context(later(of)))]
    pub(super) async fn recorded_of_a_probe() -> u8 {
        process_runtime::record!(of = CaptureKind(3).0);
        1
    }
}

#[tokio::test(start_paused = true)]
async fn types_may_be_called_like_those_of_the_prelude() {
    use shadowed_types::{self as types, Bad, Good, Kind, Return};
    assert_eq!(called("name_result", Success, types::result), types::Result::Err);
    assert_eq!(ran("name_option", Failure, types::option()).await, types::Option::None);
    assert_eq!(ran("name_ok", Success, types::ok(1)).await.ok(), Some(types::Ok(1)));
    assert!(ran("name_ok", Failure, types::ok(0)).await.is_err());
    assert!(called("name_ok_rules", process_runtime::Outcome::Degraded, || types::rules(1)).is_ok());
    assert!(called("name_ok_rules", process_runtime::Outcome::Rejected, || types::rules(0)).is_err());
    called("name_future", Success, types::future);
    called("name_pin", Success, types::pin);
    ran("name_impl_future", Success, types::impl_future()).await;
    assert!(called("name_probes", Failure, || types::probes(Return, Good, Bad, Kind)).is_err());
    let trial = Trial::new();
    assert!(futures::FutureExt::now_or_never(trial.run(types::never())).is_none());
    trial.saw(&[("name_never", Cancelled)]);
    assert_eq!(trial.run(types::stage()).await, types::Result::Ok);
    trial.saw(&[("name_probes.name_stage", Success)]);
    assert_eq!(trial.run(types::recorded()).await, 1);
    assert_eq!(trial.context(), [("of", "2".to_owned())]);
    assert_eq!(trial.run(types::recorded_of_a_probe()).await, 1);
    assert_eq!(trial.context(), [("of", "3".to_owned())]);
}

mod bare {
    #![no_implicit_prelude]

    use ::core::result::Result::{self, Err, Ok};
    use ::process_runtime::critical_process;

    #[critical_process(
        id = "name_no_prelude",
        version = "1.0.0",
        sla = "10s",
        context(of, text = %of, debug = ?of, cut = truncate("abc", 1), later(seen)),
        rejects(Refused::Zero),
        degraded = is_two,
        error_type = kind,
    )]
    pub(super) async fn asynchronous(of: u8) -> Result<u8, Refused> {
        ::process_runtime::record!(seen = true);
        match of {
            0 => Err(Refused::Zero),
            9 => Err(Refused::Nine),
            _ => Ok(of),
        }
    }

    #[critical_process(id = "name_no_prelude_sync", version = "1.0.0", sla = "10s")]
    pub(super) fn synchronous(of: u8) -> Result<u8, ()> {
        if of == 0 { Err(()) } else { Ok(of) }
    }

    #[critical_process(id = "name_no_prelude_boxed", version = "1.0.0", sla = "10s")]
    pub(super) fn boxed(of: u8) -> ::futures::future::BoxFuture<'static, u8> {
        ::std::boxed::Box::pin(async move { of })
    }

    #[critical_process(id = "name_no_prelude_future", version = "1.0.0", sla = "10s")]
    pub(super) fn future(of: u8) -> impl ::core::future::Future<Output = u8> {
        ::core::future::ready(of)
    }

    #[critical_process(id = "name_no_prelude_never", version = "1.0.0", sla = "10s")]
    pub(super) fn never() -> ! {
        ::core::panic!("bare")
    }

    #[derive(::core::cmp::PartialEq, ::core::fmt::Debug)]
    pub(super) enum Refused {
        Zero,
        Nine,
    }

    fn is_two(of: &u8) -> bool {
        *of == 2
    }

    fn kind(_: &Refused) -> &'static str {
        "refused"
    }
}

#[tokio::test(start_paused = true)]
async fn a_module_without_a_prelude_is_enough() {
    use process_runtime::Outcome::{Degraded, Panic};
    let trial = Trial::new();
    for of in [1, 2, 0, 9] {
        let _ = trial.run(bare::asynchronous(of)).await;
    }
    trial.saw(&[
        ("name_no_prelude", Success),
        ("name_no_prelude", Degraded),
        ("name_no_prelude", Rejected),
        ("name_no_prelude", Failure),
    ]);
    assert_eq!(trial.error_type(), Some("refused"));
    assert_eq!(trial.context().len(), 5);
    assert_eq!(called("name_no_prelude_sync", Failure, || bare::synchronous(0)), Err(()));
    assert_eq!(ran("name_no_prelude_boxed", Success, bare::boxed(1)).await, 1);
    assert_eq!(ran("name_no_prelude_future", Success, bare::future(1)).await, 1);
    assert!(trial.call(|| std::panic::catch_unwind(|| bare::never())).is_err());
    trial.saw(&[("name_no_prelude_never", Panic)]);
}

mod renamed_import {
    use process_runtime::{self as rt, critical_process as watch, stage as part};

    #[watch(id = "name_import", version = "1.0.0", sla = "10s", crate = rt)]
    pub(super) async fn by_import() -> u8 {
        step()
    }

    #[part(id = "name_import_stage", process = "name_import", crate = self::rt)]
    fn step() -> u8 {
        1
    }

    pub(super) mod facade {
        pub(in super::super) use process_runtime as runtime;
    }

    #[facade::runtime::critical_process(
        id = "name_facade",
        version = "1.0.0",
        sla = "10s",
        crate = crate::shapes::names::renamed_import::facade::runtime,
        context(later(seen)),
    )]
    pub(super) fn by_facade() -> futures::future::LocalBoxFuture<'static, Result<u8, String>> {
        Box::pin(async {
            facade::runtime::record!(seen = 1_u64);
            Err("no".to_owned())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_attribute_names_the_path_of_the_runtime() {
    let trial = Trial::new();
    trial.run(renamed_import::by_import()).await;
    trial.saw(&[("name_import.name_import_stage", Success), ("name_import", Success)]);
    trial.run(renamed_import::by_facade()).await.unwrap_err();
    trial.saw(&[("name_facade", Failure)]);
    assert_eq!(trial.context(), [("seen", "1".to_owned())]);
}

mod helpers {
    #![allow(dead_code, reason = "only their names matter")]

    use process_runtime::critical_process;

    fn truncate(_: &str, _: usize) -> String {
        unreachable!("an attribute's `truncate` is the toolkit's")
    }

    fn split(_: &Held) {
        unreachable!("a free function is not a method")
    }

    pub(super) trait Verdict {
        fn verdict(&self) -> u8;
        fn kind(&self) -> u8 {
            3
        }
        fn find(&self) {}
        fn capture_kind(&self) {}
        fn value(&self) {}
        fn run(&self) {}
        fn split(&self) {}
    }

    /// Has methods with the names of inherent methods of the toolkit. They take `self` by value, so the compiler
    /// prefers them to methods that borrow.
    pub(super) trait Consumes: Sized {
        fn end(self) {}
        fn drive(self) {}
        fn capture(self) {}
        fn call(self) {}
        fn put(self) {}
        fn record(self) {}
        fn rejected(self) {}
        fn error_type(self) {}
    }

    impl<T> Consumes for T {}

    impl<T: ?Sized> Verdict for T {
        fn verdict(&self) -> u8 {
            1
        }
    }

    pub(super) struct Held(pub(super) u8);

    #[critical_process(id = "name_helpers", version = "1.0.0", sla = "10s", context(of = truncate(of, 1)))]
    pub(super) fn shadowed(of: &str) -> (String, u8) {
        let _ = (truncate, split);
        (of.to_owned(), of.verdict())
    }

    #[critical_process(id = "name_blanket", version = "1.0.0", sla = "10s", context(n = of.verdict(), text))]
    pub(super) async fn blanket(of: u8, text: &str) -> Result<u8, std::fmt::Error> {
        if text.is_empty() { Err(std::fmt::Error) } else { Ok(of.kind()) }
    }

    #[critical_process(
        id = "name_consumed",
        version = "1.0.0",
        sla = "10s",
        context(of, later(seen)),
        rejects(std::fmt::Error),
        error_type = kind_of
    )]
    pub(super) async fn consumed(of: u8) -> Result<u8, std::fmt::Error> {
        process_runtime::record!(seen = of);
        Err(std::fmt::Error)
    }

    #[critical_process(id = "name_consumed_sync", version = "1.0.0", sla = "10s", context(of), fails(1))]
    pub(super) fn consumed_sync(of: u8) -> u8 {
        of
    }

    fn kind_of(_: &std::fmt::Error) -> &'static str {
        "error"
    }

    #[critical_process(id = "name_blanket_boxed", version = "1.0.0", sla = "10s")]
    pub(super) fn blanket_boxed() -> futures::future::BoxFuture<'static, u8> {
        Box::pin(async { 1 })
    }
}

#[tokio::test(start_paused = true)]
async fn a_users_traits_for_every_type_do_not_answer_for_ours() {
    assert_eq!(called("name_helpers", Success, || helpers::shadowed("abc")), ("abc".to_owned(), 1));
    assert_eq!(ran("name_blanket", Success, helpers::blanket(1, "a")).await, Ok(3));
    assert_eq!(ran("name_blanket", Failure, helpers::blanket(1, "")).await, Err(std::fmt::Error));
    assert_eq!(ran("name_blanket_boxed", Success, helpers::blanket_boxed()).await, 1);
    assert!(ran("name_consumed", Rejected, helpers::consumed(1)).await.is_err());
    assert_eq!(called("name_consumed_sync", Failure, || helpers::consumed_sync(1)), 1);
    let _ = helpers::Held(1).0;
}
