//! Describes the machine and the versions of the measured crates, without host names and paths.

use std::fs;
use std::process::Command;
use std::thread;

/// Returns the description as a paragraph of Markdown.
pub(crate) fn description() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let processor = processor().unwrap_or_else(|| "unknown processor".into());
    let clock = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        .map_or_else(|_| "unknown".into(), |source| source.trim().to_owned());
    let compiler = said_by("rustc", "--version").unwrap_or_else(|| "rustc".into());
    let crates = [
        "tracing",
        "tracing-opentelemetry",
        "opentelemetry_sdk",
        "sentry",
        "fastrace",
        "autometrics",
        "prometheus",
    ];
    let versions: Vec<_> =
        crates.iter().filter_map(|name| Some(format!("{name} {}", locked_version(name)?))).collect();
    format!(
        "{cores} cores, {processor}, {}; the kernel's clock source is {clock}. {compiler}. {}.",
        std::env::consts::ARCH,
        versions.join(", ")
    )
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let (family, model) = (field("cpu family")?, field("model\t")?);
    Some(format!("{} (family {family}, model {model})", field("model name")?))
}

fn said_by(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// Returns a crate's version from the lock file that this program was built with.
fn locked_version(name: &str) -> Option<&'static str> {
    let (_, entry) = include_str!("../Cargo.lock").split_once(&format!("name = \"{name}\"\n"))?;
    entry.strip_prefix("version = \"")?.split('"').next()
}
