//! The statements that turn a return value into an outcome. Probes, which are traits of the runtime, choose the
//! outcome by the type of the value. The rules of the attribute make exceptions for certain values. A scope that
//! imports the probes must not contain tokens of the user, because the probes would be visible to them.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ExprPath, Path};

use super::ours;
use super::start::{all_of, located};
use crate::model::{Instrumented, Judging, Rules};
use crate::pattern::Arm;
use crate::returns::Returns;

// Input:  a reference to what the body returned
// Output: a statement that ends `__run`
pub(crate) fn judge(model: &Instrumented, returned: TokenStream, returns: Option<&Returns>) -> TokenStream {
    let judge = Judgement { runtime: &model.runtime, returned };
    match (&model.judging, returns) {
        (Judging::Rules(rules), Some(Returns::Unit | Returns::Never)) if rules.is_empty() => judge.success(),
        (Judging::Rules(rules), _) if rules.is_empty() => judge.by_type(),
        (Judging::Rules(rules), _) => judge.by_rules(rules),
        (Judging::Outcome { verdict, error_type }, _) => judge.by_verdict(verdict, error_type.as_ref()),
    }
}

struct Judgement<'m> {
    runtime: &'m Path,
    returned: TokenStream,
}

impl Judgement<'_> {
    fn success(&self) -> TokenStream {
        let runtime = self.runtime;
        quote_spanned!(ours()=> __run.end(#runtime::__private::Ending::success());)
    }

    // Output: __run.end(by_type!(&__out));
    fn by_type(&self) -> TokenStream {
        let verdict = self.verdict();
        quote_spanned!(ours()=> __run.end(#verdict);)
    }

    fn verdict(&self) -> TokenStream {
        let Judgement { runtime, returned } = self;
        quote_spanned!(ours()=> #runtime::__private::by_type!(#returned))
    }

    // Input:  rejects(Error::Empty), degraded = path
    // Output:
    //     __run.judge(<by type>, &mut |__ending| match <split> {
    //         Ok(__v) => if path(__v) { Ending::degraded() } else { __ending },
    //         Err(__e) => if match __e { Error::Empty => true, _ => false } { __ending.rejected() } else { __ending },
    //     });
    fn by_rules(&self, rules: &Rules) -> TokenStream {
        let verdict = self.verdict();
        let good = self.good(rules);
        let bad = self.bad(rules);
        let ending = match (&good, &bad) {
            (None, None) => quote_spanned!(ours()=> __ending),
            _ => {
                let unchanged = quote_spanned!(ours()=> __ending);
                self.split(good.unwrap_or_else(|| unchanged.clone()), bad.unwrap_or(unchanged))
            }
        };
        let ending = self.fails(rules, ending);
        quote_spanned!(ours()=> __run.judge(#verdict, &mut |__ending| #ending);)
    }

    fn by_verdict(&self, verdict: &ExprPath, error_type: Option<&ExprPath>) -> TokenStream {
        let Judgement { runtime, returned } = self;
        let returned = quote_spanned!(ours()=> (#returned));
        let verdict = fixed(verdict, call(verdict, returned), quote_spanned!(ours()=> #runtime::Verdict));
        let ending = quote_spanned!(ours()=> #runtime::__private::Ending::from_verdict(#verdict));
        let ending = match error_type {
            None => ending,
            Some(path) => {
                let bad = self.with_error_type(&ending, path);
                self.split(ending, bad)
            }
        };
        let by_type = self.verdict();
        quote_spanned!(ours()=> __run.judge(#by_type, &mut |_| #ending);)
    }

    fn split(&self, good: TokenStream, bad: TokenStream) -> TokenStream {
        let Judgement { runtime, returned } = self;
        quote_spanned! {ours()=>
            match { use #runtime::__private::probe::{self, *}; (&probe::Return(#returned)).__process_split() } {
                ::core::result::Result::Ok(__v) => #good,
                ::core::result::Result::Err(__e) => #bad,
            }
        }
    }

    /// Returns the expression for the ending of a run that returned the value `__v`. Returns `None` if no rule can
    /// change the ending.
    fn good(&self, rules: &Rules) -> Option<TokenStream> {
        let runtime = self.runtime;
        let condition = call(rules.degraded.as_ref()?, quote_spanned!(ours()=> __v));
        Some(quote_spanned! {ours()=>
            if #condition { #runtime::__private::Ending::degraded() } else { __ending }
        })
    }

    /// Returns the expression for the ending of a run that returned the error `__e`. Returns `None` if no rule can
    /// change the ending.
    fn bad(&self, rules: &Rules) -> Option<TokenStream> {
        let ending = quote_spanned!(ours()=> __ending);
        let ending = match &rules.error_type {
            Some(path) => self.with_error_type(&ending, path),
            None => ending,
        };
        if rules.rejects.is_empty() {
            return rules.error_type.is_some().then_some(ending);
        }
        let is_rejected = self.is_rejected(&rules.rejects);
        Some(quote_spanned! {ours()=> {
            let __ending = #ending;
            if #is_rejected { __ending.rejected() } else { __ending }
        }})
    }

    // Input:  (Error::Empty, as AuthError: AuthError::Expired)
    // Output:
    //     match __e { Error::Empty => true, _ => false }
    //         || match <find in the chain> { Some(AuthError::Expired) => true, _ => false }
    fn is_rejected(&self, arms: &[Arm]) -> TokenStream {
        let (within, direct): (Vec<_>, Vec<_>) = arms.iter().partition(|arm| arm.within.is_some());
        let mut tests = Vec::new();
        if !direct.is_empty() {
            let heads = direct.iter().map(|arm| arm.head());
            tests.push(is_any(quote_spanned!(ours()=> __e), heads));
        }
        tests.extend(within.iter().map(|arm| self.is_within(arm)));
        let mut tests = tests.into_iter();
        let first = tests.next();
        let rest = quote_spanned!(ours()=> #(|| #tests)*);
        quote!(#first #rest)
    }

    fn is_within(&self, arm: &Arm) -> TokenStream {
        let within = &arm.within;
        let runtime = self.runtime;
        // With this span, an error about a type that no chain can contain points at that type.
        let here = ours().located_at(within.span());
        let found = quote_spanned! {here=> {
            let __found: ::core::option::Option<&#within> =
                { use #runtime::__private::probe::{self, *}; (&&&&probe::Search(__e)).__process_find() };
            __found
        }};
        let head = arm.head_within(&quote_spanned!(ours()=> ::core::option::Option::Some));
        is_any(found, [head].into_iter())
    }

    fn fails(&self, rules: &Rules, otherwise: TokenStream) -> TokenStream {
        if rules.fails.is_empty() {
            return otherwise;
        }
        let Judgement { runtime, returned } = self;
        let failed = is_any(returned.clone(), rules.fails.iter().map(Arm::head));
        quote_spanned! {ours()=>
            if #failed { #runtime::__private::Ending::failure() } else { #otherwise }
        }
    }

    // Output: __ending.error_type(error_type(__e, |__e| { let __fixed: &'static str = path(__e); __fixed }))
    /// The user's function may return a text that borrows from the error, which is a mistake. The closure makes the
    /// compiler report the mistake only once, at the path of the function.
    fn with_error_type(&self, ending: &TokenStream, path: &ExprPath) -> TokenStream {
        let runtime = self.runtime;
        let here = ours().located_at(path.span());
        let error_type = call(path, quote_spanned!(ours()=> __e));
        let error_type = fixed(path, error_type, quote_spanned!(ours()=> &'static ::core::primitive::str));
        let error_type = quote_spanned!(here=> |__e| #error_type);
        quote_spanned! {ours()=>
            #ending.error_type(#runtime::__private::error_type(__e, #error_type))
        }
    }
}

/// Returns an expression that is true if the value matches any of the heads. A head is a pattern with its guard.
fn is_any(value: TokenStream, heads: impl Iterator<Item = TokenStream>) -> TokenStream {
    let arms = heads.map(|head| quote_spanned!(ours()=> #head => true,));
    let arms = quote!(#(#arms)*);
    quote_spanned!(ours()=> match #value { #arms _ => false })
}

/// Returns an expression that assigns `value`, the result of the user's function at `path`, to a variable of type
/// `ty`. The compiler then reports a wrong result type only once, at the path.
fn fixed(path: &ExprPath, value: TokenStream, ty: TokenStream) -> TokenStream {
    let place = path.span();
    let ty = located(ty, place);
    quote_spanned! {ours().located_at(place)=> {
        let __fixed: #ty = #value;
        __fixed
    }}
}

/// Returns the call of the user's function at `path` with the argument `reference`. The compiler reports a mismatch
/// of types at the path.
fn call(path: &ExprPath, reference: TokenStream) -> TokenStream {
    let argument = all_of(path, reference);
    quote_spanned!(ours().located_at(path.span())=> #path(#argument))
}
