//! Tests properties of the grammars and of the wire form: what is printed reads back, and no bytes make the decoder
//! panic.

use process_model::schedule::{self, MIN_EVERY, TIMEOUT_BOUND};
use process_model::wire::{Problem, decode_section, decode_text};
use process_model::{
    Case, CheckDeclaration, CheckTarget, Common, ContextKey, ContextSource, ContractDeclaration, Criticality,
    Declaration, ErrorText, Freshness, GrammarError, Millis, Objective, Place, ProcessDeclaration, Record,
    Shape, Sla, StageDeclaration,
};
use proptest::prelude::*;

fn sla() -> impl Strategy<Value = Sla> {
    (1..=Sla::MAX.as_millis()).prop_map(|millis| Sla::from_millis(millis).unwrap())
}

fn millis() -> impl Strategy<Value = Millis> {
    (1..=Millis::MAX.get()).prop_map(|millis| Millis::new(millis).unwrap())
}

fn objective() -> impl Strategy<Value = Objective> {
    (0u32..100, 1u32..1_000_000).prop_map(|(whole, part)| format!("{whole}.{part:06}").parse().unwrap())
}

fn id() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,63}"
}

/// Any text without the two separators, which the macro would replace.
fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace(['\u{1e}', '\u{1f}'], " "))
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 0..4)
}

fn context_key() -> impl Strategy<Value = ContextKey> {
    let source =
        prop_oneof![Just(ContextSource::Entry), Just(ContextSource::Inherit), Just(ContextSource::Later)];
    (id(), source).prop_map(|(name, source)| ContextKey { name, source })
}

fn common() -> impl Strategy<Value = Common> {
    let shape = prop_oneof![Just(Shape::Call), Just(Shape::Awaited), Just(Shape::ByType)];
    let function = (text(), shape);
    let rules =
        (texts(), texts(), prop::option::of(text()), prop::option::of(text()), prop::option::of(text()));
    let error_text =
        prop_oneof![Just(ErrorText::Sentry), Just(ErrorText::Everywhere), Just(ErrorText::Never)];
    (id(), text(), text(), prop::collection::vec(context_key(), 0..5), rules, error_text, texts(), function)
        .prop_map(|(id, name, description, context, rules, error_text, depends_on, function)| {
            let (rejects, fails, degraded, outcome, error_type) = rules;
            let (signature, shape) = function;
            Common {
                id,
                name,
                description,
                context,
                rejects,
                fails,
                degraded,
                outcome,
                error_type,
                error_text,
                depends_on,
                signature,
                shape,
            }
        })
}

/// Every case. A case with an argument has any argument that its grammar accepts.
fn case() -> impl Strategy<Value = Case> {
    let bare: Vec<_> = Case::words().filter_map(|word| Case::new(word, None).ok()).collect();
    let error =
        text().prop_filter_map("an `error.type`", |argument| Case::new("error", Some(&argument)).ok());
    let dependency = id().prop_map(|id| Case::new("dependency", Some(&id)).unwrap());
    prop_oneof![prop::sample::select(bare), error, dependency]
}

fn freshness() -> impl Strategy<Value = Freshness> {
    let every = millis().prop_map(|every| Freshness::Every(every.max(MIN_EVERY)));
    prop_oneof![every, millis().prop_map(Freshness::CachedFor)]
}

fn target() -> impl Strategy<Value = CheckTarget> {
    prop_oneof![id().prop_map(CheckTarget::Process), id().prop_map(CheckTarget::Dependency)]
}

fn place() -> impl Strategy<Value = Place> {
    (text(), text(), any::<u32>()).prop_map(|(handler, file, line)| Place { handler, file, line })
}

fn record() -> impl Strategy<Value = Record> {
    (declaration(), place()).prop_map(|(declaration, place)| declaration.at(place))
}

fn declaration() -> impl Strategy<Value = Declaration> {
    let criticality = prop_oneof![Just(Criticality::Critical), Just(Criticality::Low)];
    let process = (
        common(),
        (0u64..99, 0u64..99, 0u64..99),
        sla(),
        criticality,
        prop::option::of(text()),
        prop::option::of(text()),
        objective(),
        any::<bool>(),
    )
        .prop_map(|(common, version, sla, criticality, owner, runbook, objective, cancelled_is_bad)| {
            let version = format!("{}.{}.{}", version.0, version.1, version.2);
            Declaration::Process(ProcessDeclaration {
                common,
                version,
                sla,
                criticality,
                owner,
                runbook,
                objective,
                cancelled_is_bad,
            })
        });
    let stage = (common(), prop::option::of(id()), prop::option::of(sla()), texts())
        .prop_map(|(common, process, sla, after)| StageDeclaration { common, process, sla, after })
        .prop_map(Declaration::Stage);
    let contract = (id(), case())
        .prop_map(|(process, case)| Declaration::Contract(ContractDeclaration { process, case }));
    let timeout = (1..TIMEOUT_BOUND.get()).prop_map(|millis| Millis::new(millis).unwrap());
    let check = (target(), timeout, freshness())
        .prop_map(|(target, timeout, freshness)| CheckDeclaration { target, timeout, freshness })
        .prop_map(Declaration::Check);
    prop_oneof![process, stage, contract, check]
}

proptest! {
    #[test]
    fn an_sla_reads_back_as_it_prints(sla in sla()) {
        prop_assert_eq!(sla.to_string().parse::<Sla>(), Ok(sla));
    }

    #[test]
    fn what_is_proposed_for_a_duration_is_valid(text in "[0-9]{1,3}([.][0-9]{1,2})? ?(|ns|us|ms|s|sec|min|h|d|weeks)( [0-9]{1,2}s)?") {
        type Parser = fn(&str) -> Result<(), GrammarError>;
        let parsers: [Parser; 4] = [
            |text| text.parse::<Sla>().map(drop),
            |text| schedule::timeout(text).map(drop),
            |text| schedule::every(text).map(drop),
            |text| schedule::cached_for(text).map(drop),
        ];
        for parse in parsers {
            if let Err(error) = parse(&text)
                && let Some((_, proposal)) = error.example()
            {
                prop_assert_eq!(parse(proposal), Ok(()), "{}: {}", &text, &proposal);
            }
        }
    }

    #[test]
    fn an_objective_reads_back_as_it_prints(objective in objective()) {
        prop_assert_eq!(objective.to_string().parse::<Objective>(), Ok(objective));
    }

    #[test]
    fn no_text_makes_a_grammar_panic(text in any::<String>()) {
        let _ = text.parse::<Sla>();
        let _ = text.parse::<Objective>();
        let _ = text.parse::<Criticality>();
        let _ = process_model::grammar::check_id(&text);
        let _ = process_model::grammar::check_version(&text);
        let _ = text.parse::<Case>();
        let _ = (schedule::timeout(&text), schedule::every(&text), schedule::cached_for(&text));
        let _ = process_model::nearest(&text, ["id", "version"]);
    }

    #[test]
    fn what_check_id_proposes_is_an_id(text in "[A-Za-z0-9 _-]{1,70}") {
        if let Err(error) = process_model::grammar::check_id(&text)
            && let Some((_, proposal)) = error.help().split_once("for example `")
        {
            prop_assert_eq!(process_model::grammar::check_id(proposal.trim_end_matches('`')), Ok(()));
        }
    }

    #[test]
    fn a_case_reads_back_as_it_prints(case in case()) {
        prop_assert_eq!(case.to_string().parse::<Case>(), Ok(case));
    }

    #[test]
    fn records_read_back_in_any_order_and_padding(
        records in prop::collection::vec(record(), 0..5),
        padding in 0usize..9,
    ) {
        let mut section = Vec::new();
        for record in &records {
            section.extend(std::iter::repeat_n(0, padding));
            section.extend(record.to_frame());
        }
        section.extend(std::iter::repeat_n(0, padding));
        prop_assert_eq!(decode_section(&section), Ok(records));
    }

    #[test]
    fn a_section_cut_anywhere_is_an_error_or_whole_records(record in record(), cut in any::<prop::sample::Index>()) {
        let frame = record.to_frame();
        let cut = cut.index(frame.len());
        match decode_section(&frame[..cut]) {
            Ok(records) => prop_assert!(records.is_empty() && cut == 0),
            Err(error) => prop_assert!(error.offset <= cut),
        }
    }

    #[test]
    fn a_contract_is_read_exactly_where_the_grammars_accept_it(
        process in prop_oneof![id(), text()], argument in prop_oneof![id(), text()], is_error in any::<bool>(),
    ) {
        let accepted = process_model::grammar::check_id(&process).is_ok()
            && Case::new(if is_error { "error" } else { "dependency" }, Some(&argument)).is_ok();
        let case = if is_error { Case::Error(argument) } else { Case::Dependency(argument) };
        // The hash is right even if a value is invalid, so only the grammars can refuse the record.
        let record = Declaration::Contract(ContractDeclaration { process, case }).at(Place::default());
        match decode_section(&record.to_frame()) {
            Ok(records) => prop_assert!(accepted && records == [record]),
            Err(error) => prop_assert!(
                !accepted && matches!(error.problem, Problem::Malformed("process" | "case")), "{error}"
            ),
        }
    }

    #[test]
    fn a_check_is_read_exactly_where_the_grammars_accept_it(
        id in prop_oneof![id(), text()], is_process in any::<bool>(),
        timeout in 1u64..60_000, time in 1u64..2_000, runs_by_itself in any::<bool>(),
    ) {
        let timeout = Millis::new(timeout).unwrap();
        let time = Millis::new(time).unwrap();
        let freshness = if runs_by_itself { Freshness::Every(time) } else { Freshness::CachedFor(time) };
        let accepted = process_model::grammar::check_id(&id).is_ok()
            && schedule::timeout(&timeout.to_string()).is_ok()
            && (!runs_by_itself || schedule::every(&time.to_string()).is_ok());
        let target = if is_process { CheckTarget::Process(id) } else { CheckTarget::Dependency(id) };
        // The hash is right even if a value is invalid, so only the grammars can refuse the record.
        let record = Declaration::Check(CheckDeclaration { target, timeout, freshness }).at(Place::default());
        match decode_section(&record.to_frame()) {
            Ok(records) => prop_assert!(accepted && records == [record]),
            Err(error) => prop_assert!(
                !accepted
                    && matches!(error.problem, Problem::Malformed("process" | "id" | "timeout" | "every")),
                "{error}"
            ),
        }
    }

    #[test]
    fn one_flipped_bit_never_passes_as_another_definition(
        record in record(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let mut frame = record.to_frame();
        let at = at.index(frame.len());
        frame[at] ^= 1 << bit;
        if let Ok(read) = decode_section(&frame) {
            for read in read {
                prop_assert_eq!(&read.declaration, &record.declaration);
            }
        }
    }

    #[test]
    fn a_record_that_moves_keeps_its_hash(declaration in declaration(), from in place(), to in place()) {
        let hash = declaration.hash();
        let [moved] = &decode_section(&declaration.clone().at(to).to_frame()).unwrap()[..] else { panic!() };
        prop_assert_eq!(moved.declaration.hash(), &*hash);
        // Other programs that write the wire form rely on this order: the declaration, its hash, the place.
        let text = declaration.clone().at(from).to_text();
        let hash_field = format!("hash\u{1f}{hash}\u{1e}");
        prop_assert!(text.starts_with(&declaration.to_text()) && declaration.to_text().ends_with(&hash_field));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_section(&bytes);
        let _ = decode_text(&bytes);
        let mut framed = b"critproc\x01".to_vec();
        framed.extend((bytes.len() as u32).to_le_bytes());
        framed.extend(&bytes);
        let _ = decode_section(&framed);
    }
}

#[test]
fn a_record_of_another_wire_version_names_both() {
    let error = decode_section(b"critproc\x09\0\0\0\0").unwrap_err().to_string();
    assert!(error.contains("wire version 9") && error.contains("version 1"), "{error}");
}

#[test]
fn an_sla_that_is_none_is_answered_with_what_was_meant() {
    let meant = [
        ("2 s", "2s"),
        (" 30s", "30s"),
        ("120", "120s"),
        ("120 sec", "120s"),
        ("1.5s", "1500ms"),
        ("0.5 h", "30m"),
        ("1m30s", "90s"),
        ("1h 30m", "90m"),
        ("1_500ms", "1500ms"),
        ("500us", "1ms"),
        ("1500\u{b5}s", "2ms"),
        ("1d", "24h"),
        ("2 weeks", "336h"),
    ];
    for (text, proposal) in meant {
        let refusal = text.parse::<Sla>().expect_err(text);
        assert!(refusal.help().ends_with(&format!("for example `{proposal}`")), "{text}: {refusal}");
    }
}

#[test]
fn a_check_is_over_before_a_monitor_gives_up() {
    assert_eq!(schedule::timeout("29999ms"), Ok(Millis::new(29_999).unwrap()));
    for text in ["30s", "30000ms", "1m", "2h"] {
        let refusal = schedule::timeout(text).unwrap_err();
        assert!(refusal.help().contains("monitors give up"), "{text}: {refusal}");
    }
    assert_eq!(schedule::every("1s"), Ok(MIN_EVERY));
    assert_eq!(
        schedule::every("999ms").unwrap_err().help(),
        "write the time from one run of the check to the next, at least `1s` and at most a year"
    );
    for zero in [schedule::timeout("0s"), schedule::every("0s"), schedule::cached_for("0s")] {
        zero.unwrap_err();
    }
}

#[test]
fn each_time_of_a_check_is_called_what_it_is() {
    for (refusal, name) in [
        (schedule::timeout(""), "timeout"),
        (schedule::every("5 fortnights"), "period"),
        (schedule::cached_for("400d"), "cache time"),
    ] {
        let refusal = refusal.unwrap_err();
        assert!(refusal.to_string().contains(name) && !refusal.to_string().contains("SLA"), "{refusal}");
    }
}

#[test]
fn an_answer_that_is_kept_and_renewed_is_no_check() {
    let check = |freshness: &str| {
        let declaration = Declaration::Check(CheckDeclaration {
            target: CheckTarget::Dependency("db".to_owned()),
            timeout: Millis::new(2_000).unwrap(),
            freshness: Freshness::default(),
        });
        let text = declaration.to_text();
        let before = text.split("cached_for").next().unwrap();
        decode_text(with_hash(&format!("{before}{freshness}"), PLACE).as_bytes())
    };
    check("cached_for\u{1f}5s\u{1e}").unwrap();
    check("every\u{1f}5s\u{1e}").unwrap();
    let both = check("every\u{1f}5s\u{1e}cached_for\u{1f}5s\u{1e}").unwrap_err();
    assert_eq!(both.problem, Problem::Malformed("cached_for"));
    assert_eq!(check("").unwrap_err().problem, Problem::Missing("cached_for"));
}

const PLACE: &str = "handler\u{1f}f\u{1e}file\u{1f}f.rs\u{1e}line\u{1f}7\u{1e}";

/// A record's text: `before`, the hash of `before`, and `after`.
fn with_hash(before: &str, after: &str) -> String {
    format!("{before}hash\u{1f}{:032x}\u{1e}{after}", fnv1a(before.as_bytes()))
}

#[test]
fn the_hash_covers_the_declaration_and_nothing_else() {
    let before = "kind\u{1f}contract\u{1e}process\u{1f}pay\u{1e}";
    let case = "case\u{1f}happy\u{1e}";
    decode_text(with_hash(&format!("{before}{case}"), PLACE).as_bytes()).unwrap();
    let uncovered = decode_text(with_hash(before, &format!("{case}{PLACE}")).as_bytes()).unwrap_err();
    assert_eq!(uncovered.problem, Problem::Missing("case"));
    let covered = decode_text(with_hash(&format!("{before}{case}{PLACE}"), "").as_bytes()).unwrap_err();
    assert_eq!(covered.problem, Problem::Missing("handler"));
}

/// The hash of a record, computed independently of the crate.
fn fnv1a(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, &byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[test]
fn a_case_has_one_form() {
    for text in
        ["happy", "error(\"card_declined\")", "dependency(\"sqlite\")", "sla", "error(\"core::fmt::Error\")"]
    {
        assert_eq!(text.parse::<Case>().unwrap().to_string(), text);
    }
    assert!(
        "hapy"
            .parse::<Case>()
            .unwrap_err()
            .help()
            .starts_with("did you mean `happy`? valid values are `happy`, ")
    );
    for text in
        ["happy(\"x\")", "error", "error(x)", "error(\"\")", "dependency(\"No Id\")", "error(\"a\"b\")", ""]
    {
        assert!(text.parse::<Case>().is_err(), "{text}");
    }
}
