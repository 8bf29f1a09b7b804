//! The rules for the folders of `process-runtime/src`: what each folder may import, and how large it may become.
//! [`crate::house`] checks the rules. ARCHITECTURE.md says what each folder is for.

/// A folder of `process-runtime/src`.
#[derive(Debug)]
pub struct Folder {
    /// The name of the folder.
    pub name: &'static str,
    /// Whether the folder is a feature. No feature imports another feature.
    pub is_feature: bool,
}

/// The folders, from the bottom up. A folder imports only folders before it.
pub const FOLDERS: &[Folder] = &[
    layer("base"),
    layer("catalog"),
    layer("stats"),
    layer("run"),
    layer("observe"),
    layer("instrument"),
    layer("install"),
    feature("health"),
    feature("testing"),
    feature("propagation"),
    feature("telemetry"),
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

const fn layer(name: &'static str) -> Folder {
    Folder { name, is_feature: false }
}

const fn feature(name: &'static str) -> Folder {
    Folder { name, is_feature: true }
}
