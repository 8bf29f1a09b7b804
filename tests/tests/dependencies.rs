//! The dependencies of the project: the compiler that they need, their licences, where they come from, and those that
//! must not be used.

use std::process::Command;

use serde_json::Value;

/// Licences that require nothing, or only that their text is kept. Review any other licence before you add it.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0", // the certificates of webpki-roots
    "ISC",
    "MIT",
    "MIT-0", // does not even require its text
    "Unicode-3.0",
    "Zlib",
];

/// Crates with a known defect that no version fixes, each with a reference.
const BANNED: [(&str, &str); 1] = [("rsa", "RUSTSEC-2023-0071: its timing reveals private keys")];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn cargo(arguments: &[&str]) -> String {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns all packages, for any platform and with any feature. The packages of others are first, and our own second.
fn packages() -> (Vec<Value>, Vec<Value>) {
    let metadata = cargo(&["metadata", "--format-version", "1", "--all-features", "--locked"]);
    let mut metadata: Value = serde_json::from_str(&metadata).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else { panic!("no packages") };
    let (foreign, own): (Vec<_>, Vec<_>) =
        packages.into_iter().partition(|package| package["source"].is_string());
    assert!(foreign.len() > 200 && own.len() > 5, "{} and {}", foreign.len(), own.len());
    (foreign, own)
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

fn name(package: &Value) -> String {
    format!("{} {}", text(package, "name"), text(package, "version"))
}

/// Parses a version. Missing numbers are 0, so `1.89` and `1.89.0` are equal.
fn version(text: &str) -> Vec<u32> {
    let mut numbers: Vec<_> = text.split('.').map(|number| number.parse().unwrap()).collect();
    numbers.resize(3, 0);
    numbers
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_the_project() {
    let (foreign, own) = packages();
    let stated = version(env!("CARGO_PKG_RUST_VERSION"));
    for package in &own {
        assert_eq!(version(text(package, "rust_version")), stated, "{}", name(package));
    }
    // A package without `rust_version` does not state which compiler it needs. CI shows whether its compiler can
    // build such a package.
    let needs =
        |package: &&Value| package["rust_version"].as_str().is_some_and(|needed| version(needed) > stated);
    let newer: Vec<_> = foreign.iter().filter(needs).map(name).collect();
    assert!(newer.is_empty(), "they need more than Rust {}: {newer:?}", env!("CARGO_PKG_RUST_VERSION"));
}

/// Returns whether a licence expression such as `A OR (B AND C)` can be satisfied with [`LICENCES`]. Old crates write
/// `A/B` for `A OR B`.
fn is_good(licence: &str) -> bool {
    let licence = licence.trim();
    if let Some(parts) = split(licence, " OR ").or_else(|| split(licence, "/")) {
        return parts.into_iter().any(is_good);
    }
    if let Some(parts) = split(licence, " AND ") {
        return parts.into_iter().all(is_good);
    }
    match licence.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => is_good(inner),
        None => LICENCES.contains(&licence),
    }
}

/// Splits a text at the separators outside of parentheses. Returns `None` if there are none.
fn split<'a>(text: &'a str, separator: &str) -> Option<Vec<&'a str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in text.match_indices(separator) {
        let before = &text[..at];
        if before.matches('(').count() == before.matches(')').count() {
            parts.push(&text[start..at]);
            start = at + separator.len();
        }
    }
    parts.push(&text[start..]);
    (parts.len() > 1).then_some(parts)
}

#[test]
fn a_licence_is_read_as_an_spdx_expression() {
    for good in
        ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND ISC", "MIT AND (GPL-3.0 OR Zlib)"]
    {
        assert!(is_good(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT AND GPL-3.0) OR LGPL-3.0", "GPL-3.0/LGPL-3.0"] {
        assert!(!is_good(bad), "{bad}");
    }
}

#[test]
fn every_dependency_may_be_used_and_comes_from_crates_io() {
    let (foreign, own) = packages();
    for package in foreign.iter().chain(&own) {
        assert!(is_good(text(package, "license")), "{}: {}", name(package), package["license"]);
    }
    for package in &foreign {
        assert_eq!(text(package, "source"), CRATES_IO, "{}", name(package));
    }
}

/// Crates that an application adds to the runtime. `process-runtime/tests` must not use them (`tests/README.md`).
const SDKS: [&str; 6] = [
    "opentelemetry_sdk",
    "opentelemetry-otlp",
    "sentry",
    "sentry-tracing",
    "tracing-opentelemetry",
    "process-tests",
];

#[test]
fn the_tests_of_the_runtime_need_no_sdk() {
    let (_, own) = packages();
    let runtime = own.iter().find(|package| text(package, "name") == "process-runtime").unwrap();
    let dependencies = runtime["dependencies"].as_array().unwrap().iter();
    let of_tests: Vec<_> =
        dependencies.filter(|one| one["kind"] == "dev").map(|one| text(one, "name")).collect();
    assert!(of_tests.contains(&"proptest"), "{of_tests:?}");
    assert!(!of_tests.iter().any(|name| SDKS.contains(name)), "{of_tests:?}");
}

#[test]
fn nothing_is_built_that_has_a_known_defect() {
    // The lock file also lists dependencies of features that are off, so this test reads the tree of built packages.
    let tree =
        cargo(&["tree", "--workspace", "--all-features", "--target", "all", "--prefix", "none", "--locked"]);
    let built: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(built.contains(&"process-runtime") && built.len() > 200);
    for (banned, because) in BANNED {
        assert!(!built.contains(&banned), "{banned}: {because}");
    }
}
