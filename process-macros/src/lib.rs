//! docs later

mod args;
mod check;
mod context;
mod entries;
mod errors;
mod expand;
mod function;
mod keys;
mod model;
mod pattern;
mod returns;
mod shape;
mod slot;
mod tail;
mod text;
mod value;
mod words;

use proc_macro::TokenStream;

use crate::keys::Kind;

/// docs later
#[proc_macro_attribute]
pub fn critical_process(attribute: TokenStream, item: TokenStream) -> TokenStream {
    instrument(Kind::Process, attribute.into(), item.into()).into()
}

/// docs later
#[proc_macro_attribute]
pub fn stage(attribute: TokenStream, item: TokenStream) -> TokenStream {
    instrument(Kind::Stage, attribute.into(), item.into()).into()
}

/// The whole way of one attribute, in the tokens that unit tests can make too.
fn instrument(
    kind: Kind,
    attribute: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let errors = errors::Errors::new();
    let slots = slot::split(attribute, kind, &errors);
    let args = args::read(kind, &slots, &errors);
    let Some(mut function) = function::read(item.clone(), kind, &errors) else {
        let told = errors.into_tokens();
        return quote::quote!(#told #item);
    };
    function.refuse_second_attribute(kind, &errors);
    let (later, runtime) = (args.later(), args.runtime());
    let model = check::check(kind, args, &function, &errors);
    match (errors.into_tokens(), model) {
        (None, Some(model)) => expand::expand(&function, &model),
        (told, _) => {
            let function = expand::bare(&function, &later, &runtime);
            quote::quote!(#told #function)
        }
    }
}
