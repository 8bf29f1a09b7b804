//! Sinks: destinations for runs that an application provides itself.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use process_runtime::observe::{End, RunView, Sink};
use process_runtime::testing::Domain;
use process_runtime::{Install, Outcome, critical_process, record, registry, stage};
use process_tests::capture::Capture;
use process_tests::isolated::{eventually, isolated};
use process_tests::sink::{Log, What};
use tokio::time::sleep;

#[critical_process(id = "outer", version = "1.0.0", sla = "10s", context(order, later(parts)))]
async fn outer(order: u32, takes: Duration) -> Result<u32, String> {
    record!(parts = 2_u8);
    part(1).await;
    inner();
    sleep(takes).await;
    Ok(order)
}

#[stage(id = "part", process = "outer", context(number))]
async fn part(number: u8) {
    let _ = number;
}

#[critical_process(id = "inner", version = "1.0.0", sla = "10s")]
fn inner() {}

fn calls(log: &Log) -> Vec<(&'static str, String)> {
    let name = |process: &str, stage: Option<&str>| match stage {
        Some(stage) => format!("{process}.{stage}"),
        None => process.to_owned(),
    };
    let what = |what| match what {
        What::Started => "started",
        What::Overdue(_) => "overdue",
        What::Ended(_) => "ended",
    };
    log.entries().iter().map(|entry| (what(entry.what), name(entry.process.unwrap(), entry.stage))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_sink_receives_each_start_and_end_once_with_context_and_parent() {
    let log = Log::default();
    let domain = Domain::builder().sink(Arc::new(log.clone())).build();
    domain.run(outer(7, Duration::ZERO)).await.unwrap();
    let expected = [
        ("started", "outer"),
        ("started", "outer.part"),
        ("ended", "outer.part"),
        ("started", "inner"),
        ("ended", "inner"),
        ("ended", "outer"),
    ];
    assert_eq!(calls(&log), expected.map(|(what, name)| (what, name.to_owned())));
    let calls = log.entries();
    let (outer, part, inner) = (&calls[0], &calls[1], &calls[3]);
    assert_eq!((outer.parent, part.parent, inner.parent), (None, Some(outer.run), Some(outer.run)));
    assert_eq!(outer.run, calls[5].run);
    let order = ("order", "7".to_owned());
    assert_eq!(outer.context, std::slice::from_ref(&order));
    assert_eq!(calls[5].context, [order.clone(), ("parts", "2".to_owned())]);
    assert_eq!(part.context, [order, ("parts", "2".to_owned()), ("number", "1".to_owned())]);
    assert!(log.ends().iter().all(|end| end.outcome == Outcome::Success && !end.late));
}

#[tokio::test(start_paused = true)]
async fn a_sink_receives_a_late_run_once_while_it_still_runs() {
    let log = Log::default();
    let domain = Domain::builder().sink(Arc::new(log.clone())).build();
    let watched = async {
        sleep(Duration::from_secs(11)).await;
        let calls = log.entries();
        let overdue: Vec<_> = calls.iter().filter(|calls| matches!(calls.what, What::Overdue(_))).collect();
        let [overdue] = overdue[..] else { panic!("{calls:#?}") };
        let What::Overdue(elapsed) = overdue.what else { unreachable!() };
        assert!(elapsed >= Duration::from_secs(10) && elapsed < Duration::from_secs(11), "{elapsed:?}");
        assert_eq!(overdue.context, [("order", "7".to_owned()), ("parts", "2".to_owned())]);
    };
    let run = outer(7, Duration::from_secs(25));
    domain.run(async { tokio::join!(run, watched) }).await.0.unwrap();
    let calls = calls(&log);
    assert_eq!(calls.iter().filter(|(what, _)| *what == "overdue").count(), 1);
    let end = log.ends().pop().unwrap();
    assert_eq!((end.late, end.duration.as_secs()), (true, 25));
}

#[tokio::test(start_paused = true)]
async fn every_sink_of_a_domain_receives_each_run() {
    let logs = [Log::default(), Log::default()];
    let domain = Domain::builder().sink(Arc::new(logs[0].clone())).sink(Arc::new(logs[1].clone())).build();
    domain.run(outer(1, Duration::ZERO)).await.unwrap();
    assert_eq!(calls(&logs[0]), calls(&logs[1]));
    assert_eq!(logs[0].ends().len(), 3);
}

/// A sink that panics in one of its methods, and counts its calls.
#[derive(Debug, Default)]
struct Broken {
    when: &'static str,
    calls: AtomicUsize,
}

impl Broken {
    fn reached(&self, what: &str) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if what == self.when {
            panic!("a sink's own: {what}");
        }
    }
}

impl Sink for Broken {
    fn started(&self, _: &RunView<'_>) {
        self.reached("started");
    }

    fn overdue(&self, _: &RunView<'_>, _: Duration) {
        self.reached("overdue");
    }

    fn ended(&self, _: &RunView<'_>, _: &End) {
        self.reached("ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_receives_no_more_and_harms_neither_result_nor_other_sinks() {
    for (when, heard) in [("started", 1), ("ended", 3), ("overdue", 6)] {
        let broken = Arc::new(Broken { when, ..Broken::default() });
        let log = Log::default();
        let domain = Domain::builder().sink(broken.clone()).sink(Arc::new(log.clone())).build();
        for _ in 0..2 {
            let result = domain.run(outer(9, Duration::from_secs(11))).await;
            assert_eq!(result, Ok(9), "{when}");
        }
        assert_eq!(broken.calls.load(Ordering::Relaxed), heard, "{when}");
        assert_eq!(log.entries().len(), 2 * 7, "{when}");
        let stats = domain.stats("outer").unwrap();
        assert_eq!((stats.ended.count_late(Outcome::Success), stats.active), (2, 0), "{when}");
    }
}

#[test]
fn a_sink_of_install_receives_the_runs_of_the_whole_program() {
    isolated(|| {
        let log = Log::default();
        inner();
        let installation = Install::new().sink(log.clone()).start();
        inner();
        std::thread::spawn(inner).join().unwrap();
        assert_eq!(log.ends().len(), 2);
        assert_eq!(registry::stats("inner").unwrap().ended.total(), 3);
        installation.stop();
    });
}

#[test]
fn a_broken_sink_of_install_is_reported_once() {
    isolated(|| {
        let installation = Install::new().sink(Broken { when: "started", ..Broken::default() }).start();
        (0..3).for_each(|_| inner());
        let reports = installation.report().into_iter().filter(|line| line.contains("Broken` panicked"));
        assert_eq!(reports.count(), 1);
        assert_eq!(registry::stats("inner").unwrap().ended.total(), 3);
        installation.stop();
    });
}

/// A sink that runs a process itself, as a sink that writes to a database might do.
#[derive(Debug, Default)]
struct Reentrant {
    calls: AtomicUsize,
}

impl Sink for Reentrant {
    fn started(&self, _: &RunView<'_>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        inner();
    }

    fn ended(&self, _: &RunView<'_>, _: &End) {
        inner();
    }
}

#[test]
fn a_sink_that_runs_a_process_itself_does_not_run_for_ever() {
    isolated(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let sink = Arc::new(Reentrant::default());
            let domain = Domain::builder().sink(sink.clone()).build();
            domain.run(outer(3, Duration::ZERO)).await.unwrap();
            // The sink received the three runs of the body. The runs of the sink itself are counted, but the sink
            // does not receive them.
            assert_eq!(sink.calls.load(Ordering::Relaxed), 3);
            assert_eq!(domain.stats("outer").unwrap().ended.total(), 1);
        });
    });
}

/// A sink that drops a run while it receives another run.
#[derive(Debug, Default)]
struct Dropping(Mutex<Option<Pending>>);

struct Pending(#[allow(dead_code, reason = "only dropped")] Pin<Box<dyn Future<Output = ()> + Send>>);

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl Sink for Dropping {
    fn ended(&self, _: &RunView<'_>, _: &End) {
        let dropped = self.0.lock().unwrap().take();
        drop(dropped);
    }
}

#[critical_process(id = "left_pending", version = "1.0.0", sla = "10s")]
async fn left_pending() {
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_a_sink_drops_closes_its_span() {
    let (capture, _guard) = Capture::installed();
    let sink = Arc::new(Dropping::default());
    let domain = Domain::builder().sink(sink.clone()).build();
    let mut pending: Pin<Box<dyn Future<Output = ()> + Send>> =
        Box::pin(domain.carrier().carry(left_pending()));
    assert!(futures::poll!(pending.as_mut()).is_pending());
    *sink.0.lock().unwrap() = Some(Pending(pending));
    domain.call(inner);
    assert!(capture.only("left_pending").closed);
}

/// A sink that never returns from `overdue`.
#[derive(Debug)]
struct Hanging(Arc<AtomicBool>);

impl Sink for Hanging {
    fn overdue(&self, _: &RunView<'_>, _: Duration) {
        self.0.store(true, Ordering::SeqCst);
        loop {
            thread::park();
        }
    }
}

#[critical_process(id = "brief", version = "1.0.0", sla = "10ms")]
fn brief(lasts: Duration) {
    thread::sleep(lasts);
}

#[test]
fn an_installation_stops_though_a_sink_hangs() {
    isolated(|| {
        let hangs = Arc::new(AtomicBool::new(false));
        let installation = Install::new().sink(Hanging(Arc::clone(&hangs))).start();
        thread::spawn(|| brief(Duration::from_secs(60)));
        eventually("the watchdog tells of the run", || hangs.load(Ordering::SeqCst));
        let (sender, stopped) = mpsc::channel();
        thread::spawn(move || {
            installation.stop();
            sender.send(())
        });
        stopped.recv_timeout(Duration::from_secs(10)).expect("it stops");
    });
}
