//! The body inside its run, for each [`Shape`]. The body is emitted once, between the user's own braces,
//! with the return type that was written, so that type errors point at the user's code.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Path, Type};

use super::judge::judge;
use super::mentions;
use super::ours;
use crate::function::Function;
use crate::model::{Model, Shape};
use crate::returns::Returns;
use crate::tail::Tail;

pub(crate) fn wrap(function: &Function, model: &Model) -> TokenStream {
    match &model.shape {
        Shape::Async { body, returns } => asynchronous(function, model, body, returns),
        Shape::Sync { body, returns } => synchronous(model, &in_closure(function, body), returns),
        Shape::ByType { body, returns } => by_type(model, &in_closure(function, body), returns),
        Shape::Tail { tail, output } => at_tail(model, tail, output),
        Shape::Future { body, output } => future(model, &in_closure(function, body), output),
    }
}

fn asynchronous(function: &Function, model: &Model, body: &TokenStream, returns: &Returns) -> TokenStream {
    let mentions = mentions::in_order_of_drop(&function.owned(), body);
    let fixed = fix_type(returns, &model.runtime);
    let dead = quote!(#mentions #fixed);
    let place = function.braces.span.join();
    let block = after_dead_code(&dead, body, place);
    let block = quote_spanned!(ours()=> async move #block);
    in_scope(model, &block, place, returns)
}

// Input:  an async block
// Output:
//     let __out = __run.scope(<block>).await;
//     <judgement>
//     __out
fn in_scope(model: &Model, block: &TokenStream, place: Span, returns: &Returns) -> TokenStream {
    // Errors about what is borrowed for how long are told where the value passes: at the body.
    let here = ours().located_at(place);
    let run = quote_spanned!(here=> __run.scope(#block).await);
    let judge = judge(model, quote_spanned!(ours()=> &__out), Some(returns));
    match returns {
        Returns::Never => quote_spanned!(here=> match #run {}),
        _ => quote_spanned! {here=>
            let __out = #run;
            #judge
            __out
        },
    }
}

/// The body as that of a closure.
fn in_closure(function: &Function, body: &TokenStream) -> TokenStream {
    let mentions = mentions::in_order_of_drop(&function.owned(), body);
    if mentions.is_empty() {
        function.in_braces(body)
    } else {
        after_dead_code(&mentions, body, function.braces.span.join())
    }
}

// Input:  BODY, and statements that only the compiler reads
// Output: { if false { STATEMENTS } { BODY } }
fn after_dead_code(dead: &TokenStream, body: &TokenStream, place: Span) -> TokenStream {
    let dead = if dead.is_empty() { TokenStream::new() } else { quote_spanned!(ours()=> if false { #dead }) };
    // The body keeps a block of its own, since items that it starts with are to stay at a start.
    let body = braced(body.clone(), place);
    braced(quote!(#dead #body), place).into_token_stream()
}

/// Braces that errors about a block as a whole point at, and lints about its style do not.
fn braced(tokens: TokenStream, place: Span) -> Group {
    let mut block = Group::new(Delimiter::Brace, tokens);
    block.set_span(ours().located_at(place));
    block
}

/// A statement that tells the compiler what the block around it returns: an async block has no place for
/// a type.
fn fix_type(returns: &Returns, runtime: &Path) -> TokenStream {
    match returns {
        Returns::Unit => quote_spanned!(ours()=> return;),
        Returns::Value(ty) if matches!(**ty, Type::Infer(_)) => TokenStream::new(),
        Returns::Never | Returns::Value(_) => {
            let ty = nameable(returns);
            let value = quote_spanned!(ours()=> #runtime::__private::unreachable_value::<#ty>());
            // What was inferred from this statement is explained at the type that was written.
            let value = braced(value, ty.span());
            quote_spanned!(ours()=> return #value;)
        }
    }
}

/// The type as it can be written within the body; nothing is a value of `Infallible`, as of `!`.
fn nameable(returns: &Returns) -> TokenStream {
    match returns {
        Returns::Unit => quote_spanned!(ours()=> ()),
        Returns::Never => quote_spanned!(ours()=> ::core::convert::Infallible),
        Returns::Value(ty) => ty.to_token_stream(),
    }
}

// Output: Plain.run(__run, move || -> R BODY, |__run, __out| <judgement>)
fn synchronous(model: &Model, body: &TokenStream, returns: &Returns) -> TokenStream {
    let runtime = &model.runtime;
    let ty = nameable(returns);
    let judge = judge_closure(model, Some(returns), quote_spanned!(ours()=> _));
    let run = quote_spanned! {ours()=>
        #runtime::__private::Plain.run(__run, move || -> #ty #body, #judge)
    };
    match returns {
        Returns::Never => quote_spanned!(ours()=> match #run {}),
        _ => run,
    }
}

// Output:
//     let __kind = Kind::<R>::NEW;
//     let __kind = { use probe::*; (&__kind).__process_kind() };
//     __kind.run(__run, move || -> R BODY, |__run, __out| <judgement>)
fn by_type(model: &Model, body: &TokenStream, returns: &Type) -> TokenStream {
    let runtime = &model.runtime;
    let judge = judge_closure(model, None, quote_spanned!(ours()=> _));
    quote_spanned! {ours()=>
        let __kind = #runtime::__private::probe::Kind::<#returns>::NEW;
        let __kind = { use #runtime::__private::probe::*; (&__kind).__process_kind() };
        __kind.run(__run, move || -> #returns #body, #judge)
    }
}

// Output: future(__run, __once(move || BODY), |__run, __out: &T| <judgement>)
fn future(model: &Model, body: &TokenStream, output: &Returns) -> TokenStream {
    let runtime = &model.runtime;
    let judge = judge_closure(model, Some(output), nameable(output));
    // A closure that is called where it stands may be taken for one that is called often, and then
    // nothing may be borrowed from what it captured.
    quote_spanned! {ours()=>
        fn __once<__F: ::core::ops::FnOnce() -> __T, __T>(body: __F) -> __T { body() }
        #runtime::__private::future(__run, __once(move || #body), #judge)
    }
}

fn judge_closure(model: &Model, returns: Option<&Returns>, ty: TokenStream) -> TokenStream {
    let runtime = &model.runtime;
    let judge = judge(model, quote_spanned!(ours()=> __out), returns);
    quote_spanned! {ours()=>
        |__run: &mut #runtime::__private::Run, __out: &#ty| { #judge }
    }
}

// Input:  STATEMENTS Box::pin(async move { BODY })
// Output:
//     STATEMENTS
//     Box::pin(async move {
//         let mut __run = __run;
//         let __out = __run.scope(async move { <fixes the type> BODY }).await;
//         <judgement>
//         __out
//     })
fn at_tail(model: &Model, tail: &Tail, output: &Returns) -> TokenStream {
    let Tail { before, keywords, block, .. } = tail;
    let fixed = fix_type(output, &model.runtime);
    let inner = after_dead_code(&fixed, &block.stream(), block.span());
    let inner = quote_spanned!(ours()=> #(#keywords)* #inner);
    let run = in_scope(model, &inner, block.span(), output);
    let outer = quote_spanned! {ours()=>
        async move {
            let mut __run = __run;
            #run
        }
    };
    let tail = tail.with_block(outer);
    quote!(#before #tail)
}
