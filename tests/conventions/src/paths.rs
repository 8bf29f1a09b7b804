//! Collects every path that a file writes: in imports, types, expressions, patterns, attributes and the tokens of
//! macros. `crate::resolve` finds where each path leads.

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, Expr, File, ImplItem, Item, ItemMacro, ItemMod, ItemUse, Macro, Meta, Path, Stmt,
    TraitItem, UseTree, Visibility,
};

use crate::tree::{FileId, Scope, ScopeId, Tree, attributes_of, is_exported, is_for_tests};

/// A path, as it is written.
#[derive(Clone, Debug)]
pub struct Mention {
    /// The scope in which the path is written.
    pub scope: ScopeId,
    /// The file in which the path is written.
    pub file: FileId,
    /// The line of the path's first segment or, if the path is an import, of its last segment.
    pub line: usize,
    /// The segments of the path. The first segment is empty if the path begins with `::`.
    pub segments: Vec<String>,
    /// What the path is part of.
    pub form: Form,
    /// The exported macro in whose body the path is written, or `None` outside of such macros.
    pub exported_by: Option<String>,
}

/// What a path is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An import of the item that the path names.
    Import,
    /// An import of everything in the module that the path names.
    Glob,
    /// The name of a macro that is invoked.
    Invocation,
    /// Anything else.
    Other,
}

/// Collects the paths of all files. Adds a scope to the tree for each block that contains items.
pub fn collect(tree: &mut Tree) -> Vec<Mention> {
    let mut mentions = Vec::new();
    for scope in tree.loaded.clone() {
        let file = tree.scopes[scope].file;
        let syntax: File = tree.files[file].syntax.clone();
        let mut collector = Collector { tree, mentions: &mut mentions, scope, file, exported_by: None };
        collector.visit_file(&syntax);
    }
    mentions
}

struct Collector<'t> {
    tree: &'t mut Tree,
    mentions: &'t mut Vec<Mention>,
    scope: ScopeId,
    file: FileId,
    exported_by: Option<String>,
}

impl Collector<'_> {
    fn mention(&mut self, at: Span, segments: Vec<String>, form: Form) {
        let (scope, file, exported_by) = (self.scope, self.file, self.exported_by.clone());
        self.mentions.push(Mention { scope, file, line: at.start().line, segments, form, exported_by });
    }

    fn within(&mut self, scope: ScopeId, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.scope, scope);
        visit(self);
        self.scope = outer;
    }

    fn imports(&mut self, mut prefix: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.imports(prefix, &path.tree);
            }
            UseTree::Name(name) => {
                prefix.push(name.ident.to_string());
                self.mention(name.ident.span(), prefix, Form::Import);
            }
            UseTree::Rename(rename) => {
                prefix.push(rename.ident.to_string());
                self.mention(rename.ident.span(), prefix, Form::Import);
            }
            UseTree::Glob(glob) => self.mention(glob.star_token.span, prefix, Form::Glob),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.imports(prefix.clone(), tree)),
        }
    }

    /// Collects the paths in tokens that are not parsed. For the tokens inside the braces of an import, `prefix` has
    /// the segments before the braces. For all other tokens it is empty.
    fn tokens(&mut self, tokens: TokenStream, prefix: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut begins_entry = true;
        while at < tokens.len() {
            let before = if begins_entry { prefix } else { &[] };
            match self.path_at(&tokens, at, before) {
                Some(end) => {
                    at = end;
                    begins_entry = false;
                }
                None => {
                    if let TokenTree::Group(group) = &tokens[at] {
                        self.tokens(group.stream(), &[]);
                    }
                    begins_entry = matches!(&tokens[at], TokenTree::Punct(punct) if punct.as_char() == ',');
                    at += 1;
                }
            }
        }
    }

    /// Collects the path that begins at this token. Returns the index after the path, or `None` if no path begins
    /// here.
    fn path_at(&mut self, tokens: &[TokenTree], start: usize, prefix: &[String]) -> Option<usize> {
        let mut segments = prefix.to_vec();
        let mut at = start;
        if is_colons(tokens, at) {
            // After a macro variable or generic arguments, `::` continues a path that began earlier.
            let continues = start > 0
                && is_punct(tokens, start - 1, '>')
                && !(start > 1 && is_punct(tokens, start - 2, '-'));
            if continues || (start > 1 && is_punct(tokens, start - 2, '$')) {
                return None;
            }
            segments.push(String::new());
            at += 2;
        } else if is_punct(tokens, at, '$') {
            // `$crate` begins a path. `$name` is a macro variable, so the segments after it belong to an unknown
            // path.
            if !matches!(tokens.get(at + 1), Some(TokenTree::Ident(name)) if name == "crate") {
                return None;
            }
            at += 1;
        }
        if !prefix.is_empty() && is_punct(tokens, at, '*') {
            self.mention(tokens[at].span(), segments, Form::Glob);
            return Some(at + 1);
        }
        let TokenTree::Ident(first) = tokens.get(at)? else { return None };
        // A name after a dot is a field or method, and a name after `$` is a macro variable.
        if start > 0 && (is_punct(tokens, start - 1, '.') || is_punct(tokens, start - 1, '$')) {
            return None;
        }
        let mut span = first.span();
        segments.push(first.to_string());
        at += 1;
        while is_colons(tokens, at) {
            match tokens.get(at + 2) {
                Some(TokenTree::Ident(name)) => {
                    segments.push(name.to_string());
                    if !prefix.is_empty() {
                        span = name.span();
                    }
                    at += 3;
                }
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                    self.mention(star.span(), segments, Form::Glob);
                    return Some(at + 3);
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.tokens(group.stream(), &segments);
                    return Some(at + 3);
                }
                // Generic arguments or a macro variable follow. The path leads at least as far as the segments before
                // them.
                _ => break,
            }
        }
        let is_invoked = is_punct(tokens, at, '!') && !is_punct(tokens, at + 1, '=');
        let form = match (prefix.is_empty(), is_invoked) {
            (false, _) => Form::Import,
            (true, true) => Form::Invocation,
            (true, false) => Form::Other,
        };
        self.mention(span, segments, form);
        Some(at)
    }

    /// Collects the paths in the argument of an attribute: in its tokens, and in strings that are paths
    /// (`#[serde(with = "crate::…")]`).
    fn argument(&mut self, tokens: TokenStream) {
        self.strings(tokens.clone());
        self.tokens(tokens, &[]);
    }

    fn strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.strings(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
                        continue;
                    };
                    let is_rooted =
                        ["crate::", "self::", "super::"].iter().any(|root| text.starts_with(root));
                    if let (true, Ok(path)) = (is_rooted, syn::parse_str::<Path>(text)) {
                        self.mention(literal.span(), segments_of(&path), Form::Other);
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes: &[Attribute] = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes: &[Attribute] = match statement {
            Stmt::Local(local) => &local.attrs,
            Stmt::Macro(invocation) => &invocation.attrs,
            Stmt::Expr(Expr::Block(block), _) => &block.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        module.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        let Some((_, items)) = &module.content else { return };
        let start = module.ident.span().start();
        let inline = self.tree.inline.get(&(self.file, start.line, start.column)).copied();
        let scope = inline.unwrap_or_else(|| block_scope(self.tree, self.scope, items.iter()));
        self.within(scope, |this| items.iter().for_each(|item| this.visit_item(item)));
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let items = || {
            block.stmts.iter().filter_map(|statement| match statement {
                Stmt::Item(item) if !is_for_tests(attributes_of(item)) => Some(item),
                _ => None,
            })
        };
        if items().next().is_none() {
            return visit::visit_block(self, block);
        }
        let scope = block_scope(self.tree, self.scope, items());
        self.within(scope, |this| visit::visit_block(this, block));
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        import.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        let prefix = import.leading_colon.map(|_| vec![String::new()]).unwrap_or_default();
        self.imports(prefix, &import.tree);
    }

    // `pub(in crate::run)` limits who may name an item, and imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast Path) {
        let at = path.segments.first().map_or_else(Span::call_site, |first| first.ident.span());
        self.mention(at, segments_of(path), Form::Other);
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        self.visit_path(attribute.path());
        match &attribute.meta {
            Meta::List(list) => self.argument(list.tokens.clone()),
            Meta::NameValue(pair) => self.visit_expr(&pair.value),
            _ => {}
        }
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        let at = invocation.path.segments.first().map_or_else(Span::call_site, |first| first.ident.span());
        self.mention(at, segments_of(&invocation.path), Form::Invocation);
        self.tokens(invocation.tokens.clone(), &[]);
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        let exported = item.ident.as_ref().filter(|_| is_exported(&item.attrs)).map(ToString::to_string);
        let outer = std::mem::replace(&mut self.exported_by, exported);
        visit::visit_item_macro(self, item);
        self.exported_by = outer;
    }
}

/// Adds a scope with these items, for a block or for a module inside of a block. Returns the index of the scope.
fn block_scope<'i>(tree: &mut Tree, around: ScopeId, items: impl Iterator<Item = &'i Item>) -> ScopeId {
    let Scope { file, module, parent, .. } = tree.scopes[around];
    let scope = tree.scopes.len();
    tree.scopes.push(Scope { file, around: Some(around), module, parent, ..Scope::default() });
    items.for_each(|item| tree.declare(scope, item));
    scope
}

fn segments_of(path: &Path) -> Vec<String> {
    let leading = path.leading_colon.map(|_| String::new());
    leading.into_iter().chain(path.segments.iter().map(|segment| segment.ident.to_string())).collect()
}

fn is_punct(tokens: &[TokenTree], at: usize, character: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens, at, ':')
        && matches!(&tokens[at], TokenTree::Punct(first) if first.spacing() == Spacing::Joint)
        && is_punct(tokens, at + 1, ':')
}
