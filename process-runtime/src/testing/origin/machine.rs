//! What decides how fast a program is: how it was built, and the machine.

use std::{env, fs};

use super::place;

/// How this program was built: the folder that cargo names after the profile, behind the one of the platform where
/// cargo was told one.
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

/// What of this machine decides how fast a program is: figures of different ones are not compared.
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
