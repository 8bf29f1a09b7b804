//! Statements in dead code that mention the arguments. They preserve the order in which the arguments are dropped.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::ours;
use crate::function::{Binding, Function};
use crate::words;

// Input:  async fn f(lock: Guard, unused: u8, sender: Sender, _kept: Guard) { sender.send(lock.value()) }
// Output: let _ = &_kept; let _ = &sender; let _ = &lock;
/// Mentions the arguments from the last to the first, which is the order in which a function drops its arguments. The
/// body becomes a closure or an async block, which drops its captures in the order of their first mention. An
/// argument that the body does not use is mentioned only if its name starts with `_`. The compiler warns about all
/// other unused arguments, and a mention would suppress the warning.
pub(crate) fn in_order_of_drop(function: &Function) -> TokenStream {
    let is_named = |Binding { name, .. }: &&Binding| {
        let written = name.to_string();
        written.starts_with('_') || function.mentions(&written) || words::formats(&function.body, name)
    };
    function.owned().iter().filter(is_named).rev().map(mention).collect()
}

fn mention(Binding { name, cfgs }: &Binding) -> TokenStream {
    let is_underscored = name.to_string().starts_with('_');
    let allow = is_underscored.then(|| {
        quote_spanned!(ours()=> #[allow(clippy::used_underscore_binding, reason = "dropped in the function's order")])
    });
    let borrow = quote_spanned!(ours()=> #allow let _ = &#name;);
    quote!(#(#cfgs)* #borrow)
}
