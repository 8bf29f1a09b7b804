//! Analyses `#[contract]`. A test runner must be able to call the function.

use process_model::{Case, ContractDeclaration, Declaration};
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{LitStr, Path, ReturnType, Signature, Token};

use super::{accept, id, runtime, text};
use crate::args::Args;
use crate::errors::Errors;
use crate::function::Function;
use crate::keys::AttributeKind;
use crate::model::Contract;
use crate::returns::{self, Returns};
use crate::value::WordOf;
use crate::wrapper;

pub(super) fn analyse(args: &Args, function: &Function, errors: &Errors) -> Option<Contract> {
    let signature = &function.signature;
    let process = args.process.as_ref().and_then(|process| id(process, errors));
    let case = args.case.as_ref().and_then(|words| case(words, errors));
    report_no_test(signature, errors);
    let (runtime, import) = runtime(args);
    let declaration = Declaration::Contract(ContractDeclaration { process: process?, case: case? });
    Some(Contract { declaration, runtime, import, returns: Returns::of(&signature.output) })
}

fn case(words: &WordOf, errors: &Errors) -> Option<Case> {
    let name = words.word.to_string();
    let Some(list) = &words.list else {
        return accept(&words.word, Case::new(&name, None), errors);
    };
    let inside = list.stream();
    let takes_one = Case::new(&name, Some("argument")).is_ok();
    let several = Punctuated::<LitStr, Token![,]>::parse_terminated.parse2(inside.clone());
    if takes_one && several.is_ok_and(|literals| literals.len() > 1) {
        errors
            .at(inside, format!("case `{name}` takes one argument"))
            .help("write a separate test for each argument");
        return None;
    }
    let literal = syn::parse2::<LitStr>(inside.clone()).ok().filter(|literal| literal.suffix().is_empty());
    let case = Case::new(&name, Some(&literal.as_ref().map_or_else(|| text(&inside), LitStr::value)));
    if !Case::words().any(|known| known == name) {
        // If the word is unknown, the mistake is reported at the word and not at its argument.
        return accept(&words.word, case, errors);
    }
    let place = if inside.is_empty() { list.to_token_stream() } else { inside };
    let case = accept(&place, case, errors)?;
    if literal.is_none() {
        errors
            .at(place, format!("the argument of case `{name}` must be a string literal"))
            .help(match (&case, syn::parse2::<Path>(list.stream())) {
                (Case::Error(_), Ok(path)) if path.segments.len() > 1 => {
                    // By default, the `error.type` is the path of the error's type, which is not visible here.
                    let names = path.segments.iter().map(|segment| segment.ident.to_string());
                    let ty = names.rev().take(2).filter(|name| name.starts_with(char::is_uppercase)).last();
                    let example = Case::Error(format!("my_crate::{}", ty.as_deref().unwrap_or("OrderError")));
                    format!(
                        "write the `error.type` in quotes; by default, this is the full path of the error's type: \
                         `case = {example}`"
                    )
                }
                _ => format!("write it in quotes: `case = {case}`"),
            });
    }
    Some(case)
}

/// Reports a `const fn`, a method with `self`, and a function whose return type contains a future. The body of the
/// last only creates the future, so the test would end before the future has run.
fn report_no_test(signature: &Signature, errors: &Errors) {
    if let Some(keyword) = &signature.constness {
        wrapper::report_const(keyword, AttributeKind::Contract, errors);
    }
    if let Some(receiver) = signature.receiver() {
        errors
            .at(receiver, format!("`{}` cannot be a contract: it takes `self`", signature.ident))
            .help("put `contract` on a test function without `self`, which a test runner can call");
    }
    if let ReturnType::Type(_, written) = &signature.output
        && let Some(future) = returns::hidden_future(written)
    {
        errors
            .at(future, "a contract cannot return a future: the test would end before the future has run")
            .help("make the test `async`, and await the future in its body");
    }
}
