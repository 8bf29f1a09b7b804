//! Code in the destructors of a thread's values. Other values of the thread, such as the hub of Sentry and the context
//! of OpenTelemetry, may already be gone.

use std::cell::RefCell;
use std::future::Future as _;
use std::sync::Arc;
use std::thread;

use http::{HeaderMap, Request};
use process_runtime::context::Scope;
use process_runtime::propagation::{Outgoing, inject, request_span, trace_id};
use process_runtime::sentry::Integration;
use process_runtime::testing::observe_call;
use process_runtime::{Carrier, Install, registry};
use process_tests::events::Inbox;
use process_tests::isolated::isolated;
use sentry::protocol::Event;
use sentry::{ClientOptions, Hub};

use super::{failing, innocent};

/// Calls the toolkit when its thread ends.
struct AtEnd(Option<Carrier>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        let carrier = Carrier::current();
        assert_eq!(carrier.run(|| innocent(1)), 1);
        assert_eq!(Scope::new().set("n", 1).run(|| innocent(2)), 2);
        failing().unwrap_err();
        if let Some(carrier) = self.0.take() {
            assert_eq!(carrier.run(|| innocent(3)), 3);
        }
        let mut future = Box::pin(carrier.carry(async { innocent(4) }));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_ready());
    }
}

thread_local! {
    static FIRST: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
}

fn fill(slot: &'static thread::LocalKey<RefCell<Option<AtEnd>>>, carrier: Option<Carrier>) {
    slot.with_borrow_mut(|at_end| *at_end = Some(AtEnd(carrier)));
}

#[test]
fn the_toolkit_may_be_used_while_a_thread_ends() {
    isolated(|| {
        let (inbox, _guard) = Inbox::bound();
        let before = registry::stats("innocent").unwrap().ended.total();
        let carrier = Carrier::current();
        for is_used_before in [true, false] {
            let carrier = carrier.clone();
            let inbox = inbox.clone();
            thread::spawn(move || {
                let _hub = inbox.bind();
                // A value that is first used before the libraries' values is dropped after them.
                fill(&FIRST, Some(carrier.clone()));
                if is_used_before {
                    let _context = opentelemetry::Context::current().attach();
                    carrier.run(|| innocent(9));
                    failing().unwrap_err();
                }
                fill(&LAST, None);
            })
            .join()
            .unwrap();
        }
        let runs = registry::stats("innocent").unwrap().ended.total() - before;
        assert_eq!(runs, 1 + 2 * (4 + 3));
    });
}

/// Calls the rest of the public functions that need a value of a library when its thread ends.
struct Everything(Option<Carrier>);

impl Drop for Everything {
    fn drop(&mut self) {
        drop(AtEnd(self.0.take()));
        assert_eq!(trace_id(), None);
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        Outgoing::new().allow("host", ["n"]).inject("host", &mut headers);
        assert!(headers.is_empty());
        assert!(request_span(&Request::new(())).is_disabled());
        Install::new().start().stop();
    }
}

thread_local! {
    static EVERYTHING: RefCell<Option<Everything>> = const { RefCell::new(None) };
}

/// Ends a thread that has used both libraries, but never the toolkit.
fn end_a_thread_of_the_application(carrier: Option<Carrier>) {
    thread::spawn(move || {
        EVERYTHING.with_borrow_mut(|slot| *slot = Some(Everything(carrier)));
        // The values of the libraries are used after that of this test, and are therefore dropped before it.
        drop(Hub::current());
        drop(opentelemetry::Context::current());
    })
    .join()
    .unwrap();
}

#[test]
fn the_toolkit_may_be_used_for_the_first_time_while_a_thread_ends() {
    isolated(|| {
        let before = registry::stats("innocent").unwrap().ended.total();
        end_a_thread_of_the_application(None);
        assert_eq!(registry::stats("innocent").unwrap().ended.total() - before, 3);
    });
}

#[test]
fn a_panic_hook_that_needs_the_hub_does_not_abort_the_end_of_a_thread() {
    isolated(|| {
        // Sets Sentry's panic hook, which panics if the thread has no hub any more.
        let inbox = Inbox::with_defaults(ClientOptions::new());
        let installation = Install::new().start();
        end_a_thread_of_the_application(None);
        // All other panics reach the hook.
        let _hub = inbox.bind();
        thread::spawn({
            let inbox = inbox.clone();
            move || {
                let _hub = inbox.bind();
                panic!("of the application");
            }
        })
        .join()
        .unwrap_err();
        assert_eq!(inbox.take().events.len(), 1);
        installation.stop();
    });
}

#[test]
fn the_carrier_of_a_test_may_be_used_while_a_thread_ends() {
    isolated(|| {
        let observation = observe_call(|| {
            end_a_thread_of_the_application(Some(Carrier::current()));
            innocent(7)
        })
        .run();
        assert_eq!(*observation.value(), 7);
    });
}

/// Sends an event when its thread ends. The event is made before, because Sentry's source of random ids is gone then.
struct Sends(Arc<Hub>, Event<'static>);

impl Drop for Sends {
    fn drop(&mut self) {
        self.0.capture_event(self.1.clone());
    }
}

thread_local! {
    static SENDS: RefCell<Option<Sends>> = const { RefCell::new(None) };
}

#[test]
fn an_event_may_be_sent_while_a_thread_ends() {
    isolated(|| {
        let inbox = Inbox::of(ClientOptions::new().add_integration(Integration));
        let hub = Arc::clone(inbox.hub());
        thread::spawn(move || {
            let event = Event { message: Some("at the end".into()), ..Event::default() };
            SENDS.set(Some(Sends(Arc::clone(&hub), event)));
            // The event of the run uses a value of the toolkit that is dropped before that of this test.
            Hub::run(hub, failing).unwrap_err();
        })
        .join()
        .unwrap();
        let messages: Vec<_> = inbox.take().events.into_iter().map(|event| event.message).collect();
        assert_eq!(messages, [None, Some("at the end".to_owned())]);
    });
}
