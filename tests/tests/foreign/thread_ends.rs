//! Code in the destructors of a thread's values. Other values of the thread, such as the hub of Sentry and the context
//! of OpenTelemetry, may already be gone.

use std::cell::RefCell;
use std::thread;

use process_runtime::context::Scope;
use process_runtime::{Carrier, registry};
use process_tests::events::Inbox;
use process_tests::isolated::isolated;

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

use std::future::Future as _;

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
