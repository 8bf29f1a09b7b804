//! A battery for whatever input a strategy makes, and the smallest one for which something does not hold (`proptest`).

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::battery::Battery;

impl Battery {
    /// Runs the battery for each of so many inputs as `PROPTEST_CASES` says, 256 where it says nothing: feature
    /// `proptest`. Where something does not hold, the input is shrunk, and the smallest is told.
    ///
    /// It runs on the caller's runtime, on paused or real time.
    ///
    /// # Panics
    /// With the smallest input for which something does not hold, and what. Where the strategy makes no input.
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
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// Battery::of("split_bill")
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
            let mut tree = tree.unwrap_or_else(|refusal| panic!("the strategy makes no input: {refusal}"));
            if let Err(broken) = self.attempt(async || call(tree.current()).await).await {
                let (input, broken) = self.smallest(&mut tree, broken, &call).await;
                panic!("for the input {input:?}: {broken}");
            }
        }
    }

    /// The smallest input that fails, and how.
    async fn smallest<T: ValueTree, R>(
        &self,
        tree: &mut T,
        broken: String,
        call: &impl AsyncFn(T::Value) -> R,
    ) -> (T::Value, String) {
        let mut smallest = (tree.current(), broken);
        let mut goes_on = tree.simplify();
        while goes_on {
            goes_on = match self.attempt(async || call(tree.current()).await).await {
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
