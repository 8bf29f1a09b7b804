//! The start of a run: the statements that create the run and evaluate its context. The context is evaluated only if
//! the run is observed: if the span, Sentry or a sink receives it.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Path};

use super::ours;
use crate::context::Sigil;
use crate::model::{Instrumented, Put, Wrapper};

/// The functions of the runtime that context expressions can call without an import.
const HELPERS: [&str; 3] = ["truncate", "mask", "hash"];

// Input:  context(who, n = who.len())
// Output:
//     let mut __run = Run::new(&__PROCESS);
//     Run::begin(&mut __run, &mut EntryContext::once(|__cx| { __cx.put("who", …); __cx.put("n", …); }));
pub(crate) fn start(model: &Instrumented) -> TokenStream {
    let runtime = &model.runtime;
    let run = quote_spanned! {ours()=>
        let mut __run = #runtime::__private::Run::new(&__PROCESS);
    };
    if model.entries.is_empty() {
        return run;
    }
    let helpers = helpers(model);
    let puts = model.entries.iter().map(|entry| put(entry, runtime));
    let puts = quote!(#(#puts)*);
    // If the run is a returned future, it begins at its first poll. At the call, only its context is evaluated.
    let take = match model.wrapper {
        Wrapper::Async { .. } | Wrapper::Sync { .. } => {
            quote_spanned!(ours()=> #runtime::__private::Run::begin)
        }
        Wrapper::ByType { .. } => quote_spanned!(ours()=> __kind.take),
        Wrapper::Tail { .. } | Wrapper::Future { .. } => {
            quote_spanned!(ours()=> #runtime::__private::Run::capture)
        }
    };
    quote_spanned! {ours()=>
        #run
        #take(
            &mut __run,
            &mut #runtime::__private::EntryContext::once(
                |__cx: &mut #runtime::__private::EntryContext| { #helpers #puts }
            ),
        );
    }
}

fn helpers(model: &Instrumented) -> TokenStream {
    let runtime = &model.runtime;
    let called = HELPERS.iter().filter(|helper| {
        let mut values = model.entries.iter().map(|entry| &entry.value);
        values.any(|value| calls(value.to_token_stream(), helper))
    });
    called
        .map(|helper| {
            let helper = Ident::new(helper, ours());
            quote_spanned!(ours()=> use #runtime::context::#helper;)
        })
        .collect()
}

/// Whether the tokens contain a call `name(…)` without a path or a receiver before the name.
fn calls(tokens: TokenStream, name: &str) -> bool {
    let tokens = Vec::from_iter(tokens);
    let is_bare_call = |at: usize| {
        let stands_alone = at == 0
            || !matches!(&tokens[at - 1], TokenTree::Punct(punct) if matches!(punct.as_char(), ':' | '.'));
        let called = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
        stands_alone && called && tokens[at].to_string() == name
    };
    (0..tokens.len()).any(|at| match &tokens[at] {
        TokenTree::Group(group) => calls(group.stream(), name),
        _ => is_bare_call(at),
    })
}

fn put(entry: &Put, runtime: &Path) -> TokenStream {
    let Put { key, value: written, sigil, cfgs } = entry;
    let value = value(runtime, *sigil, written);
    quote_spanned! {ours()=>
        #(#cfgs)*
        __cx.put(#key, #value);
    }
}

/// Returns the expression that converts a value for recording.
pub(crate) fn value(runtime: &Path, sigil: Sigil, value: &Expr) -> TokenStream {
    match sigil {
        Sigil::Plain => plain(value, runtime),
        Sigil::Display => by_trait(value, runtime, "display"),
        Sigil::Debug => by_trait(value, runtime, "debug"),
    }
}

// Input:  who
// Output:
//     match &who { __v => {
//         use probe::{self, *};
//         (&&&probe::CaptureKind(__v)).__process_capture().__process_value(__v)
//     } }
fn plain(value: &Expr, runtime: &Path) -> TokenStream {
    let operand = operand(value);
    // With this span, an error about a type that cannot be recorded points at the user's expression.
    let captured = all_of(value, quote_spanned!(ours()=> __v));
    let (start, _) = ends(value);
    let capture = quote_spanned!(ours().located_at(start)=> __process_value);
    quote_spanned! {ours()=>
        match &#operand {
            __v => {
                use #runtime::__private::probe::{self, *};
                (&&&probe::CaptureKind(__v)).__process_capture().#capture(#captured)
            }
        }
    }
}

// Input:  %who
// Output: match &who { __v => { use display as __form; __form(__v) } }
fn by_trait(value: &Expr, runtime: &Path, function: &str) -> TokenStream {
    let operand = operand(value);
    let captured = all_of(value, quote_spanned!(ours()=> __v));
    let (start, _) = ends(value);
    let here = ours().located_at(start);
    let function = Ident::new(function, here);
    let form = Ident::new("__form", here);
    quote_spanned! {ours()=>
        match &#operand {
            __v => {
                use #runtime::__private::#function as #form;
                #form(#captured)
            }
        }
    }
}

/// Returns the expression as an operand of `&`. Adds parentheses if `&` could otherwise apply to only a part of the
/// expression.
fn operand(value: &Expr) -> TokenStream {
    match value {
        Expr::Path(_)
        | Expr::Field(_)
        | Expr::Index(_)
        | Expr::Lit(_)
        | Expr::Macro(_)
        | Expr::Call(_)
        | Expr::MethodCall(_)
        | Expr::Paren(_)
        | Expr::Reference(_) => value.to_token_stream(),
        _ => quote_spanned!(ours()=> (#value)),
    }
}

/// Returns the reborrow `&*name` with the spans of `tokens`, so that errors about the reborrowed value point at
/// `tokens`.
pub(crate) fn all_of(tokens: impl ToTokens, name: TokenStream) -> TokenStream {
    let (start, end) = ends(tokens);
    let borrow = quote_spanned!(ours().located_at(start)=> &*);
    let name = name.into_iter().map(|mut token| {
        token.set_span(ours().located_at(end));
        token
    });
    quote!(#borrow #(#name)*)
}

/// Returns the tokens with unchanged hygiene, but with the position `place`, at which the compiler then reports
/// errors.
pub(crate) fn located(tokens: impl ToTokens, place: Span) -> TokenStream {
    let tokens = tokens.into_token_stream().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(place));
        token
    });
    tokens.collect()
}

/// Returns the spans of the first and the last token.
fn ends(tokens: impl ToTokens) -> (Span, Span) {
    let mut spans = tokens.into_token_stream().into_iter().map(|t| t.span());
    let first = spans.next().unwrap_or_else(ours);
    (first, spans.last().unwrap_or(first))
}
