//! Observations that run at the same time do not receive each other's runs. The application's own subscriber receives
//! the same calls with and without an observation.

use std::time::Duration;

use process_runtime::testing::{Fault, observe, observe_call};
use process_runtime::{Carrier, critical_process, record, registry, stage};

use super::{BankError, paused};

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

/// The calls that the application's own subscriber receives.
#[derive(Clone, Default)]
struct Calls(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl<S> tracing_subscriber::Layer<S> for Calls
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
    let calls = |observes: bool| {
        let calls = Calls::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(calls.clone()), || {
            match observes {
                true => drop(observe_call(log_order).run().expect().success().context(["total"])),
                false => log_order(),
            }
        });
        std::mem::take(&mut *calls.0.lock().unwrap())
    };
    let without = calls(false);
    assert!(
        without.contains(&"event in log_order".to_owned())
            && without.contains(&"closed log_order".to_owned())
    );
    assert_eq!(calls(true), without);
}
