//! How many series a program has at most.

use std::collections::BTreeMap;

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

#[test]
fn fifty_processes_with_a_thousand_users_are_a_bounded_number_of_series() {
    isolated(|| {
        measured_by(|readings| {
            for (_, run) in MANY {
                for user in 0..1000 {
                    let _ = run(user, user % 10 == 0);
                }
                // Collects now, because samples that do not fit into the buffers are dropped.
                readings.collect();
            }
            let collected = readings.collect();
            let mut counts = BTreeMap::new();
            for (id, _) in MANY {
                // There are points for started, active and overdue, for the outcomes success and failure in `runs`,
                // and for both outcomes in both histograms.
                let points: usize =
                    collected.instruments.keys().map(|name| collected.points(name, id).len()).sum();
                assert_eq!(points, 3 + 2 + 2 * 2, "{id}");
                counts.insert(*id, series(&collected, id));
            }
            let all: usize = counts.values().sum();
            assert!(all <= 50 * (5 + 2 * (40 + 3) + 2 * (11 + 3)), "{all}");
            // This is the limit of Grafana's free tier.
            assert!(all < 10_000, "{all}");
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
            let points = readings.collect().points("critical_process.runs", "kinds");
            assert_eq!(points.len(), 33);
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
