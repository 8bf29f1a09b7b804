//! What each folder of `process-runtime/src` is for, what it may import, and how large it may grow. How this is
//! checked is in [`crate::house`].

/// What a folder of `process-runtime/src` is for, and where it is in the order.
#[derive(Debug)]
pub struct Folder {
    /// Its name.
    pub name: &'static str,
    /// What belongs in it.
    pub purpose: &'static str,
    /// Whether it is one of the features, of which none imports another.
    pub is_feature: bool,
}

/// The folders, from the bottom up. A folder imports only folders before it.
pub const FOLDERS: &[Folder] = &[
    layer("base", "std only, nothing about processes: clock, lane, output, notices, guard, alarm, lock"),
    layer("catalog", "what the binary contains: definitions, linked records, look-ups"),
    layer("stats", "counting: histogram, totals, windows, accounts"),
    layer(
        "run",
        "one run, and the run that a thread is in: unit, context, frame, in-flight table, ending, sink",
    ),
    layer("observe", "destinations: span, Sentry, metrics, tracer, standard error"),
    layer("instrument", "what an expansion calls: execution, probe, http, dependency, record"),
    layer("install", "start-up and tending: install, watchdog, live views, findings"),
    feature("health", "health endpoints"),
    feature("testing", "contracts, injected faults, batteries, load"),
    feature("propagation", "trace context and baggage across services"),
    feature("telemetry", "the whole set-up in one call, and the timeline that reads what it wrote"),
];

/// The crates besides std that `base` may name.
pub const CRATES_OF_BASE: &[&str] = &[];

/// The most lines of the layers from `base` to `instrument` that name the features `testing` and `health` in a `cfg`.
pub const MOST_CFGS: usize = 20;

/// The most files of a folder that may have a circle of imports in it.
pub const SMALL: usize = 6;

/// The most files directly in a folder. A folder that grows beyond this gets rooms: folders of its own.
pub const MOST_FILES: usize = 15;

/// The most lines of the files directly in a folder.
pub const MOST_LINES: usize = 2_500;

/// The circles in larger folders that are recursions of types, and why each has to be one.
pub const RECURSIONS: &[Recursion] = &[];

/// Files of one folder that may import one another.
#[derive(Debug)]
pub struct Recursion {
    /// The files, below `src`.
    pub files: &'static [&'static str],
    /// Why no order of them exists.
    pub reason: &'static str,
}

const fn layer(name: &'static str, purpose: &'static str) -> Folder {
    Folder { name, purpose, is_feature: false }
}

const fn feature(name: &'static str, purpose: &'static str) -> Folder {
    Folder { name, purpose, is_feature: true }
}
