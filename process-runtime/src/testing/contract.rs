//! What stands around the body of a test with `#[contract]`.

use std::future::Future;

use super::registered::ContractSite;
use crate::ending::Ending;
use crate::registry;

/// A test that proves a case of a process, while its body runs.
#[derive(Debug)]
pub struct Contracted(());

impl Contracted {
    /// Before the body.
    ///
    /// # Panics
    /// Where the process of the contract was not linked, with the nearest id.
    pub fn new(site: &'static ContractSite) -> Contracted {
        let contract = site.definition().unwrap_or_else(|error| panic!("a contract cannot be read: {error}"));
        if let Err(unknown) = registry::get(contract.process()) {
            panic!("contract `{}` at {}:{}: {unknown}", contract.case(), contract.file(), contract.line());
        }
        Contracted(())
    }

    /// Polls the body of an `async fn`.
    pub async fn run<F: Future>(&self, body: F) -> F::Output {
        body.await
    }

    /// Calls the body of a plain function.
    pub fn call<R>(&self, body: impl FnOnce() -> R) -> R {
        body()
    }

    /// After a body that returned, with what its type says of the value.
    pub fn finish(self, _ending: Ending<'_>) {}
}
