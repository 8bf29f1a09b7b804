//! Functions that a `macro_rules` generates. Their parts are in invisible groups, and have spans from other places.

use process_runtime::Outcome::{Failure, Rejected, Success};
use process_runtime::critical_process;

use super::trial::{Trial, called, ran};

macro_rules! whole {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block) => {
        #[critical_process(id = "mac_block", version = "1.0.0", sla = "10s", context($($arg),*))]
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) -> $ret $body
    };
    (async $vis:vis fn $name:ident($($arg:pat => $ty:ty),*) -> $ret:ty $body:block) => {
        #[critical_process(id = "mac_block_async", version = "1.0.0", sla = "10s")]
        $vis async fn $name($($arg: $ty),*) -> $ret $body
    };
}

whole! {
    /// Documented.
    #[must_use]
    pub(super) fn from_block(of: u8, by: &str,) -> Result<u8, String> {
        if by.is_empty() {
            return Err("empty".to_owned());
        }
        Ok(of)
    }
}

whole! {
    async pub(crate) fn from_block_async((a, _) => (u8, u8), mut b => Vec<u8>, _ => &str) -> Option<u8> {
        b.push(a);
        b.first().copied()
    }
}

macro_rules! with_tokens {
    ($id:literal, $version:literal, $sla:expr, $name:ident, $ret:ty, $tail:expr) => {
        #[critical_process(id = $id, version = $version, sla = $sla)]
        fn $name() -> $ret {
            $tail
        }
    };
}

with_tokens!("mac_literals", "1.0.0", "10s", from_literals, Result<u8, ()>, Err(()));
with_tokens!("mac_future", "1.0.0", "10s", from_future_type, impl Future<Output = Result<u8, ()>>, async {
    Err(())
});
with_tokens!(
    "mac_boxed",
    "1.0.0",
    "10s",
    from_boxed_type,
    std::pin::Pin<Box<dyn Future<Output = Result<u8, ()>> + Send>>,
    Box::pin(async { Err(()) })
);
with_tokens!(
    "mac_alias",
    "1.0.0",
    "10s",
    from_alias,
    futures::future::BoxFuture<'static, Option<u8>>,
    Box::pin(async { None })
);
with_tokens!("mac_unit", "1.0.0", "10s", from_unit, (), ());
with_tokens!("mac_impl", "1.0.0", "10s", from_impl, impl Iterator<Item = u8>, [1].into_iter());
with_tokens!("mac_qself", "1.0.0", "10s", from_reference, &'static str, "a");

#[tokio::test(start_paused = true)]
async fn fragments_of_every_kind_make_a_function() {
    assert_eq!(called("mac_block", Success, || from_block(1, "a")), Ok(1));
    assert!(called("mac_block", Failure, || from_block(1, "")).is_err());
    assert_eq!(ran("mac_block_async", Success, from_block_async((1, 2), vec![], "")).await, Some(1));
    assert_eq!(called("mac_literals", Failure, from_literals), Err(()));
    assert_eq!(ran("mac_future", Failure, from_future_type()).await, Err(()));
    assert_eq!(ran("mac_boxed", Failure, from_boxed_type()).await, Err(()));
    assert_eq!(ran("mac_alias", Success, from_alias()).await, None);
    called("mac_unit", Success, from_unit);
    assert_eq!(called("mac_impl", Success, from_impl).count(), 1);
    assert_eq!(called("mac_qself", Success, from_reference), "a");
}

macro_rules! methods {
    ($type:ident<$($lt:lifetime)? $($generic:ident: $bound:path)?> { $($id:literal: $name:ident($($self:tt)+) -> $ret:ty = $value:expr;)* }) => {
        impl<$($lt)? $($generic: $bound)?> $type<$($lt)? $($generic)?> {
            $(
                #[critical_process(id = $id, version = "1.0.0", sla = "10s")]
                async fn $name($($self)+) -> $ret {
                    $value
                }
            )*
        }
    };
}

struct Holder<T>(T);
struct Borrower<'b>(&'b str);

methods!(Holder<T: Clone> {
    "mac_method": method(&self) -> Result<T, T> = {
        let Holder(value) = Clone::clone(&Holder::me());
        let _: u8 = value;
        unreachable!()
    };
});

impl Holder<u8> {
    fn me() -> Holder<u8> {
        Holder(1)
    }
}

impl<T: Clone> Clone for Holder<T> {
    fn clone(&self) -> Self {
        Holder(self.0.clone())
    }
}

methods!(Borrower<'b> {
    "mac_method_lifetime": lifetime(&self, _at: usize) -> Option<&'b u8> = None;
    "mac_method_mut": mutable(&mut self) -> bool = true;
});

macro_rules! method_with_self {
    ($self:ident, $id:literal, $name:ident => $body:block) => {
        impl Borrower<'_> {
            #[critical_process(id = $id, version = "1.0.0", sla = "10s", context(length = $self.0.len()))]
            fn $name(&$self) -> usize $body
        }
    };
}

method_with_self!(self, "mac_method_self", length => { self.0.len() });

#[tokio::test(start_paused = true)]
async fn methods_may_come_from_a_macro_with_their_self() {
    let borrower = &mut Borrower("abc");
    assert_eq!(ran("mac_method_lifetime", Success, borrower.lifetime(1)).await, None);
    assert!(ran("mac_method_mut", Success, borrower.mutable()).await);
    let trial = Trial::new();
    assert_eq!(trial.call(|| borrower.length()), 3);
    trial.saw(&[("mac_method_self", Success)]);
    assert_eq!(trial.context(), [("length", "3".to_owned())]);
    let panicked = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(async {
        let _ = Holder(1_u8).method().await;
    }));
    assert!(panicked.await.is_err());
}

macro_rules! judged {
    ($pattern:pat, $guard:expr, $error:ty, $path:path, $kind:path, $key:ident) => {
        #[critical_process(
                                                                            id = "mac_rules",
                                                                            version = "1.0.0",
                                                                            sla = "10s",
                                                                            rejects($pattern if $guard),
                                                                            degraded = $path,
                                                                            error_type = $kind,
                                                                            context($key, doubled = $key * 2),
                                                                        )]
        async fn rules($key: u8) -> Result<u8, $error> {
            $key.checked_sub(5).ok_or(Refused($key))
        }
    };
}

#[derive(Debug)]
struct Refused(u8);

impl Refused {
    fn kind(&self) -> &'static str {
        if self.0 == 1 { "one" } else { "other" }
    }
}

fn is_zero(of: &u8) -> bool {
    *of == 0
}

judged!(Refused(1 | 2), true, Refused, is_zero, Refused::kind, number);

#[tokio::test(start_paused = true)]
async fn rules_may_come_from_a_macro() {
    use process_runtime::Outcome::Degraded;
    let trial = Trial::new();
    for number in [6, 5, 3, 1] {
        let _ = trial.run(rules(number)).await;
    }
    trial.saw(&[
        ("mac_rules", Success),
        ("mac_rules", Degraded),
        ("mac_rules", Failure),
        ("mac_rules", Rejected),
    ]);
    assert_eq!(trial.error_type(), Some("one"));
    assert_eq!(trial.context(), [("number", "1".to_owned()), ("doubled", "2".to_owned())]);
}

/// A library that re-exports the toolkit.
mod library {
    pub(super) mod __reexport {
        pub(in super::super) use process_runtime;
    }

    macro_rules! watched {
        ($id:literal => $item:item) => {
            #[$crate::shapes::macros::library::__reexport::process_runtime::critical_process(
                                        id = $id,
                                        version = "1.0.0",
                                        sla = "10s",
                                        crate = $crate::shapes::macros::library::__reexport::process_runtime,
                                    )]
            $item
        };
    }

    pub(super) use watched;
}

library::watched! {
    "mac_item" =>
    /// An item as a whole.
    pub(crate) async fn item<'a, T: ?Sized>(of: &'a T) -> Result<&'a str, ()>
    where
        T: AsRef<str>,
    {
        let text = of.as_ref();
        if text.is_empty() { Err(()) } else { Ok(text) }
    }
}

macro_rules! hygienic {
    ($name:ident) => {
        #[critical_process(id = "mac_hygiene", version = "1.0.0", sla = "10s", context(value = value + 1))]
        fn $name(value: u8) -> u8 {
            let result = value;
            let value = 10;
            result + value
        }
    };
}

hygienic!(hygiene);

#[tokio::test(start_paused = true)]
async fn a_library_may_wrap_the_attribute_in_a_macro_of_its_own() {
    assert_eq!(ran("mac_item", Success, item("a")).await, Ok("a"));
    assert_eq!(ran("mac_item", Failure, item("")).await, Err(()));
    let trial = Trial::new();
    assert_eq!(trial.call(|| hygiene(1)), 11);
    trial.saw(&[("mac_hygiene", Success)]);
    assert_eq!(trial.context(), [("value", "2".to_owned())]);
}
