//! The static that an expansion emits for a process, stage, contract or check. It registers the definition in the
//! runtime and refers to the text of the record, which is in a section of the object file. For a process or stage,
//! the static is a `Site`, by which the runtime finds the definition, the span name, the SLA and the statistics of
//! the function.

use proc_macro2::{Ident, Literal, TokenStream};
use process_model::Declaration;
use quote::{quote, quote_spanned};
use syn::Path;
use syn::ext::IdentExt;

use super::ours;
use crate::function::Function;
use crate::model::{Check, Contract, Instrumented};

// Input:  a record, to which the compiler adds module path, file and line
// Output: static __PROCESS: Site = site!(__PROCESS, "kind…hash…", "greet", file!(), line!());
pub(crate) fn of_process(function: &Function, model: &Instrumented) -> TokenStream {
    let runtime = &model.runtime;
    let text = text(function, &model.declaration, &model.handler);
    quote_spanned! {ours()=>
        static __PROCESS: #runtime::__private::Site = #runtime::__private::site!(__PROCESS, #text);
    }
}

// Output:
//     static __CONTRACT: LinkedContract =
//         linked!(__CONTRACT: LinkedContract, (), "kind…hash…", "is_greeted", file!(), line!());
pub(crate) fn of_contract(function: &Function, contract: &Contract) -> TokenStream {
    let runtime = &contract.runtime;
    let text = text(function, &contract.declaration, &function.signature.ident.unraw().to_string());
    quote_spanned! {ours()=>
        static __CONTRACT: #runtime::__private::LinkedContract =
            #runtime::__private::linked!(__CONTRACT: LinkedContract, (), #text);
    }
}

// Output:
//     static __CHECK: LinkedCheck =
//         linked!(__CHECK: LinkedCheck, __begin, "kind…hash…", "ping", file!(), line!());
pub(crate) fn of_check(function: &Function, check: &Check) -> TokenStream {
    let runtime = &check.runtime;
    let text = text(function, &check.declaration, &function.signature.ident.unraw().to_string());
    quote_spanned! {ours()=>
        static __CHECK: #runtime::__private::LinkedCheck =
            #runtime::__private::linked!(__CHECK: LinkedCheck, __begin, #text);
    }
}

/// Returns the arguments from which a macro of the runtime builds the text of the record.
fn text(function: &Function, declaration: &Declaration, handler: &str) -> TokenStream {
    let declaration = Literal::string(&declaration.to_text());
    let handler = Literal::string(handler);
    // The compiler expands `file!()` and `line!()` to the place of their span. Here that place is the function's
    // name.
    let place = function.signature.ident.span();
    let place = quote_spanned!(place=> ::core::file!(), ::core::line!());
    quote_spanned!(ours()=> #declaration, #handler, #place)
}

/// Returns a site without a record, for a function whose attribute has mistakes.
pub(crate) fn empty_site(runtime: &Path) -> TokenStream {
    quote_spanned! {ours()=>
        static __PROCESS: #runtime::__private::Site = #runtime::__private::Site::new(&[]);
    }
}

// Input:  later(count)
// Output: an item that `record!` finds by its name, with a constant for each key
pub(crate) fn later_keys(names: &[Ident], runtime: &Path) -> TokenStream {
    let keys = names.iter().map(|name| {
        let key = name.unraw().to_string();
        // The constant's name keeps its position but gets the hygiene of generated code. Otherwise the user would see
        // lints about the spelling of the name and about an unused constant.
        let mut name = name.clone();
        name.set_span(ours().located_at(name.span()));
        quote_spanned! {ours()=>
            const #name: #runtime::__private::LaterKey =
                #runtime::__private::LaterKey::new(&__PROCESS, #key);
        }
    });
    let keys = quote!(#(#keys)*);
    quote_spanned! {ours()=>
        struct KeysDeclaredWithLaterOnThisFunction;
        impl KeysDeclaredWithLaterOnThisFunction { #keys }
    }
}
