//! The samples of many threads. Each sample is recorded, or counted as dropped.

use process_runtime::registry;
use process_tests::isolated::{eventually, isolated};

use super::{LATE, OUTCOME, measured_by, odd_sla};

#[test]
fn no_sample_is_lost_between_threads() {
    isolated(|| {
        measured_by(|readings| {
            let work = || (0..10_000).for_each(|_| odd_sla());
            let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let collected = readings.collect();
            let samples = collected.value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")]);
            let dropped = &collected.instrument("critical_process.telemetry.dropped").points;
            let lost: i64 =
                dropped.iter().filter(|point| point.attributes["reason"] == "sample").map(|p| p.value).sum();
            assert_eq!(samples + lost, 40_000, "each is recorded or counted as dropped");
            let attributes = &[(OUTCOME, "success"), (LATE, "false")];
            assert_eq!(collected.value("critical_process.runs", "odd_sla", attributes), 40_000);
        });
    });
}

#[test]
fn threads_beyond_those_with_a_lane_of_their_own_lose_no_sample_either() {
    isolated(|| {
        measured_by(|readings| {
            let (leave, stay) = std::sync::mpsc::channel::<()>();
            let stay = std::sync::Arc::new(std::sync::Mutex::new(stay));
            let others: Vec<_> = (0..16)
                .map(|_| {
                    let stay = std::sync::Arc::clone(&stay);
                    std::thread::spawn(move || {
                        odd_sla();
                        let _ = stay.lock().unwrap().recv();
                    })
                })
                .collect();
            eventually("every lane is taken", || registry::stats("odd_sla").unwrap().ended.total() == 16);
            let work = || {
                for _ in 0..5 {
                    (0..3000).for_each(|_| odd_sla());
                    eventually("the watchdog drains", || {
                        process_runtime::__private::measure::samples_waiting() < 2048
                    });
                }
            };
            std::thread::spawn(work).join().unwrap();
            drop(leave);
            others.into_iter().for_each(|thread| thread.join().unwrap());
            let collected = readings.collect();
            let samples = collected.value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")]);
            assert_eq!(samples, 15_016);
        });
    });
}
