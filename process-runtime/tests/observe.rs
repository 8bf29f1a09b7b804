//! What a test observes of a run, and what it breaks there.

use std::future::Future;
use std::time::Duration;

use process_runtime::testing::{Fault, Observation, observe, observe_call};
use process_runtime::{
    Carrier, Outcome, critical_process, dependency, dependency_call, record, registry, stage,
};

#[derive(Debug, PartialEq, thiserror::Error)]
enum OrderError {
    #[error("nothing was ordered")]
    Empty,
    #[error("the shelf is out of reach")]
    Shelf,
    #[error("the bank said no")]
    Bank(#[from] BankError),
}

impl OrderError {
    fn kind(&self) -> &'static str {
        match self {
            OrderError::Empty => "empty",
            OrderError::Shelf => "shelf",
            OrderError::Bank(_) => "bank",
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("closed")]
struct BankError;

#[derive(Debug, PartialEq)]
struct Receipt {
    paid: bool,
}

impl Receipt {
    fn is_on_account(&self) -> bool {
        !self.paid
    }
}

#[critical_process(
    id = "place_order",
    version = "1.0.0",
    sla = "2m",
    context(customer, inherit(request_id), later(total)),
    rejects(OrderError::Empty),
    degraded = Receipt::is_on_account,
    error_type = OrderError::kind,
    depends_on("bank"),
)]
async fn place_order(customer: &str, items: u32) -> Result<Receipt, OrderError> {
    if items == 0 {
        return Err(OrderError::Empty);
    }
    let total = pick(items).await?;
    record!(total = total);
    tracing::info_span!("wrapping").in_scope(|| ());
    match process_runtime::timeout(Duration::from_secs(30), dependency("bank", charge(total))).await {
        Ok(charged) => charged?,
        Err(_) => return Ok(Receipt { paid: false }),
    }
    Ok(Receipt { paid: true })
}

#[stage(id = "pick", process = "place_order", error_type = OrderError::kind)]
async fn pick(items: u32) -> Result<u32, OrderError> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(items * 100)
}

async fn charge(_: u32) -> Result<(), BankError> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

#[critical_process(id = "count_stock", version = "1.0.0", sla = "1s", depends_on("ledger"))]
fn count_stock(shelf: &str) -> Result<&str, std::num::ParseIntError> {
    dependency_call("ledger", || shelf.len().to_string().parse::<u32>())?;
    Ok(shelf)
}

#[critical_process(id = "undeclared_call", version = "1.0.0", sla = "1s", depends_on("cache"))]
async fn undeclared_call() -> Result<(), BankError> {
    dependency("cash", async { Ok(()) }).await
}

/// Polls on a current-thread runtime whose clock is paused.
fn paused<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

fn order(fault: Option<(&str, Fault)>) -> Observation<Result<Receipt, OrderError>> {
    paused(async {
        let observed = observe(place_order("acme", 2));
        match fault {
            Some((at, fault)) => observed.fault(at, fault).await,
            None => observed.await,
        }
    })
}

fn message(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let payload = std::panic::catch_unwind(f).unwrap_err();
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "no text".into())
}

#[test]
fn a_run_is_a_tree_of_what_it_did() {
    let run = order(None);
    run.expect()
        .success()
        .within_sla()
        .stages(["pick"])
        .calls(["pick", "bank"])
        .context(["customer", "total"])
        .context_value("total", 200)
        .no_event();
    run.expect_of("bank").success();
    run.expect_of("place_order.pick").success();
    assert_eq!(run.value(), &Ok(Receipt { paid: true }));
    let root = &run.runs()[0];
    assert_eq!(root.duration(), Some(Duration::from_secs(3)));
    assert_eq!(root.span().unwrap().field("critical_process.outcome").unwrap().to_string(), "success");
    assert_eq!(root.spans()[0].name, "wrapping");
    let runs = run.metrics().iter().find(|change| change.instrument == "critical_process.runs").unwrap();
    assert_eq!((runs.value, runs.attribute("critical_process.outcome")), (1, Some("success")));
    assert_eq!(registry::stats("place_order").unwrap().started, 0, "the program's own figures are untouched");
}

#[test]
fn an_injected_error_is_what_the_boundary_returns() {
    let run = order(Some(("pick", Fault::error(|| OrderError::Shelf))));
    run.expect().failure("shelf").one_event([("process_outcome", "failure"), ("customer", "acme")]);
    assert_eq!(run.value(), &Err(OrderError::Shelf));
    let run = order(Some(("bank", Fault::error(|| BankError))));
    run.expect().failure("bank");
    run.expect_of("bank").failure("observe::BankError");
    let run = order(Some(("place_order", Fault::error(|| OrderError::Empty))));
    run.expect().rejected("empty").no_event().calls([]);
}

#[test]
fn a_hang_is_ended_by_whatever_bounds_it() {
    let run = order(Some(("bank", Fault::hang())));
    run.expect().degraded().within_sla();
    run.expect_of("bank").failure("timeout");
}

#[test]
fn what_nothing_ends_is_ended_by_the_test() {
    let run = order(Some(("pick", Fault::hang())));
    run.expect().cancelled().overdue();
    assert!(message(|| drop(run.into_value())).contains("nothing ended it for 3600s"));
}

#[test]
fn a_delay_makes_late_without_any_time() {
    let began = std::time::Instant::now();
    let run = order(Some(("pick", Fault::delay(Duration::from_secs(120)))));
    run.expect().success().late().overdue();
    // Also without paused time, and in a plain function.
    let real = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let run = real.block_on(async {
        observe(undelayed()).fault("quick", Fault::delay(Duration::from_secs(3600))).await
    });
    run.expect().success().late();
    let run =
        observe_call(|| count_stock("left")).fault("ledger", Fault::delay(Duration::from_secs(2))).run();
    run.expect().success().late();
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[critical_process(id = "undelayed", version = "1.0.0", sla = "1m")]
async fn undelayed() {
    quick().await;
    tokio::task::yield_now().await;
}

#[stage(id = "quick", process = "undelayed")]
async fn quick() {}

#[test]
fn an_injected_panic_is_a_panic_of_the_run() {
    let run = order(Some(("pick", Fault::panic("shelf fell"))));
    run.expect().panic().one_event([("process_outcome", "panic")]);
    assert_eq!(run.panic(), Some("shelf fell"));
    let run = observe_call(|| count_stock("left")).fault("ledger", Fault::panic("torn")).run();
    run.expect().panic();
}

#[test]
fn a_cancel_drops_everything_at_that_poll() {
    for poll in [1, 2] {
        let run = order(Some(("bank", Fault::cancel(poll))));
        run.expect().cancelled();
        run.expect_of("bank").cancelled();
        assert_eq!(run.all().filter(|run| run.outcome().is_none()).count(), 0);
    }
    let run = order(Some(("bank", Fault::cancel(2).only(1))));
    run.expect().cancelled();
    assert!(message(|| drop(order(Some(("bank", Fault::cancel(9)))))).contains("it was polled "));
}

#[test]
fn faults_that_do_not_happen_fail_the_test() {
    let cases: [(&str, Fault, &str); 5] = [
        (
            "pik",
            Fault::hang(),
            "no process, stage or declared dependency is called `pik`; did you mean `pick`?",
        ),
        ("count_stock", Fault::hang(), "the hang at `count_stock` was never reached"),
        ("pick", Fault::hang().only(2), "the hang at `pick` is for time 2, and it was reached 1 times"),
        (
            "pick",
            Fault::error(|| BankError),
            "what is returned a `core::result::Result<u32, observe::OrderError>`",
        ),
        ("bank", Fault::error(|| OrderError::Shelf), "it is a `observe::OrderError`"),
    ];
    for (at, fault, expected) in cases {
        let said = message(std::panic::AssertUnwindSafe(|| drop(order(Some((at, fault))))));
        assert!(said.contains(expected), "{said}");
    }
    let said = message(|| drop(observe_call(|| count_stock("left")).fault("ledger", Fault::hang()).run()));
    assert!(said.contains("a plain function cannot be stopped in the middle"), "{said}");
    let said = message(|| drop(paused(observe(undeclared_call()).into_future())));
    assert!(said.contains("`undeclared_call` calls the dependency `cash` and does not declare it"), "{said}");
}

#[test]
fn an_expectation_that_fails_shows_what_was_observed() {
    let run = order(Some(("pick", Fault::error(|| OrderError::Shelf))));
    let said = message(std::panic::AssertUnwindSafe(|| drop(run.expect().success())));
    let expected = "of place_order\nexpected: success\nfound:    failure (shelf)\nobserved: a value was returned\n\n\
                    ! place_order  failure, shelf  ";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("\n!   pick       failure, shelf  "), "{said}");
    assert!(said.contains("[error]") && said.contains("customer=acme"), "{said}");
}

#[critical_process(id = "spawning", version = "1.0.0", sla = "1m", context(tenant))]
async fn spawning(tenant: u64) -> Result<u64, BankError> {
    let work = async move {
        tokio::task::yield_now().await;
        inside(tenant).await
    };
    let inner = tokio::spawn(Carrier::current().carry(work)).await.map_err(|_| BankError)?;
    if inner? != tenant { Err(BankError) } else { Ok(tenant) }
}

#[stage(id = "inside", context(seen = tenant))]
async fn inside(tenant: u64) -> Result<u64, BankError> {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    Ok(tenant)
}

#[test]
fn two_hundred_tests_at_once_never_see_each_other() {
    // The application has a subscriber of its own.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let tests: Vec<_> = (0..200_u64)
        .map(|tenant| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async move {
                    let breaks = tenant % 2 == 1;
                    let observed = observe(spawning(tenant));
                    let run = match breaks {
                        true => observed.fault("inside", Fault::error(|| BankError)).await,
                        false => observed.await,
                    };
                    let expect = run.expect();
                    match breaks {
                        true => drop(
                            expect
                                .failure("observe::BankError")
                                .one_event([("tenant", &*tenant.to_string())]),
                        ),
                        false => drop(expect.success().no_event()),
                    }
                    assert_eq!(run.all().count(), 2, "{run}");
                    for one in run.all() {
                        let mut values = one.context().iter().map(|(_, value)| value.to_string());
                        assert!(values.all(|value| value == tenant.to_string()), "{run}");
                        assert_eq!(
                            one.span().unwrap().field("tenant").unwrap().to_string(),
                            tenant.to_string()
                        );
                    }
                    let sum: u64 = run
                        .metrics()
                        .iter()
                        .filter(|c| c.instrument.ends_with("runs"))
                        .map(|c| c.value)
                        .sum();
                    assert_eq!(sum, 1);
                });
            })
        })
        .collect();
    tests.into_iter().for_each(|test| test.join().unwrap());
    assert_eq!(registry::stats("spawning").unwrap().started, 0);
}

/// `cargo test -p process-runtime --features testing --test observe -- --nocapture what_observing_costs`
#[test]
fn what_observing_costs() {
    const TIMES: u32 = 1_000;
    paused(async {
        drop(observe(undelayed()).await);
        let began = std::time::Instant::now();
        for _ in 0..TIMES {
            observe(undelayed()).await.expect().success();
        }
        let each = began.elapsed() / TIMES;
        println!("a process with a stage takes {each:?} under observation");
        assert!(each < Duration::from_millis(2), "{each:?}");
    });
}

#[test]
fn a_function_with_borrowed_returns_can_be_broken_too() {
    let run = observe_call(|| count_stock("left")).run();
    assert_eq!(run.value(), &Ok("left"));
    let made = || "x".parse::<u32>().unwrap_err();
    let run = observe_call(|| count_stock("left")).fault("count_stock", Fault::error(made)).run();
    run.expect().failure("core::num::error::ParseIntError");
    assert_eq!(run.runs()[0].outcome(), Some(Outcome::Failure));
}

#[critical_process(id = "undisturbed", version = "1.0.0", sla = "1m")]
async fn undisturbed() {
    // It goes on while the other is delayed.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

#[test]
fn a_delay_is_of_what_it_is_at_and_of_what_is_around_that_alone() {
    let real = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = real.block_on(async {
        let both = async { tokio::join!(undisturbed(), undelayed()) };
        observe(both).fault("quick", Fault::delay(Duration::from_secs(3600))).await
    });
    run.expect_of("undelayed").success().late().overdue();
    run.expect_of("undelayed.quick").success();
    run.expect_of("undisturbed").success().within_sla();
    let undelayed = run.all().find(|run| run.name() == "undelayed").unwrap();
    assert!(undelayed.duration().unwrap() >= Duration::from_secs(3600));
}

#[stage(id = "hang", process = "undelayed")]
async fn hang() {}

#[test]
fn a_task_that_hangs_goes_when_the_observation_ends() {
    paused(async {
        let mut task = None;
        let begins = async { task = Some(tokio::spawn(Carrier::current().carry(hang()))) };
        let run = observe(async { (begins.await, tokio::task::yield_now().await) })
            .fault("hang", Fault::hang())
            .await;
        assert_eq!(run.runs()[0].outcome(), None, "it goes on, observed or not");
        let ended = tokio::time::timeout(Duration::from_secs(1), task.unwrap()).await;
        assert!(ended.expect("it is not there for ever").unwrap_err().is_panic());
    });
}

#[test]
fn a_thread_of_its_own_sees_the_time_of_the_runtime() {
    use process_runtime::testing::Domain;
    paused(async {
        let domain = Domain::new();
        let elapsed = async {
            tokio::time::sleep(Duration::from_secs(90)).await;
            std::thread::scope(|scope| scope.spawn(|| domain.in_flight()[0].elapsed).join().unwrap())
        };
        let ((), elapsed) = tokio::join!(domain.run(takes_two_minutes()), elapsed);
        assert_eq!(elapsed, Duration::from_secs(90));
    });
}

#[critical_process(id = "takes_two_minutes", version = "1.0.0", sla = "5m")]
async fn takes_two_minutes() {
    tokio::time::sleep(Duration::from_secs(120)).await;
}

#[critical_process(id = "observes", version = "1.0.0", sla = "1s")]
async fn observes() -> Observation<Result<(), BankError>> {
    observe(shared()).await
}

#[stage(id = "shared")]
async fn shared() -> Result<(), BankError> {
    dependency("bank", async { Ok(()) }).await
}

#[test]
fn what_is_observed_inside_of_a_process_is_no_part_of_it() {
    let inner = paused(observes());
    inner.expect_of("shared").success();
    assert!(inner.all().all(|run| run.process().is_none()), "{inner}");
}

#[test]
fn every_expectation_that_does_not_hold_says_so() {
    let broken = order(Some(("pick", Fault::error(|| OrderError::Shelf))));
    let served = order(None);
    let late = order(Some(("pick", Fault::delay(Duration::from_secs(120)))));
    let late_at_its_end =
        observe_call(|| count_stock("left")).fault("ledger", Fault::delay(Duration::from_secs(2))).run();
    let rejected = order(Some(("place_order", Fault::error(|| OrderError::Empty))));
    let two = paused(
        observe(async {
            undelayed().await;
            undelayed().await;
        })
        .into_future(),
    );
    let said = |expect: &dyn Fn()| message(std::panic::AssertUnwindSafe(expect));
    let cases: [(&dyn Fn(), &str); 18] = [
        (&|| drop(broken.expect().failure("bank")), "expected: failure (bank)\nfound:    failure (shelf)"),
        (
            &|| drop(rejected.expect().rejected("shelf")),
            "expected: rejected (shelf)\nfound:    rejected (empty)",
        ),
        (&|| drop(served.expect().panic()), "expected: panic\nfound:    success"),
        (&|| drop(served.expect().cancelled()), "expected: cancelled\nfound:    success"),
        (&|| drop(late.expect().within_sla()), "expected: within its SLA\nfound:    late, after 123.0s"),
        (&|| drop(served.expect().late()), "expected: late\nfound:    on time, after 3.0s"),
        (
            &|| drop(served.expect().overdue()),
            "expected: told of as late while it ran\nfound:    told of at its end, or never",
        ),
        (&|| drop(served.expect().stages([])), "expected: none\nfound:    pick"),
        (&|| drop(served.expect().calls(["bank", "pick"])), "expected: bank, pick\nfound:    pick, bank"),
        (&|| drop(served.expect().calls(["pick"])), "expected: pick\nfound:    pick, bank"),
        (
            &|| drop(served.expect().context(["customer", "tenant"])),
            "expected: `tenant` in its context and on its span\nfound:    customer, total",
        ),
        (&|| drop(served.expect().context_value("total", 7)), "expected: total=7\nfound:    total=200"),
        (&|| drop(served.expect().context_value("tenant", 7)), "expected: tenant=7\nfound:    no `tenant`"),
        (&|| drop(broken.expect().no_event()), "expected: no Sentry event\nfound:    1"),
        (&|| drop(served.expect().one_event([])), "expected: one Sentry event\nfound:    0"),
        (
            &|| drop(broken.expect().one_event([("customer", "other")])),
            "expected: an event with the tag customer=other\nfound:    customer=acme",
        ),
        (&|| drop(two.expect()), "expected: one run, or `expect_of` to say which of 2 is meant"),
        (&|| drop(two.expect_of("undelayed")), "expected: one run of `undelayed`, not 2"),
    ];
    for (expect, expected) in cases {
        let said = said(expect);
        assert!(said.contains(expected), "{said}");
    }
    assert!(
        said(&|| drop(served.expect_of("pik"))).contains("expected: a run of `pik`; did you mean `pick`?")
    );
    late_at_its_end.expect().late();
}

#[test]
fn a_part_of_no_process_and_a_process_without_the_part_are_unknown() {
    for at in ["nobody.pick", "place_order.pik"] {
        let said = message(|| drop(order(Some((at, Fault::hang())))));
        assert!(
            said.contains(&format!("no process, stage or declared dependency is called `{at}`")),
            "{said}"
        );
    }
}

#[critical_process(id = "race", version = "1.0.0", sla = "1m", depends_on("bank"))]
async fn race() -> Result<(), BankError> {
    tokio::select! {
        biased;
        paid = dependency("bank", async { Ok(()) }) => paid,
        () = std::future::ready(()) => Ok(()),
    }
}

#[test]
fn a_cancel_that_something_inside_swallows_is_one_all_the_same() {
    let run = paused(observe(race()).fault("bank", Fault::cancel(1)).into_future());
    assert!(
        message(std::panic::AssertUnwindSafe(|| drop(run.into_value()))).contains("a fault cancelled it")
    );
}

#[test]
fn a_limit_is_what_was_asked_for() {
    let run = paused(observe(std::future::pending::<()>()).limit(Duration::from_secs(5)).into_future());
    assert!(run.to_string().starts_with("nothing ended it for 5s"), "{run}");
}

#[test]
fn an_event_outside_of_any_run_is_seen() {
    let run = observe_call(|| {
        sentry_core::capture_message("outside", sentry_core::Level::Info);
        count_stock("left").map(str::len)
    })
    .run();
    assert_eq!(run.events().filter_map(|event| event.message.as_deref()).collect::<Vec<_>>(), ["outside"]);
}

/// What the application's own subscriber is told.
#[derive(Clone, Default)]
struct Told(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl<S> tracing_subscriber::Layer<S> for Told
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_new_span(
        &self,
        span: &tracing::span::Attributes<'_>,
        _: &tracing::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        self.0.lock().unwrap().push(format!("opened {}", span.metadata().name()));
    }

    fn on_record(
        &self,
        id: &tracing::Id,
        values: &tracing::span::Record<'_>,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let name = context.span(id).unwrap().name();
        self.0.lock().unwrap().push(format!("recorded {name} {}", values.is_empty()));
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: tracing_subscriber::layer::Context<'_, S>) {
        let inside = context.event_span(event).map_or("nothing", |span| span.name());
        self.0.lock().unwrap().push(format!("event in {inside}"));
    }

    fn on_close(&self, id: tracing::Id, context: tracing_subscriber::layer::Context<'_, S>) {
        let name = context.span(&id).unwrap().name();
        self.0.lock().unwrap().push(format!("closed {name}"));
    }
}

#[critical_process(id = "log_order", version = "1.0.0", sla = "1s", context(later(total)))]
fn log_order() {
    tracing::info!("an order");
    record!(total = 7);
}

#[test]
fn the_applications_subscriber_sees_all_that_it_would_see_without_a_test() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let told = |observes: bool| {
        let told = Told::default();
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(told.clone()),
            || match observes {
                true => drop(observe_call(log_order).run().expect().success().context(["total"])),
                false => log_order(),
            },
        );
        std::mem::take(&mut *told.0.lock().unwrap())
    };
    let without = told(false);
    assert!(
        without.contains(&"event in log_order".to_owned())
            && without.contains(&"closed log_order".to_owned())
    );
    assert_eq!(told(true), without);
}
