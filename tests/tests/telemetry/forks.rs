//! Child processes. A child that is made by `fork` has none of the threads of its parent, and reports this once.

use super::{Scratch, named, spans_in, text, under};

const REPORT: &str = "this process was made by `fork` without `exec`";

#[tokio::test]
async fn each_child_of_a_fork_reports_once_that_the_threads_are_gone() {
    let scratch = Scratch::new();
    let output = under("it forks", &scratch, &[]).await;
    let lines = text(&output.stderr);
    // The child, its own child, the child with a second `Install`, and the child with a second `init`.
    assert_eq!(lines.matches(REPORT).count(), 4, "{lines}");
    let runs = named(&spans_in(&scratch.lines("traces")), "parse_order").len();
    assert_eq!(runs, 2, "the runs of the parent, before and after the forks: {lines}");
}

#[tokio::test]
async fn a_child_that_only_logs_reports_once_that_its_lines_are_lost() {
    let lines = text(&under("a child only logs", &Scratch::new(), &[]).await.stderr);
    assert_eq!(lines.matches(REPORT).count(), 1, "{lines}");
}

#[tokio::test]
async fn a_child_of_a_program_that_has_stopped_its_telemetry_reports_once() {
    let scratch = Scratch::new();
    let lines = text(&under("it forks after a stop", &scratch, &[]).await.stderr);
    assert_eq!(lines.matches(REPORT).count(), 1, "{lines}");
    assert!(spans_in(&scratch.lines("traces")).is_empty(), "{lines}");
}

#[tokio::test]
async fn starting_a_program_is_not_a_fork_to_report() {
    let scratch = Scratch::new();
    let lines = text(&under("it starts programs", &scratch, &[]).await.stderr);
    assert!(!lines.contains(REPORT), "{lines}");
    assert_eq!(named(&spans_in(&scratch.lines("traces")), "parse_order").len(), 2, "{lines}");
}

#[tokio::test]
async fn a_child_with_its_own_set_up_is_complete() {
    let scratch = Scratch::new();
    let lines = text(&under("it forks before init", &scratch, &[]).await.stderr);
    assert!(!lines.contains(REPORT), "{lines}");
    assert_eq!(named(&spans_in(&scratch.lines("traces")), "parse_order").len(), 1, "{lines}");
}
