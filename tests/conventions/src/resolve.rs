//! Follows a path to the file that defines the name at its end, through modules, re-exports, renames and imports with
//! `*`. Items that are associated with a type, and the variants of an enum, count as defined in the file of the type.

use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};

use crate::paths::{Form, Mention};
use crate::tree::{Definition, FileId, ROOT, ScopeId, Tree};

/// The name of this crate. A path in this crate can begin with the name instead of `crate`, as a path in another
/// crate does.
pub const OWN_NAME: &str = "process_runtime";

/// The module that only the expansions of macros may name.
pub const PRIVATE: &str = "__private";

/// A path that leads into another file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The file in which the path is written.
    pub from: FileId,
    /// The line of the path.
    pub line: usize,
    /// The path.
    pub path: String,
    /// The file that defines what the path names.
    pub to: FileId,
}

/// The targets of all paths of a crate.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The paths into another file.
    pub arrows: Vec<Arrow>,
    /// The paths through the module [`PRIVATE`], except for `$crate` paths in macros that only other crates expand:
    /// file, line, path.
    pub private: Vec<(FileId, usize, String)>,
    /// The paths into other crates: file, line, path. The first segment is the name of the crate.
    pub foreign: Vec<(FileId, usize, Vec<String>)>,
    /// The paths into this crate whose target does not exist: file, line, path.
    pub lost: Vec<(FileId, usize, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Module(ScopeId),
    Item(FileId),
    Foreign(Vec<String>),
    /// The path leads into a module of this file, and the module does not have the next name of the path.
    Lost(FileId),
}

/// Follows every path.
///
/// An exported macro is expanded in other crates, where `$crate::__private::X` is the only way to name an internal
/// item `X`. Such a path in the body of an exported macro therefore does not make the file of the macro depend on the
/// file of `X`, unless this crate also expands the macro itself. Every other path in the body of a macro counts as a
/// path of the file that contains the body.
pub fn resolve(tree: &Tree, mentions: &[Mention]) -> Resolved {
    let expanded = expanded_here(tree, mentions);
    let mut resolved = Resolved::default();
    for mention in mentions {
        // `lib.rs` and `__private` may name every item.
        if mention.file == tree.scopes[ROOT].file || is_private(tree, mention.scope) {
            continue;
        }
        let resolver = Resolver { tree, passes_private: Cell::new(false) };
        let found = resolver.follow(mention);
        let path = written(mention);
        if resolver.passes_private.get() {
            let is_for_users = mention.exported_by.as_ref().is_some_and(|name| !expanded.contains(name));
            if is_for_users && mention.segments[0] == "crate" {
                continue;
            }
            resolved.private.push((mention.file, mention.line, path.clone()));
        }
        for found in found {
            let to = match found {
                Found::Foreign(path) => {
                    resolved.foreign.push((mention.file, mention.line, path));
                    continue;
                }
                Found::Lost(file) => {
                    resolved.lost.push((mention.file, mention.line, path.clone()));
                    file
                }
                Found::Module(module) => tree.scopes[module].file,
                Found::Item(file) => file,
            };
            if to != mention.file {
                resolved.arrows.push(Arrow {
                    from: mention.file,
                    line: mention.line,
                    path: path.clone(),
                    to,
                });
            }
        }
    }
    resolved.arrows.sort();
    resolved.arrows.dedup();
    resolved
}

/// Returns the macros that this crate expands itself. An invocation in the body of an exported macro counts only if
/// this crate also expands that exported macro.
fn expanded_here(tree: &Tree, mentions: &[Mention]) -> HashSet<String> {
    let mut expanded = HashSet::new();
    loop {
        let before = expanded.len();
        let invocations = mentions
            .iter()
            .filter(|mention| mention.form == Form::Invocation)
            .filter(|mention| mention.exported_by.as_ref().is_none_or(|name| expanded.contains(name)));
        let names: Vec<String> = invocations
            .filter_map(|mention| mention.segments.last())
            .filter(|name| tree.macros.contains_key(*name))
            .cloned()
            .collect();
        expanded.extend(names);
        if expanded.len() == before {
            return expanded;
        }
    }
}

fn is_private(tree: &Tree, scope: ScopeId) -> bool {
    let mut module = Some(tree.scopes[scope].module);
    while let Some(id) = module {
        if tree.scopes[id].name == PRIVATE {
            return true;
        }
        module = tree.scopes[id].parent;
    }
    false
}

fn written(mention: &Mention) -> String {
    let segments = match mention.segments.split_last() {
        Some((last, before)) if last == "self" && !before.is_empty() => before,
        _ => &mention.segments,
    };
    let path = segments.join("::");
    match mention.form {
        Form::Glob => format!("{path}::*"),
        Form::Invocation => format!("{path}!"),
        Form::Import | Form::Other => path,
    }
}

/// The scopes and names that have been looked up on the way to one target. Looking up the same name in the same scope
/// again would cause an endless loop.
type Trail = HashSet<(ScopeId, String)>;

struct Resolver<'t> {
    tree: &'t Tree,
    passes_private: Cell<bool>,
}

impl Resolver<'_> {
    fn follow(&self, mention: &Mention) -> BTreeSet<Found> {
        let first = mention.segments[0].as_str();
        let mut trail = Trail::new();
        if matches!(first, "crate" | "super" | "self" | "" | OWN_NAME) {
            // The path `self` without further segments is a value.
            let is_value = mention.segments.len() == 1 && mention.form == Form::Other;
            return if is_value {
                BTreeSet::new()
            } else {
                self.path(mention.scope, &mention.segments, &mut trail)
            };
        }
        if mention.segments.len() == 1 && mention.form != Form::Glob {
            return self.single(mention, first);
        }
        // If the first segment is an item, such as a type, the path leads to the item and not beyond. If this file
        // imports the item by name, the import itself already counts as an arrow.
        let found = self.in_scope(mention.scope, first, &mut trail);
        if found.iter().any(|found| matches!(found, Found::Module(_))) || found.is_empty() {
            return self.path(mention.scope, &mention.segments, &mut Trail::new());
        }
        if found.iter().any(|found| matches!(found, Found::Item(_))) && !self.is_named(mention.scope, first) {
            return found;
        }
        BTreeSet::new()
    }

    /// Follows a path of one segment. It leads to another file only if an import with `*` provides the name, or if
    /// the name is a macro in textual scope.
    fn single(&self, mention: &Mention, name: &str) -> BTreeSet<Found> {
        if self.is_named(mention.scope, name) {
            return BTreeSet::new();
        }
        let mut found = self.in_scope(mention.scope, name, &mut Trail::new());
        found.retain(|found| matches!(found, Found::Item(_) | Found::Module(_)));
        if let (true, Form::Invocation, Some(files)) =
            (found.is_empty(), mention.form, self.tree.macros.get(name))
            && !files.contains(&mention.file)
        {
            found.extend(files.iter().copied().map(Found::Item));
        }
        found
    }

    /// Returns whether a scope, or a scope around it, defines the name or imports it without `*`.
    fn is_named(&self, scope: ScopeId, name: &str) -> bool {
        self.around(scope).any(|scope| self.tree.scopes[scope].names.contains_key(name))
    }

    fn around(&self, scope: ScopeId) -> impl Iterator<Item = ScopeId> {
        std::iter::successors(Some(scope), |scope| self.tree.scopes[*scope].around)
    }

    fn in_scope(&self, scope: ScopeId, name: &str, trail: &mut Trail) -> BTreeSet<Found> {
        self.around(scope)
            .map(|scope| self.member(scope, name, trail))
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    }

    fn path(&self, scope: ScopeId, segments: &[String], trail: &mut Trail) -> BTreeSet<Found> {
        let (first, mut rest) = segments.split_first().expect("a path has a segment");
        let module = self.tree.scopes[scope].module;
        let mut found = match first.as_str() {
            "crate" => BTreeSet::from([Found::Module(ROOT)]),
            "self" => BTreeSet::from([Found::Module(module)]),
            "super" => BTreeSet::from([Found::Module(self.tree.scopes[module].parent.unwrap_or(ROOT))]),
            "" if rest.first().is_some_and(|krate| krate == OWN_NAME) => {
                rest = &rest[1..];
                BTreeSet::from([Found::Module(ROOT)])
            }
            "" => return BTreeSet::from([Found::Foreign(rest.to_vec())]),
            name => self.in_scope(scope, name, trail),
        };
        if found.is_empty() {
            match first.as_str() {
                OWN_NAME => found = BTreeSet::from([Found::Module(ROOT)]),
                _ => return BTreeSet::from([Found::Foreign(segments.to_vec())]),
            }
        }
        for segment in rest {
            let modules: Vec<ScopeId> = found
                .iter()
                .filter_map(|found| match found {
                    Found::Module(module) => Some(*module),
                    _ => None,
                })
                .collect();
            if modules.is_empty() {
                break;
            }
            found = modules.into_iter().flat_map(|module| self.step(module, segment, trail)).collect();
        }
        found
    }

    fn step(&self, module: ScopeId, segment: &str, trail: &mut Trail) -> BTreeSet<Found> {
        let scope = &self.tree.scopes[module];
        self.note(module);
        match segment {
            "self" => return BTreeSet::from([Found::Module(module)]),
            "super" => return BTreeSet::from([Found::Module(scope.parent.unwrap_or(ROOT))]),
            _ => {}
        }
        let found = self.member(module, segment, trail);
        if !found.is_empty() {
            return found;
        }
        // The tokens of a macro that generates items usually contain the names of the items.
        let is_generated = scope.generated.contains(segment);
        BTreeSet::from([if is_generated { Found::Item(scope.file) } else { Found::Lost(scope.file) }])
    }

    /// Returns what this name refers to in a scope, or nothing if the trail already contains the name.
    fn member(&self, scope: ScopeId, name: &str, trail: &mut Trail) -> BTreeSet<Found> {
        if !trail.insert((scope, name.to_owned())) {
            return BTreeSet::new();
        }
        let module = &self.tree.scopes[scope];
        let mut found = BTreeSet::new();
        for definition in module.names.get(name).into_iter().flatten() {
            match definition {
                Definition::Module(module) => {
                    self.note(*module);
                    found.insert(Found::Module(*module));
                }
                Definition::Item(file) => drop(found.insert(Found::Item(*file))),
                Definition::Import(path) => found.extend(self.path(scope, path, trail)),
            }
        }
        if !module.names.contains_key(name) {
            for glob in &module.globs {
                for target in self.path(scope, glob, &mut trail.clone()) {
                    if let Found::Module(target) = target {
                        found.extend(self.member(target, name, trail));
                    }
                }
            }
        }
        found
    }

    fn note(&self, module: ScopeId) {
        if self.tree.scopes[module].name == PRIVATE {
            self.passes_private.set(true);
        }
    }
}
