//! Decides whether a run is the call of the function or the future that the function returns, and how the run is
//! wrapped around the body. Reports functions that cannot be wrapped.

use proc_macro2::TokenStream;
use process_model::Shape;
use quote::ToTokens;
use syn::{ReturnType, Signature, Type, TypeParamBound};

use crate::errors::Errors;
use crate::keys::AttributeKind;
use crate::model::Wrapper;
use crate::returns::{self, Returns};
use crate::tail::Tail;
use crate::words;

/// Returns the wrapper for a function. Returns `None`, and reports why, if the function cannot be wrapped.
pub(crate) fn find(
    signature: &Signature,
    body: &TokenStream,
    kind: AttributeKind,
    errors: &Errors,
) -> Option<Wrapper> {
    if let Some(keyword) = &signature.constness {
        report_const(keyword, kind, errors);
        return None;
    }
    let body = body.clone();
    let ReturnType::Type(_, written) = &signature.output else {
        return Some(plain(signature, body, Returns::Unit));
    };
    if signature.asyncness.is_none() {
        if let Some(output) = returns::impl_future_output(written) {
            return of_future(body, output, written, errors);
        }
        if let Some(output) = returns::boxed_future_output(written) {
            return Some(of_boxed_future(body, output, written));
        }
    }
    if let Some(hidden) = returns::hidden_future(written) {
        report_hidden_future(&hidden, kind, errors);
        return None;
    }
    let returns = Returns::of(&signature.output);
    match &returns {
        Returns::Value(ty) if signature.asyncness.is_none() && may_be_a_boxed_future(written) => {
            let returns = Type::clone(ty);
            Some(Wrapper::ByType { body, returns })
        }
        _ => Some(plain(signature, body, returns)),
    }
}

impl Wrapper {
    /// Returns the shape of a run. For [`Wrapper::ByType`], the shape is `Awaited` only if the tokens show a boxed
    /// future and the attribute has no `outcome`. With `outcome`, the run of some boxed futures, such as
    /// `Pin<Box<dyn Future + Sync>>`, is the call.
    pub(crate) fn shape(&self, has_outcome: bool) -> Shape {
        match self {
            Wrapper::Sync { .. } => Shape::Call,
            Wrapper::Async { .. } | Wrapper::Tail { .. } | Wrapper::Future { .. } => Shape::Awaited,
            Wrapper::ByType { returns, .. } => match returns::boxed_future_output(returns) {
                Some(_) if !has_outcome => Shape::Awaited,
                _ => Shape::ByType,
            },
        }
    }
}

fn plain(signature: &Signature, body: TokenStream, returns: Returns) -> Wrapper {
    match signature.asyncness {
        Some(_) => Wrapper::Async { body, returns },
        None => Wrapper::Sync { body, returns },
    }
}

fn of_future(body: TokenStream, output: Returns, written: &Type, errors: &Errors) -> Option<Wrapper> {
    if let Some(tail) = Tail::of(body.clone()) {
        return Some(Wrapper::Tail { tail, output });
    }
    let lost = returns::bound_of_its_own(written);
    if let Some(lost) = lost {
        report_lost_bound(lost, errors);
    }
    lost.is_none().then_some(Wrapper::Future { body, output })
}

fn of_boxed_future(body: TokenStream, output: Returns, written: &Type) -> Wrapper {
    match Tail::of(body.clone()) {
        // A macro call before the block may contain a `return`. The future that this `return` returns must also be a
        // run.
        Some(tail) if !words::calls_a_macro(&tail.before) => Wrapper::Tail { tail, output },
        _ => {
            let returns = written.clone();
            Wrapper::ByType { body, returns }
        }
    }
}

/// Whether a type can be a boxed future or an alias of one. It can if it is a path or a macro call, and contains no
/// `impl`.
fn may_be_a_boxed_future(ty: &Type) -> bool {
    matches!(returns::bare(ty), Type::Path(_) | Type::Macro(_)) && !returns::mentions_impl(ty)
}

pub(crate) fn report_const(keyword: &syn::Token![const], kind: AttributeKind, errors: &Errors) {
    errors
        .at(
            keyword,
            format!(
                "a `const fn` cannot be {}: it may run at compile time, where nothing is measured",
                kind.noun()
            ),
        )
        .help("remove `const`, or put the attribute on the function that calls this one");
}

fn report_lost_bound(bound: &TypeParamBound, errors: &Errors) {
    let name = crate::text::written(bound.to_token_stream());
    errors
        .at(
            bound,
            format!("the attribute wraps the returned future, and the wrapper does not implement `{name}`"),
        )
        .help(format!(
            "remove `{name}`, return `Pin<Box<dyn Future<Output = T> + Send>>` (which is `Unpin`), or put the \
             attribute on the function that awaits the future"
        ));
}

fn report_hidden_future(future: &Type, kind: AttributeKind, errors: &Errors) {
    errors
        .at(
            future,
            format!(
                "{} cannot return a future inside another type: the run would end before the future has run",
                kind.noun()
            ),
        )
        .help(
            "make the function `async`, return only the future (`impl Future<Output = T>` or \
             `Pin<Box<dyn Future<Output = T> + Send>>`), or put the attribute on the function that awaits the future",
        );
}
