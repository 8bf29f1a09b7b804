//! The units that can run: a process, or a stage or a call to a dependency on behalf of a process. A [`Site`] is the
//! static of an expansion; a [`Unit`] holds what a run needs and is made when the function first runs.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock, RwLock};
use std::time::Duration;

use crate::base::lock::{read, write};
use crate::catalog::definition::{Definition, ProcessDefinition, Runnable, StageDefinition};
use crate::catalog::linked::Linked;
use crate::catalog::registry;
use crate::stats::account::Account;

/// The static of one annotated function.
#[derive(Debug)]
pub struct Site {
    /// The record, which the registry lists.
    pub linked: Linked<Runnable>,
    unit: OnceLock<Option<&'static Unit>>,
}

/// The value of a site's static, which leaves behind the record in the object file's section and the registration.
/// Here and not in the attribute's expansion, since the compiler is many times faster at this than a procedural macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    ($site:ident, $($parts:tt)*) => {{
        $crate::__private::inventory::submit! { $crate::__private::Entry(&$site.linked) }
        $crate::__private::Site::new($crate::__private::record_text!($($parts)*))
    }};
}

impl Site {
    /// Creates it from the text of the function's record.
    pub const fn new(text: &'static [u8]) -> Site {
        Site { linked: Linked::new(text, ()), unit: OnceLock::new() }
    }

    /// Returns what runs here, or `None` if the record cannot be decoded; `registry::validate` reports that.
    #[inline]
    pub(crate) fn unit(&'static self) -> Option<&'static Unit> {
        *self.unit.get_or_init(|| Unit::of_definition(self.linked.first().definition().ok()?.into()))
    }
}

/// The units of processes and stages, by the address of their definitions.
static UNITS: LazyLock<RwLock<HashMap<usize, &'static Unit>>> = LazyLock::new(RwLock::default);

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
    pub(crate) span: OnceLock<super::span::SpanSite>,
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

    /// Returns the unit of a process or stage.
    fn of_definition(definition: Definition) -> Option<&'static Unit> {
        let process = match definition {
            Definition::Process(process) => Some(process),
            Definition::Stage(stage) => stage.process().and_then(registry::process),
            Definition::Dependency(_) => return None,
        };
        let key = std::ptr::from_ref(definition.common()).addr();
        let known = read(&UNITS).get(&key).copied();
        Some(
            known.unwrap_or_else(|| {
                write(&UNITS).entry(key).or_insert_with(|| Unit::keep(definition, process))
            }),
        )
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
        let definitions = Linked::<Runnable>::all().filter_map(|linked| linked.definition().ok());
        for unit in definitions.map(Definition::from).filter_map(Unit::of_definition) {
            all.push(unit);
            all.extend(read(&unit.shared).iter());
        }
        all
    }
}
