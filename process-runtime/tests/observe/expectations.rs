//! The messages of expectations that do not hold.

use std::time::Duration;

use process_runtime::testing::{Fault, observe, observe_call};

use super::{OrderError, count_stock, message, order, paused, undelayed};

#[test]
fn an_expectation_that_fails_shows_what_was_observed() {
    let run = order(Some(("pick", Fault::error(|| OrderError::Shelf))));
    let text = message(std::panic::AssertUnwindSafe(|| drop(run.expect().success())));
    let expected = "run of `place_order`\nexpected: success\nfound:    failure (shelf)\nobserved: it returned a value\n\n\
                    ! place_order  failure, shelf  ";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\n!   pick       failure, shelf  "), "{text}");
    assert!(text.contains("[error]") && text.contains("customer=acme"), "{text}");
}

#[test]
fn every_expectation_that_does_not_hold_has_its_message() {
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
    let text = |expect: &dyn Fn()| message(std::panic::AssertUnwindSafe(expect));
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
            "expected: reported as overdue while it was running\nfound:    reported at its end, or never",
        ),
        (&|| drop(served.expect().stages([])), "expected: none\nfound:    pick"),
        (&|| drop(served.expect().calls(["bank", "pick"])), "expected: bank, pick\nfound:    pick, bank"),
        (&|| drop(served.expect().calls(["pick"])), "expected: pick\nfound:    pick, bank"),
        (
            &|| drop(served.expect().context(["customer", "tenant"])),
            "expected: `tenant` in the context and on the span\nfound:    customer, total",
        ),
        (&|| drop(served.expect().context_value("total", 7)), "expected: total=7\nfound:    total=200"),
        (&|| drop(served.expect().context_value("tenant", 7)), "expected: tenant=7\nfound:    no `tenant`"),
        (&|| drop(broken.expect().no_event()), "expected: no Sentry event\nfound:    1"),
        (&|| drop(served.expect().one_event([])), "expected: exactly one Sentry event\nfound:    0"),
        (
            &|| drop(broken.expect().one_event([("customer", "other")])),
            "expected: an event with the tag customer=other\nfound:    customer=acme",
        ),
        (&|| drop(two.expect()), "expected: exactly one run, not 2; select one with `expect_run("),
        (&|| drop(two.expect_run("undelayed")), "expected: exactly one run of `undelayed`, not 2"),
    ];
    for (expect, expected) in cases {
        let text = text(expect);
        assert!(text.contains(expected), "{text}");
    }
    assert!(
        text(&|| drop(served.expect_run("pik"))).contains("expected: a run of `pik`; did you mean `pick`?")
    );
    late_at_its_end.expect().late();
}
