//! Runs a battery for the inputs that a `proptest` strategy generates. If a check fails for an input, searches for a
//! smaller input for which a check also fails (shrinking). The checks themselves do not belong here.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::battery::Battery;

impl Battery {
    /// Runs the battery for inputs that a `proptest` strategy generates. The environment variable `PROPTEST_CASES`
    /// sets the number of inputs, 256 by default. If a check fails for an input, the input is shrunk, and the
    /// smallest input that still fails is reported. Requires the feature `proptest`.
    ///
    /// The battery runs on the caller's tokio runtime and measures time by the clock of this runtime, paused or real.
    ///
    /// # Panics
    /// As [`Battery::run`], with the smallest failing input in the message. Also if the strategy cannot generate an
    /// input.
    ///
    /// ```
    /// use process_runtime::testing::Battery;
    /// use process_runtime::{Outcome, critical_process};
    ///
    /// #[critical_process(id = "split_bill", version = "1.0.0", sla = "1s")]
    /// async fn split(cents: u64, guests: u64) -> Result<u64, std::num::ParseIntError> {
    ///     Ok(cents.checked_div(guests).unwrap_or(cents))
    /// }
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    /// # runtime.block_on(async {
    /// Battery::new("split_bill")
    ///     .outcomes([Outcome::Success, Outcome::Failure])
    ///     .error(|| "x".parse::<u64>().unwrap_err())
    ///     .for_all((0..10_000_u64, 0..9_u64), async |(cents, guests)| split(cents, guests).await)
    ///     .await;
    /// # });
    /// ```
    pub async fn for_all<S: Strategy, R>(self, strategy: S, call: impl AsyncFn(S::Value) -> R) {
        let mut runner = TestRunner::default();
        for _ in 0..runner.config().cases {
            let tree = strategy.new_tree(&mut runner);
            let mut tree = tree.unwrap_or_else(|refusal| panic!("the strategy produced no input: {refusal}"));
            if let Err(broken) = self.attempt(async || call(tree.current()).await).await {
                let (input, broken) = self.smallest(&mut tree, broken, &call).await;
                panic!("for the input {input:?}: {broken}");
            }
        }
    }

    /// Shrinks the failing input of `tree`. Returns the smallest failing input that it finds, with the report of the
    /// failed checks.
    async fn smallest<T: ValueTree, R>(
        &self,
        tree: &mut T,
        broken: String,
        call: &impl AsyncFn(T::Value) -> R,
    ) -> (T::Value, String) {
        let mut smallest = (tree.current(), broken);
        let mut is_other = tree.simplify();
        while is_other {
            is_other = match self.attempt(async || call(tree.current()).await).await {
                Err(broken) => {
                    smallest = (tree.current(), broken);
                    tree.simplify()
                }
                Ok(_) => tree.complicate(),
            };
        }
        smallest
    }
}
