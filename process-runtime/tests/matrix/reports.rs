//! The matrix as text for a terminal, as Markdown and as JUnit XML.

use super::*;

/// Returns a matrix that has a cell in each state.
fn matrix() -> Matrix {
    let policy = "[[waiver]]\nprocess = \"pay_invoice\"\ncase = \"sla\"\nowner = \"billing\"\nreason = \"a | b\"\nexpires = 2026-12-31\n";
    let mut evidence = everything();
    evidence.retain(|one| !(one.process == "pay_invoice" && matches!(one.case, Case::Sla | Case::Timeout)));
    evidence.push(failed("pay_invoice", "dependency(\"card_network\")", "<none> & \u{1b}[31m\u{0}red"));
    matrix_under(policy, &evidence, today()).unwrap()
}

#[test]
fn the_terminal_has_an_aligned_row_for_each_process_and_a_line_for_each_open_cell() {
    let text = report::terminal(&matrix());
    let expected = "\
contracts at r1
process      happy  timeout  dependency  sla  context
draw_logo    ✓
pay_invoice  ✓      ?        ✓✗          w    ✓
send_mail    ✓               ✓                ✓
sync_books   ✓               ✓
✓ proven  ✗ failed  ? unknown  w waived
✗ pay_invoice dependency(\"card_network\"): service::tests::pay_invoice_dependency: <none> & [31m red
? pay_invoice timeout: no contract ran; add #[contract(process = \"pay_invoice\", case = timeout)]
w pay_invoice sla: billing, until 2026-12-31: a | b; no contract ran
";
    assert_eq!(text, expected);
}

#[test]
fn markdown_is_a_table_that_no_text_breaks() {
    let text = report::markdown(&matrix());
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 2 + 4, "{text}");
    assert!(rows.iter().all(|row| row.matches('|').count() == 7), "{text}");
    assert!(text.contains("a \\| b") && text.contains("\\<none\\> \\& "), "{text}");
    assert!(text.contains("- ? pay\\_invoice timeout"), "{text}");
}

#[test]
fn junit_parses_and_counts() {
    let xml = report::junit(&matrix());
    let root = xml.lines().find(|line| line.starts_with("<testsuites")).unwrap();
    assert!(!root.contains("skipped"), "{root}");
    let parsed = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((parsed.tests, parsed.failures, parsed.errors), (12, 2, 0));
    assert_eq!(parsed.test_suites.len(), 4);
    let pay = parsed.test_suites.iter().find(|suite| suite.name.as_str() == "pay_invoice").unwrap();
    assert_eq!((pay.tests, pay.failures, pay.skipped), (6, 2, 1));
    assert_eq!(pay.test_cases[1].name.as_str(), "dependency(\"sqlite\")");
    if let Some(file) = std::env::var_os("MATRIX_TEST_JUNIT") {
        fs::write(file, &xml).unwrap();
    }
}
