//! Mentions of the arguments in dead code. They fix the order in which the arguments are dropped.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::ours;
use crate::function::{Binding, Function};
use crate::words;

// Input:  async fn f(lock: Guard, unused: u8, sender: Sender, _kept: Guard) { sender.send(lock.value()) }
// Output: let _ = &_kept; let _ = &sender; let _ = &lock;
/// Mentions the arguments from the last to the first. A function drops its arguments in this order, but a block drops
/// its captures in the order in which it first mentions them. An argument that the body does not use is not
/// mentioned, so that the compiler still warns about it. An argument whose name starts with `_` is always mentioned,
/// because the compiler never warns about such a name.
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
