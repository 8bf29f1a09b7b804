//! Analyses `#[health_check]` and `#[dependency_check]`. The runtime must be able to call the function of a check at
//! any time, with only the application's state as arguments.

use process_model::{CheckDeclaration, CheckTarget, Declaration, Freshness, GrammarError, Millis, schedule};
use quote::ToTokens;
use syn::{FnArg, LitStr, PatType, ReturnType, Safety, Signature, Type, TypePath};

use super::{accept, id, runtime, text};
use crate::args::Args;
use crate::errors::Errors;
use crate::function::{self, Function};
use crate::keys::AttributeKind;
use crate::model::{Argument, Check};
use crate::{returns, words};

pub(super) fn analyse(
    kind: AttributeKind,
    of: fn(String) -> CheckTarget,
    args: &Args,
    function: &Function,
    errors: &Errors,
) -> Option<Check> {
    let target = args.process.as_ref().or(args.id.as_ref()).and_then(|target| id(target, errors)).map(of);
    let timeout = args.timeout.as_ref().map(|timeout| time(timeout, schedule::timeout, errors));
    let freshness = freshness(args, errors);
    report_uncallable(&function.signature, kind, errors);
    let arguments = arguments(&function.signature, kind, errors);
    let (runtime, import) = runtime(args);
    let target = target?;
    let declaration = Declaration::Check(CheckDeclaration {
        timeout: timeout.unwrap_or_else(|| Some(target.default_timeout()))?,
        target,
        freshness: freshness?,
    });
    Some(Check { declaration, runtime, import, arguments })
}

fn freshness(args: &Args, errors: &Errors) -> Option<Freshness> {
    let every = args.every.as_ref().map(|every| time(every, schedule::every, errors).map(Freshness::Every));
    let cached_for = args.cached_for.as_ref();
    let cached_for =
        cached_for.map(|time_| time(time_, schedule::cached_for, errors).map(Freshness::CachedFor));
    every.or(cached_for).unwrap_or_else(|| Some(Freshness::default()))
}

type Parse = fn(&str) -> Result<Millis, GrammarError>;

fn time(literal: &LitStr, parse: Parse, errors: &Errors) -> Option<Millis> {
    accept(literal, parse(&literal.value()), errors)
}

/// Reports a function that the runtime cannot call and await: one that is `const`, not `async`, `unsafe` or generic,
/// or that belongs to an `impl`.
fn report_uncallable(signature: &Signature, kind: AttributeKind, errors: &Errors) {
    let name = &signature.ident;
    let (noun, attribute) = (kind.noun(), kind.attribute());
    if let Some(keyword) = &signature.constness {
        errors
            .at(keyword, format!("a `const fn` cannot be {noun}: a check must be `async`"))
            .help(format!("write `async fn {name}`"));
    } else if signature.asyncness.is_none() {
        let is_future =
            matches!(&signature.output, ReturnType::Type(_, ty) if returns::hidden_future(ty).is_some());
        let rest = match is_future {
            true => "await the future in its body, and return the output",
            false => "move blocking calls into the `spawn_blocking` of your runtime",
        };
        errors
            .at(signature.fn_token, format!("`{name}` cannot be {noun}: it is not `async`"))
            .help(format!("write `async fn {name}`, {}{rest}", if is_future { "" } else { "and " }));
    }
    if let Safety::Unsafe(keyword) = &signature.safety {
        errors
            .at(
                keyword,
                format!("an `unsafe fn` cannot be {noun}: its caller cannot uphold the safety conditions"),
            )
            .help("remove `unsafe`, or put the attribute on a safe function that calls this one");
    }
    if !signature.generics.params.is_empty() {
        errors
            .at(&signature.generics.params, format!("`{name}` cannot be {noun}: it is generic"))
            .help("remove the generic parameters, and write the concrete type of each argument");
    }
    if let Some(receiver) = signature.receiver() {
        errors
            .at(receiver, format!("`{name}` cannot be {noun}: it takes `self`"))
            .help(format!("put `{attribute}` on a free function that takes its state as arguments"));
    } else if let Some(word) = words::find(signature, "Self") {
        errors
            .at(word, format!("`{name}` cannot be {noun}: it is an associated function"))
            .help(format!("put `{attribute}` on a free function, outside of any `impl`"));
    }
}

fn arguments(signature: &Signature, kind: AttributeKind, errors: &Errors) -> Vec<Argument> {
    let arguments = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    });
    let read = |argument: &PatType| {
        report_ungiven(&argument.ty, kind, errors);
        Argument { ty: Type::clone(&argument.ty), cfgs: function::cfgs(argument) }
    };
    arguments.map(read).collect()
}

/// Reports an argument type for which the application cannot provide a value.
fn report_ungiven(ty: &Type, kind: AttributeKind, errors: &Errors) {
    if returns::mentions_impl(ty) {
        errors
            .at(ty, format!("{} cannot take an argument of type `impl Trait`", kind.noun()))
            .help("write the concrete type: the application provides each argument by its type");
    } else if let Type::Reference(reference) = returns::bare(ty) {
        errors
            .at(ty, format!("{} cannot take an argument by reference", kind.noun()))
            .help(format!("write {}: each call receives its own clone", owned(&reference.elem)));
    }
}

// Input:  str, [u8], (dyn Store + Sync), Arc<Database>, Database
// Output: `Arc<str>`, `Arc<[u8]>`, `Arc<dyn Store + Sync + Send>`, `Arc<Database>`, `Arc<Database>`, or `Database` if …
fn owned(ty: &Type) -> String {
    let ty = returns::bare(ty);
    let written = text(ty.to_token_stream());
    let is_arc = |path: &TypePath| path.path.segments.last().is_some_and(|last| last.ident == "Arc");
    match ty {
        Type::Reference(reference) => owned(&reference.elem),
        Type::TraitObject(_) => {
            let missing = ["Send", "Sync"].iter().filter(|bound| words::find(ty, bound).is_none());
            format!("`Arc<{written}{}>`", missing.map(|bound| format!(" + {bound}")).collect::<String>())
        }
        Type::Slice(_) => format!("`Arc<{written}>`"),
        Type::Path(path) if is_arc(path) => format!("`{written}`"),
        _ if written == "str" => "`Arc<str>`".to_owned(),
        _ => format!("`Arc<{written}>`, or `{written}` if it implements `Clone`"),
    }
}
