//! Reads slots, the unparsed entries of an attribute, into typed arguments. Afterwards each value has the type of its
//! key, no key appears twice, and all keys can be combined. The module `value` rejects empty texts; the module
//! `analyse` checks each value with its grammar.

use proc_macro2::{Ident, Span};
use syn::{ExprPath, LitStr, Path, PathSegment, Token};

use crate::context::{self, Entry};
use crate::errors::Errors;
use crate::keys::{AttributeKind, Key};
use crate::pattern::{self, Arm};
use crate::slot::{Slot, Value};
use crate::value::{Field, Number, WordOf};

/// The arguments of one attribute. A field is empty if its key is not written or its value cannot be read.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) id: Option<LitStr>,
    pub(crate) version: Option<LitStr>,
    pub(crate) sla: Option<LitStr>,
    pub(crate) process: Option<LitStr>,
    pub(crate) after: Vec<LitStr>,
    pub(crate) case: Option<WordOf>,
    pub(crate) timeout: Option<LitStr>,
    pub(crate) every: Option<LitStr>,
    pub(crate) cached_for: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) criticality: Option<Ident>,
    pub(crate) owner: Option<LitStr>,
    pub(crate) runbook: Option<LitStr>,
    pub(crate) objective: Option<Number>,
    pub(crate) context: Vec<Entry>,
    pub(crate) rejects: Vec<Arm>,
    pub(crate) fails: Vec<Arm>,
    pub(crate) degraded: Option<ExprPath>,
    pub(crate) outcome: Option<ExprPath>,
    pub(crate) error_type: Option<ExprPath>,
    pub(crate) error_text: Option<Ident>,
    pub(crate) depends_on: Vec<LitStr>,
    pub(crate) cancelled: Option<Ident>,
    pub(crate) handler: Option<LitStr>,
    pub(crate) runtime: Option<Path>,
    /// The keys of the attribute, including keys with an invalid value. An unknown key counts as the valid key that
    /// the user probably meant.
    seen: Vec<Key>,
}

/// Reads the slots of one attribute.
pub(crate) fn read(kind: AttributeKind, slots: &[Slot], errors: &Errors) -> Args {
    let mut args = Args::default();
    for slot in slots {
        if let Some(key) = args.admit(kind, slot, slots, errors) {
            args.set(Field { kind, key, slot, errors });
        }
    }
    args
}

impl Args {
    /// Whether the attribute contains this key, or an unknown key that probably means this key. In both cases the key
    /// is not reported as missing.
    pub(crate) fn has_seen(&self, key: Key) -> bool {
        self.seen.contains(&key)
    }

    /// Returns the key of a slot. Reports a key that is unknown, duplicate or cannot be combined with an earlier key,
    /// and returns `None` for it. Also returns `None` for an unreadable slot, which the module `slot` has already
    /// reported.
    fn admit(&mut self, kind: AttributeKind, slot: &Slot, all: &[Slot], errors: &Errors) -> Option<Key> {
        let name = slot.key.to_string();
        let Some(key) = kind.key(&name) else {
            // An unreadable slot is already reported.
            if !matches!(slot.value, Value::Unreadable) {
                self.seen.extend(report_unknown(kind, slot, all, errors));
            }
            return None;
        };
        if self.has_seen(key) {
            let mistake = errors.at(&slot.key, format!("duplicate key `{name}`"));
            match slot.value {
                Value::List(_) => drop(mistake.help("merge the two lists into one")),
                _ if key == Key::Case => {
                    drop(mistake.help("keep one of the two, and write a separate test for the other case"));
                }
                _ => drop(mistake.help("remove one of the two")),
            }
            return None;
        }
        let excluded =
            self.seen.iter().filter_map(|seen| Some((format!("`{}`", seen.name()), seen.excludes(key)?)));
        let (excluded, reasons): (Vec<_>, Vec<_>) = excluded.unzip();
        if let Some(reason) = reasons.first() {
            errors
                .at(&slot.key, format!("`{name}` cannot be combined with {}", excluded.join(" and ")))
                .help(reason);
        }
        self.seen.push(key);
        let is_unreadable = matches!(slot.value, Value::Unreadable);
        (excluded.is_empty() && !is_unreadable).then_some(key)
    }

    fn set(&mut self, field: Field<'_>) {
        let key = field.key;
        match key {
            Key::Id => self.id = field.text(),
            Key::Version => self.version = field.text(),
            Key::Sla => self.sla = field.text(),
            Key::Process => self.process = field.text(),
            Key::After => self.after = field.texts().unwrap_or_default(),
            Key::Case => self.case = field.word_of(&Vec::from_iter(process_model::Case::words())),
            Key::Timeout => self.timeout = field.text(),
            Key::Every => self.every = field.text(),
            Key::CachedFor => self.cached_for = field.text(),
            Key::Name => self.name = field.text(),
            Key::Criticality => self.criticality = field.word(process_model::Criticality::WORDS),
            Key::Owner => self.owner = field.text(),
            Key::Runbook => self.runbook = field.text(),
            Key::Objective => self.objective = field.number(),
            Key::Context => {
                self.context = field.list().map_or(Vec::new(), |list| context::read(list, field.errors));
            }
            Key::Rejects => self.rejects = arms(&field),
            Key::Fails => self.fails = arms(&field),
            Key::Degraded => {
                self.degraded =
                    field.path("a function that takes a reference to the success value and returns `bool`")
            }
            Key::Outcome => {
                self.outcome =
                    field.path("a function that takes a reference to the return value and returns `Verdict`")
            }
            Key::ErrorType => {
                self.error_type =
                    field.path("a function that takes a reference to the error and returns `&'static str`")
            }
            Key::ErrorText => self.error_text = field.word(process_model::ErrorText::WORDS),
            Key::DependsOn => self.depends_on = field.texts().unwrap_or_default(),
            Key::Cancelled => self.cancelled = field.word(&["bad"]),
            Key::Handler => self.handler = field.text(),
            Key::Crate => self.runtime = field.module_path(),
        }
    }

    /// Returns the names that `later(…)` declares.
    pub(crate) fn later(&self) -> Vec<Ident> {
        let later = |entry: &&Entry| matches!(entry.source, context::Source::Later);
        let entries = self.context.iter().filter(later);
        entries.map(|entry| entry.name.clone()).collect()
    }

    /// Returns the path of the runtime crate: the path in `crate = …`, or the default.
    pub(crate) fn runtime(&self) -> Path {
        self.runtime.clone().unwrap_or_else(|| {
            let name = Ident::new("process_runtime", Span::call_site());
            Path {
                leading_colon: Some(Token![::](Span::call_site())),
                segments: [PathSegment::from(name)].into_iter().collect(),
            }
        })
    }
}

fn arms(field: &Field<'_>) -> Vec<Arm> {
    field.list().map_or(Vec::new(), |list| pattern::read(field.key, list, field.errors))
}

/// Reports an unknown key. Returns the key that the user probably meant, if there is one.
fn report_unknown(kind: AttributeKind, slot: &Slot, all: &[Slot], errors: &Errors) -> Option<Key> {
    let name = slot.key.to_string();
    let attribute = kind.attribute();
    let mistake = errors.at(&slot.key, format!("unknown key `{name}` in `{attribute}`"));
    // If the attribute also contains a key under its proper name, the unknown key cannot mean that key.
    let is_written = |key: &Key| all.iter().any(|slot| slot.key == key.name());
    let meant = kind.otherwise_called(&name).filter(|key| !is_written(key));
    let other = kind.other_with_key(&name).filter(|_| meant.is_none());
    // Fixed words come before similar keys, so that a new key cannot change the advice for them.
    let fixed = match name.as_str() {
        "description" | "desc" | "summary" | "doc" => {
            Some("write the description as the function's doc comment: `/// …`".to_owned())
        }
        "later" | "inherit" if kind.key("context").is_some() => {
            Some(format!("`{name}` is a part of `context`: write `context({name}(…))`"))
        }
        _ => None,
    };
    let is_open = fixed.is_none() && other.is_none();
    let nearest = kind.nearest_key(&name).filter(|key| is_open && !is_written(key));
    let near = meant.or(nearest);
    let mistake = match (fixed, other, near) {
        (Some(advice), ..) => mistake.help(advice),
        (None, Some(other), _) => mistake.help(format!("`{name}` is a key of `{}`", other.attribute())),
        (None, None, Some(near)) => {
            mistake.help(format!("did you mean `{}`, as in `{}`?", near.name(), kind.example_of(near)))
        }
        (None, None, None) => mistake,
    };
    mistake.note(format!("valid keys are {}", kind.key_list()));
    near
}
