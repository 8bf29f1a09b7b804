//! The body of a test inside its contract: observed, and judged by the type of what it returns.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::capture::located;
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
// and of a plain function `Contracted::call(&__contracted, move || -> R BODY)`.
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

/// What the body returned. By paths, since a method of the user's for every type that takes `self` would be
/// preferred to one of ours on a reference.
fn out(function: &Function, contract: &Contract) -> TokenStream {
    // Errors about what is borrowed for how long are told where the value passes: at the body.
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
