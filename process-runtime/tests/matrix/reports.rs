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

/// Parts of the text of a panic that mean something to a format, or that a terminal interprets.
fn texts() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "]]>",
        "<![CDATA[",
        "<b>",
        "&amp;",
        "&#0;",
        "|",
        "`",
        "``",
        "*",
        "_",
        "[a](b)",
        "# ",
        "- ",
        "1. ",
        "$x$",
        "\\",
        "\\|",
        "\"",
        "'",
        "\n",
        "\r\n",
        "\t",
        "\0",
        "\u{1b}[31m",
        "\u{9b}2J",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{feff}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fdd0}",
        "\u{1fffe}",
        "\u{e0041}",
        "é",
        "🦀",
        " ",
        "a",
        "<!--",
        "-->",
        "~~",
        "http://a.b",
    ]);
    let part = prop_oneof![4 => parts.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(part, 1..12).prop_map(|parts| parts.concat())
}

/// Returns whether XML 1.0 allows a character, without those that it discourages.
fn is_of_xml(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}')
        || letter > '\u{ffff}' && u32::from(letter) & 0xfffe != 0xfffe
}

fn is_shown(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0041}')
}

/// Reads a line of Markdown as the text that is shown, and asserts that nothing in it has a meaning.
fn text_of_markdown(line: &str) -> String {
    let mut letters = line.chars();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        let escaped = (letter == '\\').then(|| letters.next().unwrap());
        assert!(escaped.is_some() || !"`*_[]<>|~#&$".contains(letter), "{line}");
        text.push(escaped.unwrap_or(letter));
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_format_holds_every_text(panic in texts(), id in texts(), owner in texts(), revision in texts(), path in texts()) {
        let kind: String = id.chars().filter(|letter| !letter.is_control() && *letter != '"').collect();
        let case = match kind.trim() {
            "" => "panic".to_owned(),
            kind => format!("error(\"{kind}\")"),
        };
        let revision: Revision = revision.parse().unwrap_or_else(|_| self::revision());
        // The escapes of JSON are also those of TOML.
        let owner = serde_json::to_string(&format!("x{}", owner.replace('\u{7f}', ""))).unwrap();
        let waiver = format!(
            "[[waiver]]\nprocess = \"pay_invoice\"\ncase = \"sla\"\nowner = {owner}\nreason = \"later\"\nexpires = 2026-12-31\n"
        );
        let policy = Policy::parse(&waiver, Path::new("process.toml")).unwrap();
        let mut evidence = failed("pay_invoice", &case, &panic);
        evidence.revision = revision.clone();
        let matrix = Matrix::new(registry::all(), &policy, std::slice::from_ref(&evidence), &revision, today()).unwrap();
        let of_case = matrix.cells().find(|cell| cell.state == State::Failed).unwrap();
        let reason = of_case.reason.clone().unwrap();
        prop_assert!(reason.chars().all(is_shown), "{:?}", reason);

        let xml = report::junit(&matrix);
        prop_assert!(xml.chars().all(is_of_xml), "{:?}", xml);
        let parsed = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        let suite = parsed.test_suites.iter().find(|suite| suite.name.as_str() == "pay_invoice").unwrap();
        let message = suite.test_cases.iter().find_map(|case| match &case.status {
            quick_junit::TestCaseStatus::NonSuccess { message, ty, .. } if ty.as_deref() == Some("failed") => message.as_ref().map(|message| message.as_str().to_owned()),
            _ => None,
        });
        prop_assert_eq!(message.as_deref(), Some(&*reason));

        let terminal = report::terminal(&matrix);
        let expected = terminal.lines().find(|line| line.starts_with("✗ pay_invoice")).unwrap();
        prop_assert!(terminal.chars().all(|letter| letter == '\n' || is_shown(letter)), "{:?}", terminal);
        prop_assert!(expected.ends_with(&reason), "{:?}", expected);
        let lines = matrix.cells().filter(|cell| cell.reason.is_some()).count();
        prop_assert_eq!(terminal.lines().count(), 1 + 5 + 1 + lines);

        let markdown = report::markdown(&matrix);
        let items: Vec<String> = markdown.lines().filter_map(|line| line.strip_prefix("- ")).map(text_of_markdown).collect();
        prop_assert_eq!(items.len(), lines);
        prop_assert!(items.iter().any(|item| item == expected), "{:?} in {:?}", expected, items);

        // A problem with a file whose name has any character.
        let directory = directory();
        let name = format!("{}.jsonl", path.replace(['/', '\0'], ""));
        if fs::write(directory.path().join(&name), "{}\n").is_ok() {
            let problems = evidence::read(directory.path()).problems;
            prop_assert!(problems.len() <= 1 && problems.iter().all(|problem| problem.to_string().chars().all(is_shown)));
        }
    }
}
