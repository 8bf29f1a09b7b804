//! Reads the annotated item into the parts of a function, or reports why the item is not a function. The body stays
//! raw tokens.

use std::cell::OnceCell;
use std::collections::HashSet;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{
    Attribute, Expr, ExprLit, FnArg, Lit, Meta, Pat, PatType, ReceiverKind, Result, Signature, Token, Type,
    Visibility, token,
};

use crate::errors::Errors;
use crate::keys::AttributeKind;
use crate::returns;
use crate::words;

/// A function whose body is not parsed.
pub(crate) struct Function {
    /// The outer attributes, followed by the inner attributes of the body, which are converted into outer ones.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// The signature as the user wrote it.
    pub(crate) written: TokenStream,
    pub(crate) braces: token::Brace,
    /// The tokens between the braces, without inner attributes.
    pub(crate) body: TokenStream,
    /// The words of the body, collected on first use.
    words: OnceCell<HashSet<String>>,
}

/// Reads the annotated item.
///
/// Returns `None` and reports the mistake if the item is not a function with a body. The caller then emits the item
/// unchanged.
pub(crate) fn read(item: TokenStream, kind: AttributeKind, errors: &Errors) -> Option<Function> {
    // The body is split off before parsing, because the parser would copy all of it.
    let (head, body) = split_off_body(item);
    let parse = |input: ParseStream<'_>| {
        let attrs = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if let Some(keyword) = other_item(input) {
            report_other_item(&keyword, kind, errors);
            input.parse::<TokenStream>()?;
            return Ok(None);
        }
        let written = input.fork().parse()?;
        let signature: Signature = input.parse()?;
        if let Some(semicolon) = input.parse::<Option<Token![;]>>()? {
            report_no_body(&semicolon, &signature, kind, errors);
            return Ok(None);
        }
        match body {
            Some(body) if input.is_empty() => {
                Function::new(attrs, visibility, signature, written, &body).map(Some)
            }
            _ => Err(input.error("expected `{`")),
        }
    };
    parse.parse2(head).unwrap_or_else(|error| {
        let place = Ident::new(kind.attribute(), error.span());
        errors
            .at(
                place,
                format!(
                    "`{}` can only be applied to a function, and this item is not a valid one",
                    kind.attribute()
                ),
            )
            .note(error);
        None
    })
}

/// Splits the item into the group in braces at its end, which is the body, and the tokens before the group. The group
/// is `None` if the item does not end with a group in braces.
fn split_off_body(item: TokenStream) -> (TokenStream, Option<Group>) {
    let mut head = Vec::from_iter(item);
    let body = head.last().and_then(in_braces);
    if body.is_some() {
        head.pop();
    }
    (head.into_iter().collect(), body)
}

/// Returns the token if it is a group in braces. If a macro passed the body as `$body`, the token is an invisible
/// group, and the group in braces inside it is returned. Returns `None` for any other token.
fn in_braces(token: &TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = token else { return None };
    match group.delimiter() {
        Delimiter::Brace => Some(group.clone()),
        Delimiter::None => {
            let mut tokens = group.stream().into_iter();
            let only = tokens.next().filter(|_| tokens.next().is_none())?;
            in_braces(&only)
        }
        Delimiter::Parenthesis | Delimiter::Bracket => None,
    }
}

/// Splits a body into its leading inner attributes and the rest.
fn split_off_attributes(body: TokenStream) -> Result<(Vec<Attribute>, TokenStream)> {
    let mut start = body.clone().into_iter().take(2);
    let is_attribute = ['#', '!']
        .iter()
        .all(|mark| matches!(start.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == *mark));
    if !is_attribute {
        return Ok((Vec::new(), body));
    }
    let parse = |input: ParseStream<'_>| Ok((input.call(Attribute::parse_inner)?, input.parse()?));
    parse.parse2(body)
}

impl Function {
    fn new(
        mut attrs: Vec<Attribute>,
        visibility: Visibility,
        signature: Signature,
        written: TokenStream,
        body: &Group,
    ) -> Result<Self> {
        let braces = token::Brace { span: body.delim_span() };
        let (inner, body) = split_off_attributes(body.stream())?;
        for mut attr in inner {
            attr.style = syn::AttrStyle::Outer;
            attrs.push(attr);
        }
        Ok(Function { attrs, visibility, signature, written, braces, body, words: OnceCell::new() })
    }

    /// Whether the body contains this word.
    pub(crate) fn mentions(&self, word: &str) -> bool {
        let collect = || words::words(&self.body).iter().map(Ident::to_string).collect();
        self.words.get_or_init(collect).contains(word)
    }

    /// Returns the names that the arguments bind, except `self`, each with the `#[cfg]`s of its argument.
    pub(crate) fn bindings(&self) -> Vec<Binding> {
        let arguments = self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(argument) => Some(argument),
            FnArg::Receiver(_) => None,
        });
        arguments.flat_map(bindings_of).collect()
    }

    /// Returns the names bound by arguments whose drop may have an effect, including `self`. These are the owned
    /// arguments whose type is not primitive.
    pub(crate) fn owned(&self) -> Vec<Binding> {
        let receiver = self.signature.receiver().filter(|receiver| match &receiver.kind {
            ReceiverKind::Value => true,
            ReceiverKind::Typed(_, ty) => !is_reference(ty),
            _ => false,
        });
        let mut owned = Vec::from_iter(receiver.map(|receiver| Binding {
            name: Ident::new("self", receiver.self_token.span),
            cfgs: Vec::new(),
        }));
        for input in &self.signature.inputs {
            if let FnArg::Typed(argument) = input
                && !is_reference(&argument.ty)
                && !is_primitive(&argument.ty)
            {
                owned.extend(bindings_of(argument));
            }
        }
        owned
    }

    /// Returns the text of the doc comment. Each line loses its first space, paragraphs are kept, and the whole text
    /// is trimmed.
    pub(crate) fn description(&self) -> String {
        let lines: Vec<_> = self.attrs.iter().filter_map(doc_line).collect();
        lines.join("\n").trim().to_owned()
    }

    /// Returns the function with `body` in its braces.
    pub(crate) fn print(&self, body: impl ToTokens) -> TokenStream {
        let mut tokens = TokenStream::new();
        tokens.append_all(&self.attrs);
        self.visibility.to_tokens(&mut tokens);
        self.written.to_tokens(&mut tokens);
        tokens.extend(self.in_braces(body));
        tokens
    }

    /// Returns `body` between the user's own braces. Errors about the block as a whole then point at these braces.
    pub(crate) fn in_braces(&self, body: impl ToTokens) -> TokenStream {
        let mut tokens = TokenStream::new();
        self.braces.surround(&mut tokens, |inner| body.to_tokens(inner));
        tokens
    }
}

/// A name that an argument binds.
pub(crate) struct Binding {
    pub(crate) name: Ident,
    pub(crate) cfgs: Vec<Attribute>,
}

fn bindings_of(argument: &PatType) -> Vec<Binding> {
    let cfgs = cfgs(argument);
    let mut names = Vec::new();
    collect_names(&argument.pat, &mut names);
    let binding = |name: &Ident| Binding { name: name.clone(), cfgs: cfgs.clone() };
    names.into_iter().map(binding).collect()
}

/// Returns the `#[cfg]`s of an argument.
pub(crate) fn cfgs(argument: &PatType) -> Vec<Attribute> {
    argument.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect()
}

fn is_primitive(ty: &Type) -> bool {
    const PRIMITIVES: [&str; 16] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
        "u128", "usize",
    ];
    let name = match ty {
        Type::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    };
    name.is_some_and(|name| PRIMITIVES.contains(&name.to_string().as_str()))
}

fn is_reference(ty: &Type) -> bool {
    matches!(returns::bare(ty), Type::Reference(_))
}

fn collect_names<'a>(pattern: &'a Pat, names: &mut Vec<&'a Ident>) {
    match pattern {
        Pat::Ident(name) => {
            names.push(&name.ident);
            if let Some((_, within)) = &name.subpat {
                collect_names(within, names);
            }
        }
        Pat::Or(or) => or.cases.iter().take(1).for_each(|p| collect_names(p, names)),
        Pat::Paren(paren) => collect_names(&paren.pat, names),
        Pat::Reference(reference) => collect_names(&reference.pat, names),
        Pat::Slice(slice) => slice.elems.iter().for_each(|p| collect_names(p, names)),
        Pat::Struct(fields) => fields.fields.iter().for_each(|f| collect_names(&f.pat, names)),
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|p| collect_names(p, names)),
        Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|p| collect_names(p, names)),
        Pat::Type(typed) => collect_names(&typed.pat, names),
        _ => {}
    }
}

fn doc_line(attr: &Attribute) -> Option<String> {
    let Meta::NameValue(doc) = &attr.meta else {
        return None;
    };
    match &doc.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if doc.path.is_ident("doc") => {
            Some(doc_text(&text.value()))
        }
        _ => None,
    }
}

/// Returns the text of one doc attribute. The attribute is either one line after `///`, or all of `/** … */`, whose
/// lines can start with a star.
fn doc_text(text: &str) -> String {
    if !text.contains('\n') {
        return text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned();
    }
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let line = line.strip_prefix('*').unwrap_or(line);
        line.strip_prefix(' ').unwrap_or(line)
    });
    Vec::from_iter(lines).join("\n")
}

/// Returns the keyword of an item that is not a function, or `None` if the item can be a function.
fn other_item(input: ParseStream<'_>) -> Option<Ident> {
    const ITEMS: [&str; 12] = [
        "struct",
        "enum",
        "union",
        "trait",
        "impl",
        "mod",
        "type",
        "static",
        "use",
        "macro_rules",
        "macro",
        "auto",
    ];
    let ahead = input.fork();
    let first = ahead.call(Ident::parse_any).ok()?;
    if ITEMS.contains(&first.to_string().as_str()) {
        return Some(first);
    }
    let second = ahead.call(Ident::parse_any).ok();
    let second_name = second.as_ref().map(Ident::to_string).unwrap_or_default();
    let starts_a_function = ["fn", "async", "unsafe", "extern"].contains(&second_name.as_str());
    match first.to_string().as_str() {
        "const" if !starts_a_function => Some(first),
        "unsafe" if ITEMS.contains(&second_name.as_str()) => second,
        "extern" if second_name == "crate" || ahead.is_empty() => Some(first),
        _ => None,
    }
}

fn report_other_item(keyword: &Ident, kind: AttributeKind, errors: &Errors) {
    let name = keyword.to_string();
    let article = if name.starts_with(['a', 'e', 'i']) { "an" } else { "a" };
    let help = match (kind, name.as_str()) {
        (AttributeKind::Contract, _) => "put the attribute on the test function that runs the process",
        (kind, _) if kind.is_check() => "put the attribute on the async function that performs the check",
        (_, "impl" | "trait") => "put the attribute on the methods inside that do the work",
        (_, "mod") => "put the attribute on the functions inside that do the work",
        _ => "put the attribute on the function or method that does the work",
    };
    errors
        .at(
            keyword,
            format!("`{}` can only be applied to a function, not to {article} `{name}`", kind.attribute()),
        )
        .help(help);
}

fn report_no_body(semicolon: &Token![;], signature: &Signature, kind: AttributeKind, errors: &Errors) {
    let mistake =
        errors.at(semicolon, format!("`{}` cannot be {}: it has no body", signature.ident, kind.noun()));
    let attribute = kind.attribute();
    mistake.help(match signature.receiver() {
        _ if kind == AttributeKind::Contract => {
            "put `contract` on the test function that runs the process".to_owned()
        }
        _ if kind.is_check() => {
            format!("put `{attribute}` on the free async function that performs the check")
        }
        Some(_) => format!("put `{attribute}` on the method in each `impl`, or give this one a default body"),
        None => {
            format!(
                "put `{attribute}` on the function in each `impl`, or on the function that calls this one"
            )
        }
    });
}

impl Function {
    /// Removes every other attribute of this crate from the function and reports it, so that none of them expands.
    pub(crate) fn refuse_second_attribute(&mut self, kind: AttributeKind, errors: &Errors) {
        if !self.attrs.iter().any(|attr| own_kind(attr).is_some()) {
            return;
        }
        let mut uses = TokenStream::new();
        self.attrs.retain(|attr| {
            let Some(second) = own_kind(attr) else {
                return true;
            };
            errors
                .at(
                    attr.path(),
                    format!(
                        "`{}` cannot be applied to `{}`, which is already {}",
                        second.attribute(),
                        self.signature.ident,
                        kind.noun()
                    ),
                )
                .help(match (kind, second) {
                    (AttributeKind::Contract, AttributeKind::Contract) => {
                        "keep one of the two attributes, and write a separate test for the other case"
                    }
                    (AttributeKind::Contract, _) | (_, AttributeKind::Contract) => {
                        "keep one of the two attributes: a contract is a test that calls the process"
                    }
                    _ if kind.is_check() && second.is_check() => {
                        "keep one of the two attributes, and write a separate function for the other"
                    }
                    _ if kind.is_check() || second.is_check() => {
                        "keep one of the two attributes: a check is a separate function, which calls the process or dependency"
                    }
                    _ => {
                        "keep one of the two attributes, or move the part to measure separately into its own function"
                    }
                });
            // This `use` keeps the import of the removed attribute in use, so that the compiler does not report the
            // import as unused.
            let path = attr.path();
            uses.extend(quote_spanned!(Span::mixed_site()=> #[allow(unused_imports, reason = "keeps the import used")] use #path as _;));
            false
        });
        uses.extend(std::mem::take(&mut self.body));
        self.body = uses;
    }
}

/// Returns the kind of an attribute of this crate, written as its bare name or as `process_runtime::…`. Returns
/// `None` for any other attribute.
fn own_kind(attr: &Attribute) -> Option<AttributeKind> {
    let path = attr.path();
    let (home, last) = (path.segments.first()?, path.segments.last()?);
    let is_at_home = path.segments.len() == 1 || home.ident == "process_runtime";
    AttributeKind::called(&last.ident.to_string()).filter(|_| is_at_home)
}
