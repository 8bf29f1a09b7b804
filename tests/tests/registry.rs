//! The lists of the registry, and the findings of `validate`. Many fixtures contain mistakes on purpose.

use process_model::{Common, Declaration, ErrorText, ProcessDeclaration, Shape, wire};
use process_runtime::definition::{ContextSource, Criticality};
use process_runtime::registry::{self, Finding};
use process_runtime::{critical_process, stage};

/// Everything that can be declared together.
///
/// In two paragraphs.
#[critical_process(
    id = "complete",
    version = "2.1.0-rc.1",
    sla = "2m",
    name = "The complete one",
    criticality = critical,
    owner = "council",
    runbook = "docs/runbooks/complete.md",
    objective = 99.5,
    context(company, size = company.len(), inherit(user_id), later(model_count)),
    rejects(Trouble::Yours, Trouble::Status(400..500)),
    fails(Ok(0)),
    degraded = is_partial,
    error_type = Trouble::kind,
    error_text = never,
    depends_on("openrouter_api", "supabase_db"),
    cancelled = bad,
    handler = "Council::complete",
)]
fn complete(company: &str) -> Result<usize, Trouble> {
    Ok(company.len())
}

#[derive(Debug)]
enum Trouble {
    Yours,
    Status(u16),
}

impl Trouble {
    fn kind(&self) -> &'static str {
        "trouble"
    }
}

fn is_partial(size: &usize) -> bool {
    *size < 3
}

#[critical_process(id = "plain", version = "0.1.0", sla = "1500ms")]
fn plain() {}

#[stage(id = "synthesis", process = "complete", sla = "20s", after("ranking", "answers"))]
fn synthesis() {}

#[stage(id = "answers", process = "complete", sla = "45s")]
fn answers() {}

#[stage(id = "ranking", process = "complete", after("answers"))]
fn ranking() {}

mod one {
    #[process_runtime::critical_process(id = "twice", version = "1.0.0", sla = "1s")]
    pub(super) fn twice() {}
}

mod other {
    #[process_runtime::critical_process(id = "twice", version = "1.0.1", sla = "1s")]
    pub(super) fn twice() {}
}

#[stage(id = "lost", process = "compleat")]
fn lost() {}

#[stage(id = "dangling", process = "plain", after("nothing"))]
fn dangling() {}

#[critical_process(id = "circular", version = "1.0.0", sla = "1s")]
fn circular() {}

#[stage(id = "hen", process = "circular", after("egg"))]
fn hen() {}

#[stage(id = "egg", process = "circular", after("hen"))]
fn egg() {}

#[critical_process(id = "too_short", version = "1.0.0", sla = "10s")]
fn too_short() {}

#[stage(id = "slow", process = "too_short", sla = "6s")]
fn slow() {}

#[stage(id = "slower", process = "too_short", sla = "5s", after("slow"))]
fn slower() {}

#[stage(id = "beside", process = "too_short", sla = "9s")]
fn beside() {}

#[test]
fn all_is_sorted_by_id_and_the_same_each_time() {
    let ids: Vec<_> = registry::all().map(|process| process.id()).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(ids, sorted);
    assert_eq!(ids, ["circular", "complete", "plain", "too_short", "twice", "twice"]);
}

// A new key is a new field, and this test does not compile until it mentions the field.
#[test]
fn an_entry_has_every_key_of_the_attribute() {
    let process = registry::get("complete").unwrap();
    let Declaration::Process(ProcessDeclaration {
        common,
        version,
        sla,
        criticality,
        owner,
        runbook,
        objective,
        cancelled_is_bad,
    }) = process.record().declaration
    else {
        panic!("`complete` is a process")
    };
    assert_eq!((version.as_str(), process.version()), ("2.1.0-rc.1", "2.1.0-rc.1"));
    assert_eq!((sla.as_millis(), process.sla().as_secs()), (120_000, 120));
    assert_eq!((criticality, process.criticality()), (Criticality::Critical, Criticality::Critical));
    assert_eq!((owner.as_deref(), process.owner()), (Some("council"), Some("council")));
    let document = Some("docs/runbooks/complete.md");
    assert_eq!((runbook.as_deref(), process.runbook()), (document, document));
    assert_eq!((objective.to_string().as_str(), process.objective()), ("99.5", objective));
    assert!(cancelled_is_bad && process.cancelled_is_bad());

    let Common {
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
    } = common;
    assert_eq!((id.as_str(), process.id()), ("complete", "complete"));
    assert_eq!((name.as_str(), process.name()), ("The complete one", "The complete one"));
    assert_eq!(process.description(), description);
    assert_eq!(description, "Everything that can be declared together.\n\nIn two paragraphs.");
    let keys: Vec<_> = context.iter().map(|key| (key.name.as_str(), key.source)).collect();
    assert_eq!(
        keys,
        [
            ("company", ContextSource::Entry),
            ("size", ContextSource::Entry),
            ("user_id", ContextSource::Inherit),
            ("model_count", ContextSource::Later),
        ]
    );
    assert_eq!(process.context(), context);
    let patterns: Vec<String> = rejects.iter().map(|pattern| pattern.replace(' ', "")).collect();
    assert_eq!(patterns, ["Trouble::Yours", "Trouble::Status(400..500)"]);
    assert_eq!(process.rejects(), rejects);
    assert_eq!(fails, ["Ok(0)"]);
    assert_eq!((degraded.as_deref(), error_type.as_deref()), (Some("is_partial"), Some("Trouble::kind")));
    assert_eq!(outcome, None, "`outcome` cannot be combined with the other rules");
    assert_eq!(error_text, ErrorText::Never);
    assert_eq!(depends_on, ["openrouter_api", "supabase_db"]);
    assert_eq!(process.dependencies(), depends_on);
    assert!(signature.starts_with("fn complete(company"), "{signature}");
    assert_eq!(process.signature(), signature);
    assert_eq!(shape, Shape::ByType, "`Result` may be an alias of a boxed future");

    assert_eq!(process.handler(), "registry::Council::complete");
    assert!(process.file().ends_with("registry.rs"));
    let lines: Vec<_> = include_str!("registry.rs").lines().collect();
    assert!(lines[process.line() as usize - 1].starts_with("fn complete("), "line {}", process.line());
    let stages: Vec<_> = process.stages().iter().map(|stage| stage.id()).collect();
    assert_eq!(stages, ["answers", "ranking", "synthesis"]);
}

#[test]
fn an_absent_key_has_the_documented_default() {
    let process = registry::get("plain").unwrap();
    assert_eq!((process.name(), process.description()), ("Plain", ""));
    assert_eq!(
        (process.criticality(), process.objective().to_string().as_str()),
        (Criticality::High, "99.9")
    );
    assert_eq!((process.owner(), process.runbook()), (None, None));
    assert_eq!(process.handler(), "registry::plain");
    assert!(!process.cancelled_is_bad());
}

#[test]
fn an_unknown_id_is_an_error_with_the_nearest() {
    let error = registry::get("complet").unwrap_err();
    assert_eq!(error.to_string(), "no process `complet` is registered; did you mean `complete`?");
    assert_eq!(registry::stats("xyz").unwrap_err().to_string(), "no process `xyz` is registered");
}

#[test]
fn the_hash_tells_definitions_apart_and_survives_the_wire() {
    let process = registry::get("complete").unwrap();
    let frame = process.record().to_frame();
    let [read] = &wire::decode_section(&frame).unwrap()[..] else { panic!() };
    assert_eq!(*read, process.record());
    assert_eq!(read.declaration.hash(), process.hash());
    let hashes: Vec<_> =
        registry::all().filter(|process| process.id() == "twice").map(|p| p.hash()).collect();
    assert_ne!(hashes[0], hashes[1]);
}

#[test]
fn validate_finds_each_mistake_with_the_places_of_all_involved() {
    registry::expect(["plain", "complet", "of_another_crate"]);
    let findings = registry::validate();
    let has = |wanted: &dyn Fn(&Finding) -> bool| findings.iter().filter(|finding| wanted(finding)).count();

    assert_eq!(
        has(&|finding| matches!(finding, Finding::DuplicateProcess { id, places }
            if id == "twice" && places.len() == 2 && places[0] != places[1])),
        1
    );
    assert_eq!(
        has(
            &|finding| matches!(finding, Finding::UnknownProcess { stage, process, nearest: Some("complete"), .. }
            if stage == "lost" && process == "compleat")
        ),
        1
    );
    assert_eq!(
        has(&|finding| matches!(finding, Finding::UnknownStage { stage, after, .. }
            if stage == "dangling" && after == "nothing")),
        1
    );
    assert_eq!(
        has(&|finding| matches!(finding, Finding::StageCycle { process, stages, places }
            if process == "circular" && stages == &["egg", "hen"] && places.len() == 2)),
        1
    );
    assert_eq!(
        has(&|finding| matches!(finding, Finding::StagesExceedSla { process, sum, stages, .. }
            if process == "too_short" && sum.as_secs() == 11 && stages == &["slow", "slower"])),
        1
    );
    assert_eq!(
        has(
            &|finding| matches!(finding, Finding::NotLinked { id, nearest: Some("complete") } if id == "complet")
        ),
        1
    );
    assert_eq!(
        has(&|finding| matches!(finding, Finding::NotLinked { id, .. } if id == "of_another_crate")),
        1
    );
    assert_eq!(findings.len(), 7, "and nothing else: {findings:#?}");
    for finding in &findings {
        let line = finding.to_string();
        assert!(!line.contains('\n') && line.len() > 40, "{line}");
    }
}

#[test]
fn functions_with_one_id_keep_their_own_account() {
    one::twice();
    other::twice();
    other::twice();
    // Two processes have this id. `get` returns the one that is first in the source, and `validate` reports both.
    assert_eq!(registry::stats("twice").unwrap().started, 1);
}

#[test]
fn fixtures_run_like_any_other() {
    assert_eq!(complete("acme").unwrap(), 4);
    let _ = (Trouble::Yours, Trouble::Status(400));
    for fixture in [
        plain, synthesis, answers, ranking, lost, dangling, circular, hen, egg, too_short, slow, slower,
        beside,
    ] {
        fixture();
    }
    assert_eq!(registry::stats("plain").unwrap().started, 1);
}
