//! Subscribers that filter, that change, that are scoped to a thread and that panic.

use process_runtime::testing::Domain;
use process_runtime::{Install, Outcome, critical_process};
use process_tests::capture::Capture;
use process_tests::isolated::isolated;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use super::{How, settle_again, transfer};

#[critical_process(id = "filtered", version = "1.0.0", sla = "10s", context(key))]
fn filtered(key: &str) -> usize {
    tracing::info!(target: "business", "inside");
    tracing::info_span!(target: "business", "own").in_scope(|| key.len())
}

#[test]
fn a_subscriber_that_filters_the_target_away_costs_the_body_nothing_else() {
    let capture = Capture::new();
    let filter = EnvFilter::new("info,critical_process=off");
    let dispatch = Dispatch::new(Registry::default().with(filter).with(capture.clone()));
    let result = dispatcher::with_default(&dispatch, || filtered("four"));
    assert_eq!(result, 4);
    assert!(capture.named("filtered").is_empty());
    assert_eq!(capture.only("own").parent, None);
    assert_eq!(capture.loose_events().len(), 1);
    // The next subscriber of the same thread decides again which spans it wants.
    let (capture, _guard) = Capture::installed();
    filtered("four");
    assert_eq!(capture.only("own").parent, Some("filtered"));
}

#[test]
fn install_reports_spans_that_a_filter_drops() {
    let stderr = isolated(|| {
        let subscriber =
            Registry::default().with(EnvFilter::new("critical_process=warn")).with(Capture::new());
        dispatcher::set_global_default(Dispatch::new(subscriber)).unwrap();
        let installation = Install::new().start();
        let is_it = |line: &String| line.contains("filtered") && line.contains("critical_process=info");
        assert!(installation.report().iter().any(is_it), "{:#?}", installation.report());
        installation.stop();
    });
    if let Some(stderr) = stderr {
        assert_eq!(stderr.matches("the subscriber's filter drops").count(), 1, "{stderr}");
    }
}

#[test]
fn a_scoped_subscriber_receives_its_scope_alone_and_the_global_one_the_rest() {
    isolated(|| {
        // This run begins before any subscriber exists.
        settle_again();
        let (global, scoped) = (Capture::new(), Capture::new());
        dispatcher::set_global_default(global.dispatch()).unwrap();
        dispatcher::with_default(&scoped.dispatch(), settle_again);
        assert_eq!((scoped.spans().len(), global.spans().len()), (2, 0));
        settle_again();
        std::thread::spawn(settle_again).join().unwrap();
        assert_eq!((scoped.spans().len(), global.spans().len()), (2, 4));
        // A run ends in the subscriber in which it began, even if another one is current at its last poll.
        let mut run = Box::pin(transfer("a-3", 1, How::Succeed));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = dispatcher::with_default(&scoped.dispatch(), || run.as_mut().poll(&mut context));
        assert!(polled.is_pending());
        assert!(run.as_mut().poll(&mut context).is_ready());
        assert_eq!(scoped.only("transfer").field("critical_process.outcome"), Some("success"));
        assert!(global.named("transfer").is_empty());
    });
}

#[test]
fn a_switched_off_process_has_no_span() {
    isolated(|| {
        let (capture, _guard) = Capture::installed();
        process_runtime::disable();
        settle_again();
        assert!(capture.spans().is_empty());
        process_runtime::enable();
        settle_again();
        assert_eq!(capture.spans().len(), 2);
    });
}

/// A layer that panics in one of its methods, for the spans of this crate.
struct Broken(&'static str);

impl Broken {
    fn at(&self, method: &str) {
        if self.0 == method {
            panic!("of the subscriber: {method}");
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Broken {
    fn enabled(&self, _: &tracing::Metadata<'_>, _: LayerContext<'_, S>) -> bool {
        self.at("enabled");
        true
    }

    fn on_new_span(&self, _: &tracing::span::Attributes<'_>, _: &tracing::Id, _: LayerContext<'_, S>) {
        self.at("new_span");
    }

    fn on_record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>, _: LayerContext<'_, S>) {
        self.at("record");
    }

    fn on_enter(&self, _: &tracing::Id, _: LayerContext<'_, S>) {
        self.at("enter");
    }

    fn on_exit(&self, _: &tracing::Id, _: LayerContext<'_, S>) {
        self.at("exit");
    }

    fn on_close(&self, _: tracing::Id, _: LayerContext<'_, S>) {
        self.at("close");
    }
}

fn survives(method: &'static str) {
    let dispatch = Dispatch::new(Registry::default().with(Broken(method)));
    let result = dispatcher::with_default(&dispatch, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let domain = Domain::new();
            let result = domain.run(transfer("a-1", 60, How::Succeed)).await;
            let ended = domain.stats("transfer").unwrap().ended;
            assert_eq!((ended.total(), ended.count(Outcome::Success)), (1, 1), "{method}");
            result
        })
    });
    assert!(matches!(result, Ok(How::Succeed)), "{method}");
}

#[test]
fn a_subscriber_that_panics_when_it_receives_a_span_does_not_harm_the_run() {
    isolated(|| ["new_span", "record", "close"].into_iter().for_each(survives));
}

#[test]
fn a_subscriber_that_panics_when_it_is_asked_for_a_span_does_not_harm_the_run() {
    isolated(|| ["enabled"].into_iter().for_each(survives));
}

#[test]
fn a_subscriber_that_panics_when_a_span_is_entered_or_left_does_not_harm_the_run() {
    isolated(|| ["enter", "exit"].into_iter().for_each(survives));
}
