//! Turns typed arguments and a function into a [`Model`]. The grammars of `process-model` decide whether a value is
//! valid, for the macros and for the runtime. If a grammar rejects a value, this file reports the error at the place
//! of the value in the source.

mod check_function;
mod contract_function;

use std::str::FromStr;

use proc_macro2::{Ident, Span};
use process_model::grammar::{self, GrammarError};
use process_model::{
    CheckTarget, Common, ContextKey, ContextSource, Declaration, Objective, ProcessDeclaration, Shape, Sla,
    StageDeclaration, nearest,
};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{ExprPath, LitStr, Path, ReturnType, parse_quote};

use crate::args::Args;
use crate::context::{Entry, Sigil, Source};
use crate::errors::Errors;
use crate::function::{Binding, Function};
use crate::keys::{AttributeKind, Key};
use crate::model::{Instrumented, Judging, Model, Put, Rules};
use crate::pattern::Arm;
use crate::returns;
use crate::wrapper;

/// Analyses the arguments and the function, and adds every mistake to `errors`. Returns `None` if a mistake leaves a
/// part of the model without a value. Other mistakes do not prevent a model, so the caller may use the model only if
/// `errors` is empty.
pub(crate) fn analyse(
    kind: AttributeKind,
    args: Args,
    function: &Function,
    errors: &Errors,
) -> Option<Model> {
    report_missing(kind, &args, errors);
    let declare = match kind {
        AttributeKind::Process => process,
        AttributeKind::Stage => stage,
        AttributeKind::Contract => {
            return contract_function::analyse(&args, function, errors).map(Box::new).map(Model::Contract);
        }
        AttributeKind::HealthCheck => return check(kind, CheckTarget::Process, &args, function, errors),
        AttributeKind::DependencyCheck => {
            return check(kind, CheckTarget::Dependency, &args, function, errors);
        }
    };
    instrumented(kind, declare, args, function, errors).map(Box::new).map(Model::Instrumented)
}

fn check(
    kind: AttributeKind,
    of: fn(String) -> CheckTarget,
    args: &Args,
    function: &Function,
    errors: &Errors,
) -> Option<Model> {
    check_function::analyse(kind, of, args, function, errors).map(Box::new).map(Model::Check)
}

fn instrumented(
    kind: AttributeKind,
    declare: fn(&Args, &Function, Shape, &Errors) -> Option<Declaration>,
    args: Args,
    function: &Function,
    errors: &Errors,
) -> Option<Instrumented> {
    let wrapper = wrapper::find(&function.signature, &function.body, kind, errors);
    report_open_return(&args, function, errors);
    let shape = wrapper.as_ref().map(|wrapper| wrapper.shape(args.outcome.is_some())).unwrap_or_default();
    let declaration = declare(&args, function, shape, errors);
    let (runtime, import) = runtime(&args);
    let handler = handler(args.handler.as_ref(), function, errors);
    let (entries, later) = context(args.context, function, errors);
    Some(Instrumented {
        declaration: declaration?,
        handler,
        runtime,
        import,
        entries,
        later,
        judging: match args.outcome {
            Some(verdict) => Judging::Outcome { verdict, error_type: args.error_type },
            None => Judging::Rules(Rules {
                rejects: args.rejects,
                fails: args.fails,
                degraded: args.degraded,
                error_type: args.error_type,
            }),
        },
        wrapper: wrapper?,
    })
}

/// Returns the path that the expansion uses for the runtime crate. If this path is an alias for the path in
/// `crate = …`, also returns the latter, which the expansion must then import under the alias.
fn runtime(args: &Args) -> (Path, Option<Path>) {
    let import = args.runtime.clone().filter(|path| !is_keyword(path));
    (import.as_ref().map_or_else(|| args.runtime(), name_of_import), import)
}

/// Whether the path is only `crate`, `self`, `super` or `$crate`, which cannot be imported under another name.
fn is_keyword(path: &Path) -> bool {
    path.get_ident().is_some_and(|name| syn::parse2::<Ident>(name.to_token_stream()).is_err())
}

fn name_of_import(path: &Path) -> Path {
    Ident::new("__process_runtime", path.span()).into()
}

fn process(args: &Args, function: &Function, shape: Shape, errors: &Errors) -> Option<Declaration> {
    let common = common(args, function, shape, errors);
    let version = args.version.as_ref().and_then(|version| {
        let text = version.value();
        accept(version, grammar::check_version(&text), errors).map(|()| text)
    });
    let sla = sla(args, errors);
    let criticality = word(args.criticality.as_ref(), errors);
    let objective = args
        .objective
        .as_ref()
        .map_or(Some(Objective::default()), |number| accept(&number.tokens, number.text.parse(), errors));
    let cancelled_is_bad = cancelled_is_bad(args.cancelled.as_ref(), errors);
    Some(Declaration::Process(ProcessDeclaration {
        common: common?,
        version: version?,
        sla: sla?,
        criticality: criticality?,
        owner: args.owner.as_ref().map(trimmed),
        runbook: args.runbook.as_ref().map(trimmed),
        objective: objective?,
        cancelled_is_bad,
    }))
}

fn stage(args: &Args, function: &Function, shape: Shape, errors: &Errors) -> Option<Declaration> {
    let common = common(args, function, shape, errors);
    let process = args.process.as_ref().map(|process| id(process, errors));
    let sla = args.sla.as_ref().map(|_| sla(args, errors));
    let after = ids(&args.after, errors);
    if let (Some(own), Some(position)) = (&args.id, after.iter().position(|id| args.is_id(id))) {
        errors.at(&args.after[position], format!("stage `{}` cannot come after itself", own.value())).help(
            match after.len() {
                1 => "remove `after`, or list the stages that must end before this one starts".to_owned(),
                _ => format!("remove `{}` from `after`", own.value()),
            },
        );
    }
    Some(Declaration::Stage(StageDeclaration {
        common: common?,
        process: process.flatten(),
        sla: sla.flatten(),
        after,
    }))
}

impl Args {
    fn is_id(&self, id: &str) -> bool {
        self.id.as_ref().is_some_and(|own| own.value() == id)
    }
}

fn common(args: &Args, function: &Function, shape: Shape, errors: &Errors) -> Option<Common> {
    let id = args.id.as_ref().and_then(|own| id(own, errors));
    let error_text = word(args.error_text.as_ref(), errors);
    let depends_on = ids(&args.depends_on, errors);
    let written = |path: &Option<ExprPath>| path.as_ref().map(text);
    let id = id?;
    Some(Common {
        name: args.name.as_ref().map_or_else(|| grammar::name_from_id(&id), trimmed),
        id,
        description: function.description(),
        context: args.context.iter().map(context_key).collect(),
        rejects: args.rejects.iter().map(Arm::written).collect(),
        fails: args.fails.iter().map(Arm::written).collect(),
        degraded: written(&args.degraded),
        outcome: written(&args.outcome),
        error_type: written(&args.error_type),
        error_text: error_text?,
        depends_on,
        signature: signature(function),
        shape,
    })
}

/// Returns the text of the signature as the user wrote it. If a macro generated empty generics (`<>`) or an empty
/// `where`, prints the parsed signature instead, which omits them.
fn signature(function: &Function) -> String {
    let generics = &function.signature.generics;
    let is_empty = generics.lt_token.is_some() && generics.params.is_empty()
        || generics.where_clause.as_ref().is_some_and(|clause| clause.predicates.is_empty());
    if is_empty { text(&function.signature) } else { text(&function.written) }
}

fn context_key(entry: &Entry) -> ContextKey {
    ContextKey {
        name: entry.name.unraw().to_string(),
        source: match entry.source {
            Source::Argument(_) | Source::Expression(..) => ContextSource::Entry,
            Source::Inherit => ContextSource::Inherit,
            Source::Later => ContextSource::Later,
        },
    }
}

fn id(literal: &LitStr, errors: &Errors) -> Option<String> {
    let text = literal.value();
    accept(literal, grammar::check_id(&text), errors).map(|()| text)
}

/// Returns the valid ids of a list. Reports each id that is invalid or repeats an earlier id, and omits it from the
/// result.
fn ids(literals: &[LitStr], errors: &Errors) -> Vec<String> {
    let mut ids = Vec::new();
    for literal in literals {
        let Some(id) = id(literal, errors) else {
            continue;
        };
        if ids.contains(&id) {
            errors.at(literal, format!("duplicate id `{id}`")).help("remove one of the two");
        } else {
            ids.push(id);
        }
    }
    ids
}

fn sla(args: &Args, errors: &Errors) -> Option<Sla> {
    let literal = args.sla.as_ref()?;
    accept(literal, literal.value().parse(), errors)
}

fn word<T: Default + FromStr<Err = GrammarError>>(word: Option<&Ident>, errors: &Errors) -> Option<T> {
    word.map_or(Some(T::default()), |word| accept(word, word.to_string().parse(), errors))
}

fn cancelled_is_bad(word: Option<&Ident>, errors: &Errors) -> bool {
    if let Some(word) = word.filter(|word| *word != "bad") {
        errors.at(word, format!("invalid value `{word}` for `cancelled`")).help(
            "write `cancelled = bad` to count every cancellation against the objective, or remove the key",
        );
    }
    word.is_some()
}

/// Returns the value that a grammar accepted, or reports the grammar's error at `place`.
fn accept<T>(place: impl ToTokens, result: Result<T, GrammarError>, errors: &Errors) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(refusal) => {
            errors.at(place, refusal.problem()).help(refusal.help());
            None
        }
    }
}

fn trimmed(literal: &LitStr) -> String {
    literal.value().trim().to_owned()
}

fn text(tokens: impl ToTokens) -> String {
    crate::text::written(tokens.into_token_stream())
}

fn report_missing(kind: AttributeKind, args: &Args, errors: &Errors) {
    let missing = kind.required().iter().filter(|key| !args.has_seen(**key));
    let missing: Vec<_> = missing.copied().collect();
    if missing.is_empty() {
        return;
    }
    let names: Vec<_> = missing.iter().map(|key| key.name()).collect();
    let keys = if names.len() == 1 { "key" } else { "keys" };
    let examples: Vec<_> = missing.iter().map(|key| kind.example_of(*key)).collect();
    // A missing key has no tokens, so the error is reported at the call site, which is the whole attribute.
    let attribute = Ident::new(kind.attribute(), Span::call_site());
    errors
        .at(attribute, format!("missing {keys} {} in `{}`", names_in_text(&names), kind.attribute()))
        .help(format!("add, for example, `{}`", examples.join(", ")));
}

/// Joins names for a sentence: "`a`", "`a` and `b`", "`a`, `b` and `c`".
fn names_in_text(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.concat(),
    }
}

fn report_open_return(args: &Args, function: &Function, errors: &Errors) {
    let ReturnType::Type(_, ty) = &function.signature.output else {
        return;
    };
    if args.has_seen(Key::Outcome) || !returns::is_open(ty, &function.signature.generics) {
        return;
    }
    errors
        .at(ty, format!("the attribute cannot see whether a value of type `{}` is a failure", text(ty)))
        .help(format!("add `outcome = path`, the path of a function `fn(&{}) -> Verdict`", text(ty)))
        .note("only the caller of the function knows the type");
}

fn handler(written: Option<&LitStr>, function: &Function, errors: &Errors) -> String {
    let name = function.signature.ident.unraw().to_string();
    let Some(literal) = written else {
        return name;
    };
    let handler = literal.value();
    let is_path = handler.split("::").all(|part| syn::parse_str::<Ident>(part).is_ok());
    if !is_path {
        errors
            .at(literal, format!("invalid handler `{handler}`: it must be the path of a function"))
            .help(format!("write the type and the method: `handler = \"Type::{name}\"`"));
    }
    handler
}

fn context(entries: Vec<Entry>, function: &Function, errors: &Errors) -> (Vec<Put>, Vec<Ident>) {
    let bindings = function.bindings();
    let mut seen: Vec<String> = Vec::new();
    let (mut puts, mut later) = (Vec::new(), Vec::new());
    for Entry { name, source } in entries {
        let key = name.unraw().to_string();
        let is_good = check_key(&name, &source, &seen, errors).is_some();
        seen.push(key.clone());
        match source {
            _ if !is_good => {}
            Source::Inherit => {}
            Source::Later => later.push(name),
            Source::Expression(sigil, value) => puts.push(Put { key, value, sigil, cfgs: Vec::new() }),
            Source::Argument(sigil) => {
                if let Some(binding) = argument(&name, sigil, &bindings, errors) {
                    puts.push(Put { key, value: parse_quote!(#name), sigil, cfgs: binding.cfgs.clone() });
                }
            }
        }
    }
    (puts, later)
}

fn check_key(name: &Ident, source: &Source, seen: &[String], errors: &Errors) -> Option<()> {
    let key = name.unraw().to_string();
    if seen.contains(&key) {
        errors.at(name, format!("duplicate context key `{key}`")).help(match source {
            Source::Later => "give each value its own name, for example `later(other_name)`",
            Source::Inherit => "remove one of the two",
            _ => "give each value its own name: `other_name = expression`",
        });
        return None;
    }
    let sigil = match source {
        Source::Argument(sigil) => Some(sigil.mark()),
        _ => None,
    };
    if sigil.is_some() && name == "self" {
        errors
            .at(name, "`self` cannot be recorded as a whole")
            .help("record a part of it, for example `id = self.id`");
        return None;
    }
    let Err(refusal) = grammar::check_context_key(&key) else {
        return Some(());
    };
    let mistake = errors.at(name, refusal.problem());
    match (refusal.example(), sigil) {
        (Some((form, example)), Some(sigil)) => mistake.help(format!("{form}: `{example} = {sigil}{name}`")),
        _ => mistake.help(refusal.help()),
    };
    None
}

/// Returns the binding with this name, or reports that no argument binds the name.
fn argument<'b>(name: &Ident, sigil: Sigil, bindings: &'b [Binding], errors: &Errors) -> Option<&'b Binding> {
    let found = bindings.iter().find(|binding| binding.name == *name);
    if found.is_some() {
        return found;
    }
    let names: Vec<_> = bindings.iter().map(|b| b.name.to_string()).collect();
    let mistake = errors.at(name, format!("no argument named `{name}`"));
    let mistake = match nearest(&name.to_string(), names.iter().map(String::as_str)) {
        Some(near) if grammar::check_context_key(near.trim_start_matches("r#")).is_ok() => {
            mistake.help(format!("did you mean `{near}`?"))
        }
        Some(near) => mistake.help(format!("did you mean `{name} = {}{near}`?", sigil.mark())),
        None => mistake,
    };
    if names.iter().any(|name| name.starts_with("__arg")) {
        mistake.help(format!(
            "`async_trait` moves the pattern into the future: replace it with a plain name, for example `argument`, and \
             record a part of it, for example `{name} = argument.{name}`"
        ));
        return None;
    }
    mistake.note(format!(
        "to record another value, write `{name} = expression`; to record it during the run, write `later({name})` and \
         call `record!({name} = value)` in the body"
    ));
    None
}
