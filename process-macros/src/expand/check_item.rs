//! The item that is emitted after the function of a check. It contains the record of the check, the registration of
//! this record, and a function that calls the check.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::ReturnType;
use syn::spanned::Spanned;

use super::start::located;
use super::{import, ours, site};
use crate::function::Function;
use crate::model::{Argument, Check};

// Input:
//     #[dependency_check(id = "orders_db")]
//     async fn ping(pool: Pool) -> Result<(), Error> { BODY }
// Output:
//     async fn ping(pool: Pool) -> Result<(), Error> { BODY }
//     const _: () = {
//         fn __begin(__states: &States) -> Result<Checking, MissingState> {
//             let __0 = States::get::<Pool>(__states)?;
//             Ok(checking(ping(__0), CheckEnd::of))
//         }
//         <the record and its registration>
//     };
pub(super) fn item(function: &Function, check: &Check) -> TokenStream {
    let runtime = &check.runtime;
    let import = import(check.import.as_ref(), runtime);
    let record = site::of_check(function, check);
    let name = &function.signature.ident;
    let arguments = check.arguments.iter().enumerate();
    let (takes, gives): (Vec<_>, Vec<_>) = arguments.map(|(at, argument)| take(at, argument, check)).unzip();
    // With these spans, errors about the future point at the function's name, and errors about the return value point
    // at the return type.
    let place = name.span();
    let checking = located(quote_spanned!(ours()=> #runtime::__private::checking), place);
    let called = quote_spanned!(ours().located_at(place)=> #name(#(#gives),*));
    let judge = quote_spanned!(ours()=> #runtime::__private::CheckEnd::of);
    let judge = match &function.signature.output {
        ReturnType::Type(_, ty) => located(judge, ty.span()),
        ReturnType::Default => judge,
    };
    quote_spanned! {ours()=>
        const _: () = {
            #import
            #[allow(deprecated, reason = "a deprecated check still runs")]
            fn __begin(
                __states: &#runtime::__private::States,
            ) -> ::core::result::Result<#runtime::__private::Checking, #runtime::__private::MissingState> {
                #(#takes)*
                ::core::result::Result::Ok(#checking(#called, #judge))
            }
            #record
        };
    }
}

/// Returns the statement that takes an argument from the application's state, and the expression that passes it to
/// the function.
fn take(at: usize, argument: &Argument, check: &Check) -> (TokenStream, TokenStream) {
    let Argument { ty, cfgs } = argument;
    let runtime = &check.runtime;
    let name: Ident = format_ident!("__{at}", span = ours());
    let take = quote_spanned! {ours()=>
        #(#cfgs)* let #name = #runtime::__private::States::get::<#ty>(__states)?;
    };
    let give = quote_spanned!(ours()=> #(#cfgs)* #name);
    (take, give)
}
