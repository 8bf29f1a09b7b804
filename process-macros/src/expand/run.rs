//! Wraps the body in its run, in a different way for each [`Wrapper`]. The body is emitted once, between the user's
//! own braces and with the return type that the user wrote. Therefore type errors point at the user's code.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Path, ReturnType, Type};

use super::judgement::judge;
use super::mentions;
use super::ours;
use super::start::{all_of, located};
use crate::function::Function;
use crate::model::{Instrumented, Judging, Wrapper};
use crate::returns::{self, Returns};
use crate::tail::Tail;

// Output: returns!(Result<T, E>);
/// Returns a statement that registers the return type of the run. Tests need the type to inject an error. Returns
/// nothing for unit, never and a type that cannot be named; tests then cannot inject an error.
pub(crate) fn returns(model: &Instrumented) -> TokenStream {
    let ty = match &model.wrapper {
        Wrapper::Async { returns, .. } | Wrapper::Sync { returns, .. } => returns.value(),
        Wrapper::Tail { output, .. } | Wrapper::Future { output, .. } => output.value(),
        Wrapper::ByType { returns, .. } => Some(returns),
    };
    let runtime = &model.runtime;
    let ty = ty.filter(|ty| returns::is_nameable(ty));
    ty.map(|ty| quote_spanned!(ours()=> #runtime::__private::returns!(#ty);)).unwrap_or_default()
}

pub(crate) fn wrap(function: &Function, model: &Instrumented) -> TokenStream {
    match &model.wrapper {
        Wrapper::Async { body, returns } => asynchronous(function, model, body, returns),
        Wrapper::Sync { body, returns } => synchronous(function, model, body, returns),
        Wrapper::ByType { body, returns } => by_type(function, model, &in_closure(function, body), returns),
        Wrapper::Tail { tail, output } => at_tail(function, model, tail, output),
        Wrapper::Future { body, output } => future(function, model, &in_closure(function, body), output),
    }
}

fn asynchronous(
    function: &Function,
    model: &Instrumented,
    body: &TokenStream,
    returns: &Returns,
) -> TokenStream {
    let block = async_block(function, &model.runtime, body, returns);
    in_run(model, &block, function.braces.span.join(), returns)
}

// Output: async move { if false { <mentions> <fixes the type> } BODY }
/// Returns the body of an `async fn` as an async block.
pub(super) fn async_block(
    function: &Function,
    runtime: &Path,
    body: &TokenStream,
    returns: &Returns,
) -> TokenStream {
    let mentions = mentions::in_order_of_drop(function);
    let fixed = fix_type(returns, function, runtime);
    let dead = quote!(#mentions #fixed);
    let place = function.braces.span.join();
    let block = after_dead_code(&dead, body, place);
    let keyword = function.signature.asyncness.map_or(place, |keyword| keyword.span());
    let head = quote_spanned!(keyword=> async move);
    quote!(#head #block)
}

// Input:  an async block
// Output:
//     let __out = Run::drive(&mut __run, <block>).await;
//     let __run = &mut __run;
//     <judgement>
//     __out
/// `__run` becomes a reference before its methods are called. Otherwise the compiler would prefer a method of the
/// same name with `self`, of a user's trait that every type implements, to our method with `&mut self`.
fn in_run(model: &Instrumented, block: &TokenStream, place: Span, returns: &Returns) -> TokenStream {
    // The compiler reports lifetime errors of the body at the place where the body is passed as an argument. With
    // this span, that place is the body itself.
    let here = ours().located_at(place);
    let runtime = located(&model.runtime, place);
    let run = quote_spanned!(here=> #runtime::__private::Run::drive(&mut __run, #block).await);
    let judge = judge(model, quote_spanned!(ours()=> &__out), Some(returns));
    match returns {
        Returns::Never => quote_spanned!(here=> match #run {}),
        _ => quote_spanned! {here=>
            let __out = #run;
            let __run = &mut __run;
            #judge
            __out
        },
    }
}

/// Returns the body as the block of a closure.
fn in_closure(function: &Function, body: &TokenStream) -> TokenStream {
    let mentions = mentions::in_order_of_drop(function);
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
    // The body keeps its own block. Otherwise items at the start of the body would come after a statement, which a
    // lint of clippy reports.
    let body = braced(body.clone(), ours().located_at(place));
    braced(quote!(#dead #body), place).into_token_stream()
}

/// Returns a block with the position `place`. The compiler reports errors about the whole block at this position. If
/// the position is in user code, style lints are also reported there.
fn braced(tokens: TokenStream, place: Span) -> Group {
    let mut block = Group::new(Delimiter::Brace, tokens);
    block.set_span(place);
    block
}

/// Returns a statement from which the compiler infers the return type of the block around it. It is needed because an
/// async block cannot declare a return type.
fn fix_type(returns: &Returns, function: &Function, runtime: &Path) -> TokenStream {
    let end_of_arguments = function.signature.paren_token.span.close();
    match returns {
        // The place where the user would have written `-> T`.
        Returns::Unit => quote_spanned!(end_of_arguments=> return;),
        Returns::Value(ty) if matches!(**ty, Type::Infer(_)) => TokenStream::new(),
        Returns::Never | Returns::Value(_) => {
            let ty = nameable(returns);
            let value = quote_spanned!(ours()=> #runtime::__private::unreachable_value::<#ty>());
            // With this span, the compiler's explanation of the inferred type points at the type that the user wrote.
            let value = written_at(ty.span(), value);
            quote_spanned!(ours()=> return #value;)
        }
    }
}

/// Returns the tokens as if the user had written them at `place`.
fn written_at(place: Span, tokens: TokenStream) -> TokenStream {
    let tokens = tokens.into_iter().map(|mut token| {
        token.set_span(place);
        token
    });
    tokens.collect()
}

/// Returns the return type in a form that can be written in the body. `Infallible` replaces `!`, which stable Rust
/// does not accept there; neither type has a value.
fn nameable(returns: &Returns) -> TokenStream {
    match returns {
        Returns::Unit => quote_spanned!(ours()=> ()),
        Returns::Never => quote_spanned!(ours()=> ::core::convert::Infallible),
        Returns::Value(ty) => ty.to_token_stream(),
    }
}

// Output: Plain.run(__run, move || -> R BODY, |__run, __out| <judgement>)
fn synchronous(
    function: &Function,
    model: &Instrumented,
    body: &TokenStream,
    returns: &Returns,
) -> TokenStream {
    let runtime = &model.runtime;
    let body = closure(function, body, returns);
    let judge = judge_closure(model, Some(returns), quote_spanned!(ours()=> _));
    let run = quote_spanned!(ours()=> #runtime::__private::Plain.run(__run, #body, #judge));
    match returns {
        Returns::Never => quote_spanned!(ours()=> match #run {}),
        _ => run,
    }
}

// Output: move || -> R BODY
/// Returns the body of a plain function as a closure.
pub(super) fn closure(function: &Function, body: &TokenStream, returns: &Returns) -> TokenStream {
    let head = closure_head(function);
    let ty = match (returns, &function.signature.output) {
        (Returns::Never, ReturnType::Type(_, never)) => never.to_token_stream(),
        // The place where the user would have written `-> T`.
        (Returns::Unit, ReturnType::Default) => {
            located(nameable(returns), function.signature.paren_token.span.close())
        }
        _ => nameable(returns),
    };
    let body = in_closure(function, body);
    typed(function, quote_spanned!(ours()=> #head -> #ty #body))
}

// Input:  the closure around the body, in a function that returns `impl Fn(&u8) -> u8`
// Output: { fn __typed<__F: FnOnce() -> __T, __T: Fn(&u8) -> u8>(body: __F) -> __F { body } __typed(CLOSURE) }
/// Applies the bounds in the signature to the closure that the body returns. From these bounds, the compiler infers
/// the argument types of the returned closure.
fn typed(function: &Function, body: TokenStream) -> TokenStream {
    let Some(bounds) = returns::closure_bounds(&function.signature) else {
        return body;
    };
    quote_spanned! {ours()=> {
        fn __typed<__F: ::core::ops::FnOnce() -> __T, __T: #bounds>(body: __F) -> __F { body }
        __typed(#body)
    }}
}

// Output:
//     let __kind = &Kind::<R>::NEW;
//     let __kind = { use probe::{*, by_type_alone::*}; __kind.__process_kind(&*__kind) };
/// Returns the statements that decide by the return type whether the run is the call or the returned future.
pub(crate) fn kind(model: &Instrumented) -> TokenStream {
    let Wrapper::ByType { returns, .. } = &model.wrapper else {
        return TokenStream::new();
    };
    let runtime = &model.runtime;
    let alone = match model.judging {
        Judging::Rules(_) => quote_spanned!(ours()=> use #runtime::__private::probe::by_type_alone::*;),
        Judging::Outcome { .. } => TokenStream::new(),
    };
    // With this span, an error about a future that cannot be measured points at the type of that future.
    let same = all_of(returns, quote_spanned!(ours()=> __kind));
    quote_spanned! {ours()=>
        let __kind = &#runtime::__private::probe::Kind::<#returns>::NEW;
        let __kind = { use #runtime::__private::probe::*; #alone __kind.__process_kind(#same) };
    }
}

// Output: __kind.run(__run, move || -> R BODY, |__run, __out| <judgement>)
fn by_type(function: &Function, model: &Instrumented, body: &TokenStream, returns: &Type) -> TokenStream {
    let closure = closure_head(function);
    let judge = judge_closure(model, None, quote_spanned!(ours()=> _));
    quote_spanned!(ours()=> __kind.run(__run, #closure -> #returns #body, #judge))
}

// Output: future(__run, __once(move || BODY), |__run, __out: &T| <judgement>)
fn future(function: &Function, model: &Instrumented, body: &TokenStream, output: &Returns) -> TokenStream {
    let runtime = &model.runtime;
    let ty = nameable(output);
    let closure = closure_head(function);
    let judge = judge_closure(model, Some(output), quote_spanned!(ours()=> _));
    let here = ours().located_at(function.braces.span.join());
    let future = quote_spanned!(here=> __once(#closure #body));
    // If the closure were called directly, the compiler could infer `Fn` for it. An `Fn` closure cannot lend its
    // captures to the future that it returns. The bound of `__once` makes the compiler infer `FnOnce`.
    quote_spanned! {ours()=>
        fn __once<__F: ::core::ops::FnOnce() -> __T, __T>(body: __F) -> __T { body() }
        #runtime::__private::future::<#ty, _>(__run, #future, #judge)
    }
}

/// Returns the head of the closure around the body. The head has the position of the user's `fn`. With a position in
/// generated code, the compiler's errors would not name variables.
fn closure_head(function: &Function) -> TokenStream {
    quote_spanned!(function.signature.fn_token.span=> move ||)
}

fn judge_closure(model: &Instrumented, returns: Option<&Returns>, ty: TokenStream) -> TokenStream {
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
//         let __out = Run::drive(&mut __run, async move { <fixes the type> BODY }).await;
//         let __run = &mut __run;
//         <judgement>
//         __out
//     })
fn at_tail(function: &Function, model: &Instrumented, tail: &Tail, output: &Returns) -> TokenStream {
    let Tail { before, future } = tail;
    let (keywords, block) = future.block();
    let fixed = fix_type(output, function, &model.runtime);
    let inner = after_dead_code(&fixed, &block.stream(), block.span());
    let inner = quote_spanned!(ours()=> #(#keywords)* #inner);
    let run = in_run(model, &inner, block.span(), output);
    let outer = quote_spanned! {ours()=>
        async move {
            let mut __run = __run;
            #run
        }
    };
    let future = future.around(outer);
    quote!(#before #future)
}
