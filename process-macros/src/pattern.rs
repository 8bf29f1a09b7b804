//! Reads the patterns of `rejects(…)` and `fails(…)`. A bare name or `_` is an error, because it matches every
//! value. To the compiler, a misspelt variant is such a bare name.

use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Expr, Lit, Pat, PatLit, Result, Token, Type};

use crate::entries;
use crate::errors::Errors;
use crate::keys::Key;

/// One pattern, as an arm of a `match`.
pub(crate) struct Arm {
    /// The type in `as Type:` before the pattern. The error's chain is searched for this type.
    pub(crate) within: Option<Type>,
    pub(crate) pattern: Pat,
    pub(crate) guard: Option<Expr>,
}

impl Arm {
    /// Returns `pattern if guard`, adapted to a match on a reference.
    pub(crate) fn head(&self) -> TokenStream {
        with_guard(of_reference(&self.pattern), self.guard.as_ref())
    }

    /// Returns `variant(pattern) if guard`, adapted to a match on a reference inside the variant.
    pub(crate) fn head_within(&self, variant: &TokenStream) -> TokenStream {
        let pattern = of_reference(&self.pattern);
        with_guard(quote!(#variant(#pattern)), self.guard.as_ref())
    }

    /// Returns the arm as the user wrote it.
    pub(crate) fn written(&self) -> String {
        let head = with_guard(self.pattern.to_token_stream(), self.guard.as_ref());
        crate::text::written(match &self.within {
            None => head,
            Some(within) => quote!(as #within: #head),
        })
    }
}

fn with_guard(pattern: TokenStream, guard: Option<&Expr>) -> TokenStream {
    match guard {
        None => pattern,
        Some(guard) => quote!(#pattern if #guard),
    }
}

// Input:  "empty" | (StatusCode::CONFLICT) | Error::Long(_)
// Output: &"empty" | (&StatusCode::CONFLICT) | Error::Long(_)
/// Adds `&` to the patterns for which the default binding modes do not dereference the matched value. These are
/// string literals, which are references themselves, and paths, which may name a constant instead of a variant.
fn of_reference(pattern: &Pat) -> TokenStream {
    match pattern {
        Pat::Lit(PatLit { lit: Lit::Str(_) | Lit::ByteStr(_) | Lit::CStr(_), .. }) | Pat::Path(_) => {
            let reference = quote_spanned!(Span::mixed_site().located_at(pattern.span())=> &);
            quote!(#reference #pattern)
        }
        Pat::Paren(paren) => {
            let within = of_reference(&paren.pat);
            quote!((#within))
        }
        Pat::Or(or) => {
            let cases = or.cases.iter().map(of_reference);
            quote!(#(#cases)|*)
        }
        _ => pattern.to_token_stream(),
    }
}

// Input:  (Error::Empty | Error::Long, Error::Http(code) if *code < 500, as AuthError: AuthError::Expired)
// Output: three `Arm`s
pub(crate) fn read(key: Key, list: &Group, errors: &Errors) -> Vec<Arm> {
    let refuse = |tokens: TokenStream, error: syn::Error| {
        errors
            .at(tokens, format!("invalid pattern in `{}`", key.name()))
            .help(format!("write, for example, `{}`", key.example()))
            .note(error);
    };
    let arms = entries::read(list, |input| parse(key, input), refuse);
    for arm in &arms {
        check(key, arm, errors);
    }
    arms
}

fn parse(key: Key, input: ParseStream<'_>) -> Result<Arm> {
    let within = match input.parse::<Option<Token![as]>>()? {
        Some(keyword) if key == Key::Fails => {
            let why = "only `rejects` can search the chain of an error for a type";
            return Err(syn::Error::new_spanned(keyword, why));
        }
        Some(_) => {
            let within = input.parse()?;
            input.parse::<Token![:]>()?;
            Some(within)
        }
        None => None,
    };
    let pattern = Pat::parse_multi_with_leading_vert(input)?;
    let guard = match input.parse::<Option<Token![if]>>()? {
        Some(_) => Some(input.parse()?),
        None => None,
    };
    Ok(Arm { within, pattern, guard })
}

fn check(key: Key, arm: &Arm, errors: &Errors) {
    let Some(catch_all) = catch_all(&arm.pattern) else {
        return;
    };
    let name = match catch_all {
        Pat::Ident(name) => name.ident.to_string(),
        _ => String::new(),
    };
    let looks_like_a_variant = name.starts_with(char::is_uppercase);
    // With a guard, a name does not match everything. With a type to search for, `_` matches only the errors of that
    // type.
    let narrowed = arm.guard.is_some() || (arm.within.is_some() && name.is_empty());
    if narrowed && !looks_like_a_variant {
        return;
    }
    let everything = match key {
        Key::Fails => "every return value",
        _ => "every error",
    };
    if looks_like_a_variant {
        errors
            .at(catch_all, format!("`{name}` may be a new variable, which matches {everything}"))
            .help(format!("write a path, for example `Type::{name}`"))
            .note("the attribute cannot see whether a variant or constant with this name is in scope");
        return;
    }
    let value = if key == Key::Fails { "value" } else { "error" };
    errors.at(catch_all, format!("`{}` matches {everything}", catch_all.to_token_stream())).help(format!(
        "list the patterns to match, for example `{}`, or add a guard: `{value} if condition({value})`",
        key.example()
    ));
}

/// Returns the part of a pattern that matches everything, or `None` if the pattern has no such part.
fn catch_all(pattern: &Pat) -> Option<&Pat> {
    match pattern {
        Pat::Wild(_) | Pat::Rest(_) => Some(pattern),
        Pat::Ident(name) => match &name.subpat {
            Some((_, within)) => catch_all(within),
            None => (name.ident != "None").then_some(pattern),
        },
        Pat::Or(or) => or.cases.iter().find_map(catch_all),
        Pat::Paren(paren) => catch_all(&paren.pat),
        Pat::Reference(reference) => catch_all(&reference.pat),
        _ => None,
    }
}
