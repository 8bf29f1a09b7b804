//! Runs each model check on the code of `process-runtime`. Then weakens each memory ordering of that code to
//! `Relaxed`, one at a time, and runs the checks again.

use std::collections::BTreeMap;
use std::env::current_exe;
use std::fs::read_to_string;
use std::process::{Command, Output};

use model_checks::checks::{LIST, PREEMPTIONS, WEAKENED, accounts, lanes, samples, table, visitors};

macro_rules! checks {
    ($($module:ident::$name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $module::$name();
            }
        )*

        /// The names of all checks.
        const CHECKS: &[&str] = &[$(stringify!($name)),*];
    };
}

// For each weakened ordering, the checks run in this order until one fails. Therefore the quick checks come first.
checks! {
    visitors::the_last_to_leave_closes_once,
    lanes::an_owned_lane_has_one_thread_at_a_time,
    lanes::an_ending_thread_leaves_its_lane_to_the_next,
    lanes::an_ended_thread_gives_its_lane_back,
    lanes::a_reader_sees_what_was_added_before,
    samples::a_sample_is_drained_once_or_dropped,
    samples::a_sample_of_a_shared_lane_is_drained_once_or_dropped,
    accounts::an_account_loses_no_count,
    accounts::an_account_never_shows_more_ends_than_starts,
    table::a_late_run_is_reported_at_most_once,
    table::a_list_hides_no_report_from_the_leaver,
    table::a_leaver_sees_what_confirmed_the_report,
    table::a_scanner_sees_all_of_a_run_or_nothing,
    table::a_slot_is_in_use_by_one_run_at_a_time,
    table::at_the_limit_a_returned_slot_is_taken_once,
}

/// An ordering that no check needs, and the reason why the code keeps it.
struct Kept {
    file: &'static str,
    part: &'static str,
    /// The source line of the ordering, or enough of it to recognise the line.
    line: &'static str,
    #[expect(dead_code, reason = "for the reader")]
    why: &'static str,
}

const KEPT: &[Kept] = &[
    Kept {
        file: "mod.rs",
        part: "success:Release",
        line: "cell.compare_exchange(busy, state, Ordering::Release",
        why: "the list reads a slot before the next run writes it; loom never lets a load return a later store",
    },
    Kept {
        file: "slots.rs",
        part: "load:Acquire",
        line: "let chunk = self.chunks[index as usize / CHUNK].load(Ordering::Acquire)",
        why: "a ticket reaches a thread through something that orders the two; the table does not rely on that",
    },
    Kept {
        file: "visitors.rs",
        part: "success:AcqRel",
        line: "self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, open)",
        why: "a span reaches a visitor through something that orders the two; the counter does not rely on that",
    },
    Kept {
        file: "visitors.rs",
        part: "failure:Acquire",
        line: "self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, open)",
        why: "a visitor that is refused sees that the run has ended, which no caller uses yet",
    },
    Kept {
        file: "account.rs",
        part: "load:Acquire",
        line: "shard.started.load(Ordering::Acquire)",
        why: "a caller of `counts` sees what came before the starts, which no caller uses yet",
    },
];

/// If an ordering of the code is weakened to `Relaxed`, at least one check must fail. This shows that the checks
/// notice a wrong ordering, and that the code needs this ordering. [`KEPT`] lists the exceptions. The test also fails
/// if a check notices that an exception is weakened.
#[test]
fn an_ordering_weakened_to_relaxed_is_found() {
    let mut sites = BTreeMap::<String, Vec<&str>>::new();
    for check in CHECKS {
        let listed = run(check, LIST, "");
        assert!(listed.status.success(), "{check} fails on the code as it is");
        let text = String::from_utf8(listed.stdout).unwrap();
        for site in text.lines().filter_map(|line| line.strip_prefix("site ")) {
            sites.entry(site.to_owned()).or_default().push(check);
        }
    }
    let mut wrong = Vec::new();
    let mut kept = 0;
    for (site, checks) in &sites {
        let found = checks.iter().find(|check| !run(check, WEAKENED, site).status.success());
        let is_kept = is_kept(site);
        println!("{} -> {}", describe(site), found.unwrap_or(&"no check needs it"));
        kept += usize::from(is_kept);
        if found.is_some() == is_kept {
            wrong.push(describe(site));
        }
    }
    println!("{} orderings weakened, {kept} of them not needed by a check", sites.len());
    assert!(wrong.is_empty(), "not found though needed, or found though listed as kept: {wrong:#?}");
    assert_eq!(kept, KEPT.len(), "an entry of `KEPT` applies to no ordering");
    let seeded = sites.keys().filter(|site| site.ends_with(":AcqRel") && !is_kept(site)).count();
    assert!(
        seeded >= 3,
        "among them an AcqRel of the table, of the span's visitors, of the account's shards"
    );
}

fn is_kept(site: &str) -> bool {
    let (place, text) = (describe(site), source(site));
    KEPT.iter()
        .any(|kept| place.starts_with(kept.file) && site.ends_with(kept.part) && text.contains(kept.line))
}

/// Runs a check in a process of its own, because code with a wrong ordering may also use a null pointer and crash.
fn run(check: &str, variable: &str, value: &str) -> Output {
    Command::new(current_exe().unwrap())
        .args([check, "--exact", "--nocapture", "--test-threads=1"])
        .env(variable, value)
        .env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS.to_string())
        .output()
        .unwrap()
}

/// Returns the source line of an ordering.
fn source(site: &str) -> String {
    let mut parts = site.split(':');
    let (file, line) = (parts.next().unwrap(), parts.next().unwrap());
    let source = read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    source.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap().trim().to_owned()
}

/// Returns the place of an ordering, its part and its source line, as a text for readers.
fn describe(site: &str) -> String {
    let (_, place) = site.rsplit_once('/').unwrap();
    format!("{place} `{}`", source(site))
}
