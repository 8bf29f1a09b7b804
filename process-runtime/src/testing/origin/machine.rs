//! Identifies the build profile and the machine, which decide how fast a program is. The comparison of durations does
//! not belong here.

use std::{env, fs};

use super::place;

/// Returns the build profile of this program. This is the folder of the binary in cargo's target directory, for
/// example `debug`. If the build has an explicit target, the name of the target precedes the profile. If the folder
/// is unknown, returns `debug` or `release`, depending on debug assertions.
pub(in crate::testing) fn profile() -> String {
    let folder = || {
        let program = env::current_exe().ok()?;
        let inside = program.parent()?.strip_prefix(place::target()?).ok()?;
        let parts = inside.iter().filter(|part| *part != "deps" && *part != "examples");
        Some(parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"))
    };
    let by_compiler = if cfg!(debug_assertions) { "debug" } else { "release" };
    folder().filter(|folder| !folder.is_empty()).unwrap_or_else(|| by_compiler.to_owned())
}

/// Returns the properties of this machine that decide how fast a program is, as one text. Durations from different
/// machines are not compared.
pub(in crate::testing) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (system, architecture) = (env::consts::OS, env::consts::ARCH);
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model(&text));
    let model = model.map(|model| format!(", {model}")).unwrap_or_default();
    format!("{architecture} {system}, {cores} cores{model}")
}

fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
