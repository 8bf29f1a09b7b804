//! What can run: a process, or a stage or a call to a dependency on behalf of a process. A [`Site`] is the static that an expansion
//! leaves; a [`Unit`] is what the run needs of it, made at its first use and kept.

use std::collections::HashSet;
use std::sync::{OnceLock, RwLock};
use std::time::Duration;

use process_model::wire::{DecodeError, decode_text};

use crate::base::lock::{read, write};
use crate::catalog::definition::{Definition, ProcessDefinition, StageDefinition};
use crate::catalog::registry;
use crate::stats::account::Account;

/// One annotated function.
#[derive(Debug)]
pub struct Site {
    text: &'static [u8],
    definition: OnceLock<Result<Definition, DecodeError>>,
    unit: OnceLock<Option<&'static Unit>>,
}

/// An inventory item: the anchor that keeps a site and its record in the binary.
#[derive(Debug)]
pub struct Entry(pub &'static Site);

inventory::collect!(Entry);

/// The value of a site's static, which leaves behind the record in the object file's section and the registration.
/// Here and not in the attribute's expansion, since the compiler is many times faster at this than a procedural macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    ($site:ident, $($parts:tt)*) => {{
        $crate::__private::inventory::submit! { $crate::__private::Entry(&$site) }
        $crate::__private::Site::new($crate::__private::record_text!($($parts)*))
    }};
}

/// Leaves a record behind in the object file's section, and is its text: the definition, and after it what only the
/// compiler knows, in `process_model`'s wire form.
#[doc(hidden)]
#[macro_export]
macro_rules! __record_text {
    ($definition:literal, $function:literal, $file:expr, $line:expr) => {{
        const TEXT: &::core::primitive::str = ::core::concat!(
            $definition,
            "handler\u{1f}",
            ::core::module_path!(),
            "::",
            $function,
            "\u{1e}file\u{1f}",
            $file,
            "\u{1e}line\u{1f}",
            $line,
            "\u{1e}"
        );
        #[used]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__critproc"))]
        #[cfg_attr(
            not(any(target_vendor = "apple", target_family = "wasm")),
            unsafe(link_section = "critproc")
        )]
        static RECORD: $crate::__private::Frame<{ TEXT.len() }> = $crate::__private::Frame::new(TEXT);
        RECORD.text()
    }};
}

impl Site {
    /// From the text of the site's record.
    pub const fn new(text: &'static [u8]) -> Site {
        Site { text, definition: OnceLock::new(), unit: OnceLock::new() }
    }

    /// Every annotated function. Where another macro expands an attribute again (`#[debug_handler]` emits its
    /// function several times), that is still one function.
    pub(crate) fn all() -> impl Iterator<Item = &'static Site> {
        let mut seen = HashSet::new();
        inventory::iter::<Entry>.into_iter().map(|entry| entry.0).filter(move |site| seen.insert(site.text))
    }

    /// The one among [`Site::all`] that stands for the same function.
    fn first(&'static self) -> &'static Site {
        Site::all().find(|site| site.text == self.text).unwrap_or(self)
    }

    /// What the record says; decoded at the first call.
    pub(crate) fn definition(&self) -> Result<Definition, &DecodeError> {
        self.definition.get_or_init(|| decode_text(self.text).and_then(Definition::keep)).as_ref().copied()
    }

    /// What runs here; `None` where the record cannot be read, which `registry::validate` tells.
    #[inline]
    pub(crate) fn unit(&'static self) -> Option<&'static Unit> {
        *self.unit.get_or_init(|| {
            let first = self.first();
            if !std::ptr::eq(first, self) {
                return first.unit();
            }
            match self.definition().ok()? {
                Definition::Process(process) => Some(Unit::keep(Definition::Process(process), Some(process))),
                Definition::Stage(stage) => {
                    let process = stage.process().and_then(registry::process);
                    Some(Unit::keep(Definition::Stage(stage), process))
                }
                Definition::Dependency(_) => None,
            }
        })
    }
}

/// Every dependency that was called, for each process that called it.
static DEPENDENCIES: RwLock<Vec<&'static Unit>> = RwLock::new(Vec::new());

/// A process, or a stage or a call to a dependency on behalf of a process.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) definition: Definition,
    /// The process itself, or the one that the stage or call runs for.
    pub(crate) process: Option<&'static ProcessDefinition>,
    /// The span's name.
    pub(crate) name: &'static str,
    pub(crate) sla: Option<Duration>,
    /// Figures in the global domain.
    pub(crate) account: OnceLock<Account>,
    #[cfg(feature = "tracing")]
    pub(crate) span: OnceLock<crate::observe::span::SpanSite>,
    /// For a shared stage, its units for each process that it has run in.
    shared: RwLock<Vec<&'static Unit>>,
}

impl Unit {
    fn keep(definition: Definition, process: Option<&'static ProcessDefinition>) -> &'static Unit {
        let id = definition.common().id.as_str();
        let name = match (definition, process) {
            (Definition::Process(_), _) | (_, None) => id,
            (_, Some(process)) => &*format!("{}.{id}", process.id()).leak(),
        };
        Box::leak(Box::new(Unit {
            definition,
            process,
            name,
            sla: definition.sla(),
            account: OnceLock::new(),
            #[cfg(feature = "tracing")]
            span: OnceLock::new(),
            shared: RwLock::new(Vec::new()),
        }))
    }

    /// Calls to this dependency on behalf of this process.
    pub(crate) fn of_dependency(id: &str, process: Option<&'static ProcessDefinition>) -> &'static Unit {
        let is_it = |unit: &&&'static Unit| {
            let owner = unit.process.map(std::ptr::from_ref);
            unit.definition.common().id == id && owner == process.map(std::ptr::from_ref)
        };
        if let Some(unit) = read(&DEPENDENCIES).iter().find(is_it) {
            return unit;
        }
        let mut known = write(&DEPENDENCIES);
        if let Some(unit) = known.iter().find(is_it) {
            return unit;
        }
        let unit = Unit::keep(Definition::dependency(id), process);
        known.push(unit);
        unit
    }

    /// Whether this is a process itself.
    #[inline]
    pub(crate) fn is_process(&self) -> bool {
        matches!(self.definition, Definition::Process(_))
    }

    /// The stage, where this is one.
    pub(crate) fn stage(&self) -> Option<&'static StageDefinition> {
        match self.definition {
            Definition::Stage(stage) => Some(stage),
            Definition::Process(_) | Definition::Dependency(_) => None,
        }
    }

    /// The id of the dependency, where this is a call to one.
    pub(crate) fn dependency(&self) -> Option<&'static str> {
        match self.definition {
            Definition::Dependency(dependency) => Some(dependency.id()),
            Definition::Process(_) | Definition::Stage(_) => None,
        }
    }

    /// Whether both stand for the same annotated function.
    pub(crate) fn is_same_site(&self, other: &Unit) -> bool {
        std::ptr::eq(self.definition.common(), other.definition.common())
    }

    /// This unit inside a run of `enclosing`: a shared stage belongs to the run that encloses it.
    pub(crate) fn within(&'static self, enclosing: Option<&'static ProcessDefinition>) -> &'static Unit {
        let is_shared = self.process.is_none() && self.stage().is_some_and(|stage| stage.process().is_none());
        let Some(process) = enclosing.filter(|_| is_shared) else {
            return self;
        };
        let runs_for = |unit: &&&'static Unit| unit.process.is_some_and(|known| std::ptr::eq(known, process));
        if let Some(unit) = read(&self.shared).iter().find(runs_for) {
            return unit;
        }
        let mut shared = write(&self.shared);
        if let Some(unit) = shared.iter().find(runs_for) {
            return unit;
        }
        let unit = Unit::keep(self.definition, Some(process));
        shared.push(unit);
        unit
    }

    /// Every unit that has run or could: those of sites, of shared stages, and of dependencies that were called.
    pub(crate) fn all() -> Vec<&'static Unit> {
        let mut all = read(&DEPENDENCIES).clone();
        for unit in Site::all().filter_map(Site::unit) {
            all.push(unit);
            all.extend(read(&unit.shared).iter());
        }
        all
    }
}
