//! Runs the body of a test with `#[contract]`. The test passes only if its body does and one run that it observed
//! proves the contract's case; either way it leaves evidence.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use process_model::Outcome;

use super::case;
use super::evidence::{Evidence, Proof};
use super::registered::{ContractDefinition, LinkedContract};
use crate::catalog::registry;
use crate::run::ending::Ending;
use crate::testing::domain::observe::message;
use crate::testing::observing::witness::{Seen, Witness};
use crate::testing::origin::text::with_sources;

/// A contract, while the body of its test runs.
#[derive(Debug)]
pub struct Contracted {
    contract: &'static ContractDefinition,
    witness: Arc<Witness>,
}

impl Contracted {
    /// Begins a contract, before the body.
    ///
    /// # Panics
    /// If the record cannot be read, and if the contract's process is not linked; then the message has the nearest id.
    pub fn new(linked: &'static LinkedContract) -> Contracted {
        let contract = linked
            .definition()
            .unwrap_or_else(|error| panic!("the record of a contract cannot be read: {error}"));
        let process = registry::get(contract.process()).unwrap_or_else(|unknown| {
            panic!("contract `{}` at {}:{}: {unknown}", contract.case(), contract.file(), contract.line())
        });
        let contracted = Contracted { contract, witness: Witness::new(process) };
        // If the test is killed, this is its evidence, and not what an earlier run of it proved.
        contracted.leave(Proof::Failed("the test did not end".to_owned()), None);
        contracted
    }

    /// Polls the body of an `async fn`.
    pub async fn run<F: Future>(&self, body: F) -> F::Output {
        let mut body = pin!(body);
        poll_fn(|cx| self.within(|| body.as_mut().poll(cx))).await
    }

    /// Calls the body of a plain function.
    pub fn call<R>(&self, body: impl FnOnce() -> R) -> R {
        self.within(body)
    }

    fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        self.witness.within(f).unwrap_or_else(|payload| {
            self.leave(Proof::Failed(format!("the test panicked: {}", message(&*payload))), None);
            resume_unwind(payload)
        })
    }

    /// Judges the case after the body returned. `ending` says what the returned value means.
    ///
    /// # Panics
    /// If nothing that the body observed proves the case.
    pub fn finish(self, ending: Ending<'_>) {
        if ending.outcome != Outcome::Success {
            return self.leave(Proof::Failed("the test returned an error".to_owned()), None);
        }
        let seen = self.witness.seen();
        let case = self.contract.case();
        if let Some(proof) = seen.iter().find(|seen| case::is_proven_by(case, seen)) {
            return self.leave(Proof::Proven, Some(proof));
        }
        let descriptions: Vec<_> = seen.iter().map(|seen| case::description(case, seen)).collect();
        let observed = match &descriptions[..] {
            [] => format!("it observed none; {}", case::advice(case)),
            descriptions => descriptions.join("; "),
        };
        let (process, sentence) = (self.contract.process(), case::sentence(case));
        let reason = format!("no run of `{process}` that this test observed {sentence}: {observed}");
        self.leave(Proof::Failed(reason.clone()), seen.last());
        panic!("{reason}");
    }

    /// Writes evidence. A test whose proof cannot be written fails, because its proof would not count.
    fn leave(&self, proof: Proof, seen: Option<&Seen>) {
        let is_proven = proof == Proof::Proven;
        let test = path_of_test(self.contract.handler());
        let mut evidence = Evidence::new(self.witness.process(), self.contract.case().clone(), &test, proof);
        evidence.source = self.contract.file().to_owned();
        (evidence.outcome, evidence.late, evidence.duration) = match seen {
            Some(Seen::Run(run)) => (run.outcome, run.late, run.duration),
            Some(Seen::Load(took)) => (None, false, *took),
            None => (None, false, Duration::ZERO),
        };
        if let Err(error) = evidence.write() {
            let error = with_sources(&error);
            assert!(!is_proven, "{error}");
            eprintln!("{error}");
        }
    }
}

/// Returns the full path of the test that is running. libtest gives a test's thread this name, and nextest passes it as
/// an argument.
fn path_of_test(handler: &str) -> String {
    let name = handler.rsplit("::").next().unwrap_or(handler);
    let is_it = |path: &str| path.split("::").any(|part| part == name);
    let thread = std::thread::current().name().map(str::to_owned);
    let mut candidates = thread.into_iter().chain(std::env::args().skip(1));
    candidates.find(|path| is_it(path)).unwrap_or_else(|| handler.to_owned())
}
