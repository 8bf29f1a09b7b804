//! How many series a program has at most.

use process_runtime::critical_process;
use process_tests::isolated::isolated;
use process_tests::readings::Collected;

use super::{Trouble, measured_by};

macro_rules! many {
    ($($name:ident = $id:literal),+ $(,)?) => {
        $(
            #[critical_process(id = $id, version = "1.0.0", sla = "10s", context(user))]
            fn $name(user: u64, fails: bool) -> Result<u64, Trouble> {
                if fails { Err(Trouble::Ours) } else { Ok(user) }
            }
        )+

        const MANY: &[(&str, fn(u64, bool) -> Result<u64, Trouble>)] = &[$(($id, $name)),+];
    };
}

many!(
    m00 = "m00",
    m01 = "m01",
    m02 = "m02",
    m03 = "m03",
    m04 = "m04",
    m05 = "m05",
    m06 = "m06",
    m07 = "m07",
    m08 = "m08",
    m09 = "m09",
    m10 = "m10",
    m11 = "m11",
    m12 = "m12",
    m13 = "m13",
    m14 = "m14",
    m15 = "m15",
    m16 = "m16",
    m17 = "m17",
    m18 = "m18",
    m19 = "m19",
    m20 = "m20",
    m21 = "m21",
    m22 = "m22",
    m23 = "m23",
    m24 = "m24",
    m25 = "m25",
    m26 = "m26",
    m27 = "m27",
    m28 = "m28",
    m29 = "m29",
    m30 = "m30",
    m31 = "m31",
    m32 = "m32",
    m33 = "m33",
    m34 = "m34",
    m35 = "m35",
    m36 = "m36",
    m37 = "m37",
    m38 = "m38",
    m39 = "m39",
    m40 = "m40",
    m41 = "m41",
    m42 = "m42",
    m43 = "m43",
    m44 = "m44",
    m45 = "m45",
    m46 = "m46",
    m47 = "m47",
    m48 = "m48",
    m49 = "m49",
);

/// Returns how many series Prometheus stores. A histogram has one series for each boundary, one for infinity, one for
/// the sum and one for the count.
fn series(collected: &Collected, process: &str) -> usize {
    let of = |name: &String| -> usize {
        let points = collected.points(name, process);
        points.iter().map(|point| if point.bounds.is_empty() { 1 } else { point.bounds.len() + 3 }).sum()
    };
    collected.instruments.keys().map(of).sum()
}

/// The numbers that `names-on-the-wire.md` states.
const AT_INSTALL: usize = 17;
const AFTER_BOTH_OUTCOMES: usize = 88;

#[test]
fn fifty_processes_with_a_thousand_users_are_a_bounded_number_of_series() {
    isolated(|| {
        measured_by(|readings| {
            let collected = readings.collect();
            for (id, _) in MANY {
                // started, sli.valid, sli.bad, active and overdue; and `runs` for 6 outcomes, on time and late.
                assert_eq!(series(&collected, id), AT_INSTALL, "{id}");
            }
            for (_, run) in MANY {
                for user in 0..1000 {
                    let _ = run(user, user % 10 == 0);
                }
                // Collects now, because samples that do not fit into the buffers are dropped.
                readings.collect();
            }
            let collected = readings.collect();
            // SLAs of other tests add boundaries to the 18 default ones.
            let bounds = collected.points("critical_process.duration", "m00")[0].bounds.len();
            for (id, _) in MANY {
                // One `error.type`, and the outcomes success and failure in both histograms.
                let histograms = 2 * (bounds + 3) + 2 * (11 + 3);
                assert_eq!(series(&collected, id), AT_INSTALL + 1 + histograms, "{id}");
            }
            let added = 2 * (bounds - 18);
            let all: usize = MANY.iter().map(|(id, _)| series(&collected, id) - added).sum();
            assert_eq!((50 * AT_INSTALL, all), (850, 50 * AFTER_BOTH_OUTCOMES));
            // This is the limit of Grafana's free tier.
            assert!(all + 50 * added < 10_000, "{all}");
            let page = include_str!("../../../process-runtime/docs/names-on-the-wire.md");
            for number in ["850", "4,400", "150", "3,750"] {
                assert!(page.contains(number), "{number}");
            }
        });
    });
}

#[test]
fn error_types_are_a_bounded_number_of_series() {
    isolated(|| {
        measured_by(|readings| {
            for kind in 0..100 {
                let _ = kinds(kind);
            }
            let collected = readings.collect();
            let points = collected.points("critical_process.errors", "kinds");
            assert_eq!(points.len(), 33);
            assert_eq!(collected.points("critical_process.runs", "kinds").len(), 12);
            let other = points.iter().find(|point| point.attributes["error.type"] == "_OTHER").unwrap();
            assert_eq!(other.value, 100 - 32);
        });
    });
}

#[critical_process(id = "kinds", version = "1.0.0", sla = "10s", error_type = leaked)]
fn kinds(kind: u32) -> Result<(), u32> {
    Err(kind)
}

fn leaked(kind: &u32) -> &'static str {
    format!("kind-{kind}").leak()
}
