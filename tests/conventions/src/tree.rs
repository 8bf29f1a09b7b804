//! The module tree of a crate, with the names in each module and the file of each name. It follows all `mod` items,
//! inline or not, with `#[path]` and under any `cfg`. It leaves out code that only tests compile (`cfg(test)`).

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{LineColumn, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, ItemMod, Meta, Token, UseTree};

use crate::source::Sources;

/// An index into [`Tree::files`].
pub type FileId = usize;

/// An index into [`Tree::scopes`].
pub type ScopeId = usize;

/// The scope of `lib.rs`.
pub const ROOT: ScopeId = 0;

/// A file that is part of the crate.
pub struct File {
    /// The path of the file below `src`.
    pub path: String,
    /// The number of lines.
    pub lines: usize,
    /// The parsed content.
    pub syntax: syn::File,
}

/// What a name refers to.
#[derive(Clone, Debug)]
pub enum Definition {
    /// A module.
    Module(ScopeId),
    /// Any other item, with the file that defines it.
    Item(FileId),
    /// An import, with the path that it names.
    Import(Vec<String>),
}

/// A module, or a block of a function with items of its own.
#[derive(Debug, Default)]
pub struct Scope {
    /// The file that contains the scope.
    pub file: FileId,
    /// The scope around a block. It is `None` for a module, because the names of outer modules are not in scope.
    pub around: Option<ScopeId>,
    /// The nearest module, to which `self` refers.
    pub module: ScopeId,
    /// The module around the nearest module, to which `super` refers.
    pub parent: Option<ScopeId>,
    /// The name of the module. It is empty for a block.
    pub name: String,
    /// The names that the scope defines or imports.
    pub names: HashMap<String, Vec<Definition>>,
    /// The paths that the scope imports with `*`.
    pub globs: Vec<Vec<String>>,
    /// Every identifier in the macro invocations of the scope. Each may be the name of a generated item.
    pub generated: BTreeSet<String>,
}

/// All modules of a crate.
#[derive(Default)]
pub struct Tree {
    /// Every file, `lib.rs` first.
    pub files: Vec<File>,
    /// Every module, [`ROOT`] first. The scopes of blocks are added when paths are collected.
    pub scopes: Vec<Scope>,
    /// For the name of each `macro_rules!` macro, the files that define it.
    pub macros: HashMap<String, BTreeSet<FileId>>,
    /// The modules that have a file of their own. A file that several `mod` items name is listed once for each item.
    pub loaded: Vec<ScopeId>,
    /// The files that no `mod` item names, not even a `mod` item that only tests compile.
    pub unreached: Vec<String>,
    /// The inline modules, by file, and by the line and column of their name.
    pub inline: HashMap<(FileId, usize, usize), ScopeId>,
}

impl Tree {
    /// Builds the tree from `lib.rs` down.
    ///
    /// # Panics
    ///
    /// Panics if a file is missing or is not Rust.
    pub fn new(sources: &Sources) -> Tree {
        let mut loader = Loader { sources, tree: Tree::default(), for_tests: Vec::new() };
        loader.load("lib.rs", "", None, "crate");
        loader.finish()
    }

    fn add_module(&mut self, file: FileId, parent: Option<ScopeId>, name: &str) -> ScopeId {
        let module = self.scopes.len();
        self.scopes.push(Scope { file, module, parent, name: name.to_owned(), ..Scope::default() });
        module
    }

    /// Adds to a scope the names that an item defines or imports.
    pub(crate) fn declare(&mut self, scope: ScopeId, item: &Item) {
        let file = self.scopes[scope].file;
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Use(item) => {
                let prefix = item.leading_colon.map(|_| vec![String::new()]).unwrap_or_default();
                return self.import(scope, prefix, &item.tree);
            }
            Item::ExternCrate(item) => {
                let named = item.rename.as_ref().map_or(&item.ident, |(_, name)| name).to_string();
                let path = match item.ident.to_string().as_str() {
                    "self" => vec!["crate".to_owned()],
                    krate => vec![String::new(), krate.to_owned()],
                };
                return self.define(scope, &named, Definition::Import(path));
            }
            Item::Macro(item) => {
                let Some(name) = &item.ident else {
                    return identifiers(&item.mac.tokens, &mut self.scopes[scope].generated);
                };
                self.macros.entry(name.to_string()).or_default().insert(file);
                if is_exported(&item.attrs) {
                    self.define(ROOT, &name.to_string(), Definition::Item(file));
                }
                name
            }
            _ => return,
        };
        self.define(scope, &name.to_string(), Definition::Item(file));
    }

    fn define(&mut self, scope: ScopeId, name: &str, definition: Definition) {
        self.scopes[scope].names.entry(name.to_owned()).or_default().push(definition);
    }

    fn import(&mut self, scope: ScopeId, mut prefix: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(scope, prefix, &path.tree);
            }
            UseTree::Name(name) if name.ident == "self" => {
                if let Some(name) = prefix.last().cloned() {
                    self.define(scope, &name, Definition::Import(prefix));
                }
            }
            UseTree::Name(name) => {
                prefix.push(name.ident.to_string());
                self.define(scope, &name.ident.to_string(), Definition::Import(prefix));
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    prefix.push(rename.ident.to_string());
                }
                self.define(scope, &rename.rename.to_string(), Definition::Import(prefix));
            }
            UseTree::Glob(_) => self.scopes[scope].globs.push(prefix),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(scope, prefix.clone(), tree);
                }
            }
        }
    }
}

/// Follows `mod` items from file to file.
struct Loader<'s> {
    sources: &'s Sources,
    tree: Tree,
    /// The modules that only tests compile. Each is the path of the module's file without `.rs`.
    for_tests: Vec<String>,
}

impl Loader<'_> {
    fn load(&mut self, path: &str, children: &str, parent: Option<ScopeId>, name: &str) -> ScopeId {
        let files = &mut self.tree.files;
        let file = files.iter().position(|file| file.path == path).unwrap_or_else(|| {
            let text = self.sources.get(path).unwrap_or_else(|| panic!("no file {path}"));
            let syntax = syn::parse_file(text)
                .unwrap_or_else(|error| panic!("{path}:{}: {error}", error.span().start().line));
            files.push(File { path: path.to_owned(), lines: text.lines().count(), syntax });
            files.len() - 1
        });
        let items = files[file].syntax.items.clone();
        let scope = self.tree.add_module(file, parent, name);
        self.tree.loaded.push(scope);
        self.items(scope, &items, &Folder { beside: folder(path), children });
        scope
    }

    fn items(&mut self, scope: ScopeId, items: &[Item], at: &Folder<'_>) {
        for item in items {
            match item {
                Item::Mod(module) if is_for_tests(&module.attrs) => {
                    let (named, _) = paths_in(&module.attrs);
                    let named = named.iter().map(|path| join(at.beside, path.trim_end_matches(".rs")));
                    self.for_tests.extend(named.chain([join(at.children, &module.ident.to_string())]));
                }
                Item::Mod(module) => self.module(scope, module, at),
                item if is_for_tests(attributes_of(item)) => {}
                item => self.tree.declare(scope, item),
            }
        }
    }

    fn module(&mut self, scope: ScopeId, module: &ItemMod, at: &Folder<'_>) {
        let name = module.ident.to_string();
        if let Some((_, items)) = &module.content {
            let file = self.tree.scopes[scope].file;
            let inner = self.tree.add_module(file, Some(scope), &name);
            let LineColumn { line, column } = module.ident.span().start();
            self.tree.inline.insert((file, line, column), inner);
            self.tree.define(scope, &name, Definition::Module(inner));
            let children = join(at.children, &name);
            self.items(inner, items, &Folder { beside: &children, children: &children });
        } else {
            for (path, children) in at.files_of(self.sources, &name, &module.attrs) {
                let inner = self.load(&path, &children, Some(scope), &name);
                self.tree.define(scope, &name, Definition::Module(inner));
            }
        }
    }

    fn finish(self) -> Tree {
        let Loader { sources, mut tree, for_tests } = self;
        let is_for_tests = |path: &str| {
            let own = path.trim_end_matches(".rs");
            for_tests.iter().any(|module| own == module || own.starts_with(&format!("{module}/")))
        };
        let paths = sources.iter().map(|(path, _)| path);
        let unreached =
            paths.filter(|path| !is_for_tests(path) && tree.files.iter().all(|file| file.path != *path));
        tree.unreached = unreached.map(str::to_owned).collect();
        tree
    }
}

/// The folders that can contain the files for the `mod` items of a module.
struct Folder<'a> {
    /// The folder to which the paths in `#[path]` are relative.
    beside: &'a str,
    /// The folder that contains `name.rs` or `name/mod.rs` for `mod name;`.
    children: &'a str,
}

impl Folder<'_> {
    /// Returns each file that `mod name;` can mean, with the folder that contains the files of that module's
    /// children.
    fn files_of(&self, sources: &Sources, name: &str, attributes: &[Attribute]) -> Vec<(String, String)> {
        let (named, is_certain) = paths_in(attributes);
        let mut files: Vec<_> = named
            .iter()
            .map(|path| join(self.beside, path))
            .map(|path| (path.clone(), folder(&path).to_owned()))
            .collect();
        if !is_certain {
            let own = join(self.children, name);
            files.extend([(format!("{own}.rs"), own.clone()), (format!("{own}/mod.rs"), own)]);
        }
        files.retain(|(path, _)| sources.get(path).is_some());
        assert!(!files.is_empty(), "no file of module `{name}` in `{}`", self.children);
        files
    }
}

/// Returns the paths in `#[path = "…"]`, and whether one of them applies under every `cfg`.
fn paths_in(attributes: &[Attribute]) -> (Vec<String>, bool) {
    let mut paths = Vec::new();
    let mut is_certain = false;
    for attribute in attributes {
        if let Some(path) = path_in(&attribute.meta) {
            paths.push(path);
            is_certain = true;
        } else if attribute.path().is_ident("cfg_attr") {
            paths.extend(nested(&attribute.meta).iter().filter_map(path_in));
        }
    }
    (paths, is_certain)
}

fn path_in(meta: &Meta) -> Option<String> {
    let Meta::NameValue(pair) = meta else { return None };
    let syn::Expr::Lit(value) = &pair.value else { return None };
    let syn::Lit::Str(text) = &value.lit else { return None };
    pair.path.is_ident("path").then(|| text.value())
}

fn nested(meta: &Meta) -> Vec<Meta> {
    let Meta::List(list) = meta else { return Vec::new() };
    list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
        .map(|list| list.into_iter().collect())
        .unwrap_or_default()
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn identifiers(tokens: &TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(name) => drop(found.insert(name.to_string())),
            TokenTree::Group(group) => identifiers(&group.stream(), found),
            _ => {}
        }
    }
}

/// Returns whether an item with these attributes is compiled only for tests.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    let cfgs = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    cfgs.flat_map(|cfg| nested(&cfg.meta)).any(|predicate| needs_test(&predicate))
        || attributes.iter().any(|attribute| attribute.path().is_ident("test"))
}

fn needs_test(predicate: &Meta) -> bool {
    match predicate {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => nested(predicate).iter().any(needs_test),
        Meta::List(list) if list.path.is_ident("any") => {
            let alternatives = nested(predicate);
            !alternatives.is_empty() && alternatives.iter().all(needs_test)
        }
        _ => false,
    }
}

/// Returns whether a `macro_rules!` with these attributes is exported to other crates.
pub(crate) fn is_exported(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("macro_export"))
}

/// Returns the attributes of an item.
pub(crate) fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
