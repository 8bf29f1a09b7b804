//! Finds properties of a return type in its tokens: for example, that the type is unit, never, a future, or a type
//! that only the caller knows. The tokens do not show the type behind an alias, so the compiler makes all decisions
//! about the type itself. Use this module only to save the compiler work, and for properties that the compiler cannot
//! decide on.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    AssocType, GenericArgument, GenericParam, Generics, PathArguments, ReturnType, Signature, Type,
    TypeParamBound, TypePath, parse_quote,
};

use crate::words;

/// The return type of a run, as far as its tokens show it.
#[derive(Clone)]
pub(crate) enum Returns {
    /// No return type, or `()`.
    Unit,
    /// `!`
    Never,
    /// Any other type, in which `_` replaces each `impl Trait`.
    Value(Box<Type>),
}

impl Returns {
    pub(crate) fn of(output: &ReturnType) -> Self {
        match output {
            ReturnType::Default => Returns::Unit,
            ReturnType::Type(_, ty) => Returns::of_type(ty),
        }
    }

    /// Returns the type, unless it is unit or never.
    pub(crate) fn value(&self) -> Option<&Type> {
        match self {
            Returns::Unit | Returns::Never => None,
            Returns::Value(ty) => Some(ty),
        }
    }

    pub(crate) fn of_type(ty: &Type) -> Self {
        match bare(ty) {
            Type::Never(_) => Returns::Never,
            Type::Tuple(tuple) if tuple.elems.is_empty() => Returns::Unit,
            ty => Returns::Value(Box::new(without_impl(ty))),
        }
    }
}

/// Removes the groups and parentheses around a type, for example those of a macro's `$ty`.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        ty => ty,
    }
}

// Input:  Result<impl Display, Error>
// Output: Result<_, Error>
fn without_impl(ty: &Type) -> Type {
    let mut ty = ty.clone();
    erase(&mut ty);
    ty
}

fn erase(ty: &mut Type) {
    if let Type::ImplTrait(_) = ty {
        *ty = parse_quote!(_);
    } else {
        parts(ty).into_iter().for_each(erase);
    }
}

/// Whether a type contains `impl Trait`.
pub(crate) fn mentions_impl(ty: &Type) -> bool {
    words::find(ty, "impl").is_some()
}

/// Whether the type can be written out, which means that it contains no `_` for the compiler to infer.
pub(crate) fn is_nameable(ty: &Type) -> bool {
    !has_placeholder(ty.to_token_stream())
}

/// Whether the tokens contain a `_` that is not the lifetime `'_`.
fn has_placeholder(tokens: TokenStream) -> bool {
    let mut is_lifetime = false;
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => !std::mem::take(&mut is_lifetime) && word == "_",
        TokenTree::Punct(mark) => {
            is_lifetime = mark.as_char() == '\'';
            false
        }
        TokenTree::Group(group) => has_placeholder(group.stream()),
        TokenTree::Literal(_) => false,
    })
}

/// Returns the types that a type contains. The argument and result types of a function type are left out, because
/// they are not part of the value.
fn parts(ty: &mut Type) -> Vec<&mut Type> {
    match ty {
        Type::Array(array) => vec![&mut array.elem],
        Type::Group(group) => vec![&mut group.elem],
        Type::Paren(paren) => vec![&mut paren.elem],
        Type::Ptr(pointer) => vec![&mut pointer.elem],
        Type::Reference(reference) => vec![&mut reference.elem],
        Type::Slice(slice) => vec![&mut slice.elem],
        Type::Tuple(tuple) => tuple.elems.iter_mut().collect(),
        Type::Path(path) => path_parts(path),
        _ => Vec::new(),
    }
}

fn path_parts(path: &mut TypePath) -> Vec<&mut Type> {
    let of_self = path.qself.iter_mut().map(|qself| &mut *qself.ty);
    let segments = path.path.segments.iter_mut();
    let arguments = segments.flat_map(|segment| match &mut segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments
            .args
            .iter_mut()
            .filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    });
    of_self.chain(arguments).collect()
}

/// Returns `T` if the type is `impl Future<Output = T>`, otherwise `None`.
pub(crate) fn impl_future_output(ty: &Type) -> Option<Returns> {
    match bare(ty) {
        Type::ImplTrait(opaque) => output_of(&opaque.bounds),
        _ => None,
    }
}

/// Returns a bound of `impl Future<…> + …` that is lost if another future wraps the returned one. Returns `None`
/// if every bound is kept.
pub(crate) fn bound_of_its_own(ty: &Type) -> Option<&TypeParamBound> {
    const TAKEN_OVER: [&str; 5] = ["Future", "Send", "Sync", "UnwindSafe", "RefUnwindSafe"];
    let Type::ImplTrait(opaque) = bare(ty) else {
        return None;
    };
    opaque.bounds.iter().find(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last();
            last.is_some_and(|last| !TAKEN_OVER.iter().any(|name| last.ident == name))
        }
        _ => false,
    })
}

/// Returns `T` if the type is written as `Pin<Box<dyn Future<Output = T>>>`, otherwise `None`.
pub(crate) fn boxed_future_output(ty: &Type) -> Option<Returns> {
    let boxed = only_argument(ty, "Pin")?;
    match bare(only_argument(boxed, "Box")?) {
        Type::TraitObject(object) => output_of(&object.bounds),
        _ => None,
    }
}

/// Returns `T` if the type is `name<T>`, otherwise `None`.
fn only_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = bare(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) if last.ident == name => Some(ty),
        _ => None,
    }
}

/// Returns `T` if a bound is `Future<Output = T>`, or `_` if the bound is a `Future` without `Output`.
fn output_of<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<Returns> {
    let last = bounds.into_iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().filter(|last| last.ident == "Future"),
        _ => None,
    })?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Some(Returns::of_type(&parse_quote!(_)));
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Output" => {
            Some(Returns::of_type(ty))
        }
        _ => None,
    })
}

/// Returns a future that is a part of `ty`, or `None` if there is none. Such a future runs after the call has
/// returned, so a run around the call would not contain it.
pub(crate) fn hidden_future(ty: &Type) -> Option<Type> {
    fn search(ty: &mut Type) -> Option<Type> {
        let bounds = match &*ty {
            Type::ImplTrait(opaque) => Some(&opaque.bounds),
            Type::TraitObject(object) => Some(&object.bounds),
            _ => None,
        };
        if bounds.is_some_and(|bounds| output_of(bounds).is_some()) {
            return Some(ty.clone());
        }
        parts(ty).into_iter().find_map(search)
    }
    search(&mut ty.clone())
}

// Input:  fn f(by: i32) -> impl Fn(&i32) -> i32
// Output: Fn(&i32) -> i32
/// Returns the bounds of the closure that the function returns. The expansion repeats these bounds in an item inside
/// the body. Returns `None` if the function does not return a closure. Also returns `None` if the bounds contain a
/// lifetime or a generic parameter, because an item cannot use those of the function or `impl` around it.
pub(crate) fn closure_bounds(signature: &Signature) -> Option<TokenStream> {
    let ReturnType::Type(_, ty) = &signature.output else {
        return None;
    };
    let Type::ImplTrait(opaque) = bare(ty) else {
        return None;
    };
    let bounds = opaque.bounds.to_token_stream();
    let words = words::words(&bounds);
    let is_closure = words.iter().any(|word| word == "Fn" || word == "FnMut" || word == "FnOnce");
    let has_parameter = words.iter().any(|word| may_be_parameter(word, &signature.generics));
    let has_lifetime = bounds.to_string().replace("'static", "").contains('\'');
    (is_closure && !has_parameter && !has_lifetime).then_some(bounds)
}

/// Whether a word may be a generic parameter. The parameters of an enclosing `impl` are not visible here, so every
/// word in capitals is treated as a parameter.
fn may_be_parameter(word: &Ident, generics: &Generics) -> bool {
    let is_capitals = !word.to_string().contains(char::is_lowercase);
    let is_own = generics.type_params().any(|param| param.ident == *word)
        || generics.const_params().any(|param| param.ident == *word);
    is_capitals || is_own || word == "Self" || word == "impl" || word == "use"
}

/// Whether only the caller knows the type, which is then a generic parameter or an associated type.
pub(crate) fn is_open(ty: &Type, generics: &Generics) -> bool {
    let Type::Path(TypePath { qself, path, .. }) = bare(ty) else {
        return false;
    };
    let is_parameter = |name: &syn::Ident| {
        generics.params.iter().any(|param| matches!(param, GenericParam::Type(param) if param.ident == *name))
    };
    if let Some(qself) = qself {
        return words::find(&qself.ty, "Self").is_some() || is_open(&qself.ty, generics);
    }
    let Some(first) = path.segments.first() else {
        return false;
    };
    match path.segments.len() {
        1 => is_parameter(&first.ident),
        _ => is_parameter(&first.ident) || first.ident == "Self",
    }
}
