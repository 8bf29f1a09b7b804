//! The statics that a definition leaves behind: its record in the object file's section, the site that the
//! runtime keeps its accounts at, and the registration.

use proc_macro2::{Ident, Literal, TokenStream};
use process_model::wire;
use quote::{quote, quote_spanned};
use syn::Path;
use syn::ext::IdentExt;

use super::ours;
use crate::function::Function;
use crate::model::Model;

// Input:  a record, and what only the compiler knows: module path, file and line
// Output: static __PROCESS: Site = site!(__PROCESS, concat!("kind…hash…", "handler…", module_path!(), …));
pub(crate) fn items(function: &Function, model: &Model) -> TokenStream {
    let runtime = &model.runtime;
    let text = text(function, model);
    quote_spanned! {ours()=>
        static __PROCESS: #runtime::__private::Site = #runtime::__private::site!(__PROCESS, #text);
    }
}

/// The record's text as a constant expression.
fn text(function: &Function, model: &Model) -> TokenStream {
    // `field` with a mark for the value gives the separators around what the compiler fills in.
    let around = |key: &str| {
        let field = wire::field(key, "?");
        let (before, after) = field.split_once('?').unwrap_or((&field, ""));
        (before.to_owned(), after.to_owned())
    };
    let (before_handler, after_handler) = around("handler");
    let (before_file, after_file) = around("file");
    let (before_line, after_line) = around("line");
    let definition = Literal::string(&(model.record.definition_text() + &before_handler));
    let name = Literal::string(&format!("::{}{after_handler}{before_file}", model.handler));
    let between = Literal::string(&(after_file + &before_line));
    let end = Literal::string(&after_line);
    // These two macros tell the place that they are written at: here, the function's name.
    let place = function.signature.ident.span();
    let file = quote_spanned!(place=> ::core::file!());
    let line = quote_spanned!(place=> ::core::line!());
    quote_spanned! {ours()=>
        ::core::concat!(#definition, ::core::module_path!(), #name, #file, #between, #line, #end)
    }
}

/// A site without a record, for a function whose attribute is wrong.
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
        // Located at the name, but ours: lints about names and unused constants are not for the user.
        let mut name = name.clone();
        name.set_span(ours().located_at(name.span()));
        quote_spanned! {ours()=>
            const #name: #runtime::__private::LaterKey =
                #runtime::__private::LaterKey::new(&__PROCESS, #key);
        }
    });
    let keys = quote!(#(#keys)*);
    quote_spanned! {ours()=>
        struct KeysDeclaredWithLater;
        impl KeysDeclaredWithLater { #keys }
    }
}
