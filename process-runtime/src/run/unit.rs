//! Units. A unit is a process, a stage, or the calls of one process to one dependency. A [`Unit`] holds the data that
//! all runs of the unit share, and is created at the latest when the first of these runs begins. A [`Site`] is the
//! static that an expansion contains for one annotated function. The state of a single run does not belong here.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock, RwLock};
use std::time::Duration;

use crate::base::lock::{read, write};
use crate::catalog::definition::{Definition, ProcessDefinition, Runnable, StageDefinition};
use crate::catalog::linked::{Entry, Linked};
use crate::catalog::registry;
use crate::stats::account::Account;

/// The static that an expansion contains for one annotated function.
#[derive(Debug)]
pub struct Site {
    /// The record, which the registry lists.
    linked: Linked<Runnable>,
    unit: OnceLock<Option<&'static Unit>>,
}

/// Evaluates to the value of a static [`Site`], registers its record, and puts the record into a section of the
/// object file. This code is a macro of the runtime, because the compiler expands it many times faster than a
/// procedural macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    ($site:ident, $($parts:tt)*) => {{
        $crate::__private::inventory::submit! { $crate::__private::Site::entry(&$site) }
        $crate::__private::Site::new($crate::__private::record_text!($($parts)*))
    }};
}

impl Site {
    /// Creates the static's value from the text of the function's record.
    pub const fn new(text: &'static [u8]) -> Site {
        Site { linked: Linked::new(text, ()), unit: OnceLock::new() }
    }

    /// Returns the reference to submit to `inventory`. An expansion calls this function, because the compiler needs
    /// more time for the field of a static.
    pub const fn entry(&'static self) -> Entry<Runnable> {
        Entry(&self.linked)
    }

    /// Returns the unit of the function; `None` if the record of the function cannot be decoded. `registry::validate`
    /// reports such a record.
    #[inline]
    pub(crate) fn unit(&'static self) -> Option<&'static Unit> {
        *self.unit.get_or_init(|| Unit::of_definition(self.linked.first().definition().ok()?.into()))
    }
}

/// The units of processes and stages, by the address of their definitions.
static UNITS: LazyLock<RwLock<HashMap<usize, &'static Unit>>> = LazyLock::new(RwLock::default);

/// The units of dependencies. There is one unit for each pair of a dependency and a process that has called this
/// dependency, and one for the calls outside any process.
static DEPENDENCIES: RwLock<Vec<&'static Unit>> = RwLock::new(Vec::new());

/// A process, a stage, or the calls of one process to one dependency.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) definition: Definition,
    /// The process itself, or the process to which the stage or the calls belong. `None` for a stage or calls that
    /// belong to no process.
    pub(crate) process: Option<&'static ProcessDefinition>,
    /// The name of the spans of this unit's runs.
    pub(crate) name: &'static str,
    pub(crate) sla: Option<Duration>,
    /// The account in the global domain. Other domains have accounts of their own.
    pub(crate) account: OnceLock<Account>,
    #[cfg(feature = "tracing")]
    pub(crate) span: OnceLock<super::span::SpanSite>,
    /// If this is the unit of a shared stage: one unit for each process in which the stage has run. Otherwise empty.
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

    /// Returns the unit of a process or stage; `None` for a dependency.
    fn of_definition(definition: Definition) -> Option<&'static Unit> {
        let key = std::ptr::from_ref(definition.common()).addr();
        // Each collection and each slice of the statistics asks for every unit, so the process, which is searched in
        // the whole registry, is only looked up for a new unit.
        if let Some(known) = read(&UNITS).get(&key) {
            return Some(known);
        }
        let process = match definition {
            Definition::Process(process) => Some(process),
            Definition::Stage(stage) => stage.process().and_then(registry::process),
            Definition::Dependency(_) => return None,
        };
        Some(write(&UNITS).entry(key).or_insert_with(|| Unit::keep(definition, process)))
    }

    /// Returns the unit for the calls of this process to this dependency. If `process` is `None`, returns the unit
    /// for the calls outside any process.
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

    /// Returns whether this unit is a process.
    #[inline]
    pub(crate) fn is_process(&self) -> bool {
        matches!(self.definition, Definition::Process(_))
    }

    /// Returns the stage; `None` if this unit is not a stage.
    pub(crate) fn stage(&self) -> Option<&'static StageDefinition> {
        match self.definition {
            Definition::Stage(stage) => Some(stage),
            Definition::Process(_) | Definition::Dependency(_) => None,
        }
    }

    /// Returns the id of the dependency; `None` if this unit is not a dependency.
    pub(crate) fn dependency(&self) -> Option<&'static str> {
        match self.definition {
            Definition::Dependency(dependency) => Some(dependency.id()),
            Definition::Process(_) | Definition::Stage(_) => None,
        }
    }

    /// Returns whether both units represent the same annotated function.
    pub(crate) fn is_same_site(&self, other: &Unit) -> bool {
        std::ptr::eq(self.definition.common(), other.definition.common())
    }

    /// Returns the unit for a run inside the process `enclosing`. A shared stage has a separate unit for each process
    /// in which it runs. Every other unit is returned unchanged. A shared stage outside any process is also returned
    /// unchanged.
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

    /// Returns every unit of the program: all processes and stages, the separate units of shared stages inside
    /// processes, and the units of all dependencies that were called.
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
