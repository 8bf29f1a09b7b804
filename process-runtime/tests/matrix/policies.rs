//! The policy in `process.toml`, and mistakes in it.

use super::*;

#[test]
fn the_defaults_are_by_criticality() {
    let matrix = matrix_of(&[]);
    let required = |row: &process_runtime::testing::matrix::Row| {
        assert!(row.cells.iter().all(|cell| cell.required && cell.state == State::Unknown));
        row.cells.iter().map(|cell| cell.case.to_string()).collect::<Vec<_>>()
    };
    let found: Vec<_> = matrix.rows().iter().map(|row| (row.process.id(), required(row))).collect();
    let expected: Vec<_> = REQUIRED
        .iter()
        .map(|(id, cases)| (*id, cases.iter().map(|case| case.to_string()).collect()))
        .collect();
    assert_eq!(found, expected);
    // `docs/contracts.md` documents the defaults with the same text.
    let documented = "[contracts]\ncritical = [\"happy\", \"dependency\", \"timeout\", \"sla\", \"context\"]\n\
            high = [\"happy\", \"dependency\", \"context\"]\nmedium = [\"happy\", \"dependency\"]\nlow = [\"happy\"]";
    assert_eq!(Policy::parse(documented, Path::new("process.toml")).unwrap(), Policy::default());
}

#[test]
fn a_line_replaces_the_default_of_its_criticality_alone() {
    let text = "expected = [\"other\"]\n[routes]\nx = 1\n[contracts]\nlow = []\nhigh = ['error(\"card_declined\")', \"happy\", \"happy\"]\n\
            [[attestation]]\nanything = true\n";
    let policy = Policy::parse(text, Path::new("process.toml")).unwrap();
    let named = Requirement::Case(Case::Error("card_declined".to_owned()));
    let happy = Requirement::Case(Case::Happy);
    assert_eq!(policy.required(Criticality::High), [named, happy.clone(), happy]);
    assert_eq!(policy.required(Criticality::Low), []);
    assert_eq!(policy.required(Criticality::Critical), Policy::default().required(Criticality::Critical));
    let cases = policy.cases(registry::get("send_mail").unwrap());
    assert_eq!(cases, [Case::Error("card_declined".to_owned()), Case::Happy]);
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    let text = "\
[contracts]
critical = [\"hapy\", \"edge\"]
critcal = [\"happy\"]
high = \"happy\"
low = [\"error\", 7]

[[waiver]]
process = \"pay_invoice\"
case = \"timeut\"
owner = \" \"
expires = \"2026-02-30\"
resaon = \"x\"

[[waivers]]
process = \"pay_invoice\"
";
    let expected = [
        "process.toml:2: invalid case `hapy`; did you mean `happy`?",
        "process.toml:2: case `edge` cannot be required or waived, because the test alone decides what it means; remove it",
        "process.toml:3: invalid criticality `critcal`; did you mean `critical`?",
        "process.toml:4: expected a list of cases",
        "process.toml:5: case `error` requires an argument",
        "process.toml:5: expected a case as a string",
        "process.toml:12: unknown key `resaon` of a waiver; did you mean `reason`?",
        "process.toml:9: invalid case `timeut`; did you mean `timeout`?",
        "process.toml:10: invalid `owner` of the waiver: expected a string that is not blank",
        "process.toml:7: the waiver has no key `reason`",
        "process.toml:11: invalid `expires`: write a day of the calendar as \"YYYY-MM-DD\"",
        "process.toml:14: unknown table `waivers`; did you mean `waiver`?",
    ];
    let found = problems(text);
    for expected in expected {
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}\nin {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(problems("[contracts\n")[0].starts_with("process.toml:1: "));
    assert!(problems("a = 1\n\nb = ")[0].starts_with("process.toml:3: "));
}

fn waiver(process: &str, case: &str, expires: &str) -> String {
    format!(
        "[[waiver]]\nprocess = \"{process}\"\ncase = '{case}'\nowner = \"billing\"\nreason = \"no sandbox\"\nexpires = {expires}\n"
    )
}

#[test]
fn a_waiver_for_what_is_not_there_is_refused() {
    let missing = problems(&waiver("pay_invoce", "happy", "\"2026-12-31\""));
    assert_eq!(missing, ["process.toml:1: unknown process `pay_invoce`; did you mean `pay_invoice`?"]);
    let missing = problems(&waiver("pay_invoice", "dependency(\"sqlit\")", "\"2026-12-31\""));
    assert!(
        missing[0].ends_with("and cannot be waived; did you mean `dependency(\"sqlite\")`?"),
        "{missing:?}"
    );
    let missing = problems(&waiver("draw_logo", "load", "\"2026-12-31\""));
    assert!(
        missing[0].ends_with(
            "case `load` is not required of process `draw_logo` and cannot be waived; the required cases are `happy`"
        ),
        "{missing:?}"
    );
    let twice = waiver("draw_logo", "happy", "2026-12-31").repeat(2);
    assert_eq!(
        problems(&twice),
        [
            "process.toml:7: case `happy` of process `draw_logo` is already waived in line 1; remove one of the waivers"
        ]
    );
    // A waiver for a process of another package is valid if `expected` lists the process.
    let other = waiver("archive", "happy", "2026-12-31");
    assert!(problems(&other)[0].ends_with("add it to `expected = [\"archive\"]`"));
    assert!(problems(&format!("expected = [\"archive\"]\n{other}")).is_empty());
}

#[test]
fn a_waiver_holds_to_the_end_of_its_last_day_and_is_a_failure_then() {
    for expires in ["\"2026-12-31\"", "2026-12-31"] {
        let policy = waiver("pay_invoice", "timeout", expires);
        let on = |day: &str, evidence: &[Evidence]| {
            let matrix = matrix_under(&policy, evidence, day.parse().unwrap()).unwrap();
            let cell = cell(&matrix, "pay_invoice", "timeout").clone();
            (cell.state, cell.reason.unwrap(), matrix.open_cells().any(|open| open.case == cell.case))
        };
        let (state, reason, is_open) = on("2026-12-31", &[]);
        assert_eq!((state, is_open), (State::Waived, false));
        assert_eq!(reason, "billing, until 2026-12-31: no sandbox; no contract ran");
        let (state, reason, is_open) = on("2027-01-01", &[]);
        assert_eq!((state, is_open), (State::Failed, true));
        assert!(
            reason.starts_with("the waiver expired on 2026-12-31 (owner: billing; reason: no sandbox"),
            "{reason}"
        );
        let (state, reason, is_open) = on("2027-01-01", &[proven("pay_invoice", "timeout")]);
        assert_eq!((state, is_open), (State::Proven, false));
        assert_eq!(reason, "remove its waiver (billing, until 2026-12-31)");
    }
}

#[test]
fn a_file_is_the_policy_and_one_that_cannot_be_read_is_named() {
    let root = directory();
    let file = root.path().join("process.toml");
    fs::write(&file, "[contracts]\nlow = [\"panic\"]\n").unwrap();
    let policy = Policy::read(&file).unwrap();
    assert_eq!(policy.required(Criticality::Low), [Requirement::Case(Case::Panic)]);
    let error = Policy::read(root.path()).unwrap_err();
    assert!(matches!(error, PolicyError::Unreadable { .. }));
    assert!(error.to_string().contains(root.path().to_str().unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_policy_makes_it_panic(text in "(\\[?\\[?(contracts|waiver|expected|high|case|expires)\\]?\\]?( = )?[\\[\\]{}\"a-z0-9,:\n-]{0,12}\n?){0,8}") {
        let _ = matrix_under(&text, &[], today());
    }
}
