//! Mentions of the arguments, for the order in which they are dropped. They are dead code.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::ours;
use crate::function::Binding;
use crate::words::words;

// Input:  async fn f(lock: Guard, unused: u8, sender: Sender) { sender.send(lock.value()) }
// Output: let _ = &sender; let _ = &lock;
/// A function drops its arguments from the last to the first, and a block those that it captured in the
/// order of their first mention. What the body does not name is left alone, so that the compiler still
/// warns of it.
pub(crate) fn in_order_of_drop(owned: &[Binding], body: &TokenStream) -> TokenStream {
    if owned.len() < 2 {
        return TokenStream::new();
    }
    let words = words(body);
    let named = owned.iter().filter(|binding| words.contains(&binding.name));
    let named: Vec<_> = named.collect();
    if named.len() < 2 {
        return TokenStream::new();
    }
    let mentions = named.into_iter().rev().map(|Binding { name, cfgs }| {
        let borrow = quote_spanned!(ours()=> let _ = &#name;);
        quote!(#(#cfgs)* #borrow)
    });
    mentions.collect()
}
