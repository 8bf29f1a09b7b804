//! Finds the lines on which a file depends on the feature `testing` or `health`.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, File, Macro, Meta};

/// Returns the line of every `cfg`, `cfg_attr` and `cfg!` that names the feature `testing` or `health`.
pub fn lines_in(file: &File) -> BTreeSet<usize> {
    let mut lines = Lines(BTreeSet::new());
    lines.visit_file(file);
    lines.0
}

struct Lines(BTreeSet<usize>);

impl Lines {
    /// Finds `cfg` in tokens that are not parsed, such as the body of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(name) if name == "cfg" || name == "cfg_attr" => {
                    let argument = tokens[at + 1..].iter().take(2).find_map(|token| match token {
                        TokenTree::Group(group) => Some(group.stream()),
                        _ => None,
                    });
                    if argument.is_some_and(|argument| names_feature(&argument)) {
                        self.0.insert(name.span().start().line);
                    }
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Lines {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let is_cfg = attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr");
        if let (true, Meta::List(list)) = (is_cfg, &attribute.meta)
            && names_feature(&list.tokens)
        {
            self.0.insert(attribute.pound_token.span.start().line);
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        if invocation.path.is_ident("cfg") && names_feature(&invocation.tokens) {
            self.0.extend(invocation.path.segments.iter().map(|name| name.ident.span().start().line));
        }
        self.tokens(invocation.tokens.clone());
    }
}

fn names_feature(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Literal(literal) => matches!(literal.to_string().as_str(), "\"testing\"" | "\"health\""),
        TokenTree::Group(group) => names_feature(&group.stream()),
        _ => false,
    })
}
