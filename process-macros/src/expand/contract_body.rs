//! The body of a test, wrapped in its contract. The contract runs the body. The returned value decides whether the
//! test passed, by the rules for its type: for example, an `Err` means that the test failed.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::start::located;
use super::{import, ours, run, site};
use crate::function::Function;
use crate::model::Contract;
use crate::returns::Returns;

// Input:
//     #[contract(process = "greet", case = happy)]
//     async fn is_greeted() -> R { BODY }
// Output:
//     <the record and its registration>
//     let __contracted = Contracted::new(&__CONTRACT);
//     let __out = Contracted::run(&__contracted, async move BODY).await;
//     __contracted.finish(by_type!(&__out));
//     __out
// and for a plain function `Contracted::call(&__contracted, move || -> R BODY)`.
pub(super) fn body(function: &Function, contract: &Contract) -> TokenStream {
    let runtime = &contract.runtime;
    let import = import(contract.import.as_ref(), runtime);
    let record = site::of_contract(function, contract);
    let out = out(function, contract);
    let rest = match contract.returns {
        Returns::Never => quote_spanned!(ours()=> match #out {}),
        Returns::Unit | Returns::Value(_) => quote_spanned! {ours()=>
            let __out = #out;
            __contracted.finish(#runtime::__private::by_type!(&__out));
            __out
        },
    };
    quote_spanned! {ours()=>
        #import
        #record
        let __contracted = #runtime::__private::Contracted::new(&__CONTRACT);
        #rest
    }
}

/// Returns the call that runs the body in the contract. The call is `Contracted::run(…)` and not a method call. If a
/// trait of the user has a method `run(self)` and is implemented for every type, a method call would choose that method
/// instead of ours.
fn out(function: &Function, contract: &Contract) -> TokenStream {
    // The compiler reports lifetime errors of the body at the place where the body is passed as an argument. With
    // this span, that place is the body itself.
    let place = function.braces.span.join();
    let here = ours().located_at(place);
    let runtime = located(&contract.runtime, place);
    let Contract { returns, .. } = contract;
    if function.signature.asyncness.is_some() {
        let block = run::async_block(function, &contract.runtime, &function.body, returns);
        quote_spanned!(here=> #runtime::__private::Contracted::run(&__contracted, #block).await)
    } else {
        let closure = run::closure(function, &function.body, returns);
        quote_spanned!(here=> #runtime::__private::Contracted::call(&__contracted, #closure))
    }
}
