//! Measures build time and size. For each attribute, generates two crates in `target`, one with 100 and one
//! with 300 annotated functions, and runs `cargo check` and a release build of both. The figure for one
//! function is the difference between the two crates, divided by 200.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use object::{Object as _, ObjectSection as _};

use crate::cores;

const FEW: usize = 100;
const MANY: usize = 300;
/// The number of runs of `cargo check` in each round. A check is short, so its figure for one function varies
/// more than that of a release build.
const CHECKS: usize = 3;
/// The attributes that the budgets compare. The other attributes take minutes, so they are built in the first
/// round only.
const COMPARED: [&str; 3] = ["bare", "instrument", "ours"];

/// An attribute for the generated functions.
pub(crate) struct Attribute {
    pub(crate) key: &'static str,
    pub(crate) what: &'static str,
    /// The line in `[dependencies]` that the attribute needs.
    dependency: &'static str,
    /// Returns the attribute for the function with this number.
    written: fn(usize) -> String,
}

/// The line in `[dependencies]` for our runtime. The path is relative to a crate in `target/generated`.
const OURS: &str = "process-runtime = { path = \"../../../../process-runtime\" }";

pub(crate) static ATTRIBUTES: &[Attribute] = &[
    Attribute { key: "bare", what: "bare", dependency: "", written: |_| String::new() },
    Attribute {
        key: "instrument",
        what: "`tracing::instrument(skip_all)`",
        dependency: "tracing = \"0.1\"",
        written: |_| "#[tracing::instrument(skip_all)]".into(),
    },
    Attribute {
        key: "ours",
        what: "`critical_process`",
        dependency: OURS,
        written: |number| {
            format!(
                "#[process_runtime::critical_process(id = \"charge{number}\", version = \"1.0.0\", sla = \"2s\")]"
            )
        },
    },
    Attribute {
        key: "ours-context",
        what: "`critical_process`, three context keys",
        dependency: OURS,
        written: |number| {
            format!(
                "#[process_runtime::critical_process(id = \"charge{number}\", version = \"1.0.0\", sla = \"2s\", context(order, customer, region))]"
            )
        },
    },
    Attribute {
        key: "fastrace",
        what: "`fastrace::trace`",
        dependency: "fastrace = { version = \"0.7\", features = [\"enable\"] }",
        written: |_| "#[fastrace::trace]".into(),
    },
    Attribute {
        key: "autometrics",
        what: "`autometrics` (prometheus)",
        dependency: "autometrics = { version = \"3.0\", features = [\"prometheus\"] }",
        written: |_| "#[autometrics::autometrics]".into(),
    },
];

/// The two crates of one attribute, with their measured values.
pub(crate) struct Build {
    pub(crate) attribute: &'static Attribute,
    few: Crate,
    many: Crate,
}

struct Crate {
    directory: PathBuf,
    package: String,
    checks: Vec<Duration>,
    releases: Vec<Duration>,
    /// Bytes of machine code in the release binary.
    text: u64,
    data: u64,
}

impl Build {
    /// Returns the processor milliseconds of `cargo check` for one function, one value for each run of cargo.
    pub(crate) fn checks(&self) -> Vec<f64> {
        self.slopes(|one| &one.checks)
    }

    /// Returns the processor milliseconds of `cargo build --release` for one function, one value for each
    /// build.
    pub(crate) fn releases(&self) -> Vec<f64> {
        self.slopes(|one| &one.releases)
    }

    /// Returns the bytes of machine code for one function.
    pub(crate) fn text(&self) -> f64 {
        (self.many.text as f64 - self.few.text as f64) / (MANY - FEW) as f64
    }

    /// Returns the bytes of writable statics for one function, including statics that start as zero.
    pub(crate) fn data(&self) -> f64 {
        (self.many.data as f64 - self.few.data as f64) / (MANY - FEW) as f64
    }

    fn slopes(&self, times: fn(&Crate) -> &Vec<Duration>) -> Vec<f64> {
        let pairs = times(&self.few).iter().zip(times(&self.many));
        let millis = |time: &Duration| time.as_secs_f64() * 1e3;
        pairs.map(|(few, many)| (millis(many) - millis(few)) / (MANY - FEW) as f64).collect()
    }
}

/// Generates the crates of all [`ATTRIBUTES`], and builds and times them in turns.
pub(crate) fn measure(scratch: &Path, rounds: usize) -> Vec<Build> {
    let workspace = scratch.join("generated");
    let mut builds: Vec<Build> = ATTRIBUTES
        .iter()
        .map(|attribute| Build {
            attribute,
            few: Crate::generate(&workspace, attribute, FEW),
            many: Crate::generate(&workspace, attribute, MANY),
        })
        .collect();
    let members: Vec<_> = builds.iter().flat_map(|build| [&build.few.package, &build.many.package]).collect();
    let root = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n");
    fs::write(workspace.join("Cargo.toml"), root).expect("target is writable");
    // With this lock file, the generated crates use the versions of the dependencies that the other tables
    // measure.
    fs::write(workspace.join("Cargo.lock"), include_str!("../Cargo.lock")).expect("target is writable");

    for build in &builds {
        eprintln!("building the dependencies of {}", build.attribute.key);
        build.few.cargo(&["check"]);
        build.few.cargo(&["build", "--release"]);
    }
    let cores = cores::all();
    for round in 1..=rounds {
        eprintln!("build {round} of {rounds}");
        // Cargo and the compilers that it starts inherit the binding to the core.
        cores::pin(&[cores::fastest()]);
        let of_round = |build: &&mut Build| round == 1 || COMPARED.contains(&build.attribute.key);
        for build in builds.iter_mut().filter(of_round) {
            build.few.time_release();
            build.many.time_release();
        }
        for _ in 0..CHECKS {
            for build in builds.iter_mut().filter(of_round) {
                build.few.time_check();
                build.many.time_check();
            }
        }
    }
    cores::pin(&cores);
    for build in &mut builds {
        build.few.weigh();
        build.many.weigh();
    }
    builds
}

impl Crate {
    fn generate(workspace: &Path, attribute: &Attribute, functions: usize) -> Crate {
        let package = format!("{}-{functions}", attribute.key);
        let directory = workspace.join(&package);
        fs::create_dir_all(directory.join("src")).expect("target is writable");
        let manifest = format!(
            "[package]\nname = \"{package}\"\nedition = \"2024\"\n\n[dependencies]\n{}\n",
            attribute.dependency
        );
        fs::write(directory.join("Cargo.toml"), manifest).expect("target is writable");
        fs::write(directory.join("src/main.rs"), source(attribute, functions)).expect("target is writable");
        Crate { directory, package, checks: Vec::new(), releases: Vec::new(), text: 0, data: 0 }
    }

    fn time_check(&mut self) {
        self.touch();
        self.checks.push(self.cargo(&["check"]));
    }

    fn time_release(&mut self) {
        self.touch();
        self.releases.push(self.cargo(&["build", "--release"]));
    }

    /// Makes cargo compile this crate again, and nothing else.
    fn touch(&self) {
        let source = File::options().append(true).open(self.directory.join("src/main.rs"));
        source
            .and_then(|source| source.set_modified(SystemTime::now()))
            .expect("the generated source can be touched");
    }

    /// Runs cargo and returns the processor time. Other work on the machine changes processor time less than
    /// wall time.
    fn cargo(&self, arguments: &[&str]) -> Duration {
        let before = processor_time_of_children();
        let status = Command::new("cargo")
            .args(arguments)
            .args(["--offline", "--quiet", "--package", &self.package])
            .current_dir(&self.directory)
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .status()
            .expect("cargo is installed");
        assert!(status.success(), "cargo {arguments:?} of {} ended with {status}", self.package);
        processor_time_of_children() - before
    }

    fn weigh(&mut self) {
        let binary = self.directory.join("../target/release").join(&self.package);
        let bytes = fs::read(binary).expect("the release build left a binary");
        let object = object::File::parse(&*bytes).expect("the binary is an object file");
        let size = |wanted: &[&str]| {
            let sections = object.sections();
            sections.filter(|s| s.name().is_ok_and(|n| wanted.contains(&n))).map(|s| s.size()).sum()
        };
        self.text = size(&[".text"]);
        self.data = size(&[".data", ".bss"]);
    }
}

/// Returns a program that polls the future of each function, so that the compiler compiles each function.
fn source(attribute: &Attribute, functions: usize) -> String {
    let mut source = String::from(
        "use std::future::Future;\nuse std::pin::Pin;\nuse std::task::{Context, Waker};\n\n\
         #[derive(Debug)]\npub struct Refused;\n\
         impl std::fmt::Display for Refused {\n    \
         fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(\"refused\") }\n}\n\
         impl std::error::Error for Refused {}\n\n\
         type Charge = fn(u64) -> Pin<Box<dyn Future<Output = Result<u64, Refused>>>>;\n\n",
    );
    for number in 0..functions {
        source += &format!(
            "{attribute}\npub async fn charge{number}(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {{\n    \
             std::future::ready(()).await;\n    \
             let total = order.wrapping_mul(customer) ^ region.len() as u64 ^ {number};\n    \
             if total == u64::MAX {{ Err(Refused) }} else {{ Ok(total) }}\n}}\n\n",
            attribute = (attribute.written)(number),
        );
    }
    source += &format!("static CHARGES: [Charge; {functions}] = [\n");
    for number in 0..functions {
        source += &format!("    |order| Box::pin(charge{number}(order, 7, \"eu\")),\n");
    }
    source += "];\n\nfn main() {\n    let mut context = Context::from_waker(Waker::noop());\n    \
               for (order, charge) in CHARGES.iter().enumerate() {\n        \
               let _ = charge(order as u64).as_mut().poll(&mut context);\n    }\n}\n";
    source
}

fn processor_time_of_children() -> Duration {
    // SAFETY: `rusage` consists of numbers, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for writes of its type.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) };
    assert_eq!(failed, 0, "the kernel accounts for children");
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
