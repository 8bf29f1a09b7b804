//! Turns a [`Model`] and its function into tokens. Nothing here can fail. The expansion has no logic of its own: it
//! consists of data and of calls into the `__private` module of the runtime. Each part of the expansion has its own
//! file.

mod check_item;
mod contract_body;
mod judgement;
mod mentions;
mod run;
mod site;
mod start;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;
use syn::spanned::Spanned;

pub(crate) use self::start::value;

use crate::function::Function;
use crate::model::{Instrumented, Model};
use crate::words;

/// The span that gives generated code its own hygiene: the body cannot use the local names of generated code, and
/// generated code cannot use the local names of the body.
fn ours() -> Span {
    Span::mixed_site()
}

/// Returns the expansion of the function.
pub(crate) fn expand(function: &Function, model: &Model) -> TokenStream {
    match model {
        Model::Instrumented(model) => function.print(instrumented(function, model)),
        Model::Contract(contract) => function.print(contract_body::body(function, contract)),
        Model::Check(check) => {
            let (function, check) = (function.print(&function.body), check_item::item(function, check));
            quote!(#function #check)
        }
    }
}

// Input:
//     #[critical_process(id = "greet", …)]
//     async fn greet(who: &str) -> String { BODY }
// Output:
//     <the record and its registration>
//     let mut __run = …;
//     <evaluation of the context>
//     <BODY inside the run, then the judgement>
fn instrumented(function: &Function, model: &Instrumented) -> TokenStream {
    let import = import(model.import.as_ref(), &model.runtime);
    let record = site::of_process(function, model);
    let later = later(function, model);
    let kind = run::kind(model);
    let start = start::start(model);
    let returns = run::returns(model);
    let run = run::wrap(function, model);
    quote_spanned!(ours()=> #import #record #later #kind #start #returns #run)
}

fn import(import: Option<&Path>, runtime: &Path) -> Option<TokenStream> {
    import.map(|path| quote_spanned!(path.span()=> use #path as #runtime;))
}

/// Returns the item in which `record!` finds the keys of `later(…)`. If the body contains the word `record`, the item
/// is emitted even without keys. Without the item, `record!` in the body would find the keys of an enclosing
/// function.
fn later(function: &Function, model: &Instrumented) -> TokenStream {
    if model.later.is_empty() && words::find(&function.body, "record").is_none() {
        return TokenStream::new();
    }
    site::later_keys(&model.later, &model.runtime)
}

/// Returns the function without a run, for an attribute with mistakes. The keys of `later(…)` are still declared, so
/// that `record!` in the body causes no further error.
pub(crate) fn bare(function: &Function, later: &[Ident], runtime: &Path) -> TokenStream {
    let body = &function.body;
    if later.is_empty() {
        return function.print(body);
    }
    let site = site::empty_site(runtime);
    let later = site::later_keys(later, runtime);
    let body = function.in_braces(body);
    function.print(quote_spanned!(ours()=> #site #later #body))
}
