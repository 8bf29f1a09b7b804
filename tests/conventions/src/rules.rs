//! The rules for the folders of `process-runtime/src`: what each folder is for, what it may import, and how large it
//! may become. [`crate::house`] checks the rules.

/// A folder of `process-runtime/src`, with its purpose.
#[derive(Debug)]
pub struct Folder {
    /// The name of the folder.
    pub name: &'static str,
    /// What belongs in the folder.
    pub purpose: &'static str,
    /// Whether the folder is a feature. No feature imports another feature.
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

/// The maximum number of lines in the layers from `base` to `instrument` that name the feature `testing` or `health`
/// in a `cfg`.
pub const MOST_CFGS: usize = 20;

/// The largest number of files in a folder whose files may import one another in a circle.
pub const SMALL: usize = 6;

/// The maximum number of files directly in a folder. A folder that becomes larger is divided into rooms, which are
/// folders inside of it.
pub const MOST_FILES: usize = 15;

/// The maximum number of lines in the files directly in a folder.
pub const MOST_LINES: usize = 2_500;

/// The circles that are allowed in folders of more than [`SMALL`] files because types refer to one another, each with
/// its reason.
pub const RECURSIONS: &[Recursion] = &[];

/// Files of one folder that may import one another.
#[derive(Debug)]
pub struct Recursion {
    /// The files, below `src`.
    pub files: &'static [&'static str],
    /// The reason why these files cannot be ordered.
    pub reason: &'static str,
}

const fn layer(name: &'static str, purpose: &'static str) -> Folder {
    Folder { name, purpose, is_feature: false }
}

const fn feature(name: &'static str, purpose: &'static str) -> Folder {
    Folder { name, purpose, is_feature: true }
}
