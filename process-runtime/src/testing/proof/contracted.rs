//! Runs the body of a test with `#[contract]`. The test passes only if its body passes and the body has observed a
//! run or load that proves the contract's case. Evidence is written whether the test passes or fails. The rules of a
//! single case do not belong here; they are in `case`.

use std::future::{Future, poll_fn};
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

/// A contract whose test is running.
#[derive(Debug)]
pub struct Contracted {
    contract: &'static ContractDefinition,
    witness: Arc<Witness>,
}

impl Contracted {
    /// Begins a contract, before the body runs. First writes evidence of a failure. This evidence remains if the test
    /// does not end.
    ///
    /// # Panics
    /// If the record cannot be read, or if the contract's process is not linked. In the second case, the message
    /// suggests a similar id if there is one.
    pub fn new(linked: &'static LinkedContract) -> Contracted {
        let contract = linked
            .definition()
            .unwrap_or_else(|error| panic!("the record of a contract cannot be read: {error}"));
        let process = registry::get(contract.process()).unwrap_or_else(|unknown| {
            panic!("contract `{}` at {}:{}: {unknown}", contract.case(), contract.file(), contract.line())
        });
        let contracted = Contracted { contract, witness: Witness::new(process) };
        // If the test is killed, this evidence remains. Without it, the proof of an earlier run of the test would
        // remain.
        contracted.leave(Proof::Failed("the test did not end".to_owned()), None);
        contracted
    }

    /// Runs the body of an `async fn`. If the body panics, writes evidence of the failure and passes the panic on.
    pub async fn run<F: Future>(&self, body: F) -> F::Output {
        let mut body = pin!(body);
        poll_fn(|cx| self.within(|| body.as_mut().poll(cx))).await
    }

    /// Calls the body of a plain function. Handles a panic like [`Contracted::run`].
    pub fn call<R>(&self, body: impl FnOnce() -> R) -> R {
        self.within(body)
    }

    fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        self.witness.within(f).unwrap_or_else(|payload| {
            self.leave(Proof::Failed(format!("the test panicked: {}", message(&payload))), None);
            payload.resume()
        })
    }

    /// Judges the case after the body has returned, and writes evidence. `ending` is the outcome of the test, derived
    /// from the returned value. If this outcome is not a success, writes evidence of a failure without judging the
    /// case.
    ///
    /// # Panics
    /// If the outcome is a success, and nothing that the body observed proves the case.
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

    /// Writes evidence. Panics if a proof cannot be written, because the matrix would then not show the proof. Prints
    /// the error if evidence of a failure cannot be written.
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

/// Returns the full path of the running test. libtest uses this path as the name of the test's thread, and nextest
/// passes the path as an argument. If the path is in neither place, returns the path of the test function.
fn path_of_test(handler: &str) -> String {
    let name = handler.rsplit("::").next().unwrap_or(handler);
    let is_it = |path: &str| path.split("::").any(|part| part == name);
    let thread = std::thread::current().name().map(str::to_owned);
    let mut candidates = thread.into_iter().chain(std::env::args().skip(1));
    candidates.find(|path| is_it(path)).unwrap_or_else(|| handler.to_owned())
}
